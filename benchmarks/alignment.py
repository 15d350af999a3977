"""How well the two layers of a mash-up coincide, measured from the true beats of composed songs.

Run as ``python -m benchmarks.alignment`` from the root of the repository. The tracked grids make
the plan; the true grids, which no stage has seen, are then sent through its warp maps.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from composer import Composition, compose
from pipeline.beats import METHODS, track_beats
from pipeline.grids import apply_warp
from pipeline.plan import make_plan
from pipeline.recipe import Recipe
from pipeline.types import SAMPLE_RATE, SongFacts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.types import LayerPlan, Plan

Array: TypeAlias = npt.NDArray[np.float64]

SLOWEST_BPM, FASTEST_BPM = 60.0, 190.0
DRIFTS = (0.0, 0.03, 0.0, 0.02, 0.03)
SWINGS = (0.0, 0.0, 0.33, 0.2)
PICKUPS = (0, 1, 0, 0, 2, 0, 0)
SAME_BAR_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """One mash-up: its plan and the true beats of both songs in the output, in seconds."""

    name: str
    plan: Plan
    voice: Array
    backing: Array
    voice_downbeats: Array
    backing_downbeats: Array
    both_in_four: bool

    @property
    def offsets_s(self) -> Array:
        """How far each beat of the voice is after the nearest of the backing.

        The layer with fewer beats is asked: the other's may fall between its own.
        """
        return self._meet(self.voice, self.backing)[1]

    @property
    def drift_ms_per_minute(self) -> float:
        """Slope of the signed offset over the time of the output."""
        times, after = self._meet(self.voice, self.backing)
        return float(np.polyfit(times, after, 1)[0]) * 60e3

    @property
    def shared_bars(self) -> npt.NDArray[np.bool_]:
        """Whether each of the longer bars starts with one of the other layer's."""
        _, after = self._meet(self.voice_downbeats, self.backing_downbeats)
        return np.asarray(np.abs(after) < SAME_BAR_S)

    def _meet(self, voice: Array, backing: Array) -> tuple[Array, Array]:
        """Return times of the sparser grid and how far the voice is after the backing there."""
        voice_is_sparse = pace_s(voice) > pace_s(backing)
        sparse, dense = (voice, backing) if voice_is_sparse else (backing, voice)
        heard = sparse[(sparse > dense[0] - 0.2) & (sparse < dense[-1] + 0.2)]
        heard = heard[(heard > 0) & (heard < self.plan.length_s)]
        nearest = dense[np.abs(heard[:, None] - dense[None]).argmin(axis=1)]
        after = heard - nearest
        return heard, after if voice_is_sparse else -after


def pace_s(beats: Array) -> float:
    """Return the median time between beats."""
    return float(np.median(np.diff(beats)))


@cache
def song(number: int, count: int, duration_s: float) -> Composition:
    """Compose song `number` of `count`, whose tempi are spread evenly over the range."""
    return compose(
        4000 + number,
        duration_s=duration_s,
        intro_bars=2,
        **traits(number, count),
    )


def traits(number: int, count: int) -> dict[str, Any]:
    """Return what song `number` of `count` is asked to be like."""
    # A step without common factor, so that neighbours differ in tempo.
    step = next(k for k in range(int(count * 0.618), count) if np.gcd(k, count) == 1)
    place = (number * step % count) / max(1, count - 1)
    beats_per_bar = 3 if number % 6 == 5 else 4
    return {
        "bpm": round(SLOWEST_BPM + (FASTEST_BPM - SLOWEST_BPM) * place, 1),
        "drift": DRIFTS[number % len(DRIFTS)],
        "swing": SWINGS[number % len(SWINGS)],
        "pickup_beats": PICKUPS[number % len(PICKUPS)],
        "beats_per_bar": beats_per_bar,
    }


@cache
def facts(number: int, count: int, duration_s: float, method: str) -> SongFacts:
    """Return what the pipeline finds out about a song, apart from its key."""
    composed = song(number, count, duration_s)
    return SongFacts(
        title=composed.title,
        duration_s=composed.mixture.shape[1] / SAMPLE_RATE,
        grid=track_beats(composed.mixture, method),
        key=None,
        sung=composed.voice_spans_s,
    )


def merge_pair(
    voice: int, backing: int, count: int, duration_s: float, method: str = "auto"
) -> Pair:
    """Plan song `voice` over song `backing` and send their true beats through the plan."""
    voice_song, backing_song = (song(n, count, duration_s) for n in (voice, backing))
    plan = make_plan(
        facts(voice, count, duration_s, method),
        facts(backing, count, duration_s, method),
        Recipe(),
    )
    grids = voice_song.grid, backing_song.grid
    return Pair(
        name=f"{label(voice, count)} over {label(backing, count)}",
        plan=plan,
        voice=output_s(plan.vocals, grids[0].beats_s),
        backing=output_s(plan.backing, grids[1].beats_s),
        voice_downbeats=output_s(plan.vocals, grids[0].downbeats_s),
        backing_downbeats=output_s(plan.backing, grids[1].downbeats_s),
        both_in_four=all(grid.beats_per_bar == 4 for grid in grids),
    )


def output_s(layer: LayerPlan, times_s: tuple[float, ...]) -> Array:
    """Return where times of a stem are heard in the output."""
    return apply_warp(layer.warp, np.asarray(times_s))


def label(number: int, count: int) -> str:
    """Name a song by its traits: tempo, metre, drift, swing, pickup."""
    has = traits(number, count)
    words = [f"{has['bpm']:.0f}", f"{has['beats_per_bar']}/4"]
    words += [f"±{has['drift']:.0%}"] if has["drift"] else []
    words += ["swung"] if has["swing"] else []
    words += [f"+{has['pickup_beats']}"] if has["pickup_beats"] else []
    return " ".join(words)


def table_of(pairs: Sequence[Pair]) -> Table:
    """Return the figures of each pair and of all."""
    table = Table("pair", "median ms", "p95 ms", "drift ms/min", "bars", "voice", "backing")
    for pair in pairs:
        away = np.abs(pair.offsets_s) * 1e3
        table.add_row(
            pair.name,
            f"{np.median(away):.1f}",
            f"{np.percentile(away, 95):.1f}",
            f"{pair.drift_ms_per_minute:+.1f}",
            f"{pair.shared_bars.mean():.0%}" if pair.both_in_four else "-",
            f"{pair.plan.vocals.stretch:.2f}",
            f"{pair.plan.backing.stretch:.2f}",
        )
    away = np.abs(np.concatenate([pair.offsets_s for pair in pairs])) * 1e3
    bars = np.concatenate([pair.shared_bars for pair in pairs if pair.both_in_four])
    drift = np.abs([pair.drift_ms_per_minute for pair in pairs])
    table.add_section()
    table.add_row(
        f"all {len(pairs)}; drift: median, largest",
        f"{np.median(away):.1f}",
        f"{np.percentile(away, 95):.1f}",
        f"{np.median(drift):.1f}, {drift.max():.1f}",
        f"{bars.mean():.1%}",
    )
    return table


def main() -> int:
    """Print the table; return 0."""
    parser = argparse.ArgumentParser(description="Measure how well the layers coincide.")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each song")
    parser.add_argument("--beats", choices=METHODS, default="auto")
    options = parser.parse_args()
    count = 2 * options.pairs
    pairs = []
    for number in range(options.pairs):
        pairs.append(merge_pair(2 * number, 2 * number + 1, count, options.seconds, options.beats))
        song.cache_clear()
    Console(width=130).print(table_of(pairs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
