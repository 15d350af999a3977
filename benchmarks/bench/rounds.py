"""The rounds of a run: in each, everybody does the same two songs once, one after the other."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.bench.memory import free_mb
from benchmarks.bench.network import SCRATCH
from benchmarks.bench.peers import PeerFailedError
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench.peers import Peer
    from benchmarks.bench.results import Peak
    from benchmarks.bench.songs import Pair

Tell: TypeAlias = "Callable[[str], None]"
"""Is told what has just been measured."""


@dataclass(slots=True, kw_only=True)
class Entrant:
    """One who takes part in the rounds of one length, and what it took.

    Attributes
    ----------
    name
        As people are told.
    start
        Starts its processes.
    task
        Makes its task of two songs and an empty folder.
    warming
        Two songs that do not count, which it does first.
    runs
        In how many rounds it takes part.
    needs_mb
        Memory without which it is left out.
    seconds
        Of each run, as seen from outside.
    parts
        Of each run, as its processes said.
    peak
        Its most memory, once the rounds are over.
    skipped
        Why it was left out, or dropped out.
    """

    name: str
    start: Callable[[], Peer]
    task: Callable[[Pair, Path], Any]
    warming: Pair
    runs: int
    needs_mb: float = 0.0
    seconds: list[float] = field(default_factory=list)
    parts: list[dict[str, float]] = field(default_factory=list)
    peak: Peak | None = None
    skipped: str = ""
    _peer: Peer | None = None

    def warm_up(self, undo: ExitStack) -> None:
        """Start it, and end it with the rounds."""
        free = free_mb()
        if free < self.needs_mb:
            self.skipped = (
                f"needs about {self.needs_mb / 1e3:.0f} GB of memory, {free / 1e3:.0f} GB are free"
            )
            return
        self._peer = self.start()
        undo.callback(self._stop)
        self._do(self.warming)

    def take_turn(self, pair: Pair) -> None:
        """Do the two songs that count."""
        done = self._do(pair)
        if done is not None:
            self.seconds.append(done[0])
            self.parts.append(done[1])

    def _do(self, pair: Pair) -> tuple[float, dict[str, float]] | None:
        if self._peer is None or self.skipped:
            return None
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            task = self.task(pair, Path(folder))
            start = time.perf_counter()
            try:
                answer = self._peer.do(task)
            except (PeerFailedError, PipelineError) as error:
                self.skipped = str(error)
                return None
            return time.perf_counter() - start, answer.parts

    def _stop(self) -> None:
        if self._peer is not None:
            self.peak = self._peer.peak
            self._peer.close()


def run_rounds(
    entrants: Sequence[Entrant], pair: Pair, between: Callable[[], None], tell: Tell
) -> None:
    """Let all take turns until each has had its runs.

    Parameters
    ----------
    entrants
        Those who take part; their figures are in them afterwards.
    pair
        The two songs that count.
    between
        Called once in every round.
    tell
        Told every figure.
    """
    with ExitStack() as undo:
        for entrant in entrants:
            entrant.warm_up(undo)
            tell(f"{entrant.name}: {entrant.skipped or 'warm'}")
        n_rounds = max(entrant.runs for entrant in entrants)
        for number in range(n_rounds):
            between()
            for entrant in entrants:
                if number < entrant.runs and not entrant.skipped:
                    entrant.take_turn(pair)
                    said = entrant.skipped or f"{entrant.seconds[-1]:.2f} s"
                    tell(f"round {number + 1} of {n_rounds}, {entrant.name}: {said}")
