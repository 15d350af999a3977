"""The README's screens are drawn from what the bot says now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageColor

from bot.remix import ACTIONS
from pipeline.types import KnownSong
from screens import examples
from screens.__main__ import main
from screens.palette import CARD, CHAT
from tests.bot import works

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from pipeline.types import MergeResult
    from screens.chat import Message


def made(folder: Path) -> MergeResult:
    path, picture = folder / "mashup.mp3", folder / "card.png"
    path.write_bytes(bytes(3 * 2**20))
    Image.new("RGB", (1200, 675), "#123456").save(picture)
    result = works.result(path, vocals_title="Rapper", backing_title="Diva")
    song = KnownSong(audio="", name="song.mp3", title="Song")
    return replace(result, songs=(song, song), picture=picture)


def labels(message: Message) -> list[str]:
    found: Sequence[Any] = [part for row in message.components for part in row["components"]]
    return [part.get("label") or part["placeholder"] for part in found]


async def test_the_answer_has_its_card_its_file_and_all_buttons(tmp_path: Path) -> None:
    message = examples.answer(made(tmp_path))
    assert message.embeds[0]["title"] == "Rapper x Diva"
    assert message.embeds[0]["image"]["url"] == "attachment://card.png"
    assert [file.name for file in message.files] == ["Rapper x Diva.mp3", "card.png"]
    assert len(labels(message)) == len(ACTIONS)


async def test_the_progress_has_a_bar_and_a_way_out() -> None:
    message = examples.progress()
    assert "█" in message.content
    assert labels(message) == ["Cancel"]


async def test_the_settings_are_those_of_the_bot() -> None:
    message = examples.settings()
    assert message.private
    assert "highlight" in str(message.embeds)
    kinds = [part["type"] for row in message.components for part in row["components"]]
    assert kinds.count(3) >= 2


async def test_the_library_has_songs_of_several_people() -> None:
    message = await examples.library()
    described = message.embeds[0]["description"]
    assert all(kept.title in described for kept in examples._SONGS)
    assert {f"<@{examples.ADA}>", f"<@{examples.BEN}>"} <= set(message.names)
    # Ada may remove what she has added.
    options = message.components[0]["components"][0]["options"]
    assert len(options) == sum(kept.added_by == examples.ADA for kept in examples._SONGS)


def test_the_program_draws_them_all_small_and_in_their_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(examples, "make_mashup", made)
    assert main([str(tmp_path / "docs")]) == 0
    paths = sorted((tmp_path / "docs").iterdir())
    assert [path.name for path in paths] == [
        *("answer.png", "library.png", "progress.png", "settings.png")
    ]
    assert sorted(capsys.readouterr().out.splitlines()) == [str(path) for path in paths]
    for path in paths:
        with Image.open(path) as image:
            assert image.mode == "P"
            pixels = np.asarray(image.convert("RGB"))
        assert path.stat().st_size < 100_000
        ground = (np.abs(pixels.astype(int) - ImageColor.getrgb(CHAT)) <= 1).all(axis=-1)
        assert ground.mean() > 0.2
        if path.name != "progress.png":
            card = (np.abs(pixels.astype(int) - ImageColor.getrgb(CARD)) <= 1).all(axis=-1)
            assert card.mean() > 0.05
