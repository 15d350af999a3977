"""Evidence to a chain of beats: a dynamic programme over time and beat period together.

Like Ellis (2007, "Beat tracking by dynamic programming"), but the period is part of the state, so
that the tempo may wander with the players and still cannot jump. What is searched is onset
strength, and what the network makes of the song where it was asked.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.ndimage

Array: TypeAlias = npt.NDArray[np.float64]
Steps: TypeAlias = npt.NDArray[np.int64]

SLOWEST_BPM, FASTEST_BPM = 55.0, 215.0
"""Tempi that are looked for."""

_USUAL_BPM = 105.0

# Weights of the search, chosen on songs with known beats (`python -m benchmarks.beats`).
_PERIODICITY = 4.0  # autocorrelation at the beat period, against onset strength on the beat
_PRIOR = 2.5  # cost of lying one octave away from the usual tempo
_JUMP = 300.0  # cost of a squared relative change of period between two beats
_EMPTY_BEAT = 1.0  # onset strength, relative to the song's own mean, that a beat must earn


# The network's word is counted in log-odds.
_WORD = 0.3  # against onset strength; more misleads in recorded music, where it is less sure
_SUREST = 3.0  # beyond, the word on one frame would outweigh a tempo
_READINESS = 1.0  # added, since a beat that nobody plays is a beat still


def search_beats(onset: Array, fps: float, chance: Array | None = None) -> Steps:
    """Find the best chain of beats.

    Parameters
    ----------
    onset
        Onset strength, shape (frames,).
    fps
        Frames a second.
    chance
        How likely the network takes each frame for a beat, shape (frames,); None where it was not
        asked.

    Returns
    -------
    Steps
        Frame numbers, rising, shape (beats,).
    """
    periods = _periods(fps)
    weight = np.sqrt(periods / 50.0)  # between one vote a beat and one vote a second
    usual = _PRIOR * _octaves_off(periods, fps) ** 2
    again = _PERIODICITY * _periodicity(onset, periods, fps)
    gain = weight * (onset[:, None] - usual + again - _EMPTY_BEAT)
    if chance is not None:
        odds = np.log(chance + 1e-6) - np.log1p(1e-6 - chance) + _READINESS
        gain += _WORD * np.clip(odds, -_SUREST, _SUREST)[:, None]
    return _best_chain(gain, _jumps(periods) * weight[:, None], periods)


def _periods(fps: float) -> Steps:
    return np.arange(int(fps * 60 / FASTEST_BPM), int(fps * 60 / SLOWEST_BPM) + 1)


def _octaves_off(periods: Steps, fps: float) -> Array:
    return np.asarray(np.log2(60.0 * fps / periods / _USUAL_BPM))


def _jumps(periods: Steps) -> Array:
    """Cost, below 0, of going from one period to another; shape (new, old)."""
    slack = np.maximum(0, np.abs(periods[:, None] - periods[None, :]) - 1) / periods[:, None]
    return np.asarray(-_JUMP * slack**2)  # one frame of rounding is free


def _best_chain(gain: Array, jump: Array, periods: Steps) -> Steps:
    """Chain of frames whose gains add up to most; `gain` of shape (frames, periods) is used up."""
    came_from = np.full(gain.shape, -1, dtype=np.int16)
    score = gain
    for t in range(int(periods[0]), len(score)):
        reach = int(np.searchsorted(periods, t, side="right"))
        chains = score[t - periods[:reach]] + jump[:reach]
        best = chains.argmax(axis=1)
        score[t, :reach] += chains[np.arange(reach), best]
        came_from[t, :reach] = best
    tail = max(0, len(score) - int(periods[-1]))
    t = tail + int(score[tail:].max(axis=1).argmax())
    state = int(score[t].argmax())
    chain = [t]
    while came_from[t, state] >= 0:
        t, state = t - int(periods[state]), int(came_from[t, state])
        chain.append(t)
    return np.asarray(chain[::-1], dtype=np.int64)


def _periodicity(onset: Array, periods: Steps, fps: float) -> Array:
    """Local autocorrelation at 1, 2, 3 and 4 beat periods; shape (frames, periods), at most 1."""
    width, step = round(12.0 * fps), round(2.0 * fps)
    taper = np.hanning(width)
    bias = _autocorrelation(taper)
    padded = np.pad(onset - onset.mean(), width // 2)
    rows = []
    for start in range(0, len(onset), step):
        piece = padded[start : start + width]
        piece = np.pad(piece, (0, width - len(piece))) * taper
        similar = _autocorrelation(piece) / np.maximum(bias, 0.05)
        similar = scipy.ndimage.maximum_filter1d(similar, 3)  # a period is rarely whole frames
        row = np.zeros(len(periods))
        for beats, share in ((1, 1.0), (2, 1.0), (3, 0.5), (4, 1.0)):
            lags = periods * beats
            row += share * np.where(lags < 0.8 * width, similar[np.minimum(lags, width - 1)], 0.0)
        rows.append(row / 3.5)
    blocks = np.minimum(np.arange(len(onset)) // step, len(rows) - 1)
    table: Array = np.asarray(rows)[blocks]
    return table


def _autocorrelation(signal: Array) -> Array:
    """Autocorrelation from lag 0 on, 1 at lag 0; same length as the signal."""
    spectrum = np.fft.rfft(signal, 2 * len(signal))
    result = np.fft.irfft(np.abs(spectrum) ** 2)[: len(signal)]
    return np.asarray(result / (result[0] + 1e-9))
