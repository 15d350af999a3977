"""A server's own songs, kept so that nobody has to attach them again.

Each song is a file (`bot.shelf`) and a row (`bot.song_table`). The file comes first and goes last:
a crash in between leaves a file that nobody can ask for, and the next start deletes it. Every
look-up names the server, so that no song of one is ever heard in another.
"""

from __future__ import annotations

import asyncio
import logging
import time
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.shelf import Shelf, identify, is_song_id, share
from bot.song_table import LibrarySong, SongTable
from pipeline.errors import UserError
from pipeline.names import clean_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from bot.policy import Policies
    from bot.song_table import LibraryUsage
    from bot.store import Store
    from pipeline.pairing import SongSketch
    from pipeline.types import KnownSong

log = logging.getLogger(__name__)

DAY_S = 86_400.0


class LibraryOffError(UserError):
    """There is no library here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryPage:
    """Some songs of a library, with what is to be said about all of them.

    Attributes
    ----------
    songs
        Those of this page, used last first.
    number, pages
        Which page it is, from 1, and how many there are, at least 1.
    count, bytes
        How many songs the whole library has, and their size.
    """

    songs: tuple[LibrarySong, ...]
    number: int
    pages: int
    count: int
    bytes: int


class Library:
    """The libraries of all servers.

    Parameters
    ----------
    folder
        Where the files lie.
    policies
        What each server's admins decided.
    quota_bytes
        The most that one server's songs may take up; 0 keeps none.
    clock
        Says what time it is, in seconds since 1970.
    """

    def __init__(
        self,
        folder: Path,
        policies: Policies,
        *,
        quota_bytes: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.quota_bytes = quota_bytes
        self._shelf = Shelf(folder)
        self._policies = policies
        self._clock = clock
        self._changing = asyncio.Lock()  # a song's row and file change together
        self._opened: SongTable | None = None

    @property
    def _rows(self) -> SongTable:
        if self._opened is None:
            raise RuntimeError("the library has not been loaded")
        return self._opened

    async def load(self, store: Store) -> None:
        """Open the libraries, and clear away what a killed run left: see `sweep`."""
        self._opened = SongTable(store)
        await self.sweep()

    async def sweep(self) -> None:
        """Delete files that have no row, and rows whose file is missing or cut short."""
        async with self._changing:
            places = {self._path(song): song for song in await self._rows.everything()}
            sizes = {path: song.bytes for path, song in places.items()}
            for path in await asyncio.to_thread(self._shelf.sweep, sizes):
                log.warning("a song of server %d has lost its file", places[path].guild_id)
                await self._drop(places[path])

    def is_on(self, guild_id: int) -> bool:
        """Return whether a server keeps a library."""
        return bool(self.quota_bytes) and self._policies.of(guild_id).library

    def require(self, guild_id: int | None) -> int:
        """Return the id of a server that keeps a library.

        Raises
        ------
        LibraryOffError
            There is none here; says why.
        """
        hint = "Attach the song instead."
        if guild_id is None:
            raise LibraryOffError("Only servers have a library.", hint=hint)
        if not self.quota_bytes:
            raise LibraryOffError("This bot keeps no library.", hint=hint)
        if not self.is_on(guild_id):
            raise LibraryOffError("The library is turned off in this server.", hint=hint)
        return guild_id

    async def get(self, guild_id: int, song_id: str) -> LibrarySong | None:
        """Return one of a server's songs, or None when it has no such song."""
        return await self._rows.get(guild_id, song_id) if is_song_id(song_id) else None

    async def all(self, guild_id: int) -> list[LibrarySong]:
        """Return all songs of a server, used last first."""
        return await self._rows.of_guild(guild_id)

    async def find(self, guild_id: int, text: str, limit: int = 25) -> list[LibrarySong]:
        """Return a server's songs whose title or name has a text in it, used last first.

        Parameters
        ----------
        guild_id
            The server.
        text
            What to look for, in any case; "" is in all of them.
        limit
            The most songs to return.
        """
        wanted = fold(text)
        return await self._rows.search(guild_id, lambda name: wanted in fold(name), limit)

    async def page(self, guild_id: int, number: int, size: int = 10) -> LibraryPage:
        """Return a page of a server's library; the nearest one when there is no such page."""
        count, total = await self._rows.size_of(guild_id)
        pages = max(1, -(-count // size))
        number = min(max(1, number), pages)
        songs = await self._rows.of_guild(guild_id, limit=size, offset=(number - 1) * size)
        return LibraryPage(songs=tuple(songs), number=number, pages=pages, count=count, bytes=total)

    async def of_person(self, user_id: int) -> list[LibrarySong]:
        """Return the songs that somebody added, in all servers."""
        return await self._rows.of_person(user_id)

    async def has_file(self, song: LibrarySong) -> bool:
        """Return whether a song's file is on the disk, also when the song was removed."""
        return await asyncio.to_thread(self._path(song).exists)

    async def usage(self) -> LibraryUsage:
        """Return what all libraries come to."""
        return await self._rows.usage()

    async def add(
        self,
        guild_id: int,
        path: Path,
        *,
        name: str,
        known: KnownSong,
        sketch: SongSketch | None,
        added_by: int,
    ) -> LibrarySong | None:
        """Keep a song; one with the same bytes is only marked as used.

        Parameters
        ----------
        guild_id
            The server.
        path
            Its file, which stays where it is.
        name
            What the user called it.
        known, sketch
            What was found out about it.
        added_by
            The id of the person who brought it.

        Returns
        -------
        LibrarySong | None
            The song, or None where it is not kept: there is no library here, it alone is larger
            than the quota, or the disk refuses it, of which the log has the reason.
        """
        if not self.is_on(guild_id):
            return None
        now = self._clock()
        try:
            song_id, size = await asyncio.to_thread(identify, path)
            if size > self.quota_bytes:
                return None
            song = LibrarySong(
                guild_id=guild_id,
                id=song_id,
                name=clean_name(name),
                title=known.title,
                audio=known.audio,
                bytes=size,
                added_by=added_by,
                added_at=now,
                used_at=now,
                sketch=sketch,
            )
            async with self._changing:
                song = await self._keep(song, path)
                await self._make_room(guild_id)
        except OSError as error:
            log.warning("a song of server %d cannot be kept: %s", guild_id, error)
            return None
        return song

    async def _keep(self, song: LibrarySong, path: Path) -> LibrarySong:
        there = await self._rows.get(song.guild_id, song.id)
        if there is not None:
            sketch = song.sketch or there.sketch
            song = replace(there, audio=song.audio, used_at=song.used_at, sketch=sketch)
        await asyncio.to_thread(self._shelf.put, path, self._path(song))
        await self._rows.put(song)
        return song

    async def _make_room(self, guild_id: int) -> int:
        """Remove what was not used for longest until the rest fits the quota."""
        _, total = await self._rows.size_of(guild_id)
        songs = await self.all(guild_id) if total > self.quota_bytes else []
        removed = 0
        while total > self.quota_bytes:
            song = songs.pop()
            total -= song.bytes
            removed += 1
            await self._drop(song)
        return removed

    async def hand_out(self, song: LibrarySong, target: Path) -> bool:
        """Put a song's file into a job's folder and mark it as used; False when it has gone.

        Raises
        ------
        OSError
            The target cannot be written.
        """
        source = self._path(song)
        if await self._rows.mark_used(song, self._clock()):
            try:
                await asyncio.to_thread(share, source, target)
            except FileNotFoundError:
                if await asyncio.to_thread(source.exists):
                    raise  # it is the job's folder that is missing
                await self.remove(song.guild_id, song.id)
            else:
                return True
        return False

    async def remove(self, guild_id: int, song_id: str) -> LibrarySong | None:
        """Remove a song and return what it was; None when there is no such song any more."""
        async with self._changing:
            song = await self.get(guild_id, song_id)
            if song is not None:
                await self._drop(song)
        return song

    async def remove_guild(self, guild_id: int) -> int:
        """Remove all songs of a server, e.g. when the bot has left; return how many it had."""
        return len(await self._remove_all(await self.all(guild_id)))

    async def remove_of_person(self, user_id: int) -> list[LibrarySong]:
        """Remove what somebody added, in all servers, and return what it was."""
        return await self._remove_all(await self.of_person(user_id))

    async def expire(self, now: float) -> int:
        """Remove songs that were not used for too long, or whose server keeps no library.

        Parameters
        ----------
        now
            The time, in seconds since 1970.

        Returns
        -------
        int
            How many songs were removed.
        """
        removed = 0
        for guild_id in await self._rows.guilds():
            songs = await self.all(guild_id)
            if self.is_on(guild_id):
                oldest = now - DAY_S * self._policies.of(guild_id).library_days
                songs = [song for song in songs if song.used_at < oldest]
            removed += len(await self._remove_all(songs))
            async with self._changing:
                removed += await self._make_room(guild_id)
        return removed

    async def _remove_all(self, songs: Iterable[LibrarySong]) -> list[LibrarySong]:
        removed = [await self.remove(song.guild_id, song.id) for song in songs]
        return [song for song in removed if song is not None]

    async def picked_lately(self, guild_id: int) -> set[tuple[str, str]]:
        """Return the pairs of ids, vocals first, that surprised a server last."""
        return await self._rows.picked_lately(guild_id)

    async def remember_pick(self, vocals: LibrarySong, backing: LibrarySong) -> None:
        """Note that a pair was picked."""
        await self._rows.remember_pick(vocals, backing, self._clock())

    def _path(self, song: LibrarySong) -> Path:
        return self._shelf.path(song.guild_id, song.id, song.name)

    async def _drop(self, song: LibrarySong) -> None:
        await self._rows.drop(song)
        await asyncio.to_thread(self._shelf.delete, self._path(song))


def fold(text: str) -> str:
    """Return text in a form in which what people take for equal is equal."""
    return unicodedata.normalize("NFKC", text).casefold().strip()
