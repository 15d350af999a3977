"""Many people of many servers press /merge at once.

Run as ``python -m benchmarks.crowd`` from the root of the repository; it takes four minutes, with
``--quick`` half a minute. The bot is a process of its own, as people run it, on a Discord on the
loopback; in place of merging, its one worker sleeps, for long enough that a queue builds up.

A third of all people are in one server, which wants more than its share. Said are how soon
everybody was acknowledged, from the moment at which the gateway sent the event to the arrival of
the callback; who was answered how often; how fair the turns were, beside what one queue for
everybody would have come to at the same speed; and what the bot held in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.crowd.figures import (
    first_come,
    jain,
    most_passed,
    overruns,
    percentile,
    shares,
    waits_s,
)
from benchmarks.crowd.rounds import BUSY_SERVER, Crowd, run

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from benchmarks.crowd.figures import Press
    from benchmarks.crowd.rounds import Outcome, Round

FULL = Crowd(people=200, servers=20, spread_s=60.0, work_s=0.5, rounds=2)
QUICK = Crowd(people=40, servers=8, spread_s=8.0, work_s=0.3, rounds=1)

ACKNOWLEDGED_S = 1.0
"""How soon 99 of 100 people must be acknowledged, in seconds."""

MOST_PASSED = 2
"""Turns that a server may get ahead of one that waits: one by the rule, one on its way already."""

GROWTH_MB = 5.0
"""What the bot may hold more after the last round than after the first."""


def main() -> int:
    """Print the table; return 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40 people of 8 servers in 8 s")
    parser.add_argument("--rounds", type=int, help="how often, each time with other people")
    options = parser.parse_args()
    crowd = QUICK if options.quick else FULL
    crowd = replace(crowd, rounds=options.rounds or crowd.rounds)
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(run(crowd, Path(folder)))
    console = Console()
    console.print(
        f"{crowd.people} people of {crowd.servers} servers press /merge within "
        f"{crowd.spread_s:.0f} s; one worker sleeps {crowd.work_s:g} s for each; "
        f"QUEUE_LIMIT={crowd.queue_limit}. In brackets: what one queue for everybody would have "
        "come to."
    )
    if all(one.presses for one in outcome.rounds):
        console.print(_table(outcome))
    failures = _failures(outcome)
    for failure in failures:
        console.print(failure)
    return 1 if failures else 0


def _table(outcome: Outcome) -> Table:
    table = Table("", *(f"round {number + 1}" for number in range(len(outcome.rounds))))
    columns = [_figures(one) for one in outcome.rounds]
    for label in columns[0]:
        table.add_row(label, *(column[label] for column in columns))
    return table


def _figures(one: Round) -> dict[str, str]:
    acknowledged_ms = [1000 * press.acknowledged_s for press in one.presses]
    queued = first_come(one.presses)
    per_second = Counter(int(at) for at in one.edits)
    return {
        "acknowledged after, ms: median / p99 / longest": " / ".join(
            f"{percentile(acknowledged_ms, share):.0f}" for share in (0.5, 0.99, 1.0)
        ),
        "answered": str(len(one.presses)),
        "lost / more than once / with others' songs": (
            f"{len(one.lost)} / {one.twice} / {one.wrong}"
        ),
        "evenness of servers' shares (Jain's index)": _beside(_evenness, one.presses, queued),
        "most turns that a server got ahead of another": _beside(most_passed, one.presses, queued),
        "wait in the busy server, s: median / longest": _beside(_busy_waits, one.presses, queued),
        "wait in the other servers, s: median / longest": _beside(_waits, one.presses, queued),
        "wait as a multiple of the first estimate: median / p90": _overruns(one.presses),
        "edits of replies a second: mean / most": (
            f"{len(one.edits) / max(1, len(per_second)):.0f} / {max(per_second.values())}"
        ),
        "the bot's memory at first and after each quarter, MB": " ".join(
            f"{mb:.0f}" for mb in one.memory_mb
        ),
        "files of jobs left": str(one.files_left),
    }


def _beside(
    figure: Callable[[Sequence[Press]], object], presses: Sequence[Press], queued: Sequence[Press]
) -> str:
    return f"{figure(presses)}   [{figure(queued)}]"


def _evenness(presses: Sequence[Press]) -> str:
    return f"{jain(shares(presses).values()):.2f}"


def _busy_waits(presses: Sequence[Press]) -> str:
    return _waits(presses, {BUSY_SERVER})


def _waits(presses: Sequence[Press], servers: Collection[int] | None = None) -> str:
    others = {press.server for press in presses} - {BUSY_SERVER}
    return " / ".join(f"{wait:.0f}" for wait in waits_s(presses, servers or others))


def _overruns(presses: Sequence[Press]) -> str:
    found = overruns(presses)
    return " / ".join(f"{percentile(found, share):.1f}" for share in (0.5, 0.9)) if found else ""


def _failures(outcome: Outcome) -> list[str]:
    """Say what is not as it must be."""
    found = []
    for number, one in enumerate(outcome.rounds, start=1):
        late = percentile([press.acknowledged_s for press in one.presses] or [60.0], 0.99)
        checks = {
            f"{len(one.lost)} were not answered, e.g. {one.lost[:1]}": not one.lost,
            f"{one.twice} were answered twice": not one.twice,
            f"{one.wrong} got other people's songs": not one.wrong,
            f"{late:.2f} s passed before 99 % were acknowledged": late < ACKNOWLEDGED_S,
            "a server was passed too often": most_passed(one.presses) <= MOST_PASSED,
            f"{one.files_left} files of jobs were left": not one.files_left,
        }
        found += [f"Round {number}: {failure}." for failure, holds in checks.items() if not holds]
    grown_mb = outcome.rounds[-1].memory_mb[-1] - outcome.rounds[0].memory_mb[-1]
    if grown_mb > GROWTH_MB:
        found.append(f"The bot holds {grown_mb:.1f} MB more after the last round than the first.")
    if outcome.exit_code:
        found.append(f"The bot ended with {outcome.exit_code}.")
    found += [f"It asked for {path}." for path in outcome.elsewhere]
    return [*found, *(f"It complained: {line}" for line in outcome.complaints)]


if __name__ == "__main__":
    sys.exit(main())
