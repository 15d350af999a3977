"""How many merges may be in the works: who is refused, and when to try again."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from bot.lengths import soon
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.jobs import Job

FreeIn: TypeAlias = "Callable[[Sequence[Job]], float | None]"
"""Says in how many seconds the first of some jobs will have ended; None when nobody knows."""


class QueueFullError(UserError):
    """No more jobs are taken just now."""


class TooManyJobsError(UserError):
    """One person already has as many jobs as one person may have."""


def check_person(theirs: Sequence[Job], at_most: int, free_in_s: FreeIn) -> None:
    """Refuse one more job of a person who has enough of them.

    Parameters
    ----------
    theirs
        The person's jobs.
    at_most
        How many one person may have.
    free_in_s
        Asked for the words of a refusal.

    Raises
    ------
    TooManyJobsError
        Says how many there are, and when one of them ends.
    """
    if len(theirs) < at_most:
        return
    when = soon(free_in_s(theirs))
    raise TooManyJobsError(
        f"You already have {_count(theirs)} in the works.",
        hint=f"Wait for one to end{f' ({when})' if when else ''}, or use /cancel.",
    )


def check_room(job: Job, jobs: Sequence[Job], limit: int, free_in_s: FreeIn) -> None:
    """Refuse a job for which there is no room.

    The last quarter of all places is kept for servers that have no job yet: one that is busy
    cannot shut the others out.

    Parameters
    ----------
    job
        The new one.
    jobs
        All jobs that were admitted.
    limit
        How many there may be.
    free_in_s
        Asked for the words of a refusal.

    Raises
    ------
    QueueFullError
        Says when to try again.
    """
    neighbours = [other for other in jobs if other.server == job.server]
    in_the_way = jobs
    if len(jobs) >= limit:
        reason = "There are too many merges waiting already."
    elif neighbours and len(jobs) >= limit - limit // 4:
        in_the_way = neighbours
        reason = (
            f"This server has {_count(neighbours)} in the works already, and the last places are "
            "kept for other servers."
        )
    else:
        return
    when = soon(free_in_s(in_the_way)) or "in a few minutes"
    raise QueueFullError(reason, hint=f"Try again {when}.")


def _count(jobs: Sequence[Job]) -> str:
    return f"{len(jobs)} merge{'' if len(jobs) == 1 else 's'}"
