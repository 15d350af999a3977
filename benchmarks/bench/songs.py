"""The songs of the benchmarks: composed, encoded once, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Seed and tempo. Within a pair the tempi are so near that the songs are stretched, not halved.
_MEASURED = ((1, 100), (2, 106))
_WARMING = ((3, 96), (4, 102))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two songs of one length, as mp3 files."""

    vocals: Path
    backing: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Songs:
    """The pair that is measured, and another of the same length to warm up with."""

    measured: Pair
    warming: Pair


def songs_of(length_s: int, folder: Path) -> Songs:
    """Find the four songs of a length in a folder, or compose them into it."""
    return Songs(
        measured=_pair(_MEASURED, length_s, folder), warming=_pair(_WARMING, length_s, folder)
    )


def _pair(recipe: tuple[tuple[int, int], ...], length_s: int, folder: Path) -> Pair:
    vocals, backing = (_song(seed, bpm, length_s, folder) for seed, bpm in recipe)
    return Pair(vocals=vocals, backing=backing)


def _song(seed: int, bpm: int, length_s: int, folder: Path) -> Path:
    path = folder / f"seed{seed}-{bpm}bpm-{length_s}s.mp3"
    if not path.exists():
        from composer import compose  # noqa: PLC0415 - not needed where the songs are there
        from pipeline.codec import encode  # noqa: PLC0415 - as above

        folder.mkdir(parents=True, exist_ok=True)
        song = compose(seed, duration_s=float(length_s), bpm=float(bpm))
        encode(song.mixture, path, title=song.title)
    return path
