"""Balance, loudness and headroom of a composition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyloudnorm
from scipy import ndimage

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.types import Signal

VOCALS_OVER_BACKING_LU = 1.0
"""Level of the voice over the band while it sounds (Gerdes and Siedenburg, JASA EL 3, 2023)."""

_CEILING = 0.97
_LOOKAHEAD = 64  # samples: the gain comes down in two steps of 1.5 ms before a peak
_CLOSE_LU = 0.03
_ROUNDS = 6


def set_levels(
    vocals: Signal, accompaniment: Signal, *, spans_s: tuple[tuple[float, float], ...], lufs: float
) -> tuple[Signal, Signal]:
    """Return both stems at their levels in the song.

    Where peaks would pass the ceiling, both stems are turned down together, so that their sum
    stays the song.

    Parameters
    ----------
    vocals, accompaniment
        float32, shape (2, n); the vocals may be silent.
    spans_s
        When the voice sounds, in seconds; empty when it never does.
    lufs
        Integrated loudness of their sum.

    Raises
    ------
    ValueError
        If the music is too peaky to be made this loud.
    """
    if spans_s:
        sung = np.concatenate([np.arange(*_samples(span)) for span in spans_s])
        gap = _loudness(vocals[:, sung]) - _loudness(accompaniment[:, sung])
        vocals = vocals * np.float32(10 ** ((VOCALS_OVER_BACKING_LU - gap) / 20))
    mix = vocals + accompaniment
    gain = 10 ** ((lufs - _loudness(mix)) / 20)
    for _ in range(_ROUNDS):
        # Reckoned from the untouched mix each time: limiting twice would pump.
        envelope = np.float32(gain) * _limit(mix * np.float32(gain))
        short = lufs - _loudness(mix * envelope)
        if abs(short) < _CLOSE_LU:
            return vocals * envelope, accompaniment * envelope
        gain *= 10 ** (short / 20)
    raise ValueError(f"This song cannot be made as loud as {lufs:g} LUFS; ask for less.")


def _samples(span_s: tuple[float, float]) -> tuple[int, int]:
    return round(span_s[0] * SAMPLE_RATE), round(span_s[1] * SAMPLE_RATE)


def _loudness(samples: Signal) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T))


def _limit(mix: Signal) -> Signal:
    """Return the gain, shape (n,), that keeps the mix under the ceiling without a sudden step."""
    peaks = np.max(np.abs(mix), axis=0)
    if float(np.max(peaks)) <= _CEILING:
        return np.ones(mix.shape[-1], dtype=np.float32)
    wanted = np.minimum(1.0, _CEILING / np.maximum(peaks, 1e-9)).astype(np.float32)
    # The minimum over the reach of both smoothings: their result is never above what is wanted.
    smooth: Signal = ndimage.minimum_filter1d(wanted, 4 * _LOOKAHEAD - 3)
    for _ in range(2):
        smooth = ndimage.uniform_filter1d(smooth, 2 * _LOOKAHEAD - 1)
    return smooth
