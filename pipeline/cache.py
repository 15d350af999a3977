"""Stems, analyses and finished files that were made before, kept on disk and found by content.

Several worker processes share one folder without waiting for each other, and any of them may be
killed at any moment: an entry appears and disappears by the renaming of a folder, and what is
still being written belongs to whoever holds a lock on it, which dies with its process.

What is kept says nothing about people: a key is a hash, an entry holds audio and what its maker
found out about it, and there is no way to ask for it but to have the same audio. Only the time
that a merge takes tells whether somebody merged the same song before.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import stat
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.entries import Draft, Entry, read_entry, size_of
from pipeline.facts import to_facts
from pipeline.tapes import in_memory
from pipeline.versions import code_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.tapes import Blank
    from pipeline.types import Signal

log = logging.getLogger(__name__)

T = TypeVar("T")


def make_key(kind: str, *parts: object) -> str:
    """Return the name under which a result is kept.

    Parameters
    ----------
    kind
        What it is, e.g. "stems".
    parts
        All that it was made from and with: fingerprints, options, the engine; whatever
        `pipeline.facts.to_facts` takes. The version of the code is always part of it.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    facts = json.dumps([kind, code_version(), to_facts(parts)], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()


class Cache:
    """A folder of results, of which the least recently used go when there are too many.

    A cache that does not work fails no merge: it finds nothing, keeps nothing, and says so once
    in the log.

    Parameters
    ----------
    folder
        Where it lies; made if need be. What is kept in it can be read by this user alone.
    max_bytes
        How large all entries together may be. What is still being written comes on top.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._folder = folder
        self._entries = folder / "entries"
        self._coming = folder / "coming"
        self._warned = False
        try:
            self._prepare()
            self._make_room()
        except OSError as error:
            self.warn(error)

    def load(self, key: str, kind: type[T]) -> Entry[T] | None:
        """Find what was kept, and mark it as used.

        The facts are checked by a hash, files by their size and a checksum, signals by their size
        and one page in sixteen: that finds what a loss of power leaves behind, not every wrong
        bit. A damaged entry is removed.

        Parameters
        ----------
        key
            As given by `make_key`.
        kind
            The type of the facts, as for `pipeline.facts.from_facts`.
        """
        path = self._entries / key
        try:
            self._prepare()
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        except OSError as error:
            self.warn(error)
            return None
        try:
            os.utime(descriptor)
            return read_entry(descriptor, kind)
        except (ValueError, FileNotFoundError):
            self._discard(path)
        except OSError as error:
            self.warn(error)
        finally:
            os.close(descriptor)
        return None

    @contextmanager
    def pending(self, key: str, spare: Blank = in_memory) -> Iterator[Pending]:
        """Make a result where it will be kept; without `Pending.commit` nothing is.

        Of two who keep the same at once, the second one's is dropped.

        Parameters
        ----------
        key
            As given by `make_key`.
        spare
            Makes the signals where the cache cannot, e.g. on a full disk.
        """
        try:
            self._prepare()
            folder, lock = _claim(self._coming)
        except OSError as error:
            self.warn(error)
            yield Pending(self, key, spare, None)
            return
        try:
            yield Pending(self, key, spare, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # a finished entry is elsewhere by now
            os.close(lock)

    def keep(self, folder: Path, size: int, key: str) -> None:
        """Turn a finished folder into an entry, and make room for it; for `Pending` alone."""
        if size > self._max_bytes:
            return
        try:
            folder.rename(self._entries / key)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:  # somebody else was first
                raise
        self._make_room()

    def warn(self, error: OSError) -> None:
        """Say that the cache does not work, once."""
        if not self._warned:
            self._warned = True
            log.warning("The cache in %s does not work: %s", self._folder, error)

    def _prepare(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self._entries, self._coming):
            folder.mkdir(mode=0o700, exist_ok=True)
            status = folder.lstat()
            mine = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if not mine or status.st_mode & 0o077:
                raise PermissionError(errno.EACCES, "others have access to it", str(folder))

    def _make_room(self) -> None:
        """Delete what killed processes left, and the least recently used entries."""
        for path in self._coming.iterdir():
            _sweep(path)
        found: list[tuple[int, int, Path]] = []
        for path in self._entries.iterdir():
            with suppress(FileNotFoundError, NotADirectoryError):  # somebody deletes it, or a stray
                found.append((path.stat().st_mtime_ns, size_of(path), path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._max_bytes:
                return
            self._discard(path)
            total -= size

    def _discard(self, path: Path) -> None:
        """Delete an entry; nobody ever sees a part of it."""
        gone = self._coming / f"gone-{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):  # somebody else was first
            path.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


class Pending:
    """A result that is being made; see `Cache.pending`.

    Its signals stay valid after the commit, and without one.
    """

    def __init__(self, cache: Cache, key: str, spare: Blank, folder: Path | None) -> None:
        self._cache = cache
        self._key = key
        self._spare = spare
        self._folder = folder
        self._draft = Draft(folder) if folder else None

    def blank(self, length: int) -> Signal:
        """Make a silent signal, float32, shape (2, length), in a file of the coming entry."""
        if self._draft:
            try:
                return self._draft.blank(length)
            except OSError as error:
                self._give_up(error)
        return self._spare(length)

    def add_file(self, name: str, path: Path) -> None:
        """Keep a copy of a finished file with the entry."""
        if self._draft:
            try:
                self._draft.add_file(name, path)
            except OSError as error:
                self._give_up(error)

    def commit(self, facts: object, signals: Mapping[str, Signal] | None = None) -> None:
        """Keep the result from now on.

        Parameters
        ----------
        facts
            What was found out; whatever `pipeline.facts.to_facts` takes. Never who asked for it,
            nor names and titles.
        signals
            What to keep under which name. What `blank` made, or its beginning, stays where it
            is, anything else is copied. None of them can be written from now on.
        """
        signals = signals or {}
        if self._draft and self._folder:
            try:
                for name, signal in signals.items():
                    self._draft.add_signal(name, signal)
                self._cache.keep(self._folder, self._draft.finish(facts), self._key)
            except OSError as error:
                self._cache.warn(error)
            self._draft = None
        for signal in signals.values():
            signal.flags.writeable = False

    def _give_up(self, error: OSError) -> None:
        self._cache.warn(error)
        self._draft = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _claim(parent: Path) -> tuple[Path, int]:
    """Make a folder of one's own: it is left alone until its descriptor is closed."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=parent))
        descriptor = _lock(folder)
        if descriptor is not None:
            return folder, descriptor


def _sweep(folder: Path) -> None:
    """Delete a folder in which nobody works any more."""
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
        # It may have been deleted between the two, or moved to where entries are.
        locked = os.path.samestat(os.fstat(descriptor), folder.stat())
    except (BlockingIOError, FileNotFoundError):
        return None
    finally:
        if not locked:
            os.close(descriptor)
    return descriptor if locked else None
