from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bot import store as store_module
from bot.config import ConfigError
from bot.store import MIGRATIONS, Store

if TYPE_CHECKING:
    from pathlib import Path

ADD_FAULT = "INSERT INTO faults (reference, at, kind, sentence) VALUES (?, 1.0, 'X', '')"


async def references(store: Store) -> list[str]:
    return [row[0] for row in await store.read("SELECT reference FROM faults ORDER BY reference")]


async def test_what_was_written_is_there_after_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "vocal.sqlite3"
    store = await Store.open(path)
    assert await store.write(ADD_FAULT, ("A",)) == 1
    await store.close()
    store = await Store.open(path)
    assert await references(store) == ["A"]
    assert [row[0] for row in await store.read("PRAGMA journal_mode")] == ["wal"]
    assert [row[0] for row in await store.read("PRAGMA synchronous")] == [2]
    await store.close()
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_transaction_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "vocal.sqlite3")

    async def add_twice() -> None:
        async with store.transaction() as change:
            await change.write(ADD_FAULT, ("A",))
            await change.write(ADD_FAULT, ("A",))

    with pytest.raises(sqlite3.IntegrityError):
        await add_twice()
    assert await references(store) == []
    async with store.transaction() as change:
        await change.write(ADD_FAULT, ("A",))
        await change.write(ADD_FAULT, ("B",))
    assert await references(store) == ["A", "B"]
    await store.close()


async def test_writers_take_turns(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "vocal.sqlite3")

    async def pair(name: str) -> None:
        async with store.transaction() as change:
            await change.write(ADD_FAULT, (name,))
            await asyncio.sleep(0)
            await change.write(ADD_FAULT, (f"{name}2",))

    await asyncio.gather(*(pair(name) for name in "ABC"), store.write(ADD_FAULT, ("Z",)))
    assert await references(store) == ["A", "A2", "B", "B2", "C", "C2", "Z"]
    await store.close()


async def test_an_older_database_is_brought_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vocal.sqlite3"
    await (await Store.open(path)).close()
    newer = (*MIGRATIONS, "ALTER TABLE faults ADD COLUMN seen INTEGER NOT NULL DEFAULT 0")
    monkeypatch.setattr(store_module, "MIGRATIONS", newer)
    store = await Store.open(path)
    await store.write(ADD_FAULT, ("A",))
    assert [tuple(row) for row in await store.read("SELECT reference, seen FROM faults")] == [
        ("A", 0)
    ]
    await store.close()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="written by a newer version of the bot: update it"):
        await Store.open(path)


async def test_a_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "vocal.sqlite3"
    await (await Store.open(path)).close()
    broken = (*MIGRATIONS, "CREATE TABLE half (x); CREATE TABLE half (x)")
    monkeypatch.setattr(store_module, "MIGRATIONS", broken)
    with pytest.raises(ConfigError, match="cannot be used"):
        await Store.open(path)
    monkeypatch.undo()
    store = await Store.open(path)
    assert await store.read("SELECT name FROM sqlite_master WHERE name = 'half'") == []
    await store.close()


async def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "vocal.sqlite3"
    path.write_bytes(b"this is no database at all, but somebody may want it back" * 100)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"vocal\.sqlite3 cannot be used ") as caught:
        await Store.open(path)
    assert path.read_bytes() == before
    assert str(caught.value).endswith(
        "If it is damaged: stop the bot, move vocal.sqlite3, vocal.sqlite3-wal and "
        "vocal.sqlite3-shm away, copy a backup that python -m bot backup has made to "
        "vocal.sqlite3, and start the bot again."
    )


async def test_an_index_that_has_lost_a_row_is_found_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "vocal.sqlite3"
    await (await Store.open(path)).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        index = "FROM sqlite_schema WHERE name = 'mashups_by_owner'"
        entry = database.execute(f"SELECT type, name, tbl_name, rootpage, sql {index}").fetchone()
        database.execute("PRAGMA writable_schema = ON")
        database.execute(f"DELETE {index}")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("INSERT INTO mashups VALUES ('m', 1, 2, 3.0, '{}')")
        database.execute("PRAGMA writable_schema = ON")
        database.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", entry)
    with pytest.raises(ConfigError, match="missing from index mashups_by_owner"):
        await Store.open(path)


async def test_it_keeps_little_of_the_file_in_memory(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "vocal.sqlite3")
    [(kept,)] = await store.read("PRAGMA cache_size")
    await store.close()
    assert kept == -256  # KiB; the 2 MB that SQLite takes by itself looked like a leak for days


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        await Store.open(tmp_path / "nowhere" / "vocal.sqlite3")
