"""Room on the disk: looked for before a song is taken in, and what is said where it has run out."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

from pipeline.errors import StageError, UserError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class NoRoomError(UserError):
    """The disk of this bot is full, or nearly so."""


def free_bytes(folder: Path) -> int:
    """Return how much may still be written to the disk that holds a folder."""
    return shutil.disk_usage(folder).free


async def check_room(folder: Path, floor_bytes: int) -> None:
    """Refuse new songs where there is less room than the merges at work may need.

    Parameters
    ----------
    folder
        Where they would go.
    floor_bytes
        What has to be free; 0 takes songs for as long as they can be written.

    Raises
    ------
    NoRoomError
        Less is free.
    """
    if not floor_bytes:
        return
    free = await asyncio.to_thread(free_bytes, folder)
    if free < floor_bytes:
        log.error("the disk has %d MB left: no new songs are taken in", free // 10**6)
        raise NoRoomError(
            "This bot's disk is nearly full, so it takes no new songs at the moment.",
            hint="Please try again later; whoever runs the bot has to make room.",
        )


def no_room(error: BaseException) -> NoRoomError | None:
    """Return what to say of an error that comes of a full disk, or None for any other."""
    if not _is_of_a_full_disk(error):
        return None
    return NoRoomError(
        "This bot's disk is full, so your songs could not be worked on.",
        hint="Please try again later; whoever runs the bot has to make room.",
    )


def _is_of_a_full_disk(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    # A worker's errors come back without what they were raised from; the system's words are there.
    return isinstance(error, StageError) and os.strerror(errno.ENOSPC) in error.cause
