"""When somebody sings in a separated vocal stem, and when only the separator's residue sounds.

The rougher the separator, the more of the band is left in the voice, so a level alone does not
tell. Four things do: how loud the stem is in its own song, how far it stands above the other stem,
whether it stands in the middle as lead voices do, and for how long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.ndimage
import scipy.signal

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal, Spans

    Curve: TypeAlias = npt.NDArray[np.float64]
    Flags: TypeAlias = npt.NDArray[np.bool_]

GRAIN = 2_205
"""Samples, 50 ms: one decision is made for each such piece."""

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
    if not vocals.any():
        return ()
    flags = where_sung(vocals, accompaniment)
    whole = scipy.ndimage.binary_dilation(flags, np.ones(2 * _LOST + 1))
    padded = np.pad(whole, _BREATH)
    joined = scipy.ndimage.binary_closing(padded, np.ones(_BREATH + 1))[_BREATH:-_BREATH]
    edges = np.flatnonzero(np.diff(joined, prepend=False, append=False)) * GRAIN / SAMPLE_RATE
    ends = np.minimum(edges, vocals.shape[1] / SAMPLE_RATE).reshape(-1, 2)
    return tuple((float(a), float(b)) for a, b in ends if b - a >= 0.5)


def _gather(vocals: Signal, accompaniment: Signal) -> _Evidence:
    voice_db = _band_levels(vocals.mean(axis=0))
    side_db = _band_levels((vocals[0] - vocals[1]) / 2)
    clear = _smooth(voice_db - _band_levels(accompaniment.mean(axis=0)))
    spotless = np.maximum(clear - _SPOTLESS_DB, 0.0)
    level, spread = _smooth(voice_db), _smooth(np.maximum(side_db - voice_db, _NO_SIDE_DB))
    level -= np.percentile(level, 90)
    clear -= np.percentile(clear, 90)
    spread -= np.percentile(spread, 10)
    level = np.maximum(level, np.minimum(clear, level + _LENT_DB))
    score = _AT_FULL_VOICE + _PER_LEVEL_DB * level + _PER_SPREAD_DB * spread
    return _Evidence(score=score + _PER_LEVEL_DB * spotless, clear_db=clear)


def _band_levels(signal: Signal) -> Curve:
    """Return the level from 150 to 8000 Hz of each grain, in dB; never below -80."""
    band = scipy.signal.butter(2, (150.0, 8000.0), "bandpass", fs=SAMPLE_RATE, output="sos")
    filtered = scipy.signal.sosfilt(band.astype(np.float32), signal)
    grains = np.pad(filtered, (0, -len(filtered) % GRAIN)).reshape(-1, GRAIN)
    power = np.einsum("gs,gs->g", grains, grains).astype(np.float64) / GRAIN
    return np.asarray(10.0 * np.log10(power + 1e-8))


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
