from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.estimates import REMEMBERED, Estimates, left_s, newcomers_ahead, wait_s
from bot.jobs import JobQueue, JobState
from bot.lengths import OVERDUE
from bot.store import Store
from bot.turns import Turns
from pipeline.types import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bot.jobs import Job


@pytest.mark.parametrize(
    ("elapsed_s", "fraction", "usual_s", "expected"),
    [
        (0.0, 0.0, None, None),
        (10.0, 0.1, None, None),  # too little to tell
        (2.0, 0.5, None, None),  # too short to tell
        (0.0, 0.0, 40.0, 40.0),
        (10.0, 0.1, 40.0, 30.0),
        (10.0, 0.25, 40.0, 30.0),
        (10.0, 0.25, 500.0, 30.0),  # its own pace counts, not what is usual
        (10.0, 0.5, None, 10.0),
        (40.0, 0.1, 40.0, OVERDUE),
        (90.0, 0.0, 40.0, OVERDUE),
        (10.0, 1.0, 40.0, 1.0),
        (10.0, 1.2, 40.0, 1.0),
    ],
)
def test_what_is_left_of_a_job(
    elapsed_s: float, fraction: float, usual_s: float | None, expected: float | None
) -> None:
    assert left_s(elapsed_s, fraction, usual_s) == expected


@given(
    st.floats(0, 1e5),
    st.floats(-1, 2),
    st.one_of(st.none(), st.floats(0, 1e5)),
)
def test_nothing_negative_is_ever_left(
    elapsed_s: float, fraction: float, usual_s: float | None
) -> None:
    left = left_s(elapsed_s, fraction, usual_s)
    assert left is None or left >= OVERDUE


@pytest.mark.parametrize(
    ("busy", "ahead", "workers", "expected"),
    [
        ((), (), 1, 0.0),
        ((30.0,), (), 1, 30.0),
        ((30.0,), (), 2, 0.0),
        ((30.0,), (60.0, 5.0), 1, 95.0),
        ((30.0, 10.0), (60.0, 5.0), 2, 35.0),  # 10, 10 + 60 | 30, 30 + 5
        ((OVERDUE,), (60.0,), 1, 60.0),
        ((None,), (60.0,), 1, None),
        ((30.0,), (60.0, None), 1, None),
    ],
)
def test_when_a_waiting_job_begins(
    busy: Sequence[float | None],
    ahead: Sequence[float | None],
    workers: int,
    expected: float | None,
) -> None:
    assert wait_s(busy, ahead, workers) == expected


@pytest.mark.parametrize(
    ("servers", "place", "expected"),
    [
        ("a", 0, 0),
        ("aaaa", 3, 0),  # nobody else is there
        ("ab", 1, 0),  # one turn of each other server is all that may come first
        ("abcdefgh", 3, 0),
        ("abcdefgh", 7, 0),
        ("abaaa", 2, 0),
        ("abaaa", 3, 0),  # a b a b [a]: one may come
        ("abaaa", 4, 1),  # a b a b a b [a]: two may come
        ("abcaaaaa", 7, 4),  # eight may come
        ("baaa", 3, 1),
    ],
)
def test_newcomers_get_ahead_of_whose_server_has_much(
    servers: str, place: int, expected: int
) -> None:
    assert newcomers_ahead(servers, place) == expected


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=20))
def test_never_fewer_newcomers_than_none(comers: list[tuple[int, int]]) -> None:
    turns: Turns[tuple[int, int, int]] = Turns()
    for number, (server, person) in enumerate(comers):
        turns.join((server, person, number), server, person)
    servers = [server for server, _, _ in turns.order]
    newcomers = [newcomers_ahead(servers, place) for place in range(len(servers))]
    assert min(newcomers) >= 0
    assert newcomers[: len(set(servers))] == [0] * len(set(servers))


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1e4), max_size=3),
    st.lists(st.floats(0, 1e4), max_size=12),
    st.integers(3, 5),
)
def test_a_wait_lies_between_even_shares_and_one_after_the_other(
    busy: list[float], ahead: list[float], workers: int
) -> None:
    wait = wait_s(busy, ahead, workers)
    assert wait is not None
    assert 0.0 <= wait <= (sum(busy) + sum(ahead)) / workers + 1e-6
    more = wait_s(busy, [*ahead, 1.0], workers)
    assert more is not None
    assert wait <= more


async def test_the_median_of_the_last_runs_counts() -> None:
    estimates = Estimates()
    assert estimates.usual_s("merge") is None
    for seconds in (10.0, 900.0, 20.0):
        await estimates.record("merge", seconds)
    await estimates.record("remix", 2.0)
    assert (estimates.usual_s("merge"), estimates.usual_s("remix")) == (20.0, 2.0)
    for _ in range(REMEMBERED):
        await estimates.record("merge", 5.0)
    assert estimates.usual_s("merge") == 5.0


async def test_runs_survive_a_restart_and_no_more_than_count(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "vocal.sqlite3")
    first = Estimates()
    await first.load(store)
    for seconds in range(REMEMBERED + 5):
        await first.record("merge", float(seconds))
    await first.record("remix", 3.0)
    second = Estimates()
    await second.load(store)
    assert second.usual_s("merge") == first.usual_s("merge") == 14.5  # of 5 to 24
    assert second.usual_s("remix") == 3.0
    for _ in range(REMEMBERED):  # the oldest are forgotten first, as they would have been before
        await second.record("merge", 100.0)
        await first.record("merge", 100.0)
        assert second.usual_s("merge") == first.usual_s("merge")
    [(rows,)] = await store.read("SELECT count(*) FROM runs WHERE kind = 'merge'")
    assert rows == REMEMBERED
    await store.close()


class Idle:
    """A runner that never ends and says how far it is."""

    def __init__(self) -> None:
        self.progress: Progress | None = None

    async def start(self) -> None:
        raise AssertionError("a queue does not start its runners")

    async def run(self, task: str, *, deadline_s: float) -> str:
        await asyncio.sleep(deadline_s)
        return task

    async def stop(self) -> None:
        raise AssertionError("a queue does not stop its runners")


async def a_busy_queue(runner: Idle, *kinds: str) -> tuple[JobQueue[str, str], list[Job]]:
    queue: JobQueue[str, str] = JobQueue([runner], limit=9, limit_per_user=9, deadline_s=60.0)
    jobs = [queue.admit(1, kind=kind) for kind in kinds]
    for job in jobs:
        job.start(queue.run(job, job.kind))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [job.state for job in jobs[:2]] == [JobState.RUNNING, JobState.WAITING]
    return queue, jobs


async def known(**usual_s: float) -> Estimates:
    estimates = Estimates()
    for kind, seconds in usual_s.items():
        await estimates.record(kind, seconds)
    return estimates


def ends(estimates: Estimates, queue: JobQueue[Any, Any], jobs: Sequence[Job]) -> list[Any]:
    return [estimates.ends_in_s(queue, job) for job in jobs]


async def test_when_each_job_of_a_queue_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Idle()
    queue, jobs = await a_busy_queue(runner, "merge", "remix", "merge")
    began_at = jobs[0].began_at
    assert began_at is not None
    monkeypatch.setattr(time, "monotonic", lambda: began_at + 10.0)
    estimates = await known(merge=40.0, remix=5.0)
    assert ends(estimates, queue, jobs) == pytest.approx([30.0, 35.0, 75.0])
    assert estimates.first_end_s(queue, jobs[1:]) == pytest.approx(35.0)
    runner.progress = Progress(stage=Stage.MIX, fraction=0.5)
    assert ends(estimates, queue, jobs) == pytest.approx([10.0, 15.0, 55.0])
    newcomer = queue.admit(2)
    assert estimates.ends_in_s(queue, newcomer) is None  # it still fetches its songs
    assert estimates.first_end_s(queue, [newcomer]) is None
    queue.close()


async def test_who_may_still_come_is_counted_in() -> None:
    queue, jobs = await a_busy_queue(Idle(), "merge", "merge", "merge", "merge")
    other = queue.admit(2, kind="merge")
    other.start(queue.run(other, "merge"))
    await asyncio.sleep(0)
    assert queue.waiting == (jobs[1], other, jobs[2], jobs[3])
    estimates = await known(merge=40.0)
    [_, first, second, third, others] = ends(estimates, queue, queue.jobs)
    assert (others - first, second - others) == pytest.approx((40.0, 40.0), abs=1.0)
    assert third - second == pytest.approx(40.0, abs=1.0)
    fourth = queue.admit(1)
    fourth.start(queue.run(fourth, "merge"))
    await asyncio.sleep(0)
    last = estimates.ends_in_s(queue, fourth)
    assert last is not None
    assert last - third == pytest.approx(80.0, abs=1.0)  # one more of the other's
    queue.close()


async def test_what_nobody_knows_is_not_said() -> None:
    queue, jobs = await a_busy_queue(Idle(), "merge", "remix", "merge")
    assert ends(await known(), queue, jobs) == [None, None, None]
    assert ends(await known(remix=5.0), queue, jobs) == [None, None, None]
    assert ends(await known(merge=5.0), queue, jobs)[1:] == [None, None]
    queue.close()
