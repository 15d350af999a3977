"""How much memory processes hold, as the kernel says it."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Self

from benchmarks.bench.results import Peak

if TYPE_CHECKING:
    from types import TracebackType

_PERIOD_S = 0.05
# A child that is about to become another program still shows its parent's memory as its own.
_LOOKS_UNTIL_GROWN_UP = 5
_PROC = Path("/proc")
_LAST_TO_LIVE = "1000"


class PeakWatch:
    """Watches a process and its children until it is closed.

    Parameters
    ----------
    pid
        The main process; it may end before the watch does.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._process_kb = self._tree_kb = 0
        self._looks = Counter[int]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def peak(self) -> Peak:
        """The most so far."""
        return Peak(process_mb=megabytes(self._process_kb), tree_mb=megabytes(self._tree_kb))

    def _watch(self) -> None:
        while True:
            self._look()
            if self._over.wait(_PERIOD_S):
                self._look()
                return

    def _look(self) -> None:
        self._process_kb = max(self._process_kb, held_kb(self._pid, "VmHWM"))
        children = family_of(self._pid)[1:]
        self._looks = Counter({child: self._looks[child] + 1 for child in children})
        family = [pid for pid, looks in self._looks.items() if looks >= _LOOKS_UNTIL_GROWN_UP]
        held = sum(held_kb(pid, "VmRSS") for pid in (self._pid, *family))
        self._tree_kb = max(self._tree_kb, held)


def held_kb(pid: int, what: str) -> int:
    """Return a figure of a process's status in KiB; 0 when the process is gone.

    Parameters
    ----------
    pid
        The process.
    what
        A name of proc(5), e.g. VmRSS.
    """
    try:
        status = (_PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return kilobytes_in(status, what)


def kilobytes_in(text: str, what: str) -> int:
    """Find a figure in KiB in a table of proc(5); 0 when it is not there, as for a zombie."""
    lines = (line.split() for line in text.splitlines())
    return next((int(words[1]) for words in lines if words and words[0] == f"{what}:"), 0)


def family_of(pid: int) -> list[int]:
    """Return a process and all that it started, and that these started."""
    family, at = [pid], 0
    while at < len(family):
        try:
            tasks = list((_PROC / str(family[at]) / "task").iterdir())
            texts = [(task / "children").read_text() for task in tasks]
        except (FileNotFoundError, ProcessLookupError):
            texts = []
        family += [int(child) for text in texts for child in text.split()]
        at += 1
    return family


def free_mb() -> float:
    """Return how much memory new work could take without swapping, in MB."""
    return megabytes(kilobytes_in((_PROC / "meminfo").read_text(), "MemAvailable"))


def megabytes(kilobytes: int) -> float:
    """Turn KiB, which the kernel counts in, into MB of 10^6 bytes."""
    return kilobytes * 1024 / 1e6


def give_way(pid: int) -> None:
    """Let the kernel end this process first, should memory run out."""
    (_PROC / str(pid) / "oom_score_adj").write_text(_LAST_TO_LIVE)
