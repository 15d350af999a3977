"""The worker's side of the process boundary: do one task after the other until the bot has gone.

`bot.workers` is the bot's side. What passes between the two is defined here.
"""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import signal
import tempfile
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from bot.confinement import allow_cpu, give_way, limit
from pipeline.errors import Cancelled, PipelineError, StageError, UserError
from pipeline.types import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from bot.confinement import Limits

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Work: TypeAlias = "Callable[[Task, Teller], Answer]"
"""Does one task, telling how far it is; lives in the worker for as long as the worker does."""

_STAGES: tuple[Stage, ...] = tuple(Stage)
_NOTHING_YET = -1.0
_MOST_HEAPS = -8  # M_ARENA_MAX of glibc's malloc.h


class WorkerStartError(PipelineError):
    """A worker's process cannot do its work on this machine: something is missing or broken."""


class OutOfMemoryError(UserError):
    """The worker needed more memory than it may have, or than the machine has."""


class TooLargeError(UserError):
    """The worker was about to write a larger file than it may."""


def no_memory() -> OutOfMemoryError:
    """Return the error of a task that needed more memory than it may have."""
    return OutOfMemoryError("These songs need more memory than there is.", hint="Try shorter ones.")


def too_large() -> TooLargeError:
    """Return the error of a task that would have written too large a file."""
    return TooLargeError(
        "These songs need more room than one merge may have.", hint="Try shorter ones."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker's process does with itself before anything else.

    Attributes
    ----------
    limits
        What it may take of the machine; None for as much as it likes.
    confine
        Called while the process has a single thread: gives up the rights that nobody needs.
    scratch
        A folder of its own for temporary files; None for the system's.
    """

    limits: Limits | None = None
    confine: Callable[[], None] | None = None
    scratch: Path | None = None

    def make(self) -> None:
        """Do it."""
        give_way()
        if self.scratch is not None:
            self.scratch.mkdir(parents=True, exist_ok=True)
            os.environ["TMPDIR"] = tempfile.tempdir = str(self.scratch)
        if self.confine is not None:
            self.confine()
        if self.limits is not None:
            limit(self.limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a worker sends back; `error` is None when `answer` counts."""

    answer: Any = None
    error: PipelineError | Cancelled | None = None


class Gauges:
    """Shared memory between the bot and one worker: the newest progress and the stop flag.

    A reader may see a new stage with an old fraction for one look; nobody is hurt.
    """

    def __init__(self) -> None:
        self._progress = RawArray("d", 2)
        self._size = RawValue("d", _NOTHING_YET)
        self._told = RawValue("L", 0)
        self._stop = RawValue("b", 0)
        self.reset()

    @property
    def told(self) -> int:
        """A number that changes with everything that is told: a sign of life."""
        return int(self._told.value)

    @property
    def size(self) -> float | None:
        """How large the task is, as `Teller.size` has it; None when nobody has told."""
        return None if self._size.value < 0 else float(self._size.value)

    def reset(self) -> None:
        """Forget the last task; the bot's side."""
        self._progress[:] = [_NOTHING_YET, 0.0]
        self._size.value = _NOTHING_YET
        self._stop.value = 0

    def tell_size(self, share: float) -> None:
        """Say how large the task is; the worker's side."""
        self._size.value = min(1.0, max(0.0, share))

    def tell(self, progress: Progress) -> None:
        """Set the gauge, or raise `Cancelled` when the task was called off; the worker's side."""
        self._told.value += 1  # two threads may count as one
        if self._stop.value:
            raise Cancelled
        self._progress[:] = [_STAGES.index(progress.stage), progress.fraction]

    def read(self) -> Progress | None:
        """Return how far the task is, or None when nothing has been heard of it."""
        index, fraction = self._progress
        return None if index < 0 else Progress(stage=_STAGES[int(index)], fraction=fraction)

    def stop(self) -> None:
        """Call the task off at the next thing it tells; the bot's side."""
        self._stop.value = 1


class Teller:
    """How a task speaks to the bot while it runs; calling it tells how far the task is.

    Parameters
    ----------
    gauges
        Where the bot reads it.
    """

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def __call__(self, progress: Progress, /) -> None:
        """Tell how far the task is, or raise `Cancelled` when it was called off."""
        self._gauges.tell(progress)

    def size(self, share: float) -> None:
        """Tell how large the task is, in [0, 1]: 1 is one that may take all the time there is."""
        self._gauges.tell_size(share)


def serve(
    pipe: Connection,
    gauges: Gauges,
    make_work: Callable[[], Work[Any, Any]],
    setup: Setup,
) -> None:
    """Run in the worker's process: one task after the other until the bot has gone."""
    os.setsid()  # a group of its own: ffmpeg dies with it, and the terminal's Ctrl-C stays away
    # A service manager may tell the whole group to stop; only the bot ends its workers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints goes nowhere
    _share_freed_memory()
    # Two songs are worked on side by side: a pool of the algebra library would only get in the way.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        setup.make()
        threading.Thread(target=_end_with_the_bot, name="end-with-the-bot", daemon=True).start()
        work = make_work()
    except (ImportError, OSError, MemoryError) as error:
        why = "it may have too little memory" if isinstance(error, MemoryError) else error
        pipe.send(Outcome(error=WorkerStartError(f"A worker cannot start: {why}.")))
        return
    while True:
        try:
            task = pipe.recv()
        except EOFError:  # the bot has gone
            return
        if setup.limits is not None:
            allow_cpu(setup.limits.cpu_s)
        pipe.send(_outcome(work, task, Teller(gauges)))
        _give_memory_back()


def _end_with_the_bot() -> None:
    """Wait for the bot's end and kill this process, with all that it has started.

    A bot that was killed cannot do it, and a worker in the middle of a task does not look at its
    pipe.
    """
    bot = multiprocessing.parent_process()
    assert bot is not None, "a worker is spawned by the bot"
    bot.join()
    os.killpg(0, signal.SIGKILL)


def _outcome(work: Work[Any, Any], task: object, teller: Teller) -> Outcome:
    # Any other exception is a bug: the process dies of it, and the traceback is in the log.
    try:
        return Outcome(answer=work(task, teller))
    except (MemoryError, OSError) as error:
        beyond = _limit_met_by(error)
        if beyond is None:
            raise
        return Outcome(error=beyond)
    except (PipelineError, Cancelled) as error:
        beyond = _limit_met_by(error.__cause__)
        if beyond is not None:
            return Outcome(error=beyond)
        if isinstance(error, StageError):  # pickle loses tracebacks; a note is logged with it
            error.add_note("In the worker:\n" + "".join(traceback.format_exception(error)))
        return Outcome(error=error)


def _limit_met_by(error: BaseException | None) -> UserError | None:
    """Return what to say of an error that a limit has caused, or None where none has."""
    if isinstance(error, MemoryError):
        return no_memory()
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return too_large()
    return None


def _share_freed_memory() -> None:
    """Keep the process's threads from hoarding freed memory, each in heaps of its own.

    glibc allows eight heaps a core. With two, a merge of three-minute songs took 4 to 8 % less
    memory at its peak and no more time, and what stayed was the same after every merge.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MOST_HEAPS, 2)


def _give_memory_back() -> None:
    """Return what glibc keeps of freed memory to the system; other C libraries keep little."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
