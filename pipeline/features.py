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

from pipeline.grids import time_at
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.types import BeatGrid, Signal

Array: TypeAlias = npt.NDArray[np.float64]
Mono: TypeAlias = npt.NDArray[np.float32]
Bank: TypeAlias = npt.NDArray[np.float32]

RATE = 22_050
STEPS = 4
"""Parts of a beat in which the rhythm is counted: sixteenths."""

_HOP, _WINDOW = 1024, 4096  # for what sounds: a semitone apart from 200 Hz on
_FAST_HOP, _FAST_WINDOW = 512, 1024  # for when it begins: at 200 BPM a sixteenth is 75 ms
_BLOCK = 1024  # frames at a time, which keeps memory flat
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 10_000.0
_N_BANDS = 20
_SILENT = 1e-3  # beats 30 dB below the loudest say nothing of how loud a stem is
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BeatFeatures:
    """A stem, beat by beat.

    Attributes
    ----------
    chroma
        Strength of the twelve pitch classes from C, each beat of zero mean and unit length, or
        all zero where there is no pitch; shape (12, beats).
    onsets
        Onset strength around each sixteenth, from half a sixteenth before the beat on; of mean 1
        over the stem; shape (STEPS, beats).
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
        The song's grid; at least two beats; each lasts until the next, the last as long as those
        before it.

    Returns
    -------
    BeatFeatures
        One column a beat.
    """
    import librosa  # noqa: PLC0415 - half a second that only a merge needs to pay

    mono = soxr.resample(stem.mean(axis=0), SAMPLE_RATE, RATE)
    edges = time_at(grid, np.arange(len(grid.beats_s) + 1.0))
    pitches = librosa.filters.chroma(sr=RATE, n_fft=_WINDOW, tuning=0.0)
    sound = _per_step(_filtered(mono, np.vstack([pitches, _mel(_WINDOW)]), _HOP), edges, _HOP)
    chroma, bands = sound[:12], sound[12:]
    loud = _loud(bands)
    fast = np.log1p(1e3 * _filtered(mono, _mel(_FAST_WINDOW), _FAST_HOP) / loud)
    flux = np.maximum(0.0, np.diff(fast, axis=1, prepend=fast[:, :1])).sum(axis=0)
    sixteenths = time_at(grid, (np.arange(STEPS * len(grid.beats_s) + 1) - 0.5) / STEPS)
    onsets = _per_step(flux[None], sixteenths, _FAST_HOP).reshape(-1, STEPS).T
    return BeatFeatures(
        chroma=_standardised(np.log1p(10.0 * chroma / _loud(chroma))),
        onsets=onsets / (onsets.mean() + _TINY),
        bands=bands / loud,
    )


def _loud(rows: Array) -> float:
    """Power of the loud ones among the beats that sound, never 0."""
    level = rows.sum(axis=0)
    return float(np.percentile(level[level >= _SILENT * level.max()], 90)) + _TINY


def _mel(window: int) -> Bank:
    import librosa  # noqa: PLC0415 - see above

    return np.asarray(
        librosa.filters.mel(
            sr=RATE, n_fft=window, n_mels=_N_BANDS, fmin=_LOWEST_HZ, fmax=_HIGHEST_HZ
        )
    )


def _filtered(mono: Mono, bank: Bank, hop: int) -> Array:
    """Power in each filter of a bank of shape (rows, bins), frame by frame; (rows, frames)."""
    import librosa  # noqa: PLC0415 - see above

    window = 2 * (bank.shape[1] - 1)
    padded = np.pad(mono, window // 2)
    frames = 1 + len(mono) // hop
    parts = []
    for first in range(0, frames, _BLOCK):
        count = min(_BLOCK, frames - first)
        part = padded[first * hop : (first + count - 1) * hop + window]
        spectrum = librosa.stft(part, n_fft=window, hop_length=hop, center=False)
        parts.append(bank @ np.abs(spectrum) ** 2)
    return np.concatenate(parts, axis=1, dtype=np.float64)


def _per_step(frames: Array, edges_s: Array, hop: int) -> Array:
    """Mean of the frames between one edge and the next; shape (rows, edges - 1)."""
    at = np.clip(np.round(edges_s * RATE / hop).astype(int), 0, frames.shape[1])
    sums = np.cumsum(np.pad(frames, ((0, 0), (1, 0))), axis=1)
    ends = np.minimum(np.maximum(at[1:], at[:-1] + 1), frames.shape[1])
    starts = np.minimum(at[:-1], ends)
    return np.asarray((sums[:, ends] - sums[:, starts]) / np.maximum(1, ends - starts))


def _standardised(columns: Array) -> Array:
    centred = columns - columns.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-6))
