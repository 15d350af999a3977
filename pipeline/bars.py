"""Beats to bars: how many beats a bar has, and which of them come first.

At a downbeat the harmony changes, the bass moves on, the sound of the band changes and the low end
is struck. Each of these is weak by itself; over a whole song they agree, with each other and with
the network, where it was asked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.filters import chroma_bank, mel_bank
from pipeline.mono import RATE, spectrogram

if TYPE_CHECKING:
    from pipeline.mono import Mono

Array: TypeAlias = npt.NDArray[np.float64]
Feature: TypeAlias = npt.NDArray[np.float32]

_HOP = 1024
_WINDOW = 8192  # 372 ms at 22.05 kHz: tells neighbouring bass notes apart
_BASS_HZ = (38.0, 260.0)

# Weight of each change over so many beats, and of each band's accent, in standard deviations.
# Chosen by the share of 32-beat passages whose bars are found, in six real songs and 60 composed.
_HARMONY = {1: 1.0, 2: 1.0, 4: 1.0}
_BASS = {2: 0.5, 8: 0.5}
_TIMBRE = {2: 0.5, 8: 1.0}
_ACCENT = (2.0, 0.0, -0.3)  # kick and bass; the middle; hi-hats and snares prefer the other beats
_OPENING = 6.0  # the network's word on downbeats
_CLEARLY = 1.0  # songs whose beats are right lie 1.4 and more on the other side
_THREE = 0.35  # by how much three beats must beat four, since most songs have four


Features: TypeAlias = tuple[Feature, Feature, Feature]
"""Pitch classes, pitch classes of the bass, log mel levels; float32, shapes (12 or 40, frames)."""


def find_bars(
    beats_s: Array,
    accents: Array,
    features: Features,
    openings: Array | None = None,
) -> tuple[int, int]:
    """Find the metre and the first downbeat.

    Parameters
    ----------
    beats_s
        Times in seconds, rising, shape (beats,).
    accents
        Onset strength at each beat in a low, a middle and a high band, shape (3, beats).
    features
        What `bar_features` says of the song.
    openings
        How likely the network takes each beat for a downbeat, shape (beats,); None where it was
        not asked.

    Returns
    -------
    tuple
        Beats in a bar, 3 or 4, and the index of the first downbeat.
    """
    evidence = _evidence(beats_s, accents, features)
    if openings is not None:
        evidence = evidence + _OPENING * standardised(openings)
    return bars_of(evidence)


def bars_of(evidence: Array) -> tuple[int, int]:
    """Choose the metre and the first downbeat that the mean evidence over all bars speaks for.

    Parameters
    ----------
    evidence
        How much each beat looks like a downbeat, shape (beats,).
    """
    contrasts = _contrasts(evidence)
    return max(contrasts, key=lambda bars: contrasts[bars])


def starts_between_beats(halves_s: Array, accents: Array, features: Features) -> bool:
    """Whether bars clearly start between the beats that were found.

    Parameters
    ----------
    halves_s
        Beats, which have even numbers, and the times halfway between them, shape (n,).
    accents, features
        See `find_bars`.
    """
    contrasts = _contrasts(_evidence(halves_s, accents, features, parts=2), parts=2)
    on, off = (max(c for (_, at), c in contrasts.items() if at % 2 == odd) for odd in (0, 1))
    return off > on + _CLEARLY


def _contrasts(evidence: Array, *, parts: int = 1) -> dict[tuple[int, int], float]:
    """Evidence on downbeats above the rest, by parts of beats in a bar and index of the first.

    Four beats come first: a tie goes to them.
    """
    contrasts = {}
    for beats_per_bar, handicap in ((4, 0.0), (3, _THREE)):
        length = beats_per_bar * parts
        for first in range(min(length, len(evidence))):
            on = np.arange(len(evidence)) % length == first
            contrast = evidence[on].mean() - evidence[~on].mean() - handicap
            contrasts[length, first] = float(contrast)
    return contrasts


def _evidence(beats_s: Array, accents: Array, features: Features, *, parts: int = 1) -> Array:
    """How much each beat looks like a downbeat; the grid may count parts of beats."""
    harmony, bass, timbre = features
    edges = np.clip(np.round(beats_s * RATE / _HOP).astype(int), 0, harmony.shape[1])
    total = np.zeros(len(beats_s))
    for feature, weights in ((harmony, _HARMONY), (bass, _BASS)):
        for reach, weight in weights.items():
            past, future = _around(feature, edges, parts * reach)
            lengths = np.linalg.norm(past, axis=0) * np.linalg.norm(future, axis=0)
            total -= weight * standardised((past * future).sum(axis=0) / (lengths + 1e-9))
    for reach, weight in _TIMBRE.items():
        past, future = _around(timbre, edges, parts * reach)
        total += weight * standardised(np.linalg.norm(future - past, axis=0))
    for band, weight in zip(accents, _ACCENT, strict=True):
        total += weight * standardised(band)
    return total


def bar_features(mono: Mono) -> Features:
    """Describe harmony, bass and timbre of a song over time.

    Parameters
    ----------
    mono
        The song, float32, shape (n,), at `pipeline.mono.RATE`.
    """
    bank = _bank()
    rows = np.empty((bank.shape[1], 1 + len(mono) // _HOP), dtype=np.float32)
    for part, magnitudes in spectrogram(mono, _WINDOW, _HOP):
        rows[:, part] = (np.square(magnitudes, out=magnitudes) @ bank).T
    timbre = rows[24:]
    np.log1p(100.0 * np.sqrt(timbre), out=timbre)
    return _relative(rows[:12]), _relative(rows[12:24]), timbre


@lru_cache(maxsize=1)
def _bank() -> Feature:
    """Make filters of pitch classes, of the bass alone, and of mel bands; shape (bins, 64)."""
    pitch_classes = chroma_bank(_WINDOW)
    hz = np.fft.rfftfreq(_WINDOW, 1.0 / RATE)[:, None]
    low = (hz >= _BASS_HZ[0]) & (hz <= _BASS_HZ[1])
    return np.hstack([pitch_classes, pitch_classes * low, mel_bank(_WINDOW, 40, 0.0, RATE / 2)])


def _relative(power: Feature) -> Feature:
    """Share of each frame's strongest pitch class; what is nearly silent stays small."""
    strongest = power.max(axis=0)
    return np.asarray(power / np.maximum(strongest, 1e-4 * power.max() + 1e-12))


def _around(feature: Feature, edges: npt.NDArray[Any], reach: int) -> tuple[Array, Array]:
    """Mean of a feature over so many beats before and after each; shapes (rows, beats)."""
    sums = np.cumsum(np.pad(feature, ((0, 0), (1, 0))), axis=1, dtype=np.float64)
    index = np.arange(len(edges))
    before = edges[np.maximum(index - reach, 0)]
    after = np.append(edges, feature.shape[1])[np.minimum(index + reach, len(edges))]
    past = (sums[:, edges] - sums[:, before]) / np.maximum(edges - before, 1)
    future = (sums[:, after] - sums[:, edges]) / np.maximum(after - edges, 1)
    return past, future


def standardised(values: Array) -> Array:
    """Deviation from the mean in standard deviations; zeros where all values are equal."""
    return np.asarray((values - values.mean()) / (values.std() + 1e-9))
