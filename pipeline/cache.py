"""Stems, analyses and finished files that were made before, kept on disk and found by content.

Several worker processes share one folder without waiting for each other, and any of them may be
killed at any moment: an entry appears and disappears by the renaming of a folder, and what is
still being written belongs to whoever holds a lock on it, which dies with its process.

What is kept says nothing about people: a key is a hash, an entry holds audio, what its maker
found out about it and the fingerprints of its songs, by which `pipeline.forgetting` deletes it,
and there is no way to ask for it but to have the same audio. Where an entry speaks of songs by
their titles, these are part of its key: nobody learns what another calls them. Only the time that
a merge takes tells whether somebody merged the same song before.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pipeline.claims import claim, sweep
from pipeline.entries import Draft, Entry, read_entry
from pipeline.facts import to_facts
from pipeline.forgetting import COMING, ENTRIES, discard, name_songs, size_of
from pipeline.tapes import in_memory
from pipeline.versions import code_version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pipeline.tapes import Blank
    from pipeline.types import Signal

log = logging.getLogger(__name__)

T = TypeVar("T")

LEFT_FREE = 1 << 30
"""Bytes of the disk that the cache leaves to others, who need them to merge at all."""


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
        Where it lies; made if need be. What is kept in it can be read by this user alone. None
        is a cache that keeps nothing.
    max_bytes
        How large all entries together may be; less where the disk has no more than `LEFT_FREE`
        left. What is still being written comes on top.
    """

    def __init__(self, folder: Path | None, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._absent = folder is None
        self._folder = folder or Path(os.devnull)
        self._entries = self._folder / ENTRIES
        self._coming = self._folder / COMING
        self._warned = False
        if self._absent:
            return
        code_version()  # of the code that runs, not of what an upgrade puts in its place later
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
        if self._absent:
            return None
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
    def pending(
        self, key: str, spare: Blank = in_memory, *, of: Collection[str] = ()
    ) -> Iterator[Pending]:
        """Make a result where it will be kept; without `Pending.commit` nothing is.

        Of two who keep the same at once, the second one's is dropped.

        Parameters
        ----------
        key
            As given by `make_key`.
        spare
            Makes the signals where the cache cannot, e.g. on a full disk.
        of
            Fingerprints of all songs that the result is made from. Without any it is deleted
            with whatever song is forgotten.
        """
        if self._absent:
            yield Pending(self, key, spare, None)
            return
        try:
            self._prepare()
            folder, lock = claim(self._coming)
        except OSError as error:
            self.warn(error)
            yield Pending(self, key, spare, None)
            return
        try:
            yield Pending(self, key, spare, folder, of)
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # a finished entry is elsewhere by now
            os.close(lock)

    def keep(self, folder: Path, size: int, key: str) -> None:
        """Turn a finished folder into an entry, and make room for it; called by `Pending`."""
        if size > self._max_bytes:
            return
        try:
            folder.rename(self._entries / key)
        except OSError as error:
            if error.errno not in {errno.EEXIST, errno.ENOTEMPTY}:  # somebody else was first
                raise
        self._make_room()

    def give_way(self, error: OSError) -> None:
        """Leave the disk to the merge itself, after a failed write; called by `Pending`."""
        self.warn(error)
        with suppress(OSError):  # which has just been told
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
            sweep(path)
        found: list[tuple[int, int, Path]] = []
        for path in self._entries.iterdir():
            with suppress(FileNotFoundError, NotADirectoryError):  # somebody deletes it, or a stray
                found.append((path.stat().st_mtime_ns, size_of(path), path))
        total = sum(size for _, size, _ in found)
        room = total + shutil.disk_usage(self._folder).free - LEFT_FREE
        for _, size, path in sorted(found):
            if total <= min(self._max_bytes, room):
                return
            self._discard(path)
            total -= size

    def _discard(self, path: Path) -> None:
        """Delete an entry; nobody ever sees a part of it."""
        with suppress(FileNotFoundError):  # somebody else was first
            discard(path, self._coming)


class Pending:
    """A result that is being made; see `Cache.pending`.

    Its signals stay valid after the commit, and without one.
    """

    def __init__(
        self,
        cache: Cache,
        key: str,
        spare: Blank,
        folder: Path | None,
        of: Collection[str] = (),
    ) -> None:
        self._cache = cache
        self._key = key
        self._spare = spare
        self._folder = folder
        self._draft = Draft(folder) if folder else None
        if folder and of:
            try:
                name_songs(folder, of)
            except OSError as error:
                self._give_up(error)

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
            and titles only where the key holds them.
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
                self._give_up(error)
            self._draft = None
        for signal in signals.values():
            signal.flags.writeable = False

    def _give_up(self, error: OSError) -> None:
        self._draft = None
        if self._folder:
            if not self._folder.exists():  # one of its songs was forgotten meanwhile
                return
            shutil.rmtree(self._folder, ignore_errors=True)
        self._cache.give_way(error)
