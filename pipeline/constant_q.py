"""Signal to notes: a constant-Q transform, whose bins lie evenly on the musical scale.

Brown 1991, "Calculation of a constant Q spectral transform", with the octaves taken from ever
narrower copies of the signal (Schörkhuber & Klapuri 2010, "Constant-Q transform toolbox for music
processing"). The lower octaves see long stretches of the song, but at rates so low that each octave
is one small matrix product; and the song is taken a stretch at a time.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from pipeline.mono import RATE, Mono
from pipeline.tapes import cut, release

Levels: TypeAlias = npt.NDArray[np.float32]

HOP = 2048
"""Samples from one frame to the next, 93 ms."""

OCTAVES = 7
"""From C1, 33 Hz, to B7."""

_C8_HZ = 440.0 * 2.0 ** (39 / 12)
_STRETCH = 484  # frames, 45 s
_MARGIN = 16  # frames, 1.5 s: half of the longest wavelet and the resamplers' ringing


def constant_q(mono: Mono, bins: int, tuning: float) -> Levels:
    """Measure how strong each note is over time.

    Parameters
    ----------
    mono
        float32, shape (n,), at `pipeline.mono.RATE`.
    bins
        Bins in an octave.
    tuning
        Semitones by which all bins lie above A = 440 Hz.

    Returns
    -------
    Levels
        Magnitudes, float32, shape (1 + n // HOP, OCTAVES * bins), from C1 upwards; each wavelet is
        weighted by the square root of its length, as in ``librosa.cqt``.
    """
    frames = 1 + len(mono) // HOP
    levels = np.empty((frames, OCTAVES * bins), dtype=np.float32)
    wavelets = _wavelets(bins, tuning)
    for start in range(0, frames, _STRETCH):
        stop = min(start + _STRETCH, frames)
        part = cut(mono[None], (start - _MARGIN) * HOP, (stop + _MARGIN) * HOP)[0]
        release(mono)
        for octave in range(1, OCTAVES + 1):
            part = soxr.resample(part, 2, 1)
            here = slice((OCTAVES - octave) * bins, (OCTAVES - octave + 1) * bins)
            # An octave lower is the same at half the rate, in wavelets twice as long.
            gain = np.float32(2.0 ** ((octave - 1) / 2))
            levels[start:stop, here] = gain * _octave(part, wavelets, HOP >> octave, stop - start)
    return levels


def _octave(part: Mono, wavelets: Levels, hop: int, frames: int) -> Levels:
    """Magnitudes in one octave; frame i is centred on sample ``(_MARGIN + i) * hop``."""
    size = len(wavelets)
    first = _MARGIN * hop - size // 2
    pieces = np.lib.stride_tricks.sliding_window_view(part, size)[first::hop][:frames]
    parts = np.ascontiguousarray(pieces) @ wavelets
    half = parts.shape[1] // 2
    return np.hypot(parts[:, :half], parts[:, half:])


def _wavelets(bins: int, tuning: float) -> Levels:
    """Hann-tapered waves of the highest octave at half of `RATE`: shape (samples, 2 * bins).

    Cosines, then sines, each of as many periods as tell a bin from the next.
    """
    hz = _C8_HZ * 2.0 ** ((np.arange(bins) - bins) / bins + tuning / 12.0)
    step = 2.0 ** (2.0 / bins)
    lengths_s = (step + 1.0) / (step - 1.0) / hz
    half = int(np.ceil(lengths_s.max() * RATE / 4.0))
    at_s = np.arange(-half, half + 1)[:, None] / (RATE / 2.0)
    taper = np.where(
        np.abs(at_s) < lengths_s / 2.0, 0.5 + 0.5 * np.cos(2.0 * np.pi * at_s / lengths_s), 0.0
    )
    taper *= np.sqrt(lengths_s * RATE) / taper.sum(axis=0)
    phase = 2.0 * np.pi * hz * at_s
    return np.hstack([taper * np.cos(phase), taper * np.sin(phase)]).astype(np.float32)
