"""Turn one song into another while both go on: no cut, no dip, no second set of drums.

What sounds is taken apart by the median filters of Fitzgerald (2010, "Harmonic/percussive
separation using median filtering"). The tones glide from one song to the other by optimal transport
between spectra; the drums are handed over in steps, each just before a beat, whose attack hides it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from pipeline.loudness import short_term_lufs
from pipeline.tapes import cut, in_memory, release, stretches
from pipeline.tones import split_tones
from pipeline.transport import transport
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Signal

Array: TypeAlias = npt.NDArray[np.float64]

UNTOUCHED_S = 0.05
"""At its start the output is the first song itself, at its end the second."""

_STILL_S = 0.1  # the tones stand still at either end: the above, and half a transport window
_RAMP_S = 0.06  # a step of the drums; shorter than a sixteenth up to 250 BPM
_BEFORE_BEAT_S = 0.005  # the step is over when the attack begins, even where beats lie a bit early
_FEWEST_STEPS = 4  # a span with fewer beats is divided further
_BLOCK = 441  # samples, 10 ms
_MOST_DB = 6.0  # how far a level is corrected
_TINY = 1e-12


def _nobody_listens(_fraction: float) -> None:
    """Let progress pass unheard."""


def splice(
    first: Signal,
    second: Signal,
    transition: tuple[int, int],
    beats_s: Sequence[float],
    on_fraction: OnFraction = _nobody_listens,
    *,
    blank: Blank = in_memory,
) -> Signal:
    """Go over from one signal to another that runs beside it.

    Parameters
    ----------
    first, second
        float32, shapes (2, n) and (2, m), 44 100 Hz, on one time axis and one beat grid; both
        must reach the end of the transition.
    transition
        First sample of the morph and the one after its last.
    beats_s
        Beats of the shared grid in seconds from the signals' start; those outside the transition
        are ignored.
    on_fraction
        Told the share of the work that is done, in [0, 1].
    blank
        Makes the output.

    Returns
    -------
    Signal
        float32, shape (2, m): `first` before the transition, `second` after it.

    Raises
    ------
    ValueError
        The transition is empty or reaches beyond either signal.
    """
    start, stop = transition
    if not 0 <= start < stop <= min(first.shape[1], second.shape[1]):
        raise ValueError(
            f"transition [{start}, {stop}) must lie inside both signals, "
            f"of {first.shape[1]} and {second.shape[1]} samples"
        )
    inside = [time_s - start / SAMPLE_RATE for time_s in beats_s]
    out = blank(second.shape[1])
    out[:, start:stop] = morph(
        cut(first, start, stop), cut(second, start, stop), inside, on_fraction
    )
    for before, (copy,) in stretches(first[:, :start]):
        out[:, before] = copy
        release(out)
    for part, (copy,) in stretches(second[:, stop:]):
        out[:, stop:][:, part] = copy
        release(out)
    return out


def morph(
    a: Signal, b: Signal, beats_s: Sequence[float], on_fraction: OnFraction = _nobody_listens
) -> Signal:
    """Turn one signal into another over their whole length.

    Parameters
    ----------
    a, b
        float32, shape (2, n), 44 100 Hz, on one beat grid.
    beats_s
        Beats of that grid in seconds from the signals' start; those outside are ignored, and
        where there are too few the span is divided evenly.
    on_fraction
        Told the share of the work that is done, in [0, 1].

    Returns
    -------
    Signal
        float32, shape (2, n); its first 50 ms are `a`, its last are `b` (less in a span below
        0.4 s).

    Raises
    ------
    ValueError
        The two differ in length, or are not of shape (2, n).
    """
    if a.shape != b.shape or a.ndim != 2 or a.shape[0] != 2:
        raise ValueError(f"a and b must both have shape (2, n), not {a.shape} and {b.shape}")
    length = a.shape[1]
    if not length:
        return a.copy()
    tones_a, tones_b = split_tones(a), split_tones(b)
    on_fraction(0.2)
    glide, angle = _glide(length), _steps(length, beats_s) * np.pi / 2
    out = transport(tones_a, tones_b, glide, lambda done: on_fraction(0.2 + 0.7 * done))
    out += _hand_over(a - tones_a, b - tones_b, angle)
    wanted = _wanted_power(a, tones_a, 1 - glide, np.cos(angle) ** 2)
    wanted += _wanted_power(b, tones_b, glide, np.sin(angle) ** 2)
    out *= _level_gain(out, wanted)
    _pin_ends(out, a, b)
    on_fraction(1.0)
    return out


def _glide(length: int) -> Array:
    """Position of the tones, 0 to 1: still at the ends, quickest in the middle."""
    still = min(round(_STILL_S * SAMPLE_RATE), length // 4)
    x = np.clip((np.arange(length) - still) / max(1, length - 2 * still), 0.0, 1.0)
    return np.asarray(x * x * (3 - 2 * x))


def _steps(length: int, beats_s: Sequence[float]) -> Array:
    """Position of the drums, 0 to 1: a short step before each beat, level in between."""
    edge = min(2 * UNTOUCHED_S, length / SAMPLE_RATE / 4)
    end = length / SAMPLE_RATE - edge
    beats = np.unique([time_s for time_s in beats_s if edge < time_s <= end])
    if len(beats) < _FEWEST_STEPS:
        corners = np.concatenate([[edge], beats, [end]])
        parts = np.arange(0.0, len(corners) - 0.99, 1 / _FEWEST_STEPS)
        beats = np.unique(np.interp(parts, np.arange(len(corners)), corners))[1:]
    over = beats - _BEFORE_BEAT_S
    ramp = np.minimum(_RAMP_S, 0.9 * np.diff(beats, prepend=edge / 2))
    knots = np.stack([over - ramp, over], axis=1).reshape(-1)
    levels = np.repeat(np.arange(len(beats) + 1) / len(beats), 2)[1:-1]
    return np.interp(np.arange(length) / SAMPLE_RATE, knots, levels)


def _hand_over(a: Signal, b: Signal, angle: Array) -> Signal:
    """Crossfade with constant power, whether the two signals are alike or not."""
    out_gain, in_gain = np.cos(angle), np.sin(angle)
    power = out_gain**2 * _local_mean(a * a) + in_gain**2 * _local_mean(b * b)
    shared = 2 * out_gain * in_gain * _local_mean(a * b)
    norm = np.sqrt((power + _TINY) / np.maximum(power + shared, power / 4 + _TINY))
    return np.asarray(out_gain * norm * a + in_gain * norm * b, dtype=np.float32)


def _local_mean(product: Signal) -> Array:
    """Mean over 0.4 s of what both channels sum to, at each sample."""
    mean = scipy.ndimage.uniform_filter1d(product.sum(axis=0, dtype=np.float64), 40 * _BLOCK)
    return np.asarray(mean)


def _level_gain(out: Signal, wanted: Array) -> Signal:
    """Gain that brings the output's momentary loudness to the power that is wanted."""
    off_db = 10 * np.log10(wanted / _power(out)) if len(wanted) else np.zeros(1)
    middle = np.arange(len(off_db)) * _BLOCK + _BLOCK // 2
    off_db = np.interp(np.arange(out.shape[1]), middle, np.clip(off_db, -_MOST_DB, _MOST_DB))
    return np.asarray(10 ** (off_db / 20), dtype=np.float32)


def _wanted_power(song: Signal, tones: Signal, glide: Array, steps: Array) -> Array:
    """Power that a song still adds, K-weighted over 400 ms, with its tones and strokes faded.

    `glide` and `steps` are the shares, in [0, 1], of the tones' and of the strokes' power.
    """
    power, tonal, struck = (_power(x) for x in (song, tones, song - tones))
    middle = np.arange(len(power)) * _BLOCK + _BLOCK // 2
    kept = (tonal * glide[middle] + struck * steps[middle]) / (tonal + struck)
    return np.asarray(power * kept)


def _power(samples: Signal) -> Array:
    return np.asarray(10 ** (short_term_lufs(samples) / 10))


def _pin_ends(out: Signal, a: Signal, b: Signal) -> None:
    """Let the output begin as `a` and end as `b`, to the sample, in place."""
    size = min(round(UNTOUCHED_S * SAMPLE_RATE), out.shape[1] // 8)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(size, dtype=np.float32) + 0.5) / max(1, size))
    weight = np.concatenate([np.zeros(size, dtype=np.float32), ramp])
    head, tail = slice(0, 2 * size), slice(out.shape[1] - 2 * size, out.shape[1])
    out[:, head] = a[:, head] + weight * (out[:, head] - a[:, head])
    out[:, tail] = b[:, tail] + weight[::-1] * (out[:, tail] - b[:, tail])
