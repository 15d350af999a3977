"""Give a transposed voice its own timbre back."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft

from pipeline.ahead import in_order
from pipeline.tapes import cut, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.types import OnFraction, Signal

_FRAME = 2048  # 46 ms
_HOP = _FRAME // 4
_LIFTER = 66  # 1.5 ms: shorter than the pitch period of all but a soprano's top notes
_MOST = 1.4  # nepers, 12 dB: how far a formant may be raised or lowered
_SIZE = 128 * _HOP  # 1.5 s at a time: what is worked on stays in the processor's cache


def _nobody_listens(_fraction: float) -> None:
    """Let progress pass unheard."""


def restore_formants(
    samples: Signal, semitones: float, on_fraction: OnFraction = _nobody_listens
) -> None:
    """Move the formants of a transposed voice back to where they were, in place.

    The spectral envelope, taken from the cepstrum below the pitch period, is replaced by the one
    that the untransposed voice had: the same envelope, read at the transposed frequency.

    Parameters
    ----------
    samples
        float32, shape (2, n); changed.
    semitones
        How far the voice was moved.
    on_fraction
        Told the share of the work that is done, in [0, 1].
    """
    length, reach = samples.shape[1], _FRAME - _HOP
    gains = _gains(2.0 ** (semitones / 12.0))

    def parts() -> Iterator[tuple[int, Signal]]:
        before = np.zeros((2, reach), dtype=np.float32)
        for start in range(0, length, _SIZE):
            # What lies before has been changed already: as it was, it comes from the last turn.
            part = cut(samples, start, start + _SIZE + reach)
            around = np.concatenate([before, part], axis=1)
            before = around[:, _SIZE:-reach]
            yield start, around

    def reshaped(part: tuple[int, Signal]) -> Signal | None:
        return _reshaped(part[1], gains) if part[1].any() else None

    with closing(in_order(reshaped, parts())) as done:
        for (start, _), shaped in done:
            stop = min(start + _SIZE, length)
            if shaped is not None:
                samples[:, start:stop] = shaped[:, : stop - start]
            release(samples)
            on_fraction(stop / length)


def _gains(ratio: float) -> Callable[[Signal], Signal]:
    """Return what turns log spectra, shape (frames, bins), into the gains that a voice needs.

    Cepstrum, envelope, and the envelope at another pitch all are linear in the log spectrum: two
    thin matrices stand for three transforms and an interpolation.
    """
    bins = np.arange(_FRAME // 2 + 1)
    waves = np.cos(2.0 * np.pi / _FRAME * np.outer(np.arange(_LIFTER), bins))
    once = np.where((bins == 0) | (bins == bins[-1]), 1.0, 2.0)  # bins that have no mirror image
    to_cepstrum = (waves * once / _FRAME).T
    there = np.stack([np.interp(bins * ratio, bins, wave) for wave in waves])
    to_gain = 2.0 * (there - waves)
    first, second = to_cepstrum.astype(np.float32), to_gain.astype(np.float32)

    def gains(log_level: Signal) -> Signal:
        return np.asarray(np.exp(np.clip(log_level @ first @ second, -_MOST, _MOST)))

    return gains


def _reshaped(around: Signal, gains: Callable[[Signal], Signal]) -> Signal:
    """Shape the middle of a signal that has three hops more on either side."""
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    strips = np.lib.stride_tricks.sliding_window_view(around, _FRAME, axis=1)[:, ::_HOP]
    spectrum = scipy.fft.rfft(strips * window)
    log_level = np.log(np.abs(spectrum).mean(axis=0) + np.float32(1e-5))
    spectrum *= gains(log_level)
    shaped = scipy.fft.irfft(spectrum) * (window / np.float32(1.5))  # what squared windows sum to
    hops = shaped.reshape(2, -1, _FRAME // _HOP, _HOP)
    turns = hops.shape[1] - 3
    joined = sum(hops[:, 3 - k : 3 - k + turns, k] for k in range(4))
    return np.asarray(joined).reshape(2, -1)
