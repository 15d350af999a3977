"""Attachments to files in a directory of their own, which never outlives its job."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeAlias

import aiofiles
import aiohttp

from bot.config import ConfigError
from pipeline.errors import UserError
from pipeline.names import clean_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

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


class DownloadError(UserError):
    """Discord did not hand an attachment over."""


def check_attachment(attachment: discord.Attachment, limit_bytes: int) -> None:
    """Refuse an attachment by what Discord says about it, before a byte is fetched.

    Raises
    ------
    FileTooBigError, EmptyFileError
        Names the file and what to do.
    """
    name = clean_name(attachment.filename)
    if attachment.size > limit_bytes:
        raise _too_big(name, limit_bytes)
    if attachment.size == 0:
        raise EmptyFileError(f"{name} is empty.", hint="Attach the song itself.")


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


async def download(
    attachment: discord.Attachment, folder: Path, role: str, fetch: Fetch, limit_bytes: int
) -> Path:
    """Stream an attachment to disk under a name that is safe whatever the user called it.

    Parameters
    ----------
    attachment
        What the user attached.
    folder, role
        Where to put it and what to call it, e.g. "vocals"; the suffix stays.
    fetch
        How to read a URL.
    limit_bytes
        More than this is refused even if Discord announced less.

    Raises
    ------
    FileTooBigError, DownloadError
        Names the file and what to do.
    """
    name = clean_name(attachment.filename)
    suffix = Path(attachment.filename).suffix.lower()
    path = folder / (role + (suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""))
    size = 0
    try:
        async with aiofiles.open(path, "wb") as file:
            async for piece in fetch(attachment.url):
                size += len(piece)
                if size > limit_bytes:
                    raise _too_big(name, limit_bytes)
                await file.write(piece)
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("attachment %s was not handed over: %s", attachment.id, error)
        raise DownloadError(
            f"Discord did not hand {name} over.", hint="Please attach it again."
        ) from error
    return path


@asynccontextmanager
async def job_directory(jobs_dir: Path, job_id: str) -> AsyncIterator[Path]:
    """Make a directory for a job and delete it with all it holds, however the block ends."""
    folder = jobs_dir / job_id
    await asyncio.to_thread(folder.mkdir, parents=True)
    try:
        yield folder
    finally:
        # Shielded: a job that is cancelled while it cleans up must still clean up.
        await asyncio.shield(asyncio.to_thread(_delete, folder))


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
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


def delete_orphans(jobs_dir: Path) -> int:
    """Delete what an earlier run left behind when it was killed; return how many jobs it was."""
    orphans = list(jobs_dir.iterdir()) if jobs_dir.is_dir() else []
    for orphan in orphans:
        shutil.rmtree(orphan)
    return len(orphans)
