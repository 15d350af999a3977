"""What a stem does on each beat: its pitches, its rhythm and where in the spectrum it lies.

The three things that decide whether two layers fit (Davies et al. 2014, "AutoMashUpper:
automatic creation of multi-song music mashups"), measured per beat, so that layers of different
tempo can be compared position by position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.types import BeatGrid, Signal

Array: TypeAlias = npt.NDArray[np.float64]

RATE = 22_050
STEPS = 4
"""Parts of a beat in which the rhythm is counted: sixteenths."""

_HOP = 1024  # 46 ms: at 200 BPM a sixteenth is 75 ms
_WINDOW = 4096
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 10_000.0
_N_BANDS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeatFeatures:
    """A stem, beat by beat.

    Attributes
    ----------
    chroma
        Strength of the twelve pitch classes from C, each beat of zero mean and unit length, or
        all zero where there is no pitch; shape (12, beats).
    onsets
        Onset strength in each sixteenth, of mean 1 over the stem; shape (STEPS, beats).
    bands
        Power in bands from 80 Hz to 10 kHz, each beat relative to the stem's loud beats; shape
        (20, beats).
    """

    chroma: Array
    onsets: Array
    bands: Array

    @property
    def level(self) -> Array:
        """Power of each beat, 1 for the stem's loud ones; shape (beats,)."""
        total: Array = self.bands.sum(axis=0)
        return total


def beat_features(stem: Signal, grid: BeatGrid) -> BeatFeatures:
    """Measure a stem on the beats of its song.

    Parameters
    ----------
    stem
        float32, shape (2, n), 44 100 Hz.
    grid
        The song's grid; a beat lasts until the next one, the last as long as the one before.

    Returns
    -------
    BeatFeatures
        One column a beat.
    """
    import librosa  # noqa: PLC0415 - half a second that only a merge needs to pay

    mono = soxr.resample(stem.mean(axis=0), SAMPLE_RATE, RATE)
    power = np.abs(librosa.stft(mono, n_fft=_WINDOW, hop_length=_HOP)) ** 2
    edges = np.append(grid.beats_s, 2 * grid.beats_s[-1] - grid.beats_s[-2])
    chroma = librosa.filters.chroma(sr=RATE, n_fft=_WINDOW, tuning=0.0) @ power
    bank = librosa.filters.mel(
        sr=RATE, n_fft=_WINDOW, n_mels=_N_BANDS, fmin=_LOWEST_HZ, fmax=_HIGHEST_HZ
    )
    bands = _per_step(bank @ power, edges)
    level = bands.sum(axis=0)
    loud = float(np.percentile(level, 90)) if level.size else 0.0
    flux = np.maximum(0.0, np.diff(np.log1p(1e3 * bank @ power), axis=1, prepend=0.0)).sum(axis=0)
    fine = np.interp(np.arange(STEPS * (len(edges) - 1) + 1) / STEPS, np.arange(len(edges)), edges)
    onsets = _per_step(flux[None], fine).reshape(-1, STEPS).T
    return BeatFeatures(
        chroma=_standardised(np.log1p(100.0 * _per_step(chroma, edges) / (loud + 1e-12))),
        onsets=onsets / (onsets.mean() + 1e-12),
        bands=bands / (loud + 1e-12),
    )


def _per_step(frames: npt.NDArray[np.floating[npt.NBitBase]], edges_s: Array) -> Array:
    """Mean of the frames between one edge and the next; shape (rows, edges - 1)."""
    at = np.clip(np.round(np.asarray(edges_s) * RATE / _HOP).astype(int), 0, frames.shape[1])
    sums = np.cumsum(np.pad(frames, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    ends = np.minimum(np.maximum(at[1:], at[:-1] + 1), frames.shape[1])
    starts = np.minimum(at[:-1], ends)
    return np.asarray((sums[:, ends] - sums[:, starts]) / np.maximum(1, ends - starts))


def _standardised(columns: Array) -> Array:
    centred = columns - columns.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-6))
