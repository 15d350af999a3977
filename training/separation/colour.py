"""What gives a remixed song its colour, cheap enough for every crop that a network is shown.

Those of `training.effects` shape a clip once, when it is rendered; these ones come on top,
differently each time. Signals are tensors of shape (2, n).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from torch import Tensor

_LOWEST_HZ = 40.0
_MIDDLE_OCTAVE = 4.0  # 640 Hz
_EQ_DB = 7.0
_ECHOES_S = (0.0014, 0.041)


def equaliser(rng: np.random.Generator, frequencies_hz: Tensor) -> Tensor:
    """Draw a curve of gains: a tilt, and one to three broad bells."""
    octaves = torch.log2(frequencies_hz.clamp(min=_LOWEST_HZ) / _LOWEST_HZ)
    gain_db = float(rng.uniform(-0.25, 0.25)) * _EQ_DB * (octaves - _MIDDLE_OCTAVE)
    for _ in range(rng.integers(1, 4)):
        centre, width = float(rng.uniform(0.0, 8.0)), float(rng.uniform(0.3, 1.5))
        bell = torch.exp(-(((octaves - centre) / width) ** 2))
        gain_db += float(rng.normal(0.0, 0.6 * _EQ_DB)) * bell
    return 10 ** (gain_db / 20)


def codec_cutoff(rng: np.random.Generator, frequencies_hz: Tensor) -> Tensor:
    """Draw the curve of gains of a codec that leaves out the treble."""
    edge_hz, steepness = float(rng.uniform(5_000.0, 11_000.0)), float(rng.choice([8, 30, 80]))
    return 1 / (1 + (frequencies_hz / edge_hz) ** steepness)


def saturated(rng: np.random.Generator, signal: Tensor) -> Tensor:
    """Drive a signal into a soft limit, more or less; quiet passages keep their level."""
    drive = float(np.exp(rng.uniform(0.0, 2.5))) / 0.3
    return torch.tanh(signal * drive) / drive


def balanced(signal: Tensor, place: float) -> Tensor:
    """Turn the balance towards the left (-1) or the right (1); a whole turn leaves one side."""
    gains = torch.tensor([[1.0 - place], [1.0 + place]])
    return signal * gains


def with_width(signal: Tensor, width: float) -> Tensor:
    """Scale the difference of the channels: 0 is mono, 1 leaves the signal as it is."""
    middle = signal.mean(0, keepdim=True)
    return middle + (signal - middle) * width


def echoed_wide(rng: np.random.Generator, signal: Tensor) -> Tensor:
    """Add one to three early echoes, each to one channel, some of them with the sign turned."""
    wide = signal.clone()
    shortest, longest = (int(s * SAMPLE_RATE) for s in _ECHOES_S)
    for _ in range(rng.integers(1, 4)):
        delay = int(rng.integers(shortest, longest))
        gain = db_to_gain(rng.uniform(-14.0, -2.0)) * float(rng.choice([-1.0, 1.0]))
        channel = int(rng.integers(2))
        wide[channel, delay:] += gain * signal[channel, :-delay]
    return wide


def db_to_gain(level_db: float) -> float:
    """Turn decibels into a factor of amplitudes."""
    return float(10 ** (level_db / 20))
