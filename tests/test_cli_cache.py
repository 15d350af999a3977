"""The command line keeps what it worked out where it is told to, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.__main__ import main
from pipeline.types import Stage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pair import Pair

ALL = [stage.capitalize() for stage in Stage if stage not in {Stage.FETCH, Stage.DRAW}]


@pytest.fixture
def songs(small_pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("pipeline.__main__._make_separator", lambda *_: small_pair.separator)
    return ["merge", str(small_pair.vocals), str(small_pair.backing)]


def test_a_second_merge_says_less_because_it_does_less(
    songs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    for words in (["one.wav"], ["two.wav", "--balance", "-3"], ["three.wav"]):
        assert main([*songs, "--cache", "kept", "-o", *words]) == 0
        told.append(capsys.readouterr().err.splitlines())
    assert told == [ALL, [ALL[0], *ALL[6:]], ALL[:1]]
    assert (tmp_path / "three.wav").read_bytes() == (tmp_path / "one.wav").read_bytes()
    assert (tmp_path / "two.wav").read_bytes() != (tmp_path / "one.wav").read_bytes()


def test_without_being_told_it_keeps_nothing(songs: list[str], tmp_path: Path) -> None:
    assert main([*songs, "-o", "one.wav"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["one.wav"]


def test_a_cache_that_cannot_be_is_done_without_and_said_once(
    songs: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("in the way")
    assert main([*songs, "-o", "one.wav", "--cache", "kept"]) == 0
    assert (tmp_path / "kept").read_text() == "in the way"
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "The cache in kept does not work"
    ]
