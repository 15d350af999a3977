"""What players are told: notes, strokes and bends of the pitch, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note.

    Attributes
    ----------
    start_s, length_s
        When it is played and how long it is held, in seconds from the first sample.
    pitch
        MIDI note number.
    velocity
        How hard, from 1 to 127.
    """

    start_s: float
    length_s: float
    pitch: int
    velocity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """One stroke of a drum.

    Attributes
    ----------
    at_s
        When, in seconds from the first sample.
    drum
        One of `training.bands.kits.DRUMS`.
    velocity
        How hard, from 1 to 127.
    """

    at_s: float
    drum: str
    velocity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bend:
    """Where the pitch wheel is from a moment on.

    Attributes
    ----------
    at_s
        When, in seconds from the first sample.
    wheel
        From 0 to 16 383; 8192 is the middle, the ends are an octave away.
    """

    at_s: float
    wheel: int


def bend_of(at_s: float, semitones: float) -> Bend:
    """Return a bend by so many semitones, at most an octave."""
    return Bend(at_s=at_s, wheel=min(16_383, max(0, round(8192 + semitones / 12 * 8192))))
