"""How well the two layers of a mash-up coincide, measured from the true beats of composed songs.

The tracked grids make the plan; the true grids, which no stage has seen, are then sent through its
warp maps. ``pytest -s`` prints the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from composer import compose
from pipeline.plan import apply_warp, make_plan
from pipeline.recipe import Recipe
from tests.songs import facts

if TYPE_CHECKING:
    from pipeline.types import LayerPlan, Plan

Array: TypeAlias = npt.NDArray[np.float64]

PAIRS = 10
SLOWEST_BPM, FASTEST_BPM = 70.0, 180.0
LENGTH_S = 24.0
VOICE_DRIFTS = (0.0, 0.02, 0.03)
BACKING_DRIFTS = (0.0, 0.0, 0.02, 0.03)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """One mash-up: its plan and the true beats of both songs in the output, in seconds."""

    name: str
    plan: Plan
    voice: Array
    backing: Array
    voice_downbeats: Array
    backing_downbeats: Array

    @property
    def offsets_s(self) -> Array:
        """How far each beat of the sparser layer is from the nearest of the denser one."""
        return self._away_s(self.voice, self.backing)

    def _away_s(self, first: Array, second: Array) -> Array:
        sparse, dense = sorted((first, second), key=lambda times: -pace_s(times))
        heard_by_both = (sparse > dense[0] - 0.2) & (sparse < dense[-1] + 0.2)
        heard = sparse[heard_by_both & (sparse < self.plan.length_s)]
        return np.asarray(np.abs(heard[:, None] - dense[None]).min(axis=1))

    @property
    def beats_per_beat(self) -> float:
        """Beats of the voice heard during one of the backing."""
        return pace_s(self.backing) / pace_s(self.voice)

    @property
    def shared_bars(self) -> float:
        """Share of the longer bars that start within 50 ms of one of the other layer's."""
        grids = (self.voice_downbeats, self.backing_downbeats)
        return float(np.mean(self._away_s(*grids) < 0.05))

    def __str__(self) -> str:
        away = self.offsets_s * 1e3
        return (
            f"{self.name:34} {np.median(away):6.1f} {np.percentile(away, 95):6.1f}"
            f" {self.beats_per_beat:5.2f} {self.shared_bars:6.0%}"
            f" {self.plan.vocals.stretch:6.2f} {self.plan.backing.stretch:6.2f}"
        )


def pace_s(beats: Array) -> float:
    return float(np.median(np.diff(beats)))


def output_s(layer: LayerPlan, times_s: tuple[float, ...]) -> Array:
    return apply_warp(layer.warp, np.asarray(times_s))


def merge_pair(number: int, voice_bpm: float, backing_bpm: float) -> Pair:
    voice_drift = VOICE_DRIFTS[number % len(VOICE_DRIFTS)]
    backing_drift = BACKING_DRIFTS[number % len(BACKING_DRIFTS)]
    voice = compose(number, bpm=voice_bpm, duration_s=LENGTH_S, drift=voice_drift, intro_bars=2)
    backing = compose(
        100 + number, bpm=backing_bpm, duration_s=LENGTH_S, drift=backing_drift, intro_bars=2
    )
    plan = make_plan(
        facts(voice),
        facts(backing),
        Recipe(),
        sung=voice.voice_spans_s,
        backing_sung=backing.voice_spans_s,
    )
    return Pair(
        name=f"{voice_bpm:3.0f} ±{voice_drift:.0%} over {backing_bpm:3.0f} ±{backing_drift:.0%}",
        plan=plan,
        voice=output_s(plan.vocals, voice.grid.beats_s),
        backing=output_s(plan.backing, backing.grid.beats_s),
        voice_downbeats=output_s(plan.vocals, voice.grid.downbeats_s),
        backing_downbeats=output_s(plan.backing, backing.grid.downbeats_s),
    )


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    tempi = np.random.default_rng(0).uniform(SLOWEST_BPM, FASTEST_BPM, (PAIRS, 2))
    made = [merge_pair(n, float(first), float(second)) for n, (first, second) in enumerate(tempi)]
    heading = f"{'pair, BPM and drift':34} {'median':>6} {'p95 ms':>6} {'pace':>5} {'bars':>6}"
    print(f"\n{heading} {'voice':>6} {'beat':>6}", *made, sep="\n")
    return made


def test_beats_of_the_layers_coincide(pairs: list[Pair]) -> None:
    away = np.concatenate([pair.offsets_s for pair in pairs])
    print(f"{'all':34} {np.median(away) * 1e3:6.1f} {np.percentile(away, 95) * 1e3:6.1f}")
    assert len(away) > 20 * PAIRS
    assert np.median(away) <= 0.020
    assert np.percentile(away, 95) <= 0.050


def test_bars_of_the_layers_coincide(pairs: list[Pair]) -> None:
    assert [pair.name for pair in pairs if pair.shared_bars < 0.9] == []
