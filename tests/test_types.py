from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.types import SAMPLE_RATE, TONICS, BeatGrid, Key, Song, Stage

if TYPE_CHECKING:
    from pipeline.types import Mode

KEYS = st.builds(Key, tonic=st.integers(0, 11), mode=st.sampled_from(["major", "minor"]))


def key(name: str) -> Key:
    tonic, mode = name.split()
    kind: Mode = "major" if mode == "major" else "minor"
    return Key(tonic=TONICS.index(tonic), mode=kind)


@pytest.mark.parametrize(
    ("first", "second", "semitones"),
    [
        ("C major", "C major", 0),
        ("C major", "A minor", 0),
        ("A minor", "C major", 0),
        ("C major", "D major", 2),
        ("D major", "C major", -2),
        ("B major", "C major", 1),
        ("C major", "B major", -1),
        ("C major", "F# major", -6),
        ("F# major", "C major", -6),
        ("C major", "C minor", 3),
        ("E minor", "F minor", 1),
        ("C major", "F major", 5),
        ("C major", "G major", -5),
    ],
)
def test_transposition_between_keys(first: str, second: str, semitones: int) -> None:
    assert key(first).semitones_to(key(second)) == semitones


@given(KEYS, KEYS)
def test_a_transposition_is_the_smallest_that_gives_the_same_notes(a: Key, b: Key) -> None:
    shift = a.semitones_to(b)
    assert -6 <= shift < 6
    assert (a.signature + shift) % 12 == b.signature


def test_keys_are_named_as_musicians_do() -> None:
    assert [str(Key(tonic=n, mode="minor")) for n in (0, 6, 10)] == [
        "C minor",
        "F# minor",
        "Bb minor",
    ]


def test_a_song_knows_its_length() -> None:
    song = Song(samples=np.zeros((2, 3 * SAMPLE_RATE // 2), dtype=np.float32), title="")
    assert song.duration_s == 1.5


def test_values_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        BeatGrid().bpm = 120.0  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize("stage", list(Stage))
def test_a_stage_completes_a_sentence(stage: Stage) -> None:
    # "Something went wrong on our side while we tried to ..."
    assert stage.value[0].islower()
    assert not stage.value.endswith(".")
