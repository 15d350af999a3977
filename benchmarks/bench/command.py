"""The command line of the benchmarks: what is measured, and where the tables go."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.bench.machine import describe
from benchmarks.bench.network import ROOT, find_network
from benchmarks.bench.peers import has_ffmpeg
from benchmarks.bench.results import Results
from benchmarks.bench.sheets import as_markdown, as_table, sheets_of
from benchmarks.bench.songs import songs_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.bench.rounds import Tell

PARTS = ("merge", "peers", "separation", "cache", "bot")
LENGTHS_S = (30, 180, 600)
RUNS = 5
SCRATCH = ROOT / "build" / "bench"
PUBLISHED = ROOT / "benchmarks"

_WITH_FFMPEG = "The stock command reads and writes through ffmpeg, as it comes."
_WITHOUT_FFMPEG = (
    "Where there is no ffprobe, as here, the stock command reads and writes through libsndfile, "
    "which is the faster way."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the tables and write them."""
    options = _parser().parse_args(arguments)
    lengths_s = options.lengths or ((30,) if options.quick else LENGTHS_S)
    runs = options.runs or (2 if options.quick else RUNS)
    console = Console()
    results = run(
        parts=frozenset(options.only),
        lengths_s=lengths_s,
        runs=runs,
        tell=lambda said: console.print(said, style="dim", highlight=False),
    )
    for sheet in sheets_of(results):
        console.print(as_table(sheet))
    # A run that leaves something out says nothing about all the bars.
    whole = set(PARTS) <= set(options.only) and set(LENGTHS_S) <= set(lengths_s)
    folder = PUBLISHED if whole and runs >= RUNS else SCRATCH
    write(results, folder)
    console.print(f"Written to {folder.relative_to(ROOT)}/RESULTS.md and results.json.")
    return 0


def run(*, parts: frozenset[str], lengths_s: Sequence[int], runs: int, tell: Tell) -> Results:
    """Measure what is asked for; what there is so far is kept after every step.

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
    # After the command line has been read: --help need not wait for numpy.
    from benchmarks.bench.bot_start import measure_bot  # noqa: PLC0415
    from benchmarks.bench.measure import measure  # noqa: PLC0415

    results = Results(
        machine=describe(), stock_audio=_WITH_FFMPEG if has_ffmpeg() else _WITHOUT_FFMPEG
    )
    SCRATCH.mkdir(parents=True, exist_ok=True)
    if "bot" in parts:
        results = _kept(replace(results, bot=measure_bot(runs, tell)))
    if not parts & {"merge", "separation", "cache"}:
        return results
    tell("making the network and the songs, where they are not there yet")
    network = find_network(SCRATCH)
    results = replace(
        results, network=network.description, gflop_per_patch=network.flop_per_patch() / 1e9
    )
    songs = {length_s: songs_of(length_s, SCRATCH / "songs") for length_s in lengths_s}
    if parts & {"merge", "separation"}:
        for length_s in lengths_s:
            found = measure(
                network, songs[length_s], length_s=length_s, runs=runs, parts=parts, tell=tell
            )
            results = _kept(
                replace(
                    results,
                    merges=(*results.merges, *found.merges),
                    separations=(*results.separations, *found.separations),
                    matmul_gflops=(*results.matmul_gflops, *found.matmul_gflops),
                )
            )
    return results


def write(results: Results, folder: Path) -> None:
    """Write RESULTS.md and results.json."""
    results.write(folder / "results.json")
    (folder / "RESULTS.md").write_text(as_markdown(results), encoding="utf-8")


def _kept(results: Results) -> Results:
    results.write(SCRATCH / "so-far.json")
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench",
        description="Measure this pipeline against Spleeter and librosa, and against the "
        "arithmetic. A whole run writes benchmarks/RESULTS.md and results.json; one that leaves "
        "something out writes them into build/bench.",
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="which parts (default: all)"
    )
    parser.add_argument(
        "--lengths",
        nargs="+",
        type=int,
        metavar="SECONDS",
        help="how long the songs are (default: 30 180 600)",
    )
    parser.add_argument("--runs", type=int, help=f"how often (default: {RUNS})")
    parser.add_argument("--quick", action="store_true", help="2 runs with songs of 30 s")
    return parser
