"""Decisions in words: pure functions of values, for the report, the screen and the reply."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.meeting import SURE
from pipeline.names import clock

if TYPE_CHECKING:
    from pipeline.types import LayerPlan, SongFacts

TOO_FAR = 0.15
"""Stretch of one layer above which the user is warned (engineers' rule of thumb)."""


def semitones(count: float) -> str:
    """Say a transposition: "up 1 semitone"."""
    size = abs(round(count))
    return f"{'up' if count > 0 else 'down'} {size} semitone{'' if size == 1 else 's'}"


def shift(vocals: SongFacts, backing: SongFacts, wish: str, count: int) -> str:
    """Say what happens to the pitch of the voice and why.

    Parameters
    ----------
    vocals, backing
        The two songs.
    wish
        What the recipe asked for: "match", "keep" or semitones.
    count
        The semitones that were chosen.
    """
    if wish == "keep":
        return "The vocals keep their pitch, as asked."
    if wish != "match":
        return f"The vocals are shifted {semitones(count)}, as asked."
    voice, band = vocals.key, backing.key
    if voice is None or band is None or min(voice.confidence, band.confidence) < SURE:
        return "The keys are not clear enough to shift the vocals by."
    moved = f"are shifted {semitones(count)}" if count else "keep their pitch"
    meeting = _meeting((voice.semitones_to(band) - count) % 12)
    return f"The vocals {moved}, {meeting}: {voice} over {band}."


def _meeting(apart: int) -> str:
    """Say how two keys meet that lie some semitones apart."""
    if apart == 0:
        return "where the keys agree"
    if apart in {5, 7}:
        return "where the keys share all notes but one"
    return "where the notes meet best"


def retuning(count: float) -> tuple[str, ...]:
    """Say that the voice is brought into tune; nothing when it is in tune."""
    if not count:
        return ()
    cents = round(100 * abs(count))
    way = "up" if count > 0 else "down"
    return (f"The vocals are tuned {way} {cents} cents to meet the backing.",)


def take(number: int, count: int) -> tuple[str, ...]:
    """Say which of the fits this is; nothing for the best."""
    return () if number == 1 else (f"This is take {number} of {count}.",)


def change(stretch: float) -> str:
    """Say a change of tempo: "3 % faster", or "as it is" below half a percent."""
    percent = round((stretch - 1.0) * 100.0)
    if percent == 0:
        return "as it is"
    return f"{abs(percent)} % {'faster' if percent > 0 else 'slower'}"


def tempo(
    vocals: SongFacts, backing: SongFacts, bpm: float, voice: LayerPlan, beat: LayerPlan
) -> str:
    """Say which tempo the mash-up takes and what that does to each layer."""
    sung = _pulled("vocals", "their", vocals.grid.bpm, voice.stretch)
    played = _pulled("backing", "its", backing.grid.bpm, beat.stretch)
    return f"The mash-up runs at {bpm:.0f} BPM: {sung}, {played}."


def _pulled(name: str, whose: str, bpm: float, stretch: float) -> str:
    """Say what happens to the tempo of one layer."""
    if change(stretch) == "as it is":
        return f"{name} at {whose} own tempo"
    return f"{name} {change(stretch)} than {whose} {bpm:.0f}"


def pace(name: str) -> tuple[str, ...]:
    """Say that the voice runs at half or double time; nothing for the plain case."""
    return {
        "same": (),
        "half": ("One beat of the vocals falls on two beats of the backing.",),
        "double": ("Two beats of the vocals fall on one beat of the backing.",),
    }[name]


def entry(enters_s: float, nudge: int) -> str:
    """Say when the voice enters, and whether the user moved it off the first beat of a bar."""
    if not nudge:
        return f"The voice enters at {clock(enters_s)}, on the first beat of a bar."
    beats = f"{abs(nudge)} beat{'' if abs(nudge) == 1 else 's'}"
    way = "later" if nudge > 0 else "earlier"
    return f"The voice enters at {clock(enters_s)}, {beats} {way} than it would, as asked."


def stretch_warnings(voice: LayerPlan, beat: LayerPlan) -> tuple[str, ...]:
    """Warn of a layer that is stretched further than ears forgive."""
    far = [
        f"{name} {change(layer.stretch)}"
        for name, layer in (("vocals", voice), ("backing", beat))
        if not 1 / (1 + TOO_FAR) <= layer.stretch <= 1 + TOO_FAR
    ]
    if not far:
        return ()
    much = " and ".join(far)
    return (
        f"{much[0].upper()}{much[1:]} can be heard: other songs or another pace may fit better.",
    )


def length_warnings(
    vocals: SongFacts, backing: SongFacts, voice_end_s: float, backing_end_s: float
) -> tuple[str, ...]:
    """Warn when the backing ends long before the singing does.

    Parameters
    ----------
    vocals, backing
        The two songs.
    voice_end_s, backing_end_s
        When each would end in the output, in seconds.
    """
    lost = voice_end_s - backing_end_s
    if lost < 15.0:
        return ()
    sentence = (
        f"{backing.title} ends {clock(lost)} before the singing of {vocals.title} does:"
        " the rest of it is left out."
    )
    return (sentence,)
