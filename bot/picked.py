"""A song that waits for a second one, as a value and as a song of a merge."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from bot.files import MIB, FileTooBigError, safe_suffix
from pipeline.errors import UserError
from pipeline.names import clean_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bot.orders import Offer

Role: TypeAlias = Literal["vocals", "backing"]


class PickGoneError(UserError):
    """The song has been waiting for too long, or something has taken its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A song that waits.

    Attributes
    ----------
    id
        A random number in hexadecimal.
    user_id, guild_id
        Who picked it and in which server; None outside of servers.
    role
        What it is to give to the mash-up.
    name
        What the user called the file.
    file
        Where it is.
    picked_at
        When, in seconds since 1970.
    """

    id: str
    user_id: int
    guild_id: int | None
    role: Role
    name: str
    file: Path
    picked_at: float


@dataclass(frozen=True, slots=True)
class PickedOffer:
    """A pick as a song of a merge: an `Offer`. It stays a pick until it is dropped."""

    pick: Pick

    @property
    def name(self) -> str:
        """What the user calls the file."""
        return self.pick.name

    def check(self, limit_bytes: int) -> None:
        """Refuse it where it has gone, or where less than this has come to be allowed.

        Raises
        ------
        PickGoneError, FileTooBigError
            Names the file and what to do.
        """
        try:
            size = self.pick.file.stat().st_size
        except FileNotFoundError as error:
            raise _gone(self.pick) from error
        if size > limit_bytes:
            raise FileTooBigError(
                f"{clean_name(self.name)} is larger than the {limit_bytes // MIB} MiB that are "
                "allowed here.",
                hint="Pick a shorter or more compressed file.",
            )

    async def fetch(self, folder: Path, role: str, limit_bytes: int) -> Path:
        """Copy it into a job's folder.

        Raises
        ------
        PickGoneError, FileTooBigError
            Names the file and what to do.
        """
        self.check(limit_bytes)
        target = folder / (role + safe_suffix(self.name))
        try:
            await asyncio.to_thread(shutil.copyfile, self.pick.file, target)
        except FileNotFoundError as error:
            raise _gone(self.pick) from error
        return target


def _gone(pick: Pick) -> PickGoneError:
    return PickGoneError(f"{clean_name(pick.name)} is not waiting any more.", hint="Pick it again.")


class Together:
    """Lets a pick wait until both songs are in the job's folder: a start that fails costs none.

    Parameters
    ----------
    pick
        The song that waits.
    drop
        Ends its waiting, by its id.
    """

    def __init__(self, pick: Pick, drop: Callable[[str], Awaitable[object]]) -> None:
        self._pick = pick
        self._drop = drop
        self._missing = 2

    def with_(self, song: Offer) -> _Half:
        """Return one of the two songs, which tells when it is there."""
        return _Half(song, self)

    async def one_is_there(self) -> None:
        """Count a song, and drop the pick with the second."""
        self._missing -= 1
        if not self._missing:
            await self._drop(self._pick.id)


class _Half:
    """One of the two songs: an `Offer`."""

    def __init__(self, song: Offer, together: Together) -> None:
        self._song = song
        self._together = together

    @property
    def name(self) -> str:
        return self._song.name

    def check(self, limit_bytes: int) -> None:
        self._song.check(limit_bytes)

    async def fetch(self, folder: Path, role: str, limit_bytes: int) -> Path:
        path = await self._song.fetch(folder, role, limit_bytes)
        await self._together.one_is_there()
        return path
