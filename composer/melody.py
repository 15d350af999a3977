"""What the voice sings: phrases of syllables that fit the chords, with rests between."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from composer.score import SCALES

if TYPE_CHECKING:
    from composer.score import Bar, Metre, Section
    from pipeline.types import Key

VOWELS = "aeiou"
CONSONANTS = ("", "m", "n", "s", "sh", "t", "k", "f")

# Rhythms of one or two beats, in beats.
_CELLS = (
    *((1.0,), (0.5, 0.5), (2.0,), (1.5, 0.5), (0.5, 1.0, 0.5), (1.0, 0.5, 0.5)),
    *((0.5, 0.5, 1.0), (0.5, 0.25, 0.25), (0.25, 0.25, 0.5, 1.0), (3.0,), (2.0, 1.0)),
)
_SHORTEST_BREATH_S = 0.7
_SHORTEST_PHRASE_S = 3.6
_SHORTEST_SYLLABLE_S = 0.16
_SYLLABLE_S = {"verse": 0.30, "chorus": 0.44}
_SHAPES = {
    "arch": (-2.0, 1.0, 4.0, 2.0, -1.0),
    "fall": (4.0, 3.0, 1.0, -1.0, -3.0),
    "rise": (-3.0, -1.0, 0.0, 2.0, 4.0),
    "wave": (0.0, 3.0, -1.0, 3.0, -1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Syllable:
    """One sung note.

    Attributes
    ----------
    start, length
        In beats from the first downbeat.
    pitch
        MIDI note number.
    vowel
        One of `VOWELS`.
    consonant
        One of `CONSONANTS`, sung just before `start`; "" glides from the note before.
    """

    start: float
    length: float
    pitch: int
    vowel: str
    consonant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Motif:
    """A rhythm and the course of a tune over it, which come back with other chords."""

    starts: tuple[float, ...]
    lengths: tuple[float, ...]
    targets: tuple[float, ...]
    words: tuple[tuple[str, str], ...]


def write_melody(
    rng: np.random.Generator,
    form: tuple[Bar, ...],
    key: Key,
    metre: Metre,
    *,
    centre: int,
) -> tuple[tuple[Syllable, ...], ...]:
    """Return the phrases of the song.

    Parameters
    ----------
    rng
        Where rhythms, contours and syllables are drawn from.
    form
        Bars of the song; the voice rests in the intro and holds the tonic in the last bar.
    key
        Key of the melody.
    metre
        How its time is counted; each phrase begins with the pickup.
    centre
        MIDI note in the middle of the singer's range.
    """
    beat_s, beats_per_bar = metre.beat_s, metre.beats_per_bar
    bars_each = 2 if 2 * beats_per_bar * beat_s >= _SHORTEST_PHRASE_S else 4
    rest = max(1, math.ceil(_SHORTEST_BREATH_S / beat_s))
    sections: tuple[Section, ...] = ("verse", "chorus")
    motifs = {
        (section, turn): _draw_motif(rng, section, bars_each * beats_per_bar - rest, beat_s)
        for section in sections
        for turn in (0, 1)
    }
    phrases: list[tuple[Syllable, ...]] = []
    for first, bars in _phrases_of(form, bars_each):
        bar = form[first]
        motif = motifs[bar.section, bar.place // bars_each % 2]
        length = bars * beats_per_bar - rest
        if length < 1:
            continue
        start = first * beats_per_bar - metre.pickup_beats
        lift = 3 if bar.section == "chorus" else -1
        phrases.append(
            _sing(motif, form, key, metre, start=start, length=length, centre=centre + lift)
        )
    tonic = min(
        range(centre - 8, centre + 8), key=lambda p: ((p - key.tonic) % 12, abs(p - centre))
    )
    last = Syllable(
        start=(len(form) - 1.0) * beats_per_bar,
        length=0.8 * beats_per_bar,
        pitch=tonic,
        vowel="a",
        consonant="",
    )
    return (*phrases, (last,))


def _phrases_of(form: tuple[Bar, ...], bars_each: int) -> list[tuple[int, int]]:
    """Return the first bar of each phrase and how many bars it has."""
    found = []
    for index, bar in enumerate(form):
        if bar.section in _SYLLABLE_S and bar.place % bars_each == 0:
            left = next(n for n in range(1, len(form)) if form[index + n - 1].last)
            found.append((index, min(bars_each, left)))
    return found


def _draw_motif(rng: np.random.Generator, section: Section, beats: int, beat_s: float) -> _Motif:
    wish = _SYLLABLE_S[section]
    mean_s = np.array([sum(cell) / len(cell) * beat_s for cell in _CELLS])
    weights = np.exp(-((np.log(mean_s / wish) / 0.35) ** 2)) + 1e-9
    weights[[min(cell) * beat_s < _SHORTEST_SYLLABLE_S for cell in _CELLS]] *= 0.01
    lengths: list[float] = []
    held = max(1.0, round(0.7 / beat_s))  # a phrase ends on a long note
    while sum(lengths) < max(0.0, beats - held):
        fits = np.array([sum(c) <= beats - held - sum(lengths) for c in _CELLS])
        lengths += _CELLS[int(rng.choice(len(_CELLS), p=weights * fits / np.sum(weights * fits)))]
    lengths.append(beats - sum(lengths))
    starts = np.cumsum([0.0, *lengths[:-1]])
    shape = _SHAPES[str(rng.choice(list(_SHAPES)))]
    course = np.interp(starts / max(beats, 1), np.linspace(0, 1, len(shape)), shape)
    course += rng.normal(0.0, 1.2, size=len(starts))
    words = [
        (VOWELS[int(rng.integers(len(VOWELS)))], CONSONANTS[int(rng.integers(len(CONSONANTS)))])
        for _ in lengths
    ]
    return _Motif(
        starts=tuple(starts), lengths=tuple(lengths), targets=tuple(course), words=tuple(words)
    )


def _sing(
    motif: _Motif,
    form: tuple[Bar, ...],
    key: Key,
    metre: Metre,
    *,
    start: int,
    length: int,
    centre: int,
) -> tuple[Syllable, ...]:
    syllables: list[Syllable] = []
    before = centre
    notes = [n for n in range(len(motif.starts)) if motif.starts[n] < length]
    for n in notes:
        at = start + motif.starts[n]
        chord = form[min(max(0, int(at // metre.beats_per_bar)), len(form) - 1)].chord
        lasts = min(motif.lengths[n], length - motif.starts[n])
        strong = lasts >= 1 or at % 1 == 0 or n == notes[-1]
        before = _nearest(key, chord, centre + motif.targets[n], before, strong=strong)
        vowel, consonant = motif.words[n]
        syllables.append(
            Syllable(
                start=at,
                length=lasts,
                pitch=before,
                vowel=vowel,
                # The first sound of a phrase is its first vowel, so that it starts on the grid.
                consonant=consonant if n else "",
            )
        )
    return tuple(syllables)


def _nearest(key: Key, chord: tuple[int, ...], target: float, before: int, *, strong: bool) -> int:
    """Return the fitting pitch nearest to the contour, preferring small steps to repeats."""
    scale = {(key.tonic + step) % 12 for step in SCALES[key.mode]}
    # Over the dominant in minor, the leading note takes the place of the seventh degree.
    leading = (key.tonic + 11) % 12
    if leading in chord:
        scale = (scale - {(key.tonic + 10) % 12}) | {leading}
    tones = set(chord) if strong else scale
    pitches = [p for p in range(round(target) - 7, round(target) + 8) if p % 12 in tones]

    def cost(pitch: int) -> float:
        leap = abs(pitch - before)
        return abs(pitch - target) + 0.4 * leap + (1.6 if leap == 0 else 0.0) + 3.0 * (leap > 7)

    return min(pitches, key=cost)
