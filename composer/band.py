"""What bass and chord instruments play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from composer.score import Bar, Metre, Style

_BASS_LOWEST = 29  # F1
_CHORD_LOWEST = 54  # F#3
# Root, third and fifth. The root's own overtones sound the fifth too; played as loud as the rest,
# it would make every key sound like its neighbour.
_WEIGHTS = (1.15, 1.0, 0.6)
_ARPEGGIO = (0, 1, 2, 3, 2, 1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note of the accompaniment.

    Attributes
    ----------
    start, length
        In beats from the first downbeat.
    instrument
        One of `composer.instruments.INSTRUMENTS`.
    pitch
        MIDI note number.
    level
        How loud, 1 being the instrument's usual level.
    """

    start: float
    length: float
    instrument: str
    pitch: int
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What a style plays in each bar: (position, length) in beats."""

    bass: tuple[tuple[float, float], ...]
    chords: tuple[tuple[float, float], ...]
    instrument: str
    arpeggio: str  # the instrument that breaks the chord into eighths in the chorus, or ""


_PARTS = {
    "rock": _Part(
        bass=tuple((n / 2, 0.5) for n in range(8)),
        chords=((0, 1.0), (1, 0.5), (1.5, 1.0), (2.5, 0.5), (3, 1.0)),
        instrument="guitar",
        arpeggio="",
    ),
    "four-on-the-floor": _Part(
        bass=((0, 0.5), (0.5, 0.5), (1.5, 0.5), (2, 0.5), (2.5, 0.5), (3.5, 0.5)),
        chords=((0, 0.75), (1.5, 0.5), (2.5, 0.75)),
        instrument="keys",
        arpeggio="guitar",
    ),
    "hip-hop": _Part(
        bass=((0, 1.5), (1.5, 0.9), (2.5, 1.5)),
        chords=((0, 1.5), (2.5, 1.5)),
        instrument="keys",
        arpeggio="",
    ),
    "ballad": _Part(
        bass=((0, 2.0), (2, 1.5), (3.5, 0.5)),
        chords=((0, 2.0), (2, 2.0)),
        instrument="keys",
        arpeggio="keys",
    ),
    "waltz": _Part(
        bass=((0, 2.0),),
        chords=((1, 0.9), (2, 0.9)),
        instrument="guitar",
        arpeggio="keys",
    ),
}


def play_band(
    style: Style, form: tuple[Bar, ...], metre: Metre, *, final_beats: float
) -> tuple[Note, ...]:
    """Return all notes of bass and chords, in no particular order.

    The first half of each four bars of the intro has no bass, the chorus has a fuller pad and,
    in some styles, an arpeggio. The last chord is held for `final_beats`.
    """
    part = _PARTS[style.name]
    notes: list[Note] = []
    for index, bar in enumerate(form):
        start = float(index * metre.beats_per_bar)
        if bar.section == "ending":
            notes += _final_chord(bar, start, final_beats, part.instrument)
            continue
        if bar.section != "intro" or bar.place % 4 >= 2:
            notes += _bass_of(part, bar, start)
        for at, length in part.chords:
            level = 1.0 if at % 1 == 0 else 0.85
            notes += _chord(part.instrument, bar.chord, start + at, length, level)
        notes += _colours_of(part, bar, start, metre.beats_per_bar)
    return tuple(notes)


def _pitch(tone: int, lowest: int) -> int:
    return lowest + (tone - lowest) % 12


def _voicing(chord: tuple[int, ...]) -> list[int]:
    """Return the chord in the inversion that stays in one octave, rising."""
    return sorted(_pitch(tone, _CHORD_LOWEST) for tone in chord)


def _chord(
    instrument: str, chord: tuple[int, ...], start: float, length: float, level: float
) -> list[Note]:
    return [
        Note(
            start=start,
            length=length,
            instrument=instrument,
            pitch=_pitch(tone, _CHORD_LOWEST),
            level=level * weight,
        )
        for tone, weight in zip(chord, _WEIGHTS, strict=True)
    ]


def _bass_of(part: _Part, bar: Bar, start: float) -> list[Note]:
    root = _pitch(bar.chord[0], _BASS_LOWEST)
    return [
        Note(
            start=start + at,
            length=length,
            instrument="bass",
            pitch=root,
            level=1.0 if at % 1 == 0 else 0.85,
        )
        for at, length in part.bass
    ]


def _colours_of(part: _Part, bar: Bar, start: float, beats_per_bar: int) -> list[Note]:
    level = 0.5 if bar.section == "verse" else 1.0
    notes = _chord("pad", bar.chord, start, float(beats_per_bar), level)
    if part.arpeggio and bar.section == "chorus":
        ladder = [*_voicing(bar.chord), _voicing(bar.chord)[0] + 12]
        notes += [
            Note(
                start=start + step / 2,
                length=0.9,
                instrument=part.arpeggio,
                pitch=ladder[_ARPEGGIO[step % len(_ARPEGGIO)]] + 12,
                level=0.55,
            )
            for step in range(2 * beats_per_bar)
        ]
    return notes


def _final_chord(bar: Bar, start: float, length: float, instrument: str) -> list[Note]:
    bass = Note(
        start=start,
        length=length,
        instrument="bass",
        pitch=_pitch(bar.chord[0], _BASS_LOWEST),
        level=1.0,
    )
    chords = (_chord(name, bar.chord, start, length, 1.0) for name in (instrument, "pad"))
    return [bass, *(note for chord in chords for note in chord)]
