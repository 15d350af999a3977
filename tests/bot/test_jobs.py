from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from bot.jobs import (
    CalledOffError,
    GoingDownError,
    Job,
    JobQueue,
    JobState,
    cancelled,
)
from bot.limits import QueueFullError, TooManyJobsError
from pipeline.types import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

HALF = Progress(stage=Stage.MIX, fraction=0.5)


class Hands:
    """A runner that works until the test says so."""

    def __init__(self, *, at_end: Callable[[], object] | None = None) -> None:
        self._at_end = at_end
        self.progress: Progress | None = None
        self.deadlines_s: list[float] = []
        self.begun: list[str] = []
        self.ends: dict[str, asyncio.Event] = {}

    async def run(self, task: str, *, deadline_s: float) -> str:
        self.deadlines_s.append(deadline_s)
        self.begun.append(task)
        self.progress = HALF
        await self.ends.setdefault(task, asyncio.Event()).wait()
        if self._at_end is not None:
            asyncio.get_running_loop().call_soon(self._at_end)
        if task == "bad":
            raise ValueError(task)
        return task.upper()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        raise AssertionError("a queue does not stop its runners")

    def end(self, task: str) -> None:
        self.ends.setdefault(task, asyncio.Event()).set()


def a_queue(*hands: Hands, limit: int = 10, limit_per_user: int = 5) -> JobQueue[str, str]:
    return JobQueue(hands, limit=limit, limit_per_user=limit_per_user, deadline_s=7.0)


async def turn_over() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_one_person_asked_for_runs_in_the_order_in_which_it_became_ready() -> None:
    hands = Hands()
    queue = a_queue(hands)
    jobs = [queue.admit(1) for _ in "abc"]
    assert [job.state for job in jobs] == [JobState.FETCHING] * 3
    # The second to be admitted is ready first.
    tasks = [jobs[n].start(queue.run(jobs[n], name)) for n, name in ((1, "b"), (0, "a"), (2, "c"))]
    await turn_over()
    assert hands.begun == ["b"]
    assert hands.deadlines_s == [7.0]
    assert [queue.place_of(job) for job in jobs] == [1, 0, 2]
    assert queue.waiting == (jobs[0], jobs[2])
    assert jobs[1].state is JobState.RUNNING
    assert (jobs[1].progress, jobs[0].progress) == (HALF, None)
    for name in "bac":
        hands.end(name)
    assert await asyncio.gather(*tasks) == ["B", "A", "C"]
    assert hands.begun == ["b", "a", "c"]


async def test_as_many_run_at_once_as_there_are_workers() -> None:
    first, second = Hands(), Hands()
    queue = a_queue(first, second)
    jobs = [queue.admit(1) for _ in "abc"]
    tasks = [job.start(queue.run(job, name)) for job, name in zip(jobs, "abc", strict=True)]
    await turn_over()
    assert (first.begun, second.begun) == (["a"], ["b"])
    second.end("b")
    second.end("c")
    first.end("a")
    assert await asyncio.gather(*tasks) == ["A", "B", "C"]
    assert second.begun == ["b", "c"]


async def test_servers_take_turns_and_inside_them_their_people() -> None:
    hands = Hands()
    queue = a_queue(hands)
    places = {  # the first runs at once; after it, the turns are those of the second row
        "a1": (1, 7), "a2": (1, 7), "a3": (1, 7), "b1": (2, 7), "c1": (3, 8), "d1": (4, None),
    }  # fmt: skip
    tasks = [
        (job := queue.admit(owner, guild_id)).start(queue.run(job, name))
        for name, (owner, guild_id) in places.items()
    ]
    await turn_over()
    assert [queue.place_of(job) for job in queue.jobs] == [0, 1, 5, 4, 2, 3]
    for name in places:
        hands.end(name)
    await asyncio.gather(*tasks)
    assert hands.begun == ["a1", "a2", "c1", "d1", "b1", "a3"]


async def test_a_remix_does_not_wait_for_all_the_merges_before() -> None:
    hands = Hands()
    queue = a_queue(hands)
    orders = [(1, "merge"), (2, "merge"), (3, "merge"), (4, "merge"), (5, "remix"), (6, "remix")]
    names = [f"{kind}{owner}" for owner, kind in orders]
    tasks = [
        (job := queue.admit(owner, 7, kind=kind)).start(queue.run(job, name))
        for name, (owner, kind) in zip(names, orders, strict=True)
    ]
    await turn_over()
    for name in names:
        hands.end(name)
    await asyncio.gather(*tasks)
    assert hands.begun == ["merge1", "merge2", "remix5", "merge3", "remix6", "merge4"]


async def test_people_outside_servers_are_servers_of_their_own() -> None:
    queue = a_queue(Hands())
    assert queue.admit(1).server == queue.admit(1).server != queue.admit(2).server
    assert queue.admit(1, 7).server == queue.admit(2, 7).server != queue.admit(2, 8).server
    assert queue.admit(9).server != queue.admit(1, 9).server


async def test_limits_count_from_admission_to_release() -> None:
    queue = a_queue(Hands(), limit=3, limit_per_user=2)
    mine = [queue.admit(1), queue.admit(1)]
    with pytest.raises(TooManyJobsError, match=r"already have 2 merges .* /cancel"):
        queue.admit(1)
    queue.admit(2)
    with pytest.raises(QueueFullError):
        queue.admit(3)
    queue.release(mine[0])
    assert queue.jobs_of(1) == (mine[1],)
    queue.admit(3)


async def test_a_server_may_set_its_own_limit() -> None:
    queue = a_queue(Hands(), limit_per_user=2)
    queue.admit(1, limit_per_user=1)
    with pytest.raises(TooManyJobsError, match="already have 1 merge in"):
        queue.admit(1, limit_per_user=1)
    for _ in range(2):
        queue.admit(1, limit_per_user=3)


async def test_a_job_of_an_earlier_run_is_let_in_again_under_its_id() -> None:
    queue = a_queue(Hands(), limit=1, limit_per_user=1)
    queue.admit(1)
    job = queue.readmit(1, 7, "0123456789ab", kind="remix")
    assert (job.id, job.owner, job.guild_id, job.kind) == ("0123456789ab", 1, 7, "remix")
    assert queue.job("0123456789ab") is job
    with pytest.raises(ValueError, match="there already"):
        queue.readmit(1, 7, "0123456789ab")
    queue.release(job)
    assert queue.job("0123456789ab") is None


async def test_a_failed_job_lets_the_next_one_run() -> None:
    hands = Hands()
    queue = a_queue(hands)
    bad, good = queue.admit(1), queue.admit(1)
    failing, working = bad.start(queue.run(bad, "bad")), good.start(queue.run(good, "good"))
    hands.end("bad")
    hands.end("good")
    with pytest.raises(ValueError, match="bad"):
        await failing
    assert await working == "GOOD"


async def test_a_waiting_job_that_is_called_off_leaves_the_queue() -> None:
    hands = Hands()
    queue = a_queue(hands)
    first, second, third = (queue.admit(1) for _ in range(3))
    tasks = [job.start(queue.run(job, name)) for job, name in ((first, "a"), (second, "b"))]
    tasks.append(third.start(queue.run(third, "c")))
    await turn_over()
    assert second.call_off(cancelled())
    assert not second.call_off(cancelled())
    await turn_over()
    assert tasks[1].cancelled()
    assert queue.place_of(third) == 1
    hands.end("a")
    hands.end("c")
    await asyncio.gather(tasks[0], tasks[2])
    assert hands.begun == ["a", "c"]


async def test_a_running_job_that_is_called_off_frees_its_worker() -> None:
    hands = Hands()
    queue = a_queue(hands)
    first, second = queue.admit(1), queue.admit(2)
    one, two = first.start(queue.run(first, "a")), second.start(queue.run(second, "b"))
    await turn_over()
    first.call_off(cancelled())
    hands.end("b")
    assert await two == "B"
    assert one.cancelled()


async def test_a_turn_that_comes_with_the_cancellation_goes_to_the_next() -> None:
    # Called off after the turn was given and before the waiting task woke up.
    hands = Hands(at_end=lambda: second.call_off(cancelled()))
    queue = a_queue(hands)
    first, second, third = (queue.admit(1) for _ in range(3))
    one = first.start(queue.run(first, "a"))
    two = second.start(queue.run(second, "b"))
    await turn_over()
    hands.end("a")
    await one
    three = third.start(queue.run(third, "c"))
    hands.end("c")
    assert await asyncio.wait_for(three, 5) == "C"
    assert two.cancelled()
    assert hands.begun == ["a", "c"]


async def test_a_job_that_is_called_off_as_its_turn_comes_does_not_cost_its_server_the_turn() -> (
    None
):
    hands = Hands()
    queue = a_queue(hands)
    running = queue.admit(9)
    gone, kept, others = queue.admit(1, 7), queue.admit(2, 7), queue.admit(3, 8)
    tasks = [
        job.start(queue.run(job, name))
        for job, name in ((running, "a"), (gone, "gone"), (kept, "kept"), (others, "others"))
    ]
    await turn_over()
    hands.end("a")
    gone.call_off(cancelled())  # its turn is cancelled now and leaves the queue a moment later
    for name in ("kept", "others"):
        hands.end(name)
    await asyncio.gather(*tasks[2:])
    assert hands.begun == ["a", "kept", "others"]


async def test_called_off_before_the_work_began() -> None:
    queue = a_queue(Hands())
    job = queue.admit(1)
    job.call_off(cancelled())
    task = job.start(queue.run(job, "a"))
    await turn_over()
    assert task.cancelled()


async def test_nothing_is_left_to_call_off_after_the_end() -> None:
    hands = Hands()
    queue = a_queue(hands)
    job: Job = queue.admit(1)
    hands.end("a")
    await job.start(queue.run(job, "a"))
    assert not job.call_off(cancelled())
    assert job.called_off is None
    assert job.progress is None


async def test_closing_calls_all_off_and_admits_no_more() -> None:
    queue = a_queue(Hands())
    job = queue.admit(1)
    task = job.start(queue.run(job, "a"))
    await turn_over()
    queue.close()
    await turn_over()
    assert task.cancelled()
    assert isinstance(job.called_off, GoingDownError)
    assert str(job.called_off) == "The bot is being restarted. Please try again in a minute."
    with pytest.raises(GoingDownError, match="restarted"):
        queue.admit(2)
    with pytest.raises(GoingDownError, match="restarted"):
        queue.readmit(2, None, "0123456789ab")


async def test_who_cancelled_is_told_so_though_the_bot_goes_down() -> None:
    queue = a_queue(Hands())
    job = queue.admit(1)
    job.call_off(cancelled())
    queue.close()
    assert not isinstance(job.called_off, GoingDownError)
    assert isinstance(job.called_off, CalledOffError)


async def test_a_job_knows_since_when_it_runs() -> None:
    hands = Hands()
    queue = a_queue(hands)
    jobs = [queue.admit(1), queue.admit(1)]
    tasks = [job.start(queue.run(job, name)) for job, name in zip(jobs, "ab", strict=True)]
    before = time.monotonic()
    await turn_over()
    assert jobs[1].began_at is None
    assert jobs[0].began_at is not None
    assert before <= jobs[0].began_at <= time.monotonic()
    for name in "ab":
        hands.end(name)
    await asyncio.gather(*tasks)
