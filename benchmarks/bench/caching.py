"""Merges of the same two songs again, with a cache that was empty at first."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bench.network import SCRATCH
from benchmarks.bench.ours import make_merger
from benchmarks.bench.peers import Warm
from benchmarks.bench.results import AGAIN, FIRST, GAIN, OTHER, Cached
from benchmarks.bench.tasks import MergeTask
from pipeline.recipe import Recipe

if TYPE_CHECKING:
    from benchmarks.bench.network import Network
    from benchmarks.bench.rounds import Tell
    from benchmarks.bench.songs import Songs

FORMATS = ("mp3", "wav")

# First the level of the voice alone differs, by 3 LU; then the voice is sung elsewhere, and higher
# than any key that is chosen for it.
_ACTS = (
    (FIRST, Recipe()),
    (AGAIN, Recipe()),
    (GAIN, Recipe(balance=Recipe().balance + 3.0)),
    (OTHER, Recipe(key="4", take=2)),
)


def measure_cache(
    network: Network, songs: Songs, length_s: int, runs: int, tell: Tell
) -> tuple[Cached, ...]:
    """Merge two songs, merge them again, change the balance, change more; over and over.

    Parameters
    ----------
    network
        What the separator is given.
    songs
        What is merged, and what warms up.
    length_s
        Of each song.
    runs
        How often all of it is done, each time with an empty cache.
    tell
        Told every figure.
    """
    seconds = defaultdict[tuple[str, str], list[float]](list)
    worker = Warm(partial(make_merger, network.model_dir))
    try:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            worker.do(MergeTask(pair=songs.warming, out_dir=Path(folder)))
        for _ in range(runs):
            for kind in FORMATS:
                for act, took in _acts_s(worker, songs, kind):
                    seconds[act, kind].append(took)
                    tell(f"{length_s} s songs, {kind}, {act}: {took:.3f} s")
    finally:
        worker.close()
    return tuple(
        Cached(act=act, format=kind, length_s=length_s, seconds=tuple(took))
        for (act, kind), took in seconds.items()
    )


def _acts_s(worker: Warm, songs: Songs, kind: str) -> list[tuple[str, float]]:
    found = []
    with tempfile.TemporaryDirectory(dir=SCRATCH) as cache_dir:
        for act, recipe in _ACTS:
            with tempfile.TemporaryDirectory(dir=SCRATCH) as out_dir:
                task = MergeTask(
                    pair=songs.measured,
                    out_dir=Path(out_dir),
                    recipe=recipe,
                    format=kind,
                    cache_dir=Path(cache_dir),
                )
                start = time.perf_counter()
                worker.do(task)
                found.append((act, time.perf_counter() - start))
    return found
