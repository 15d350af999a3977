"""One entry of the cache: a folder of raw signals and files, and a table of what they are.

The table is written last, with a hash of itself. A signal is a file of float32 in native order,
one channel after the other, so that it is read by mapping it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import mmap
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pipeline.facts import from_facts, to_facts
from pipeline.forgetting import size_of
from pipeline.tapes import in_memory, mapped, release, stretches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.types import Signal

T = TypeVar("T")

_TABLE = "facts.json"
_PAGE = 4096
_SIGNAL_STEP = 16 * _PAGE  # of a signal one page in so many bytes is checked
_FILE_STEP = _PAGE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry(Generic[T]):
    """What was found; it stays usable when the cache lets go of it.

    Attributes
    ----------
    facts
        What its maker found out.
    signals
        float32, shape (2, n), mapped from the disk; they cannot be written.
    files
        Contents of finished files; to be copied.
    """

    facts: T
    signals: Mapping[str, Signal]
    files: Mapping[str, mmap.mmap | bytes]

    def copy(self, name: str, target: Path) -> None:
        """Write one of the files to a place where it is the caller's own.

        Raises
        ------
        OSError
            The target cannot be written.
        KeyError
            The entry has no such file.
        """
        content = self.files[name]
        target.write_bytes(content)
        if isinstance(content, mmap.mmap):
            content.madvise(mmap.MADV_DONTNEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    file: str
    bytes: int
    checksum: int


class Draft:
    """An entry that is being made.

    Parameters
    ----------
    folder
        An empty folder of the maker's own. All methods raise OSError where it cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._made: dict[int, tuple[str, Signal]] = {}  # by where they lie in memory
        self._signals: dict[str, _Item] = {}
        self._files: dict[str, _Item] = {}

    def blank(self, length: int) -> Signal:
        """Make a silent signal in a file of the entry: float32, shape (2, length)."""
        if not length:
            return in_memory(0)
        file = self._next()
        descriptor = self._create(file)
        try:
            # Without room a write into the mapping would kill the process.
            os.posix_fallocate(descriptor, 0, 8 * length)
            signal = mapped(descriptor, length)
        finally:
            os.close(descriptor)
        self._made[_address(signal)] = file, signal
        return signal

    def add_signal(self, name: str, signal: Signal) -> None:
        """Keep a signal: where it lies if it begins one that `blank` made, else as a copy."""
        kept = signal
        if not signal.flags.c_contiguous or _address(signal) not in self._made:
            kept = self.blank(signal.shape[-1])
            for part, (stretch,) in stretches(signal):
                kept[:, part] = stretch
                release(kept)
        file, made = self._made.pop(_address(kept), ("", kept))  # not there if it is empty
        made.flags.writeable = False
        self._signals[name] = self._item(file, signal.nbytes, _SIGNAL_STEP)

    def add_file(self, name: str, source: Path) -> None:
        """Keep a copy of a finished file."""
        content = source.read_bytes()
        file = self._next()
        descriptor = self._create(file)
        with os.fdopen(descriptor, "wb") as target:
            target.write(content)
        self._files[name] = self._item(file, len(content), _FILE_STEP)

    def finish(self, facts: object) -> int:
        """Write the table, delete what nobody wants to keep, and return the size in bytes."""
        entry = {"facts": facts, "signals": self._signals, "files": self._files}
        text = json.dumps(to_facts(entry))
        for file, _ in self._made.values():
            (self._folder / file).unlink()
        self._made.clear()
        with os.fdopen(self._create(_TABLE), "w", encoding="ascii") as target:
            json.dump({"sha256": _hash(text), "entry": text}, target)
        return size_of(self._folder)

    def _next(self) -> str:
        return f"{next(self._numbers)}.raw"

    def _create(self, file: str) -> int:
        return os.open(self._folder / file, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)

    def _item(self, file: str, size: int, step: int) -> _Item:
        if not size:
            return _Item(file="", bytes=0, checksum=0)
        descriptor = os.open(self._folder / file, os.O_RDWR)
        try:
            os.ftruncate(descriptor, size)
            return _Item(file=file, bytes=size, checksum=_checksum(descriptor, size, step))
        finally:
            os.close(descriptor)


def read_entry(folder: int, kind: type[T]) -> Entry[T]:
    """Read a finished entry.

    Parameters
    ----------
    folder
        Its folder, as an open descriptor: it may be renamed meanwhile.
    kind
        The type of its facts.

    Raises
    ------
    ValueError
        It is damaged.
    FileNotFoundError
        A part is missing.
    """
    with os.fdopen(os.open(_TABLE, os.O_RDONLY, dir_fd=folder), encoding="ascii") as file:
        table = from_facts(dict[str, str], json.load(file))
    text = table.get("entry", "")
    if table.get("sha256") != _hash(text):
        raise ValueError("the table is damaged")
    entry = json.loads(text)
    signals = from_facts(dict[str, _Item], entry["signals"])
    files = from_facts(dict[str, _Item], entry["files"])
    return Entry(
        facts=from_facts(kind, entry["facts"]),
        signals={name: _signal(folder, item) for name, item in signals.items()},
        files={name: _file(folder, item) for name, item in files.items()},
    )


def _signal(folder: int, item: _Item) -> Signal:
    if not item.bytes:
        return in_memory(0)
    descriptor = _checked(folder, item, _SIGNAL_STEP)
    try:
        return mapped(descriptor, item.bytes // 8, writable=False)
    finally:
        os.close(descriptor)


def _file(folder: int, item: _Item) -> mmap.mmap | bytes:
    if not item.bytes:
        return b""
    descriptor = _checked(folder, item, _FILE_STEP)
    try:
        return mmap.mmap(descriptor, item.bytes, access=mmap.ACCESS_READ)
    finally:
        os.close(descriptor)


def _checked(folder: int, item: _Item, step: int) -> int:
    descriptor = os.open(item.file, os.O_RDONLY, dir_fd=folder)
    sound = os.fstat(descriptor).st_size == item.bytes
    if not sound or _checksum(descriptor, item.bytes, step) != item.checksum:
        os.close(descriptor)
        raise ValueError(f"{item.file} is damaged")
    return descriptor


def _checksum(descriptor: int, size: int, step: int) -> int:
    checksum = 0
    for at in range(0, size, step):
        checksum = zlib.crc32(os.pread(descriptor, min(_PAGE, size - at), at), checksum)
    return checksum


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _address(signal: Signal) -> int:
    interface: dict[str, Any] = signal.__array_interface__
    return int(interface["data"][0])
