"""What studios do to a sound: pure functions of a signal and a random generator.

Each draws its own settings, from the ranges that records use, and returns a new float32 signal of
the same shape (2, n). Filters after R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad
filter coefficients"; rooms are exponentially decaying noise in three bands (J. Moorer, "About
this reverberation business", 1979).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import signal as dsp

from pipeline.types import SAMPLE_RATE
from training.arrays import single
from training.dynamics import compressor_gain

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal

    Sos = npt.NDArray[np.float32]

    Shape = Literal["bell", "low shelf", "high shelf"]


def filtered(
    signal: Signal, *, low_hz: float = 0.0, high_hz: float = 0.0, order: int = 2
) -> Signal:
    """Return the signal between two cut-off frequencies; 0 leaves that side open.

    Parameters
    ----------
    signal
        float32, shape (..., n).
    low_hz, high_hz
        Butterworth cut-offs in Hz, at most 21 kHz.
    order
        Order of each side, 1 to 8.
    """
    out = signal
    for cut, kind in ((low_hz, "highpass"), (high_hz, "lowpass")):
        if cut:
            sos = dsp.butter(order, min(cut, 21_000.0), kind, fs=SAMPLE_RATE, output="sos")
            out = dsp.sosfilt(sos.astype(np.float32), out)
    return out.astype(np.float32, copy=False)


def band_limit(signal: Signal, rng: np.random.Generator) -> Signal:
    """Take away the lowest and the highest of a sound, gently or as far as a telephone does."""
    if rng.random() < 0.15:
        low, high, order = rng.uniform(200, 500), rng.uniform(2500, 4500), 4
    else:
        low, high, order = _log_uniform(rng, 25, 200), _log_uniform(rng, 5000, 18_000), 2
    return filtered(signal, low_hz=low, high_hz=high, order=order)


def equalise(signal: Signal, rng: np.random.Generator) -> Signal:
    """Raise and lower one to four bands, up to 7 dB each way."""
    kinds: tuple[tuple[Shape, float, float], ...] = (
        ("low shelf", 60, 400),
        ("high shelf", 2500, 10_000),
        ("bell", 150, 1200),
        ("bell", 800, 6000),
    )
    drawn = [kind for kind in kinds if rng.random() < 0.6] or [kinds[2]]
    sections = [
        _biquad(shape, _log_uniform(rng, low, high), rng.uniform(-7, 7), rng.uniform(0.5, 1.8))
        for shape, low, high in drawn
    ]
    out: Signal = dsp.sosfilt(np.stack(sections), signal)
    return out.astype(np.float32, copy=False)


def room_reverb(
    signal: Signal,
    rng: np.random.Generator,
    *,
    longest_s: float = 2.2,
    wettest: float = 0.6,
) -> Signal:
    """Put a sound into a drawn room, from a small booth to a hall or a plate.

    Parameters
    ----------
    signal
        float32, shape (2, n).
    rng
        Where the room is drawn from.
    longest_s
        Longest time in seconds in which the room falls by 60 dB; the shortest is 0.2 s.
    wettest
        Highest level of the room against the direct sound.
    """
    decay_s = _log_uniform(rng, 0.2, max(longest_s, 0.25))
    wet = float(rng.uniform(0.06, 1.0)) * wettest
    room = _draw_room(rng, decay_s)
    echo = dsp.oaconvolve(signal, room, axes=-1)[..., : signal.shape[-1]]
    # As loud as the direct sound at wet 1: the response is scaled to unit energy.
    return single(signal + wet * echo)


def echo(signal: Signal, rng: np.random.Generator, *, beat_s: float = 0.5) -> Signal:
    """Repeat a sound one to five times, on the beat's fractions, perhaps from side to side."""
    delay = int(beat_s * rng.choice([0.25, 0.5, 0.5, 0.75, 1.0]) * SAMPLE_RATE)
    feedback = rng.uniform(0.2, 0.6)
    taps = filtered(signal, low_hz=rng.uniform(80, 400), high_hz=rng.uniform(1800, 8000), order=1)
    swap = rng.random() < 0.4
    out = signal.copy()
    level = rng.uniform(0.15, 0.5)
    for count in range(1, int(rng.integers(2, 7))):
        shift = count * delay
        if shift >= signal.shape[-1] or level < 0.02:
            break
        tap = taps[::-1] if swap and count % 2 else taps
        out[:, shift:] += np.float32(level) * tap[:, : signal.shape[-1] - shift]
        level *= feedback
    return out


def chorus(signal: Signal, rng: np.random.Generator) -> Signal:
    """Add one or two copies whose delay sways, differently left and right; or a flanger."""
    times = np.arange(signal.shape[-1]) / SAMPLE_RATE
    flanger = rng.random() < 0.2
    base_s, depth_s = (0.0025, 0.002) if flanger else (rng.uniform(0.008, 0.022), 0.0025)
    depth = rng.uniform(0.3, 1.0) * depth_s * SAMPLE_RATE
    rate_hz = _log_uniform(rng, 0.12, 2.0 if not flanger else 0.6)
    level = np.float32(rng.uniform(0.3, 0.8))
    out = signal.copy()
    for channel in range(2):
        phase = rng.uniform(0, 2 * np.pi)
        delay = base_s * SAMPLE_RATE + depth * np.sin(2 * np.pi * rate_hz * times + phase)
        out[channel] += level * _delayed(signal[channel], delay)
    return single(out / np.sqrt(1 + level**2))


def widen(signal: Signal, rng: np.random.Generator) -> Signal:
    """Spread a sound: a short delay on one side, or two slightly different takes left and right."""
    if rng.random() < 0.5:
        late = int(rng.uniform(0.006, 0.028) * SAMPLE_RATE)
        side = int(rng.integers(2))
        out = signal.copy()
        out[side, late:] = signal[side, :-late] if late < signal.shape[-1] else 0.0
        out[side, :late] = 0.0
        return out
    mid = signal.mean(axis=0)
    times = np.arange(len(mid)) / SAMPLE_RATE
    takes = []
    for _ in range(2):
        sway = np.sin(2 * np.pi * rng.uniform(0.1, 0.5) * times + rng.uniform(0, 6.28))
        takes.append(_delayed(mid, SAMPLE_RATE * (rng.uniform(0.003, 0.025) + 0.002 * sway)))
    return np.stack(takes).astype(np.float32)


def pan(signal: Signal, place: float) -> Signal:
    """Fold a sound to one point between the loudspeakers.

    Parameters
    ----------
    signal
        float32, shape (2, n).
    place
        From -1 (hard left) to 1 (hard right); constant power.
    """
    angle = (place + 1) * np.pi / 4
    gains = np.array([[np.cos(angle)], [np.sin(angle)]]) * np.sqrt(2)
    return single(signal.mean(axis=0) * gains)


def saturate(signal: Signal, rng: np.random.Generator, *, hardest: float = 5.0) -> Signal:
    """Round the peaks off as tape or a valve does, at the same root-mean-square level."""
    level = _rms(signal)
    if level == 0:
        return signal.copy()
    drive = np.float32(_log_uniform(rng, 0.7, hardest) / max(4 * level, 1e-9))
    lean = np.float32(rng.uniform(0, 0.25))  # even harmonics come from an uneven curve
    bent = np.tanh(signal * drive + lean) - np.tanh(lean)
    return _at_level(bent, level)


def guitar_amp(signal: Signal, rng: np.random.Generator) -> Signal:
    """Drive a sound through an amplifier and the band of its loudspeaker."""
    level = _rms(signal)
    if level == 0:
        return signal.copy()
    tight = filtered(signal, low_hz=rng.uniform(70, 250), order=1)
    drive = np.float32(_log_uniform(rng, 1.5, 40) / max(4 * level, 1e-9))
    bent = np.tanh(tight * drive)
    bent = np.clip(bent * np.float32(rng.uniform(1, 1.6)), -0.9, 1.0)  # the two valves differ
    cabinet = filtered(bent, low_hz=rng.uniform(70, 130), high_hz=rng.uniform(3200, 6500), order=4)
    return _at_level(cabinet, level)


def compress(signal: Signal, rng: np.random.Generator) -> Signal:
    """Level a sound by up to some 10 dB, at the same root-mean-square level."""
    level = _rms(signal)
    if level == 0:
        return signal.copy()
    gain = compressor_gain(
        signal,
        threshold_db=20 * np.log10(level) + rng.uniform(-4, 9),
        ratio=_log_uniform(rng, 1.5, 10),
        attack_s=_log_uniform(rng, 0.001, 0.04),
        release_s=_log_uniform(rng, 0.04, 0.4),
    )
    return _at_level(signal * gain, level)


def talk_box(signal: Signal, rng: np.random.Generator) -> Signal:
    """Move a sound through two or three vowels, slowly: a machine's mouth."""
    level = _rms(signal)
    chosen = rng.choice(len(_VOWELS_HZ), size=int(rng.integers(2, 4)), replace=False)
    times = np.arange(signal.shape[-1]) / SAMPLE_RATE
    angle = 2 * np.pi * _log_uniform(rng, 0.2, 3.0) * times + rng.uniform(0, 6.28)
    out = np.zeros_like(signal)
    for place, which in enumerate(chosen):
        weight = np.maximum(0.0, np.cos(angle + 2 * np.pi * place / len(chosen)))
        out += _vowel(signal, _VOWELS_HZ[which]) * weight.astype(np.float32)
    return _at_level(out, level)


_VOWELS_HZ = (
    (730.0, 1090.0, 2440.0),
    (530.0, 1840.0, 2480.0),
    (270.0, 2290.0, 3010.0),
    (570.0, 840.0, 2410.0),
    (300.0, 870.0, 2240.0),
)
"""First three formants of five vowels; G. Peterson and H. Barney, 1952, men."""


def _vowel(signal: Signal, formants_hz: tuple[float, ...]) -> Signal:
    out = np.zeros_like(signal)
    for formant, gain in zip(formants_hz, (1.0, 0.6, 0.35), strict=True):
        b, a = dsp.iirpeak(formant, 7.0, fs=SAMPLE_RATE)
        sos = np.concatenate([b, a])[None].astype(np.float32)
        out += np.float32(gain) * dsp.sosfilt(sos, signal)
    return out


def _draw_room(rng: np.random.Generator, decay_s: float) -> Signal:
    """Return a room of unit energy on each side, float32, shape (2, m)."""
    length = int(min(decay_s, 2.0) * SAMPLE_RATE)
    times = np.arange(length, dtype=np.float32) / np.float32(SAMPLE_RATE)
    noise = rng.standard_normal((2, length), dtype=np.float32)
    split_hz = float(rng.uniform(1200, 4000))
    dark = filtered(noise, high_hz=split_hz, order=1)
    bright = filtered(noise - dark, high_hz=rng.uniform(5000, 14_000), order=1)
    damp = np.float32(rng.uniform(1.2, 3.0))  # air and curtains: highs die first
    fall = np.exp(np.float32(-6.9 / decay_s) * times)
    tail = dark * fall + bright * fall**damp
    tail = filtered(tail, low_hz=float(rng.uniform(60, 350)), order=1)
    wait = int(rng.uniform(0.0, 0.05) * SAMPLE_RATE)
    room = np.pad(tail, ((0, 0), (wait, 0)))
    for _ in range(int(rng.integers(3, 9))):  # the first walls
        place = int(rng.uniform(0.002, 0.06) * SAMPLE_RATE)
        if place < room.shape[-1]:
            room[int(rng.integers(2)), place] += np.float32(rng.uniform(2, 10))
    energy = np.sqrt(np.sum(room**2, axis=-1, keepdims=True))
    return single(room / energy)


def _biquad(shape: Shape, centre_hz: float, gain_db: float, quality: float) -> Sos:
    amp = 10 ** (gain_db / 40)
    angle = 2 * np.pi * centre_hz / SAMPLE_RATE
    cos, alpha = np.cos(angle), np.sin(angle) / (2 * quality)
    if shape == "bell":
        top = (1 + alpha * amp, -2 * cos, 1 - alpha * amp)
        low = (1 + alpha / amp, -2 * cos, 1 - alpha / amp)
    else:
        sign = 1 if shape == "low shelf" else -1
        alpha = np.sin(angle) / np.sqrt(2)
        root = 2 * np.sqrt(amp) * alpha
        plus, minus = amp + 1, amp - 1
        top = (
            amp * (plus - sign * minus * cos + root),
            sign * 2 * amp * (minus - sign * plus * cos),
            amp * (plus - sign * minus * cos - root),
        )
        low = (
            plus + sign * minus * cos + root,
            -sign * 2 * (minus + sign * plus * cos),
            plus + sign * minus * cos - root,
        )
    return single(np.array([*top, *low]) / low[0])


def _delayed(mono: npt.NDArray[np.float32], delay: npt.NDArray[np.float64]) -> Signal:
    """Return a signal read `delay` samples late, between samples by straight lines."""
    place = np.arange(len(mono)) - delay
    whole = np.floor(place).astype(np.int64)
    part = (place - whole).astype(np.float32)
    inside = (whole >= 0) & (whole < len(mono) - 1)
    whole = np.clip(whole, 0, max(len(mono) - 2, 0))
    late = mono[whole] * (1 - part) + mono[np.minimum(whole + 1, len(mono) - 1)] * part
    return np.where(inside, late, np.float32(0)).astype(np.float32)


def _rms(signal: Signal) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))


def _at_level(signal: Signal, level: float) -> Signal:
    now = _rms(signal)
    return (signal * np.float32(level / now if now > 0 else 0.0)).astype(np.float32)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
