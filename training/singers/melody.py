"""Vocal lines over a backing: phrases of notes in its key, over its chords, on its beats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.clips import CLIP_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_CELLS = (  # rhythms in beats
    *((1.0,), (0.5, 0.5), (2.0,), (1.5, 0.5), (0.5, 1.0, 0.5), (0.75, 0.75, 0.5)),
    *((0.25, 0.25, 0.5), (0.5, 0.25, 0.25), (0.75, 0.25), (3.0,), (4.0,), (1 / 3, 1 / 3, 1 / 3)),
)
_SHAPES = ((-2, 1, 4, 2, -1), (4, 3, 1, -1, -3), (-3, -1, 0, 2, 4), (0, 3, -1, 3, -1), (0, 0, 0))
_SHORTEST_S = 0.11


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ground:
    """What a voice sings over.

    Attributes
    ----------
    beats_s
        Times of the beats in seconds, rising, from before the clip to after it, shape (n,).
    downbeats_s
        Times of the downbeats in the clip.
    scale
        Pitch classes of the key, the tonic first.
    chords
        (start in seconds, end in seconds, pitch classes) each, in order.
    """

    beats_s: Floats
    downbeats_s: Floats
    scale: tuple[int, ...]
    chords: tuple[tuple[float, float, tuple[int, ...]], ...]

    @property
    def first_downbeat_s(self) -> float:
        """First downbeat of the clip, or its first beat where no downbeat is known."""
        return float(self.downbeats_s[0] if len(self.downbeats_s) else self.beats_s[0])

    @property
    def beat_s(self) -> float:
        """Median time between two beats."""
        return float(np.median(np.diff(self.beats_s)))

    def chord_at(self, time_s: float) -> tuple[int, ...]:
        """Return the pitch classes of the chord, or of the tonic triad where none is written."""
        for start, end, classes in self.chords:
            if start <= time_s < end and classes:
                return classes
        return self.scale[0], self.scale[2], self.scale[4]

    def seconds(self, beats: Floats) -> Floats:
        """Return the times of positions that are counted in beats from the first one."""
        out: Floats = np.interp(beats, np.arange(len(self.beats_s)), self.beats_s)
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One pitch, from the onset of its vowel.

    Attributes
    ----------
    start_s, length_s
        In seconds; a start may lie before the clip.
    pitch
        MIDI note number.
    """

    start_s: float
    length_s: float
    pitch: float


def ground_of(facts: dict[str, Any]) -> Ground:
    """Return the ground that the facts of a backing describe.

    Raises
    ------
    ValueError
        When there are fewer than two beats.
    """
    beats = np.asarray(facts["beats_s"], dtype=np.float64)
    if len(beats) < 2:
        raise ValueError(f"A voice needs two beats to follow; the backing has {len(beats)}.")
    mode = "minor" if facts["mode"] in {"minor", "aeolian", "dorian", "phrygian"} else "major"
    return Ground(
        beats_s=_extend(beats),
        downbeats_s=np.asarray(facts["downbeats_s"], dtype=np.float64),
        scale=tuple((int(facts["tonic"]) + step) % 12 for step in _SCALES[mode]),
        chords=tuple((float(a), float(b), tuple(c)) for a, b, c in facts["chords"]),
    )


def draw_ground(rng: np.random.Generator) -> Ground:
    """Return a random key and tempo with a loop of four chords."""
    beat_s = 60 / rng.uniform(62, 172)
    first = rng.uniform(0, beat_s)
    beats = np.arange(first, CLIP_S, beat_s)
    tonic = int(rng.integers(12))
    scale = tuple((tonic + step) % 12 for step in _SCALES[str(rng.choice(["major", "minor"]))])
    loop = [int(degree) for degree in rng.choice([0, 1, 2, 3, 3, 4, 4, 5, 5], size=4)]
    bar_s = 4 * beat_s
    chords = []
    for index in range(-1, int(CLIP_S / bar_s) + 2):
        degree = loop[index % 4]
        classes = tuple(scale[(degree + third) % 7] for third in (0, 2, 4))
        chords.append((first + index * bar_s, first + (index + 1) * bar_s, classes))
    return Ground(beats_s=_extend(beats), downbeats_s=beats[::4], scale=scale, chords=tuple(chords))


def _extend(beats: Floats) -> Floats:
    """Carry the grid on for two seconds before and four after the clip."""
    step = float(np.median(np.diff(beats)))
    before = np.arange(beats[0] - step, -2.0, -step)[::-1]
    after = np.arange(beats[-1] + step, CLIP_S + 4.0, step)
    return np.concatenate([before, beats, after])


def write_phrases(
    rng: np.random.Generator, ground: Ground, *, low: int, high: int, pace_s: float, rest: float
) -> list[tuple[Note, ...]]:
    """Return phrases that fit the ground, with rests between them.

    Parameters
    ----------
    rng
        Where rhythm and tune are drawn from.
    ground
        Key, chords and beats.
    low, high
        Range in MIDI note numbers, at least seven semitones.
    pace_s
        Wished mean length of a note in seconds.
    rest
        Chance that a phrase is left out; at least one is sung.
    """
    beat_s = ground.beat_s
    span = max(2, round(rng.uniform(1.6, 5.0) / beat_s))
    motifs = [_draw_rhythm(rng, span, pace_s / beat_s) for _ in range(2)]
    curves = [_draw_curve(rng, (high - low) / 14) for _ in range(2)]
    first = int(np.searchsorted(ground.beats_s, ground.first_downbeat_s - 1e-3))
    gap = int(rng.integers(0, 3)) + (1 if beat_s < 0.45 else 0)
    position = float(first % (span + gap) - (span + gap)) + float(rng.choice([0, 0, 0.5, -0.5, 1]))
    phrases: list[tuple[Note, ...]] = []
    turn = 0
    while position < len(ground.beats_s) - 1:
        which = turn % 2 if rng.random() < 0.8 else int(rng.integers(2))
        notes = _set_notes(
            rng, ground, motifs[which], curves[which], position=position, low=low, high=high
        )
        notes = tuple(n for n in notes if n.start_s < CLIP_S and n.start_s + n.length_s > 0)
        if notes:
            phrases.append(notes)
        position += span + gap
        turn += 1
    kept = [phrase for phrase in phrases if rng.random() >= rest]
    return kept or [phrases[len(phrases) // 2]]


def write_flow(
    rng: np.random.Generator, ground: Ground, *, pitch: float, rest: float
) -> list[tuple[Note, ...]]:
    """Return lines of fast syllables on fractions of the beat, for rap: as `write_phrases`."""
    step = float(rng.choice([0.25, 0.25, 0.5, 1 / 3, 1 / 6]))
    while step * ground.beat_s < 0.11:
        step *= 2
    while step * ground.beat_s > 0.30:
        step /= 2
    position = float(rng.choice([-2.0, -1.5, -1.0, 0.0]))
    lines: list[tuple[Note, ...]] = []
    lift = 0.0
    while position < len(ground.beats_s) - 1:
        lengths = step * rng.choice([1, 1, 1, 2, 2, 3], size=int(rng.integers(5, 20)))
        starts = position + np.concatenate([[0.0], np.cumsum(lengths)])
        times = ground.seconds(starts) + rng.normal(0, 0.008, size=len(starts))
        lift = float(rng.choice([lift, 0.0, rng.uniform(-2, 3)]))
        accents = lift + rng.choice([0, 0, 0, 2, -1], size=len(lengths))
        line = tuple(
            Note(start_s=float(a), length_s=float(max(b - a, 0.06)), pitch=pitch + float(accent))
            for a, b, accent in zip(times[:-1], times[1:], accents, strict=True)
            if b > 0 and a < CLIP_S
        )
        if line:
            lines.append(line)
        position = float(np.ceil(starts[-1] / step) * step + step * rng.choice([1, 1, 2, 4, 8]))
    kept = [line for line in lines if rng.random() >= rest]
    return kept or [lines[len(lines) // 2]]


def harmonise(
    phrases: Sequence[tuple[Note, ...]], ground: Ground, steps: int
) -> list[tuple[Note, ...]]:
    """Return the phrases moved along the scale.

    Parameters
    ----------
    phrases
        The tune.
    ground
        Gives the scale.
    steps
        Degrees upwards: 2 is a third, -3 a fourth below, 7 an octave.
    """
    return [
        tuple(replace(note, pitch=_climb(note.pitch, ground.scale, steps)) for note in phrase)
        for phrase in phrases
    ]


def voice_chords(
    phrases: Sequence[tuple[Note, ...]], ground: Ground, offset: int
) -> list[tuple[Note, ...]]:
    """Return the rhythm of the phrases on chord tones `offset` semitones or so from the tune."""
    out = []
    for phrase in phrases:
        notes = []
        for note in phrase:
            classes = ground.chord_at(note.start_s)
            target = note.pitch + offset
            fitting = [p for p in range(round(target) - 6, round(target) + 7) if p % 12 in classes]
            near = min(fitting, key=lambda p: abs(p - target))
            notes.append(replace(note, pitch=float(near)))
        out.append(tuple(notes))
    return out


def _climb(pitch: float, scale: tuple[int, ...], steps: int) -> float:
    ladder = [p for p in range(12, 120) if p % 12 in scale]
    here = int(np.argmin([abs(p - pitch) for p in ladder]))
    return float(ladder[int(np.clip(here + steps, 0, len(ladder) - 1))])


def _draw_rhythm(rng: np.random.Generator, span: int, pace: float) -> Floats:
    """Return lengths in beats that fill `span` beats."""
    mean = np.array([sum(cell) / len(cell) for cell in _CELLS])
    weights = np.exp(-((np.log(mean / pace) / 0.45) ** 2)) + 1e-6
    lengths: list[float] = []
    while sum(lengths) < span - 0.01:
        fits = np.array([sum(cell) <= span - sum(lengths) + 1e-6 for cell in _CELLS])
        chance = weights * fits / np.sum(weights * fits)
        lengths += _CELLS[int(rng.choice(len(_CELLS), p=chance))]
    if len(lengths) > 2 and rng.random() < 0.6:  # phrases end on a longer note
        lengths[-2:] = [lengths[-2] + lengths[-1]]
    return np.array(lengths)


def _draw_curve(rng: np.random.Generator, size: float) -> Floats:
    shape = np.array(_SHAPES[int(rng.integers(len(_SHAPES)))], dtype=np.float64)
    return shape * size * float(rng.uniform(0.6, 1.6)) + float(rng.uniform(-2, 2))


def _set_notes(
    rng: np.random.Generator,
    ground: Ground,
    lengths: Floats,
    curve: Floats,
    *,
    position: float,
    low: int,
    high: int,
) -> tuple[Note, ...]:
    edges = position + np.concatenate([[0.0], np.cumsum(lengths)])
    times = ground.seconds(edges)
    times[:-1] += rng.normal(0, 0.012, size=len(lengths))
    course = np.interp(np.linspace(0, 1, len(lengths)), np.linspace(0, 1, len(curve)), curve)
    course += (low + high) / 2 + rng.normal(0, 1.2, size=len(lengths))
    notes = []
    before = float(course[0])
    for index, target in enumerate(course):
        strong = lengths[index] >= 1 or edges[index] % 1 < 0.01
        classes = ground.chord_at(times[index]) if strong else ground.scale
        fitting = [p for p in range(low - 6, high + 7) if p % 12 in classes]
        wish = float(np.clip(target, low, high))
        before = min(fitting, key=lambda p: abs(p - wish) + 0.3 * abs(p - before))
        if edges[index] < 0 or times[index + 1] - times[index] < _SHORTEST_S / 2:
            continue
        notes.append(
            Note(
                start_s=float(times[index]),
                length_s=float(times[index + 1] - times[index]),
                pitch=float(before),
            )
        )
    return tuple(notes)
