"""A song in patches: how it is cut, how it is put together again, and the sizes of it all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

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


def cut(samples: Signal, start: int, length: int) -> Signal:
    """Cut a stretch out of the song; before its start and after its end there is silence."""
    cut = np.zeros((samples.shape[0], length), dtype=np.float32)
    inside = samples[:, max(start, 0) : max(start + length, 0)]
    offset = max(-start, 0)
    cut[:, offset : offset + inside.shape[-1]] = inside
    return cut


def add(total: Signal, start: int, patch: Signal) -> None:
    """Add a patch to the song at its place, in place; what sticks out at the ends is dropped."""
    inside = total[:, max(start, 0) : max(start + patch.shape[-1], 0)]
    offset = max(-start, 0)
    inside += patch[:, offset : offset + inside.shape[-1]]


def overlap_add(frames: npt.NDArray[np.float32], step: int) -> Signal:
    """Sum frames, shape (2, n_frames, frame_length), each `step` samples after the last."""
    n_channels, n_frames, frame_length = frames.shape
    out = np.zeros((n_channels, (n_frames - 1) * step + frame_length), dtype=np.float32)
    for first in range(0, frame_length, step):
        part = frames[:, :, first : first + step].reshape(n_channels, n_frames * step)
        out[:, first : first + n_frames * step] += part
    return out
