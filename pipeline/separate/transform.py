"""The short-time Fourier transform of a patch, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

if TYPE_CHECKING:
    from pipeline.separate.patches import PatchGeometry
    from pipeline.types import Signal

Spectrum: TypeAlias = npt.NDArray[np.complex64]

# Periodic Hann windows in analysis and synthesis, hops of a quarter, sum to 3/2
# (spleeter.model.EstimatorSpecBuilder.WINDOW_COMPENSATION_FACTOR).
_WINDOW_COMPENSATION = np.float32(2.0 / 3.0)

_N_CHANNELS = 2
_AT_ONCE = 32  # frames: with their spectra they stay in a core's own cache


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Transform:
    """The transform in one model's sizes.

    Attributes
    ----------
    geometry
        The sizes.
    n_kept
        How many bins are kept, from 0 Hz up; those above are silent on the way back.
    window
        Of every frame, shape (frame_length,).
    """

    geometry: PatchGeometry
    n_kept: int
    window: npt.NDArray[np.float32]

    @classmethod
    def of(cls, geometry: PatchGeometry, *, whole: bool) -> Self:
        """Prepare the transform that keeps all bins, or those that the network sees."""
        return cls(
            geometry=geometry,
            n_kept=geometry.frame_length // 2 + 1 if whole else geometry.n_bins,
            window=scipy.signal.get_window("hann", geometry.frame_length).astype(np.float32),
        )

    def blank_spectrum(self) -> Spectrum:
        """Return room for the spectrum of one patch, shape (2, n_frames, n_kept)."""
        return np.empty((_N_CHANNELS, self.geometry.n_frames, self.n_kept), dtype=np.complex64)

    def blank_patch(self) -> Signal:
        """Return room for one patch, shape (2, `PatchGeometry.patch_length`)."""
        return np.empty((_N_CHANNELS, self.geometry.patch_length), dtype=np.float32)

    def to_spectrum(self, patch: Signal, gain: np.float32, out: Spectrum) -> None:
        """Transform a patch, raised by a gain.

        Parameters
        ----------
        patch
            Shape (2, `PatchGeometry.patch_length`).
        gain
            A factor.
        out
            Where the spectrum goes, shape (2, n_frames, n_kept).
        """
        sizes = self.geometry
        frames = np.lib.stride_tricks.sliding_window_view(patch, sizes.frame_length, axis=-1)
        frames = frames[:, :: sizes.frame_step]
        window = self.window * gain
        for channel, few in self._fews():
            spectra = scipy.fft.rfft(frames[channel, few] * window, overwrite_x=True)
            out[channel, few] = spectra[:, : self.n_kept]

    def to_patch(self, spectrum: Spectrum, gain: np.float32, out: Signal) -> None:
        """Compute what a spectrum adds to a song whose patches were raised by a gain.

        Parameters
        ----------
        spectrum
            Shape (2, n_frames, n_kept).
        gain
            The factor that is taken back.
        out
            Where it goes, shape (2, `PatchGeometry.patch_length`); its ends overlap with those of
            its neighbours.
        """
        sizes = self.geometry
        step = sizes.frame_step
        window = self.window * (_WINDOW_COMPENSATION / gain)
        out.fill(0.0)
        for channel, few in self._fews():
            # Bins that were not kept are taken for zeros.
            frames = scipy.fft.irfft(spectrum[channel, few], n=sizes.frame_length)
            frames *= window
            for first in range(0, sizes.frame_length, step):
                start = few.start * step + first
                place = out[channel, start : start + len(frames) * step]
                place += frames[:, first : first + step].reshape(-1)

    def _fews(self) -> list[tuple[int, slice]]:
        n_frames = self.geometry.n_frames
        return [
            (channel, slice(start, min(start + _AT_ONCE, n_frames)))
            for channel in range(_N_CHANNELS)
            for start in range(0, n_frames, _AT_ONCE)
        ]
