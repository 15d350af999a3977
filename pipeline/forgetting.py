"""Everything in the cache that was made from certain songs, found again and deleted.

Each entry has a list of the songs that it was made from, by their fingerprints, written before
anything else of it; so what is still being made is known too. This module is light: the bot's own
process calls it, in a thread, while its workers use the same cache.
"""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.claims import sweep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

log = logging.getLogger(__name__)

ENTRIES, COMING = "entries", "coming"
"""The folders of a cache: for what is finished, and for what is being made or deleted."""

_SONGS = "songs.json"
_PAGE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much there is.

    Attributes
    ----------
    entries
        Number of entries.
    bytes
        What they take up on the disk.
    """

    entries: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Usage):
    """What was deleted: see `Usage`."""


def forget(cache_folder: Path, audio: Collection[str]) -> Forgotten:
    """Delete every entry that was made from any of these songs.

    An entry that names no songs, as an older form of the cache left them, may be made from
    anything: it is deleted too, whatever songs are asked for. Each entry disappears whole, by
    being renamed; a merge that reads it goes on with what it has. What a merge is just making
    from one of the songs is taken away from it: the merge goes on and keeps nothing. Files are
    deleted, not overwritten: who can read the raw disk may find them until others take their
    place.

    The merges of whoever wants to be forgotten should have ended: one that goes on makes entries
    anew, as would one of somebody else who has the same recording. `find` tells.

    Parameters
    ----------
    cache_folder
        As given to `pipeline.cache.Cache`; it need not be there.
    audio
        Fingerprints of the songs, see `pipeline.fingerprint`; nothing happens if there are none.

    Returns
    -------
    Forgotten
        What this call deleted. What it could not delete is in the log, and `find` counts it.
    """
    return _delete(_made_from(cache_folder, audio), cache_folder / COMING)


def find(cache_folder: Path, audio: Collection[str]) -> int:
    """Count what `forget` would delete, and what is left of it where it failed."""
    return sum(1 for _ in _made_from(cache_folder, audio))


def forget_unknown(
    cache_folder: Path, known: Collection[str], used_before: float = math.inf
) -> Forgotten:
    """Delete every finished entry that was made from a song which is not among these.

    A merge that failed leaves entries of which nobody remembers whose songs they were made from:
    whoever knows which songs are still somebody's finds them so. What killed processes left
    unfinished goes as well.

    Parameters
    ----------
    cache_folder
        As given to `pipeline.cache.Cache`; it need not be there.
    known
        Fingerprints of the songs whose entries stay.
    used_before
        Entries that were made or used since then stay, in seconds since 1970: merges that are
        in the works may need them.

    Returns
    -------
    Forgotten
        What this call deleted. What it could not delete is in the log.
    """
    for path in _folders(cache_folder / COMING):
        sweep(path)
    return _delete(_not_made_from(cache_folder, known, used_before), cache_folder / COMING)


def find_unknown(cache_folder: Path, known: Collection[str], used_before: float = math.inf) -> int:
    """Count what `forget_unknown` would delete, and what is left of it where it failed."""
    return sum(1 for _ in _not_made_from(cache_folder, known, used_before))


def forget_unused(cache_folder: Path, used_before: float) -> Forgotten:
    """Delete every finished entry that nobody has made or used since then.

    Parameters
    ----------
    cache_folder
        As given to `pipeline.cache.Cache`; it need not be there.
    used_before
        In seconds since 1970.

    Returns
    -------
    Forgotten
        What this call deleted. What it could not delete is in the log.
    """
    return _delete(_not_used_since(cache_folder, used_before), cache_folder / COMING)


def usage(cache_folder: Path) -> Usage:
    """Measure the finished entries; 0 where there is no cache."""
    sizes = []
    for path in _folders(cache_folder / ENTRIES):
        with suppress(FileNotFoundError):  # somebody deletes it
            sizes.append(size_of(path))
    return Usage(entries=len(sizes), bytes=sum(sizes))


def name_songs(folder: Path, audio: Collection[str]) -> None:
    """Say in the folder of a new entry which songs it is made from.

    Raises
    ------
    OSError
        It cannot be written.
    """
    path = folder / _SONGS
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(sorted(set(audio)), file)


def discard(path: Path, coming: Path) -> None:
    """Delete an entry; nobody ever sees a part of it.

    Raises
    ------
    FileNotFoundError
        Somebody else was first.
    OSError
        It cannot be moved, and is still there.
    """
    gone = coming / f"gone-{secrets.token_hex(8)}"
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def size_of(folder: Path) -> int:
    """Return how many bytes an entry takes up, its folder included."""
    sizes = (item.stat().st_size for item in folder.iterdir())
    return _PAGE + sum(-(-size // _PAGE) * _PAGE for size in sizes)


def _delete(paths: Iterable[Path], coming: Path) -> Forgotten:
    entries = size = 0
    for path in paths:
        try:
            coming.mkdir(mode=0o700, exist_ok=True)
            its_size = size_of(path)
            discard(path, coming)
        except FileNotFoundError:  # somebody else deleted it, or it is a finished entry by now
            continue
        except OSError as error:
            log.warning("%s cannot be deleted: %s", path, error)
            continue
        entries += 1
        size += its_size
    return Forgotten(entries=entries, bytes=size)


def _made_from(cache_folder: Path, audio: Collection[str]) -> Iterator[Path]:
    """Yield the entries that are, or may be, made from any of the songs.

    What is coming is looked at first: an entry that is finished meanwhile is then found in its
    place.
    """
    if not audio:
        return
    for name in (COMING, ENTRIES):
        for path in _folders(cache_folder / name):
            songs = _songs_of(path)
            if not songs or not songs.isdisjoint(audio):
                yield path


def _not_made_from(
    cache_folder: Path, known: Collection[str], used_before: float
) -> Iterator[Path]:
    """Yield the finished entries that are, or may be, made from another song than these."""
    for path in _not_used_since(cache_folder, used_before):
        songs = _songs_of(path)
        # Somebody may have deleted it meanwhile.
        if not (songs and songs.issubset(known)) and path.exists():
            yield path


def _not_used_since(cache_folder: Path, used_before: float) -> Iterator[Path]:
    for path in _folders(cache_folder / ENTRIES):
        with suppress(FileNotFoundError):  # somebody deletes it
            if path.stat().st_mtime < used_before:
                yield path


def _folders(parent: Path) -> list[Path]:
    try:
        with os.scandir(parent) as items:
            return [Path(item) for item in items if item.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _songs_of(folder: Path) -> set[str]:
    """Return the songs that an entry names; none where the list is missing or damaged."""
    try:
        songs = json.loads((folder / _SONGS).read_bytes())
    except (FileNotFoundError, ValueError):
        return set()
    return {str(song) for song in songs} if isinstance(songs, list) else set()
