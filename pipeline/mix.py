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
    from pipeline.types import Plan, Role, Signal

MOST_GAIN_DB = 24.0
"""A layer is raised by no more: what needs more is residue, not music."""

_METERS_DIFFER_DB = 0.03  # a finer meter finds true peaks up to 0.01 dB above ours


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


def level(vocals: Signal, backing: Signal, balance_lu: float) -> Signal:
    """Set the vocals against the backing, by one gain for the whole song.

    Parameters
    ----------
    vocals, backing
        The aligned layers, shape (2, n).
    balance_lu
        K-weighted level of the vocals above the backing while the voice sounds, in LU.

    Returns
    -------
    Signal
        The vocals; as they came where the two never sound together.
    """
    now = vocals_to_backing_lu(vocals, backing)
    if now is None:
        return vocals
    gain_db = float(np.clip(balance_lu - now, -MOST_GAIN_DB, MOST_GAIN_DB))
    return np.asarray(vocals * 10.0 ** (gain_db / 20.0), dtype=np.float32)


def even(bands: dict[Role, Signal]) -> dict[Role, Signal]:
    """Bring the vocal song's band to the loudness of the backing's, where both are heard."""
    if len(bands) < 2:
        return bands
    gain_db = integrated_lufs(bands["backing"]) - integrated_lufs(bands["vocals"])
    if not np.isfinite(gain_db):
        return bands
    gain = 10.0 ** (float(np.clip(gain_db, -MOST_GAIN_DB, MOST_GAIN_DB)) / 20.0)
    return {**bands, "vocals": np.asarray(bands["vocals"] * gain, dtype=np.float32)}


def enter(vocals: Signal, plan: Plan) -> Signal:
    """Let the voice in no earlier than two bars before its first downbeat.

    A voice at half time may have a pickup of more than one bar of the backing.
    """
    time_s = np.arange(vocals.shape[1], dtype=np.float32) / SAMPLE_RATE
    bar_s = 240.0 / plan.bpm if plan.bpm else 0.0
    gain = np.clip((time_s - (plan.voice_enters_s - 2 * bar_s)) / 0.2, 0.0, 1.0)
    return np.asarray(vocals * gain, dtype=np.float32)


def fade_out(layers: Layers, seconds: float) -> Layers:
    """Fade the end of both layers, over so many seconds."""
    samples = layers.vocals.shape[1]
    left_s = np.arange(samples, 0, -1, dtype=np.float32) / SAMPLE_RATE
    return layers * np.minimum(1.0, left_s / seconds)


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
        done = louder * limiting_gain(louder.mix, ceiling_dbtp - _METERS_DIFFER_DB)
        if abs(missing) < 0.1:
            break
    return done
