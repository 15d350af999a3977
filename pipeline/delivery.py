"""A finished mix to a file, measured as it will be heard."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from scipy.ndimage import uniform_filter1d

from pipeline.codec import LOSSLESS, encode
from pipeline.gains import GRAIN
from pipeline.live import SHORTEST, LiveMaster, MissedError
from pipeline.loudness import (
    CEILING_DBTP,
    TARGET_LUFS,
    balance_lu,
    gated_lufs,
    highest_dbtp,
    integrated_lufs,
    levels,
    measure_with_peaks,
)
from pipeline.meters import PeakMeter
from pipeline.mix import master, master_gain
from pipeline.types import SAMPLE_RATE, Loudness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pipeline.gains import Gain
    from pipeline.layers import Layers
    from pipeline.loudness import Levels
    from pipeline.mix import Premaster
    from pipeline.tapes import Sound
    from pipeline.types import OnFraction, Signal

OnMastered: TypeAlias = "Callable[[Layers, Gain], None]"
"""Told what goes into a file."""

ARTIST = "vocal"
"""Tag that every file of ours carries."""

_ENCODERS_ADD_DB = 0.5  # lossy ones raise true peaks by about as much
_NEAR_LU = 0.2
_MOST_LOST_LU = 1.0  # what lacks more could not be made as loud in the first place
_LONG = 300 * SAMPLE_RATE  # of more, a passage is tried first: encoding it all twice costs more
_TRIED = 20 * SAMPLE_RATE
_HEADERS = 16_384  # bytes that a short file has just as well as a long one


def deliver(
    draft: Premaster,
    path: Path,
    title: str,
    max_bytes: int | None = None,
    *,
    on_mastered: OnMastered = lambda _layers, _gain: None,
    on_fraction: OnFraction = lambda _: None,
) -> tuple[Layers, Loudness]:
    """Master a mix, write it and measure what was written.

    Encoders raise peaks, the more the fewer bits they have; then the ceiling comes down by as
    much, and not the whole mix, which would end up too quiet. Those with the fewest also leave
    out high notes; what that takes from the loudness is made up for once. With a long mix both are
    found out on its loudest passage first.

    Parameters
    ----------
    draft
        The balanced mix.
    path
        Where to write; its extension is the format.
    title
        Tag of the file.
    max_bytes
        Most bytes that the file may have.
    on_mastered
        Told what is about to be written and the gain that made it of the draft, each time.
    on_fraction
        Told the share that is written, in [0, 1], each time from the start; what it raises passes
        through.

    Returns
    -------
    Layers
        What the file holds.
    Loudness
        As measured on the file.

    Raises
    ------
    OutputError
        The file cannot be written, or not be made small enough.
    """
    aim = _Aim()
    may_be_live = False
    if path.suffix[1:] not in LOSSLESS:
        aim = replace(aim, ceiling_dbtp=CEILING_DBTP - _ENCODERS_ADD_DB)
        if draft.layers.mix.shape[1] > _LONG:
            aim = _try_out(draft, aim, path, max_bytes)
        may_be_live = (
            draft.measured is None
            and draft.layers.mix.shape[1] >= SHORTEST
            and math.isfinite(draft.expected_lufs)
        )
    while True:
        ear = _Ear()
        write = partial(
            encode,
            path=path,
            title=title,
            artist=ARTIST,
            max_bytes=max_bytes,
            listener=ear.listen,
            on_fraction=on_fraction,
        )
        layers = _write_live(draft, aim, write, on_mastered) if may_be_live else None
        if layers is None:
            gain = master_gain(draft, aim.ceiling_dbtp, aim.lufs)
            layers = draft.layers * gain
            on_mastered(layers, gain)
            write(layers.mix)
        loudness = Loudness(
            integrated_lufs=gated_lufs(ear.power),
            true_peak_dbtp=highest_dbtp(ear.peaks),
            vocals_to_backing_lu=balance_lu(
                levels(layers.vocals.power), levels(layers.backing.power)
            ),
        )
        missing_lu = 0.0 if aim.evened else TARGET_LUFS - loudness.integrated_lufs
        better = aim.corrected(loudness.true_peak_dbtp - CEILING_DBTP, missing_lu)
        if better == aim:
            return layers, loudness
        may_be_live = False
        aim = replace(better, evened=better.lufs != aim.lufs or aim.evened)


def _write_live(
    draft: Premaster, aim: _Aim, write: Callable[[Sound], object], on_mastered: OnMastered
) -> Layers | None:
    """Write a mix while it is measured; returns what was written, None where that did not do."""
    made: list[Layers] = []

    def on_gain(gain: Gain) -> None:
        made.append(draft.layers * gain)
        on_mastered(made[0], gain)

    try:
        with LiveMaster(draft, aim.ceiling_dbtp, aim.lufs, on_gain) as live:
            write(live)
    except MissedError:
        return None
    return made[0]


class _Ear:
    """Measures what comes out of the encoder; the last that it heard counts."""

    power: Levels
    peaks: Signal  # of which only the highest is asked for

    def listen(self, blocks: Iterable[Signal]) -> None:
        self.power, self.peaks = measure_with_peaks(blocks, PeakMeter(rising=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aim:
    """What a mix is mastered to, so that what the encoder makes of it is right.

    `evened` says that a whole file was made up for once: more would chase its own tail.
    """

    ceiling_dbtp: float = CEILING_DBTP
    lufs: float = TARGET_LUFS
    evened: bool = False

    def corrected(self, excess_db: float, missing_lu: float) -> _Aim:
        """Return what to aim at after the peaks came out so much too high and the whole too soft.

        The same where both are near enough.
        """
        aim = self
        if excess_db > 0:
            # What comes out falls by a little less than what goes in.
            aim = replace(aim, ceiling_dbtp=aim.ceiling_dbtp - 1.2 * excess_db - 0.05)
        if _NEAR_LU < abs(missing_lu) <= _MOST_LOST_LU:
            aim = replace(aim, lufs=aim.lufs + missing_lu)
        return aim


def _try_out(draft: Premaster, aim: _Aim, path: Path, max_bytes: int | None) -> _Aim:
    """Correct the aim by what the encoder makes of the loudest passage, before it gets it all."""
    mix = master(draft, aim.ceiling_dbtp, aim.lufs).mix
    grains = _TRIED // GRAIN
    start = GRAIN * int(uniform_filter1d(draft.power, grains)[grains // 2 :].argmax())
    passage = mix[:, start : start + _TRIED]
    budget = max_bytes and round(max_bytes * _TRIED / mix.shape[1]) + _HEADERS
    with TemporaryDirectory(dir=path.parent, prefix=".trying-") as scratch:
        ear = _Ear()
        target = Path(scratch, path.name)
        encode(passage, target, title="", max_bytes=budget, listener=ear.listen)
    lost_lu = integrated_lufs(passage) - gated_lufs(ear.power)
    return aim.corrected(highest_dbtp(ear.peaks) - CEILING_DBTP, lost_lu)
