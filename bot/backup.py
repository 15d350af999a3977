"""A copy of the database, also of one that a running bot writes to: ``python -m bot backup``."""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RESTORE = (
    "stop the bot, move {name}, {name}-wal and {name}-shm away, copy a backup that "
    "python -m bot backup has made to {name}, and start the bot again"
)
"""What to do with a damaged database, by its file's name."""


class BackupError(Exception):
    """There is no backup; the message says why."""


def back_up(database: Path, target: Path) -> int:
    """Copy a database as it is at one moment; the bot may go on writing meanwhile.

    Parameters
    ----------
    database
        The bot's file.
    target
        Where the copy goes; only this user can read it.

    Returns
    -------
    int
        The size of the copy in bytes.

    Raises
    ------
    BackupError
        Nothing was copied: there is no database, it is damaged, the target is there already, or
        it cannot be written. No part of a copy is left.
    """
    if not database.is_file():
        raise BackupError(f"There is no database {database} yet: nothing to back up.")
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        _copy(database, part)
        os.link(part, target)  # unlike renaming, this never replaces anything
    except FileExistsError as error:
        raise BackupError(f"{target} is there already: name another file.") from error
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror or error}.") from error
    except sqlite3.Error as error:
        steps = RESTORE.format(name=database.name)
        raise BackupError(
            f"The database {database} cannot be copied ({error}). If it is damaged: {steps}."
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return target.stat().st_size


def _copy(database: Path, part: Path) -> None:
    with (
        closing(sqlite3.connect(database.absolute().as_uri() + "?mode=rw", uri=True)) as source,
        closing(sqlite3.connect(part)) as copy,
    ):
        source.backup(copy)  # in one step: the state of one moment, which no writer waits for
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        [(verdict,), *_] = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
