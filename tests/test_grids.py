from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.grids import (
    apply_warp,
    downbeat_indices,
    interpolate,
    position_at,
    simplify,
    time_at,
    warp_grid,
)
from pipeline.types import BeatGrid, LayerPlan, WarpMap
from tests.songs import steady_grid

if TYPE_CHECKING:
    from collections.abc import Sequence

WANDERING = BeatGrid(
    beats_s=(0.5, 1.0, 1.6, 2.1, 2.5, 3.1), downbeats_s=(0.5, 2.1), bpm=120.0, beats_per_bar=3
)


def heard(warp: WarpMap, *times_s: float) -> list[float]:
    return [float(time) for time in apply_warp(warp, np.asarray(times_s))]


@settings(deadline=None, max_examples=100)
@given(
    steps=st.lists(st.tuples(st.floats(0.05, 2.0), st.floats(0.05, 2.0)), min_size=1, max_size=80),
    tolerance_s=st.floats(0.0, 0.1),
)
def test_simplifying_stays_within_its_tolerance(
    steps: list[tuple[float, float]], tolerance_s: float
) -> None:
    source, target = np.cumsum(np.asarray([(0.0, 0.0), *steps]), axis=0).T
    made = simplify(source, target, tolerance_s)
    assert np.abs(apply_warp(made, source) - target).max() <= tolerance_s + 1e-9
    assert set(made.source_s) <= set(source.tolist())
    assert (made.source_s[0], made.source_s[-1]) == (source[0], source[-1])


def test_a_warp_goes_on_beyond_its_ends() -> None:
    warp = WarpMap(source_s=(1.0, 2.0, 4.0), target_s=(1.0, 3.0, 4.0))
    assert heard(warp, -1.0, 1.5, 3.0, 6.0) == [-3.0, 2.0, 3.5, 5.0]


def test_a_warp_keeps_the_shape_of_its_times() -> None:
    warp = WarpMap(source_s=(0.0, 1.0), target_s=(2.0, 4.0))
    times = np.asarray([[0.0, 0.5], [1.0, 2.0]])
    assert apply_warp(warp, times).tolist() == [[2.0, 3.0], [4.0, 6.0]]


def test_a_straight_line_needs_its_ends_only() -> None:
    source = np.linspace(0.0, 50.0, 101)
    made = simplify(source, 1.25 * source + 3.0, 1e-6)
    assert made == WarpMap(source_s=(0.0, 50.0), target_s=(3.0, 65.5))


def test_a_corner_is_kept() -> None:
    source = np.arange(9.0)
    target = np.where(source < 4, source, 4 + 2 * (source - 4))
    made = simplify(source, target, 0.01)
    assert made == WarpMap(source_s=(0.0, 4.0, 8.0), target_s=(0.0, 4.0, 12.0))


def test_a_warped_grid() -> None:
    layer = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(-1.0, -0.5)), stretch=2.0)
    made = warp_grid(steady_grid(120, 10.0), layer, 2.0)
    assert made.beats_s == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75])
    assert made.downbeats_s == pytest.approx([0.0, 1.0])
    assert (made.bpm, made.beats_per_bar) == (240.0, 4)


def test_an_empty_grid_stays_empty() -> None:
    as_it_is = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0)))
    assert warp_grid(BeatGrid(), as_it_is, 10.0) == BeatGrid()


@pytest.mark.parametrize("pickup", [0, 1, 3])
def test_downbeats_are_counted_in_beats(pickup: int) -> None:
    grid = steady_grid(97, 10.0, first_s=0.3, pickup=pickup)
    assert downbeat_indices(grid).tolist() == list(range(pickup, len(grid.beats_s), 4))
    assert downbeat_indices(WANDERING).tolist() == [0, 3]


@pytest.mark.parametrize(
    ("positions", "times_s"),
    [
        ((0, 1, 5), (0.5, 1.0, 3.1)),
        ((0.5, 2.25, 4.5), (0.75, 1.725, 2.8)),
        ((-1.0, 6.0), (0.5 - 0.52, 3.1 + 0.52)),  # 2.6 s over five beats, on both sides
    ],
)
def test_positions_and_times(positions: Sequence[float], times_s: Sequence[float]) -> None:
    assert time_at(WANDERING, np.asarray(positions)) == pytest.approx(np.asarray(times_s))
    assert position_at(WANDERING, np.asarray(times_s)) == pytest.approx(np.asarray(positions))


def test_one_odd_beat_does_not_set_the_pace_beyond_the_end() -> None:
    x = np.arange(20.0)
    y = np.where(x == 19, 19.5, x)
    beyond = interpolate(np.asarray([29.0]), x, y)
    assert beyond[0] == pytest.approx(19.5 + 10 * 8.5 / 8)
    assert interpolate(np.asarray([29.0]), x, y, edge=1)[0] == pytest.approx(19.5 + 10 * 1.5)


def test_two_points_are_enough() -> None:
    assert interpolate(np.asarray([-1.0, 0.5, 3.0]), (0, 1), (5, 7)).tolist() == [3.0, 6.0, 11.0]
