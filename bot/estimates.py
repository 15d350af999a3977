"""How long it will take, by how long it took: honest estimates, and none where nothing is known."""

from __future__ import annotations

import heapq
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any

from bot.jobs import JobState
from bot.lengths import OVERDUE

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from bot.jobs import Job, JobQueue
    from bot.store import Store

REMEMBERED = 20
"""Runs of a kind that count; older ones are forgotten, so that a faster machine shows soon."""

_ENOUGH_DONE = 0.15
_ENOUGH_S = 3.0
_SOON_S = 1.0


class Estimates:
    """What past runs tell of the next; knows nothing until it is loaded or told."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[float]] = {}
        self._usual_s: dict[str, float] = {}
        self._store: Store | None = None

    async def load(self, store: Store) -> None:
        """Remember the runs before the bot's start, and note the next ones down."""
        self._store = store
        rows = await store.read(
            "SELECT kind, seconds FROM runs ORDER BY rowid"  # `record` keeps them few
        )
        for kind, seconds in rows:
            self._remember(kind, seconds)

    async def record(self, kind: str, seconds: float) -> None:
        """Note how long a job of a kind has run, in seconds; only jobs that came to their end."""
        self._remember(kind, seconds)
        if self._store is None:
            return
        async with self._store.transaction() as change:
            await change.write(
                "INSERT INTO runs (kind, seconds, ended_at) VALUES (?, ?, ?)",
                (kind, seconds, time.time()),
            )
            await change.write(
                "DELETE FROM runs WHERE kind = ? AND rowid NOT IN "
                "(SELECT rowid FROM runs WHERE kind = ? ORDER BY rowid DESC LIMIT ?)",
                (kind, kind, REMEMBERED),
            )

    def _remember(self, kind: str, seconds: float) -> None:
        runs = self._runs.setdefault(kind, deque(maxlen=REMEMBERED))
        runs.append(seconds)
        self._usual_s[kind] = median(runs)

    def usual_s(self, kind: str) -> float | None:
        """Return the median of the last runs of a kind in seconds, or None when there are none."""
        return self._usual_s.get(kind)

    def ends_in_s(self, queue: JobQueue[Any, Any], job: Job) -> float | None:
        """Return in how many seconds a job will have ended.

        Returns
        -------
        float or None
            `OVERDUE` when it should have ended by now; None when nobody can say.
        """
        if job.state is JobState.RUNNING:
            return self._left_s(job)
        if job.state is not JobState.WAITING:
            return None  # nobody knows how long a download takes
        waiting = queue.waiting
        if job not in waiting:
            return None  # its turn has come this very moment
        usual_s = self.usual_s(job.kind)
        if usual_s is None:
            return None
        place = waiting.index(job)
        ahead = [self.usual_s(other.kind) for other in waiting[:place]]
        ahead += [usual_s] * newcomers_ahead([other.server for other in waiting], place)
        busy = [self._left_s(other) for other in queue.jobs if other.state is JobState.RUNNING]
        begins_in_s = wait_s(busy, ahead, queue.workers)
        return None if begins_in_s is None else begins_in_s + usual_s

    def first_end_s(self, queue: JobQueue[Any, Any], jobs: Iterable[Job]) -> float | None:
        """Return in how many seconds the first of some jobs will have ended, or None."""
        ends = [self.ends_in_s(queue, job) for job in jobs]
        return min((end for end in ends if end is not None), default=None)

    def _left_s(self, job: Job) -> float | None:
        if job.began_at is None:
            return self.usual_s(job.kind)
        fraction = job.progress.fraction if job.progress is not None else 0.0
        return left_s(time.monotonic() - job.began_at, fraction, self.usual_s(job.kind))


def left_s(elapsed_s: float, fraction: float, usual_s: float | None) -> float | None:
    """Return how much longer a job will run.

    Parameters
    ----------
    elapsed_s
        How long it has run, in seconds.
    fraction
        Share of the work that is done, in [0, 1].
    usual_s
        How long such jobs run, in seconds; None when nobody knows.

    Returns
    -------
    float or None
        Seconds: from the job's own pace once there is enough of it to tell, else from what is
        usual; `OVERDUE` when that has passed, None when nothing is known.
    """
    if fraction >= _ENOUGH_DONE and elapsed_s >= _ENOUGH_S:
        return max(_SOON_S, elapsed_s / min(1.0, fraction) - elapsed_s)
    if usual_s is None:
        return None
    return max(OVERDUE, usual_s - elapsed_s)


def newcomers_ahead(servers: Sequence[Hashable], place: int) -> int:
    """Return how many jobs are to be expected that come later and have their turn before one.

    Who has jobs of their own server ahead is passed by newcomers of other servers, by one of each
    for every one of those at the most. If all servers that wait now used all their turns, that
    many would come; if nobody asked for anything more, none. Half of them is the middle.

    Parameters
    ----------
    servers
        The servers of all jobs that wait, in the order of their turns.
    place
        The job's index among them.
    """
    own = servers[place]
    # The order begins with one job of each server: that is the rotation.
    most_ahead = servers[:place].count(own) * len(set(servers)) + servers.index(own)
    return (most_ahead - place) // 2


def wait_s(
    busy: Sequence[float | None], ahead: Sequence[float | None], workers: int
) -> float | None:
    """Return when a job that waits will begin.

    Parameters
    ----------
    busy
        How much longer each job that runs will run, in seconds; None for unknown.
    ahead
        How long each job will run that has its turn before, in their order.
    workers
        How many jobs run at the same time.

    Returns
    -------
    float or None
        Seconds from now, or None when one of the times that it depends on is unknown.
    """
    known = [left for left in (*busy, *ahead) if left is not None]
    if len(known) < len(busy) + len(ahead):
        return None
    # When each worker is free: the next in line takes the first that is.
    free = [*known[: len(busy)], *([0.0] * (workers - len(busy)))]
    heapq.heapify(free)
    for length_s in known[len(busy) :]:
        heapq.heapreplace(free, free[0] + length_s)
    return free[0]
