from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipeline.__main__ import main
from tests.pair import Shares, all_files

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pair import Pair

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def quick_separator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.separate.choose.make_separator", lambda *_, **__: Shares())


def test_a_merge_draws_its_card(small_pair: Pair, tmp_path: Path) -> None:
    out, card, report = tmp_path / "m.mp3", tmp_path / "card.png", tmp_path / "r.json"
    words = ["merge", str(small_pair.vocals), str(small_pair.backing), "-o", str(out), "-q"]
    assert main([*words, "--picture", str(card), "--report", str(report)]) == 0
    assert all_files(tmp_path) == ["card.png", "m.mp3", "r.json"]
    assert card.read_bytes().startswith(PNG)
    assert "draw" in json.loads(report.read_text())["seconds_by_stage"]


def test_without_the_wish_nothing_is_drawn(small_pair: Pair, tmp_path: Path) -> None:
    out = tmp_path / "m.mp3"
    words = ["merge", str(small_pair.vocals), str(small_pair.backing), "-o", str(out), "-q"]
    assert main(words) == 0
    assert all_files(tmp_path) == ["m.mp3"]


def test_a_spectrogram(
    small_pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "song.png"
    assert main(["spectrogram", str(small_pair.vocals), "-o", str(out), "-q"]) == 0
    assert out.read_bytes().startswith(PNG)
    assert capsys.readouterr().out.splitlines()[-1] == str(out)


@pytest.mark.parametrize("command", ["merge", "spectrogram"])
def test_a_picture_ends_in_png(
    command: str, small_pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jpg, song = str(tmp_path / "card.jpg"), str(small_pair.vocals)
    words = {
        "merge": [song, song, "-o", str(tmp_path / "m.mp3"), "--picture", jpg],
        "spectrogram": [song, "-o", jpg],
    }
    assert main([command, *words[command]]) == 2
    assert "card.jpg is no name for a picture. Let it end in .png." in capsys.readouterr().err
    assert all_files(tmp_path) == []


def test_a_bad_song_leaves_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "song.mp3").write_bytes(b"no song at all")
    assert main(["spectrogram", str(tmp_path / "song.mp3"), "-o", str(tmp_path / "a.png")]) == 2
    assert "song.mp3" in capsys.readouterr().err
    assert all_files(tmp_path) == ["song.mp3"]
