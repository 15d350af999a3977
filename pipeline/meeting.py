"""How two songs can meet in tempo, key and tuning, and what each way costs. Light arithmetic.

Costs are in units of a perfect chroma match, as in `pipeline.fit`: what the fit of the notes must
gain to be worth it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.types import Key

VOICE_BEATS_PER_BACKING_BEAT = {"half": 0.5, "same": 1.0, "double": 2.0}

UNHEARD = 0.04
"""A voice may be stretched by this share alone; above it both layers share the stretch."""

SURE = 0.04
"""Confidence from which a key is worth a transposition."""

STRETCH_PER_OCTAVE = 1.5
"""Cost of a stretch; `benchmarks/fit.py` shows what it does."""

LEFT_OUT = 0.5
"""Cost of a place where nothing of the singing is heard; half of it where half is left out."""

PER_SEMITONE, PER_FIFTH = 0.03, 0.05
"""Cost of a shift, and of a distance in key that is left; a semitone is less than a fifth."""

_OUT_OF_TUNE = 0.15  # semitones; two singers in one choir differ by as much


def pace_octaves(voice_bpm: float, backing_bpm: float, wish: str) -> dict[str, float]:
    """Return how far a voice must be stretched in each pace that is allowed, in octaves.

    Parameters
    ----------
    voice_bpm, backing_bpm
        The two tempi; above 0.
    wish
        What the recipe asked for: "auto" for any, or the one.
    """
    ratio = voice_bpm / backing_bpm
    return {
        name: abs(math.log2(ratio / pace))
        for name, pace in VOICE_BEATS_PER_BACKING_BEAT.items()
        if wish in {"auto", name}
    }


def gentlest(paces: Mapping[str, float]) -> str:
    """Return the pace with the least stretch; of equals the plain one."""
    return min(paces, key=lambda name: (round(paces[name], 3), name != "same"))


def are_sure(voice: Key, backing: Key) -> bool:
    """Whether both keys are clear enough to shift anything by."""
    return min(voice.confidence, backing.confidence) >= SURE


def shift_costs(voice: Key | None, backing: Key | None, wish: str) -> dict[int, float]:
    """Semitones that the voice may be moved by, and how much the fit must gain for each.

    One entry where the user has decided, or where a key is too unclear to move anything.
    """
    if wish not in {"match", "keep"}:
        return {int(wish): 0.0}
    if wish == "keep" or voice is None or backing is None or not are_sure(voice, backing):
        return {0: 0.0}
    apart = voice.semitones_to(backing)
    return {s: PER_SEMITONE * abs(s) + PER_FIFTH * fifths_apart(apart - s) for s in range(-3, 4)}


def choose_shift(voice: Key | None, backing: Key | None, wish: str) -> int:
    """Semitones to move the voice by, in -6..6, from the keys alone.

    Keys are compared on the circle of fifths, on which neighbours share six of seven notes: a
    voice four semitones off moves by one, into the neighbouring key, not by four.
    """
    costs = shift_costs(voice, backing, wish)
    return min(costs, key=lambda s: (costs[s], abs(s), s))


def fifths_apart(semitones: int) -> int:
    """Count the steps on the circle of fifths, 0 to 6, between keys `semitones` apart."""
    steps = (semitones * 7) % 12
    return min(steps, 12 - steps)


def retuning(voice: float, backing: float, wish: str) -> float:
    """Semitones that bring a voice into the backing's tuning; 0 for what nobody hears."""
    away = (backing - voice + 0.5) % 1.0 - 0.5
    return away if wish == "match" and abs(away) >= _OUT_OF_TUNE else 0.0
