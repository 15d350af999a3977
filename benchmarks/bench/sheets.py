"""The figures of a run as tables, for the screen and for RESULTS.md."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks.bench.results import FIRST, OURS
from benchmarks.bench.verdicts import cached_s, floor_s, judge, median, merge_s, ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.bench.results import Cached, Merges, Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table.

    Attributes
    ----------
    title
        What it shows.
    head
        The columns.
    rows
        As many cells each as there are columns.
    note
        What must be known to read it.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def sheets_of(results: Results) -> tuple[Sheet, ...]:
    """Lay out everything that was measured; what was not has no table."""
    sheets = (
        _bars(results),
        _times(results),
        _stages(results),
        _separation(results),
        _memory(results),
        _cache(results),
        _bot(results),
        _machine(results),
    )
    return tuple(sheet for sheet in sheets if sheet.rows)


def as_markdown(results: Results) -> str:
    """Write RESULTS.md."""
    head = (
        "# Results of `make bench`\n\n"
        "All figures come from one run, the peers in alternation. "
        f"Network: {results.network}. Figures are medians; (a to b) are the smallest and the "
        "largest run. Every run is in [results.json](results.json).\n"
    )
    return "\n".join([head, *(_markdown(sheet) for sheet in sheets_of(results))])


def as_table(sheet: Sheet) -> Table:
    """Lay a sheet out for the screen."""
    table = Table(title=sheet.title, caption=sheet.note or None, title_justify="left")
    for number, column in enumerate(sheet.head):
        table.add_column(column, justify="right" if number else "left")
    for row in sheet.rows:
        table.add_row(*row)
    return table


def _markdown(sheet: Sheet) -> str:
    lines = [f"## {sheet.title}", ""]
    if sheet.note:
        lines += [sheet.note, ""]
    aligned = ("---", *("---:" for _ in sheet.head[1:]))
    lines += [_line(cells) for cells in (sheet.head, aligned, *sheet.rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _bars(results: Results) -> Sheet:
    verdict = {True: "met", False: "NOT MET", None: "not measured"}
    return Sheet(
        title="The bars",
        head=("", "bar", "measured", ""),
        rows=tuple((v.claim, v.bar, v.measured, verdict[v.met]) for v in judge(results)),
    )


def _times(results: Results) -> Sheet:
    return Sheet(
        title="A whole merge of two songs",
        head=("songs of", "by", "seconds", "runs", f"times {OURS}", "s per minute of audio"),
        rows=tuple(_time_row(row, results) for row in results.merges),
        note="From mp3 files to an mp3 file, without a cache, every process warm but those of the "
        "stock command. The stock command and the warm Separator are followed by the origin's "
        "steps in librosa (beats, one global stretch, sum), ours does all that a merge does. "
        + results.stock_audio,
    )


def _time_row(row: Merges, results: Results) -> tuple[str, ...]:
    middle = median(row.seconds)
    pace = None if middle is None else 60.0 * middle / row.length_s
    return (
        f"{row.length_s} s",
        row.peer,
        spread(row.seconds) or f"skipped: {row.skipped}",
        str(len(row.seconds)),
        shown(ratio(middle, merge_s(results, OURS, row.length_s)), "x"),
        shown(pace),
    )


def _stages(results: Results) -> Sheet:
    rows = {(row.peer, row.length_s): row.parts for row in results.merges if row.parts}
    lengths_s = sorted({length_s for _, length_s in rows})
    stages = dict.fromkeys(
        (peer, stage) for (peer, _), parts in rows.items() for part in parts for stage in part
    )
    return Sheet(
        title="Seconds by stage",
        head=("by", "stage", *(f"{length_s} s songs" for length_s in lengths_s)),
        rows=tuple(
            (
                peer,
                stage,
                *(_stage_median(rows.get((peer, length_s), ()), stage) for length_s in lengths_s),
            )
            for peer, stage in stages
        ),
        note="Stages that run side by side add up to more than the whole.",
    )


def _stage_median(parts: Sequence[dict[str, float]], stage: str) -> str:
    return shown(median([part[stage] for part in parts if stage in part]))


def _separation(results: Results) -> Sheet:
    return Sheet(
        title="Separation against the arithmetic floor",
        head=("both songs of", "in", "seconds", "GFLOP", "floor, s", "times the floor"),
        rows=tuple(
            (
                f"{row.length_s} s",
                row.precision + (" (default)" if row.default else ""),
                spread(row.seconds),
                f"{row.gflop:.0f}",
                shown(floor_s(results, row.gflop)),
                shown(ratio(median(row.seconds), floor_s(results, row.gflop)), "x"),
            )
            for row in results.separations
        ),
        note=f"The U-Nets of a patch take {results.gflop_per_patch:.1f} GFLOP. In float32 on all "
        f"cores, numpy multiplies matrices at {spread(results.matmul_gflops, 0)} GFLOP/s; each "
        "of these rates is the best of six products, and the floor is that of their median.",
    )


def _memory(results: Results) -> Sheet:
    rows = [(row, row.peak) for row in results.merges if row.peak]
    return Sheet(
        title="Peak memory",
        head=("songs of", "by", "process, MB", "with its children, MB"),
        rows=tuple(
            (
                f"{row.length_s} s",
                row.peer + ("" if row.seconds else " (dropped out)"),
                f"{peak.process_mb:.0f}",
                f"{peak.tree_mb:.0f}",
            )
            for row, peak in rows
        ),
        note="Of a fresh process that loads the network, warms up with two other songs and does "
        "its runs: the kernel's high-water mark, and the sum over the process and its children, "
        "looked at every 50 ms, in which memory that they share counts for each. MB are 10^6 "
        "bytes. Of the stock command, the larger of its two processes' figures.",
    )


def _cache(results: Results) -> Sheet:
    return Sheet(
        title="With a cache",
        head=("songs of", "file", "merge", "seconds", "times faster than the first"),
        rows=tuple(
            (
                f"{row.length_s} s",
                row.format,
                row.act,
                spread(row.seconds, 3),
                shown(ratio(_first_s(row, results), median(row.seconds)), "x"),
            )
            for row in results.cached
        ),
        note="In a warm process, one after the other; the cache is empty before every first merge.",
    )


def _first_s(row: Cached, results: Results) -> float | None:
    return cached_s(results, FIRST, row.format, row.length_s)


def _bot(results: Results) -> Sheet:
    bot = results.bot
    rows = () if bot is None else (
        ("start of the process to the first answer, s", spread(bot.answer_s)),
        ("resident memory when idle, MB", spread(bot.idle_mb, 0)),
        ("networks and signal processing loaded", ", ".join(bot.heavy) or "none"),
    )  # fmt: skip
    return Sheet(
        title="The bot's own process",
        head=("", "measured"),
        rows=rows,
        note="On a Discord on the loopback, which sends /queue as soon as the bot has connected; "
        "the workers are other processes.",
    )


def _machine(results: Results) -> Sheet:
    return Sheet(title="The machine", head=("", "measured on"), rows=tuple(results.machine.items()))


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Write the median and, of several, the smallest and the largest; "" of none."""
    if not values:
        return ""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def shown(value: float | None, unit: str = "") -> str:
    """Write a figure, or nothing where there is none."""
    return "" if value is None else f"{value:.2f}{unit}"
