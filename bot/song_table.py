"""The songs of all servers' libraries as rows of the database; their files are `bot.shelf`'s."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.pairing import SongSketch
from pipeline.types import KnownSong

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from bot.store import Store

log = logging.getLogger(__name__)

PAIRS_REMEMBERED = 20
"""How many of a server's surprises count as picked lately."""

_COLUMNS = "guild_id, id, name, title, audio, bytes, added_by, added_at, used_at, sketch"
_OF_GUILD = "WHERE guild_id = ? ORDER BY used_at DESC, id"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarySong:
    """A song of a server's library.

    Attributes
    ----------
    guild_id
        The server.
    id
        SHA-256 of the file in hexadecimal.
    name, title
        What its file was called, and what a person would call the song.
    audio
        Fingerprint of what is heard; the cache knows the song by it.
    bytes
        Size of the file.
    added_by
        The id of the person who brought it first.
    added_at, used_at
        When that was, and when it was last used, in seconds since 1970.
    sketch
        Length, tempo, key and so on; None when nothing is known.
    """

    guild_id: int
    id: str
    name: str
    title: str
    audio: str
    bytes: int
    added_by: int
    added_at: float
    used_at: float
    sketch: SongSketch | None = None

    @property
    def known(self) -> KnownSong:
        """The song as the pipeline knows it."""
        return KnownSong(audio=self.audio, name=self.name, title=self.title)


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryUsage:
    """What all libraries come to.

    Attributes
    ----------
    songs, bytes
        How many songs there are, and their size.
    guilds
        How many servers have any.
    """

    songs: int
    bytes: int
    guilds: int


class SongTable:
    """The rows; whoever changes them minds the files.

    Parameters
    ----------
    store
        The open database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, guild_id: int, song_id: str) -> LibrarySong | None:
        """Return one of a server's songs, or None when it has no such song."""
        songs = await self._read("WHERE guild_id = ? AND id = ?", guild_id, song_id)
        return songs[0] if songs else None

    async def of_guild(
        self, guild_id: int, *, limit: int = -1, offset: int = 0
    ) -> list[LibrarySong]:
        """Return a server's songs, used last first; a limit below 0 is none."""
        return await self._read(f"{_OF_GUILD} LIMIT ? OFFSET ?", guild_id, limit, offset)

    async def search(
        self, guild_id: int, is_wanted: Callable[[str], bool], limit: int
    ) -> list[LibrarySong]:
        """Return a server's songs of which the title or the name is wanted, used last first."""
        rows = await self._store.read(f"SELECT {_COLUMNS} FROM songs {_OF_GUILD}", (guild_id,))  # noqa: S608 - constants
        wanted = (row for row in rows if is_wanted(row["title"]) or is_wanted(row["name"]))
        return [_song_of(row) for row in islice(wanted, limit)]  # most of them need no reading

    async def size_of(self, guild_id: int) -> tuple[int, int]:
        """Return how many songs a server has, and their size in bytes."""
        [row] = await self._store.read(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM songs WHERE guild_id = ?", (guild_id,)
        )
        return row[0], row[1]

    async def of_person(self, user_id: int) -> list[LibrarySong]:
        """Return the songs that somebody added, in all servers."""
        return await self._read("WHERE added_by = ? ORDER BY guild_id, id", user_id)

    async def everything(self) -> list[LibrarySong]:
        """Return the songs of all servers."""
        return await self._read("")

    async def guilds(self) -> list[int]:
        """Return the servers that have songs."""
        rows = await self._store.read("SELECT DISTINCT guild_id FROM songs ORDER BY guild_id")
        return [row["guild_id"] for row in rows]

    async def usage(self) -> LibraryUsage:
        """Return what all libraries come to."""
        [row] = await self._store.read(
            "SELECT count(*), coalesce(sum(bytes), 0), count(DISTINCT guild_id) FROM songs"
        )
        return LibraryUsage(songs=row[0], bytes=row[1], guilds=row[2])

    async def put(self, song: LibrarySong) -> None:
        """Write a song down in place of what was known of it."""
        values = (
            *(song.guild_id, song.id, song.name, song.title, song.audio, song.bytes),
            *(song.added_by, song.added_at, song.used_at),
            song.sketch.to_json() if song.sketch is not None else None,
        )
        marks = ", ".join("?" * len(values))
        await self._store.write(
            f"INSERT OR REPLACE INTO songs ({_COLUMNS}) VALUES ({marks})",  # noqa: S608 - constants
            values,
        )

    async def mark_used(self, song: LibrarySong, now: float) -> bool:
        """Renew the time of a song's last use; False when it has gone."""
        changed = await self._store.write(
            "UPDATE songs SET used_at = ? WHERE guild_id = ? AND id = ?",
            (now, song.guild_id, song.id),
        )
        return changed > 0

    async def drop(self, song: LibrarySong) -> None:
        """Delete a song's row, and the pairs that it was picked for."""
        key = (song.guild_id, song.id)
        async with self._store.transaction() as change:
            await change.write("DELETE FROM songs WHERE guild_id = ? AND id = ?", key)
            await change.write(
                "DELETE FROM surprises WHERE guild_id = ? AND ? IN (vocals, backing)", key
            )

    async def picked_lately(self, guild_id: int) -> set[tuple[str, str]]:
        """Return the pairs of ids, vocals first, that surprised a server last."""
        rows = await self._store.read(
            "SELECT vocals, backing FROM surprises WHERE guild_id = ? ORDER BY at DESC LIMIT ?",
            (guild_id, PAIRS_REMEMBERED),
        )
        return {(row["vocals"], row["backing"]) for row in rows}

    async def remember_pick(self, vocals: LibrarySong, backing: LibrarySong, now: float) -> None:
        """Note that a pair was picked, and forget those that are no longer asked for."""
        guild_id = vocals.guild_id
        async with self._store.transaction() as change:
            await change.write(
                "INSERT OR REPLACE INTO surprises (guild_id, vocals, backing, at)"
                " VALUES (?, ?, ?, ?)",
                (guild_id, vocals.id, backing.id, now),
            )
            await change.write(
                "DELETE FROM surprises WHERE guild_id = ? AND at <"
                " (SELECT min(at) FROM (SELECT at FROM surprises WHERE guild_id = ?"
                " ORDER BY at DESC LIMIT ?))",
                (guild_id, guild_id, PAIRS_REMEMBERED),
            )

    async def _read(self, which: str, *values: int | str) -> list[LibrarySong]:
        query = f"SELECT {_COLUMNS} FROM songs {which}"  # noqa: S608 - constants of this module
        return [_song_of(row) for row in await self._store.read(query, values)]


def _song_of(row: sqlite3.Row) -> LibrarySong:
    """Return a row's song; a sketch of another version of the bot says nothing."""
    facts = dict(row)
    text = facts.pop("sketch")
    try:
        sketch = SongSketch.from_json(text) if text is not None else None
    except ValueError:
        log.info("the sketch of a song of server %d cannot be read", row["guild_id"])
        sketch = None
    return LibrarySong(**facts, sketch=sketch)
