"""A singer: a glottal source with glides and vibrato, vowels as vocal tracts, consonants.

Formants of the vowels are the averages of Peterson and Barney, "Control methods used in a study
of the vowels" (JASA 24, 1952), Table II; the tract's higher resonances are those of a uniform
tube.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage, signal

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from composer.clock import Clock
    from composer.melody import Syllable
    from pipeline.types import Signal

    Mono = npt.NDArray[np.float32]
    Floats = npt.NDArray[np.float64]

TAIL_S = 0.15
"""How long the voice rings after the last note of a phrase, in seconds."""

_HOP = 64  # pitch, level and vowels move slowly: one value per 1.5 ms
_TABLE = 8192
_TAPS = 1024
_NASAL = "m"
_LOW = {  # first three formants in Hz, men
    "a": (730, 1090, 2440),
    "e": (530, 1840, 2480),
    "i": (270, 2290, 3010),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
    _NASAL: (250, 1100, 2200),
}
_HIGH = {  # women
    "a": (850, 1220, 2810),
    "e": (610, 2330, 2990),
    "i": (310, 2790, 3310),
    "o": (590, 920, 2710),
    "u": (370, 950, 2670),
    _NASAL: (280, 1250, 2500),
}
_HISS = {  # band in Hz, length in seconds, level, of the consonants made of noise
    "s": (4800, 10500, 0.10, 0.40),
    "sh": (2300, 7000, 0.10, 0.40),
    "f": (1500, 9000, 0.08, 0.12),
    "t": (2500, 8000, 0.030, 0.34),
    "k": (1300, 3500, 0.035, 0.34),
}
_NASAL_S = 0.07


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Singer:
    """One person's voice.

    Attributes
    ----------
    centre
        MIDI note in the middle of the range.
    tracts
        Impulse response of the vocal tract for each vowel and the nasal, float32, shape (taps,).
    glottis
        One period of the flow's derivative, float32, shape (table,).
    vibrato_hz
        Rate of the vibrato.
    """

    centre: int
    tracts: dict[str, Mono]
    glottis: Mono
    vibrato_hz: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Control:
    """What the singer does, one value a hop, each of shape (hops,)."""

    pitch: Floats
    level: Floats
    vowels: dict[str, Floats]


def draw_singer(rng: np.random.Generator) -> Singer:
    """Return a low or a high voice."""
    high = bool(rng.random() < 0.5)
    formants = _HIGH if high else _LOW
    size = float(rng.uniform(0.95, 1.06))
    tube_hz = (590 if high else 500) * size
    centre = 66 if high else 55
    highest_hz = 440 * 2 ** ((centre + 12 - 69) / 12)
    return Singer(
        centre=centre,
        tracts={
            vowel: _tract(tuple(f * size for f in hz), tube_hz, 0.35 if vowel == _NASAL else 1.0)
            for vowel, hz in formants.items()
        },
        glottis=_glottis(int(0.45 * SAMPLE_RATE / highest_hz)),
        vibrato_hz=float(rng.uniform(5.0, 6.0)),
    )


def _tract(formants_hz: tuple[float, ...], tube_hz: float, level: float) -> Mono:
    """Return the minimum-phase response of a tract: its formants, then a tube's resonances."""
    f = np.fft.rfftfreq(4 * _TAPS, 1 / SAMPLE_RATE)
    tube = [(2 * n - 1) * tube_hz for n in range(4, 30)]
    log_gain = np.zeros_like(f)
    for centre in (*formants_hz, *tube):
        width = 70 + centre / 13
        log_gain += np.log(centre**2 / np.hypot(centre**2 - f**2, width * f))
    # Beyond the audible resonances the tract loses energy; without this the top would hiss.
    log_gain -= np.log1p((f / 9000) ** 4)
    cepstrum = np.fft.irfft(log_gain)
    cepstrum[1 : 2 * _TAPS] *= 2
    cepstrum[2 * _TAPS + 1 :] = 0
    response = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[:_TAPS]
    response *= np.linspace(1, 0, _TAPS) ** 2
    out: Mono = (response * level / np.sqrt(np.sum(response**2))).astype(np.float32)
    return out


def _glottis(highest: int) -> Mono:
    """Return a band-limited pulse.

    Glottis and lips together fall by 6 dB an octave in speech; a pressed singing voice by less.
    """
    k = np.arange(1, highest + 1)
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : highest + 1] = -(k**-0.75) * np.cos(0.5 * np.pi * k / (highest + 1))
    table: Mono = (np.fft.irfft(spectrum) * _TABLE / 2).astype(np.float32)
    return table


def sing_phrase(
    rng: np.random.Generator,
    singer: Singer,
    phrase: tuple[Syllable, ...],
    clock: Clock,
    room: Signal,
) -> tuple[float, Signal]:
    """Return when a phrase starts in seconds, and its sound.

    Parameters
    ----------
    rng
        Where the small irregularities are drawn from.
    singer
        Who sings.
    phrase
        At least one syllable; the first has no consonant.
    clock
        When the syllables sound.
    room
        Response of the room, shape (2, n).

    Returns
    -------
    start_s
        Time of the first sample.
    sound
        float32, shape (2, n), `TAIL_S` longer than the last syllable; silent at its end.
    """
    starts = clock.seconds([s.start for s in phrase])
    end = float(clock.seconds(phrase[-1].start + phrase[-1].length))
    onsets = starts - starts[0]
    length = int((end - starts[0] + TAIL_S) * SAMPLE_RATE)
    control = _control(rng, singer, phrase, np.append(onsets, end - starts[0]), length)
    dry = _voiced(rng, singer, control, length)
    for syllable, onset in zip(phrase, onsets, strict=True):
        if syllable.consonant in _HISS:
            _add_hiss(rng, dry, syllable.consonant, int(onset * SAMPLE_RATE))
    wet = signal.oaconvolve(dry[None, :], room, axes=-1)[:, :length]
    out: Signal = (dry + 0.16 * wet).astype(np.float32)
    fade = int(TAIL_S * SAMPLE_RATE)
    out[:, -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
    return float(starts[0]), out


def _control(
    rng: np.random.Generator,
    singer: Singer,
    phrase: tuple[Syllable, ...],
    times: Floats,
    length: int,
) -> _Control:
    at = np.arange(0, length + _HOP, _HOP) / SAMPLE_RATE
    which = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(phrase) - 1)
    since = at - times[which]
    lasts = np.diff(times)[which]
    pitch = np.array([s.pitch for s in phrase], dtype=np.float64)[which]
    pitch -= 1.2 * np.exp(-at / 0.035)  # the voice slides up into a phrase
    pitch = ndimage.gaussian_filter1d(pitch, 0.022 * SAMPLE_RATE / _HOP)
    held = np.clip((since - 0.18) / 0.25, 0, 1) * (lasts > 0.34)
    wave = np.sin(2 * np.pi * singer.vibrato_hz * at)
    shake = ndimage.gaussian_filter1d(rng.standard_normal(len(at)), 0.05 * SAMPLE_RATE / _HOP)
    pitch += 0.42 * held * wave + 0.7 * shake
    level = np.minimum(1.0, (at + 0.004) / 0.03) * (1 + 0.06 * held * wave)
    level *= 1.0 - 0.35 * np.clip(since / np.maximum(lasts, 0.3), 0, 1) ** 2
    level *= np.clip((times[-1] + 0.02 - at) / 0.09, 0, 1)
    vowels = {v: np.zeros(len(at)) for v in singer.tracts}
    for n, syllable in enumerate(phrase):
        vowels[syllable.vowel][which == n] = 1.0
        _articulate(syllable.consonant, times[n], at, level, vowels)
    blur = 0.014 * SAMPLE_RATE / _HOP
    vowels = {v: ndimage.gaussian_filter1d(w, blur) for v, w in vowels.items() if np.any(w)}
    return _Control(pitch=pitch, level=level, vowels=vowels)


def _articulate(
    consonant: str, onset_s: float, at: Floats, level: Floats, vowels: dict[str, Floats]
) -> None:
    """Close the voice for a consonant that ends at the onset of its vowel, in place."""
    if consonant in _HISS:
        gap = _HISS[consonant][2] + 0.03  # a stop is a closure and then a burst
        before = np.clip((onset_s - at) / 0.015, 0, 1) * np.clip((at - onset_s + gap) / 0.02, 0, 1)
        level *= 1.0 - before * 0.97
    elif consonant:
        nasal = (at >= onset_s - _NASAL_S) & (at < onset_s)
        for weights in vowels.values():
            weights[nasal] = 0.0
        vowels[_NASAL][nasal] = 1.0


def _voiced(rng: np.random.Generator, singer: Singer, control: _Control, length: int) -> Mono:
    hops = np.arange(0, length + _HOP, _HOP)
    samples = np.arange(length)
    pitch_hz = 440 * 2 ** ((np.interp(samples, hops, control.pitch) - 69) / 12)
    phase = np.cumsum(pitch_hz) / SAMPLE_RATE
    place = (phase * _TABLE).astype(np.int64) & (_TABLE - 1)
    # Breath is strongest while the glottis is open, in the middle of the period.
    open_glottis = 1 - np.cos(2 * np.pi * np.linspace(0, 1, _TABLE, dtype=np.float32))
    breath = rng.standard_normal(length, dtype=np.float32) * open_glottis[place]
    source = singer.glottis[place] + np.float32(0.09) * breath
    source *= np.interp(samples, hops, control.level).astype(np.float32)
    out = np.zeros(length, dtype=np.float32)
    for vowel, weights in control.vowels.items():
        part = source * np.interp(samples, hops, weights).astype(np.float32)
        out += signal.oaconvolve(part, singer.tracts[vowel])[:length]
    return out


def _add_hiss(rng: np.random.Generator, dry: Mono, consonant: str, onset: int) -> None:
    low_hz, high_hz, seconds, level = _HISS[consonant]
    length = min(onset, int((seconds + 0.02) * SAMPLE_RATE))
    band = signal.butter(2, [low_hz, high_hz], "bandpass", fs=SAMPLE_RATE, output="sos")
    noise = signal.sosfilt(band, rng.standard_normal(length))
    noise *= level / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
    noise *= signal.windows.tukey(length, 0.4)
    loudest = float(np.sqrt(np.mean(dry**2)))
    dry[onset - length : onset] += (noise * loudest).astype(np.float32)
