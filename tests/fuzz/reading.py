"""Reads files in a process of their own, which may crash, hang or swell without any harm."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from tests.fuzz.ways import WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from tests.fuzz.ways import Way, Ways

_ADDRESS_SPACE = 4 << 30  # a file that wants more is noticed, and the machine goes on
_LONGEST_SENTENCE = 300
_PEAK_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of one file.

    Attributes
    ----------
    said
        The refusals, or "music", of each way to read it; or one of "crashed", "hung" and
        "raised", with what is known of it.
    cpu_s
        Processor time that it took, in seconds.
    memory_mb
        The most memory that the process had meanwhile beyond what it began with, in MB.
    """

    said: tuple[str, ...]
    cpu_s: float = 0.0
    memory_mb: float = 0.0

    @property
    def is_fine(self) -> bool:
        """Whether it was music, or refused in a sentence."""
        return not self.said[0].startswith(("crashed", "hung", "raised"))


class Reader:
    """One process that reads, replaced when it is lost.

    Parameters
    ----------
    remarks
        File for all that the process writes to its standard output and error.
    deadline_s
        Seconds that a file may take.
    ways
        How a file is read.
    """

    def __init__(self, remarks: Path, deadline_s: float, ways: Ways = WAYS) -> None:
        self._remarks = remarks
        self._ways = ways
        self._deadline_s = deadline_s
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._remarks, self._ways), daemon=True
        )
        self._process.start()
        theirs.close()
        self._pipe.recv()  # all is loaded

    def read(self, path: Path) -> Reading:
        """Read a file in every way that the bot does."""
        self._pipe.send(path)
        if not self._pipe.poll(self._deadline_s):
            self.stop()
            self._start()
            return Reading(said=(f"hung: over {self._deadline_s:g} s",))
        try:
            found = self._pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._start()
            return Reading(said=(f"crashed: exit code {code}",))
        assert isinstance(found, Reading)
        return found

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


@contextmanager
def reader(remarks: Path, deadline_s: float, ways: Ways = WAYS) -> Iterator[Reader]:
    """Keep a reader for a while."""
    found = Reader(remarks, deadline_s, ways)
    try:
        yield found
    finally:
        found.stop()


def _serve(pipe: Connection, remarks: Path, ways: Ways) -> None:
    for number in (1, 2):
        os.dup2(os.open(remarks, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    before_mb = _peak_mb()
    pipe.send("ready")
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        _PEAK_RESET.write_text("5")  # see proc(5)
        start_s = time.process_time()
        said = tuple(_answer(way, path) for way in ways)
        said = tuple(word for word in said if word.startswith("raised")) or said
        cpu_s = time.process_time() - start_s
        pipe.send(Reading(said=said, cpu_s=cpu_s, memory_mb=_peak_mb() - before_mb))


def _answer(way: Way, path: Path) -> str:
    try:
        way(path)
    except UserError as refusal:
        sentence = str(refusal)
        if "\n" in sentence or not sentence.endswith(".") or len(sentence) > _LONGEST_SENTENCE:
            return f"raised: not one plain sentence: {sentence!r}"
        return sentence
    except Exception as error:  # noqa: BLE001 - finding any is what this is for
        return f"raised: {type(error).__name__}: {error}"
    return "music"


def _peak_mb() -> float:
    # Not getrusage: its peak is that of the process which started this one, if that was larger.
    found = re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text())
    assert found is not None
    return int(found[1]) / 1024
