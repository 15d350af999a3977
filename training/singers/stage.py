"""The people of the song factory, what they are given to sing, and where they stand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from training.clips import CLIP_SAMPLES
from training.singers.manner import Manner, draw_manner
from training.singers.melody import write_phrases
from training.singers.singing import sing

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal
    from training.singers.melody import Ground, Note
    from training.singers.speech import Corpus
    from training.singers.vocoder import Utterance

    Mono = npt.NDArray[np.float32]
    Phrases = list[tuple[Note, ...]]

_HIGH_FROM = 53  # the lowest note of a high voice
_HIGH_HZ = 160.0
_REGISTERS = ((36, 42, 0.10), (42, 51, 0.38), (52, 61, 0.42), (60, 66, 0.10))
"""Lowest note from, to, and chance: basses, men, women, children."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Singer:
    """One person of the song factory: a voice of the corpus, a range and a manner."""

    voice: str
    low: int
    high: int
    manner: Manner


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """What a scene is made from.

    Attributes
    ----------
    rng
        The clip's random numbers.
    corpus
        Speech to sing with.
    ground
        Key, chords and beats.
    rest
        Chance that a phrase is left out.
    """

    rng: np.random.Generator
    corpus: Corpus
    ground: Ground
    rest: float

    def singer(self) -> Singer:
        """Draw a person; mostly one whose own voice is near the range."""
        shares = [share for *_, share in _REGISTERS]
        first, last, _ = _REGISTERS[int(self.rng.choice(len(_REGISTERS), p=shares))]
        low = int(self.rng.integers(first, last))
        voice = self.corpus.draw_voice(self.rng)
        for _ in range(3):
            speaks_high = self.corpus.utterance(self.rng, voice).centre_hz > _HIGH_HZ
            if speaks_high == (low >= _HIGH_FROM) or self.rng.random() < 0.25:
                break
            voice = self.corpus.draw_voice(self.rng)
        high = low + int(self.rng.integers(9, 20))
        return Singer(voice=voice, low=low, high=high, manner=draw_manner(self.rng, low=low))

    def tune(self, singer: Singer) -> Phrases:
        """Write the main line for somebody's range."""
        return write_phrases(
            self.rng,
            self.ground,
            low=singer.low,
            high=singer.high,
            pace_s=float(np.exp(self.rng.uniform(np.log(0.2), np.log(0.75)))),
            rest=self.rest,
        )

    def cast(self, voice: str, *, oneword: bool = False) -> list[Utterance]:
        """Draw what is sung: a few utterances, or a single long vowel."""
        drawn = [self.corpus.utterance(self.rng, voice) for _ in range(1 if oneword else 3)]
        return [_longest_vowel(each) for each in drawn] if oneword else drawn

    def line(self, singer: Singer, phrases: Phrases, cast: list[Utterance]) -> Mono:
        """Sing one line at a root-mean-square level of 1."""
        return level(sing(self.rng, cast, phrases, singer.manner, length=CLIP_SAMPLES))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What is sung before the effects.

    Attributes
    ----------
    sound
        float32, shape (2, `training.clips.CLIP_SAMPLES`).
    notes
        The main line; empty where nothing has a definite pitch.
    voices
        Names of the voices.
    """

    sound: Signal
    notes: tuple[Note, ...]
    voices: tuple[str, ...]


def place(mono: Mono, where: float) -> Signal:
    """Put one channel between left (-1) and right (1), constant power."""
    angle = (where + 1) * np.pi / 4
    gains = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
    out: Signal = (gains * mono).astype(np.float32)
    return out


def overlay(out: Signal, mono: Mono, start: int, where: float) -> None:
    """Add one channel to a clip from a sample on, in place; what lies outside is cut."""
    piece = mono[max(0, -start) : max(0, out.shape[1] - start)]
    first = max(0, start)
    out[:, first : first + len(piece)] += place(piece, where)


def gain(rng: np.random.Generator, low_db: float, high_db: float) -> np.float32:
    """Draw a gain between two levels in decibels."""
    return np.float32(10 ** (rng.uniform(low_db, high_db) / 20))


def level(mono: Mono) -> Mono:
    """Bring the sounding part of a line to a root-mean-square level of 1."""
    loud = np.abs(mono) > 0.03 * np.max(np.abs(mono))
    power = float(np.mean(np.square(mono[loud]))) if np.any(loud) else 0.0
    out: Mono = mono / np.float32(np.sqrt(power)) if power > 0 else mono
    return out


def _longest_vowel(utterance: Utterance) -> Utterance:
    lengths = utterance.syllables[:, 2] - utterance.syllables[:, 1]
    start, vowel, tail, _ = utterance.syllables[int(np.argmax(lengths))]
    edge = (tail - vowel) // 4  # the middle of a vowel is the vowel
    only = np.array([[max(start, vowel - 8), vowel + edge, tail - edge, tail - edge]])
    return replace(utterance, syllables=only)
