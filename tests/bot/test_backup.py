from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bot.__main__ import main
from bot.backup import BackupError, back_up
from bot.client import DATABASE
from bot.store import Store

if TYPE_CHECKING:
    from pathlib import Path

ADD_FAULT = "INSERT INTO faults (reference, at, kind, sentence) VALUES (?, 1.0, 'X', '')"


def references(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT reference FROM faults ORDER BY 1")]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_bot_that_runs_is_copied_as_it_is_and_goes_on(tmp_path: Path) -> None:
    path, copy = tmp_path / DATABASE, tmp_path / "copy.sqlite3"
    store = await Store.open(path)
    await store.write(ADD_FAULT, ("A",))
    async with store.transaction() as change:
        await change.write(ADD_FAULT, ("half-way",))
        size = back_up(path, copy)
        await change.write(ADD_FAULT, ("Z",))
    assert references(copy) == ["A"]
    assert size == copy.stat().st_size
    assert copy.stat().st_mode & 0o777 == 0o600
    await store.close()
    assert references(path) == ["A", "Z", "half-way"]
    assert names_in(tmp_path) == ["copy.sqlite3", DATABASE]
    again = await Store.open(copy)  # what was copied, a bot can start with
    assert [row["reference"] for row in await again.read("SELECT reference FROM faults")] == ["A"]
    await again.close()


async def test_nothing_is_overwritten(tmp_path: Path) -> None:
    await (await Store.open(tmp_path / DATABASE)).close()
    target = tmp_path / "precious"
    target.write_text("precious", encoding="ascii")
    with pytest.raises(BackupError, match="precious is there already: name another file"):
        back_up(tmp_path / DATABASE, target)
    assert target.read_text(encoding="ascii") == "precious"
    assert names_in(tmp_path) == ["precious", DATABASE]


async def test_a_damaged_database_makes_no_backup(tmp_path: Path) -> None:
    path, target = tmp_path / DATABASE, tmp_path / "copy"
    store = await Store.open(path)
    for number in range(500):
        await store.write(ADD_FAULT, (f"{number}" * 20,))
    await store.close()
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2 :] = b"\xff" * (len(blob) - len(blob) // 2)
    path.write_bytes(blob)
    with pytest.raises(BackupError, match="If it is damaged: stop the bot, move vocal"):
        back_up(path, target)
    assert names_in(tmp_path) == [DATABASE]


@pytest.mark.parametrize("target", ["copy", "nowhere/copy"])
def test_what_cannot_be_copied_is_said(tmp_path: Path, target: str) -> None:
    if target != "copy":
        (tmp_path / DATABASE).touch()
    with pytest.raises(BackupError, match=r"nothing to back up|cannot be written: No such file"):
        back_up(tmp_path / DATABASE, tmp_path / target)


@pytest.fixture
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder without .env, with no token in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISCORD_TOKEN", raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "kept"))
    return tmp_path


async def test_the_command_needs_no_token(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (at_home / "kept").mkdir()
    await (await Store.open(at_home / "kept" / DATABASE)).close()
    assert main(["backup", "copy.sqlite3"]) == 0
    assert capsys.readouterr().out.startswith("copy.sqlite3: ")
    assert main(["backup", "copy.sqlite3"]) == 1
    assert capsys.readouterr().err == "copy.sqlite3 is there already: name another file.\n"


def test_the_command_says_which_variable_is_wrong(
    at_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKERS", "many")
    assert main(["backup", "copy"]) == 2
    assert capsys.readouterr().err.startswith("WORKERS is 'many'")
    assert list(at_home.iterdir()) == []
