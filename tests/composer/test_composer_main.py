from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from composer import compose
from composer.__main__ import main, parse_key
from pipeline.types import Key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

REFUSED = pytest.raises(argparse.ArgumentTypeError, match="is no key")


def test_song_is_written_with_its_answer(tmp_path: Path) -> None:
    wishes = ["--duration", "8", "--bpm", "140", "--intro-bars", "1", "--key", "Bb minor"]
    assert main(["--seed", "3", "-o", str(tmp_path / "new"), *wishes]) == 0
    song = compose(
        3, duration_s=8.0, bpm=140.0, intro_bars=1, key=Key(tonic=10, mode="minor", confidence=1.0)
    )
    found = {
        name: soundfile.read(tmp_path / "new" / f"{name}.wav", dtype="float32")[0].T
        for name in ("mixture", "vocals", "accompaniment")
    }
    np.testing.assert_array_equal(found["mixture"], song.mixture)
    np.testing.assert_array_equal(found["mixture"], found["vocals"] + found["accompaniment"])
    answer = json.loads((tmp_path / "new" / "answer.json").read_text(encoding="utf-8"))
    assert answer["title"] == song.title
    assert answer["bpm"] == 140.0
    assert answer["key"] == "Bb minor"
    assert answer["beats_s"] == list(song.grid.beats_s)
    assert answer["downbeats_s"] == list(song.grid.downbeats_s)
    assert answer["voice_spans_s"] == [list(span) for span in song.voice_spans_s]
    with soundfile.SoundFile(tmp_path / "new" / "mixture.wav") as file:
        assert (file.samplerate, file.channels) == (44_100, 2)
        assert (file.title, file.artist) == (song.title, "the composer")


def test_instrumental_on_request(tmp_path: Path) -> None:
    wishes = ["--duration", "8", "--bpm", "140", "--intro-bars", "1", "--no-voice"]
    assert main(["--seed", "3", "-o", str(tmp_path), *wishes]) == 0
    assert not np.any(soundfile.read(tmp_path / "vocals.wav")[0])


def test_impossible_wish_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--seed", "3", "-o", str(tmp_path), "--bpm", "1000"]) == 2
    assert capsys.readouterr().err == "composer: bpm is 1000, but must be from 40 to 240.\n"
    assert not list(tmp_path.iterdir())


def test_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    wishes = ["--duration", "8", "--bpm", "140", "--intro-bars", "1"]
    assert main(["--seed", "3", "-o", str(taken), *wishes]) == 2
    assert f"{taken} cannot be written to" in capsys.readouterr().err
    assert taken.read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "key", "context"),
    [
        ("C major", Key(tonic=0, mode="major"), nullcontext()),
        ("F# minor", Key(tonic=6, mode="minor"), nullcontext()),
        (" Bb major ", Key(tonic=10, mode="major"), nullcontext()),
        ("H major", None, REFUSED),
        ("C", None, REFUSED),
        ("C dorian", None, REFUSED),
        ("", None, REFUSED),
    ],
)
def test_keys_as_people_write_them(
    text: str, key: Key | None, context: AbstractContextManager[Any]
) -> None:
    with context:
        assert parse_key(text) == key
