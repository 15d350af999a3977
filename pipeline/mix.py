"""Two aligned layers to one finished mix: balance, fades, loudness, ceiling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.loudness import (
    TARGET_LUFS,
    integrated_lufs,
    limiting_gain,
    vocals_to_backing_lu,
)
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.types import Plan, Signal

MOST_GAIN_DB = 24.0
"""A layer is raised by no more: what needs more is residue, not music."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layers:
    """The two layers of a mash-up, aligned; their sum is the mix.

    Attributes
    ----------
    vocals, backing
        float32, shape (2, n), 44 100 Hz.
    """

    vocals: Signal
    backing: Signal

    def __mul__(self, gain: float | Signal) -> Layers:
        """Apply one gain, or one curve of gains of shape (n,), to both layers."""
        return Layers(
            vocals=np.asarray(self.vocals * gain, dtype=np.float32),
            backing=np.asarray(self.backing * gain, dtype=np.float32),
        )

    @property
    def mix(self) -> Signal:
        """The sum; shape (2, n)."""
        return self.vocals + self.backing


def level(layers: Layers, balance_lu: float) -> Layers:
    """Set the vocals against the backing, by one gain for the whole song.

    Parameters
    ----------
    layers
        The aligned layers.
    balance_lu
        K-weighted level of the vocals above the backing while the voice sounds, in LU.
    """
    now = vocals_to_backing_lu(layers.vocals, layers.backing)
    if now is None:
        return layers
    gain_db = float(np.clip(balance_lu - now, -MOST_GAIN_DB, MOST_GAIN_DB))
    return Layers(
        vocals=np.asarray(layers.vocals * 10.0 ** (gain_db / 20.0), dtype=np.float32),
        backing=layers.backing,
    )


def fade(layers: Layers, plan: Plan) -> Layers:
    """Let the voice in no earlier than two bars before its first downbeat, and fade the end.

    A voice at half time may have a pickup of more than one bar of the backing.
    """
    time_s = np.arange(layers.vocals.shape[1], dtype=np.float32) / SAMPLE_RATE
    bar_s = 240.0 / plan.bpm if plan.bpm else 0.0
    enter = np.clip((time_s - (plan.voice_enters_s - 2 * bar_s)) / 0.2, 0.0, 1.0)
    leave = np.clip((plan.length_s - time_s) / plan.fade_out_s, 0.0, 1.0)
    return Layers(vocals=layers.vocals * enter, backing=layers.backing) * leave


def master(layers: Layers, ceiling_dbtp: float) -> Layers:
    """Bring a mix to `TARGET_LUFS`, its true peaks under a ceiling.

    Limiting takes loudness away, so gain and limiter take turns until both hold. The limiter's
    gain is applied to the layers, whose sum is then the finished mix.

    Parameters
    ----------
    layers
        The balanced layers.
    ceiling_dbtp
        Highest true peak to leave, in dBTP.
    """
    gain_db, done = 0.0, layers
    for _ in range(4):
        missing = TARGET_LUFS - integrated_lufs(done.mix)
        if not np.isfinite(missing):
            return layers
        gain_db = min(gain_db + missing, MOST_GAIN_DB + 20.0)
        louder = layers * float(10.0 ** (gain_db / 20.0))
        done = louder * limiting_gain(louder.mix, ceiling_dbtp)
        if abs(missing) < 0.1:
            break
    return done
