"""Signals as long as songs, in memory only where somebody works on them.

A signal on disk is an array like any other, mapped from a file that has no name any more: nothing
is left behind, however a merge ends. What was read or written stays in memory until `release`, so
that a stage which goes through its signals with `stretches` needs the same memory for any length.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipeline.types import Signal

BLOCK = 20 * SAMPLE_RATE
"""Samples that a stage works on at a time, 20 s: 7 MB of stereo."""

Blank: TypeAlias = "Callable[[int], Signal]"
"""Makes a silent signal of so many samples: float32, shape (2, n)."""


class Sound(Protocol):
    """What reads like a signal of shape (2, n), stretch by stretch: an array, or what makes one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and samples."""

    def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
        """Return the samples of a stretch, ``sound[:, start:stop]``."""


def in_memory(length: int) -> Signal:
    """Make a silent signal of so many samples in memory: float32, shape (2, length)."""
    return np.zeros((2, length), dtype=np.float32)


def on_disk(folder: Path) -> Blank:
    """Return what makes silent signals on the disk that a folder is on.

    Their space is given back when the last array that shows them is gone.

    Raises
    ------
    OSError
        By what is returned: there is no room.
    """

    def blank(length: int) -> Signal:
        if not length:
            return in_memory(0)
        with tempfile.TemporaryFile(dir=folder) as file:
            # Without room a write into the mapping would kill the process.
            os.posix_fallocate(file.fileno(), 0, 8 * length)
            return mapped(file.fileno(), length)

    return blank


def mapped(descriptor: int, length: int, *, writable: bool = True) -> Signal:
    """Show an open file as a signal: one channel after the other, float32 in native order.

    Parameters
    ----------
    descriptor
        The file, of at least ``8 * length`` bytes; it may be closed afterwards.
    length
        Samples of each channel, at least 1.
    writable
        Whether what is assigned to the array goes into the file.
    """
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    memory = _Tape(descriptor, 8 * length, access=access)
    memory.descriptor = os.dup(descriptor)
    return np.frombuffer(memory, dtype=np.float32).reshape(2, length)


class _Tape(mmap.mmap):
    """A mapped file that stays open, so that another process can be shown it."""

    descriptor = -1

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


def file_of(signal: Signal) -> int | None:
    """Return the open file that a signal is mapped from, as `mapped` takes it.

    It is open for as long as the signal lives; None for a signal in memory or a part of one.
    """
    tape = _memory_of(signal)
    whole = signal.flags.c_contiguous and signal.dtype == np.float32
    if isinstance(tape, _Tape) and whole and signal.nbytes == len(tape):
        return tape.descriptor
    return None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moved:
    """A signal from one of its samples on, silent where it has nothing; reads like a signal.

    Attributes
    ----------
    sound
        float32, shape (2, n).
    start
        Which of its samples is the first; may lie before them all.
    length
        How many samples there are from there on.
    """

    sound: Signal
    start: int
    length: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and samples."""
        return self.sound.shape[0], self.length

    def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
        """Return the samples of a stretch, ``moved[:, start:stop]``; they are not to be changed."""
        first, last, _ = key[1].indices(self.length)
        first, last = self.start + first, self.start + max(first, last)
        if first >= 0 and last <= self.sound.shape[1]:
            return self.sound[key[0], first:last]
        return cut(self.sound, first, last)[key[0]]


def moved(sound: Sound) -> Moved:
    """Show a sound from its own start on."""
    if isinstance(sound, Moved):
        return sound
    return Moved(sound=sound[:, :], start=0, length=sound.shape[1])


def head(sound: Sound, length: int) -> Sound:
    """Show the first so many samples of a signal of shape (2, n)."""
    if isinstance(sound, Moved):
        return replace(sound, length=min(length, sound.length))
    return sound[:, :length]


def release(*signals: Sound) -> None:
    """Let go of the memory that signals on disk take up; those in memory stay as they are.

    Whatever was written is kept, and is read again where it is needed.
    """
    for signal in signals:
        owner = _memory_of(signal)
        if isinstance(owner, mmap.mmap):
            owner.madvise(mmap.MADV_DONTNEED)


def _memory_of(signal: Sound) -> object:
    """Return what holds the samples of an array or of a part of one."""
    owner: object = signal.sound if isinstance(signal, Moved) else signal
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return owner.obj if isinstance(owner, memoryview) else owner


def cut(signal: Sound, start: int, stop: int) -> Signal:
    """Copy samples [start, stop) of a signal of shape (2, n), silent outside of it."""
    out = np.zeros((signal.shape[0], stop - start), dtype=np.float32)
    inside = signal[:, max(start, 0) : max(stop, 0)]
    offset = max(-start, 0)
    out[:, offset : offset + inside.shape[-1]] = inside
    return out


def stretches(
    *signals: Sound, size: int = BLOCK, margin: int = 0
) -> Iterator[tuple[slice, tuple[Signal, ...]]]:
    """Go through signals of one length side by side, a stretch at a time.

    Parameters
    ----------
    signals
        Each of shape (2, n).
    size
        Samples in a stretch; the last may be shorter.
    margin
        How many more to copy on either side; silence beyond the ends.

    Yields
    ------
    tuple
        Where the stretch lies without its margins, and its copies from all signals, of shape
        (2, margin + stretch + margin). The signals are released before the next.
    """
    length = signals[0].shape[-1]
    for start in range(0, length, size):
        stop = min(start + size, length)
        copies = tuple(cut(signal, start - margin, stop + margin) for signal in signals)
        release(*signals)
        yield slice(start, stop), copies


def blocks(sound: Sound, size: int = SAMPLE_RATE) -> Iterator[Signal]:
    """Read a sound in blocks of so many samples, a second by default; the last may be shorter."""
    for start in range(0, sound.shape[1], size):
        yield sound[:, start : start + size]
        release(sound)
