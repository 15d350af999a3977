"""What it costs two songs to meet, on values whose answer is known."""

from __future__ import annotations

import pytest

from pipeline.meeting import (
    choose_shift,
    fifths_apart,
    gentlest,
    pace_octaves,
    retuning,
    shift_costs,
)
from pipeline.types import Key

C, UNSURE = Key(tonic=0, mode="major"), Key(tonic=1, mode="major", confidence=0.01)


@pytest.mark.parametrize(
    ("voice", "backing", "wish", "paces", "chosen"),
    [
        (120.0, 120.0, "auto", {"half": 1.0, "same": 0.0, "double": 1.0}, "same"),
        (60.0, 120.0, "auto", {"half": 0.0, "same": 1.0, "double": 2.0}, "half"),
        (160.0, 80.0, "auto", {"half": 2.0, "same": 1.0, "double": 0.0}, "double"),
        (160.0, 80.0, "same", {"same": 1.0}, "same"),
        (100.0, 141.4214, "auto", {"half": 0.5, "same": 0.5, "double": 1.5}, "same"),
    ],
)
def test_paces(
    voice: float, backing: float, wish: str, paces: dict[str, float], chosen: str
) -> None:
    found = pace_octaves(voice, backing, wish)
    assert found == pytest.approx(paces, abs=1e-6)
    assert gentlest(found) == chosen


@pytest.mark.parametrize(
    ("semitones", "fifths"),
    [(0, 0), (1, 5), (2, 2), (3, 3), (4, 4), (5, 1), (6, 6), (7, 1), (-1, 5), (-5, 1), (12, 0)],
)
def test_fifths_apart(semitones: int, fifths: int) -> None:
    assert fifths_apart(semitones) == fifths


@pytest.mark.parametrize("voice", range(12))
@pytest.mark.parametrize("backing", range(12))
def test_a_matched_voice_is_at_most_one_fifth_off(voice: int, backing: int) -> None:
    first, second = Key(tonic=voice, mode="minor"), Key(tonic=backing, mode="major")
    shift = choose_shift(first, second, "match")
    assert -3 <= shift <= 3
    assert fifths_apart(first.semitones_to(second) - shift) <= 1


@pytest.mark.parametrize(
    ("voice", "backing", "wish", "shifts"),
    [
        (C, C, "match", {-3, -2, -1, 0, 1, 2, 3}),
        (C, UNSURE, "match", {0}),
        (None, C, "match", {0}),
        (C, Key(tonic=2, mode="major"), "keep", {0}),
        (C, Key(tonic=2, mode="major"), "-5", {-5}),
    ],
)
def test_shifts_that_may_be_tried(
    voice: Key | None, backing: Key | None, wish: str, shifts: set[int]
) -> None:
    costs = shift_costs(voice, backing, wish)
    assert set(costs) == shifts
    assert min(costs.values()) >= 0.0


@pytest.mark.parametrize(
    ("apart", "costs"),
    [(0, {0: 0.0, 1: 0.28, -2: 0.16}), (2, {2: 0.06, 0: 0.1, 3: 0.34}), (7, {0: 0.05, 2: 0.11})],
)
def test_a_shift_costs_its_semitones_and_the_fifths_that_are_left(
    apart: int, costs: dict[int, float]
) -> None:
    found = shift_costs(C, Key(tonic=apart, mode="major"), "match")
    assert {shift: found[shift] for shift in costs} == pytest.approx(costs)


@pytest.mark.parametrize(
    ("voice", "backing", "wish", "semitones"),
    [
        (0.0, 0.0, "match", 0.0),
        (0.0, 0.14, "match", 0.0),
        (0.0, 0.2, "match", 0.2),
        (0.45, -0.45, "match", 0.0),
        (0.4, -0.4, "match", 0.2),
        (0.0, 0.3, "keep", 0.0),
        (0.0, 0.3, "2", 0.0),
    ],
)
def test_retuning_goes_the_short_way(
    voice: float, backing: float, wish: str, semitones: float
) -> None:
    assert retuning(voice, backing, wish) == pytest.approx(semitones)
