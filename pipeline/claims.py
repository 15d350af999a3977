"""Folders that belong to one process as long as it lives."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path


def claim(parent: Path) -> tuple[Path, int]:
    """Make a folder of one's own.

    Returns
    -------
    tuple
        The folder, and a descriptor: until that is closed, `sweep` leaves the folder alone.

    Raises
    ------
    OSError
        There cannot be one.
    """
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent))
        descriptor = _lock(folder)
        if descriptor is not None:  # else it was swept before it was locked
            return folder, descriptor


def sweep(folder: Path) -> None:
    """Delete a folder if nobody works in it any more."""
    descriptor = _lock(folder)
    if descriptor is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Open a folder for oneself alone; None if it is somebody else's, or gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    locked = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It may have been deleted between the two, or moved.
        locked = os.path.samestat(os.fstat(descriptor), folder.stat())
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        if not locked:
            os.close(descriptor)
    return descriptor if locked else None
