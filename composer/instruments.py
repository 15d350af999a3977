"""The sounds of bass and chord instruments, and the room they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal

_TABLE = 8192
_RELEASE_S = 0.06
_DARK = 0.6  # level of the dark layer beside the bright one


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A plucked or held sound: a dark layer that rings, a bright one that dies sooner.

    Attributes
    ----------
    level
        Gain of a note of level 1.
    slope
        Harmonic k of the bright layer has amplitude k ** -slope.
    highest_hz
        Where the harmonics end.
    bright_s, dark_s
        Time constants of the two layers in seconds.
    attack_s
        Time from the first sample to full level, in seconds.
    detune_cents
        Left and right sound this far apart, which makes the sound wide; 0 is mono.
    pan
        From -1 (left) to 1 (right).
    """

    level: float
    slope: float
    highest_hz: float
    bright_s: float
    dark_s: float
    attack_s: float
    detune_cents: float
    pan: float

    @property
    def release(self) -> npt.NDArray[np.float32]:
        """Gain of the end of a note that is let go, float32, shape (m,)."""
        length = int(_RELEASE_S * SAMPLE_RATE)
        gain: npt.NDArray[np.float32] = np.square(
            np.cos(np.linspace(0, np.pi / 2, length, dtype=np.float32))
        )
        return gain

    def sound(self, pitch: int, seconds: float) -> Signal:
        """Return a note, not yet let go, float32, shape (2, n), from its first sample on."""
        length = int((seconds + _RELEASE_S) * SAMPLE_RATE)
        t = np.arange(length, dtype=np.float32) / SAMPLE_RATE
        bright = np.exp(-t / np.float32(self.bright_s))
        dark = np.exp(-t / np.float32(self.dark_s)) * np.minimum(
            1.0, (t + np.float32(0.0005)) / np.float32(self.attack_s)
        )
        bright *= np.minimum(1.0, (t + np.float32(0.0005)) / np.float32(self.attack_s))
        pitch_hz = 440 * 2 ** ((pitch - 69) / 12)
        highest = max(3, min(int(self.highest_hz / pitch_hz), int(17_000 / pitch_hz)))
        tables = _harmonics(highest, self.slope), _harmonics(min(3, highest), 1.6)
        sides = (-1.0, 1.0) if self.detune_cents else (0.0,)
        out = np.empty((2, length), dtype=np.float32)
        for side, cents in enumerate(sides):
            step = pitch_hz * 2 ** (cents * self.detune_cents / 2400) * _TABLE / SAMPLE_RATE
            phase = (np.arange(length) * step).astype(np.int64) & (_TABLE - 1)
            out[side:] = tables[0][phase] * bright + np.float32(_DARK) * tables[1][phase] * dark
        return out * pan_gains(self.pan) * np.float32(self.level)


INSTRUMENTS = {
    "bass": Instrument(
        level=0.5,
        slope=1.3,
        highest_hz=1800,
        bright_s=0.16,
        dark_s=1.4,
        attack_s=0.003,
        detune_cents=0,
        pan=0.0,
    ),
    "guitar": Instrument(
        level=0.26,
        slope=0.6,
        highest_hz=6500,
        bright_s=0.28,
        dark_s=0.9,
        attack_s=0.0015,
        detune_cents=9,
        pan=-0.25,
    ),
    "keys": Instrument(
        level=0.32,
        slope=1.0,
        highest_hz=6000,
        bright_s=0.35,
        dark_s=1.3,
        attack_s=0.002,
        detune_cents=5,
        pan=0.3,
    ),
    "pad": Instrument(
        level=0.12,
        slope=0.85,
        highest_hz=5000,
        bright_s=6.0,
        dark_s=6.0,
        attack_s=0.06,
        detune_cents=14,
        pan=0.0,
    ),
}


def _harmonics(highest: int, slope: float) -> npt.NDArray[np.float32]:
    k = np.arange(1, highest + 1)
    # Schroeder's phases spread the energy over the period: a full sound without a high peak.
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : highest + 1] = k**-slope * np.exp(1j * np.pi * k**2 / (highest + 1))
    # The soft top end is what keeps a synthetic tone from buzzing.
    spectrum[1 : highest + 1] *= np.cos(0.5 * np.pi * k / (highest + 1))
    table: npt.NDArray[np.float32] = (np.fft.irfft(spectrum) * _TABLE / 2).astype(np.float32)
    return table


def pan_gains(pan: float) -> npt.NDArray[np.float32]:
    """Return the equal-power gains of a place from -1 to 1, float32, shape (2, 1)."""
    angle = (pan + 1) * np.pi / 4
    gains = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
    narrow: npt.NDArray[np.float32] = gains.astype(np.float32)
    return narrow


def build_room(rng: np.random.Generator, decay_s: float) -> Signal:
    """Return a room's response, float32, shape (2, n), of energy 1 and without the direct sound.

    Parameters
    ----------
    rng
        Where the reflections are drawn from.
    decay_s
        Time in seconds in which the reverberation falls by 60 dB.
    """
    length = int(decay_s * SAMPLE_RATE)
    noise = rng.standard_normal((2, length)) * 10 ** (-3 * np.arange(length) / length)
    noise[:, : int(0.012 * SAMPLE_RATE)] = 0.0
    band = signal.butter(1, [250, 5500], "bandpass", fs=SAMPLE_RATE, output="sos")
    room = signal.sosfilt(band, noise, axis=-1)
    quiet: Signal = (room / np.sqrt(np.sum(room**2, axis=-1, keepdims=True))).astype(np.float32)
    return quiet
