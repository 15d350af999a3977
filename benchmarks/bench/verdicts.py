"""The bars that the project has set itself, against what was measured."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench.results import AGAIN, FIRST, GAIN, OURS, SEPARATOR, STOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.bench.results import Results

SHORT_S, LONG_S = 180, 600
"""Seconds of each of the two songs that the bars speak of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One bar.

    Attributes
    ----------
    claim
        What is compared.
    bar
        What it must reach.
    measured
        What it reached; "" where it was not measured.
    met
        Whether it did; None where it was not measured.
    """

    claim: str
    bar: str
    measured: str = ""
    met: bool | None = None


def median(values: Sequence[float]) -> float | None:
    """Return the median, or None of nothing."""
    return statistics.median(values) if values else None


def ratio(above: float | None, below: float | None) -> float | None:
    """Return above / below; None where either is not known, or nothing can be divided by."""
    return above / below if above is not None and below else None


def judge(results: Results) -> tuple[Verdict, ...]:
    """Compare a run with all bars."""
    return (
        *_speed(results),
        *_separation(results),
        *_memory(results),
        *_cache(results),
        *_bot(results),
    )


def merge_s(results: Results, peer: str, length_s: int) -> float | None:
    """Return a peer's median seconds for two songs."""
    rows = (m for m in results.merges if m.peer == peer and m.length_s == length_s)
    return next((median(row.seconds) for row in rows), None)


def peak_mb(results: Results, peer: str, length_s: int) -> float | None:
    """Return the most memory that a peer held, by the larger of its two figures."""
    rows = (m for m in results.merges if m.peer == peer and m.length_s == length_s)
    return next((row.peak.worse_mb for row in rows if row.peak and row.seconds), None)


def floor_s(results: Results, gflop: float) -> float | None:
    """Return how long so many operations take at the median of the rates that were measured."""
    return ratio(gflop, median(results.matmul_gflops))


def cached_s(results: Results, act: str, kind: str, length_s: int) -> float | None:
    """Return the median seconds of an act, e.g. of the second merge, in one format."""
    wanted = (act, kind, length_s)
    rows = (row for row in results.cached if (row.act, row.format, row.length_s) == wanted)
    return next((median(row.seconds) for row in rows), None)


def _speed(results: Results) -> list[Verdict]:
    ours = merge_s(results, OURS, SHORT_S)
    at_least = ((STOCK, 6.0), (SEPARATOR, 3.0))
    pace = ratio(ratio(merge_s(results, OURS, LONG_S), LONG_S), ratio(ours, SHORT_S))
    return [
        *(
            _at_least(
                f"merge of two {SHORT_S} s songs: {peer} / {OURS}",
                ratio(merge_s(results, peer, SHORT_S), ours),
                bar,
            )
            for peer, bar in at_least
        ),
        _at_most(f"time per minute of audio: {LONG_S} s / {SHORT_S} s", pace, 1.1, "x", 2),
    ]


def _separation(results: Results) -> list[Verdict]:
    rows = [row for row in results.separations if row.length_s == SHORT_S]
    if not rows:
        return [_at_most(f"separation of two {SHORT_S} s songs / the floor", None, 2.0, "x", 2)]
    return [
        _at_most(
            f"separation of two {SHORT_S} s songs / the floor, in {row.precision}"
            + (" (what merges use)" if row.default else ""),
            ratio(median(row.seconds), floor_s(results, row.gflop)),
            2.0,
            "x",
            2,
        )
        for row in rows
    ]


def _memory(results: Results) -> list[Verdict]:
    short, long = (peak_mb(results, OURS, length_s) for length_s in (SHORT_S, LONG_S))
    return [
        _at_most(f"peak memory of a worker at {SHORT_S} s", short, 1500.0, " MB", 0),
        _at_most(f"its peak at {LONG_S} s / at {SHORT_S} s", ratio(long, short), 1.15, "x", 2),
    ]


def _cache(results: Results) -> list[Verdict]:
    formats = list(dict.fromkeys(row.format for row in results.cached)) or ["mp3"]
    bars = ((AGAIN, 15.0), (GAIN, 30.0))
    return [
        _at_least(
            f"two {SHORT_S} s songs to {kind}: {FIRST} / {act}",
            ratio(*(cached_s(results, each, kind, SHORT_S) for each in (FIRST, act))),
            bar,
        )
        for kind in formats
        for act, bar in bars
    ]


def _bot(results: Results) -> list[Verdict]:
    bot = results.bot
    loaded = Verdict(claim="networks and signal processing in the bot's process", bar="none")
    if bot:
        loaded = Verdict(
            claim=loaded.claim,
            bar=loaded.bar,
            measured=", ".join(bot.heavy) or "none",
            met=not bot.heavy,
        )
    return [
        _at_most("idle bot process", median(bot.idle_mb) if bot else None, 120.0, " MB", 0),
        loaded,
        _at_most("first command answered", median(bot.answer_s) if bot else None, 2.0, " s", 2),
    ]


def _at_least(claim: str, value: float | None, bar: float) -> Verdict:
    return _verdict(claim, value, f">= {bar:g}x", "x", 2, met=value is not None and value >= bar)


def _at_most(claim: str, value: float | None, bar: float, unit: str, digits: int) -> Verdict:
    met = value is not None and value <= bar
    return _verdict(claim, value, f"<= {bar:g}{unit}", unit, digits, met=met)


def _verdict(
    claim: str, value: float | None, bar: str, unit: str, digits: int, *, met: bool
) -> Verdict:
    if value is None:
        return Verdict(claim=claim, bar=bar)
    return Verdict(claim=claim, bar=bar, measured=f"{value:.{digits}f}{unit}", met=met)
