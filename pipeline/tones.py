"""Tones on one side, strokes on the other: harmonic-percussive separation with median filters.

After Fitzgerald (2010, "Harmonic/percussive separation using median filtering").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.fft

from pipeline.medians import row_medians

if TYPE_CHECKING:
    from pipeline.types import Signal

_FRAME = 2048  # 46 ms
_HOP = _FRAME // 4
_BATCH = 512  # frames, 6 s: keeps the spectrogram small
_STEADY_FRAMES = 25  # 0.3 s: what lasts longer than half of this is a tone
_BROAD_BINS = 21  # 450 Hz: what is broader than half of this is a stroke
_TINY = 1e-12


def split_tones(samples: Signal) -> Signal:
    """Return what is tonal in a signal; the rest, `samples` minus this, is percussive.

    Parameters
    ----------
    samples
        float32, shape (2, n), 44 100 Hz.

    Returns
    -------
    Signal
        float32, shape (2, n).
    """
    length = samples.shape[1]
    frames = -(-length // _HOP) + 3
    padded = np.pad(samples, ((0, 0), (_FRAME - _HOP, frames * _HOP - length + _HOP)))
    out = np.zeros_like(padded)
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    strips = np.lib.stride_tricks.sliding_window_view(padded, _FRAME, axis=1)[:, ::_HOP]
    around = _STEADY_FRAMES // 2
    for first in range(0, frames, _BATCH):
        last = min(first + _BATCH, frames)
        low = max(0, first - around)
        spectrum = scipy.fft.rfft(strips[:, low : last + around] * window)
        kept = slice(first - low, last - low)
        mask = _tonal(np.abs(spectrum).sum(axis=0))[kept]
        tones = scipy.fft.irfft(spectrum[:, kept] * mask) * (window / np.float32(1.5))
        for count in range(last - first):
            start = (first + count) * _HOP
            out[:, start : start + _FRAME] += tones[:, count]
    return out[:, _FRAME - _HOP :][:, :length]


def _tonal(magnitude: Signal) -> Signal:
    """Return the tonal share, in [0, 1], of each bin of a spectrogram of shape (frames, bins)."""
    steady = row_medians(np.ascontiguousarray(magnitude.T), _STEADY_FRAMES).T ** 2
    broad = row_medians(magnitude, _BROAD_BINS) ** 2
    return np.asarray(steady / (steady + broad + _TINY), dtype=np.float32)
