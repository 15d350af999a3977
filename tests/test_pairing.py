"""Which songs go together, on sketches whose merits are plain."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from pipeline.pairing import SongSketch, choose_pair, score
from pipeline.types import BeatGrid, Key, SongFacts
from tests.songs import song_facts, steady_grid

C, D, G = (Key(tonic=tonic, mode="major") for tonic in (0, 2, 7))
UNSURE = Key(tonic=6, mode="minor", confidence=0.03)

PLAIN = SongSketch(
    duration_s=200.0,
    bpm=120.0,
    beats_per_bar=4,
    beat_confidence=1.0,
    key=C,
    tuning=0.0,
    sung_share=0.5,
)


def sketch(**changes: object) -> SongSketch:
    return replace(PLAIN, **changes)  # type: ignore[arg-type]  # checked by replace itself


# --- sketches -----------------------------------------------------------------------------------


def test_a_sketch_is_what_counts_of_the_facts() -> None:
    grid = replace(steady_grid(90.0, 40.0, beats_per_bar=3), confidence=0.8)
    facts = song_facts(grid, 40.0, key=D, tuning=0.25, sung=((5.0, 15.0), (20.0, 26.0)))
    assert SongSketch.of(facts) == SongSketch(
        duration_s=40.0,
        bpm=90.0,
        beats_per_bar=3,
        beat_confidence=0.8,
        key=D,
        tuning=0.25,
        sung_share=0.4,
    )


@pytest.mark.parametrize("duration_s", [0.0, 3.0])
def test_a_sketch_of_hardly_anything(duration_s: float) -> None:
    facts = SongFacts(
        title="", duration_s=duration_s, grid=BeatGrid(), key=None, sung=((0.0, 3.001),)
    )
    found = SongSketch.of(facts)
    assert (found.bpm, found.key, found.sung_share) == (0.0, None, float(duration_s > 0))
    assert score(found, PLAIN) == score(PLAIN, found) == 0.0


@pytest.mark.parametrize("kept", [PLAIN, sketch(key=None, bpm=1 / 3, tuning=-0.49, sung_share=0)])
def test_a_sketch_comes_back_from_a_database(kept: SongSketch) -> None:
    assert SongSketch.from_json(kept.to_json()) == kept


@pytest.mark.parametrize(
    "text", ["", "null", "{}", "[1]", PLAIN.to_json().replace('"bpm"', '"tempo"'), '{"bpm": 1}']
)
def test_what_is_no_sketch_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no SongSketch|Expecting value"):
        SongSketch.from_json(text)


def test_nothing_heavy_is_loaded() -> None:
    script = "import sys, pipeline.pairing; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


# --- scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("voice", "band", "merit"),
    [
        ({}, {}, 1.0),
        ({"bpm": 60.0}, {}, 1.0),  # half time
        ({"bpm": 240.0}, {}, 1.0),
        ({"bpm": 120.0 * 2**0.1}, {"duration_s": 300.0}, 0.85),
        ({"bpm": 120.0 / 2**0.1}, {}, 0.85),
        ({"bpm": 120.0 * 2**0.5}, {"duration_s": 300.0}, 0.25),
        ({}, {"key": D}, 0.94),
        ({}, {"key": G}, 0.95),
        ({}, {"key": Key(tonic=9, mode="minor")}, 1.0),
        ({"key": None}, {}, 1.0),
        ({}, {"key": None}, 1.0),
        ({"key": UNSURE}, {}, 0.85),
        ({"tuning": 0.4}, {"tuning": -0.4}, 0.994),
        ({"tuning": 0.1}, {}, 1.0),
        ({}, {"duration_s": 100.0}, 0.75),
        ({"sung_share": 0.15}, {}, 0.5),
        ({"sung_share": 0.0}, {}, 0.0),
        ({}, {"sung_share": 0.0}, 1.0),
        ({"beat_confidence": 0.5}, {"beat_confidence": 0.8}, 0.5),
        ({}, {"beats_per_bar": 3}, 0.7),
        ({"bpm": 0.0}, {}, 0.0),
        ({}, {"bpm": 0.0}, 0.0),
        ({"bpm": 85.0}, {"key": D, "duration_s": 20.0, "beats_per_bar": 3}, 0.0),
    ],
)
def test_scores(voice: dict[str, object], band: dict[str, object], merit: float) -> None:
    assert score(sketch(**voice), sketch(**band)) == pytest.approx(merit, abs=1e-3)


def test_every_score_is_a_share() -> None:
    chance = Random(3)
    for _ in range(500):
        one, other = (
            sketch(
                bpm=chance.uniform(0, 250),
                duration_s=chance.uniform(0, 900),
                tuning=chance.uniform(-0.5, 0.5),
                key=chance.choice([None, C, UNSURE, Key(tonic=chance.randrange(12), mode="minor")]),
                sung_share=chance.random(),
                beat_confidence=chance.random(),
            )
            for _ in range(2)
        )
        assert 0.0 <= score(one, other) <= 1.0


# --- pairs --------------------------------------------------------------------------------------

SONGS = (
    PLAIN,
    sketch(duration_s=240.0, bpm=121.0),
    sketch(duration_s=180.0, bpm=168.0, key=UNSURE),  # far from all others
    sketch(duration_s=220.0, bpm=60.0, sung_share=0.0),  # an instrumental
)


def draws(
    songs: tuple[SongSketch, ...], times: int = 300, avoid: tuple[tuple[int, int], ...] = ()
) -> Counter[tuple[int, int] | None]:
    chance = Random(5)
    return Counter(choose_pair(songs, chance, avoid) for _ in range(times))


def test_what_goes_together_is_drawn_and_the_better_the_oftener() -> None:
    found = draws(SONGS)
    assert {(0, 1), (1, 0), (0, 3)} <= set(found)
    assert not {pair for pair in found if pair and (2 in pair or pair[0] == 3)}
    weak = (PLAIN, sketch(duration_s=190.0, bpm=121.0, beat_confidence=0.7, sung_share=0.2))
    uneven = draws(weak, 900)  # 0.68 for the first way round, 0.46 for the other
    assert 1.1 < uneven[0, 1] / uneven[1, 0] < 2.0


def test_pairs_to_avoid_come_last() -> None:
    lately = ((0, 1), (1, 0), (0, 3))
    assert not set(draws(SONGS, avoid=lately)) & {*lately, None}
    both = ((0, 1), (1, 0))
    assert set(draws(SONGS[:2], avoid=both)) == set(both)
    assert set(draws(SONGS[:2], avoid=((1, 0), (7, 9)))) == {(0, 1)}


@pytest.mark.parametrize(
    "songs",
    [
        (),
        (PLAIN,),
        (PLAIN, PLAIN),
        (PLAIN, sketch(duration_s=200.05, bpm=120.1, beat_confidence=0.9)),  # another encoding
        (PLAIN, sketch(bpm=0.0)),
        (sketch(sung_share=0.0), sketch(sung_share=0.0, bpm=121.0)),
    ],
)
def test_nothing_to_choose(songs: tuple[SongSketch, ...]) -> None:
    assert set(draws(songs, 5)) == {None}


@pytest.mark.parametrize(
    "other", [{"duration_s": 201.0}, {"bpm": 121.0}, {"key": D}, {"key": None}, {"tuning": 0.1}]
)
def test_songs_that_differ_in_anything_are_two(other: dict[str, object]) -> None:
    assert set(draws((PLAIN, sketch(**other)), 50)) == {(0, 1), (1, 0)}


def test_one_voice_over_one_backing() -> None:
    assert set(draws((SONGS[3], PLAIN), 20)) == {(1, 0)}


def test_of_many_songs_different_ones_come_up() -> None:
    many = tuple(sketch(duration_s=100.0 + k) for k in range(200))
    found = {index for pair in draws(many, 12) for index in pair or ()}
    assert len(found) > 12
    assert min(found) < 50
    assert max(found) > 150


def test_what_a_sketch_holds_is_written_down_plainly() -> None:
    assert json.loads(PLAIN.to_json())["key"] == {"tonic": 0, "mode": "major", "confidence": 1.0}
