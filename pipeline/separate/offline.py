"""The separator that needs no network: signal processing, for when Spleeter cannot be had.

Three soft masks are combined by their geometric mean, each from one thing that sets a lead voice
apart: it moves in pitch yet is tonal, it stands in the middle, and it does not repeat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
import scipy.signal

from pipeline.medians import row_medians
from pipeline.types import SAMPLE_RATE, Stems

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import OnFraction, Signal, Song

    Spectrum = npt.NDArray[np.complex64]
    Magnitudes = npt.NDArray[np.float32]

_LONG = 16_384  # 370 ms: a voice changes within it, a held chord does not
_SHORT = 4_096  # 93 ms: a voice holds still within it, a drum does not
_SPREAD_HZ_BINS = 17  # width of the medians along frequency
_LONG_FRAMES = 9  # width of the medians along time
_SHORT_FRAMES = 7

_LOWEST_VOICE_HZ = 100.0
_MONO_DB = -40.0  # with the sides this far below the middle, where a sound stands says nothing

_NEIGHBOURS = 8  # similar moments whose mean is the background of one
_APART_S = 1.0  # moments nearer than this are alike because they are the same note
_SHORTEST_TO_REPEAT_S = 10.0
_PROFILE_HZ = 5_500.0  # moments are compared below this; above it is mostly hiss and cymbals

_SEGMENT_S = 90.0  # memory stays flat in the song's length; room enough to repeat
_OVERLAP_S = 1.0

_TINY = np.float32(1e-12)


class OfflineSeparator:
    """Takes voices out by their movement, their place and their novelty.

    Attributes
    ----------
    name
        "offline".
    note
        A sentence for the user when this one stands in for Spleeter, else "".

    Notes
    -----
    A long-window and a short-window harmonic-percussive separation in a row single out the voice
    (FitzGerald & Gainza 2010, "Single channel vocal separation using median filtering and
    factorisation techniques"); similar moments elsewhere in the song give the background
    (Rafii & Pardo 2012, REPET-SIM), here as a geometric mean in place of the median.
    """

    name = "offline"

    def __init__(self, *, note: str = "") -> None:
        self.note = note

    def separate(self, song: Song, on_fraction: OnFraction) -> Stems:
        """Split a song into vocals and the rest.

        Parameters
        ----------
        song
            Samples of shape (2, n) at 44 100 Hz, n at least 1; mono songs have equal channels.
        on_fraction
            Told the share of the song that is done, in [0, 1]; what it raises passes through.

        Returns
        -------
        Stems
            float32, shape (2, n); ``vocals + accompaniment`` is the song.
        """
        samples = song.samples
        segments = _segments(samples.shape[1])
        vocals = np.zeros_like(samples)
        for number, (start, stop) in enumerate(segments):

            def on_part(part: float, number: int = number) -> None:
                on_fraction((number + part) / len(segments))

            piece = _vocals_of(samples[:, start:stop], on_part)
            vocals[:, start:stop] += _faded(
                piece, fade_in=number > 0, fade_out=number < len(segments) - 1
            )
        on_fraction(1.0)
        return Stems(vocals=vocals, accompaniment=samples - vocals)


def _segments(length: int) -> list[tuple[int, int]]:
    """Return starts and stops of equal segments that overlap by `_OVERLAP_S`."""
    overlap = round(_OVERLAP_S * SAMPLE_RATE)
    step = round(_SEGMENT_S * SAMPLE_RATE) - overlap
    count = max(1, -(-(length - overlap) // step))
    step = -(-(length - overlap) // count)
    if count == 1:
        return [(0, length)]
    return [(k * step, min(length, (k + 1) * step + overlap)) for k in range(count)]


def _faded(piece: Signal, *, fade_in: bool, fade_out: bool) -> Signal:
    # Both sides of a joint hold nearly the same signal, so amplitudes, not powers, sum to one.
    count = round(_OVERLAP_S * SAMPLE_RATE)
    ramp = ((np.arange(count) + 0.5) / count).astype(np.float32)
    if fade_in:
        piece[:, :count] *= ramp
    if fade_out:
        piece[:, -count:] *= ramp[::-1]
    return piece


def _vocals_of(samples: Signal, on_part: OnFraction) -> Signal:
    on_part(0.0)
    middle = samples.mean(axis=0)
    voice_like = _moving_and_tonal(middle)
    on_part(0.5)
    spectrum = _stft(samples, _SHORT)
    magnitude = np.abs(spectrum.mean(axis=0))
    masks = [np.minimum(voice_like / (magnitude + _TINY), 1.0)]
    if _is_stereo(samples):
        masks.append(_central(spectrum))
    if samples.shape[1] >= _SHORTEST_TO_REPEAT_S * SAMPLE_RATE:
        masks.append(_novel(magnitude))
    on_part(0.8)
    mask = np.prod(masks, axis=0) ** np.float32(1 / len(masks))
    mask[: round(_LOWEST_VOICE_HZ * _SHORT / SAMPLE_RATE)] = 0.0
    return _istft(spectrum * mask, _SHORT, samples.shape[1])


def _stft(signal: Signal, size: int) -> Spectrum:
    """Return the spectrum, shape (..., size // 2 + 1, frames), half overlapping."""
    # Not librosa's, whose transforms run in double precision and take three times as long.
    margin = [(0, 0)] * (signal.ndim - 1) + [(size // 2, size + size // 2)]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(signal, margin), size, axis=-1)
    spectrum = scipy.fft.rfft(windows[..., :: size // 2, :] * _window(size))
    return np.asarray(spectrum.swapaxes(-1, -2))


def _istft(spectrum: Spectrum, size: int, length: int) -> Signal:
    frames = scipy.fft.irfft(spectrum.swapaxes(-1, -2), size) * _window(size)
    halves = frames.reshape(*frames.shape[:-1], 2, size // 2)
    joined = halves[..., 1:, 0, :] + halves[..., :-1, 1, :]
    return np.asarray(joined.reshape(*joined.shape[:-2], -1)[..., :length])


def _window(size: int) -> Magnitudes:
    # Square root of Hann, before and after: their products sum to one at half overlap.
    return np.asarray(np.sqrt(scipy.signal.get_window("hann", size)), np.float32)


def _moving_and_tonal(middle: Signal) -> Magnitudes:
    """Return the magnitudes, over short windows, of what moves in pitch but is no drum."""
    wide = _stft(middle, _LONG)
    steady, sudden = _medians(np.abs(wide), _LONG_FRAMES)
    moving = _istft(wide * (sudden / (steady + sudden + _TINY)), _LONG, middle.size)
    narrow = np.abs(_stft(moving, _SHORT))
    tonal, struck = _medians(narrow, _SHORT_FRAMES)
    return np.asarray(narrow * (tonal**2 / (tonal**2 + struck**2 + _TINY)))


def _medians(magnitude: Magnitudes, frames: int) -> tuple[Magnitudes, Magnitudes]:
    """Return medians along time and along frequency (Fitzgerald 2010), shaped as they came."""
    along_frequency = row_medians(np.ascontiguousarray(magnitude.T), _SPREAD_HZ_BINS).T
    return row_medians(np.ascontiguousarray(magnitude), frames), along_frequency


def _is_stereo(samples: Signal) -> bool:
    side = float(np.mean((samples[0] - samples[1]) ** 2))
    middle = float(np.mean((samples[0] + samples[1]) ** 2))
    return side > middle * 10 ** (_MONO_DB / 10)


def _central(spectrum: Spectrum) -> Magnitudes:
    """Return 1 where both channels agree, 0 where one is alone or they disagree."""
    left, right = spectrum
    power = np.abs(left) ** 2 + np.abs(right) ** 2
    agreement = 2 * np.real(left * right.conj()) / (power + _TINY)
    return np.asarray(np.clip(agreement, 0.0, 1.0))


def _novel(magnitude: Magnitudes) -> Magnitudes:
    """Return how far each moment stands out from moments that are like it."""
    level = magnitude / (magnitude.mean() + _TINY)
    profile = np.log1p(100 * level[: round(_PROFILE_HZ * _SHORT / SAMPLE_RATE)])
    profile /= np.linalg.norm(profile, axis=0) + _TINY
    likeness = profile.T @ profile
    moments = np.arange(likeness.shape[0])
    apart = round(_APART_S * SAMPLE_RATE / (_SHORT // 2))
    likeness[np.abs(moments[:, None] - moments) <= apart] = -1.0
    least = np.partition(likeness, -_NEIGHBOURS, axis=1)[:, -_NEIGHBOURS, None]
    weights = (likeness >= least).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True)
    background = np.exp(np.log(level + np.float32(1e-5)) @ weights.T)
    background = np.minimum(background, level)
    novelty = level - background
    return np.asarray(novelty**2 / (novelty**2 + background**2 + _TINY))
