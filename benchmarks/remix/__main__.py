"""Run as ``python -m benchmarks.remix`` from the root of the repository.

A worker of the bot's kind, warm and with a full-size network, merges two songs of three minutes
with nothing in its cache, and then does what each button asks for, with the songs known by their
fingerprints alone. Pictures are drawn and files fit into what Discord takes, as for the bot. All of
it is done a few times over, each time with an empty cache; medians are said. ``--quick`` takes
songs of 30 s, once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.bench.network import SCRATCH, find_network
from benchmarks.bench.peers import Warm
from benchmarks.bench.songs import songs_of
from benchmarks.remix.buttons import BUTTONS, Button, Remixed, RemixTask, make_remixer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.bench.songs import Songs
    from pipeline.types import KnownSong

BAR = 8
"""A button is to take no more than one part in so many of the whole merge."""

FULL = "the whole merge"


def measure(worker: Warm, songs: Songs, tell: Callable[[str], None]) -> dict[str, float]:
    """Merge two songs, then press every button; returns the seconds of each.

    Parameters
    ----------
    worker
        Made by `make_remixer`; it has merged before.
    songs
        The pair that is measured.
    tell
        Told every figure.
    """
    took = dict[str, float]()
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        cache_dir = Path(folder)
        pair = (songs.measured.vocals, songs.measured.backing)
        known: tuple[KnownSong, ...] = ()
        for name, button in ((FULL, Button()), *BUTTONS.items()):
            given = (known[1], known[0]) if button.swap else (known or pair)[:2]
            start = time.perf_counter()
            done = _do(worker, (given[0], given[1]), cache_dir, button)
            took[name] = time.perf_counter() - start
            known = known or done.songs
            tell(f"{name}: {took[name]:.2f} s")
    return took


def _do(
    worker: Warm, songs: tuple[Path | KnownSong, Path | KnownSong], cache_dir: Path, button: Button
) -> Remixed:
    with tempfile.TemporaryDirectory(dir=SCRATCH) as out_dir:
        task = RemixTask(songs=songs, out_dir=Path(out_dir), cache_dir=cache_dir, button=button)
        done = worker.do(task)
    assert isinstance(done, Remixed)
    return done


def rows(seconds: dict[str, list[float]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield a row for the whole merge and for each button: name, median, range, share."""
    whole = statistics.median(seconds[FULL])
    for name, took in seconds.items():
        median = statistics.median(took)
        share = "" if name == FULL else f"1/{whole / median:.1f}"
        yield name, f"{median:.2f}", f"{min(took):.2f} to {max(took):.2f}", share


def verdict(seconds: dict[str, list[float]]) -> str:
    """Say which buttons are quick enough, and which are not."""
    whole = statistics.median(seconds[FULL])
    late = [
        name
        for name, took in seconds.items()
        if name != FULL and BAR * statistics.median(took) > whole
    ]
    count = len(seconds) - 1
    lines = [f"{count - len(late)} of {count} buttons answer within 1/{BAR} of the whole merge."]
    return " ".join([*lines, f"Not so: {', '.join(late)}."] if late else lines)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="songs of 30 s, once")
    options = parser.parse_args()
    length_s, runs = (30, 1) if options.quick else (180, options.runs)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    songs = songs_of(length_s, SCRATCH / "songs")
    network = find_network(SCRATCH)
    console = Console()
    seconds = defaultdict[str, list[float]](list)
    worker = Warm(partial(make_remixer, network.model_dir))
    try:
        with tempfile.TemporaryDirectory(dir=SCRATCH) as cache_dir:
            warming = (songs.warming.vocals, songs.warming.backing)
            _do(worker, warming, Path(cache_dir), Button())
        for run in range(runs):
            tell = partial(_tell, console, f"Run {run + 1} of {runs}, ")
            for name, took in measure(worker, songs, tell).items():
                seconds[name].append(took)
    finally:
        worker.close()
    table = Table(f"{length_s} s songs, {network.description}", "s", "range, s", "of the merge")
    for row in rows(seconds):
        table.add_row(*row)
    console.print(table)
    console.print(verdict(seconds))
    return 0


def _tell(console: Console, before: str, line: str) -> None:
    console.print(before + line, style="dim")


if __name__ == "__main__":
    sys.exit(main())
