"""The bot's side of the process boundary: a spawned process that does one task at a time.

The process is started ahead of its first task, rehearses it, and stays warm; `bot.serving` is what
it runs.

A task and its answer travel over a pipe. Progress is a gauge in shared memory that the worker
sets and the bot reads, and the call to stop is a flag beside it: neither has a lock that a
killed worker could leave behind. What goes wrong ends in one of three ways: the worker's own
`PipelineError` comes back as it is, a worker that dies is replaced and its task fails with
`WorkerDiedError` or `OutOfMemoryError`, and one that is too slow is killed. When the bot itself is
killed, its workers end with it.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import threading
from typing import TYPE_CHECKING, Generic

from bot.serving import (
    Answer,
    Gauges,
    Outcome,
    OutOfMemoryError,
    Task,
    WorkerStartError,
    no_memory,
    serve,
)
from pipeline.errors import Cancelled, PipelineError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from bot.serving import Work
    from pipeline.types import Progress

log = logging.getLogger(__name__)

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


class TooSlowError(UserError):
    """A task ran longer than it may."""


class Worker(Generic[Task, Answer]):
    """One process that does one task at a time and is replaced when it dies.

    Parameters
    ----------
    make_work
        Called once in the new process, a module's function or a `functools.partial` of one;
        returns what does the tasks.
    rehearsal
        A task to do ahead of the first one, so that whatever is loaded late is there by then;
        None for no rehearsal. A task that comes meanwhile calls it off.
    grace_s
        How long a worker that was called off may take to stop before it is killed, in seconds.
    """

    def __init__(
        self,
        make_work: Callable[[], Work[Task, Answer]],
        *,
        rehearsal: Task | None = None,
        grace_s: float = 2.0,
    ) -> None:
        self._make_work = make_work
        self._rehearsal = rehearsal
        self._grace_s = grace_s
        self._warming: asyncio.Task[None] | None = None
        self._stopped = False
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._gauges = Gauges()
        self._running = False  # from a task's acceptance to its end
        self._busy = False  # from the moment at which the process was given it
        self._birth_and_death = threading.Lock()  # both happen in threads of the bot

    @property
    def pid(self) -> int | None:
        """The process id, or None while there is no process."""
        return self._process.pid if self._process is not None else None

    @property
    def is_busy(self) -> bool:
        """Whether it does a task, or is about to."""
        return self._running

    def is_alive(self) -> bool:
        """Return whether there is a process and it runs; this may wait for a moment."""
        with self._birth_and_death:
            return self._process is not None and self._process.is_alive()

    @property
    def progress(self) -> Progress | None:
        """How far the task is, or None when nothing has been heard of it."""
        return self._gauges.read() if self._busy else None

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
        OutOfMemoryError, TooSlowError, WorkerDiedError, WorkerStartError
            The task failed together with its process.
        """
        self._running = True
        try:
            async with asyncio.timeout(deadline_s):
                await self._end_rehearsal()
                pipe = await asyncio.to_thread(self._started)
                self._gauges.reset()
                self._busy = True
                outcome = await self._exchange(pipe, task)
        except asyncio.CancelledError:
            await self._call_off()
            raise
        except TimeoutError:
            await (self._call_off() if self._busy else self._end())
            minutes = max(1, round(deadline_s / 60))
            raise TooSlowError(
                f"This merge took longer than {minutes} min and was called off.",
                hint="Try shorter songs.",
            ) from None
        except (EOFError, ConnectionError) as error:
            raise await self._obituary() from error
        finally:
            self._running = self._busy = False
            if self._process is None and self._warming is not None:
                self._begin_warming()  # the next task finds a warm one again
        if isinstance(outcome.error, WorkerStartError):
            await asyncio.to_thread(self._kill)  # it is about to end by itself
        if outcome.error is not None:
            raise outcome.error
        answer: Answer = outcome.answer
        return answer

    async def start(self) -> None:
        """Start the process and let it rehearse; what goes wrong is logged, not raised.

        Nothing happens when a task has come before and started the process.
        """
        if not self._running and self._process is None:
            await asyncio.shield(self._begin_warming())

    async def stop(self) -> None:
        """End the process for good, whatever it is doing."""
        self._stopped = True
        await self._end()

    def _begin_warming(self) -> asyncio.Task[None]:
        self._gauges.reset()
        self._warming = asyncio.create_task(self._warm_up())
        return self._warming

    async def _warm_up(self) -> None:
        error: BaseException | None = None
        try:
            pipe = await asyncio.to_thread(self._started)
            if self._rehearsal is not None:
                error = (await self._exchange(pipe, self._rehearsal)).error
        except (EOFError, ConnectionError):
            error = await self._obituary()
        except OSError as no_process:
            error = no_process
        if isinstance(error, WorkerStartError):
            await asyncio.to_thread(self._kill)
        if error is not None and not isinstance(error, Cancelled) and not self._stopped:
            log.warning("a worker could not warm up: %s", _reason(error))

    async def _end_rehearsal(self) -> None:
        """Call the rehearsal off and wait until the worker is free; its failure is logged there."""
        if self._warming is not None and not self._warming.done():
            self._gauges.stop()
            await asyncio.shield(self._warming)

    async def _end(self) -> None:
        if self._warming is not None and not self._warming.done():
            self._warming.cancel()
            await asyncio.wait({self._warming})
        await asyncio.to_thread(self._kill)

    def _started(self) -> Connection:
        with self._birth_and_death:
            if self._stopped:
                raise ConnectionAbortedError("the worker was stopped for good")
            if self._process is not None and self._process.is_alive() and self._pipe is not None:
                return self._pipe
            self._bury()
            self._pipe, theirs = _spawning.Pipe()
            self._process = _spawning.Process(
                target=serve,
                args=(theirs, self._gauges, self._make_work),
                name="vocal-worker",
                daemon=True,
            )
            self._process.start()
            theirs.close()  # so that the worker's death closes the pipe
            return self._pipe

    async def _exchange(self, pipe: Connection, task: Task) -> Outcome:
        pipe.send(task)
        return await self._receive(pipe)

    async def _receive(self, pipe: Connection) -> Outcome:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(pipe.fileno(), readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(pipe.fileno())
        outcome: Outcome = await asyncio.to_thread(pipe.recv)
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
        exit_code = await asyncio.to_thread(self._last_words)
        # The kernel's way to say that memory has run out; nobody else sends this signal.
        return no_memory() if exit_code == -signal.SIGKILL else WorkerDiedError(exit_code)

    def _last_words(self) -> int | None:
        with self._birth_and_death:
            if self._process is None:
                return None
            self._process.join(self._grace_s)
            exit_code = self._process.exitcode
            self._bury()
            return exit_code

    def _kill(self) -> None:
        with self._birth_and_death:
            self._bury()

    def _bury(self) -> None:
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if process is not None and process.pid is not None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:  # all dead, or too young to have its own group
                process.kill()
            process.join()
            process.close()
        if pipe is not None:
            pipe.close()


def _reason(error: BaseException) -> str:
    """Say in half a sentence why a worker did not get warm."""
    if isinstance(error, OutOfMemoryError):
        return "it was killed, probably because the machine has too little memory"
    if isinstance(error, WorkerDiedError):
        return f"its process ended with {error.exit_code}"
    return str(error)
