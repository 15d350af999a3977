"""Musical time to seconds: tempo, its slow wander, and swing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_STEP_S = 0.001  # the wander bends so slowly that straight lines of 1 ms err by under 1 us
_SHORTEST_WAVE_S = 12.0
_TAIL_S = 20.0  # bars that begin before the end of the song may end after it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clock:
    """Tells when a moment of the score is heard.

    Positions count beats from the first downbeat; a pickup has negative ones.

    Attributes
    ----------
    positions, times_s
        The tempo curve: position in beats and time in seconds, shape (n,), both rising.
    swing
        Delay of an off-beat eighth as a share of an eighth: 0 is straight, 1/3 is a triplet feel.
    """

    positions: Floats
    times_s: Floats
    swing: float

    def seconds(self, positions: npt.ArrayLike) -> Floats:
        """Return when each position is heard, in seconds, with swing."""
        beat = np.asarray(positions, dtype=np.float64)
        whole = np.floor(beat)
        swung = np.interp(beat - whole, [0.0, 0.5, 1.0], [0.0, 0.5 + 0.5 * self.swing, 1.0])
        heard: Floats = np.interp(whole + swung, self.positions, self.times_s)
        return heard

    def position(self, time_s: float) -> float:
        """Return which position, without swing, is reached at a time in seconds."""
        return float(np.interp(time_s, self.times_s, self.positions))


def wind_clock(
    rng: np.random.Generator,
    *,
    duration_s: float,
    bpm: float,
    drift: float,
    swing: float,
    lead_s: float,
    pickup_beats: int,
) -> Clock:
    """Make the clock of a song whose first beat sounds at `lead_s`.

    Parameters
    ----------
    rng
        Where the wander of the tempo is drawn from.
    duration_s
        Time in seconds over which the mean tempo is `bpm`.
    bpm
        Mean tempo in beats per minute.
    drift
        Largest fractional deviation of the tempo from `bpm`.
    swing
        See `Clock.swing`.
    lead_s
        Silence before the first beat, in seconds.
    pickup_beats
        Beats before the first downbeat.
    """
    times = np.arange(0.0, duration_s + _TAIL_S, _STEP_S)
    # Whole waves over the song, so that their mean over it is zero and the mean tempo is bpm.
    waves = np.arange(1, max(1, int(duration_s / _SHORTEST_WAVE_S)) + 1)
    angle = 2 * np.pi / duration_s * waves[:, None]
    phase = rng.uniform(0, 2 * np.pi, size=(len(waves), 1))
    size = rng.uniform(0.5, 1.0, size=(len(waves), 1)) / waves[:, None]
    curve = np.sum(size * np.sin(angle * times + phase), axis=0)
    ahead = np.sum(-size / angle * np.cos(angle * times + phase), axis=0) / np.max(np.abs(curve))
    ahead -= np.interp(lead_s, times, ahead)
    positions = bpm / 60 * (times - lead_s + drift * ahead) - pickup_beats
    return Clock(positions=positions, times_s=times, swing=swing)
