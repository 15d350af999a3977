from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from training.bands.grooves import play_drums
from training.bands.harmony import draw_harmony
from training.bands.kits import DRUMS
from training.bands.parts import (
    FIGURES,
    bend_notes,
    draw_touch,
    play_bass,
    play_chords,
    play_melody,
)
from training.bands.styles import STYLES, draw_style
from training.bands.timeline import LEAD_S, RENDERED_S, draw_timeline
from training.clips import CLIP_S

if TYPE_CHECKING:
    from training.bands.harmony import Harmony
    from training.bands.notes import Note, Stroke
    from training.bands.styles import Style
    from training.bands.timeline import Timeline

every_style = pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
ROCK = next(style for style in STYLES if style.name == "rock")


def excerpt(style: Style, seed: int) -> tuple[np.random.Generator, Timeline, Harmony]:
    rng = np.random.default_rng(seed)
    timeline = draw_timeline(rng, style)
    return rng, timeline, draw_harmony(rng, timeline.beats, style.beats_per_bar)


@every_style
def test_patterns_count_what_the_metre_has(style: Style) -> None:
    steps = {3: {12}, 4: {12} if style.name == "six-eight" else {16}}[style.beats_per_bar]
    for groove in style.grooves:
        assert set(groove) <= set(DRUMS)
        assert {len(pattern) for pattern in groove.values()} == steps
        assert set("".join(groove.values())) <= set(".oxX")


def test_all_styles_are_drawn() -> None:
    rng = np.random.default_rng(0)
    assert {draw_style(rng).name for _ in range(600)} == {style.name for style in STYLES}


@every_style
def test_the_grid_holds_every_beat_of_the_excerpt(style: Style) -> None:
    for seed in range(5):
        _, timeline, _ = excerpt(style, seed)
        grid = timeline.grid()
        gaps = np.diff(grid.beats_s)
        assert grid.beats_per_bar == style.beats_per_bar
        assert style.bpm[0] * 0.95 < grid.bpm < style.bpm[1] * 1.05
        assert 0 <= grid.beats_s[0] <= 1.1 * gaps.max()
        assert CLIP_S - 1.1 * gaps.max() <= grid.beats_s[-1] < CLIP_S
        assert gaps.max() / gaps.min() < 1.1
        assert set(grid.downbeats_s) <= set(grid.beats_s)
        places = [grid.beats_s.index(time) for time in grid.downbeats_s]
        assert all(b - a == style.beats_per_bar for a, b in pairwise(places))


def test_an_excerpt_begins_anywhere_in_a_bar() -> None:
    grids = [excerpt(ROCK, seed)[1].grid() for seed in range(60)]
    assert {grid.beats_s.index(grid.downbeats_s[0]) for grid in grids} == {0, 1, 2, 3}
    shares = [grid.beats_s[0] * grid.bpm / 60 for grid in grids]
    assert min(shares) < 0.15
    assert max(shares) > 0.85


def test_beats_do_not_swing_but_off_beats_do() -> None:
    _, timeline, _ = excerpt(replace(ROCK, swing=(1 / 3, 1 / 3), electronic=1.0), 2)
    beat, half, then = (timeline.seconds(position) for position in (4.0, 4.5, 5.0))
    assert (half - beat) / (then - beat) == pytest.approx(2 / 3, abs=1e-3)
    _, timeline, _ = excerpt(replace(ROCK, sixteenth_swing=(0.4, 0.4), electronic=1.0), 2)
    times = np.array([timeline.seconds(4 + n / 4) for n in range(5)])
    shares = (times - times[0]) / (times[4] - times[0])
    np.testing.assert_allclose(shares, [0, 0.35, 0.5, 0.85, 1], atol=1e-3)


@every_style
def test_drummers_play_the_drums_there_are_within_the_excerpt(style: Style) -> None:
    strokes = [s for seed in range(4) for s in _drums(style, seed)]
    assert bool(strokes) == bool(style.grooves)
    assert {stroke.drum for stroke in strokes} <= set(DRUMS)
    assert all(0 <= stroke.at_s < RENDERED_S + 5 for stroke in strokes)
    assert all(1 <= stroke.velocity <= 127 for stroke in strokes)


def _drums(style: Style, seed: int) -> tuple[Stroke, ...]:
    rng, timeline, _ = excerpt(style, seed)
    return play_drums(rng, style, timeline, machine=False)


def test_a_machine_is_on_time_and_a_person_nearly() -> None:
    far: dict[bool, list[float]] = {True: [], False: []}
    for machine, away in far.items():
        for seed in range(5):
            rng, timeline, _ = excerpt(ROCK, seed)
            grid = np.array([timeline.seconds(n / 4) for n in range(4 * timeline.beats)])
            strokes = play_drums(rng, ROCK, timeline, machine=machine)
            away += [float(np.abs(grid - stroke.at_s).min()) for stroke in strokes]
    assert max(far[True]) < 1e-6
    assert 0.002 < max(far[False]) < 0.06


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("name", ["rock", "waltz"])
def test_chords_sound_the_chord(figure: str, name: str) -> None:
    style = next(style for style in STYLES if style.name == name)
    rng, timeline, harmony = excerpt(style, 3)
    notes = play_chords(rng, harmony, timeline, draw_touch(rng, machine=True), figure=figure)
    assert notes
    for note in notes:
        chord = _chord_of(note, harmony, timeline)
        tones = {chord[0], (chord[0] + 7) % 12} if figure == "power" else set(chord)
        assert note.pitch % 12 in tones


def _chord_of(note: Note, harmony: Harmony, timeline: Timeline) -> tuple[int, ...]:
    position = timeline.clock.position(note.start_s + 0.4 * note.length_s)
    return harmony.chord_at(position).tones


def test_a_bass_is_low_and_on_the_roots() -> None:
    roots = []
    for seed in range(20):
        rng, timeline, harmony = excerpt(ROCK, seed)
        touch = draw_touch(rng, machine=True)
        for note in play_bass(rng, harmony, timeline, touch, walking=False):
            assert 28 <= note.pitch < 64
            roots.append(note.pitch % 12 == _chord_of(note, harmony, timeline)[0])
    assert np.mean(roots) > 0.7


def test_a_melody_is_one_note_at_a_time_of_scale_or_chord() -> None:
    for seed in range(20):
        rng, timeline, harmony = excerpt(ROCK, seed)
        notes = play_melody(rng, harmony, timeline, draw_touch(rng, machine=True))
        allowed = set(harmony.scale).union(*(chord.tones for chord in harmony.chords))
        assert {note.pitch % 12 for note in notes} <= allowed
        for now, then in pairwise(notes):
            assert then.start_s >= now.start_s + 0.9 * now.length_s or now.length_s < 0.05


def test_a_note_from_before_the_excerpt_is_taken_up() -> None:
    rng, timeline, harmony = excerpt(replace(ROCK, bpm=(60, 60)), 1)
    assert timeline.first > 0.5
    notes = play_chords(rng, harmony, timeline, draw_touch(rng, machine=False), figure="pad")
    assert min(note.start_s for note in notes) == 0.0
    assert min(timeline.grid().beats_s) + LEAD_S > 0


def test_bends_stay_near_the_note_and_sway_late() -> None:
    rng, timeline, harmony = excerpt(ROCK, 1)
    notes = play_melody(rng, harmony, timeline, draw_touch(rng, machine=True))
    bends = bend_notes(rng, notes)
    semitones = np.array([(bend.wheel - 8192) / 8192 * 12 for bend in bends])
    assert np.abs(semitones).max() <= 2.7
    assert semitones.std() > 0
