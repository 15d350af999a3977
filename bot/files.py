"""Attachments to files, in folders that nobody else uses."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

import aiofiles
import aiohttp

from bot.config import ConfigError
from bot.looks import Looks, looks_of
from pipeline.errors import UserError
from pipeline.names import clean_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection

    import discord

log = logging.getLogger(__name__)

Fetch: TypeAlias = "Callable[[str], AsyncIterator[bytes]]"
"""Yields what lies at a URL, piece by piece; raises `aiohttp.ClientError` or `TimeoutError`."""

MIB = 1024 * 1024
_PIECE_BYTES = 256 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_connect=10, sock_read=30)


class FileTooBigError(UserError):
    """An attachment has more bytes than the bot takes in."""


class EmptyFileError(UserError):
    """An attachment has no bytes at all."""


class NoSongFileError(UserError):
    """An attachment is clearly something else than a song."""


class DownloadError(UserError):
    """Discord did not hand an attachment over."""


def _too_big(name: str, limit_bytes: int) -> FileTooBigError:
    return FileTooBigError(
        f"{name} is larger than the {limit_bytes // MIB} MiB that this bot takes.",
        hint="Attach a shorter or more compressed file.",
    )


def http_fetch(session: aiohttp.ClientSession) -> Fetch:
    """Return a `Fetch` that reads over HTTP with time limits."""

    async def fetch(url: str) -> AsyncIterator[bytes]:
        async with session.get(url, timeout=_TIMEOUT, raise_for_status=True) as response:
            async for piece in response.content.iter_chunked(_PIECE_BYTES):
                yield piece

    return fetch


@dataclass(frozen=True, slots=True)
class AttachedSong:
    """A song that somebody attached: an `Offer`.

    Attributes
    ----------
    attachment
        What Discord says about it.
    read
        How to read a URL.
    """

    attachment: discord.Attachment
    read: Fetch

    @property
    def name(self) -> str:
        """What the user calls the file."""
        return self.attachment.filename

    def check(self, limit_bytes: int) -> None:
        """Refuse it by what Discord says about it, before a byte is fetched.

        Raises
        ------
        FileTooBigError, EmptyFileError, NoSongFileError
            Names the file and what to do.
        """
        name = clean_name(self.name)
        if looks_of(self.name, self.attachment.content_type) is Looks.OTHER:
            raise NoSongFileError(f"{name} is no song.", hint="Attach an audio file, or a video.")
        if self.attachment.size > limit_bytes:
            raise _too_big(name, limit_bytes)
        if self.attachment.size == 0:
            raise EmptyFileError(f"{name} is empty.", hint="Attach the song itself.")

    async def fetch(self, folder: Path, role: str, limit_bytes: int) -> Path:
        """Stream it to disk under a name that is safe whatever the user called it.

        More bytes than the limit are refused even if Discord announced less.

        Raises
        ------
        FileTooBigError, DownloadError
            Names the file and what to do.
        """
        name = clean_name(self.name)
        path = folder / (role + safe_suffix(self.name))
        size = 0
        try:
            async with aiofiles.open(path, "wb") as file:
                async for piece in self.read(self.attachment.url):
                    size += len(piece)
                    if size > limit_bytes:
                        raise _too_big(name, limit_bytes)
                    await file.write(piece)
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("attachment %s was not handed over: %s", self.attachment.id, error)
            raise DownloadError(
                f"Discord did not hand {name} over.", hint="Please attach it again."
            ) from error
        return path


def safe_suffix(name: str) -> str:
    """Return a file name's suffix if it is harmless, else ""."""
    suffix = Path(name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""


async def delete(folder: Path) -> None:
    """Delete a folder with all it holds; one that cannot be deleted stays until the next start."""
    # Shielded: a job that is cancelled while it cleans up must still clean up.
    await asyncio.shield(asyncio.to_thread(_delete, folder))


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:  # no reason to take a finished mash-up back
        log.warning("%s stays until the next start: %s", folder, error)


def claim(data_dir: Path) -> TextIO:
    """Make the bot's directory and keep other bots out of it for as long as the file is open.

    Raises
    ------
    ConfigError
        The directory cannot be written, or another bot uses it.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        lock = (data_dir / "lock").open("w", encoding="ascii")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError((f"DATA_DIR {data_dir} cannot be written: {reason}.",)) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(
            (f"Another bot already runs on DATA_DIR {data_dir}: stop it, or set another one.",)
        ) from error
    return lock


def delete_orphans(folder: Path, but: Collection[str] = ()) -> int:
    """Delete what an earlier run left behind when it was killed; return how many it was.

    Parameters
    ----------
    folder
        Holds one folder for each of whatever it was.
    but
        Names of those that are still needed.
    """
    found = list(folder.iterdir()) if folder.is_dir() else []
    orphans = [path for path in found if path.name not in but]
    for orphan in orphans:
        if orphan.is_dir() and not orphan.is_symlink():
            shutil.rmtree(orphan)
        else:
            orphan.unlink()
    return len(orphans)
