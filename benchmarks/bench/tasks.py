"""What the peers' processes are asked to do; small values that cross a process boundary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.bench.songs import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeTask:
    """Merge two songs and write the file.

    Attributes
    ----------
    pair
        The songs.
    out_dir
        An existing folder for the result.
    recipe
        How they are merged; the origin knows only one way.
    format
        Of the file.
    cache_dir
        Where stems and analyses are kept; None for no cache.
    """

    pair: Pair
    out_dir: Path
    recipe: Recipe = field(default_factory=Recipe)
    format: str = "mp3"
    cache_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparateTask:
    """Take two songs apart and keep nothing.

    Attributes
    ----------
    pair
        The songs.
    out_dir
        An existing folder on the disk where signals may lie meanwhile.
    """

    pair: Pair
    out_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StepsTask:
    """Merge stems that lie on disk as the origin did.

    Attributes
    ----------
    vocals, backing
        Folders with ``vocals.wav`` and ``accompaniment.wav``.
    out_dir
        An existing folder for the result.
    """

    vocals: Path
    backing: Path
    out_dir: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What it took.

    Attributes
    ----------
    parts
        The stages and their seconds.
    """

    parts: dict[str, float]
