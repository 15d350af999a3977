"""When somebody sings in a separated vocal stem, and when only the separator's residue sounds.

The rougher the separator, the more of the band is left in the voice, so a level alone does not
tell. Four things do: how loud the stem is in its own song, how far it stands above the other stem,
whether it stands in the middle as lead voices do, and for how long.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal

from pipeline.tapes import stretches
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal, Spans

    Curve: TypeAlias = npt.NDArray[np.float64]
    Weights: TypeAlias = npt.NDArray[np.float32]
    Flags: TypeAlias = npt.NDArray[np.bool_]

GRAIN = 2_205
"""Samples, 50 ms: one decision is made for each such piece."""

_STRETCH = 120  # grains at a time, 6 s: what is made of them stays in the processor's cache
_BAND_HZ = (150.0, 8000.0)
_SOFTEST_DB = -80.0

_SMOOTH = 13  # grains, 0.65 s: the shortest phrase worth a decision
_SECOND = 20  # grains
_BREATH = 12  # grains, 0.6 s
_LOST = 5  # grains, 0.25 s: the smoothing takes this much from either end of a passage

# Logistic regression on stems of two songs, by a rough and by a good separator, in log-odds per
# dB; rounded. The decisions' own constants, further down, were set on those and two other songs.
_AT_FULL_VOICE, _PER_LEVEL_DB, _PER_SPREAD_DB = 3.5, 0.21, -0.14

_LENT_DB = 6.0  # a quiet phrase over a quiet band is a phrase: clearness may stand in for level
_NO_SIDE_DB = -30.0  # with so little in the sides, where a sound stands says nothing
_SPOTLESS_DB = 15.0  # no separator leaves residue this far above what it left it from

_THRESHOLD = 0.75  # where a song has enough silence to know its residue by, else 0
_LEAST_SILENCE = 0.2
_CHANGE_COST = 2.0
_SURE = 1.9  # the score that every phrase must reach for a second somewhere,
_STANDS_OUT = 2.0  # or the standard deviations by which it rises above the residue,
_LONG = 32.0  # or the evidence that it must gather, grain by grain


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Evidence:
    """Log-odds that somebody sings, and dB above the other stem; one value per `GRAIN`."""

    score: Curve
    clear_db: Curve


def where_sung(vocals: Signal, accompaniment: Signal) -> Flags:
    """Decide when somebody sings.

    Parameters
    ----------
    vocals, accompaniment
        The two stems of one song, shape (2, n), 44 100 Hz, n at least 1.

    Returns
    -------
    Flags
        One for every `GRAIN` samples, the last piece shorter; shape (ceil(n / GRAIN),). In doubt
        somebody sings.
    """
    evidence = _gather(vocals, accompaniment)
    surely_silent = ~_likeliest(evidence.score)
    if surely_silent.mean() < _LEAST_SILENCE:
        return ~surely_silent
    return _without_residue(_likeliest(evidence.score - _THRESHOLD), evidence)


def find_sung(vocals: Signal, accompaniment: Signal) -> Spans:
    """Find the passages in which somebody sings.

    Parameters
    ----------
    vocals, accompaniment
        The two stems of one song, shape (2, n).

    Returns
    -------
    Spans
        Passages of at least half a second, breaths of up to 0.6 s included.
    """
    if not any(stretch.any() for _, (stretch,) in stretches(vocals)):
        return ()
    flags = where_sung(vocals, accompaniment)
    whole = scipy.ndimage.binary_dilation(flags, np.ones(2 * _LOST + 1))
    padded = np.pad(whole, _BREATH)
    joined = scipy.ndimage.binary_closing(padded, np.ones(_BREATH + 1))[_BREATH:-_BREATH]
    edges = np.flatnonzero(np.diff(joined, prepend=False, append=False)) * GRAIN / SAMPLE_RATE
    ends = np.minimum(edges, vocals.shape[1] / SAMPLE_RATE).reshape(-1, 2)
    return tuple((float(a), float(b)) for a, b in ends if b - a >= 0.5)


def _gather(vocals: Signal, accompaniment: Signal) -> _Evidence:
    voice_db, side_db, band_db = _levels(vocals, accompaniment)
    clear = _smooth(voice_db - band_db)
    spotless = np.maximum(clear - _SPOTLESS_DB, 0.0)
    level, spread = _smooth(voice_db), _smooth(np.maximum(side_db - voice_db, _NO_SIDE_DB))
    level -= np.percentile(level, 90)
    clear -= np.percentile(clear, 90)
    spread -= np.percentile(spread, 10)
    level = np.maximum(level, np.minimum(clear, level + _LENT_DB))
    score = _AT_FULL_VOICE + _PER_LEVEL_DB * level + _PER_SPREAD_DB * spread
    return _Evidence(score=score + _PER_LEVEL_DB * spotless, clear_db=clear)


def _levels(vocals: Signal, accompaniment: Signal) -> tuple[Curve, Curve, Curve]:
    """Levels of the voice's middle, of its sides, and of the band's middle, grain by grain."""
    count = -(-vocals.shape[-1] // GRAIN)
    levels = np.empty((3, count))
    for where, (voice, band) in stretches(vocals, accompaniment, size=_STRETCH * GRAIN):
        part = slice(where.start // GRAIN, min(count, where.start // GRAIN + _STRETCH))
        levels[0, part] = _band_levels(0.5 * (voice[0] + voice[1]))
        levels[1, part] = _band_levels(0.5 * (voice[0] - voice[1]))
        levels[2, part] = _band_levels(0.5 * (band[0] + band[1]))
    return levels[0], levels[1], levels[2]


def _band_levels(channel: Signal) -> Curve:
    """Level from 150 to 8000 Hz of each grain of a channel of shape (n,), in dB; at least -80."""
    grains = np.pad(channel, (0, -len(channel) % GRAIN)).reshape(-1, GRAIN)
    taper, weights = _listening()
    magnitudes = np.abs(scipy.fft.rfft(grains * taper))
    power = (np.square(magnitudes, out=magnitudes) @ weights).astype(np.float64)
    return np.asarray(10.0 * np.log10(power + 10.0 ** (_SOFTEST_DB / 10.0)))


@lru_cache(maxsize=1)
def _listening() -> tuple[Weights, Weights]:
    """Taper of a grain, and what each bin of its power spectrum adds to its level."""
    taper = scipy.signal.windows.tukey(GRAIN, 0.25)
    band = scipy.signal.butter(2, _BAND_HZ, "bandpass", fs=SAMPLE_RATE, output="sos")
    hz = scipy.fft.rfftfreq(GRAIN, 1.0 / SAMPLE_RATE)
    passed = np.abs(scipy.signal.sosfreqz(band, hz, fs=SAMPLE_RATE)[1]) ** 2
    weights = 2.0 * passed / (GRAIN * np.sum(taper**2))
    return taper.astype(np.float32), weights.astype(np.float32)


def _smooth(levels: Curve, size: int = _SMOOTH) -> Curve:
    return np.asarray(scipy.ndimage.uniform_filter1d(levels, size, mode="nearest"))


def _likeliest(odds: Curve) -> Flags:
    """Return the likeliest course of singing and silence, changes at a cost (Viterbi)."""
    silent, sung = 0.0, 0.0
    came_from = np.empty((len(odds), 2), dtype=np.int8)
    for moment, evidence in enumerate(odds.tolist()):
        from_sung, stay_sung = sung - _CHANGE_COST, silent - _CHANGE_COST
        came_from[moment] = (from_sung > silent, sung >= stay_sung)
        silent, sung = max(silent, from_sung), max(sung, stay_sung) + evidence
    states = np.empty(len(odds), dtype=bool)
    state = int(sung >= silent)
    for moment in range(len(odds) - 1, -1, -1):
        states[moment] = state
        state = int(came_from[moment, state])
    return states


def _without_residue(sung: Flags, evidence: _Evidence) -> Flags:
    """Return `sung` without passages that are like the residue of the song's silent ones."""
    # Words a breath apart stand or fall together.
    near = scipy.ndimage.binary_closing(np.pad(sung, _BREATH), np.ones(_BREATH + 1))
    phrases, count = scipy.ndimage.label(near[_BREATH:-_BREATH])
    residue = evidence.clear_db[~sung]
    if not count or len(residue) < _SECOND:
        return sung
    above = _smooth(evidence.clear_db, _SECOND) - residue.mean()
    numbers = np.arange(1, count + 1)
    surest = scipy.ndimage.maximum(_smooth(evidence.score, _SECOND), phrases, numbers)
    clearest = scipy.ndimage.maximum(above / max(residue.std(), 1.0), phrases, numbers)
    total = scipy.ndimage.sum_labels(evidence.score - _THRESHOLD, phrases, numbers)
    kept = (surest >= _SURE) | (clearest >= _STANDS_OUT) | (total >= _LONG)
    return np.asarray(sung & np.append([False], kept)[phrases])
