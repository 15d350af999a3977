"""What is measured of merges: who takes part, with which songs, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmarks.bench.floor import matmul_gflops, patches_of
from benchmarks.bench.origin import make_separator_merger
from benchmarks.bench.ours import make_merger, make_separator
from benchmarks.bench.peers import Stock, Warm
from benchmarks.bench.results import OURS, SEPARATOR, STOCK, Merges, Separations
from benchmarks.bench.rounds import Entrant, run_rounds
from benchmarks.bench.tasks import MergeTask, SeparateTask
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.bench.network import Network
    from benchmarks.bench.rounds import Tell
    from benchmarks.bench.songs import Pair, Songs

LONG_S = 300
"""Seconds of song beyond which the peers, who take minutes, have one run."""

# What Spleeter's Separator held for songs of 180 and of 300 s, as a line.
_SPLEETER_MB, _SPLEETER_MB_PER_S = 1_000.0, 27.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the rounds of one length gave."""

    merges: tuple[Merges, ...]
    separations: tuple[Separations, ...]
    matmul_gflops: tuple[float, ...]


def measure(
    network: Network,
    songs: Songs,
    *,
    length_s: int,
    runs: int,
    parts: frozenset[str],
    tell: Tell,
) -> Measured:
    """Let everybody do the songs of one length in turns.

    Parameters
    ----------
    network
        What all separators are given.
    songs
        What is merged, and what warms up.
    length_s
        Of each song.
    runs
        Of this pipeline, and of the peers where the songs are not long.
    parts
        "merge", "peers", "separation", or several of them.
    tell
        Told every figure.
    """
    few = 1 if length_s > LONG_S else runs
    merging = _merging(network, length_s, runs, few) if "merge" in parts else {}
    if "peers" not in parts:
        merging = {name: entrant for name, entrant in merging.items() if name == OURS}
    separating = _separating(network, few) if "separation" in parts else {}
    rates: list[float] = []
    run_rounds(
        [*merging.values(), *separating.values()],
        songs,
        lambda: rates.append(matmul_gflops()),
        lambda said: tell(f"{length_s} s songs, {said}"),
    )
    both_patches = 2 * patches_of(length_s * SAMPLE_RATE, network.settings())
    gflop = both_patches * network.flop_per_patch() / 1e9
    return Measured(
        merges=tuple(_merges(name, length_s, entrant) for name, entrant in merging.items()),
        separations=tuple(
            Separations(
                precision=precision,
                default=default,
                length_s=length_s,
                seconds=tuple(part["separate"] for part in entrant.parts),
                gflop=gflop,
            )
            for (precision, default), entrant in separating.items()
        ),
        matmul_gflops=tuple(rates),
    )


def _merging(network: Network, length_s: int, runs: int, few: int) -> dict[str, Entrant]:
    needs_mb = _SPLEETER_MB + _SPLEETER_MB_PER_S * length_s
    starts: Mapping[str, Any] = {
        OURS: partial(Warm, partial(make_merger, network.model_dir)),
        STOCK: partial(Stock, network),
        SEPARATOR: partial(Warm, partial(make_separator_merger, network.config)),
    }
    return {
        name: Entrant(
            name=name,
            start=start,
            task=_merge_task,
            runs=runs if name == OURS else few,
            needs_mb=0.0 if name == OURS else needs_mb,
        )
        for name, start in starts.items()
    }


def _merge_task(pair: Pair, folder: Path) -> MergeTask:
    return MergeTask(pair=pair, out_dir=folder)


def _separating(network: Network, runs: int) -> dict[tuple[str, bool], Entrant]:
    """Make one entrant for each precision; True marks the one that merges use."""
    return {
        ("float32", True): Entrant(
            name="separation in float32",
            start=partial(Warm, partial(make_separator, network.model_dir)),
            task=lambda pair, _: SeparateTask(pair=pair),
            runs=runs,
        )
    }


def _merges(name: str, length_s: int, entrant: Entrant) -> Merges:
    return Merges(
        peer=name,
        length_s=length_s,
        seconds=tuple(entrant.seconds),
        parts=tuple(entrant.parts),
        peak=entrant.peak,
        skipped=entrant.skipped,
    )
