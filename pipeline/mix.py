"""Two aligned layers to one finished mix: balance, fades, loudness, ceiling.

Everything here is decided on curves; only `Premaster` goes through the sound itself.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.gains import knot_times_s, power_gain
from pipeline.loudness import (
    CEILING_DBTP,
    TARGET_LUFS,
    balance_lu,
    gated_lufs,
    levels,
    limiting_gain,
    measure_with_peaks,
)
from pipeline.meters import PeakMeter
from pipeline.tapes import blocks
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.gains import Curve, Gain
    from pipeline.layers import Layer, Layers
    from pipeline.loudness import Levels
    from pipeline.types import Plan, Role, Signal

MOST_GAIN_DB = 24.0
"""A layer is raised by no more: what needs more is residue, not music."""

METERS_DIFFER_DB = 0.03
"""Left below a ceiling: a finer meter finds true peaks up to 0.01 dB above ours."""

_NEAR_ENOUGH_LU = 0.01
_MORE_GAIN_DB = 4.0  # than the sum of powers asks for: limiting, lower ceilings, what cancels out
_MOST_TURNS = 12


class Premaster:
    """A balanced mix and all that its master is decided on, measured when somebody asks for it.

    Parameters
    ----------
    layers
        The balanced layers.
    """

    def __init__(self, layers: Layers) -> None:
        self.layers = layers
        self.measured: tuple[Levels, Signal] | None = None

    @property
    def power(self) -> Levels:
        """K-weighted power of the layers' sum every 10 ms, shape (n // 441,)."""
        return self._curves[0]

    @property
    def peaks(self) -> Signal:
        """True peak of the layers' sum in every step of 49 samples, shape (ceil(n / 49),).

        Where it does not matter, a bound.
        """
        return self._curves[1]

    @cached_property
    def expected_power(self) -> Levels:
        """What `power` must be if the layers have nothing to do with each other."""
        return self.layers.vocals.power + self.layers.backing.power

    @property
    def expected_lufs(self) -> float:
        """How loud the mix must be then."""
        return gated_lufs(self.expected_power)

    @property
    def floor(self) -> float:
        """Peaks up to which a mix stays well below the ceiling when it is raised."""
        lufs = self.expected_lufs
        gain_db = TARGET_LUFS - lufs + _MORE_GAIN_DB if np.isfinite(lufs) else MOST_GAIN_DB
        return float(10.0 ** ((CEILING_DBTP - gain_db) / 20.0))

    @property
    def _curves(self) -> tuple[Levels, Signal]:
        if self.measured is None:
            self.measured = measure_with_peaks(blocks(self.layers.mix), PeakMeter(self.floor))
        return self.measured


def level(vocals: Layer, backing: Layer, wanted_lu: float) -> Layer:
    """Set the vocals against the backing, by one gain for the whole song.

    Parameters
    ----------
    vocals, backing
        The aligned layers.
    wanted_lu
        K-weighted level of the vocals above the backing while the voice sounds, in LU.

    Returns
    -------
    Layer
        The vocals; as they came where the two never sound together.
    """
    now = balance_lu(levels(vocals.power), levels(backing.power))
    return vocals if now is None else vocals * _factor(wanted_lu - now)


def even(bands: dict[Role, Layer]) -> dict[Role, Layer]:
    """Bring the vocal song's band to the loudness of the backing's, where both are heard."""
    if len(bands) < 2:
        return bands
    gain_db = gated_lufs(bands["backing"].power) - gated_lufs(bands["vocals"].power)
    if not np.isfinite(gain_db):
        return bands
    return {**bands, "vocals": bands["vocals"] * _factor(gain_db)}


def enter(vocals: Layer, plan: Plan) -> Layer:
    """Let the voice in no earlier than two bars before its first downbeat.

    A voice at half time may have a pickup of more than one bar of the backing.
    """
    bar_s = 240.0 / plan.bpm if plan.bpm else 0.0
    since_s = knot_times_s(vocals.shape[1]) - (plan.voice_enters_s - 2 * bar_s)
    return vocals * np.clip(since_s / 0.2, 0.0, 1.0).astype(np.float32)


def fade_out(layers: Layers, seconds: float) -> Layers:
    """Fade the end of both layers, over so many seconds."""
    samples = layers.vocals.shape[1]
    left_s = samples / SAMPLE_RATE - knot_times_s(samples)
    return layers * np.clip(left_s / seconds, 0.0, 1.0).astype(np.float32)


def master(draft: Premaster, ceiling_dbtp: float, wanted_lufs: float = TARGET_LUFS) -> Layers:
    """Bring a mix to a loudness, its true peaks under a ceiling; see `master_gain`."""
    return draft.layers * master_gain(draft, ceiling_dbtp, wanted_lufs)


def master_gain(draft: Premaster, ceiling_dbtp: float, wanted_lufs: float = TARGET_LUFS) -> Gain:
    """Return the gain that brings a mix to a loudness, its true peaks under a ceiling.

    Limiting takes loudness away, so gain and limiter take turns until both hold. Applied to the
    layers it makes them sum to the finished mix.

    Parameters
    ----------
    draft
        The balanced mix.
    ceiling_dbtp
        Highest true peak to leave, in dBTP.
    wanted_lufs
        Integrated loudness to reach; `MOST_GAIN_DB` and 20 dB more is as far as it goes.
    """

    def limited(gain_db: float) -> Gain:
        return limited_gain(draft.peaks, gain_db, ceiling_dbtp)

    def reached_lufs(gain_db: float) -> float:
        return gated_lufs(draft.power * power_gain(limited(gain_db), len(draft.power)))

    return limited(find_gain_db(reached_lufs, wanted_lufs))


def limited_gain(peaks: Signal, gain_db: float | Curve, ceiling_dbtp: float) -> Gain:
    """Return the gain that raises a mix by so much and holds its peaks under a ceiling.

    Parameters
    ----------
    peaks
        As `Premaster.peaks`, of the whole mix or of a stretch.
    gain_db
        How far the mix is raised, in dB; of each knot, if it moves.
    ceiling_dbtp
        Highest true peak to leave, in dBTP.
    """
    louder = np.asarray(10.0 ** (np.asarray(gain_db) / 20.0), dtype=np.float32)
    raised = peaks * (np.maximum(louder[:-1], louder[1:]) if louder.ndim else louder)
    return np.asarray(limiting_gain(raised, ceiling_dbtp - METERS_DIFFER_DB) * louder)


def find_gain_db(reached_lufs: Callable[[float], float], wanted_lufs: float) -> float:
    """Find by how many dB a mix has to be raised to be so loud after what limiting takes away.

    Parameters
    ----------
    reached_lufs
        Says how loud it is, limited, when it is raised by so much.
    wanted_lufs
        Integrated loudness to reach; `MOST_GAIN_DB` and 20 dB more is as far as it goes.

    Returns
    -------
    float
        The gain in dB; 0 for silence.
    """
    gain_db = 0.0
    for _ in range(_MOST_TURNS):
        missing = wanted_lufs - reached_lufs(gain_db)
        if not np.isfinite(missing) or abs(missing) < _NEAR_ENOUGH_LU:
            break
        gain_db = min(gain_db + missing, MOST_GAIN_DB + 20.0)
    return gain_db


def _factor(gain_db: float) -> float:
    """Return the factor of a layer's gain, kept within bounds."""
    return float(10.0 ** (np.clip(gain_db, -MOST_GAIN_DB, MOST_GAIN_DB) / 20.0))
