from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot.client import DATABASE, VocalClient
from bot.erasure import ID_COLUMNS, Eraser, Traces
from bot.shelf import Shelf
from bot.store import Store
from pipeline.types import KnownSong
from tests.bot.belongings import (
    keep_job,
    keep_mashup,
    keep_piece,
    keep_song,
    leave_everything,
    song_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.config import Config
    from tests.bot.conftest import ObedientWorker

ALICE, BOB = 11, 12
EVERYTHING = Traces(jobs=1, songs=2, picks=1, mashups=1, orders=1, pieces=4, files=4)
NOTHING = Traces()
NAMELESS = {"settings", "surprises", "runs", "faults"}
"""Tables in which nobody's id is."""


@pytest_asyncio.fixture
async def client(config: Config, hands: ObedientWorker) -> AsyncIterator[VocalClient]:
    """A bot that is connected to nothing, with its books open."""
    config.data_dir.mkdir()
    one = VocalClient(config, workers=[hands])
    one._store = await Store.open(config.data_dir / DATABASE)
    await one.policies.load(one.store)
    await one.library.load(one.store)
    await one.picks.load(one.store)
    yield one
    await one.picks.close()
    await one.store.close()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _disk(client: VocalClient) -> bytes:
    return b"".join(path.read_bytes() for path in _files(client.config.data_dir))


async def test_all_of_a_person_goes_and_nothing_of_others(client: VocalClient) -> None:
    eraser = Eraser(client)
    await leave_everything(client, ALICE, "Alice")
    await leave_everything(client, BOB, "Bob")
    assert await eraser.look(ALICE) == await eraser.look(BOB) == EVERYTHING
    assert b"Alice" in _disk(client)
    erasure = await eraser.erase(ALICE)
    assert (erasure.before, erasure.left) == (EVERYTHING, NOTHING)
    assert erasure.freed_bytes > 4 * 5000
    assert await eraser.look(ALICE) == NOTHING
    assert await eraser.look(BOB) == EVERYTHING
    # Neither in a file nor between the rows of the database.
    assert b"Alice" not in _disk(client)
    assert b"Bob" in _disk(client)


async def test_who_left_nothing_loses_nothing(client: VocalClient) -> None:
    await leave_everything(client, BOB, "Bob")
    before = _files(client.config.data_dir)
    erasure = await Eraser(client).erase(ALICE)
    assert (erasure.before, erasure.left, erasure.freed_bytes) == (NOTHING, NOTHING, 0)
    assert erasure.before.are_none
    assert _files(client.config.data_dir) == before


@pytest.mark.parametrize("keep", [keep_song, keep_mashup, keep_job])
async def test_pieces_are_found_by_whatever_names_the_song(
    client: VocalClient, keep: Callable[..., Any]
) -> None:
    song = song_of("Alice", "song")
    await keep(client, ALICE, *((901,) if keep is keep_song else ()), song)
    bobs = song_of("Bob", "song")
    await keep(client, BOB, *((901,) if keep is keep_song else ()), bobs)
    theirs, others = keep_piece(client, song), keep_piece(client, bobs)
    assert (await Eraser(client).look(ALICE)).pieces == 1
    await Eraser(client).erase(ALICE)
    assert not theirs.exists()
    assert others.exists()


async def test_a_song_of_an_older_errand_is_found_too(client: VocalClient) -> None:
    await keep_job(client, ALICE, song_of("Alice", "song"))
    errand = '{"songs": {"first": {"known": {"audio": "old", "name": 3}}}, "audio": 5}'
    await client.store.write("UPDATE jobs SET errand = ?", (errand,))
    piece = keep_piece(client, KnownSong(audio="old", name="", title=""))
    assert (await Eraser(client).erase(ALICE)).before.pieces == 1
    assert not piece.exists()


async def test_a_merge_that_waits_is_called_off_first(client: VocalClient) -> None:
    job, other = client.queue.admit(ALICE, 901), client.queue.admit(BOB, 901)

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:  # as a merge that has come so far that it leaves something
            await keep_mashup(client, ALICE, song_of("Alice", "late song"))
            client.queue.release(job)

    task = job.start(work())
    await asyncio.sleep(0)
    erasure = await Eraser(client).erase(ALICE)
    assert task.cancelled()
    assert str(job.called_off) == "This merge was cancelled."
    assert (erasure.before, erasure.left) == (Traces(jobs=1), NOTHING)
    assert client.queue.jobs == (other,)
    assert other.called_off is None


async def test_a_merge_that_does_not_end_is_told(
    client: VocalClient, caplog: pytest.LogCaptureFixture
) -> None:
    await leave_everything(client, ALICE, "Alice")
    client.queue.admit(ALICE, 901)
    erasure = await Eraser(client, patience_s=0.01).erase(ALICE)
    assert erasure.left == Traces(jobs=1)
    assert "left after /forget" in caplog.text


async def test_a_file_that_cannot_be_deleted_is_told(
    client: VocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await leave_everything(client, ALICE, "Alice")
    monkeypatch.setattr(Shelf, "delete", lambda *_: None)
    monkeypatch.setattr(Path, "rename", _refuse)
    erasure = await Eraser(client).erase(ALICE)
    assert erasure.left == Traces(files=2, pieces=4)
    assert erasure.left.on_disk == 6
    assert not erasure.left.are_none


def _refuse(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


async def test_what_a_failed_merge_left_goes_too(client: VocalClient) -> None:
    await leave_everything(client, BOB, "Bob")
    bobs, nobodys = song_of("Bob", "first"), song_of("nobody", "song")
    kept = keep_piece(client, bobs)
    gone = [keep_piece(client, nobodys), keep_piece(client, bobs, nobodys)]
    erasure = await Eraser(client).erase(ALICE)
    assert erasure.before == Traces(unnamed=2)
    assert not erasure.before.are_none
    assert erasure.left == NOTHING
    assert erasure.freed_bytes > 2 * 5000
    assert kept.exists()
    assert [piece.exists() for piece in gone] == [False, False]


async def test_what_anothers_merge_may_need_stays(client: VocalClient) -> None:
    old, new = (keep_piece(client, song_of("nobody", what)) for what in ("old", "new"))
    os.utime(old, (1000.0, 1000.0))
    waiting, running = client.queue.admit(BOB, 901), client.queue.admit(BOB, 901)
    assert (await Eraser(client).look(ALICE)).unnamed == 2
    running.began_at = time.monotonic() - 60.0
    assert waiting.began_at is None
    assert (await Eraser(client).erase(ALICE)).before.unnamed == 1
    assert not old.exists()
    assert new.exists()


async def test_every_table_is_known_by_what_it_says_of_people(client: VocalClient) -> None:
    rows = await client.store.read("SELECT name FROM sqlite_schema WHERE type = 'table'")
    assert {row["name"] for row in rows} == {*ID_COLUMNS, *NAMELESS}
    for table, column in ID_COLUMNS.items():
        [(count,)] = await client.store.read(
            "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?", (table, column)
        )
        assert count == 1
