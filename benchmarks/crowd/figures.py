"""What is worked out from who pressed when and who was answered when. Pure."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One /merge that was acknowledged and answered; times in seconds on one clock.

    Attributes
    ----------
    server
        Where it was pressed.
    sent_at
        When the gateway sent it to the bot.
    acknowledged_at
        When the bot's first answer to it arrived.
    answered_at
        When the mash-up arrived.
    estimated_at, estimate
        When the reply first said how long it would take, and its words; None and "" if never.
    """

    server: int
    sent_at: float
    acknowledged_at: float
    answered_at: float
    estimated_at: float | None = None
    estimate: str = ""

    @property
    def acknowledged_s(self) -> float:
        """How long somebody saw nothing, in seconds."""
        return self.acknowledged_at - self.sent_at

    @property
    def waited_s(self) -> float:
        """How long somebody waited for the mash-up, in seconds."""
        return self.answered_at - self.sent_at


_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds_in(words: str) -> float | None:
    """Return how many seconds a reply speaks of ("ready in about 3 min"), or None."""
    found = re.search(r"in about ([0-9.]+) (s|min|h)\b", words)
    return float(found[1]) * _UNITS_S[found[2]] if found else None


def overruns(presses: Sequence[Press]) -> list[float]:
    """Return how long it took from each first estimate, as multiples of the estimate."""
    return [
        (press.answered_at - press.estimated_at) / said
        for press in presses
        if press.estimated_at is not None and (said := seconds_in(press.estimate))
    ]


def percentile(values: Collection[float], share: float) -> float:
    """Return the smallest value that at least a share of all do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def jain(parts: Collection[float]) -> float:
    """Return how even parts are: 1 when all are the same, 1/n when one of n has everything.

    Jain, Chiu and Hawe, "A quantitative measure of fairness and discrimination for resource
    allocation in shared computer systems", DEC-TR-301, 1984.
    """
    return sum(parts) ** 2 / (len(parts) * sum(part * part for part in parts))


def shares(presses: Sequence[Press]) -> dict[int, float]:
    """Return how much of its due each server had: 1 is exactly its fair share.

    Whenever somebody is answered, each server that waits at that moment is due an equal part of
    that answer.
    """
    due = dict.fromkeys((press.server for press in presses), 0.0)
    had = dict.fromkeys(due, 0)
    for answered in presses:
        now = answered.answered_at
        waiting = {p.server for p in presses if p.acknowledged_at < now <= p.answered_at}
        for server in waiting:
            due[server] += 1 / len(waiting)
        had[answered.server] += 1
    return {server: had[server] / due[server] for server in due}


def most_passed(presses: Sequence[Press]) -> int:
    """Return by how many turns a server got ahead of another that waited, at the most.

    While somebody waits for one answer, fair turns give each other server one answer more than
    their own server has meanwhile, and one may be on its way when they press.
    """
    worst = 0
    for waiting in presses:
        had: dict[int, int] = {}
        for other in presses:
            if waiting.acknowledged_at < other.answered_at < waiting.answered_at:
                had[other.server] = had.get(other.server, 0) + 1
        own = had.pop(waiting.server, 0)
        worst = max([worst, *(turns - own for turns in had.values())])
    return worst


def first_come(presses: Sequence[Press]) -> list[Press]:
    """Return what one queue for everybody would have come to, at the same speed.

    Parameters
    ----------
    presses
        What came about; answers are given one after the other, at the times at which they were
        given here, to whoever pressed first.
    """
    times = sorted(press.answered_at for press in presses)
    in_order = sorted(presses, key=lambda press: press.sent_at)
    return [
        replace(press, answered_at=answered_at)
        for press, answered_at in zip(in_order, times, strict=True)
    ]


def waits_s(presses: Sequence[Press], servers: Collection[int]) -> tuple[float, float]:
    """Return the median and the longest wait for a mash-up in some servers, in seconds."""
    waits = [press.waited_s for press in presses if press.server in servers]
    return statistics.median(waits), max(waits)
