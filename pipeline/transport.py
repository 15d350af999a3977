"""Let the tones of one sound glide into those of another: optimal transport between spectra.

After Henderson & Solomon, "Audio Transport: A Generalized Portamento via Optimal Transport"
(DAFx 2019): each frame's spectrum is a row of spectral masses, one around each peak; those of the
two sounds are paired by optimal transport along the frequency axis, and each pair sounds at a
frequency between its two. Three things differ. What both sounds have stays where it is and only the
difference travels; a mass that would have to travel further than an octave fades instead; and the
phases are tied to those of the nearer sound, so that the ends are the two sounds themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

if TYPE_CHECKING:
    from pipeline.types import OnFraction, Signal

Array: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]
Spectrum: TypeAlias = npt.NDArray[np.complex64]

WINDOW = 4096
"""Samples, 93 ms: two notes a semitone apart are two masses from 250 Hz on."""

_FFT = 2 * WINDOW  # zeros added: a mass then moves in steps of 5 Hz
_HOP = WINDOW // 4
_ADVANCE = 2 * np.pi * _HOP / _FFT  # radians from frame to frame for each bin of frequency
_OCTAVE = 1.01  # in octaves: how far a mass may travel, with room for what is measured roughly
_POURED = 4.0  # how many times its own size the smaller of two differences may stand for
_ONSET = 3.0  # a mass this many times stronger than what was there starts with its own phase
_UNHEARD = 1e-5  # a share of a mass, -100 dB, not worth moving
_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Masses:
    """The spectral masses of one frame of one sound; mass i fills bins [edge[i], edge[i + 1])."""

    spectrum: Spectrum  # shape (2, bins)
    magnitude: Array  # shape (bins,), both channels together
    edge: Indices
    peak: Indices
    weight: Array  # sum of the magnitudes
    frequency: Array  # of the peak, in bins
    phase: Array  # of the peak at the middle of the frame, in radians


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pairs:
    """Which mass of A goes with which of B, and with what share of either's amplitude."""

    a: Indices
    b: Indices
    share_a: Array
    share_b: Array


def transport(a: Signal, b: Signal, position: Array, on_fraction: OnFraction) -> Signal:
    """Interpolate between two sounds by moving their spectral masses.

    Parameters
    ----------
    a, b
        float32, shape (2, n), 44 100 Hz.
    position
        Shape (n,): where between the two the output is, 0 for `a` to 1 for `b`. It should
        change slowly against the window of 93 ms.
    on_fraction
        Told the share of the work that is done, in [0, 1].

    Returns
    -------
    Signal
        float32, shape (2, n): exactly `a` where the position is 0, exactly `b` where it is 1, up
        to the rounding of a Fourier transform.
    """
    length = a.shape[1]
    margin = ((0, 0), (WINDOW, WINDOW + _HOP))
    padded_a, padded_b = np.pad(a, margin), np.pad(b, margin)
    out = np.zeros_like(padded_a)
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    glide = _Glide()
    starts = range(0, length + WINDOW, _HOP)
    for count, start in enumerate(starts):
        part = slice(start, start + WINDOW)
        middle = min(max(start - WINDOW // 2, 0), length - 1)
        frames = _analyse(padded_a[:, part] * window), _analyse(padded_b[:, part] * window)
        mixed = glide.step(*frames, float(position[middle]))
        out[:, part] += _synthesise(mixed) * (window / 1.5)  # squared Hann windows sum to 1.5
        if count % 32 == 0:
            on_fraction(count / len(starts))
    on_fraction(1.0)
    return out[:, WINDOW : WINDOW + length]


def _analyse(frame: Signal) -> Spectrum:
    """Transform a windowed frame with its middle as the origin, so that a peak has one phase."""
    buffer = np.zeros((2, _FFT), dtype=np.float32)
    buffer[:, : WINDOW // 2] = frame[:, WINDOW // 2 :]
    buffer[:, -WINDOW // 2 :] = frame[:, : WINDOW // 2]
    return np.asarray(scipy.fft.rfft(buffer), dtype=np.complex64)


def _synthesise(spectrum: Spectrum) -> Signal:
    buffer = scipy.fft.irfft(spectrum)
    halves = buffer[:, -WINDOW // 2 :], buffer[:, : WINDOW // 2]
    return np.concatenate(halves, axis=1, dtype=np.float32)


class _Glide:
    """The memory from frame to frame: what phase sounds at each frequency of the output."""

    def __init__(self) -> None:
        bins = _FFT // 2 + 1
        self._before: tuple[Spectrum, Spectrum] = (
            np.zeros(bins, dtype=np.complex64),
            np.zeros(bins, dtype=np.complex64),
        )
        self._phase: Array = np.zeros(bins)
        self._amplitude: Array = np.zeros(bins)

    def step(self, spectrum_a: Spectrum, spectrum_b: Spectrum, position: float) -> Spectrum:
        """Return the output's spectrum, shape (2, bins), for the next frame of both sounds."""
        # One phase for both channels, in quadrature: tones in phase or in antiphase both survive.
        joint = spectrum_a[0] + 1j * spectrum_a[1], spectrum_b[0] + 1j * spectrum_b[1]
        a = _find_masses(spectrum_a, joint[0], self._before[0])
        b = _find_masses(spectrum_b, joint[1], self._before[1])
        self._before = joint
        pairs = _pair(a, b)
        alone_a = 1.0 - np.bincount(pairs.a, pairs.share_a, len(a.peak))
        alone_b = 1.0 - np.bincount(pairs.b, pairs.share_b, len(b.peak))
        log_a, log_b = np.log(a.frequency[pairs.a]), np.log(b.frequency[pairs.b])
        frequency = np.exp((1 - position) * log_a + position * log_b)
        amplitude_a = (1 - position) * pairs.share_a
        amplitude_b = position * pairs.share_b
        loud = amplitude_a * a.magnitude[a.peak[pairs.a]]
        loud += amplitude_b * b.magnitude[b.peak[pairs.b]]
        phase = self._phases(a, b, pairs, frequency=frequency, loud=loud, position=position)
        places = (
            _place(a, pairs.a, amplitude_a, frequency, phase),
            _place(b, pairs.b, amplitude_b, frequency, phase),
            _stay(a, alone_a * np.sqrt(1 - position)),
            _stay(b, alone_b * np.sqrt(position)),
        )
        self._remember(places, loud, phase, position)
        return _levelled(_summed(places), a, b, position)

    def _phases(
        self,
        a: _Masses,
        b: _Masses,
        pairs: _Pairs,
        *,
        frequency: Array,
        loud: Array,
        position: float,
    ) -> Array:
        """Phases of the pairs: going on from the frame before, drawn to those of the nearer end."""
        near, index = (a, pairs.a) if position < 0.5 else (b, pairs.b)
        own = near.phase[index]
        at = np.clip(np.rint(frequency).astype(np.int64), 0, _FFT // 2)
        going_on = self._phase[at] + _ADVANCE * frequency
        away = min(position, 1 - position)
        # A steady tone is brought into phase at 2 Hz at most; one that glides is left alone.
        pull = max(1 - 10 * away, 0.2 * (0.5 - away)) / (
            1 + (frequency - near.frequency[index]) ** 2
        )
        # What sounds the same in both, to the phase, is no glide at all.
        apart = a.frequency[pairs.a] - b.frequency[pairs.b]
        out_of_phase = _wrapped(a.phase[pairs.a] - b.phase[pairs.b])
        pull = np.maximum(pull, np.exp(-((apart / 0.3) ** 2) - (out_of_phase / 0.2) ** 2))
        drawn = going_on + pull * _wrapped(own - going_on)
        return np.where(loud > _ONSET * self._amplitude[at], own, drawn)

    def _remember(
        self, places: tuple[_Places, ...], loud: Array, phase: Array, position: float
    ) -> None:
        """Keep for each bin the phase of the strongest mass that reaches it."""
        near = places[0] if position < 0.5 else places[1]
        self._amplitude[:] = 0.0
        pair = near.entry
        strongest = np.argsort(loud[pair], kind="stable")  # of equal indices, the last one counts
        target = near.target[strongest]
        self._phase[target] = phase[pair[strongest]]
        self._amplitude[target] = loud[pair[strongest]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Places:
    """Bins of the output, what is added there, and which entry it belongs to."""

    target: Indices
    value: Spectrum  # shape (2, len(target))
    entry: Indices


def _find_masses(spectrum: Spectrum, joint: Spectrum, before: Spectrum) -> _Masses:
    """Cut a spectrum at the valleys between its peaks; `before` is `joint` one frame ago."""
    magnitude = np.sqrt(np.abs(spectrum[0]) ** 2 + np.abs(spectrum[1]) ** 2).astype(np.float64)
    highest = scipy.ndimage.maximum_filter1d(magnitude, 5)
    peak = np.flatnonzero((magnitude == highest) & (magnitude > _TINY))
    if not len(peak):
        peak = np.zeros(1, dtype=np.int64)
    lowest = np.minimum.reduceat(magnitude, peak)[:-1]
    stretch = magnitude[peak[0] : peak[-1]]
    valleys = np.flatnonzero(stretch == np.repeat(lowest, np.diff(peak))) + peak[0]
    inner = valleys[np.searchsorted(valleys, peak[:-1])]
    edge = np.concatenate([[0], inner, [len(magnitude)]])
    turned = _wrapped(np.angle(joint[peak] * before[peak].conj()) - _ADVANCE * peak)
    return _Masses(
        spectrum=spectrum,
        magnitude=magnitude,
        edge=edge,
        peak=peak,
        weight=np.add.reduceat(magnitude, edge[:-1]) + _TINY,
        frequency=np.maximum(peak + turned / _ADVANCE, 0.5),
        phase=np.angle(joint[peak]).astype(np.float64),
    )


def _wrapped(angle: Array) -> Array:
    """Return the same angles, in radians, in [-pi, pi)."""
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _pair(a: _Masses, b: _Masses) -> _Pairs:
    """Pair what both have with itself, and the rest by one-dimensional optimal transport.

    With a cost that is concave in the distance, mass common to both never moves (Gangbo & McCann
    1996); the difference is then poured in order of frequency, which is optimal for a convex one.
    """
    runs = np.union1d(a.edge, b.edge)[:-1]
    common = np.add.reduceat(np.minimum(a.magnitude, b.magnitude), runs)
    both_a = np.searchsorted(a.edge, runs, side="right") - 1
    both_b = np.searchsorted(b.edge, runs, side="right") - 1
    rest_a = np.maximum(a.weight - np.bincount(both_a, common, len(a.peak)), _TINY)
    rest_b = np.maximum(b.weight - np.bincount(both_b, common, len(b.peak)), _TINY)
    all_a, all_b = rest_a.sum(), rest_b.sum()
    filled_a, filled_b = np.cumsum(rest_a) / all_a, np.cumsum(rest_b) / all_b
    poured = np.diff(np.sort(np.concatenate([filled_a, filled_b])), prepend=0.0)
    middle = np.cumsum(poured) - poured / 2
    to_a = np.minimum(np.searchsorted(filled_a, middle), len(a.peak) - 1)
    to_b = np.minimum(np.searchsorted(filled_b, middle), len(b.peak) - 1)
    distance = np.abs(np.log2(a.frequency[to_a] / b.frequency[to_b]))
    poured[distance > _OCTAVE] = 0.0
    from_a = np.concatenate([common, poured * min(all_a, _POURED * all_b)])
    from_b = np.concatenate([common, poured * min(all_b, _POURED * all_a)])
    index_a, index_b = np.concatenate([both_a, to_a]), np.concatenate([both_b, to_b])
    share_a, share_b = from_a / a.weight[index_a], from_b / b.weight[index_b]
    heard = np.minimum(share_a, share_b) > _UNHEARD
    return _Pairs(
        a=index_a[heard], b=index_b[heard], share_a=share_a[heard], share_b=share_b[heard]
    )


def _place(
    masses: _Masses, index: Indices, amplitude: Array, frequency: Array, phase: Array
) -> _Places:
    """Copy masses, scaled and turned, to where their pairs sound."""
    shift = np.rint(frequency - masses.frequency[index]).astype(np.int64)
    factor = amplitude * np.exp(1j * (phase - masses.phase[index]))
    width = np.diff(masses.edge)[index]
    entry = np.repeat(np.arange(len(index)), width)
    first = np.cumsum(width) - width
    source = np.arange(len(entry)) + (masses.edge[index] - first)[entry]
    target = source + shift[entry]
    inside = (target >= 0) & (target <= _FFT // 2)
    source, entry = source[inside], entry[inside]
    value = masses.spectrum[:, source] * factor[entry].astype(np.complex64)
    return _Places(target=target[inside], value=value, entry=entry)


def _stay(masses: _Masses, amplitude: Array) -> _Places:
    """Leave masses where they are, scaled."""
    entry = np.repeat(np.arange(len(masses.peak)), np.diff(masses.edge))
    value = masses.spectrum * amplitude[entry].astype(np.float32)
    return _Places(target=np.arange(len(entry)), value=value, entry=entry)


def _summed(places: tuple[_Places, ...]) -> Spectrum:
    target = np.concatenate([place.target for place in places])
    value = np.concatenate([place.value for place in places], axis=1)
    bins = _FFT // 2 + 1
    parts = [
        np.bincount(target, row.real, bins) + 1j * np.bincount(target, row.imag, bins)
        for row in value
    ]
    return np.asarray(parts, dtype=np.complex64)


def _levelled(mixed: Spectrum, a: _Masses, b: _Masses, position: float) -> Spectrum:
    """Give a frame the power between those of its two sources; masses that met may cancel."""
    wanted = (1 - position) * np.sum(a.magnitude**2) + position * np.sum(b.magnitude**2)
    power = float(np.sum(np.abs(mixed) ** 2, dtype=np.float64))
    gain = np.clip(np.sqrt((wanted + _TINY) / (power + _TINY)), 0.5, 2.0)
    return np.asarray(mixed * np.float32(gain), dtype=np.complex64)
