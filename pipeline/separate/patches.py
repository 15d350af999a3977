"""A song in patches: how it is cut, how it is put together again, and the sizes of it all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from pipeline.types import Signal

_UNET_STRIDE = 64  # six layers halve both axes


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchGeometry:
    """The sizes in which the network sees a song.

    Attributes
    ----------
    n_frames
        Frames in a patch, Spleeter's ``T``.
    n_bins
        Frequency bins that the network sees, from 0 Hz up, Spleeter's ``F``.
    frame_length, frame_step
        Length and hop of a frame in samples.
    """

    n_frames: int
    n_bins: int
    frame_length: int
    frame_step: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> Self:
        """Take the sizes from a Spleeter configuration.

        Raises
        ------
        KeyError, TypeError, ValueError
            The configuration lacks a size, or the sizes cannot be used together.
        """
        geometry = cls(
            n_frames=int(config["T"]),
            n_bins=int(config["F"]),
            frame_length=int(config["frame_length"]),
            frame_step=int(config["frame_step"]),
        )
        if min(geometry.n_frames, geometry.n_bins, geometry.frame_step) < 1:
            raise ValueError("T, F and frame_step must be at least 1")
        if geometry.n_frames % _UNET_STRIDE or geometry.n_bins % _UNET_STRIDE:
            raise ValueError(f"T and F must be multiples of {_UNET_STRIDE}")
        if geometry.frame_length % geometry.frame_step:
            raise ValueError("frame_length must be a multiple of frame_step")
        if geometry.frame_length & (geometry.frame_length - 1):
            raise ValueError("frame_length must be a power of two")
        if geometry.n_bins > geometry.frame_length // 2 + 1:
            raise ValueError("F must not exceed frame_length / 2 + 1")
        return geometry

    @property
    def patch_length(self) -> int:
        """Samples that the frames of one patch span."""
        return (self.n_frames - 1) * self.frame_step + self.frame_length

    def patch_starts(self, n_samples: int) -> range:
        """First sample of every patch; the first ones lie before the song.

        Spleeter puts one frame of silence before the song and rounds the number of frames up.
        """
        n_frames = -(-(n_samples + self.frame_length) // self.frame_step)
        n_patches = -(-n_frames // self.n_frames)
        stride = self.n_frames * self.frame_step
        return range(-self.frame_length, n_patches * stride - self.frame_length, stride)


class Seam:
    """Joins the patches of a song, of which the ends overlap.

    Parameters
    ----------
    geometry
        The patches' sizes.
    """

    def __init__(self, geometry: PatchGeometry) -> None:
        self._stride = geometry.n_frames * geometry.frame_step
        self._end = np.zeros((2, geometry.patch_length - self._stride), dtype=np.float32)

    def join(self, patch: Signal, start: int, length: int) -> tuple[slice, slice]:
        """Add the end of the last patch to the next.

        Parameters
        ----------
        patch
            Shape (2, `PatchGeometry.patch_length`); changed in place.
        start
            Its first sample's place in the song.
        length
            Samples of the song.

        Returns
        -------
        tuple
            What is complete now: where it lies in the song, and where in the patch.
        """
        patch[:, : self._end.shape[-1]] += self._end
        self._end[:] = patch[:, self._stride :]
        first = max(start, 0)
        last = max(first, min(start + self._stride, length))
        return slice(first, last), slice(first - start, last - start)
