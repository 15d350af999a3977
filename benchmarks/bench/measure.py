"""Who takes part in the rounds, with which songs, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench.floor import matmul_gflops, patches_of
from benchmarks.bench.origin import make_separator_merger
from benchmarks.bench.ours import make_merger, make_separator
from benchmarks.bench.peers import Stock, Warm
from benchmarks.bench.results import OURS, SEPARATOR, STOCK, Merges, Separations
from benchmarks.bench.rounds import Entrant, run_rounds
from benchmarks.bench.tasks import MergeTask, SeparateTask
from pipeline.runtime import has_fast_bfloat16
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.bench.network import Network
    from benchmarks.bench.rounds import Tell
    from benchmarks.bench.songs import Pair, Songs
    from pipeline.separate.model import Precision

LONG_S = 300
"""Seconds of song beyond which the peers, who take minutes, have one run and the machine alone."""

WARMING_S = 30
"""Seconds of the songs that those warm up with whose first run is not like their second."""

# What Spleeter's Separator held for songs of 180 and of 300 s, as a line.
_SPLEETER_MB, _SPLEETER_MB_PER_S = 1_000.0, 27.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the rounds of one length gave."""

    merges: tuple[Merges, ...]
    separations: tuple[Separations, ...]
    matmul_gflops: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """The rounds with the songs of one length.

    Attributes
    ----------
    network
        What all separators are given.
    songs
        By their seconds: those of this length, and those of `WARMING_S`.
    length_s
        Of each song.
    runs
        Of this pipeline, and of the peers where the songs are not long.
    """

    network: Network
    songs: Mapping[int, Songs]
    length_s: int
    runs: int

    def measure(self, parts: frozenset[str], tell: Tell) -> Measured:
        """Let everybody do the same two songs in turns.

        Parameters
        ----------
        parts
            "merge", "peers", "separation", or several of them.
        tell
            Told every figure.
        """
        ours = [self._ours()] if "merge" in parts else []
        theirs = [self._stock(), self._separator()] if "peers" in parts else []
        separating = self._separating() if "separation" in parts else {}
        together = [*ours, *separating.values()]
        groups = [[*together, *theirs]]
        if self._is_long:  # two of Spleeter's might not fit into memory together
            groups = [together, *([peer] for peer in theirs)]
        rates: list[float] = []
        for group in filter(None, groups):
            run_rounds(
                group,
                self.songs[self.length_s].measured,
                lambda: rates.append(matmul_gflops()),
                lambda said: tell(f"{self.length_s} s songs, {said}"),
            )
        return Measured(
            merges=tuple(self._merges(entrant) for entrant in (*ours, *theirs)),
            separations=tuple(
                self._separations(entrant, *kind) for kind, entrant in separating.items()
            ),
            matmul_gflops=tuple(rates),
        )

    @property
    def _is_long(self) -> bool:
        return self.length_s > LONG_S

    def _ours(self) -> Entrant:
        return Entrant(
            name=OURS,
            start=partial(Warm, partial(make_merger, self.network.model_dir)),
            task=_merge_task,
            warming=self.songs[self.length_s].warming,
            runs=self.runs,
        )

    def _stock(self) -> Entrant:
        return Entrant(
            name=STOCK,
            start=partial(Stock, self.network),
            task=_merge_task,
            warming=self.songs[WARMING_S].warming,
            runs=1 if self._is_long else self.runs,
            needs_mb=_SPLEETER_MB + _SPLEETER_MB_PER_S * self.length_s,
        )

    def _separator(self) -> Entrant:
        return Entrant(
            name=SEPARATOR,
            start=partial(Warm, partial(make_separator_merger, self.network.config)),
            task=_merge_task,
            warming=self.songs[WARMING_S if self._is_long else self.length_s].warming,
            runs=1 if self._is_long else self.runs,
            needs_mb=_SPLEETER_MB + _SPLEETER_MB_PER_S * self.length_s,
        )

    def _separating(self) -> dict[tuple[str, bool], Entrant]:
        """Make one entrant for each precision; True marks the one that merges use."""
        exact: Precision = "float32"
        kinds: dict[tuple[str, bool], Precision] = {(exact, True): exact}
        if has_fast_bfloat16():
            kinds = {("float32 and bfloat16", True): "fast", (exact, False): exact}
        return {
            kind: Entrant(
                name=f"separation in {kind[0]}",
                start=partial(Warm, partial(make_separator, self.network.model_dir, precision)),
                task=lambda pair, folder: SeparateTask(pair=pair, out_dir=folder),
                warming=self.songs[WARMING_S].warming,
                runs=1 if self._is_long else self.runs,
            )
            for kind, precision in kinds.items()
        }

    def _merges(self, entrant: Entrant) -> Merges:
        return Merges(
            peer=entrant.name,
            length_s=self.length_s,
            seconds=tuple(entrant.seconds),
            parts=tuple(entrant.parts),
            peak=entrant.peak,
            skipped=entrant.skipped,
        )

    def _separations(self, entrant: Entrant, precision: str, default: bool) -> Separations:  # noqa: FBT001 - a row's own field
        patches = 2 * patches_of(self.length_s * SAMPLE_RATE, self.network.settings())
        return Separations(
            precision=precision,
            default=default,
            length_s=self.length_s,
            seconds=tuple(part["separate"] for part in entrant.parts),
            gflop=patches * self.network.flop_per_patch() / 1e9,
        )


def _merge_task(pair: Pair, folder: Path) -> MergeTask:
    return MergeTask(pair=pair, out_dir=folder)
