"""A separated voice, cleaned of what the separator left in it.

The other stem of the same song is the noise reference: what is left in the voice is a faint copy
of it. Where nobody sings the voice is gated; elsewhere a soft mask takes the copy away.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.special

from pipeline.ahead import in_order
from pipeline.singing import GRAIN, where_sung
from pipeline.tapes import in_memory, release, stretches
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Signal

    Curve: TypeAlias = npt.NDArray[np.float64]
    Flags: TypeAlias = npt.NDArray[np.bool_]
    Powers: TypeAlias = npt.NDArray[np.float32]
    Spectrum: TypeAlias = npt.NDArray[np.complex64]

Method: TypeAlias = Literal["mask", "threshold"]

_GATE_DB = -40.0
_AHEAD, _HOLD = 3, 5  # grains: the gate is open 150 ms before a phrase, 250 ms after it
_FADE_S = 0.15

_LONG_GAP = 80  # grains, 4 s: under the band of another song nobody hears such a gap's residue end
_STILL_THERE = 10  # grains, 0.5 s at either end of a gap that is then silent
_LEAST_SHUT_DB = -30.0  # where the gate closes less than that, residue is what the user asked for
_PER_GRAIN = 5  # values of the gate's curve

_SIZE = 4_096  # 93 ms
_HOP = _SIZE // 2
_BLOCK = 107 * _HOP  # 5 s at a time: memory stays flat in the song's length
_MARGIN = 6 * _HOP  # beyond the reach of every smoothing

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
    """What the separator leaves where nobody sings, by frequency; each of shape (bins,).

    `leak` is its power against that of the other stem, `mean_db` and `spread_db` its level.
    """

    leak: Powers
    mean_db: Powers
    spread_db: Powers


def _nobody_listens(_fraction: float) -> None:
    """Let progress pass unheard."""


def denoise(
    vocals: Signal,
    accompaniment: Signal,
    amount: float,
    method: Method = "mask",
    on_fraction: OnFraction = _nobody_listens,
    *,
    blank: Blank = in_memory,
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
    on_fraction
        Told the share of the work that is done, in [0, 1].
    blank
        Makes the output.

    Returns
    -------
    Signal
        float32, shape (2, n); nothing is moved in time. From an amount of 0.75 on, gaps of more
        than 4 s are silent but for their ends.

    Notes
    -----
    The residue is measured where nobody sings. A song with less than 2 s of silence keeps its
    voice as it is, apart from the high-pass.
    """
    if amount == 0.0 or not any(part.any() for _, (part,) in stretches(vocals)):
        return vocals
    sung = where_sung(vocals, accompaniment)
    on_fraction(0.2)
    residue = _measure_residue(vocals, accompaniment, sung)
    on_fraction(0.4)
    length = vocals.shape[1]
    out = blank(length)
    curve = _gate(sung, amount)

    def cleaned(stretch: tuple[slice, tuple[Signal, ...]]) -> Signal | None:
        block, (voice, rest) = stretch
        gate = _every_sample(curve, block)
        if not gate.any():
            return None
        spectrum = _stft(voice)
        gain = _high_pass()
        if residue is not None and method == "mask":
            gain = gain * _wiener_mask(_power(spectrum), _power(_stft(rest)), residue)
        elif residue is not None:
            gain = gain * _threshold_mask(_power(spectrum), residue)
        spectrum *= gain ** np.float32(amount)
        kept = _istft(spectrum)[:, _MARGIN:]
        return np.asarray(kept[:, : len(gate)] * gate)

    both = stretches(vocals, accompaniment, size=_BLOCK, margin=_MARGIN)
    with closing(in_order(cleaned, both)) as done:
        for (block, _), kept in done:
            if kept is not None:
                out[:, block] = kept
                release(out)
            on_fraction(0.4 + 0.6 * block.stop / length)
    return out


def _gate(sung: Flags, amount: float) -> Curve:
    """Return the voice's gain, `_PER_GRAIN` values a grain.

    It is 1 around phrases, `_GATE_DB` elsewhere, and 0 in the middle of long gaps.
    """
    reach = np.arange(-_HOLD, _HOLD + 1) >= -_AHEAD
    opened = scipy.ndimage.binary_dilation(sung, reach)
    gain = 10.0 ** (amount * _GATE_DB * (1.0 - _faded(opened, _FADE_S)) / 20.0)
    if amount * _GATE_DB <= _LEAST_SHUT_DB:
        # The song's ends are ends of a gap too, but nothing goes on there.
        closed = np.pad(~opened, _LONG_GAP, constant_values=True)
        gaps = scipy.ndimage.binary_opening(closed, np.ones(_LONG_GAP))
        shut = scipy.ndimage.binary_erosion(gaps, np.ones(2 * _STILL_THERE + 1), border_value=1)
        heard = 1.0 - _faded(shut[_LONG_GAP:-_LONG_GAP], _STILL_THERE * GRAIN / SAMPLE_RATE)
        gain *= np.where(heard > 1e-6, heard, 0.0)
    return np.asarray(gain)


def _faded(flags: Flags, seconds: float) -> Curve:
    """Return flags as a curve of `_PER_GRAIN` values each, which changes over some seconds."""
    fade = np.hanning(round(seconds * SAMPLE_RATE * _PER_GRAIN / GRAIN) + 2)[1:-1]
    fine = np.repeat(flags.astype(np.float64), _PER_GRAIN)
    return np.asarray(scipy.ndimage.convolve1d(fine, fade / fade.sum(), mode="nearest"))


def _every_sample(curve: Curve, block: slice) -> Signal:
    middles = (np.arange(len(curve)) + 0.5) * (GRAIN / _PER_GRAIN)
    return np.interp(np.arange(block.start, block.stop), middles, curve).astype(np.float32)


def _measure_residue(vocals: Signal, accompaniment: Signal, sung: Flags) -> _Residue | None:
    # Three grains away from any phrase: its onset and its echo are no residue.
    silent = scipy.ndimage.binary_erosion(~sung, np.ones(7), border_value=1)
    sums: Curve = np.zeros((4, _HOP + 1))
    count = 0
    for block, parts in stretches(vocals, accompaniment, size=_BLOCK, margin=_HOP):
        frames = np.arange((block.stop - block.start) // _HOP)
        frames = frames[silent[(block.start + frames * _HOP) // GRAIN]]
        if not len(frames):
            continue
        power, reference = (_power(_spectra(_frames(part)[:, frames])) for part in parts)
        level = _decibels(power)
        sums += [curve.sum(axis=0) for curve in (power, reference, level, level**2)]
        count += len(frames)
    if count * _HOP < _LEAST_RESIDUE_S * SAMPLE_RATE:
        return None
    own, other, mean, square = sums / count
    spread = np.sqrt(np.maximum(square - mean**2, 0.0))
    leak = _along_frequency(own) / (_along_frequency(other) + _TINY)
    return _Residue(leak=leak, mean_db=_along_frequency(mean), spread_db=_along_frequency(spread))


def _along_frequency(curve: Curve) -> Powers:
    smooth = scipy.ndimage.gaussian_filter1d(curve, 6.0)  # 65 Hz: no single partial is singled out
    return np.asarray(smooth, dtype=np.float32)


def _decibels(power: Powers) -> Powers:
    return np.asarray(10.0 * np.log10(power + _TINY), dtype=np.float32)


def _wiener_mask(power: Powers, reference: Powers, residue: _Residue) -> Powers:
    """Return the share of the stem's power that is not residue, shape (frames, bins)."""
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
    """Return a fourth-order Butterworth's gain without its phase, shape (bins,)."""
    frequency = np.fft.rfftfreq(_SIZE, 1.0 / SAMPLE_RATE)
    ratio = _HIGH_PASS_HZ / np.maximum(frequency, 1.0)
    return np.asarray(1.0 / np.sqrt(1.0 + ratio**8), dtype=np.float32)


def _frames(signal: Signal) -> Signal:
    """Show a signal as half overlapping frames, shape (2, frames, samples), the first on hop 0."""
    return np.lib.stride_tricks.sliding_window_view(signal, _SIZE, axis=-1)[:, ::_HOP]


def _spectra(frames: Signal) -> Spectrum:
    return np.asarray(scipy.fft.rfft(frames * _window()))


def _stft(signal: Signal) -> Spectrum:
    """Return the spectrum, shape (2, frames, bins), with the middle of frame 0 on sample 0."""
    padded = np.pad(signal, ((0, 0), (_HOP, _SIZE)))
    return _spectra(_frames(padded))


def _istft(spectrum: Spectrum) -> Signal:
    frames = scipy.fft.irfft(spectrum, _SIZE) * _window()
    halves = frames.reshape(*frames.shape[:-1], 2, _HOP)
    return np.asarray((halves[:, 1:, 0] + halves[:, :-1, 1]).reshape(2, -1))


def _window() -> Signal:
    # Square root of Hann, before and after: their products sum to one at half overlap.
    return np.asarray(np.sqrt(np.hanning(_SIZE + 1)[:-1]), dtype=np.float32)


def _power(spectrum: Spectrum) -> Powers:
    return np.asarray((spectrum.real**2 + spectrum.imag**2).sum(axis=0))
