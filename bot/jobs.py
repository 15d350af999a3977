"""Who may have a merge made, in which order, and what becomes of it.

A job is admitted before its songs are downloaded, so that the limits count it, waits for its
turn in the order in which jobs became ready, and runs on the first free worker.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

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


class QueueFullError(UserError):
    """No more jobs are taken just now."""


class TooManyJobsError(UserError):
    """One person already has as many jobs as one person may have."""


class CalledOffError(UserError):
    """The job was called off, by its owner or because the bot is going down."""


def cancelled() -> CalledOffError:
    """Return why a job ends that its owner cancelled."""
    return CalledOffError("This merge was cancelled.")


def going_down() -> CalledOffError:
    """Return why jobs end, and none are taken in, when the bot is told to stop."""
    return CalledOffError("The bot is being restarted.", hint="Please try again in a minute.")


class Job:
    """One merge from its acceptance to its end.

    Attributes
    ----------
    id
        Short and safe as a directory's name.
    owner
        The id of the person who asked for it.
    state
        Where it stands.
    called_off
        Why it was called off, or None.
    """

    def __init__(self, owner: int) -> None:
        self.id = secrets.token_hex(6)
        self.owner = owner
        self.state = JobState.FETCHING
        self.called_off: CalledOffError | None = None
        self._work: asyncio.Task[Any] | None = None
        self._runner: Runner[Any, Any] | None = None

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
    """Admits jobs and lets them run in order.

    Parameters
    ----------
    runners
        One for each job that may run at the same time.
    limit, limit_per_user
        How many jobs may be there at once, in all and for one person.
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
        self._free = deque(runners)
        self._limit = limit
        self._limit_per_user = limit_per_user
        self._deadline_s = deadline_s
        self._jobs: list[Job] = []
        self._turns: dict[Job, asyncio.Future[Runner[Task, Answer]]] = {}  # in order of arrival
        self._closed = False

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs that have not been released, in the order of their acceptance."""
        return tuple(self._jobs)

    def jobs_of(self, owner: int) -> tuple[Job, ...]:
        """Return one person's jobs."""
        return tuple(job for job in self._jobs if job.owner == owner)

    def place_of(self, job: Job) -> int:
        """Return a job's place among those that wait, from 1; 0 when it does not wait."""
        waiting = list(self._turns)
        return waiting.index(job) + 1 if job in waiting else 0

    def admit(self, owner: int) -> Job:
        """Take a job in, until it is released.

        Raises
        ------
        QueueFullError, TooManyJobsError, CalledOffError
            No job is taken in.
        """
        if self._closed:
            raise going_down()
        if len(self.jobs_of(owner)) >= self._limit_per_user:
            count = self._limit_per_user
            raise TooManyJobsError(
                f"You already have {count} merge{'' if count == 1 else 's'} in the works.",
                hint="Wait for one to end, or use /cancel.",
            )
        if len(self._jobs) >= self._limit:
            raise QueueFullError(
                "There are too many merges waiting already.", hint="Try again in a few minutes."
            )
        job = Job(owner)
        self._jobs.append(job)
        return job

    def release(self, job: Job) -> None:
        """Forget a job that was admitted."""
        job.state = JobState.ENDED
        self._jobs.remove(job)

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
        self._turns[job] = turn
        self._hand_out()
        try:
            return await self._wait(turn)
        except asyncio.CancelledError:
            self._turns.pop(job, None)
            if turn.done() and not turn.cancelled():  # its turn came at the same moment
                self._free.append(turn.result())
                self._hand_out()
            raise

    async def _wait(self, turn: asyncio.Future[Runner[Task, Answer]]) -> Runner[Task, Answer]:
        return await turn

    def _hand_out(self) -> None:
        while self._free and self._turns:
            turn = self._turns.pop(next(iter(self._turns)))
            if not turn.done():  # it was cancelled a moment ago
                turn.set_result(self._free.popleft())

    def close(self) -> None:
        """Take no more jobs in and call off all there are."""
        self._closed = True
        for job in self._jobs:
            job.call_off(going_down())
