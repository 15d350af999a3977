"""Speech as frames that can be sung: pitch, spectral envelope and aperiodicity, and back to sound.

Analysis and synthesis are those of WORLD (Morise, Yokomori and Ozawa, "WORLD: a vocoder-based
high-quality speech synthesis system", IEICE Trans. Inf. Syst. E99-D, 2016).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float32]
    Mono = npt.NDArray[np.float32]

FRAME_S = 0.005
"""Time between two frames, in seconds."""
BINS = 1025
"""Frequencies of a frame that is about to become sound, 0 Hz to half of the sample rate."""
SILENCE = -34.0
"""Natural logarithm of the power of a silent bin."""

_STORED_BINS = 513
_BAND = 16  # aperiodicity is smooth: one stored value for 16 bins
_PITCH_HZ = (60.0, 500.0)
_FFT_BELOW_HZ = {20_000: 1024, 48_000: 2048}  # long enough for the lowest pitch at each rate
_ACTIVE_RMS = 0.1
_SHORTEST_SYLLABLE = 10
_SHORTEST_VOWEL = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Utterance:
    """A few spoken words, one frame per `FRAME_S`.

    Attributes
    ----------
    voice
        Who speaks.
    rate_hz
        Sample rate of the speech; nothing is known above half of it.
    pitch_hz
        float32, shape (frames,); 0 where unvoiced.
    log_power
        Spectral envelope, natural logarithm, float16, shape (frames, bins), 0 Hz to `rate_hz` / 2.
    aperiodicity
        Share of noise in each band, float16, shape (frames, bands), same span.
    syllables
        Start, start of the vowel, end of the vowel and end in frames, int, shape (syllables, 4).
    """

    voice: str
    rate_hz: int
    pitch_hz: Floats
    log_power: npt.NDArray[np.float16]
    aperiodicity: npt.NDArray[np.float16]
    syllables: npt.NDArray[np.int64]

    @property
    def centre_hz(self) -> float:
        """Median pitch of the voiced frames."""
        return float(np.median(self.pitch_hz[self.pitch_hz > 0]))


def analyse(wave: Mono, rate_hz: int, voice: str) -> Utterance:
    """Return the frames of a recording.

    Parameters
    ----------
    wave
        One channel, shape (n,), at least a quarter of a second with a voice in it, and some
        noise where it rests: digital silence has no logarithm.
    rate_hz
        Its sample rate, at most 48 kHz.
    voice
        Name of the speaker.
    """
    import pyworld  # noqa: PLC0415 - training only; the rest of this module works without

    loud = wave[np.abs(wave) > 0.05 * np.max(np.abs(wave))]
    samples = wave.astype(np.float64) * (_ACTIVE_RMS / np.sqrt(np.mean(np.square(loud))))
    fft = next(size for below, size in _FFT_BELOW_HZ.items() if rate_hz <= below)
    rough, times = pyworld.dio(
        samples, rate_hz, f0_floor=_PITCH_HZ[0], f0_ceil=_PITCH_HZ[1], frame_period=1000 * FRAME_S
    )
    pitch = pyworld.stonemask(samples, rough, times, rate_hz)
    power = pyworld.cheaptrick(samples, pitch, times, rate_hz, fft_size=fft)
    noise = pyworld.d4c(samples, pitch, times, rate_hz, fft_size=fft)
    step = (fft // 2) // (_STORED_BINS - 1)
    log_power = np.log(power[:, ::step] + 1e-14).astype(np.float32)
    pitch = pitch.astype(np.float32)
    return Utterance(
        voice=voice,
        rate_hz=rate_hz,
        pitch_hz=pitch,
        log_power=log_power.astype(np.float16),
        aperiodicity=noise[:, :: step * _BAND].astype(np.float16),
        syllables=find_syllables(pitch, log_power, rate_hz),
    )


def find_syllables(pitch_hz: Floats, log_power: Floats, rate_hz: int) -> npt.NDArray[np.int64]:
    """Return start, start and end of the vowel, and end of each syllable in frames.

    Syllables part at the minima of the energy between 200 and 3500 Hz; the vowel is the voiced
    stretch within 9 dB of the syllable's loudest frame.
    """
    per_bin = rate_hz / 2 / (log_power.shape[1] - 1)
    power = np.exp(log_power)
    vocal = np.log(np.sum(power[:, int(200 / per_bin) : int(3500 / per_bin)], axis=1) + 1e-12)
    whole = np.log(np.sum(power, axis=1) + 1e-12)
    heard = np.flatnonzero(whole > np.max(whole) - 9)
    smooth = ndimage.gaussian_filter1d(vocal + 3.0 * (pitch_hz > 0), 5)
    lowest = np.flatnonzero(smooth == ndimage.minimum_filter1d(smooth, 21))
    inside = lowest[(lowest > heard[0] + 8) & (lowest < heard[-1] - 8)]
    borders = [int(heard[0]), *(int(k) for k in inside), int(heard[-1])]
    found = []
    for start, end in pairwise(borders):
        level = vocal[start:end]
        vowel = np.flatnonzero((pitch_hz[start:end] > 0) & (level > np.max(level, initial=-99) - 2))
        if end - start >= _SHORTEST_SYLLABLE and len(vowel) >= _SHORTEST_VOWEL:
            found.append((start, start + int(vowel[0]), start + int(vowel[-1]) + 1, end))
    return np.array(found, dtype=np.int64).reshape(-1, 4)


def tract_at(
    utterance: Utterance, positions: npt.NDArray[np.float64], *, formants: float, air: float
) -> tuple[Floats, Floats]:
    """Return what the vocal tract does at given moments of an utterance.

    Parameters
    ----------
    utterance
        Whose tract.
    positions
        Moments in frames, fractions allowed, shape (n,).
    formants
        Factor on all frequencies of the envelope: above 1 is a smaller head.
    air
        Change of the voiced envelope above what the recording holds, in nepers of power per kHz.

    Returns
    -------
    log_power, aperiodicity
        float32, each of shape (n, `BINS`), 0 Hz to 22.05 kHz.
    """
    below = np.clip(positions.astype(np.int64), 0, len(utterance.pitch_hz) - 2)
    late = (positions - below).astype(np.float32)[:, None]
    log_power = _blend(utterance.log_power, below, late)
    noise = _blend(utterance.aperiodicity, below, late)
    hz = np.arange(BINS) * (SAMPLE_RATE / 2 / (BINS - 1)) / formants
    per_bin = utterance.rate_hz / 2 / (log_power.shape[1] - 1)
    power = _stretch(log_power, hz / per_bin)
    known_hz = 0.46 * utterance.rate_hz
    first = int(np.searchsorted(hz, known_hz))
    if first < BINS:  # the highest octave of a 16 kHz voice is made up
        top = log_power[:, int(0.75 * known_hz / per_bin) : int(known_hz / per_bin)].mean(axis=1)
        voiced = ndimage.gaussian_filter1d((utterance.pitch_hz[below] > 0).astype(np.float32), 2)
        fall = voiced * air + (1 - voiced) * -0.25
        power[:, first:] = top[:, None] + fall[:, None] * ((hz[first:] - known_hz) / 1000)
    aperiodicity = _stretch(noise, hz / (per_bin * _BAND))
    aperiodicity[:, first:] = np.maximum(aperiodicity[:, first:], 0.8)
    return power.astype(np.float32), aperiodicity.astype(np.float32)


def _blend(rows: npt.NDArray[np.float16], below: npt.NDArray[np.int64], late: Floats) -> Floats:
    first, second = rows[below].astype(np.float32), rows[below + 1].astype(np.float32)
    out: Floats = first + late * (second - first)
    return out


def _stretch(rows: Floats, columns: npt.NDArray[np.float64]) -> Floats:
    below = np.minimum(columns.astype(np.int64), rows.shape[1] - 2)
    late = np.minimum(columns - below, 1.0).astype(np.float32)
    lower = np.take(rows, below, axis=1)
    out: Floats = lower + late * (np.take(rows, below + 1, axis=1) - lower)
    return out


def synthesise(pitch_hz: npt.ArrayLike, log_power: Floats, aperiodicity: Floats) -> Mono:
    """Return the sound of frames, float32, shape (n,), 44.1 kHz.

    Parameters
    ----------
    pitch_hz
        Shape (frames,); 0 where unvoiced.
    log_power, aperiodicity
        As `tract_at` returns them, each of shape (frames, `BINS`).
    """
    import pyworld  # noqa: PLC0415 - training only; the rest of this module works without

    sound = pyworld.synthesize(
        np.ascontiguousarray(pitch_hz, dtype=np.float64),
        np.ascontiguousarray(np.exp(np.maximum(log_power, SILENCE)), dtype=np.float64),
        np.ascontiguousarray(np.clip(aperiodicity, 1e-3, 1.0), dtype=np.float64),
        SAMPLE_RATE,
        1000 * FRAME_S,
    )
    out: Mono = sound.astype(np.float32)
    return out
