"""Banks of filters that make of a spectrum what music is described by: mel bands, pitch classes.

The same as ``librosa.filters`` has them, which would bring a compiler into every worker: a fifth
of a second and 66 MB.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.mono import RATE

Array: TypeAlias = npt.NDArray[np.float64]
Bank: TypeAlias = npt.NDArray[np.float32]

_LINEAR_HZ, _LINEAR_MELS = 1000.0, 15.0  # below, a mel is as many hertz everywhere
_MELS_PER_E = 27.0 / np.log(6.4)  # above, mels to a factor of e
_WIDEST_OCTAVE, _OCTAVES = 440.0 / 16.0 * 2.0**5, 2.0  # which octaves a pitch class listens to


def mel_corners(rows: int, low_hz: float, high_hz: float) -> Array:
    """Frequencies that lie evenly on Slaney's mel scale, in hertz, rising; shape (rows,).

    Slaney 1998, "Auditory Toolbox".
    """
    ends = np.asarray([low_hz, high_hz])
    linear = ends * _LINEAR_MELS / _LINEAR_HZ
    above = _LINEAR_MELS + _MELS_PER_E * np.log(np.maximum(ends, _LINEAR_HZ) / _LINEAR_HZ)
    first, last = np.where(ends < _LINEAR_HZ, linear, above)
    mels = np.linspace(first, last, rows)
    beyond = _LINEAR_HZ * np.exp(np.maximum(0.0, mels - _LINEAR_MELS) / _MELS_PER_E)
    return np.where(mels < _LINEAR_MELS, mels * _LINEAR_HZ / _LINEAR_MELS, beyond)


def triangles(low_hz: Array, centre_hz: Array, high_hz: Array, window: int) -> Array:
    """Make filters that rise from one frequency to 1 at the next and fall to a third.

    Parameters
    ----------
    low_hz, centre_hz, high_hz
        Shape (rows,).
    window
        Samples in a frame at `pipeline.mono.RATE`.

    Returns
    -------
    Array
        Shape (1 + window // 2, rows).
    """
    hz = np.fft.rfftfreq(window, 1.0 / RATE)[:, None]
    rise = (hz - low_hz) / (centre_hz - low_hz)
    fall = (high_hz - hz) / (high_hz - centre_hz)
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)))


def mel_bank(window: int, rows: int, low_hz: float, high_hz: float) -> Bank:
    """Make triangular filters, each of the same area, that lie evenly on the mel scale.

    Parameters
    ----------
    window
        Samples in a frame at `pipeline.mono.RATE`.
    rows
        How many filters.
    low_hz, high_hz
        Where the first begins and the last ends.

    Returns
    -------
    Bank
        Shape (1 + window // 2, rows), to be multiplied with spectra from the right.
    """
    corners = mel_corners(rows + 2, low_hz, high_hz)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    return np.asarray(triangles(low, centre, high, window) * 2.0 / (high - low), dtype=np.float32)


def chroma_bank(window: int) -> Bank:
    """Make filters for the twelve pitch classes from C, most sensitive around A5.

    After Ellis 2007, "Chroma feature analysis and synthesis": each bin goes to the classes around
    its pitch, by a Gaussian as wide as the bin, or as a semitone.

    Parameters
    ----------
    window
        Samples in a frame at `pipeline.mono.RATE`.

    Returns
    -------
    Bank
        Shape (1 + window // 2, 12), to be multiplied with spectra from the right.
    """
    hz = np.arange(1, window // 2 + 2) * RATE / window
    above_c = 12.0 * np.log2(hz / 440.0) + 69.0
    width = np.maximum(1.0, np.diff(above_c))[:, None]
    away = (above_c[:-1, None] - np.arange(12) + 6.0) % 12.0 - 6.0
    weight = np.exp(-0.5 * (2.0 * away / width) ** 2)
    weight /= np.linalg.norm(weight, axis=1, keepdims=True)
    octaves = np.log2(hz[:-1, None] / _WIDEST_OCTAVE)
    weight *= np.exp(-0.5 * (octaves / _OCTAVES) ** 2)
    # Of the lowest bin, which is 0 Hz, there is no pitch.
    return np.vstack([np.zeros((1, 12)), weight]).astype(np.float32)
