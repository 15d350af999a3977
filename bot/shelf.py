"""The files of the servers' libraries on disk; everything here blocks, so call it in a thread.

A song is ``<folder>/<guild id>/<SHA-256><suffix>``: the same bytes are kept once in a server and
never shared between two, and no word of a user's reaches a path but a checked suffix.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
from typing import TYPE_CHECKING

from bot.files import safe_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

_ID = re.compile(r"[0-9a-f]{64}")


def is_song_id(text: str) -> bool:
    """Return whether a text can be a song's id, so that it may be looked for."""
    return _ID.fullmatch(text) is not None


def identify(path: Path) -> tuple[str, int]:
    """Return a file's id, the SHA-256 of its bytes in hexadecimal, and its size in bytes."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return digest, path.stat().st_size


class Shelf:
    """One folder for all servers, with a folder for each inside.

    Parameters
    ----------
    folder
        Where it is; made when the first song comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, guild_id: int, song_id: str, name: str) -> Path:
        """Return where a server's song lies, whether or not it is there.

        Raises
        ------
        ValueError
            This is no song's id.
        """
        if not is_song_id(song_id):
            raise ValueError(f"{song_id!r:.80} is no song's id")
        return self._folder / str(int(guild_id)) / (song_id + safe_suffix(name))

    def put(self, source: Path, target: Path) -> None:
        """Keep a file; it shares its bytes with the original where the disk can do that.

        Raises
        ------
        OSError
            The disk is full or cannot be written; nothing of the file is kept.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # nobody else's to read
        target.parent.mkdir(mode=0o700, exist_ok=True)
        share(source, target)

    def delete(self, path: Path) -> None:
        """Delete a song's file; one that cannot be deleted goes at the next start."""
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s stays until the next start: %s", path, error)

    def sweep(self, known: Mapping[Path, int]) -> list[Path]:
        """Delete all that should not be here and return what should be here but is not.

        Parameters
        ----------
        known
            Where each song's file should be, and its size in bytes. A file of another size, as
            a power cut may leave it, counts as missing.
        """
        kept: set[Path] = set()
        for path in sorted(self._folder.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                continue
            if known.get(path) == path.lstat().st_size:
                kept.add(path)
            else:
                log.info("deleted %s: no song of any library", path.name)
                self.delete(path)
        return [path for path in known if path not in kept]


def share(source: Path, target: Path) -> None:
    """Put a file in a second place, at once and as a whole; what was there before is replaced.

    Both may be the same bytes on the disk from then on, so nobody may write into either: a song
    is only read, and deleted.

    Raises
    ------
    OSError
        The source is not there, or the target cannot be written.
    """
    part = target.with_name(f"{secrets.token_hex(8)}.part")
    try:
        try:
            os.link(source, part)
        except OSError:  # another disk, or one that knows no links: copying says what is wrong
            shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)  # replacing a link by a link to the same bytes leaves both
