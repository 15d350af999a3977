"""The process boundary: one spawned process that stays warm and does one task at a time.

A task and its answer travel over a pipe. Progress is a gauge in shared memory that the worker
sets and the bot reads, and the call to stop is a flag beside it: neither has a lock that a
killed worker could leave behind. What goes wrong ends in one of three ways: the worker's own
`PipelineError` comes back as it is, a worker that dies is replaced and its task fails with
`WorkerDiedError` or `OutOfMemoryError`, and one that is too slow is killed.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.sharedctypes import RawArray, RawValue
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from pipeline.errors import Cancelled, PipelineError, StageError, UserError
from pipeline.types import OnProgress, Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

Task = TypeVar("Task")
Answer = TypeVar("Answer")
Work: TypeAlias = "Callable[[Task, OnProgress], Answer]"
"""Does one task, telling how far it is; lives in the worker for as long as the worker does."""

_STAGES: tuple[Stage, ...] = tuple(Stage)
_NOTHING_YET = -1.0
_spawning = multiprocessing.get_context("spawn")  # TensorFlow and an event loop do not fork


class WorkerDiedError(PipelineError):
    """The worker's process ended in the middle of a task: our fault.

    Parameters
    ----------
    exit_code
        What the process ended with; the negative number of a signal that killed it.
    """

    exit_code: int | None

    def __init__(self, exit_code: int | None) -> None:
        super().__init__("The process that worked on your songs died.")
        self.exit_code = exit_code


class OutOfMemoryError(UserError):
    """The worker needed more memory than the machine has."""


class TooSlowError(UserError):
    """A task ran longer than it may."""


def _no_memory() -> OutOfMemoryError:
    return OutOfMemoryError("These songs need more memory than there is.", hint="Try shorter ones.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What a worker sends back; `error` is None when `answer` counts."""

    answer: Any = None
    error: PipelineError | Cancelled | None = None


class _Gauges:
    """Shared memory between the bot and one worker: the newest progress and the stop flag.

    A reader may see a new stage with an old fraction for one look; nobody is hurt.
    """

    def __init__(self) -> None:
        self._progress = RawArray("d", 2)
        self._stop = RawValue("b", 0)
        self.reset()

    def reset(self) -> None:
        self._progress[:] = [_NOTHING_YET, 0.0]
        self._stop.value = 0

    def tell(self, progress: Progress) -> None:
        """Set the gauge, or raise `Cancelled` when the task was called off; the worker's side."""
        if self._stop.value:
            raise Cancelled
        self._progress[:] = [_STAGES.index(progress.stage), progress.fraction]

    def read(self) -> Progress | None:
        index, fraction = self._progress
        return None if index < 0 else Progress(stage=_STAGES[int(index)], fraction=fraction)

    def stop(self) -> None:
        self._stop.value = 1


def _serve(pipe: Connection, gauges: _Gauges, make_work: Callable[[], Work[Any, Any]]) -> None:
    """Run in the worker's process: one task after the other until the pipe closes."""
    os.setsid()  # a group of its own: ffmpeg dies with it, and the terminal's Ctrl-C stays away
    # A service manager may tell the whole group to stop; only the bot ends its workers.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whatever a library prints goes nowhere
    work = make_work()
    while True:
        try:
            task = pipe.recv()
        except EOFError:  # the bot has gone
            return
        pipe.send(_outcome(work, task, gauges.tell))


def _outcome(work: Work[Any, Any], task: object, on_progress: OnProgress) -> _Outcome:
    # Any other exception is a bug: the process dies of it, and the traceback is in the log.
    try:
        return _Outcome(answer=work(task, on_progress))
    except MemoryError:
        return _Outcome(error=_no_memory())
    except (PipelineError, Cancelled) as error:
        if isinstance(error.__cause__, MemoryError):
            return _Outcome(error=_no_memory())
        if isinstance(error, StageError):  # pickle loses tracebacks; a note is logged with it
            error.add_note("In the worker:\n" + "".join(traceback.format_exception(error)))
        return _Outcome(error=error)


class Worker(Generic[Task, Answer]):
    """One process that does one task at a time and is replaced when it dies.

    Parameters
    ----------
    make_work
        Called once in the new process, a module's function or a `functools.partial` of one;
        returns what does the tasks.
    grace_s
        How long a worker that was called off may take to stop before it is killed, in seconds.
    """

    def __init__(
        self, make_work: Callable[[], Work[Task, Answer]], *, grace_s: float = 2.0
    ) -> None:
        self._make_work = make_work
        self._grace_s = grace_s
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._gauges = _Gauges()
        self._busy = False
        self._birth_and_death = threading.Lock()  # both happen in threads of the bot

    @property
    def pid(self) -> int | None:
        """The process id, or None while there is no process."""
        return self._process.pid if self._process is not None else None

    @property
    def progress(self) -> Progress | None:
        """How far the task is, or None when nothing has been heard of it."""
        return self._gauges.read()

    async def run(self, task: Task, *, deadline_s: float) -> Answer:
        """Do a task in the worker's process; cancelling this call calls the task off.

        Parameters
        ----------
        task
            Paths and small frozen values.
        deadline_s
            How long the task may run, in seconds.

        Raises
        ------
        PipelineError
            What the work raised, of the same type and with the same message.
        OutOfMemoryError, TooSlowError, WorkerDiedError
            The task failed together with its process.
        """
        self._gauges.reset()
        self._busy = False
        try:
            pipe = await asyncio.to_thread(self._started)
            async with asyncio.timeout(deadline_s):
                outcome = await self._exchange(pipe, task)
        except asyncio.CancelledError:
            await self._call_off()
            raise
        except TimeoutError:
            await self._call_off()
            minutes = max(1, round(deadline_s / 60))
            raise TooSlowError(
                f"This merge took longer than {minutes} min and was called off.",
                hint="Try shorter songs.",
            ) from None
        except (EOFError, ConnectionError) as error:
            raise await self._obituary() from error
        if outcome.error is not None:
            raise outcome.error
        answer: Answer = outcome.answer
        return answer

    async def start(self) -> None:
        """Start the process ahead of the first task."""
        await asyncio.to_thread(self._started)

    async def stop(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is not None:
            await asyncio.to_thread(self._kill)

    def _started(self) -> Connection:
        with self._birth_and_death:
            if self._process is not None and self._process.is_alive() and self._pipe is not None:
                return self._pipe
            self._bury()
            self._pipe, theirs = _spawning.Pipe()
            self._process = _spawning.Process(
                target=_serve,
                args=(theirs, self._gauges, self._make_work),
                name="vocal-worker",
                daemon=True,
            )
            self._process.start()
            theirs.close()  # so that the worker's death closes the pipe
            return self._pipe

    async def _exchange(self, pipe: Connection, task: Task) -> _Outcome:
        self._busy = True
        pipe.send(task)
        return await self._receive(pipe)

    async def _receive(self, pipe: Connection) -> _Outcome:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(pipe.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(pipe.fileno())
        outcome: _Outcome = await asyncio.to_thread(pipe.recv)
        return outcome

    async def _call_off(self) -> None:
        """Ask the worker to stop; kill it when it does not listen."""
        if not self._busy or self._pipe is None:
            return
        self._gauges.stop()
        answered = False
        try:
            async with asyncio.timeout(self._grace_s):
                await self._receive(self._pipe)
            answered = True
        except (TimeoutError, EOFError, ConnectionError):
            answered = False
        finally:  # a second cancellation comes this way, too
            if not answered:
                await asyncio.to_thread(self._kill)

    async def _obituary(self) -> PipelineError:
        """Bury a dead worker and say what it died of."""
        process = self._process
        if process is None:
            return WorkerDiedError(None)
        await asyncio.to_thread(process.join, self._grace_s)
        exit_code = process.exitcode
        await asyncio.to_thread(self._kill)
        # The kernel's way to say that memory has run out; nobody else sends this signal.
        return _no_memory() if exit_code == -signal.SIGKILL else WorkerDiedError(exit_code)

    def _kill(self) -> None:
        with self._birth_and_death:
            self._bury()

    def _bury(self) -> None:
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if process is not None and process.pid is not None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # dead, or too young to have its own group
                process.kill()
            process.join()
            process.close()
        if pipe is not None:
            pipe.close()
