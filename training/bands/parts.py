"""What bass, chord instruments and melody instruments play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training.bands.notes import Bend, Note, bend_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training.bands.harmony import Chord, Harmony
    from training.bands.timeline import Timeline

_BASS_LOWEST = 28  # E1
_BASS_RHYTHMS = (
    ((0.0, 4.0),),
    ((0.0, 2.0), (2.0, 2.0)),
    ((0.0, 1.5), (1.5, 0.5), (2.0, 1.5), (3.5, 0.5)),
    tuple((n / 2, 0.5) for n in range(8)),
    tuple((n / 4, 0.25) for n in range(16)),
    ((0.0, 1.0), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0)),
    ((0.5, 0.5), (1.5, 0.5), (2.5, 0.5), (3.5, 0.5)),
    ((0.0, 0.75), (0.75, 0.75), (1.5, 1.0), (2.5, 0.5), (3.0, 1.0)),
    ((0.0, 0.5), (0.75, 0.25), (1.5, 0.5), (2.25, 0.25), (2.75, 0.75)),
    ((0.0, 0.5), (1.5, 0.5), (2.5, 1.0)),
)
_RHYTHMS: dict[str, tuple[tuple[float, float], ...]] = {
    "eighths": tuple((n / 2, 0.45) for n in range(8)),
    "quarters": ((0.0, 0.9), (1.0, 0.9), (2.0, 0.9), (3.0, 0.9)),
    "off-beats": ((0.5, 0.3), (1.5, 0.3), (2.5, 0.3), (3.5, 0.3)),
    "stabs": ((0.0, 0.4), (1.5, 0.4), (3.0, 0.3)),
    "strum": ((0.0, 1.0), (1.0, 0.5), (1.5, 1.0), (2.5, 0.5), (3.0, 0.5), (3.5, 0.5)),
    "halves": ((0.0, 1.9), (2.0, 1.9)),
    "scratch": tuple((n / 4, 0.12) for n in (0, 2, 3, 6, 7, 10, 11, 14)),
    "montuno": ((0.0, 0.5), (0.75, 0.4), (1.5, 0.4), (2.0, 0.4), (2.75, 0.4), (3.5, 0.4)),
}
_FIGURES = ((0, 1, 2, 3), (0, 1, 2, 1), (0, 2, 1, 2), (3, 2, 1, 0), (0, 2, 3, 2, 1, 2), (0, 1, 2))

FIGURES = ("pad", "arpeggio", "power", *_RHYTHMS)
"""Ways to play chords."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """How evenly somebody plays.

    Attributes
    ----------
    late_s
        How far all notes lie behind the beat in seconds; negative is before it.
    loose_s
        Standard deviation of each onset in seconds.
    velocity, uneven
        Mean strength and its standard deviation.
    """

    late_s: float
    loose_s: float
    velocity: float
    uneven: float


def draw_touch(rng: np.random.Generator, *, machine: bool) -> Touch:
    """Return a player's touch; a machine plays on time."""
    if machine:
        return Touch(late_s=0.0, loose_s=0.0, velocity=float(rng.uniform(70, 115)), uneven=0.0)
    return Touch(
        late_s=float(rng.normal(0.002, 0.006)),
        loose_s=float(rng.uniform(0.001, 0.009)),
        velocity=float(rng.uniform(60, 112)),
        uneven=float(rng.uniform(2, 10)),
    )


class _Score:
    """Collects notes in beats and hands them out in seconds."""

    def __init__(self, rng: np.random.Generator, timeline: Timeline, touch: Touch) -> None:
        self._rng, self._timeline, self._touch = rng, timeline, touch
        self.notes: list[Note] = []

    def add(self, at: float, length: float, pitch: int, *, louder: float = 0.0) -> None:
        """Add a note; what began before the first sample is taken up there, if it still sounds."""
        first = self._timeline.first
        if at + length <= first + 0.05:
            return
        touch = self._touch
        moved = touch.late_s + self._rng.normal(0, 1) * touch.loose_s if at > first else 0.0
        start = self._timeline.seconds(max(at, first))
        end = self._timeline.seconds(at + length)
        hit = touch.velocity + louder + self._rng.normal(0, 1) * touch.uneven
        self.notes.append(
            Note(
                start_s=max(0.0, start + moved),
                length_s=max(0.03, end - start),
                pitch=pitch,
                velocity=int(min(127, max(20, hit))),
            )
        )


def play_bass(
    rng: np.random.Generator, harmony: Harmony, timeline: Timeline, touch: Touch, *, walking: bool
) -> list[Note]:
    """Return a bass line: roots, fifths and octaves in a drawn rhythm, or a walking line."""
    score = _Score(rng, timeline, touch)
    rhythm = _in_metre(_BASS_RHYTHMS[int(rng.integers(len(_BASS_RHYTHMS)))], timeline)
    lowest = _BASS_LOWEST + int(rng.choice([0, 0, 0, 12]))
    short = float(rng.choice([0.5, 0.9, 0.98]))
    octaves, fifths = float(rng.choice([0, 0.1, 0.5])), float(rng.uniform(0, 0.2))
    if walking:
        rhythm, short = tuple((float(n), 1.0) for n in range(timeline.beats_per_bar)), 0.9
    for bar in range(0, timeline.beats, timeline.beats_per_bar):
        for at, length in rhythm:
            chord = harmony.chord_at(bar + at)
            tone = chord.tones[0]
            if walking and bar + at != chord.start:
                tone = int(rng.choice([*chord.tones, *harmony.scale]))
            elif rng.random() < fifths:
                tone = chord.tones[2]
            pitch = _above(tone, lowest) + (12 if at and rng.random() < octaves else 0)
            score.add(bar + at, length * short, pitch)
    return score.notes


def play_chords(
    rng: np.random.Generator, harmony: Harmony, timeline: Timeline, touch: Touch, *, figure: str
) -> list[Note]:
    """Return what a chord instrument plays in one of the `FIGURES`."""
    score = _Score(rng, timeline, touch)
    lowest = 40 if figure == "power" else int(rng.choice([48, 52, 55, 57, 60, 64]))
    spread = rng.random() < 0.25
    strum = float(rng.choice([0, 0, 0.03, 0.06])) if figure != "arpeggio" else 0.0
    step = float(rng.choice([0.25, 0.5, 0.5])) if timeline.beat_s > 0.42 else 0.5
    order = _FIGURES[int(rng.integers(len(_FIGURES)))]
    rhythm = _in_metre(_RHYTHMS.get(figure, _RHYTHMS["eighths"]), timeline)
    for chord in harmony.chords:
        pitches = _voicing(chord, lowest, spread=spread, power=figure == "power")
        if figure == "pad":
            for pitch in pitches:
                score.add(chord.start, (chord.end - chord.start) * 0.98, pitch)
        elif figure == "arpeggio":
            ladder = [*pitches, pitches[0] + 12]
            for count in range(round((chord.end - chord.start) / step)):
                pitch = ladder[order[count % len(order)] % len(ladder)]
                score.add(chord.start + count * step, step * 1.1, pitch)
        else:
            for at, length in _within(rhythm, chord, timeline.beats_per_bar):
                for place, pitch in enumerate(pitches):
                    accent = 8.0 if at % 1 == 0 else 0.0
                    score.add(at + place * strum / 2, length, pitch, louder=accent)
    return score.notes


def play_melody(
    rng: np.random.Generator, harmony: Harmony, timeline: Timeline, touch: Touch
) -> list[Note]:
    """Return a melody of phrases and rests, one note at a time, over the chords."""
    score = _Score(rng, timeline, touch)
    lowest = int(rng.choice([52, 57, 60, 62, 64, 67, 72]))
    unit = float(rng.choice([0.25, 0.5, 0.5, 1.0, 2.0]))
    if timeline.beat_s < 0.4:
        unit = max(unit, 0.5)
    riff = rng.random() < 0.3
    motif = rng.choice([1, 1, 2, 3], size=int(rng.integers(3, 9))) * unit
    moves = rng.choice([-2, -1, -1, 0, 1, 1, 2, 4, -3], size=16 if not riff else len(motif))
    talk, rest = float(rng.uniform(3, 12)), float(rng.choice([0.5, 1, 2, 4]))
    at, place, count = float(rng.choice([0, 0.5, 1, 2])), int(rng.integers(0, 8)), 0
    since = 0.0
    while at < timeline.beats:
        length = float(motif[count % len(motif)])
        place = int(np.clip(place + moves[count % len(moves)], -2, 11))
        if riff and count % len(motif) == 0:
            place = 3
        pitch = _scale_pitch(harmony, place, lowest)
        if at % 1 == 0 and rng.random() < 0.6:
            pitch = _nearest(harmony.chord_at(at).tones, pitch)
        score.add(at, length * 0.97, pitch)
        at, since, count = at + length, since + length, count + 1
        if since > talk:
            at, since = float(np.ceil(at + rest)) - float(rng.choice([0, 0.5])), 0.0
    return score.notes


def bend_notes(rng: np.random.Generator, notes: Iterable[Note]) -> list[Bend]:
    """Return the bends of an expressive player: slides into notes, and vibrato that grows."""
    rate_hz, depth = float(rng.uniform(4.3, 6.8)), float(rng.uniform(0.1, 0.6))
    scoop = float(rng.choice([0, 0.5, 1.0, 2.0]))
    bends = []
    for note in notes:
        slides = scoop * (rng.random() < 0.4)
        times = np.arange(0.0, note.length_s, 0.015)
        grown = np.clip((times - 0.15) / 0.35, 0, 1)
        curve = depth * grown * np.sin(2 * np.pi * rate_hz * times) - slides * np.exp(-times / 0.04)
        bends += [
            bend_of(note.start_s + time, move)
            for time, move in zip(times.tolist(), curve.tolist(), strict=True)
        ]
    return bends


def _above(tone: int, lowest: int) -> int:
    return lowest + (tone - lowest) % 12


def _voicing(chord: Chord, lowest: int, *, spread: bool, power: bool) -> list[int]:
    """Return a chord's pitches, rising, in the inversion that lies nearest above `lowest`."""
    root = _above(chord.tones[0], lowest)
    if power:
        return [root, root + 7, root + 12]
    pitches = sorted(_above(tone, lowest) for tone in chord.tones)
    if spread:
        pitches = sorted([pitches[0] - 12, *pitches[2:], pitches[1] + 12])
    return pitches


def _in_metre(
    rhythm: tuple[tuple[float, float], ...], timeline: Timeline
) -> tuple[tuple[float, float], ...]:
    """Return a rhythm of four beats cut to the bar's length."""
    size = timeline.beats_per_bar
    return tuple((at, min(length, size - at)) for at, length in rhythm if at < size)


def _within(
    rhythm: tuple[tuple[float, float], ...], chord: Chord, beats_per_bar: int
) -> list[tuple[float, float]]:
    """Return the strokes of a rhythm, one bar long, that fall into a chord."""
    first = int(chord.start // beats_per_bar) * beats_per_bar
    bars = range(first, int(np.ceil(chord.end)), beats_per_bar)
    strokes = [(bar + at, length) for bar in bars for at, length in rhythm]
    return [(at, min(n, chord.end - at)) for at, n in strokes if chord.start <= at < chord.end]


def _scale_pitch(harmony: Harmony, place: int, lowest: int) -> int:
    octave, step = divmod(place, 7)
    base = _above(harmony.scale[0], lowest)
    return base + 12 * octave + (harmony.scale[step] - harmony.scale[0]) % 12


def _nearest(tones: tuple[int, ...], pitch: int) -> int:
    return min(
        (pitch + (tone - pitch + 6) % 12 - 6 for tone in tones), key=lambda near: abs(near - pitch)
    )
