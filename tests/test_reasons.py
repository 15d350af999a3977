from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from pipeline import reasons
from pipeline.types import Key, LayerPlan, SongFacts, WarpMap
from tests.songs import song_facts, steady_grid

AS_IT_IS = WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0))


def layer(stretch: float) -> LayerPlan:
    return LayerPlan(warp=AS_IT_IS, stretch=stretch)


def song(bpm: float) -> SongFacts:
    return song_facts(steady_grid(bpm, 10.0), 10.0)


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (1, "up 1 semitone"),
        (-1, "down 1 semitone"),
        (2.0, "up 2 semitones"),
        (-6, "down 6 semitones"),
    ],
)
def test_semitones(count: float, words: str) -> None:
    assert reasons.semitones(count) == words


@pytest.mark.parametrize(
    ("stretch", "words"),
    [
        (1.0, "as it is"),
        (1.004, "as it is"),
        (0.996, "as it is"),
        (1.03, "3 % faster"),
        (0.9, "10 % slower"),
        (2.0, "100 % faster"),
    ],
)
def test_change(stretch: float, words: str) -> None:
    assert reasons.change(stretch) == words


def key(tonic: int, mode: Literal["major", "minor"] = "major", confidence: float = 1.0) -> Key:
    return Key(tonic=tonic, mode=mode, confidence=confidence)


@pytest.mark.parametrize(
    ("voice", "backing", "wish", "count", "words"),
    [
        (key(0), key(2), "keep", 0, "The vocals keep their pitch, as asked."),
        (key(0), key(2), "-3", -3, "The vocals are shifted down 3 semitones, as asked."),
        (None, None, "1", 1, "The vocals are shifted up 1 semitone, as asked."),
        (None, key(0), "match", 0, "The keys are not clear enough to shift the vocals by."),
        (key(0), None, "match", 0, "The keys are not clear enough to shift the vocals by."),
        (
            *(key(0), key(2, confidence=0.0), "match", 0),
            "The keys are not clear enough to shift the vocals by.",
        ),
        (
            *(key(0), key(2), "match", 2),
            "The vocals are shifted up 2 semitones, where the keys agree: C major over D major.",
        ),
        (
            *(key(0), key(9, "minor"), "match", 0),
            "The vocals keep their pitch, where the keys agree: C major over A minor.",
        ),
        (
            *(key(0), key(7), "match", 0),
            (
                "The vocals keep their pitch, where the keys share all notes but one:"
                " C major over G major."
            ),
        ),
        (
            *(key(0), key(4), "match", -1),
            (
                "The vocals are shifted down 1 semitone, where the keys share all"
                " notes but one: C major over E major."
            ),
        ),
        (
            *(key(0), key(2), "match", 0),
            ("The vocals keep their pitch, where the notes meet best: C major over D major."),
        ),
    ],
)
def test_shift(voice: Key | None, backing: Key | None, wish: str, count: int, words: str) -> None:
    pair = (replace(song(100), key=voice), replace(song(100), key=backing))
    assert reasons.shift(*pair, wish, count) == words


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0.0, ()),
        (0.3, ("The vocals are tuned up 30 cents to meet the backing.",)),
        (-0.154, ("The vocals are tuned down 15 cents to meet the backing.",)),
    ],
)
def test_retuning(count: float, words: tuple[str, ...]) -> None:
    assert reasons.retuning(count) == words


@pytest.mark.parametrize(
    ("number", "count", "words"), [(1, 1, ()), (1, 5, ()), (2, 5, ("This is take 2 of 5.",))]
)
def test_take(number: int, count: int, words: tuple[str, ...]) -> None:
    assert reasons.take(number, count) == words


def test_tempo() -> None:
    assert reasons.tempo(song(100), song(121), 110.0, layer(1.1), layer(1 / 1.1)) == (
        "The mash-up runs at 110 BPM: vocals 10 % faster than their 100, "
        "backing 9 % slower than its 121."
    )
    assert reasons.tempo(song(100), song(121), 121.0, layer(1.21), layer(1.0)) == (
        "The mash-up runs at 121 BPM: vocals 21 % faster than their 100, backing at its own tempo."
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("same", ()),
        ("half", ("One beat of the vocals falls on two beats of the backing.",)),
        ("double", ("Two beats of the vocals fall on one beat of the backing.",)),
    ],
)
def test_pace(name: str, words: tuple[str, ...]) -> None:
    assert reasons.pace(name) == words


@pytest.mark.parametrize(
    ("nudge", "words"),
    [
        (0, "The voice enters at 0:08, on the first beat of a bar."),
        (1, "The voice enters at 0:08, 1 beat later than it would, as asked."),
        (-3, "The voice enters at 0:08, 3 beats earlier than it would, as asked."),
    ],
)
def test_entry(nudge: int, words: str) -> None:
    assert reasons.entry(8.1, nudge) == words


@pytest.mark.parametrize(
    ("voice", "beat", "named"),
    [
        (1.0, 1.0, []),
        (1.15, 1 / 1.15, []),
        (1.16, 1.0, ["Vocals 16 % faster"]),
        (0.86, 1.0, ["Vocals 14 % slower"]),
        (1.0, 1.2, ["Backing 20 % faster"]),
        (1.3, 0.7, ["Vocals 30 % faster and backing 30 % slower"]),
    ],
)
def test_stretch_warnings(voice: float, beat: float, named: list[str]) -> None:
    warnings = reasons.stretch_warnings(layer(voice), layer(beat))
    assert [warning.partition(" can be heard: ")[0] for warning in warnings] == named


@pytest.mark.parametrize(
    ("voice_end_s", "warned"), [(60.0, False), (74.0, False), (76.0, True), (30.0, False)]
)
def test_length_warnings(
    voice_end_s: float,
    warned: bool,  # noqa: FBT001 - the table's last column
) -> None:
    found = reasons.length_warnings(song(100), song(100), voice_end_s, 60.0)
    assert bool(found) == warned


def test_a_length_warning_names_both_songs_and_the_loss() -> None:
    assert reasons.length_warnings(song(100), song(100), 90.0, 60.0) == (
        "A song ends 0:30 before the singing of A song does: the rest of it is left out.",
    )
