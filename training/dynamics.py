"""Gain over time: compression, limiting, side-chain pumping.

Every function returns one gain for each sample, so that several parts can ride the same curve
and still sum to the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.types import Signal

    Gain = npt.NDArray[np.float32]

_BLOCK = 64  # 1.5 ms: shorter than any attack that is drawn


def compressor_gain(
    signal: Signal,
    *,
    threshold_db: float,
    ratio: float,
    attack_s: float = 0.01,
    release_s: float = 0.12,
) -> Gain:
    """Return the gain of a feed-forward peak compressor.

    Parameters
    ----------
    signal
        float32, shape (2, n); the louder channel steers both.
    threshold_db
        Level in dB full scale above which the gain falls.
    ratio
        Decibels in for one decibel out above the threshold, over 1.
    attack_s, release_s
        Time constants in seconds of falling and of recovering gain.

    Returns
    -------
    Gain
        float32, shape (n,), at most 1.
    """
    peaks = _block_peaks(signal)
    over_db = 20 * np.log10(np.maximum(peaks, 1e-6)) - threshold_db
    wanted_db = -np.maximum(over_db, 0.0) * (1 - 1 / ratio)
    fall, rise = (np.exp(-_BLOCK / SAMPLE_RATE / s) for s in (attack_s, release_s))
    now = 0.0
    held = []
    for want in wanted_db.tolist():
        keep = fall if want < now else rise
        now = keep * now + (1 - keep) * want
        held.append(now)
    return _spread(10 ** (np.asarray(held) / 20), signal.shape[-1])


def limiter_gain(signal: Signal, ceiling: float) -> Gain:
    """Return the gain that keeps every block's peak at or under a ceiling, without overshoot.

    Parameters
    ----------
    signal
        float32, shape (2, n).
    ceiling
        Highest sample value that is let through.

    Returns
    -------
    Gain
        float32, shape (n,), at most 1.
    """
    wanted = np.minimum(1.0, ceiling / np.maximum(_block_peaks(signal), 1e-6))
    # The lowest of a neighbourhood, then its mean: smooth, and never above what is wanted.
    reach = 8
    padded = np.pad(wanted, 2 * reach, mode="edge")
    lowest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(axis=-1)
    smooth = np.convolve(lowest, np.full(2 * reach - 1, 1 / (2 * reach - 1)), mode="valid")
    middle = (len(smooth) - len(wanted)) // 2
    return _spread(smooth[middle : middle + len(wanted)], signal.shape[-1])


def pump_gain(length: int, beats_s: Sequence[float], depth: float, recover_s: float) -> Gain:
    """Return the gain of a side chain that ducks on every beat.

    Parameters
    ----------
    length
        Number of samples.
    beats_s
        When the gain falls, rising, in seconds.
    depth
        How far it falls, from 0 (not at all) to 1 (to silence).
    recover_s
        After how many seconds it is back.

    Returns
    -------
    Gain
        float32, shape (n,), from 1 - `depth` to 1.
    """
    gain = np.ones(length, dtype=np.float32)
    dip = np.linspace(0.0, 1.0, max(2, int(recover_s * SAMPLE_RATE)))
    shape = (1 - depth * np.cos(0.5 * np.pi * dip) ** 2).astype(np.float32)
    ramp = np.linspace(0.0, 1.0, 128, dtype=np.float32)  # 3 ms: a step would click
    shape[: len(ramp)] = np.maximum(shape[: len(ramp)], 1 - (1 - shape[: len(ramp)]) * ramp)
    for beat_s in beats_s:
        start = max(0, int(beat_s * SAMPLE_RATE))
        piece = shape[: max(0, length - start)]
        gain[start : start + len(piece)] = np.minimum(gain[start : start + len(piece)], piece)
    return gain


def _block_peaks(signal: Signal) -> npt.NDArray[np.float64]:
    loud = np.max(np.abs(signal), axis=0)
    blocks = -(-len(loud) // _BLOCK)
    padded = np.pad(loud, (0, blocks * _BLOCK - len(loud)))
    peaks: npt.NDArray[np.float64] = padded.reshape(blocks, _BLOCK).max(axis=1).astype(np.float64)
    return peaks


def _spread(blocks: npt.NDArray[np.float64], length: int) -> Gain:
    centres = (np.arange(len(blocks)) + 0.5) * _BLOCK
    return np.interp(np.arange(length), centres, blocks).astype(np.float32)
