"""The layers of a mash-up: signals with gains that are applied where somebody listens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.gains import GRAIN, along, flat, knots, power_gain
from pipeline.loudness import measure
from pipeline.tapes import head, release

if TYPE_CHECKING:
    from pipeline.gains import Gain
    from pipeline.loudness import Levels
    from pipeline.tapes import Sound
    from pipeline.types import Signal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """A signal and the gain that it is heard with; reads like a signal, stretch by stretch.

    Attributes
    ----------
    samples
        float32, shape (2, n), 44 100 Hz, in memory or on disk, or what reads like it.
    raw_power
        K-weighted power of `samples` every 10 ms, as `pipeline.loudness.measure` gives it.
    gain
        Shape (`pipeline.gains.knots` of n,).
    """

    samples: Sound
    raw_power: Levels
    gain: Gain

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and samples: (2, n)."""
        return self.samples.shape

    @property
    def power(self) -> Levels:
        """K-weighted power every 10 ms of what is heard, shape (n // 441,)."""
        # The gain hardly moves within the few milliseconds that the weighting rings.
        return np.asarray(self.raw_power * power_gain(self.gain, len(self.raw_power)))

    def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
        """Return what is heard in a stretch, ``layer[:, start:stop]``."""
        start, stop, _ = key[1].indices(self.shape[1])
        heard = self.samples[key[0], start:stop] * along(self.gain, start, max(start, stop))
        release(self.samples)
        return np.asarray(heard, dtype=np.float32)

    def __mul__(self, gain: float | Gain) -> Layer:
        """Apply a factor, or a gain that moves."""
        return replace(self, gain=np.asarray(self.gain * gain, dtype=np.float32))

    def until(self, length: int) -> Layer:
        """Return the first so many samples."""
        return Layer(
            samples=head(self.samples, length),
            raw_power=self.raw_power[: length // GRAIN],
            gain=self.gain[: knots(min(length, self.shape[1]))],
        )


def layer_of(samples: Sound, power: Levels | None = None) -> Layer:
    """Make a layer of a signal of shape (2, n), as loud as it is.

    Parameters
    ----------
    samples
        float32, shape (2, n), 44 100 Hz, or what reads like it.
    power
        What `pipeline.loudness.measure` says of it, if that is known already.
    """
    return Layer(
        samples=samples,
        raw_power=measure(samples) if power is None else power,
        gain=flat(samples.shape[1]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mix:
    """The sum of two layers of one length; reads like a signal, stretch by stretch."""

    vocals: Layer
    backing: Layer

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and samples: (2, n)."""
        return self.vocals.shape

    def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
        """Return what is heard in a stretch, ``mix[:, start:stop]``."""
        heard = self.vocals[key]
        heard += self.backing[key]
        return heard


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """The two layers of a mash-up, aligned and of one length; their sum is the mix."""

    vocals: Layer
    backing: Layer

    @property
    def mix(self) -> Mix:
        """The sum."""
        return Mix(vocals=self.vocals, backing=self.backing)

    def __mul__(self, gain: float | Gain) -> Layers:
        """Apply one factor, or one gain that moves, to both layers."""
        return Layers(vocals=self.vocals * gain, backing=self.backing * gain)
