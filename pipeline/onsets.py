"""Signal to onset strength: how much begins at each moment, in three bands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from pipeline.filters import mel_bank, mel_corners
from pipeline.mono import RATE, spectrogram

if TYPE_CHECKING:
    from pipeline.mono import Mono

Array: TypeAlias = npt.NDArray[np.float64]
Curve: TypeAlias = npt.NDArray[np.float32]

LOUDEST = 6.0
"""Onset strength above which louder is no clearer."""

_ROWS = 96
_LOWEST_HZ, _HIGHEST_HZ = 27.0, 10_000.0
_BANDS_HZ = ((27.0, 110.0), (110.0, 3000.0), (3000.0, 10_000.0))
_BAND_WEIGHTS = (1.0, 1.0, 0.6)  # hi-hats tick on every eighth and say little about the beat
_COMPRESSION = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Onsets:
    """Where notes and strokes begin.

    Attributes
    ----------
    onset
        Onset strength of three bands, each relative to its own local mean; float32, shape
        (3, frames).
    fps
        Frames a second.
    movement
        Mean strength of the band that moves most, before it is made relative.
    """

    onset: Curve
    fps: float
    movement: float

    @property
    def mixed(self) -> Curve:
        """Mean of the bands by what they say of the beat; float32, shape (frames,)."""
        weights = np.asarray(_BAND_WEIGHTS, dtype=np.float32)
        return np.asarray(weights / weights.sum() @ self.onset)


def onset_bands(mono: Mono, hop: int, window: int) -> Onsets:
    """Half-wave rectified spectral flux after a maximum filter over frequency (SuperFlux).

    Böck & Widmer 2013, "Maximum filter vibrato suppression for onset detection": a gliding voice
    is no onset.

    Parameters
    ----------
    mono
        float32, shape (n,), at `RATE`.
    hop, window
        Samples from one frame to the next, and in one.
    """
    scale = np.float32(_COMPRESSION / (_loudest(mono, window) + 1e-9))
    bank, means = _mel_bank(window), _band_means()
    lag = max(1, round(0.02 * RATE / hop))
    strengths = np.zeros((len(_BANDS_HZ), 1 + len(mono) // hop), dtype=np.float32)
    past = np.zeros((0, _ROWS), dtype=np.float32)
    for part, magnitudes in spectrogram(mono, window, hop):
        level = np.concatenate([past, np.log1p(scale * (magnitudes[:, : len(bank)] @ bank))])
        flux = np.maximum(0.0, level[lag:] - _widened(level[:-lag]))
        strengths[:, part.stop - len(flux) : part.stop] = (flux @ means).T
        past = level[-lag:]
    fps = RATE / hop
    usual = strengths.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
    local = scipy.ndimage.uniform_filter1d(strengths, max(1, round(6.0 * fps)), mode="nearest")
    local += 0.25 * usual + np.float32(1e-9)
    strengths /= local
    return Onsets(onset=strengths, fps=fps, movement=float(usual.max()))


def onset_at(beats: Array, bands: Onsets) -> Array:
    """Strongest onset within 30 ms of each beat, per band; shape (3, beats)."""
    near = scipy.ndimage.maximum_filter1d(np.minimum(bands.onset, LOUDEST), 7, axis=1)
    frames = np.round(beats * bands.fps).astype(int)
    return np.asarray(near[:, np.clip(frames, 0, near.shape[1] - 1)], dtype=np.float64)


def _loudest(mono: Mono, window: int) -> float:
    """Highest magnitude in any mel band, from as many frames as it takes to miss no sound."""
    bank = _mel_bank(window)
    loud = (frames[:, : len(bank)] @ bank for _, frames in spectrogram(mono, window, window // 2))
    return max(float(level.max()) for level in loud)


def _widened(level: Curve) -> Curve:
    """Highest of each band and its neighbours; shape (frames, bands)."""
    wide = level.copy()
    np.maximum(wide[:, 1:], level[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], level[:, 1:], out=wide[:, :-1])
    return wide


@lru_cache(maxsize=2)
def _mel_bank(window: int) -> Curve:
    """Make mel bands, shape (bins that any of them has, `_ROWS`)."""
    bank = mel_bank(window, _ROWS, _LOWEST_HZ, _HIGHEST_HZ)
    return bank[: int(np.flatnonzero(bank.any(axis=1))[-1]) + 1]


@lru_cache(maxsize=1)
def _band_means() -> Curve:
    """Return what makes the means of `_BANDS_HZ` of mel bands; shape (`_ROWS`, 3)."""
    hz = mel_corners(_ROWS, _LOWEST_HZ, _HIGHEST_HZ)
    members = np.stack([(hz >= low) & (hz < high) for low, high in _BANDS_HZ], axis=1)
    return np.asarray(members / members.sum(axis=0), dtype=np.float32)
