"""Drum machines made of numpy, and which key of a General MIDI kit is which drum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import SAMPLE_RATE
from training.arrays import single
from training.bands.notes import Note
from training.effects import filtered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt

    from pipeline.types import Signal
    from training.bands.notes import Stroke

    Mono = npt.NDArray[np.float32]

_KEYS = {
    "kick": 36,
    "rim": 37,
    "snare": 38,
    "clap": 39,
    "low tom": 43,
    "hat": 42,
    "pedal hat": 44,
    "mid tom": 47,
    "open hat": 46,
    "crash": 49,
    "high tom": 50,
    "ride": 51,
    "china": 52,
    "tambourine": 54,
    "cowbell": 56,
    "conga": 63,
    "timbale": 65,
    "shaker": 70,
    "claves": 75,
    "triangle": 81,
}

DRUMS = tuple(_KEYS)
"""All drums that a stroke can name."""


def kit_notes(strokes: Iterable[Stroke]) -> list[Note]:
    """Return strokes as notes for a General MIDI kit."""
    return [
        Note(start_s=s.at_s, length_s=0.12, pitch=_KEYS[s.drum], velocity=s.velocity)
        for s in strokes
    ]


def play_machine(rng: np.random.Generator, strokes: Iterable[Stroke], length: int) -> Signal:
    """Play strokes on a drawn drum machine.

    Parameters
    ----------
    rng
        Where each drum's sound and place are drawn from.
    strokes
        In any order; times in seconds from the first sample.
    length
        How many samples to play.

    Returns
    -------
    Signal
        float32, shape (2, length).
    """
    out = np.zeros((2, length + 2 * SAMPLE_RATE), dtype=np.float32)
    sounds: dict[str, Signal] = {}
    wide = float(rng.choice([0.0, 0.3, 0.7]))
    for stroke in strokes:
        if stroke.drum not in sounds:
            sounds[stroke.drum] = _place(rng, stroke.drum, wide)
        sound = sounds[stroke.drum]
        start = int(stroke.at_s * SAMPLE_RATE)
        if start < length:
            out[:, start : start + sound.shape[-1]] += sound * np.float32(
                (stroke.velocity / 110) ** 1.5
            )
    return out[:, :length]


def _place(rng: np.random.Generator, drum: str, wide: float) -> Signal:
    make, level = _SOUNDS[drum]
    sound = make(rng)
    sound *= np.float32(level * rng.uniform(0.7, 1.3) / np.max(np.abs(sound)))
    fade = min(len(sound), 400)
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    middle = drum in ("kick", "snare", "clap")
    angle = (1 + (0.0 if middle else wide * float(rng.uniform(-1, 1)))) * np.pi / 4
    return single(np.array([[np.cos(angle)], [np.sin(angle)]]) * np.sqrt(2) * sound)


def _time(seconds: float) -> Mono:
    return np.arange(int(seconds * SAMPLE_RATE), dtype=np.float32) / np.float32(SAMPLE_RATE)


def _noise(rng: np.random.Generator, count: int, low_hz: float, high_hz: float = 0.0) -> Mono:
    noise = rng.standard_normal(count, dtype=np.float32)
    return filtered(noise, low_hz=low_hz, high_hz=high_hz)


def _sweep(t: Mono, low_hz: float, high_hz: float, fall_s: float) -> Mono:
    """Return a sine that falls from one frequency to another."""
    cycles = low_hz * t + (high_hz - low_hz) * fall_s * (1 - np.exp(-t / fall_s))
    return single(np.sin(2 * np.pi * cycles))


def _kick(rng: np.random.Generator) -> Mono:
    long = rng.random() < 0.3  # the 808's
    t = _time(1.2 if long else 0.5)
    decay = rng.uniform(0.35, 0.7) if long else rng.uniform(0.08, 0.22)
    body = _sweep(t, rng.uniform(38, 62), rng.uniform(120, 420), rng.uniform(0.008, 0.04))
    body = np.tanh(rng.uniform(1, 3.5) * body * np.exp(-t / decay))
    click = _noise(rng, len(t), 1500) * np.exp(-t / 0.003) * rng.uniform(0, 0.3)
    return single(body + click)


def _snare(rng: np.random.Generator) -> Mono:
    t = _time(0.4)
    shell_hz = rng.uniform(150, 250)
    shell = _sweep(t, shell_hz, shell_hz * rng.uniform(1.1, 1.8), 0.015)
    shell = shell * np.exp(-t / rng.uniform(0.03, 0.1))
    wires = _noise(rng, len(t), rng.uniform(600, 2500), 14_000)
    wires = wires * np.exp(-t / rng.uniform(0.05, 0.18))
    return (rng.uniform(0.3, 1) * shell + rng.uniform(0.4, 1) * wires).astype(np.float32)


def _clap(rng: np.random.Generator) -> Mono:
    t = _time(0.45)
    shape = np.exp(-t / rng.uniform(0.05, 0.15)) * 0.6
    for at in np.cumsum(rng.uniform(0.007, 0.014, size=3)):
        shape += np.exp(-np.maximum(t - at, 0) / 0.006) * (t >= at)
    return single(_noise(rng, len(t), 800, rng.uniform(3500, 9000)) * shape)


def _metal(decay_s: tuple[float, float], seconds: float) -> Callable[[np.random.Generator], Mono]:
    """Return a maker of cymbals: noise and six squares at odds with each other."""

    def make(rng: np.random.Generator) -> Mono:
        t = _time(seconds)
        base = rng.uniform(300, 480)
        ratios = (1.0, 1.342, 1.228, 1.523, 1.955, 2.0)
        ring = sum(np.sign(np.sin(2 * np.pi * base * ratio * t)) for ratio in ratios)
        share = rng.uniform(0, 0.3)
        hiss = rng.standard_normal(len(t), dtype=np.float32) + np.float32(share) * ring
        hiss = filtered(hiss.astype(np.float32), low_hz=rng.uniform(4500, 8500), order=4)
        return single(hiss * np.exp(-t / rng.uniform(*decay_s)))

    return make


def _tom(low_hz: float, high_hz: float) -> Callable[[np.random.Generator], Mono]:
    """Return a maker of skins tuned between two frequencies."""

    def make(rng: np.random.Generator) -> Mono:
        t = _time(0.5)
        hz = rng.uniform(low_hz, high_hz)
        body = _sweep(t, hz, hz * rng.uniform(1.2, 2), 0.03) * np.exp(-t / rng.uniform(0.08, 0.2))
        return single(body + 0.1 * _noise(rng, len(t), 1000) * np.exp(-t / 0.01))

    return make


def _block(low_hz: float, high_hz: float) -> Callable[[np.random.Generator], Mono]:
    """Return a maker of short wooden or metal strokes: two partials."""

    def make(rng: np.random.Generator) -> Mono:
        t = _time(0.3)
        hz = rng.uniform(low_hz, high_hz)
        ring = np.sin(2 * np.pi * hz * t) + 0.6 * np.sin(2 * np.pi * hz * 1.48 * t)
        return single(ring * np.exp(-t / rng.uniform(0.012, 0.07)))

    return make


_SOUNDS: dict[str, tuple[Callable[[np.random.Generator], Mono], float]] = {
    "kick": (_kick, 0.9),
    "snare": (_snare, 0.7),
    "clap": (_clap, 0.6),
    "rim": (_block(900, 1900), 0.4),
    "hat": (_metal((0.015, 0.06), 0.3), 0.28),
    "pedal hat": (_metal((0.01, 0.03), 0.2), 0.2),
    "open hat": (_metal((0.12, 0.3), 0.8), 0.25),
    "crash": (_metal((0.5, 0.9), 2.0), 0.35),
    "china": (_metal((0.3, 0.6), 1.5), 0.35),
    "ride": (_metal((0.2, 0.5), 1.2), 0.2),
    "low tom": (_tom(70, 110), 0.7),
    "mid tom": (_tom(110, 160), 0.65),
    "high tom": (_tom(160, 230), 0.6),
    "conga": (_tom(180, 320), 0.4),
    "timbale": (_tom(300, 500), 0.4),
    "cowbell": (_block(500, 620), 0.25),
    "claves": (_block(2200, 2700), 0.25),
    "triangle": (_block(4200, 5600), 0.15),
    "tambourine": (_metal((0.04, 0.1), 0.3), 0.25),
    "shaker": (_metal((0.01, 0.04), 0.2), 0.18),
}
