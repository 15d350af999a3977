"""A disk that fills up and has room again, as files beside the bot's folder say."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot import room
from bot.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable

FULL, NEARLY_FULL = Path("disk-is-full"), Path("disk-is-nearly-full")
"""Beside `data`: while one of them is there, the disk is so."""

_JOBS = f"{os.sep}jobs{os.sep}"
_CREATES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def fill_files(flag: Path) -> None:
    """Let this process make no file and no folder in the folders of jobs while the flag is there.

    The workers of a full disk fail in the same way, under the kernel's own error.
    """

    def look(event: str, args: tuple[Any, ...]) -> None:
        makes = event == "os.mkdir" or (event == "open" and _writes(args))
        if makes and _JOBS in str(args[0]) and flag.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[0]))

    sys.addaudithook(look)


def is_there(flag: Path) -> bool:
    """Return whether the disk is as the flag says."""
    return flag.exists()


def _writes(args: tuple[Any, ...]) -> bool:
    _, mode, flags = args
    return any(letter in mode for letter in "wax+") if mode else bool(flags & _CREATES)


def fill_records() -> None:
    """Let the database take no change while the disk is full."""
    change, free = Store._change, room.free_bytes
    full = _out_of_pages()

    async def fill(self: Store, sql: str, parameters: Iterable[Any]) -> int:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")) and is_there(FULL):
            raise full
        return await change(self, sql, parameters)

    Store._change = fill  # type: ignore[method-assign]  # that is the test
    room.free_bytes = lambda folder: 0 if NEARLY_FULL.exists() else free(folder)


def _out_of_pages() -> sqlite3.OperationalError:
    """Return what SQLite itself raises when it may not grow any more."""
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA max_page_count = 1")
    try:
        database.execute("CREATE TABLE x (y)")
    except sqlite3.OperationalError as error:
        return error
    finally:
        database.close()
    raise AssertionError("SQLite has grown beyond its last page")
