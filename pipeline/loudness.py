"""How loud it is, and how loud it should be: ITU-R BS.1770 throughout."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pyloudnorm
import scipy.ndimage
import scipy.signal
import soxr

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import Signal

    Levels: TypeAlias = npt.NDArray[np.float64]

TARGET_LUFS = -14.0
CEILING_DBTP = -1.0

BLOCK_S = 0.4
"""BS.1770's measuring block; nothing shorter has a loudness."""

_BLOCK = 441  # samples, 10 ms: the grain of the level curves below


def integrated_lufs(samples: Signal) -> float:
    """Measure the gated loudness of a signal of shape (2, n), in LUFS; -inf for silence."""
    if samples.shape[1] < BLOCK_S * SAMPLE_RATE:
        return float("-inf")
    with warnings.catch_warnings():
        # pyloudnorm takes the mean of no blocks where everything is below its gate.
        warnings.simplefilter("ignore", RuntimeWarning)
        loudness = float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T))
    return loudness if np.isfinite(loudness) else float("-inf")


def true_peak_dbtp(samples: Signal) -> float:
    """Measure the true peak of a signal of shape (2, n), four times oversampled, in dBTP."""
    peak = max((float(curve.max()) for _, curve in _true_peak_curves(samples)), default=0.0)
    return 20.0 * float(np.log10(peak)) if peak > 0 else float("-inf")


def short_term_lufs(samples: Signal) -> Levels:
    """K-weighted level every 10 ms, averaged over 400 ms, in LUFS; shape (n // 441,)."""
    weighted = samples.astype(np.float64)
    # The two filters of BS.1770-4 as its table gives them for any rate: a shelf for the head's
    # effect and a high-pass for the ear's.
    for gain_db, q, frequency_hz, kind in (
        (4.0, 1 / np.sqrt(2), 1500.0, "high_shelf"),
        (0.0, 0.5, 38.0, "high_pass"),
    ):
        weighting = pyloudnorm.IIRfilter(gain_db, q, frequency_hz, SAMPLE_RATE, kind)
        weighted = scipy.signal.lfilter(weighting.b, weighting.a, weighted, axis=1)
    blocks = weighted.shape[1] // _BLOCK
    power = (weighted[:, : blocks * _BLOCK] ** 2).sum(axis=0).reshape(blocks, _BLOCK).mean(axis=1)
    smooth = scipy.ndimage.uniform_filter1d(power, round(BLOCK_S * SAMPLE_RATE / _BLOCK))
    return np.asarray(-0.691 + 10.0 * np.log10(np.maximum(smooth, 1e-12)))


def sounding(levels: Levels, below_db: float = 20.0) -> npt.NDArray[np.bool_]:
    """Where a layer sounds: within `below_db` of its own loud passages (95th percentile)."""
    if not len(levels):
        return np.zeros(0, dtype=bool)
    loud = float(np.percentile(levels, 95))
    return np.asarray((levels > loud - below_db) & (levels > -60.0))


def vocals_to_backing_lu(vocals: Signal, backing: Signal) -> float | None:
    """Measure the vocals against the backing, both of shape (2, n), while the voice sounds.

    Returns
    -------
    float or None
        Difference of their mean K-weighted power, in LU; None when either is silent then.
    """
    voice, rest = short_term_lufs(vocals), short_term_lufs(backing)
    active = sounding(voice) & (rest > -60.0)
    if not active.any():
        return None
    power = [float(np.mean(10.0 ** (level[active] / 10.0))) for level in (voice, rest)]
    return float(10.0 * np.log10(power[0] / power[1]))


def limiting_gain(samples: Signal, ceiling_dbtp: float) -> Signal:
    """Work out the gain that holds true peaks under a ceiling.

    A look-ahead limiter: the gain that each moment needs, held for 5 ms on either side and then
    smoothed over as long, so that it has always come down before the peak arrives.

    Parameters
    ----------
    samples
        Shape (2, n).
    ceiling_dbtp
        Highest true peak to leave, in dBTP.

    Returns
    -------
    Signal
        Gain of every sample, in (0, 1]; shape (n,).
    """
    ceiling = 10.0 ** (ceiling_dbtp / 20.0)
    need = np.ones(samples.shape[1], dtype=np.float32)
    for start, curve in _true_peak_curves(samples):
        need[start : start + len(curve)] = np.minimum(1.0, ceiling / np.maximum(curve, 1e-9))
    reach = 2 * 220 + 1
    held = scipy.ndimage.minimum_filter1d(need, reach)
    return np.asarray(scipy.ndimage.uniform_filter1d(held, reach), dtype=np.float32)


def _true_peak_curves(samples: Signal) -> Iterator[tuple[int, Signal]]:
    """Yield the true peak around each sample, ten seconds at a time: (first sample, peaks)."""
    step, margin = 10 * SAMPLE_RATE, 256
    for start in range(0, samples.shape[1], step):
        low = max(0, start - margin)
        part = samples[:, low : start + step + margin]
        fine = soxr.resample(part.T, SAMPLE_RATE, 4 * SAMPLE_RATE, quality="MQ")
        peaks = np.abs(fine).max(axis=1)
        peaks = np.pad(peaks, (0, 3))[: 4 * part.shape[1]].reshape(-1, 4).max(axis=1)
        # A peak may lie between this sample and the one before.
        peaks = np.maximum(peaks, np.append(np.float32(0), peaks[:-1]))
        yield start, peaks[start - low : start - low + step]
