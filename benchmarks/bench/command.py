"""The command line of the benchmarks: what is measured, and where the tables go."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks.bench.network import ROOT, SCRATCH
from benchmarks.bench.sheets import as_markdown, as_table, sheets_of
from benchmarks.bench.suite import PARTS, run

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from benchmarks.bench.results import Results

LENGTHS_S = (30, 180, 600)
RUNS = 5
PUBLISHED = ROOT / "benchmarks"


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
    folder = PUBLISHED if is_whole(options.only, lengths_s, runs) else SCRATCH
    write(results, folder)
    console.print(f"Written to {folder.relative_to(ROOT)}/RESULTS.md and results.json.")
    return 0


def is_whole(parts: Collection[str], lengths_s: Collection[int], runs: int) -> bool:
    """Say whether a run measures all that is published; one that does not is kept apart."""
    return set(PARTS) <= set(parts) and set(LENGTHS_S) <= set(lengths_s) and runs >= RUNS


def write(results: Results, folder: Path) -> None:
    """Write RESULTS.md and results.json."""
    results.write(folder / "results.json")
    (folder / "RESULTS.md").write_text(as_markdown(results), encoding="utf-8")


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
