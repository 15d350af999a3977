"""The clock of an excerpt: where its bars lie and how its off-beats swing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from composer.clock import wind_clock
from pipeline.types import BeatGrid
from training.clips import CLIP_S

if TYPE_CHECKING:
    from composer.clock import Clock
    from training.bands.styles import Style

LEAD_S = 1.5
"""What is rendered before the excerpt begins, so that it begins with sounds already ringing."""

RENDERED_S = LEAD_S + CLIP_S
"""Length in seconds of what the players are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Timeline:
    """From beats to seconds.

    Attributes
    ----------
    clock
        Tempo and swing of the eighths; its second 0 lies `LEAD_S` before the excerpt.
    sixteenth_swing
        Delay of every second sixteenth as a share of a sixteenth.
    beats_per_bar
        3 or 4. Time in 6/8 is counted as 12/8, four dotted quarters a bar, since a
        `pipeline.types.BeatGrid` has three or four.
    beats
        How many beats from the first downbeat to the end, whole bars.
    beat_s
        Median length of a beat.
    """

    clock: Clock
    sixteenth_swing: float
    beats_per_bar: int
    beats: int
    beat_s: float

    def seconds(self, position: float) -> float:
        """Return when a position in beats is heard, in seconds from the first rendered sample."""
        half = np.floor(position * 2)
        inside = position * 2 - half
        late = 0.5 * self.sixteenth_swing * (1 - abs(2 * inside - 1)) if inside else 0.0
        return float(self.clock.seconds((half + inside + late) / 2))

    @property
    def first(self) -> float:
        """Position in beats of the first rendered sample."""
        return float(self.clock.positions[0])

    def grid(self) -> BeatGrid:
        """Return the beats of the excerpt, in seconds from its own first sample."""
        heard = [(beat, self.seconds(beat) - LEAD_S) for beat in range(self.beats)]
        inside = [(beat, time) for beat, time in heard if 0 <= time < CLIP_S]
        times = [time for _, time in inside]
        return BeatGrid(
            beats_s=tuple(times),
            downbeats_s=tuple(t for beat, t in inside if beat % self.beats_per_bar == 0),
            bpm=60 / float(np.median(np.diff(times))),
            beats_per_bar=self.beats_per_bar,
            confidence=1.0,
        )


def draw_timeline(rng: np.random.Generator, style: Style) -> Timeline:
    """Return a timeline at a tempo of the style, beginning at a random place of a bar."""
    low, high = style.bpm
    bpm = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    steady = style.electronic > 0.5 or rng.random() < 0.4
    drift = 0.0 if steady else float(rng.choice([0.002, 0.005, 0.01, 0.02, 0.035]))
    bar_s = 60 / bpm * style.beats_per_bar
    clock = wind_clock(
        rng,
        duration_s=RENDERED_S,
        bpm=bpm,
        drift=drift,
        swing=float(rng.uniform(*style.swing)),
        lead_s=-float(rng.uniform(0, bar_s)),
        pickup_beats=0,
    )
    last = clock.position(RENDERED_S)
    return Timeline(
        clock=clock,
        sixteenth_swing=float(rng.uniform(*style.sixteenth_swing)),
        beats_per_bar=style.beats_per_bar,
        beats=(int(last / style.beats_per_bar) + 1) * style.beats_per_bar,
        beat_s=60 / bpm,
    )
