"""From samples to what the separator's network sees, in PyTorch."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.separate.patches import PatchGeometry

_SOUNDING_SHARE = 1e-3
_LEAST_MAGNITUDE = 1e-6


def transform(samples: Tensor, geometry: PatchGeometry) -> Tensor:
    """Transform samples, shape (..., n), to complex spectra, (..., n_frames, n_bins).

    The bins are those that the network sees; the frames those that lie wholly within n.
    """
    frames = samples.unfold(-1, geometry.frame_length, geometry.frame_step)
    return torch.fft.rfft(frames * window(geometry.frame_length))[..., : geometry.n_bins]


@lru_cache
def window(frame_length: int) -> Tensor:
    """Return Spleeter's window, a periodic Hann window."""
    return torch.hann_window(frame_length)


def bins_hz(geometry: PatchGeometry, sample_rate: int) -> Tensor:
    """Return the frequencies of the network's bins."""
    return torch.arange(geometry.n_bins) * (sample_rate / geometry.frame_length)


def rms_in_spectrum(rms: float, geometry: PatchGeometry) -> float:
    """Say which root mean square of its bins a sound of this RMS has, about.

    About, because nearly all of a song's energy, not all of it, lies in the network's bins.
    """
    energy = float(window(geometry.frame_length).square().sum())
    return rms * math.sqrt(energy * geometry.frame_length / 2 / geometry.n_bins)


def power_of(spectrum: Tensor) -> Tensor:
    """Return the mean power of both channels, (n_frames, n_bins), of spectra (2, ..., ...)."""
    return (spectrum.real.square() + spectrum.imag.square()).mean(0)


def sounding_rms_of(power: Tensor) -> float:
    """Return the RMS of the frames that sound: a voice's level is not that of its pauses."""
    frames = power.mean(-1)
    return math.sqrt(float(frames[frames >= _SOUNDING_SHARE * frames.max()].mean()))


def magnitudes_of(mixture: Tensor, vocals: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mixture's magnitudes, and which of them a mask should leave to the vocals.

    The latter is the vocals' component in phase with the mixture, Re(V conj X) / |X|: of all
    real masks on X the one that leaves it is nearest to V. (Erdogan et al., Phase-sensitive and
    recognition-boosted speech separation using deep recurrent neural networks, ICASSP 2015.)

    Parameters
    ----------
    mixture, vocals
        Complex spectra of the same shape.

    Returns
    -------
    tuple of Tensor
        float32, same shape; the second within 0 and the first.
    """
    magnitude = (mixture.real.square() + mixture.imag.square()).sqrt_()
    in_phase = (mixture.real * vocals.real).addcmul_(mixture.imag, vocals.imag)
    wanted = in_phase.div_(magnitude.clamp(min=_LEAST_MAGNITUDE)).clamp_(min=0.0)
    return magnitude, torch.minimum(wanted, magnitude)
