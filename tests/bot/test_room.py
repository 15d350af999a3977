from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from bot import room
from bot.room import NoRoomError, check_room, no_room
from bot.store import Store
from pipeline.errors import NoVoiceError, StageError
from tests.bot import events
from tests.bot.loopback import MESSAGE
from tests.bot.processes import wait_until
from tests.bot.test_wire_faults import SONG, bad, begin, client, end, hands, hurried, merge

if TYPE_CHECKING:
    from pathlib import Path

    from bot.client import VocalClient
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult
    from tests.bot.faulty import FaultyDiscord
    from tests.bot.test_wire_faults import Hands

__all__ = ["bad", "client", "hands", "hurried"]  # fixtures

MIB = 1024**2
EPHEMERAL = 64
NEARLY_FULL = (
    "This bot's disk is nearly full, so it takes no new songs at the moment. "
    "Please try again later; whoever runs the bot has to make room."
)
FULL = (
    "This bot's disk is full, so your songs could not be worked on. "
    "Please try again later; whoever runs the bot has to make room."
)


def out_of_pages() -> sqlite3.OperationalError:
    """Return what SQLite itself raises when it may not grow any more."""
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError) as raised:
        database.execute("CREATE TABLE x (y)")
    database.close()
    return raised.value


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (out_of_pages(), FULL),
        (no_space(), FULL),
        (OSError(errno.EDQUOT, "quota"), FULL),
        (StageError("mix", f"OSError: {no_space()}"), FULL),
        (StageError("mix", "OSError: [Errno 5] Input/output error"), None),
        (OSError(errno.EIO, "broken"), None),
        (sqlite3.OperationalError("no such table"), None),
        (NoVoiceError("No space left on device"), None),
    ],
)
def test_only_a_full_disk_is_called_full(error: Exception, says: str | None) -> None:
    said = no_room(error)
    assert (None if said is None else str(said)) == says


REFUSED = pytest.raises(NoRoomError, match=NEARLY_FULL)


@pytest.mark.parametrize(
    ("free", "floor", "outcome"),
    [(9, 10, REFUSED), (10, 10, nullcontext()), (0, 0, nullcontext()), (0, 1, REFUSED)],
)
async def test_room_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, floor: int, outcome: Any
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda folder: free if folder == tmp_path else 1000)
    with outcome:
        await check_room(tmp_path, floor)


def test_free_bytes_are_the_disks(tmp_path: Path) -> None:
    about = os.statvfs(tmp_path)
    assert room.free_bytes(tmp_path) == pytest.approx(about.f_bavail * about.f_frsize, rel=0.2)


async def test_a_full_disk_refuses_new_songs_and_goes_on_with_old_ones(
    client: VocalClient, bad: FaultyDiscord, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands.gate.clear()
    await begin(client, bad, 1)
    monkeypatch.setattr(room, "free_bytes", lambda _: 2048 * MIB - 1)
    await begin(client, bad, 2)
    await wait_until(lambda: bad.answers == [NEARLY_FULL])
    [refusal] = [body for _, path, body in bad.requests if path.endswith("token-2/callback")]
    assert refusal["data"]["flags"] == EPHEMERAL
    hands.gate.set()
    await end(client)
    monkeypatch.setattr(room, "free_bytes", lambda _: 2048 * MIB)
    await begin(client, bad, 3)
    await end(client)
    assert sorted(bad.answers) == [NEARLY_FULL, SONG, SONG]


async def test_a_full_disk_lets_no_song_wait_for_a_second_one(
    client: VocalClient, bad: FaultyDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "free_bytes", lambda _: 0)
    event: Any = events.menu(bad.url, "Use as vocals", ("voice.mp3", b"v"))
    client._connection.parse_interaction_create(events.in_a_direct_message(event))  # type: ignore[arg-type]
    await wait_until(lambda: bad.answers == [NEARLY_FULL])
    await end(client)
    picks = client.config.data_dir / "picks"
    assert not picks.exists() or list(picks.iterdir()) == []


class FullDisk:
    """Lets the database write a number of times, and then no more until there is room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
        self.writes = writes
        self.has_room = False
        change = Store._change
        full = out_of_pages()

        async def limited(store: Store, sql: str, parameters: Any) -> int:
            # What the hourly chores delete comes whenever it likes.
            if sql.startswith(("INSERT", "UPDATE", "DELETE FROM jobs")) and not self.has_room:
                self.writes -= 1
                if self.writes < 0:
                    raise full
            return await change(store, sql, parameters)

        monkeypatch.setattr(Store, "_change", limited)


@pytest.mark.parametrize("writes", range(12))
async def test_a_database_that_is_full_from_some_moment_on(
    client: VocalClient, bad: FaultyDiscord, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    disk = FullDisk(monkeypatch, writes)
    await begin(client, bad)
    await wait_until(lambda: bool(bad.answers))
    disk.has_room = True
    await end(client)
    accepts = 2  # an INSERT of the job, and one for the limit by the hour
    assert bad.answers == ([FULL] if writes < accepts else [SONG])


async def test_a_disk_that_is_full_when_a_song_comes(
    client: VocalClient, bad: FaultyDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write_nothing(*_args: Any) -> Path:
        raise no_space()

    monkeypatch.setattr("bot.files.AttachedSong.fetch", write_nothing)
    await merge(client, bad)
    assert bad.answers == [FULL]
    assert list(bad.shown) == [MESSAGE]


async def test_a_disk_that_is_full_in_the_middle_of_a_merge(
    client: VocalClient, bad: FaultyDiscord, hands: Hands
) -> None:
    def fill(_task: MergeTask) -> MergeResult:
        raise StageError("mix", f"OSError: {no_space()}")

    hands.work = fill
    await merge(client, bad)
    assert bad.answers == [FULL]


async def test_a_database_that_was_full_works_again(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "vocal.sqlite3")
    add = "INSERT INTO faults (reference, at, kind, sentence) VALUES (?, 1.0, 'X', ?)"
    [(pages,)] = await store.read("PRAGMA page_count")
    await store.read(f"PRAGMA max_page_count = {pages + 1}")

    async def fill() -> None:
        async with store.transaction() as change:
            await change.write(add, ("A", ""))
            await change.write(add, ("B", "x" * 100_000))

    with pytest.raises(sqlite3.OperationalError, match="full"):
        await fill()
    assert await store.read("SELECT * FROM faults") == []
    async with store.transaction() as change:
        await change.write(add, ("C", ""))
    assert [row[0] for row in await store.read("SELECT reference FROM faults")] == ["C"]
    await store.close()
