"""A drum kit and what is played on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from composer.score import Bar, Metre, Style

    Mono = npt.NDArray[np.float32]
    Floats = npt.NDArray[np.float64]

PANS = {
    "kick": 0.0,
    "snare": -0.05,
    "hat": 0.45,
    "open hat": 0.45,
    "crash": -0.5,
    "ride": -0.4,
    "clap": 0.1,
    "high tom": 0.3,
    "low tom": -0.35,
}
"""Where each drum stands, from -1 (left) to 1 (right)."""

_LEVELS = {
    "kick": 0.9,
    "snare": 0.9,
    "hat": 0.34,
    "open hat": 0.22,
    "crash": 0.42,
    "ride": 0.25,
    "clap": 0.6,
    "high tom": 0.7,
    "low tom": 0.75,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One stroke: position in beats from the first downbeat, which drum, how hard (0 to 1)."""

    position: float
    drum: str
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pattern:
    """One bar: drum to positions in beats; `more` is added in the chorus."""

    base: dict[str, tuple[float, ...]]
    more: dict[str, tuple[float, ...]]


_EIGHTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)
_QUARTERS = (0.0, 1.0, 2.0, 3.0)
_PATTERNS = {
    "rock": (
        _Pattern(
            base={"kick": (0, 2, 2.5), "snare": (1, 3), "hat": _EIGHTHS},
            more={"kick": (3.5,), "ride": _QUARTERS},
        ),
        _Pattern(
            base={"kick": (0, 0.5, 2), "snare": (1, 3), "hat": _EIGHTHS},
            more={"kick": (2.5,), "open hat": (3.5,)},
        ),
    ),
    "four-on-the-floor": (
        _Pattern(
            base={
                "kick": _QUARTERS,
                "clap": (1, 3),
                "hat": _QUARTERS,
                "open hat": (0.5, 1.5, 2.5, 3.5),
            },
            more={"hat": (0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75), "snare": (1, 3)},
        ),
    ),
    "hip-hop": (
        _Pattern(
            base={"kick": (0, 1.5, 2.5), "snare": (1, 3), "hat": _EIGHTHS},
            more={"hat": (1.75, 3.75), "clap": (1, 3)},
        ),
        _Pattern(
            base={"kick": (0, 0.75, 2.5), "clap": (1, 3), "hat": _EIGHTHS},
            more={"kick": (3.5,), "hat": (3.25, 3.75), "snare": (1, 3)},
        ),
    ),
    "ballad": (
        _Pattern(
            base={"kick": (0, 2), "snare": (1, 3), "hat": _EIGHTHS},
            more={"kick": (1.5, 3.5), "ride": _QUARTERS},
        ),
    ),
    "waltz": (
        _Pattern(
            base={"kick": (0,), "snare": (1, 2), "hat": (0, 1, 2)},
            more={"hat": (0.5, 1.5, 2.5), "ride": (0,)},
        ),
    ),
}
_SOFT = {"ballad": 0.7, "waltz": 0.75}


def play_drums(
    rng: np.random.Generator, style: Style, form: tuple[Bar, ...], metre: Metre
) -> tuple[Hit, ...]:
    """Return every stroke of the song; each beat of it has at least one.

    The verse plays the style's pattern, the chorus adds to it, sections open with a crash and
    close with a fill, and a pickup is counted in on the snare.
    """
    patterns = _PATTERNS[style.name]
    pattern = patterns[int(rng.integers(len(patterns)))]
    hits = [
        Hit(position=float(-n), drum=drum, level=0.8)
        for n in range(1, metre.pickup_beats + 1)
        for drum in ("snare", "hat")
    ]
    soft = _SOFT.get(style.name, 1.0)
    for index, bar in enumerate(form):
        start = float(index * metre.beats_per_bar)
        for at, drum, level in _bar_of(pattern, bar, metre.beats_per_bar):
            played = level * soft * float(rng.uniform(0.88, 1.0))
            hits.append(Hit(position=start + at, drum=drum, level=played))
    return tuple(hits)


def _bar_of(pattern: _Pattern, bar: Bar, beats_per_bar: int) -> list[tuple[float, str, float]]:
    strokes = [(at, drum) for drum, places in pattern.base.items() for at in places]
    if bar.section == "chorus":
        strokes += [(at, drum) for drum, places in pattern.more.items() for at in places]
    if bar.section == "intro" and bar.place % 4 < 2:  # the first half has no backbeat yet
        strokes = [s for s in strokes if s[1] not in ("snare", "clap")]
    if bar.section == "ending":
        strokes = [(0, "kick"), (0, "crash"), *((n, "hat") for n in range(1, beats_per_bar))]
    elif bar.last:
        strokes = [s for s in strokes if s[0] < beats_per_bar - 1] + [
            (beats_per_bar - 1.0, "snare"),
            (beats_per_bar - 1.0, "kick"),
            (beats_per_bar - 0.75, "snare"),
            (beats_per_bar - 0.5, "high tom"),
            (beats_per_bar - 0.25, "low tom"),
        ]
    if bar.place == 0 and bar.section != "ending":
        strokes.append((0, "crash"))
    # The strong beats are played harder, as people do.
    return [(at, drum, 1.0 if at % 1 == 0 else 0.72) for at, drum in strokes]


def build_kit(rng: np.random.Generator) -> dict[str, list[Mono]]:
    """Return the sounds of each drum, several of those made of noise, float32, shape (n,).

    Every sound starts at its first sample, so that a stroke is heard exactly where it is put.
    """
    tune = float(rng.uniform(0.9, 1.12))
    return {
        "kick": [_level("kick", _kick(rng, tune))],
        "snare": [_level("snare", _snare(rng, tune)) for _ in range(3)],
        "clap": [_level("clap", _clap(rng)) for _ in range(2)],
        "hat": [_level("hat", _cymbal(rng, 0.045, 6500, 0.25)) for _ in range(4)],
        "open hat": [_level("open hat", _cymbal(rng, 0.16, 6000, 0.5)) for _ in range(2)],
        "crash": [_level("crash", _cymbal(rng, 0.55, 2800, 2.2))],
        "ride": [_level("ride", _cymbal(rng, 0.35, 4500, 1.2))],
        "high tom": [_level("high tom", _tom(rng, 165 * tune))],
        "low tom": [_level("low tom", _tom(rng, 105 * tune))],
    }


def _level(drum: str, sound: Floats) -> Mono:
    fade = np.minimum(1.0, np.arange(len(sound))[::-1] / (0.02 * SAMPLE_RATE))
    out: Mono = (sound * fade * (_LEVELS[drum] / np.max(np.abs(sound)))).astype(np.float32)
    return out


def _time(seconds: float) -> Floats:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def _noise(rng: np.random.Generator, length: int, low_hz: float, high_hz: float) -> Floats:
    # A first-order band leaves the attack in the first samples; steeper filters delay it.
    band = signal.butter(1, [low_hz, high_hz], "bandpass", fs=SAMPLE_RATE, output="sos")
    noise: Floats = signal.sosfilt(band, rng.standard_normal(length))
    return noise


def _kick(rng: np.random.Generator, tune: float) -> Floats:
    t = _time(0.4)
    pitch_hz = tune * (48 + 130 * np.exp(-t / 0.028))
    body = np.sin(2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE) * np.exp(-t / 0.11)
    click = _noise(rng, len(t), 1200, 9000) * np.exp(-t / 0.004)
    sound: Floats = np.tanh(1.6 * body) + 0.35 * click
    return sound


def _snare(rng: np.random.Generator, tune: float) -> Floats:
    t = _time(0.35)
    shell = np.sin(2 * np.pi * 186 * tune * t) + 0.6 * np.sin(2 * np.pi * 332 * tune * t)
    wires = _noise(rng, len(t), 900, 11000)
    sound: Floats = 0.8 * shell * np.exp(-t / 0.05) + 0.9 * wires * np.exp(-t / 0.075)
    return sound


def _clap(rng: np.random.Generator) -> Floats:
    t = _time(0.35)
    hands = sum(np.exp(-np.maximum(t - at, 0) / 0.006) * (t >= at) for at in (0.0, 0.011, 0.021))
    sound: Floats = _noise(rng, len(t), 900, 5000) * (hands + 0.5 * np.exp(-t / 0.08))
    return sound


def _cymbal(rng: np.random.Generator, decay_s: float, low_hz: float, seconds: float) -> Floats:
    t = _time(seconds)
    ring = sum(
        np.sin(2 * np.pi * f * t + rng.uniform(0, 2 * np.pi))
        for f in rng.uniform(3200, 11500, size=9)
    )
    wash = _noise(rng, len(t), low_hz, 15500)
    stick = _noise(rng, len(t), 3000, 16000) * np.exp(-t / 0.003)
    sound: Floats = (wash + 0.12 * ring) * np.exp(-t / decay_s) + 1.2 * stick
    return sound


def _tom(rng: np.random.Generator, pitch_hz: float) -> Floats:
    t = _time(0.45)
    glide = pitch_hz * (1 + 0.5 * np.exp(-t / 0.04))
    body = np.sin(2 * np.pi * np.cumsum(glide) / SAMPLE_RATE) * np.exp(-t / 0.13)
    sound: Floats = body + 0.3 * _noise(rng, len(t), 600, 6000) * np.exp(-t / 0.012)
    return sound
