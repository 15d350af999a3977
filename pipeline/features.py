"""What a stem does on each beat: its pitches, its rhythm and where in the spectrum it lies.

The three things that decide whether two layers fit (Davies et al. 2014, "AutoMashUpper:
automatic creation of multi-song music mashups"), measured per beat, so that layers of different
tempo can be compared position by position.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.filters import chroma_bank, mel_bank
from pipeline.grids import time_at
from pipeline.mono import RATE, narrow, spectrogram

if TYPE_CHECKING:
    from pipeline.mono import Mono
    from pipeline.types import BeatGrid, Signal

Array: TypeAlias = npt.NDArray[np.float64]
Curves: TypeAlias = npt.NDArray[np.float32]

STEPS = 4
"""Parts of a beat in which the rhythm is counted: sixteenths."""

_HOP, _WINDOW = 1024, 4096  # for what sounds: a semitone apart from 200 Hz on
_FAST_HOP, _FAST_WINDOW = 512, 1024  # for when it begins: at 200 BPM a sixteenth is 75 ms
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


def beat_features(stem: Signal | Mono, grid: BeatGrid) -> BeatFeatures:
    """Measure a stem on the beats of its song.

    Parameters
    ----------
    stem
        float32, shape (2, n), 44 100 Hz, or what `pipeline.mono.narrow` makes of it.
    grid
        The song's grid; at least two beats; each lasts until the next, the last as long as those
        before it.

    Returns
    -------
    BeatFeatures
        One column a beat.
    """
    mono = narrow(stem)
    edges = time_at(grid, np.arange(len(grid.beats_s) + 1.0))
    sound = _per_step(_sound(mono), edges, _HOP)
    chroma, bands = sound[:12], sound[12:]
    loud = _loud(bands)
    flux = _flux(mono, loud)
    sixteenths = time_at(grid, (np.arange(STEPS * len(grid.beats_s) + 1) - 0.5) / STEPS)
    onsets = _per_step(flux, sixteenths, _FAST_HOP).reshape(-1, STEPS).T
    return BeatFeatures(
        chroma=_standardised(np.log1p(10.0 * chroma / _loud(chroma))),
        onsets=onsets / (onsets.mean() + _TINY),
        bands=bands / loud,
    )


def _loud(rows: Array) -> float:
    """Power of the loud ones among the beats that sound, never 0."""
    level = rows.sum(axis=0)
    return float(np.percentile(level[level >= _SILENT * level.max()], 90)) + _TINY


def _sound(mono: Mono) -> Curves:
    """Power of each pitch class and in each band, frame by frame; shape (12 + 20, frames)."""
    bank = _sound_bank()
    rows = np.empty((bank.shape[1], 1 + len(mono) // _HOP), dtype=np.float32)
    for part, magnitudes in spectrogram(mono, _WINDOW, _HOP):
        rows[:, part] = (np.square(magnitudes, out=magnitudes) @ bank).T
    return rows


def _flux(mono: Mono, loud: float) -> Curves:
    """Rise of the level in all bands from frame to frame; shape (1, frames)."""
    bank = _mel(_FAST_WINDOW) * np.float32(1e3 / loud)
    out = np.empty((1, 1 + len(mono) // _FAST_HOP), dtype=np.float32)
    last = None
    for part, magnitudes in spectrogram(mono, _FAST_WINDOW, _FAST_HOP):
        level = np.log1p(np.square(magnitudes, out=magnitudes) @ bank)
        before = level[:1] if last is None else last
        rise = np.diff(level, axis=0, prepend=before)
        out[0, part] = np.maximum(0.0, rise).sum(axis=1)
        last = level[-1:]
    return out


@lru_cache(maxsize=1)
def _sound_bank() -> Curves:
    """Make filters of the pitch classes, then of the bands; shape (bins, 12 + 20)."""
    return np.hstack([chroma_bank(_WINDOW), _mel(_WINDOW)])


@lru_cache(maxsize=2)
def _mel(window: int) -> Curves:
    """Make filters of the bands; shape (bins, 20)."""
    return mel_bank(window, _N_BANDS, _LOWEST_HZ, _HIGHEST_HZ)


def _per_step(frames: Curves, edges_s: Array, hop: int) -> Array:
    """Mean of the frames between one edge and the next; shape (rows, edges - 1)."""
    at = np.clip(np.round(edges_s * RATE / hop).astype(int), 0, frames.shape[1])
    sums = np.cumsum(np.pad(frames, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    ends = np.minimum(np.maximum(at[1:], at[:-1] + 1), frames.shape[1])
    starts = np.minimum(at[:-1], ends)
    return np.asarray((sums[:, ends] - sums[:, starts]) / np.maximum(1, ends - starts))


def _standardised(columns: Array) -> Array:
    centred = columns - columns.mean(axis=0)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-6))
