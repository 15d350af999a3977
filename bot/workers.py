"""The bot's side of the process boundary: a spawned process that does one task at a time.

The process is started ahead of its first task, rehearses it, and stays warm; `bot.serving` is what
it runs.

A task and its answer travel over a pipe. Progress is a gauge in shared memory that the worker
sets and the bot reads, and the call to stop is a flag beside it: neither has a lock that a
killed worker could leave behind.

What goes wrong ends in one of three ways. The worker's own `PipelineError` comes back as it is. A
process that dies, or gives no sign of life and is killed, is replaced, and its task is tried once
more: what killed it may have been another's doing. If that fails too, it fails with one of the
errors of `bot.deaths`. And a task that is too slow is called off. When the bot itself is killed,
its workers end with it.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import pickle
import shutil
import signal
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Generic

from bot.deaths import (
    StuckError,
    TooSlowError,
    WorkerDiedError,
    kills_for_memory,
    obituary,
    reason,
    stuck,
    too_slow,
)
from bot.letters import receive
from bot.serving import (
    Answer,
    Gauges,
    Outcome,
    OutOfMemoryError,
    Setup,
    Task,
    WorkerStartError,
    serve,
)
from pipeline.errors import Cancelled, PipelineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

    from bot.serving import Work
    from pipeline.types import Progress

__all__ = ["LEAST_S", "StuckError", "TooSlowError", "Worker", "WorkerDiedError", "allowed_s"]

log = logging.getLogger(__name__)

LEAST_S = 300.0
"""Seconds that every task has, and for which it may give no sign of life."""

_NO_ANSWER = (EOFError, OSError, pickle.UnpicklingError)

_LOOK_S = 1.0  # how often a task is looked after

_spawning = multiprocessing.get_context("spawn")  # TensorFlow and an event loop do not fork


def allowed_s(longest_s: float, size: float) -> float:
    """Return how long a task may run, in seconds.

    Parameters
    ----------
    longest_s
        How long the largest may.
    size
        How large this one is, in [0, 1], as `bot.serving.Teller.size` has it.
    """
    least_s = min(LEAST_S, longest_s)
    return least_s + size * (longest_s - least_s)


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
    setup
        What the process does with itself first: its limits, its rights, its folder for temporary
        files, which is emptied whenever the process has ended.
    clean_up
        Takes away what the process has left of a task: called before a task is given to it, and
        after it has died of one.
    grace_s
        How long a worker that was called off may take to stop before it is killed, in seconds.
    stuck_after_s
        How long it may give no sign of life, in seconds.
    """

    def __init__(
        self,
        make_work: Callable[[], Work[Task, Answer]],
        *,
        rehearsal: Task | None = None,
        setup: Setup | None = None,
        clean_up: Callable[[Task], None] = lambda _: None,
        grace_s: float = 2.0,
        stuck_after_s: float = LEAST_S,
    ) -> None:
        self._make_work = make_work
        self._rehearsal = rehearsal
        self._setup = setup or Setup()
        self._clean_up = clean_up
        self._grace_s = grace_s
        self._stuck_after_s = stuck_after_s
        self._warming: asyncio.Task[None] | None = None
        self._stopped = False
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._gauges = Gauges()
        self._running = False  # from a task's acceptance to its end
        self._busy = False  # from the moment at which the process was given it
        self._given: Task | None = None  # what the process has in its hands
        self._reached: Progress | None = None  # how far the first of two attempts came
        self._is_stuck = False
        self._speaking = asyncio.Lock()  # held while somebody waits for the process's answer
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
        """How far the task is, or None when nothing has been heard of it.

        A second attempt shows how far the first one came until it has come further.
        """
        if not self._busy:
            return None
        now, before = self._gauges.read(), self._reached
        return before if before and (now is None or now.fraction < before.fraction) else now

    async def run(self, task: Task, *, deadline_s: float) -> Answer:
        """Do a task in the worker's process; cancelling this call calls the task off.

        Parameters
        ----------
        task
            Paths and small frozen values.
        deadline_s
            How long the task may run, in seconds, if it is one of the largest; see `allowed_s`.

        Raises
        ------
        PipelineError
            What the work raised, of the same type and with the same message.
        OutOfMemoryError, TooSlowError, StuckError, WorkerDiedError, WorkerStartError
            The task failed together with its process.
        """
        began = asyncio.get_running_loop().time()
        self._running = True
        try:
            async with asyncio.timeout(deadline_s) as deadline:
                await self._end_rehearsal()
                outcome = await self._tried(task, deadline)
        except asyncio.CancelledError:
            await self._call_off()
            raise
        except TimeoutError:
            await (self._call_off() if self._busy else self._end())
            raise too_slow(asyncio.get_running_loop().time() - began) from None
        finally:
            self._running = self._busy = False
            self._given = self._reached = None
            if self._process is None and self._warming is not None and not self._stopped:
                self._begin_warming()  # the next task finds a warm one again
        if isinstance(outcome.error, WorkerStartError):
            await asyncio.to_thread(self._kill)  # it is about to end by itself
        if outcome.error is not None:
            raise outcome.error
        answer: Answer = outcome.answer
        return answer

    async def _tried(self, task: Task, deadline: asyncio.Timeout) -> Outcome:
        """Try a task, and once more when the process does not live to answer."""
        latest = deadline.when()
        assert latest is not None, "every task has a deadline"
        try:
            return await self._attempt(task, deadline)
        except (WorkerDiedError, OutOfMemoryError, StuckError) as error:
            if self._stopped:
                raise
            log.warning("a task is tried once more: %s", reason(error))
            self._reached = self.progress
        deadline.reschedule(latest)
        return await self._attempt(task, deadline)

    async def _attempt(self, task: Task, deadline: asyncio.Timeout) -> Outcome:
        kills = kills_for_memory()
        try:
            pipe = await asyncio.to_thread(self._started, task)
            self._busy = True
            async with self._looked_after(deadline):
                return await self._exchange(pipe, task)
        except _NO_ANSWER as error:
            raise await self._obituary(kills) from error

    @asynccontextmanager
    async def _looked_after(self, deadline: asyncio.Timeout) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._look_after(deadline))
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.wait({looking})

    async def _look_after(self, deadline: asyncio.Timeout) -> None:
        """Give a task the time that it needs by its size; kill it when nothing is heard of it."""
        clock = asyncio.get_running_loop().time
        latest = deadline.when()
        assert latest is not None, "every task has a deadline"
        longest_s, sized = latest - clock(), False
        told, heard_at = self._gauges.told, clock()
        while True:
            await asyncio.sleep(min(_LOOK_S, self._stuck_after_s / 4))
            if self._gauges.told != told:
                told, heard_at = self._gauges.told, clock()
            elif clock() - heard_at > self._stuck_after_s:
                self._is_stuck = True
                await asyncio.to_thread(self._strike)
                return
            if not sized and self._gauges.size is not None:
                sized = True
                deadline.reschedule(min(latest, clock() + allowed_s(longest_s, self._gauges.size)))

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
        self._warming = asyncio.create_task(self._warm_up())
        return self._warming

    async def _warm_up(self) -> None:
        error: BaseException | None = None
        kills = kills_for_memory()
        try:
            pipe = await asyncio.to_thread(self._started, self._rehearsal)
            if self._rehearsal is not None:
                error = (await self._exchange(pipe, self._rehearsal)).error
        except _NO_ANSWER:
            error = await self._obituary(kills)
        if isinstance(error, WorkerStartError):
            await asyncio.to_thread(self._kill)
        if error is not None and not isinstance(error, Cancelled) and not self._stopped:
            log.warning("a worker could not warm up: %s", reason(error))

    async def _end_rehearsal(self) -> None:
        """Call the rehearsal off and wait until the worker is free; its failure is logged there."""
        if self._warming is not None and not self._warming.done():
            self._gauges.stop()
            await asyncio.wait({self._warming}, timeout=self._stuck_after_s)
            if not self._warming.done():
                await self._end()

    async def _end(self) -> None:
        if self._warming is not None and not self._warming.done():
            self._warming.cancel()
            await asyncio.wait({self._warming})
        await asyncio.to_thread(self._strike)
        async with self._speaking:  # whoever waits for an answer hears that there will be none
            await asyncio.to_thread(self._kill)

    def _started(self, task: Task | None) -> Connection:
        """Return the pipe to a process that is ready to be given a task."""
        with self._birth_and_death:
            if self._stopped:
                raise ConnectionAbortedError("the worker was stopped for good")
            if self._process is None or not self._process.is_alive() or self._pipe is None:
                self._bury()
                self._pipe = self._born()
            if task is not None:
                self._clean_up(task)
            self._given = task
            self._is_stuck = False
            self._gauges.reset()
            return self._pipe

    def _born(self) -> Connection:
        ours, theirs = _spawning.Pipe()
        with theirs:  # closed here, so that the worker's death closes the pipe
            self._process = _spawning.Process(
                target=serve,
                args=(theirs, self._gauges, self._make_work, self._setup),
                name="vocal-worker",
                daemon=True,
            )
            self._process.start()
        return ours

    async def _exchange(self, pipe: Connection, task: Task) -> Outcome:
        async with self._speaking:
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
        outcome: Outcome = await asyncio.to_thread(receive, pipe)
        return outcome

    async def _call_off(self) -> None:
        """Ask the worker to stop; kill it when it does not listen."""
        if not self._busy or self._pipe is None:
            return
        self._gauges.stop()
        answered = False
        try:
            async with asyncio.timeout(self._grace_s), self._speaking:
                await self._receive(self._pipe)
            answered = True
        except (TimeoutError, *_NO_ANSWER):
            answered = False
        finally:  # a second cancellation comes this way, too
            if not answered:
                await asyncio.to_thread(self._kill)

    async def _obituary(self, kills_before: int) -> PipelineError:
        """Bury a dead worker and say what it died of."""
        exit_code = await asyncio.to_thread(self._last_words)
        if self._is_stuck:
            return stuck()
        return obituary(exit_code, memory_ran_out=kills_for_memory() > kills_before)

    def _last_words(self) -> int | None:
        with self._birth_and_death:
            if self._process is None:
                return None
            self._process.join(self._grace_s)
            exit_code = self._process.exitcode
            self._bury()
            return exit_code

    def _strike(self) -> None:
        """Kill the process and leave the rest to whoever waits for its answer."""
        with self._birth_and_death:
            if self._process is not None and self._process.pid is not None:
                _kill_all(self._process)

    def _kill(self) -> None:
        with self._birth_and_death:
            self._bury()

    def _bury(self) -> None:
        """End the process with all that it has started, and clear away what they leave."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if process is not None and process.pid is not None:
            _kill_all(process)
            process.join()
            _reap(process.pid)
            process.close()
            if self._given is not None:
                self._clean_up(self._given)
            if self._setup.scratch is not None:
                shutil.rmtree(self._setup.scratch, ignore_errors=True)
        if pipe is not None:
            pipe.close()


def _kill_all(process: SpawnProcess) -> None:
    assert process.pid is not None, "it was started"
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # all dead, or too young to have its own group
        process.kill()


def _reap(group: int) -> None:
    """Take leave of what a dead worker had started, where it has fallen to this process.

    It has if the bot is the first process of a container; else it is not ours to wait for.
    """
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)
