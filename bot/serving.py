"""The worker's side of the process boundary: do one task after the other until the bot has gone.

`bot.workers` is the bot's side. What passes between the two is defined here.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pipeline.errors import Cancelled, PipelineError, StageError, UserError
from pipeline.types import OnProgress, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Work: TypeAlias = "Callable[[Task, OnProgress], Answer]"
"""Does one task, telling how far it is; lives in the worker for as long as the worker does."""

_STAGES: tuple[Stage, ...] = tuple(Stage)
_NOTHING_YET = -1.0
_MOST_HEAPS = -8  # M_ARENA_MAX of glibc's malloc.h


class WorkerStartError(PipelineError):
    """A worker's process cannot do its work on this machine: something is missing or broken."""


class OutOfMemoryError(UserError):
    """The worker needed more memory than the machine has."""


def no_memory() -> OutOfMemoryError:
    """Return the error of a task that needed more memory than there is."""
    return OutOfMemoryError("These songs need more memory than there is.", hint="Try shorter ones.")


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
        self._stop = RawValue("b", 0)
        self.reset()

    def reset(self) -> None:
        """Forget the last task; the bot's side."""
        self._progress[:] = [_NOTHING_YET, 0.0]
        self._stop.value = 0

    def tell(self, progress: Progress) -> None:
        """Set the gauge, or raise `Cancelled` when the task was called off; the worker's side."""
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


def serve(pipe: Connection, gauges: Gauges, make_work: Callable[[], Work[Any, Any]]) -> None:
    """Run in the worker's process: one task after the other until the bot has gone."""
    os.setsid()  # a group of its own: ffmpeg dies with it, and the terminal's Ctrl-C stays away
    # A service manager may tell the whole group to stop; only the bot ends its workers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints goes nowhere
    _share_freed_memory()
    # Two songs are worked on side by side: a pool of the algebra library would only get in the way.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    threading.Thread(target=_end_with_the_bot, name="end-with-the-bot", daemon=True).start()
    try:
        work = make_work()
    except (ImportError, OSError) as error:
        pipe.send(Outcome(error=WorkerStartError(f"A worker cannot start: {error}.")))
        return
    while True:
        try:
            task = pipe.recv()
        except EOFError:  # the bot has gone
            return
        pipe.send(_outcome(work, task, gauges.tell))
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


def _outcome(work: Work[Any, Any], task: object, on_progress: OnProgress) -> Outcome:
    # Any other exception is a bug: the process dies of it, and the traceback is in the log.
    try:
        return Outcome(answer=work(task, on_progress))
    except MemoryError:
        return Outcome(error=no_memory())
    except (PipelineError, Cancelled) as error:
        if isinstance(error.__cause__, MemoryError):
            return Outcome(error=no_memory())
        if isinstance(error, StageError):  # pickle loses tracebacks; a note is logged with it
            error.add_note("In the worker:\n" + "".join(traceback.format_exception(error)))
        return Outcome(error=error)


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
