"""Signal to onset strength: how much begins at each moment, in three bands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.ndimage

Array: TypeAlias = npt.NDArray[np.float64]

RATE = 22_050
"""Hz; nothing above 11 kHz helps to find a beat."""

LOUDEST = 6.0
"""Onset strength above which louder is no clearer."""

_BANDS_HZ = ((27.0, 110.0), (110.0, 3000.0), (3000.0, 10_000.0))
_BAND_WEIGHTS = (1.0, 1.0, 0.6)  # hi-hats tick on every eighth and say little about the beat
_BLOCK = 4096  # frames at a time: the spectrogram of a long song never exists as a whole


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Onsets:
    """Where notes and strokes begin.

    Attributes
    ----------
    onset
        Onset strength of three bands, each relative to its own local mean; shape (3, frames).
    fps
        Frames a second.
    movement
        Mean strength of the band that moves most, before it is made relative.
    """

    onset: Array
    fps: float
    movement: float

    @property
    def mixed(self) -> Array:
        """Mean of the bands by what they say of the beat; shape (frames,)."""
        weights = np.asarray(_BAND_WEIGHTS)
        return np.asarray(weights @ self.onset / weights.sum())


def _mel_levels(
    mono: npt.NDArray[np.float32], hop: int, window: int
) -> tuple[npt.NDArray[np.float32], Array]:
    """Magnitudes of 96 mel bands, shape (96, frames), and the bands' centres in hertz."""
    import librosa  # noqa: PLC0415 - half a second that only the tracker needs to pay

    bank = librosa.filters.mel(sr=RATE, n_fft=window, n_mels=96, fmin=27.0, fmax=10_000.0)
    padded = np.pad(mono, window // 2)
    frames = 1 + len(mono) // hop
    levels = np.empty((96, frames), dtype=np.float32)
    for start in range(0, frames, _BLOCK):
        stop = min(frames, start + _BLOCK)
        part = padded[start * hop : (stop - 1) * hop + window]
        spectrum = librosa.stft(part, n_fft=window, hop_length=hop, center=False)
        levels[:, start:stop] = bank @ np.abs(spectrum)
    return levels, librosa.mel_frequencies(96, fmin=27.0, fmax=10_000.0)


def onset_bands(mono: npt.NDArray[np.float32], hop: int, window: int) -> Onsets:
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
    level, centres = _mel_levels(mono, hop, window)
    level *= 100.0 / (level.max() + 1e-9)
    np.log1p(level, out=level)
    lag = max(1, round(0.02 * RATE / hop))
    members = [(centres >= low) & (centres < high) for low, high in _BANDS_HZ]
    strengths = np.zeros((len(members), level.shape[1]))
    for start in range(lag, level.shape[1], _BLOCK):
        now = level[:, start : start + _BLOCK]
        before = level[:, start - lag : start - lag + now.shape[1]]
        flux = np.maximum(0.0, now - scipy.ndimage.maximum_filter1d(before, 3, axis=0))
        for row, member in zip(strengths, members, strict=True):
            row[start : start + _BLOCK] = flux[member].mean(axis=0)
    fps = RATE / hop
    usual = strengths.mean(axis=1, keepdims=True)
    local = scipy.ndimage.uniform_filter1d(strengths, max(1, round(6.0 * fps)), mode="nearest")
    onset = strengths / (local + 0.25 * usual + 1e-9)
    return Onsets(onset=onset, fps=fps, movement=float(usual.max()))


def onset_at(beats: Array, bands: Onsets) -> Array:
    """Strongest onset within 30 ms of each beat, per band; shape (3, beats)."""
    near = scipy.ndimage.maximum_filter1d(np.minimum(bands.onset, LOUDEST), 7, axis=1)
    frames = np.round(beats * bands.fps).astype(int)
    return np.asarray(near[:, np.clip(frames, 0, near.shape[1] - 1)])
