"""Gains that move: curves of straight lines, a knot every 1.1 ms.

A gain is decided on curves and applied once, when a stretch of sound is asked for: 4 kB for a
second instead of 176 kB. Curves for one length multiply knot by knot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.types import Signal

    Curve: TypeAlias = npt.NDArray[np.float64]

Gain: TypeAlias = "npt.NDArray[np.float32]"
"""Factors, not decibels; shape (`knots` of the length,)."""

GRAIN = 441
"""Samples, 10 ms: the grain of every level curve."""

STEP = 49
"""Samples from knot to knot: a ninth of a grain, short against what a limiter has to follow."""

_RAMP = np.arange(STEP, dtype=np.float32) / np.float32(STEP)


def knots(length: int) -> int:
    """Return how many knots a gain for so many samples has: both ends of each step."""
    return -(-length // STEP) + 1


def flat(length: int, factor: float = 1.0) -> Gain:
    """Return a gain for so many samples that does not move."""
    return np.full(knots(length), factor, dtype=np.float32)


def knot_times_s(length: int) -> Curve:
    """Return where the knots of a gain for so many samples lie, in seconds."""
    return np.arange(knots(length)) * (STEP / SAMPLE_RATE)


def through(factors: Curve, length: int) -> Gain:
    """Draw a gain for so many samples through the middles of grains, shape (length // 441,)."""
    middles_s = (np.arange(len(factors)) + 0.5) * (GRAIN / SAMPLE_RATE)
    return np.interp(knot_times_s(length), middles_s, factors).astype(np.float32)


def along(gain: Gain, start: int, stop: int) -> Signal:
    """Return the factor of each sample in [start, stop), shape (stop - start,)."""
    first = start // STEP
    part = gain[first : -(-stop // STEP) + 1]
    lines = part[:-1, None] + (part[1:] - part[:-1])[:, None] * _RAMP
    offset = start - first * STEP
    return np.asarray(lines.reshape(-1)[offset : offset + stop - start])


def power_gain(gain: Gain, grains: int) -> Curve:
    """Return by how much each of the first so many grains gains in power."""
    start, stop = gain[:-1].astype(np.float64), gain[1:].astype(np.float64)
    # The mean of the square along a straight line.
    steps = (start * start + start * stop + stop * stop) / 3.0
    per_grain = GRAIN // STEP
    return np.asarray(steps[: grains * per_grain].reshape(grains, per_grain).mean(axis=1))
