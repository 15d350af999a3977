"""Synthesisers made of numpy: subtractive, super-saw, FM, and one voice that glides."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import SAMPLE_RATE
from training.arrays import single
from training.effects import filtered

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.types import Signal
    from training.bands.notes import Note

    Mono = npt.NDArray[np.float32]

_TABLE = 4096
_WAVES = ("saw", "square", "pulse", "triangle", "fm", "organ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """The settings of a synthesiser.

    Attributes
    ----------
    wave
        "saw", "square", "pulse", "triangle", "fm", "organ" or "whistle".
    voices, detune
        Oscillators of each note, and how far they spread, in semitones.
    attack_s, decay_s, sustain, release_s
        The envelope; `sustain` from 0 to 1.
    open_hz, closed_hz
        Where the filter is when a note begins, and where it settles.
    sweep_s
        How long it takes to settle.
    ratio, index
        Of FM: the modulator's frequency and how far it swings.
    glide_s
        Of a gliding voice: time constant from note to note.
    vibrato, vibrato_hz
        Of a gliding voice: depth in semitones, and rate.
    """

    wave: str
    voices: int
    detune: float
    attack_s: float
    decay_s: float
    sustain: float
    release_s: float
    open_hz: float
    closed_hz: float
    sweep_s: float
    ratio: float = 1.0
    index: float = 0.0
    glide_s: float = 0.0
    vibrato: float = 0.0
    vibrato_hz: float = 5.0


def draw_pad(rng: np.random.Generator) -> Patch:
    """Return a patch for chords, from a pluck to a slow super-saw."""
    slow = rng.random() < 0.4
    voices = int(rng.choice([1, 2, 3, 5, 7]))
    open_hz = float(np.exp(rng.uniform(np.log(900), np.log(14_000))))
    return Patch(
        wave=str(rng.choice(_WAVES)),
        voices=voices,
        detune=float(rng.uniform(0.03, 0.3)) if voices > 1 else 0.0,
        attack_s=float(rng.uniform(0.1, 0.8)) if slow else float(rng.uniform(0.002, 0.02)),
        decay_s=float(rng.uniform(0.08, 1.5)),
        sustain=float(rng.choice([0.0, 0.3, 0.7, 1.0])) if not slow else 1.0,
        release_s=float(rng.uniform(0.05, 0.8)),
        open_hz=open_hz,
        closed_hz=open_hz * float(rng.uniform(0.15, 1.0)),
        sweep_s=float(rng.uniform(0.05, 0.8)),
        ratio=float(rng.choice([0.5, 1, 1, 2, 3, 3.5, 7, 1.41])),
        index=float(rng.uniform(0.3, 4)),
    )


def draw_bass(rng: np.random.Generator) -> Patch:
    """Return a patch for a bass line: plucked, growling or a plain sine as of an 808."""
    deep = rng.random() < 0.3
    open_hz = float(np.exp(rng.uniform(np.log(300), np.log(5000))))
    return Patch(
        wave="organ" if deep else str(rng.choice(["saw", "square", "pulse", "fm", "triangle"])),
        voices=1 if deep else int(rng.choice([1, 1, 2, 3])),
        detune=float(rng.uniform(0.02, 0.15)),
        attack_s=float(rng.uniform(0.002, 0.012)),
        decay_s=float(rng.uniform(0.1, 1.5)),
        sustain=float(rng.choice([0.2, 0.6, 1.0])),
        release_s=float(rng.uniform(0.03, 0.2)),
        open_hz=180.0 if deep else open_hz,
        closed_hz=120.0 if deep else open_hz * float(rng.uniform(0.1, 0.9)),
        sweep_s=float(rng.uniform(0.04, 0.4)),
        ratio=float(rng.choice([0.5, 1, 1, 2])),
        index=float(rng.uniform(0.3, 3)),
    )


def draw_lead(rng: np.random.Generator) -> Patch:
    """Return a patch for a melody of one voice, with glide and vibrato."""
    whistle = rng.random() < 0.15
    open_hz = float(np.exp(rng.uniform(np.log(1500), np.log(14_000))))
    return Patch(
        wave="whistle" if whistle else str(rng.choice(_WAVES)),
        voices=1 if whistle else int(rng.choice([1, 1, 2, 3])),
        detune=float(rng.uniform(0.03, 0.2)),
        attack_s=float(rng.uniform(0.005, 0.08)),
        decay_s=float(rng.uniform(0.2, 2)),
        sustain=float(rng.uniform(0.4, 1.0)),
        release_s=float(rng.uniform(0.03, 0.3)),
        open_hz=open_hz,
        closed_hz=open_hz * float(rng.uniform(0.2, 1.0)),
        sweep_s=float(rng.uniform(0.1, 0.8)),
        ratio=float(rng.choice([1, 2, 3])),
        index=float(rng.uniform(0.3, 3)),
        glide_s=float(rng.choice([0.002, 0.02, 0.05, 0.1])),
        vibrato=float(rng.choice([0, 0.1, 0.25, 0.5])),
        vibrato_hz=float(rng.uniform(4, 7)),
    )


def play_synth(
    rng: np.random.Generator, patch: Patch, notes: Sequence[Note], length: int
) -> Signal:
    """Play notes, any number at a time; float32, shape (2, length).

    The filter's sweep is a cross-fade, for each note, from a bright bus to a dark one: two
    filters serve all notes.
    """
    bright = np.zeros((2, length), dtype=np.float32)
    dark = np.zeros((2, length), dtype=np.float32)
    width = float(rng.uniform(0, 0.9))
    for note in notes:
        start = int(note.start_s * SAMPLE_RATE)
        count = min(int((note.length_s + 3 * patch.release_s) * SAMPLE_RATE), length - start)
        if count <= 0:
            continue
        times = np.arange(count, dtype=np.float32) / np.float32(SAMPLE_RATE)
        pitch = np.float64(note.pitch)
        tone = _oscillators(rng, patch, pitch, times, width)
        tone *= _envelope(patch, times, note.length_s) * np.float32(note.velocity / 127)
        lit = np.exp(-times / np.float32(patch.sweep_s))
        bright[:, start : start + count] += tone * lit
        dark[:, start : start + count] += tone * (1 - lit)
    return _through_filter(patch, bright, dark)


def play_glide(
    rng: np.random.Generator, patch: Patch, notes: Sequence[Note], length: int
) -> Signal:
    """Play a melody on one voice that slides from note to note; float32, shape (2, length)."""
    ordered = sorted(notes, key=lambda note: note.start_s)
    out = np.zeros((2, length), dtype=np.float32)
    if not ordered:
        return out
    times = np.arange(length) / SAMPLE_RATE
    pitch = np.full(length, float(ordered[0].pitch))
    level = np.zeros(length, dtype=np.float32)
    heard = float(ordered[0].pitch)
    for note in ordered:
        start = min(int(note.start_s * SAMPLE_RATE), length)
        since = times[start:] - note.start_s
        slide = note.pitch + (heard - note.pitch) * np.exp(-since / patch.glide_s)
        grown = np.clip((since - 0.15) / 0.3, 0, 1)
        sway = patch.vibrato * grown * np.sin(2 * np.pi * patch.vibrato_hz * since)
        pitch[start:] = slide + sway
        shape = _envelope(patch, since.astype(np.float32), note.length_s)
        level[start:] = np.maximum(level[start:] * (since > 0.01), shape * (note.velocity / 127))
        heard = float(note.pitch)
    tone = _oscillators(rng, patch, pitch, times.astype(np.float32), 0.2)
    level = filtered(level, high_hz=120.0, order=1)  # no clicks where notes meet
    half = np.float32(0.5)
    return _through_filter(patch, tone * level * half, tone * level * half)


def _through_filter(patch: Patch, bright: Signal, dark: Signal) -> Signal:
    low = max(60.0, patch.closed_hz)
    return filtered(bright, high_hz=patch.open_hz) + filtered(dark, high_hz=low)


def _oscillators(
    rng: np.random.Generator,
    patch: Patch,
    pitch: np.float64 | npt.NDArray[np.float64],
    times: Mono,
    width: float,
) -> Signal:
    """Return a note's oscillators, panned apart, float32, shape (2, n)."""
    out = np.zeros((2, len(times)), dtype=np.float32)
    spread = np.linspace(-1, 1, patch.voices) if patch.voices > 1 else np.zeros(1)
    for place in spread:
        hz = 440 * 2 ** ((pitch + place * patch.detune - 69) / 12)
        if isinstance(hz, np.ndarray):
            cycles = np.cumsum(hz / SAMPLE_RATE) + rng.random()
        else:
            cycles = np.arange(len(times)) * (hz / SAMPLE_RATE) + rng.random()
        tone = _wave(rng, patch, cycles, float(np.max(hz)), times)
        angle = (1 + width * place) * np.pi / 4
        out[0] += tone * np.float32(np.cos(angle))
        out[1] += tone * np.float32(np.sin(angle))
    return out * np.float32(1 / np.sqrt(patch.voices))


def _wave(
    rng: np.random.Generator,
    patch: Patch,
    cycles: npt.NDArray[np.float64],
    hz: float,
    times: Mono,
) -> Mono:
    if patch.wave == "fm":
        angle = _angle(cycles)
        swing = _angle(cycles * patch.ratio)
        fade = 0.3 + 0.7 * np.exp(-times / np.float32(patch.decay_s))
        bent: Mono = np.sin(angle + np.float32(patch.index) * fade * np.sin(swing))
        return bent
    if patch.wave == "whistle":
        breath = rng.standard_normal(len(times), dtype=np.float32) * np.float32(0.05)
        pure: Mono = np.sin(_angle(cycles)) + breath
        return pure
    octave = int(np.ceil(np.log2(max(hz, 20.0) / 20.0)))
    table = _wavetable(patch.wave, octave)
    return single(table[(cycles * _TABLE).astype(np.int32) & (_TABLE - 1)])


def _angle(cycles: npt.NDArray[np.float64]) -> Mono:
    # Whole turns are taken away before single precision takes the rest.
    return single((cycles - np.floor(cycles)) * (2 * np.pi))


@lru_cache(maxsize=128)
def _wavetable(wave: str, octave: int) -> Mono:
    """Return one cycle with no harmonic above 20 kHz for notes up to 20 Hz times 2 ** octave."""
    highest = max(1, int(20_000 / (20 * 2**octave)))
    numbers = np.arange(1, min(highest, _TABLE // 2 - 1) + 1)
    odd = numbers % 2
    if wave == "saw":
        sizes = 1 / numbers
    elif wave == "square":
        sizes = odd / numbers
    elif wave == "pulse":
        sizes = np.sin(np.pi * numbers * 0.22) / numbers
    elif wave == "triangle":
        sizes = odd / numbers**2 * np.where(numbers % 4 == 1, 1, -1)
    else:  # an organ's drawbars
        sizes = np.zeros(len(numbers))
        for number, size in ((1, 1.0), (2, 0.6), (3, 0.4), (4, 0.3), (6, 0.15), (8, 0.15)):
            if number <= len(sizes):
                sizes[number - 1] = size
    spectrum = np.zeros(_TABLE // 2 + 1, dtype=np.complex128)
    spectrum[1 : len(sizes) + 1] = -1j * sizes
    cycle = np.fft.irfft(spectrum)
    return single(cycle / np.sqrt(np.mean(cycle**2)) * 0.6)


def _envelope(patch: Patch, times: Mono, held_s: float) -> Mono:
    rise = np.minimum(times / np.float32(patch.attack_s), np.float32(1))
    fall = patch.sustain + (1 - patch.sustain) * np.exp(-times / np.float32(patch.decay_s))
    after = np.exp(-np.maximum(times - np.float32(held_s), 0) / np.float32(patch.release_s))
    return single(rise * fall * after)
