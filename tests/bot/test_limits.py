from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.jobs import Job
from bot.limits import QueueFullError, TooManyJobsError, check_person, check_room

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def refusal(kind: type[Exception], check: Callable[[], None]) -> str:
    """Return the words of a refusal, "" for none."""
    try:
        check()
    except kind as error:
        return str(error)
    return ""


def in_s(seconds: float | None) -> Any:
    return lambda _jobs: seconds


ONE = "You already have 1 merge in the works. Wait for one to end{}, or use /cancel."
THREE = "You already have 3 merges in the works. Wait for one to end{}, or use /cancel."


@pytest.mark.parametrize(
    ("count", "at_most", "seconds", "expected"),
    [
        (0, 1, None, ""),
        (1, 2, None, ""),
        (1, 1, None, ONE.format("")),
        (1, 1, 0.0, ONE.format(" (in a moment)")),
        (3, 2, 130.0, THREE.format(" (in about 2 min)")),
    ],
)
def test_how_many_one_person_may_have(
    count: int, at_most: int, seconds: float | None, expected: str
) -> None:
    theirs = [Job(1) for _ in range(count)]
    said = refusal(TooManyJobsError, lambda: check_person(theirs, at_most, in_s(seconds)))
    assert said == expected


FULL = "There are too many merges waiting already. Try again in a few minutes."
KEPT = (
    "This server has {} in the works already, and the last places are kept for other servers. "
    "Try again in a few minutes."
)


@pytest.mark.parametrize(
    ("servers", "limit", "expected"),
    [
        ((), 1, ""),
        ((8,), 1, FULL),
        ((7,), 2, ""),
        ((7, 7), 3, ""),  # too few places to keep any
        ((7, 7), 4, ""),
        ((7, 7, 7), 4, KEPT.format("3 merges")),
        ((7, 8, 8), 4, KEPT.format("1 merge")),
        ((8, 8, 8), 4, ""),  # the last place is for the newcomer
        ((8, 8, 8, 8), 4, FULL),
        ((7, 7, 7, 7), 4, FULL),
        ((7,) * 15, 20, KEPT.format("15 merges")),
    ],
)
def test_the_last_places_are_kept_for_newcomers(
    servers: tuple[int, ...], limit: int, expected: str
) -> None:
    jobs = [Job(owner, guild_id) for owner, guild_id in enumerate(servers)]
    said = refusal(QueueFullError, lambda: check_room(Job(99, 7), jobs, limit, in_s(None)))
    assert said == expected


def test_a_refusal_asks_about_the_jobs_that_are_in_the_way() -> None:
    jobs = [Job(1, 7), Job(2, 8), Job(3, 7)]
    asked: list[Sequence[Job]] = []

    def free_in_s(in_the_way: Sequence[Job]) -> float:
        asked.append(in_the_way)
        return 62.0

    with pytest.raises(QueueFullError, match=r"already\. Try again in about 1 min"):
        check_room(Job(4, 9), jobs, 3, free_in_s)
    with pytest.raises(QueueFullError, match=r"other servers\. Try again in about 1 min"):
        check_room(Job(4, 7), jobs, 4, free_in_s)
    assert asked == [jobs, [jobs[0], jobs[2]]]
