"""Songs of a server's library as what a merge takes: picked from a list, or typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.files import MIB, FileTooBigError, safe_suffix
from bot.library import fold
from bot.shelf import is_song_id
from pipeline.errors import UserError
from pipeline.names import clean_text

if TYPE_CHECKING:
    from pathlib import Path

    from bot.library import Library
    from bot.song_table import LibrarySong
    from pipeline.types import KnownSong

_SHOWN = 3
"""Titles that are named when several could be meant."""


class SongGoneError(UserError):
    """A song has left the library."""


class SongUnclearError(UserError):
    """What was typed names no song of the library, or several."""


def gone(what: str) -> SongGoneError:
    """Return the refusal of a song that is not there any more."""
    return SongGoneError(
        f"{what} is no longer in this server's library.",
        hint="Choose another song, or attach it again.",
    )


class LibraryOffer:
    """A library's song as one of the two songs of a merge: a `bot.orders.Offer`.

    Parameters
    ----------
    library
        Where it is kept.
    song
        Which one it is.
    """

    def __init__(self, library: Library, song: LibrarySong) -> None:
        self._library = library
        self.song = song
        self.name = song.name

    @property
    def known(self) -> KnownSong:
        """The song as the pipeline knows it."""
        return self.song.known

    def check(self, limit_bytes: int) -> None:
        """Refuse a song by what is known about it, before a byte is moved.

        Raises
        ------
        LibraryOffError, FileTooBigError
            Says what to do.
        """
        self._library.require(self.song.guild_id)
        if self.song.bytes > limit_bytes:
            raise FileTooBigError(
                f"{self.name} is larger than the {limit_bytes // MIB} MiB that are taken here.",
                hint="Choose another song.",
            )

    async def fetch(self, folder: Path, role: str, limit_bytes: int) -> Path:
        """Put the song into a job's folder under its role's name, and return where.

        Raises
        ------
        LibraryOffError, FileTooBigError, SongGoneError
            Says what to do.
        """
        self.check(limit_bytes)
        target = folder / (role + safe_suffix(self.name))
        if not await self._library.hand_out(self.song, target):
            raise gone(self.song.title)
        return target


async def offer_from_library(library: Library, guild_id: int | None, value: str) -> LibraryOffer:
    """Return the song that a person picked from the list, or whose title they typed.

    Parameters
    ----------
    library
        All libraries.
    guild_id
        The server; None outside.
    value
        A song's id, or its title, its name or a part of them that no other song has.

    Raises
    ------
    LibraryOffError, SongGoneError, SongUnclearError
        Says what to do.
    """
    guild_id = library.require(guild_id)
    if is_song_id(value):
        picked = await library.get(guild_id, value)
        if picked is None:
            raise gone("This song")
        return LibraryOffer(library, picked)
    return LibraryOffer(library, _the_one(value, await library.all(guild_id)))


def _the_one(text: str, songs: list[LibrarySong]) -> LibrarySong:
    """Return the song that a text means: by its whole title or name, else by a part."""
    wanted = fold(text)
    names = [(song, (fold(song.title), fold(song.name))) for song in songs]
    whole = [song for song, known in names if wanted in known]
    parts = [song for song, known in names if wanted and any(wanted in name for name in known)]
    found = whole or parts
    if len(found) == 1:
        return found[0]
    shown = clean_text(text) or "That"
    if not found:
        hint = "Pick one from the list that opens as you type, or attach the song."
        raise SongUnclearError(f"{shown} is no song of this server's library.", hint=hint)
    titles = [song.title for song in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    raise SongUnclearError(
        f"{shown} could be {len(found)} songs of this server's library: {', '.join(titles)}{more}.",
        hint="Pick one from the list that opens as you type.",
    )
