"""Keys, scales and chord progressions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.types import Key

if TYPE_CHECKING:
    import numpy as np

    from pipeline.types import Mode

_SCALES: dict[Mode, tuple[tuple[str, tuple[int, ...], float], ...]] = {
    "major": (
        ("major", (0, 2, 4, 5, 7, 9, 11), 0.7),
        ("mixolydian", (0, 2, 4, 5, 7, 9, 10), 0.2),
        ("lydian", (0, 2, 4, 6, 7, 9, 11), 0.1),
    ),
    "minor": (
        ("minor", (0, 2, 3, 5, 7, 8, 10), 0.65),
        ("dorian", (0, 2, 3, 5, 7, 9, 10), 0.2),
        ("harmonic minor", (0, 2, 3, 5, 7, 8, 11), 0.1),
        ("phrygian", (0, 1, 3, 5, 7, 8, 10), 0.05),
    ),
}
_LOOPS: dict[str, tuple[str, ...]] = {
    "major": (
        *("I V vi IV", "I vi IV V", "vi IV I V", "IV I V vi", "I IV V IV", "I IV I V"),
        *("I iii IV V", "ii V I I", "I ii IV V", "I V IV V", "IV V iii vi", "I I IV IV"),
        *("I IV iv I", "I bVII IV I", "I III IV iv", "I II IV I", "vi ii V I", "I V ii IV"),
        *("I I7 IV IV", "I7 IV7 I7 V7", "Imaj7 IVmaj7", "ii7 V7 Imaj7 vi7", "I vi ii V7"),
        *("Iadd9 Vsus4 vi7 IVadd9", "I bVI bVII I", "IVmaj7 iii7 ii7 Imaj7", "I V7", "I"),
        *("I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7", "I V vi iii IV I IV V"),
    ),
    "mixolydian": ("I bVII IV I", "I v IV I", "I IV bVII IV", "I7 bVII", "I bVII bVII IV", "I v"),
    "lydian": ("I II I II", "Imaj7 II", "I II vi V", "I V II I"),
    "minor": (
        *("i bVI bIII bVII", "i iv v i", "i bVII bVI V", "i bVI iv V", "i iv bVII bIII"),
        *("i i bVI bVII", "i bIII bVII iv", "bVI bVII i i", "i v bVI iv", "i bVII iv i", "i iv"),
        *("i7 iv7", "i bVImaj7 bIIImaj7 bVII", "i V i iv", "i iiø7 V7 i", "i bVII", "i"),
        *("iadd9 bVImaj7 iv7 v7", "i bVI bIII V", "i i iv V7", "bVImaj7 v7 i7 i7"),
    ),
    "dorian": ("i IV i IV", "i7 IV7", "i ii IV i", "i bVII IV i", "i IV bVII i", "i7 ii7"),
    "harmonic minor": ("i V7 i V7", "i iv V7 i", "i bVI V7 i", "i iv i V", "iv i V i"),
    "phrygian": ("i bII i bII", "i bII bIII bII", "i bvii bII i", "i bVI bII i"),
}
_DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_ADDED = {
    "": (),
    "7": (10,),
    "maj7": (11,),
    "add9": (2,),
    "9": (10, 2),
}
_NUMERAL = re.compile(r"(b?)([iv]+|[IV]+)(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chord:
    """One chord.

    Attributes
    ----------
    start, end
        In beats from the first downbeat.
    tones
        Semitones above C, 0 to 11, root first.
    """

    start: float
    end: float
    tones: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Harmony:
    """The pitches of a song.

    Attributes
    ----------
    key
        Modes other than major and minor count as the one whose third they have.
    scale
        Semitones above C of the seven tones, tonic first.
    chords
        Without gaps, rising.
    """

    key: Key
    scale: tuple[int, ...]
    chords: tuple[Chord, ...]

    def chord_at(self, position: float) -> Chord:
        """Return the chord that sounds at a position in beats; the last one beyond the end."""
        for chord in self.chords:
            if position < chord.end:
                return chord
        return self.chords[-1]


def draw_harmony(rng: np.random.Generator, beats: int, beats_per_bar: int) -> Harmony:
    """Return a key and chords for so many beats.

    Parameters
    ----------
    rng
        Where all is drawn from.
    beats
        How many beats need a chord.
    beats_per_bar
        Chords change on bars, on half bars or every second bar.
    """
    mode: Mode = "major" if rng.random() < 0.52 else "minor"
    tonic = int(rng.integers(12))
    names = _SCALES[mode]
    name, steps, _ = names[int(rng.choice(len(names), p=[share for *_, share in names]))]
    numerals = _draw_loop(rng, name, steps)
    tones = [tuple((tone + tonic) % 12 for tone in spell(numeral)) for numeral in numerals]
    if rng.random() < 0.25:
        tones = [_with_seventh(chord, tonic, steps) for chord in tones]
    lengths = _draw_lengths(rng, beats_per_bar, len(tones))
    chords = []
    start, index = 0.0, int(rng.integers(len(tones)))
    while start < beats:
        length = lengths[index % len(lengths)]
        chords.append(Chord(start=start, end=start + length, tones=tones[index % len(tones)]))
        start, index = start + length, index + 1
    scale = tuple((step + tonic) % 12 for step in steps)
    return Harmony(key=Key(tonic=tonic, mode=mode), scale=scale, chords=tuple(chords))


def spell(numeral: str) -> tuple[int, ...]:
    """Return a chord's semitones above the tonic, root first, not folded into an octave.

    Parameters
    ----------
    numeral
        Degrees of the major scale, perhaps flattened; a capital is major, a small letter minor:
        "I", "bVII", "ii7", "IVmaj7", "Vsus4", "iiø7".

    Raises
    ------
    ValueError
        It is no such numeral.
    """
    match = _NUMERAL.fullmatch(numeral)
    if match is None or match[2].lower() not in _DEGREES:
        raise ValueError(f"{numeral!r} is not a chord.")
    flat, degree, colour = match.groups()
    root = _DEGREES[degree.lower()] - len(flat)
    third = 4 if degree.isupper() else 3
    if colour == "sus4":
        return tuple(root + step for step in (0, 5, 7))
    if colour == "ø7":
        return tuple(root + step for step in (0, 3, 6, 10))
    if colour not in _ADDED:
        raise ValueError(f"{numeral!r} has an unknown colour.")
    return tuple(root + step for step in (0, third, 7, *_ADDED[colour]))


def _draw_loop(rng: np.random.Generator, scale: str, steps: tuple[int, ...]) -> list[str]:
    """Return numerals: mostly a loop that many songs share, or else a walk over the scale."""
    if rng.random() < 0.75:
        return str(rng.choice(_LOOPS[scale])).split()
    names = {number: name for name, number in _DEGREES.items()}
    loop = []
    for _ in range(int(rng.choice([2, 4, 4, 4, 8]))):
        place = int(rng.choice([0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 6]))
        root, third, fifth = (steps[(place + n) % 7] for n in (0, 2, 4))
        if (fifth - root) % 12 != 7:
            place = 0  # diminished chords are rare in songs
            root, third = steps[0], steps[2]
        flat = "" if root in names else "b"
        name = names[root + len(flat)]
        loop.append(flat + (name.upper() if (third - root) % 12 == 4 else name))
    return loop


def _with_seventh(chord: tuple[int, ...], tonic: int, steps: tuple[int, ...]) -> tuple[int, ...]:
    """Return a triad with the seventh that its scale gives; other chords as they are."""
    scale = {(step + tonic) % 12 for step in steps}
    if len(chord) == 3:
        for seventh in (10, 11):
            if (chord[0] + seventh) % 12 in scale:
                return (*chord, (chord[0] + seventh) % 12)
    return chord


def _draw_lengths(rng: np.random.Generator, beats_per_bar: int, count: int) -> list[float]:
    """Return how many beats each chord of a loop lasts."""
    bar = float(beats_per_bar)
    kind = rng.random()
    if kind < 0.55 or (beats_per_bar == 3 and kind < 0.85):
        return [bar] * count
    if kind < 0.75:
        return [2.0, bar - 2.0] if beats_per_bar == 3 else [bar / 2]
    if kind < 0.9:
        return [2 * bar]
    return [bar, bar / 2, bar / 2] if beats_per_bar == 4 else [bar, bar, 2 * bar]
