"""Things done side by side: results in order, progress together, failures as one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import Cancelled, UserError
from pipeline.stages import Conductor, side_by_side
from pipeline.types import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.types import OnFraction

WAIT_S = 10.0  # only a broken test waits as long


def ignore(_fraction: float) -> None:
    """Let progress pass unheard."""


def test_results_come_in_order_from_threads_of_their_own() -> None:
    meeting = threading.Barrier(2)

    def act(number: int) -> Callable[[OnFraction], tuple[int, int]]:
        def run(_: OnFraction) -> tuple[int, int]:
            meeting.wait(WAIT_S)  # passes only if both are there at the same time
            return number, threading.get_ident()

        return run

    (first, one), (second, other) = side_by_side(ignore, act(1), act(2))
    assert (first, second) == (1, 2)
    assert one != other


def test_progress_is_the_mean() -> None:
    told: list[float] = []
    step = threading.Event()

    def quick(tell: OnFraction) -> None:
        tell(0.5)
        tell(1.0)
        step.set()

    def slow(tell: OnFraction) -> None:
        step.wait(WAIT_S)
        tell(0.5)
        tell(1.0)

    side_by_side(told.append, quick, slow)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_a_failure_calls_the_other_off_and_comes_out() -> None:
    def fail(_: OnFraction) -> None:
        raise UserError("No.", hint="Yes.")

    def go_on(tell: OnFraction) -> None:
        while True:
            tell(0.0)

    for acts in ((fail, go_on), (go_on, fail)):
        with pytest.raises(UserError, match="No"):
            side_by_side(ignore, *acts)


def test_of_two_failures_the_first_song_comes_first() -> None:
    late = threading.Event()

    def first(_: OnFraction) -> None:
        late.wait(WAIT_S)
        raise UserError("First.", hint="")

    def second(_: OnFraction) -> None:
        late.set()
        raise UserError("Second.", hint="")

    with pytest.raises(UserError, match="First"):
        side_by_side(ignore, first, second)


def test_calling_off_stops_both() -> None:
    def refuse(_fraction: float) -> None:
        raise Cancelled

    def go_on(tell: OnFraction) -> None:
        while True:
            tell(0.0)

    with pytest.raises(Cancelled):
        side_by_side(refuse, go_on, go_on)


def test_progress_told_from_two_threads_never_falls() -> None:
    told: list[Progress] = []
    conductor = Conductor(told.append, {Stage.DECODE: 1.0})

    def count(tell: OnFraction) -> None:
        for step in range(500):
            tell(step / 500)

    with conductor.stage(Stage.DECODE) as on_fraction:
        side_by_side(on_fraction, count, count)
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
