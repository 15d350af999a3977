"""A separated voice, cleaned of what the separator left in it.

The other stem of the same song is the noise reference: what is left in the voice is a faint copy
of it. Where nobody sings the voice is gated; elsewhere a soft mask takes the copy away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
import scipy.special

from pipeline.singing import GRAIN, where_sung
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from pipeline.types import Signal

    Curves: TypeAlias = npt.NDArray[np.float64]
    Flags: TypeAlias = npt.NDArray[np.bool_]
    Powers: TypeAlias = npt.NDArray[np.float32]
    Spectrum: TypeAlias = npt.NDArray[np.complex64]

Method: TypeAlias = Literal["mask", "threshold"]

_GATE_DB = -40.0
_AHEAD, _HOLD = 3, 5  # grains: the gate is open 150 ms before a phrase, 250 ms after it
_FADE_S = 0.15

_SIZE = 4_096  # 93 ms
_HOP = _SIZE // 2
_BLOCK = 430 * _HOP  # 20 s at a time: memory stays flat in the song's length
_MARGIN = 16 * _HOP  # beyond the reach of every smoothing

_HIGH_PASS_HZ = 80.0  # below the lowest note of nearly every singer
_FLOOR = np.float32(10 ** (-12 / 20))  # what is left under the voice hides the mask's movement
_REACH = (5, 5)  # bins and frames over which powers and masks are averaged: no musical noise
_LEAST_RESIDUE_S = 2.0  # less of it says nothing
_RESIDUE_SHARE = np.float32(0.6)  # of what is expected; all of it costs a rough stem its voice
_SPREADS = 0.7  # standard deviations above its mean level that count as residue
_KNEE_DB = 4.0
_TINY = np.float32(1e-9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Residue:
    """What the separator leaves where nobody sings, by frequency; each of shape (bins, 1).

    `leak` is its power against that of the other stem, `mean_db` and `spread_db` its level.
    """

    leak: Powers
    mean_db: Powers
    spread_db: Powers


def denoise(
    vocals: Signal, accompaniment: Signal, amount: float, method: Method = "mask"
) -> Signal:
    """Clean a separated voice.

    Parameters
    ----------
    vocals
        The vocal stem, float32, shape (2, n), 44 100 Hz.
    accompaniment
        The other stem of the same song, of the same shape: the noise reference.
    amount
        How much, in [0, 1]: all attenuations, in dB, are scaled by it; 0 returns `vocals` itself.
    method
        "mask": a soft mask after Wiener, from the spectrum of the other stem; "threshold": what
        does not stand out from the residue's own mean and spread is lowered. Both gate the
        passages where nobody sings, and cut what lies below a voice.

    Returns
    -------
    Signal
        float32, shape (2, n); nothing is moved in time.

    Notes
    -----
    The residue is measured where nobody sings. A song with less than 2 s of silence keeps its
    voice as it is, apart from the high-pass.
    """
    if amount == 0.0 or not vocals.any():
        return vocals
    sung = where_sung(vocals, accompaniment)
    residue = _measure_residue(vocals, accompaniment, sung)
    length = vocals.shape[1]
    out = np.empty_like(vocals)
    for start, voice, rest in _blocks(vocals, accompaniment):
        spectrum = _stft(voice)
        gain = _high_pass()
        if residue is not None and method == "mask":
            gain = gain * _wiener_mask(_power(spectrum), _power(_stft(rest)), residue)
        elif residue is not None:
            gain = gain * _threshold_mask(_power(spectrum), residue)
        kept = _istft(spectrum * gain ** np.float32(amount))
        stop = min(start + _BLOCK, length)
        out[:, start:stop] = kept[:, _MARGIN : _MARGIN + stop - start]
    out *= _gate(sung, length, amount)
    return out


def _gate(sung: Flags, length: int, amount: float) -> Signal:
    """Return the gain of every sample, shape (n,): 1 around phrases, `_GATE_DB` elsewhere."""
    reach = np.arange(-_HOLD, _HOLD + 1) >= -_AHEAD
    opened = scipy.ndimage.binary_dilation(sung, reach)
    per_grain = 5
    fade = scipy.signal.get_window("hann", round(_FADE_S * SAMPLE_RATE * per_grain / GRAIN) + 1)
    fine = np.repeat(opened.astype(np.float64), per_grain)
    smooth = scipy.ndimage.convolve1d(fine, fade / fade.sum(), mode="nearest")
    gain = 10.0 ** (amount * _GATE_DB * (1.0 - smooth) / 20.0)
    middles = (np.arange(len(gain)) + 0.5) * (GRAIN / per_grain)
    return np.interp(np.arange(length), middles, gain).astype(np.float32)


def _measure_residue(vocals: Signal, accompaniment: Signal, sung: Flags) -> _Residue | None:
    # Three grains away from any phrase: its onset and its echo are no residue.
    silent = scipy.ndimage.binary_erosion(~sung, np.ones(7), border_value=1)
    sums: Curves = np.zeros((4, _HOP + 1))
    count = 0
    for start, voice, rest in _blocks(vocals, accompaniment):
        frames = np.arange(min(_BLOCK, vocals.shape[1] - start) // _HOP)
        frames = frames[silent[(start + frames * _HOP) // GRAIN]] + _MARGIN // _HOP
        if not len(frames):
            continue
        power, reference = (_power(_stft(stem)[..., frames]) for stem in (voice, rest))
        level = _decibels(power)
        sums += [curve.sum(axis=1) for curve in (power, reference, level, level**2)]
        count += len(frames)
    if count * _HOP < _LEAST_RESIDUE_S * SAMPLE_RATE:
        return None
    own, other, mean, square = sums / count
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    leak = _along_frequency(own) / (_along_frequency(other) + _TINY)
    return _Residue(leak=leak, mean_db=_along_frequency(mean), spread_db=_along_frequency(spread))


def _along_frequency(curve: Curves) -> Powers:
    smooth = scipy.ndimage.gaussian_filter1d(curve, 6.0)  # 65 Hz: no single partial is singled out
    return np.asarray(smooth[:, None], dtype=np.float32)


def _decibels(power: Powers) -> Powers:
    return np.asarray(10.0 * np.log10(power + _TINY), dtype=np.float32)


def _wiener_mask(power: Powers, reference: Powers, residue: _Residue) -> Powers:
    """Return the share of the stem's power that is not residue, shape (bins, frames)."""
    expected = _RESIDUE_SHARE * residue.leak * scipy.ndimage.uniform_filter(reference, _REACH)
    share = 1.0 - expected / (scipy.ndimage.uniform_filter(power, _REACH) + _TINY)
    return np.asarray(np.clip(share, _FLOOR, 1.0))


def _threshold_mask(power: Powers, residue: _Residue) -> Powers:
    """Return 1 well above the threshold, the floor well below it, with a soft knee."""
    above = _decibels(power) - (residue.mean_db + _SPREADS * residue.spread_db)
    soft = scipy.special.expit(above / _KNEE_DB)
    smooth = scipy.ndimage.uniform_filter(soft, _REACH)
    return np.asarray(_FLOOR + (1.0 - _FLOOR) * smooth, dtype=np.float32)


def _high_pass() -> Powers:
    """Return a fourth-order Butterworth's gain without its phase, shape (bins, 1)."""
    frequency = np.fft.rfftfreq(_SIZE, 1.0 / SAMPLE_RATE)[:, None]
    ratio = _HIGH_PASS_HZ / np.maximum(frequency, 1.0)
    return np.asarray(1.0 / np.sqrt(1.0 + ratio**8), dtype=np.float32)


def _blocks(vocals: Signal, accompaniment: Signal) -> Iterator[tuple[int, Signal, Signal]]:
    """Yield (first sample, vocals, accompaniment), `_MARGIN` more on both sides."""
    length = vocals.shape[1]
    for start in range(0, length, _BLOCK):
        low, high = start - _MARGIN, min(start + _BLOCK, length) + _MARGIN
        around = ((0, 0), (max(0, -low), max(0, high - length)))
        parts = (stem[:, max(0, low) : high] for stem in (vocals, accompaniment))
        voice, rest = (np.pad(part, around) for part in parts)
        yield start, voice, rest


def _stft(signal: Signal) -> Spectrum:
    """Return the spectrum, shape (2, bins, frames), half overlapping, from frame 0 on sample 0."""
    padded = np.pad(signal, ((0, 0), (_HOP, _SIZE)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _SIZE, axis=-1)[:, ::_HOP]
    return np.asarray(scipy.fft.rfft(frames * _window()).swapaxes(-1, -2))


def _istft(spectrum: Spectrum) -> Signal:
    frames = scipy.fft.irfft(spectrum.swapaxes(-1, -2), _SIZE) * _window()
    halves = frames.reshape(*frames.shape[:-1], 2, _HOP)
    return np.asarray((halves[:, 1:, 0] + halves[:, :-1, 1]).reshape(2, -1))


def _window() -> Signal:
    # Square root of Hann, before and after: their products sum to one at half overlap.
    return np.asarray(np.sqrt(scipy.signal.get_window("hann", _SIZE)), dtype=np.float32)


def _power(spectrum: Spectrum) -> Powers:
    return np.asarray((spectrum.real**2 + spectrum.imag**2).sum(axis=0))
