"""Who may have a merge made, in which order, and what becomes of it.

A job is admitted before its songs are downloaded, so that the limits count it, waits for its
turn as soon as it is ready, and runs on the first free worker. Servers take turns, and inside a
server its people do (`bot.turns`); somebody outside servers counts as a server of their own, and
so do a server's remixes, which take seconds where merges take minutes.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from bot import limits
from bot.turns import Turns
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable, Sequence

    from pipeline.types import Progress

T = TypeVar("T")
Task = TypeVar("Task")
Answer = TypeVar("Answer")
Task_contra = TypeVar("Task_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)


class Runner(Protocol[Task_contra, Answer_co]):
    """What jobs run on; `bot.workers.Worker` is one."""

    @property
    def progress(self) -> Progress | None:
        """How far its task is."""

    async def start(self) -> None:
        """Get ready ahead of the first task; what goes wrong is not raised."""

    async def run(self, task: Task_contra, *, deadline_s: float) -> Answer_co:
        """Do a task; cancelling the call calls the task off."""

    async def stop(self) -> None:
        """End for good, whatever it is doing."""


class JobState(StrEnum):
    """Where a job stands."""

    FETCHING = "fetching"
    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class CalledOffError(UserError):
    """The job was called off, by its owner, a moderator, or because the bot is going down."""


class GoingDownError(CalledOffError):
    """The bot is told to stop; a job that has its songs can go on after the next start."""


def cancelled() -> CalledOffError:
    """Return why a job ends that its owner cancelled."""
    return CalledOffError("This merge was cancelled.")


def going_down() -> GoingDownError:
    """Return why jobs end, and none are taken in, when the bot is told to stop."""
    return GoingDownError("The bot is being restarted.", hint="Please try again in a minute.")


class Job:
    """One merge from its acceptance to its end.

    Parameters
    ----------
    owner, guild_id
        The ids of the person who asked for it, and of the server where; None outside servers.
    kind
        What it is, for estimates: jobs of one kind take about as long as each other.
    job_id
        The id of a job that goes on after a restart; None for a new one.

    Attributes
    ----------
    id
        Short and safe as a directory's name.
    state
        Where it stands.
    began_at
        When it began to run, on the clock `time.monotonic`; None before.
    called_off
        Why it was called off, or None.
    """

    def __init__(
        self,
        owner: int,
        guild_id: int | None = None,
        *,
        kind: str = "merge",
        job_id: str | None = None,
    ) -> None:
        self.id = secrets.token_hex(6) if job_id is None else job_id
        self.owner = owner
        self.guild_id = guild_id
        self.kind = kind
        self.state = JobState.FETCHING
        self.began_at: float | None = None
        self.called_off: CalledOffError | None = None
        self._work: asyncio.Task[Any] | None = None
        self._runner: Runner[Any, Any] | None = None

    @property
    def server(self) -> Hashable:
        """Whose turns it counts against: its server's or, outside servers, its owner's."""
        return ("person", self.owner) if self.guild_id is None else ("server", self.guild_id)

    @property
    def progress(self) -> Progress | None:
        """How far the work is, or None while there is none."""
        if self.state is not JobState.RUNNING or self._runner is None:
            return None  # the worker may be busy with the next job already
        return self._runner.progress

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin the work that `call_off` will cancel."""
        task = self._work = asyncio.create_task(work)
        if self.called_off is not None:
            task.cancel()
        return task

    def run_on(self, runner: Runner[Any, Any]) -> None:
        """Mark the job as running."""
        self._runner = runner
        self.began_at = time.monotonic()
        self.state = JobState.RUNNING

    def call_off(self, why: CalledOffError) -> bool:
        """Stop the job wherever it stands; False when there is nothing left to stop."""
        if self.called_off is not None or self.state is JobState.ENDED:
            return False
        self.called_off = why
        if self._work is not None:
            self._work.cancel()
        return True


class JobQueue(Generic[Task, Answer]):
    """Admits jobs and lets them run in fair turns.

    Parameters
    ----------
    runners
        One for each job that may run at the same time.
    limit, limit_per_user
        How many jobs may be there at once, in all and for one person. The last quarter of all
        places is kept for servers that have no job yet, so that no server can shut others out.
    deadline_s
        How long one job may run, in seconds.
    """

    def __init__(
        self,
        runners: Sequence[Runner[Task, Answer]],
        *,
        limit: int,
        limit_per_user: int,
        deadline_s: float,
    ) -> None:
        self.workers = len(runners)
        self._free = deque(runners)
        self._limit = limit
        self._limit_per_user = limit_per_user
        self._deadline_s = deadline_s
        self._jobs: dict[str, Job] = {}
        self._turns: Turns[Job] = Turns()
        self._awaited: dict[Job, asyncio.Future[Runner[Task, Answer]]] = {}
        self._closed = False

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs that have not been released, in the order of their acceptance."""
        return tuple(self._jobs.values())

    @property
    def waiting(self) -> tuple[Job, ...]:
        """The jobs that wait for their turn, in the order in which they will have it."""
        return self._turns.order

    def job(self, job_id: str) -> Job | None:
        """Return the job of that id, or None when there is none (any more)."""
        return self._jobs.get(job_id)

    def jobs_of(self, owner: int) -> tuple[Job, ...]:
        """Return one person's jobs."""
        return tuple(job for job in self._jobs.values() if job.owner == owner)

    def place_of(self, job: Job) -> int:
        """Return a job's place among those that wait, from 1; 0 when it does not wait."""
        waiting = self.waiting
        return waiting.index(job) + 1 if job in self._turns else 0

    def admit(
        self,
        owner: int,
        guild_id: int | None = None,
        *,
        kind: str = "merge",
        limit_per_user: int | None = None,
        free_in_s: limits.FreeIn = lambda _: None,
    ) -> Job:
        """Take a job in, until it is released.

        Parameters
        ----------
        owner, guild_id, kind
            Whose it is, where it was asked for, and what it is, as in `Job`.
        limit_per_user
            How many jobs this person may have at once; None for the queue's own limit.
        free_in_s
            Says in how many seconds the first of some jobs will have ended, or None; asked only
            for the words of a refusal.

        Raises
        ------
        bot.limits.QueueFullError, bot.limits.TooManyJobsError, GoingDownError
            No job is taken in.
        """
        job = Job(owner, guild_id, kind=kind)
        at_most = self._limit_per_user if limit_per_user is None else limit_per_user
        self._check_open()
        limits.check_person(self.jobs_of(owner), at_most, free_in_s)
        limits.check_room(job, self.jobs, self._limit, free_in_s)
        self._jobs[job.id] = job
        return job

    def readmit(self, owner: int, guild_id: int | None, job_id: str, *, kind: str = "merge") -> Job:
        """Take a job in again that was admitted before a restart, whatever the limits say now.

        Raises
        ------
        GoingDownError
            The bot is told to stop once more.
        """
        self._check_open()
        if job_id in self._jobs:
            raise ValueError(f"job {job_id} is there already")
        job = self._jobs[job_id] = Job(owner, guild_id, kind=kind, job_id=job_id)
        return job

    def _check_open(self) -> None:
        if self._closed:
            raise going_down()

    def release(self, job: Job) -> None:
        """Forget a job that was admitted."""
        job.state = JobState.ENDED
        del self._jobs[job.id]

    async def run(self, job: Job, task: Task) -> Answer:
        """Wait for the job's turn, run its task and return the answer.

        Raises
        ------
        PipelineError
            Whatever the task failed with.
        """
        job.state = JobState.WAITING
        runner = await self._turn(job)
        try:
            job.run_on(runner)
            return await runner.run(task, deadline_s=self._deadline_s)
        finally:
            job.state = JobState.ENDED
            self._free.append(runner)
            self._hand_out()

    async def _turn(self, job: Job) -> Runner[Task, Answer]:
        turn: asyncio.Future[Runner[Task, Answer]] = asyncio.get_running_loop().create_future()
        self._awaited[job] = turn
        # Remixes take seconds: they have turns of their own and do not wait for all merges before.
        self._turns.join(job, (job.server, job.kind), job.owner)
        self._hand_out()
        try:
            return await self._wait(turn)
        except asyncio.CancelledError:
            self._turns.leave(job)
            if turn.done() and not turn.cancelled():  # its turn came at the same moment
                self._free.append(turn.result())
                self._hand_out()
            raise
        finally:
            del self._awaited[job]

    async def _wait(self, turn: asyncio.Future[Runner[Task, Answer]]) -> Runner[Task, Answer]:
        return await turn

    def _hand_out(self) -> None:
        while self._free and self._turns:
            turn = self._awaited[self._turns.first]
            if turn.done():  # cancelled a moment ago: that is not its server's turn
                self._turns.leave(self._turns.first)
            else:
                self._turns.take()
                turn.set_result(self._free.popleft())

    def close(self) -> None:
        """Take no more jobs in and call off all there are with `GoingDownError`."""
        self._closed = True
        for job in self._jobs.values():
            job.call_off(going_down())
