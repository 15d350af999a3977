"""From a seed to what is played: style, form, harmony, and the parts of the band."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from pipeline.types import Key

if TYPE_CHECKING:
    import numpy as np

Section: TypeAlias = Literal["intro", "verse", "chorus", "ending"]

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
"""Semitones above the tonic; minor is natural, its leading note comes with the dominant."""

_CHORDS: dict[str, dict[str, tuple[int, ...]]] = {
    "major": {"I": (0, 4, 7), "ii": (2, 5, 9), "IV": (5, 9, 0), "V": (7, 11, 2), "vi": (9, 0, 4)},
    "minor": {"I": (0, 3, 7), "iv": (5, 8, 0), "V": (7, 11, 2), "VI": (8, 0, 3), "VII": (10, 2, 5)},
}
# Each loop of four bars leans on tonic and dominant, so that the key is not in doubt.
_LOOPS: dict[str, dict[str, tuple[str, ...]]] = {
    "major": {
        "verse": ("I vi IV V", "I IV I V", "I I IV V", "I V I IV"),
        "chorus": ("I IV V I", "I vi V I", "IV I V I", "I ii V I"),
    },
    "minor": {
        "verse": ("I iv I V", "I VI iv V", "I I iv V"),
        "chorus": ("I VI V I", "I iv V I", "I VII VI V", "iv I V I"),
    },
}
_FIRST_WORDS = (
    *("Reluctant", "Velvet", "Unpaid", "Cosmic", "Soggy", "Polite", "Electric", "Sleepy"),
    *("Borrowed", "Suspicious", "Midnight", "Lukewarm", "Invisible", "Dramatic", "Crunchy", "Shy"),
    *("Overdue", "Imaginary", "Tropical", "Haunted", "Buttered", "Heroic", "Nervous", "Accidental"),
)
_SECOND_WORDS = (
    *("Walrus", "Toaster", "Umbrella", "Pancake", "Llama", "Accordion", "Teapot", "Penguin"),
    *("Sandwich", "Elevator", "Cactus", "Moustache", "Spaceship", "Dentist", "Pickle", "Raccoon"),
    *("Trombone", "Bathrobe", "Volcano", "Hamster", "Cupboard", "Noodle", "Lighthouse", "Receipt"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A way to play; what the words mean is told in `composer.drums` and `composer.band`.

    Attributes
    ----------
    name
        What a musician would call it.
    beats_per_bar
        The metre that it is made for.
    slowest_bpm, fastest_bpm
        Tempi at which it is at home.
    """

    name: str
    beats_per_bar: int
    slowest_bpm: float
    fastest_bpm: float


STYLES = (
    Style(name="rock", beats_per_bar=4, slowest_bpm=96, fastest_bpm=176),
    Style(name="four-on-the-floor", beats_per_bar=4, slowest_bpm=112, fastest_bpm=136),
    Style(name="hip-hop", beats_per_bar=4, slowest_bpm=74, fastest_bpm=102),
    Style(name="ballad", beats_per_bar=4, slowest_bpm=62, fastest_bpm=88),
    Style(name="waltz", beats_per_bar=3, slowest_bpm=84, fastest_bpm=168),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metre:
    """How time is counted.

    Attributes
    ----------
    beats_per_bar
        3 or 4.
    pickup_beats
        How many beats the song and each sung phrase begin before their first downbeat.
    beat_s
        Mean length of a beat in seconds.
    """

    beats_per_bar: int
    pickup_beats: int
    beat_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of the form.

    Attributes
    ----------
    section
        What part of the song it belongs to.
    place
        Which bar of its section it is, from 0.
    last
        Whether its section ends with it.
    chord
        Semitones above C, 0 to 11, root first.
    """

    section: Section
    place: int
    last: bool
    chord: tuple[int, ...]


def draw_title(rng: np.random.Generator) -> str:
    """Return a title that nobody has used for a song yet, one hopes."""
    return f"{rng.choice(_FIRST_WORDS)} {rng.choice(_SECOND_WORDS)}"


def draw_key(rng: np.random.Generator) -> Key:
    """Return one of the 24 keys; six songs in ten are in major."""
    return Key(tonic=int(rng.integers(12)), mode="major" if rng.random() < 0.6 else "minor")


def draw_style(rng: np.random.Generator, bpm: float | None, beats_per_bar: int) -> Style:
    """Return a style for the metre that is at home at the tempo, or else the nearest to it."""
    styles = [s for s in STYLES if s.beats_per_bar == beats_per_bar]
    if bpm is not None:
        away = [max(s.slowest_bpm - bpm, bpm - s.fastest_bpm, 0.0) for s in styles]
        styles = [s for s, far in zip(styles, away, strict=True) if far == min(away)]
    return styles[int(rng.integers(len(styles)))]


def draw_form(rng: np.random.Generator, key: Key, bars: int, intro_bars: int) -> tuple[Bar, ...]:
    """Return the bars of a song: intro, verses and choruses in turn, and a cadence.

    Parameters
    ----------
    rng
        Where the progressions are drawn from.
    key
        Key of all chords.
    bars
        How many bars there are in all, at least two more than `intro_bars`.
    intro_bars
        How many of them come before the first verse.
    """
    body = bars - intro_bars - 1
    size = 8 if body >= 24 else 4
    loops = {name: _draw_loop(rng, key, name) for name in ("verse", "chorus")}
    numerals = _CHORDS[key.mode]
    tonic, dominant = (_transpose(numerals[name], key.tonic) for name in ("I", "V"))
    form = [_bar("intro", index, intro_bars, loops["verse"]) for index in range(intro_bars)]
    for index in range(body):
        section: Section = "chorus" if index // size % 2 else "verse"
        left = min(size, body - index // size * size)
        form.append(_bar(section, index % size, left, loops[section]))
    form[-1] = replace(form[-1], chord=dominant)
    form.append(Bar(section="ending", place=0, last=True, chord=tonic))
    return tuple(form)


def _draw_loop(rng: np.random.Generator, key: Key, section: str) -> list[tuple[int, ...]]:
    loop = str(rng.choice(_LOOPS[key.mode][section]))
    return [_transpose(_CHORDS[key.mode][name], key.tonic) for name in loop.split()]


def _transpose(chord: tuple[int, ...], tonic: int) -> tuple[int, ...]:
    return tuple((tone + tonic) % 12 for tone in chord)


def _bar(section: Section, place: int, size: int, loop: list[tuple[int, ...]]) -> Bar:
    return Bar(section=section, place=place, last=place == size - 1, chord=loop[place % 4])
