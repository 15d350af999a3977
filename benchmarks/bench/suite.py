"""A run from its start to its end; what there is so far is kept after every step."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.bench.bot_start import measure_bot
from benchmarks.bench.caching import measure_cache
from benchmarks.bench.machine import describe
from benchmarks.bench.measure import WARMING_S, Rounds
from benchmarks.bench.network import SCRATCH, find_network
from benchmarks.bench.peers import has_ffmpeg
from benchmarks.bench.results import Results
from benchmarks.bench.songs import songs_of
from benchmarks.bench.verdicts import SHORT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench.measure import Measured
    from benchmarks.bench.rounds import Tell

PARTS = ("merge", "peers", "separation", "cache", "bot")
"""What can be measured; "merge" is this pipeline alone."""

_WITH_FFMPEG = "The stock command reads and writes through ffmpeg, as it comes."
_WITHOUT_FFMPEG = (
    "Where there is no ffprobe, as here, the stock command reads and writes through libsndfile, "
    "which is the faster way."
)


def run(*, parts: frozenset[str], lengths_s: Sequence[int], runs: int, tell: Tell) -> Results:
    """Measure what is asked for.

    Parameters
    ----------
    parts
        Of `PARTS`.
    lengths_s
        Of the songs, in seconds.
    runs
        Of everything but the peers' long songs.
    tell
        Told every figure.
    """
    results = Results(
        machine=describe(), stock_audio=_WITH_FFMPEG if has_ffmpeg() else _WITHOUT_FFMPEG
    )
    SCRATCH.mkdir(parents=True, exist_ok=True)
    if "bot" in parts:
        results = _kept(replace(results, bot=measure_bot(runs, tell)))
    if parts == {"bot"}:
        return results
    tell("making the network and the songs, where they are not there yet")
    network = find_network(SCRATCH)
    results = replace(
        results, network=network.description, gflop_per_patch=network.flop_per_patch() / 1e9
    )
    songs = {
        length_s: songs_of(length_s, SCRATCH / "songs") for length_s in {WARMING_S, *lengths_s}
    }
    for length_s in lengths_s if parts - {"bot", "cache"} else ():
        rounds = Rounds(network=network, songs=songs, length_s=length_s, runs=runs)
        results = _kept(_joined(results, rounds.measure(parts, tell)))
    if "cache" in parts:
        length_s = SHORT_S if SHORT_S in lengths_s else max(lengths_s)
        cached = measure_cache(network, songs[length_s], length_s, runs, tell)
        results = _kept(replace(results, cached=cached))
    return results


def _joined(results: Results, found: Measured) -> Results:
    return replace(
        results,
        merges=(*results.merges, *found.merges),
        separations=(*results.separations, *found.separations),
        matmul_gflops=(*results.matmul_gflops, *found.matmul_gflops),
    )


def _kept(results: Results) -> Results:
    results.write(SCRATCH / "so-far.json")
    return results
