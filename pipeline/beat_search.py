"""Evidence to a chain of beats: a dynamic programme over time and beat period together.

Like Ellis (2007, "Beat tracking by dynamic programming"), but the period is part of the state, so
that the tempo may wander with the players and still cannot jump. What is searched is onset
strength, and what the network makes of the song where it was asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

if TYPE_CHECKING:
    from collections.abc import Callable

Array: TypeAlias = npt.NDArray[np.float64]
Curve: TypeAlias = npt.NDArray[np.float32]
Steps: TypeAlias = npt.NDArray[np.int64]
Table: TypeAlias = npt.NDArray[np.float32]

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


def search_beats(onset: Curve, fps: float, chance: Curve | None = None) -> Steps:
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
    step = round(2.0 * fps)
    again = _PERIODICITY * _periodicity(onset, periods, fps, step)
    merit = (weight * (again - usual - _EMPTY_BEAT)).astype(np.float32)
    weight = weight.astype(np.float32)
    odds = None if chance is None else _WORD * _log_odds(chance)

    def gain(start: int, stop: int) -> Table:
        here = slice(start, stop)
        table: Table = weight * onset[here, None] + merit[np.arange(start, stop) // step]
        return table if odds is None else table + odds[here, None]

    jump = (_jumps(periods) * weight[:, None]).astype(np.float32)
    return _best_chain(gain, len(onset), jump, periods)


def _log_odds(chance: Curve) -> Curve:
    odds = np.log(chance + 1e-6) - np.log1p(1e-6 - chance) + _READINESS
    return np.asarray(np.clip(odds, -_SUREST, _SUREST), dtype=np.float32)


def _periods(fps: float) -> Steps:
    return np.arange(int(fps * 60 / FASTEST_BPM), int(fps * 60 / SLOWEST_BPM) + 1)


def _octaves_off(periods: Steps, fps: float) -> Array:
    return np.asarray(np.log2(60.0 * fps / periods / _USUAL_BPM))


def _jumps(periods: Steps) -> Array:
    """Cost, below 0, of going from one period to another; shape (new, old)."""
    slack = np.maximum(0, np.abs(periods[:, None] - periods[None, :]) - 1) / periods[:, None]
    return np.asarray(-_JUMP * slack**2)  # one frame of rounding is free


def _best_chain(
    gain: Callable[[int, int], Table], frames: int, jump: Table, periods: Steps
) -> Steps:
    """Find the chain of frames whose gains add up to most.

    No beat depends on those less than the shortest period before it, so that as many frames are
    decided at once.

    Parameters
    ----------
    gain
        What a beat on each frame of a range is worth at each period, shape (range, periods).
    frames
        How many there are.
    jump
        What it costs to go on with a period after another, shape (new, old).
    periods
        In frames, rising by one.
    """
    shortest, longest = int(periods[0]), int(periods[-1])
    came_from = np.empty((frames, len(periods)), dtype=np.min_scalar_type(len(periods)))
    # Best sums of the last frames if the chain goes on with each period; nothing before the song.
    ahead = np.zeros((longest, len(periods)), dtype=np.float32)
    last = np.full((longest, len(periods)), -np.inf, dtype=np.float32)
    back = np.arange(shortest)[:, None] + longest - periods
    for start in range(0, frames, shortest):
        stop = min(start + shortest, frames)
        score = gain(start, stop) + ahead[back[: stop - start], np.arange(len(periods))]
        chains = score[:, None, :] + jump
        best = chains.argmax(axis=2)
        came_from[start:stop] = best
        best_sums = np.take_along_axis(chains, best[:, :, None], axis=2)[:, :, 0]
        ahead = np.concatenate([ahead[stop - start :], best_sums])
        last = np.concatenate([last[stop - start :], score])
    row, state = np.unravel_index(last.argmax(), last.shape)
    return _trace(frames - longest + int(row), int(state), came_from, periods)


def _trace(end: int, state: int, came_from: npt.NDArray[Any], periods: Steps) -> Steps:
    """Follow a chain back from its last frame and period; frame numbers, rising."""
    chain = [end]
    while (before := chain[-1] - int(periods[state])) >= 0:
        state = int(came_from[before, state])
        chain.append(before)
    return np.asarray(chain[::-1], dtype=np.int64)


def _periodicity(onset: Curve, periods: Steps, fps: float, step: int) -> Array:
    """Local autocorrelation at 1, 2, 3 and 4 beat periods, at most 1; a row every `step` frames."""
    width = round(12.0 * fps)
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
    return np.asarray(rows)


def _autocorrelation(signal: Array) -> Array:
    """Autocorrelation from lag 0 on, 1 at lag 0; same length as the signal."""
    size = scipy.fft.next_fast_len(2 * len(signal), real=True)
    result = scipy.fft.irfft(np.abs(scipy.fft.rfft(signal, size)) ** 2, size)[: len(signal)]
    return np.asarray(result / (result[0] + 1e-9))
