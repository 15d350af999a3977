"""How well beats and bars are found, against librosa's beat tracker.

Run as ``python -m benchmarks.beats`` from the root of the repository. Reads the annotated songs of
../shared/audio, or of a folder given, and adds songs that it composes. Offsets are those of each
found beat after the true one, or the half between two, that is nearest: their median is the
tracker's bias, which both layers of a mash-up share, and p95 the spread around it.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import librosa
import mir_eval
import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from composer import compose
from pipeline.beats import track_beats
from pipeline.codec import decode
from pipeline.types import SAMPLE_RATE, BeatGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.types import Signal

AUDIO = Path(__file__).parents[2] / "shared" / "audio"

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Annotated:
    """A song and its true beats in seconds; no downbeats where nobody annotated them."""

    name: str
    samples: Signal
    beats_s: Array
    downbeats_s: Array


def composed_songs() -> Iterator[Annotated]:
    """Yield songs of all tempi, some of which drift or have three beats in a bar."""
    for seed, bpm in enumerate((72.0, 84.0, 97.0, 108.0, 121.0, 136.0, 152.0, 178.0)):
        drift, beats_per_bar = (0.0, 0.02, 0.0, 0.03)[seed % 4], 3 if seed in (3, 6) else 4
        song = compose(
            500 + seed, bpm=bpm, drift=drift, beats_per_bar=beats_per_bar, duration_s=40.0
        )
        yield Annotated(
            name=f"{bpm:.0f} ±{drift:.0%} {beats_per_bar}/4",
            samples=song.mixture,
            beats_s=np.asarray(song.grid.beats_s),
            downbeats_s=np.asarray(song.grid.downbeats_s),
        )


def annotated_songs(folder: Path) -> Iterator[Annotated]:
    """Yield the songs of a folder whose beats are known."""
    for path in sorted(folder.glob("stems/*/beats.txt")):
        parts = [
            decode(path.parent / f"{part}.ogg").samples for part in ("vocals", "accompaniment")
        ]
        length = min(part.shape[1] for part in parts)
        beats, place = np.loadtxt(path, ndmin=2).T
        yield Annotated(
            name=path.parent.name,
            samples=parts[0][:, :length] + parts[1][:, :length],
            beats_s=beats,
            downbeats_s=beats[place == 1],
        )
    for path in sorted(folder.glob("songs/*.beats.txt")):
        name = path.name.removesuffix(".beats.txt")
        audio = next(p for p in sorted(path.parent.glob(f"{name}.*")) if p != path)
        yield Annotated(
            name=name,
            samples=decode(audio).samples,
            beats_s=np.loadtxt(path),
            downbeats_s=np.zeros(0),
        )


OCTAVE_SONGS = 48


def print_octaves(console: Console) -> None:
    """Print how often the tempo of composed songs of 60 to 190 BPM is found, and how often bars."""
    table = Table("true BPM", "songs", "right", "double", "half", "other", "metre", "bars F")
    rows: dict[str, list[tuple[str, bool, float]]] = defaultdict(list)
    for number in range(OCTAVE_SONGS):
        bpm = round(60.0 + 130.0 * number / (OCTAVE_SONGS - 1), 1)
        song = compose(
            700 + number,
            bpm=bpm,
            drift=(0.0, 0.02, 0.0, 0.03)[number % 4],
            swing=(0.0, 0.33, 0.0)[number % 3],
            beats_per_bar=3 if number % 6 == 5 else 4,
            pickup_beats=(0, 1, 0, 2, 0)[number % 5],
            duration_s=36.0,
            intro_bars=2,
        )
        grid = track_beats(song.mixture)
        octave = round(np.log2(max(grid.bpm, 1.0) / bpm))
        near = abs(grid.bpm / bpm / 2.0**octave - 1.0) < 0.02
        word = {0: "right", 1: "double", -1: "half"}.get(octave, "other") if near else "other"
        bars = mir_eval.beat.f_measure(
            np.asarray(song.grid.downbeats_s), np.asarray(grid.downbeats_s)
        )
        decade = f"{20 * int(bpm // 20)}-{20 * int(bpm // 20) + 20}"
        rows[decade].append((word, grid.beats_per_bar == song.grid.beats_per_bar, bars))
        rows["all"].append(rows[decade][-1])
    for name in sorted(rows, key=lambda key: (key == "all", len(key), key)):
        words, metres, bars_f = zip(*rows[name], strict=True)
        counts = [str(words.count(word)) for word in ("right", "double", "half", "other")]
        table.add_row(
            name, str(len(words)), *counts, f"{np.mean(metres):.0%}", f"{np.mean(bars_f):.2f}"
        )
    console.print(table)


def track_with_librosa(samples: Signal) -> BeatGrid:
    """Find beats as librosa does when left to itself; it knows no downbeats."""
    rate = 22_050
    mono = librosa.resample(samples.mean(axis=0), orig_sr=SAMPLE_RATE, target_sr=rate)
    tempo, beats = librosa.beat.beat_track(y=mono, sr=rate, units="time")
    return BeatGrid(beats_s=tuple(beats.tolist()), bpm=float(np.atleast_1d(tempo)[0]))


TRACKERS: dict[str, Callable[[Signal], BeatGrid]] = {
    "vocal": track_beats,
    "librosa, refined": lambda samples: track_beats(samples, "librosa"),
    "librosa": track_with_librosa,
}


def offsets_ms(found: Array, truth: Array) -> Array:
    """Return how far each found beat is after the nearest true beat or half-beat."""
    halves = np.interp(np.arange(0, len(truth) - 0.5, 0.5), np.arange(len(truth)), truth)
    inside = found[(found > truth[0] - 0.1) & (found < truth[-1] + 0.1)]
    nearest = np.abs(inside[:, None] - halves[None]).argmin(axis=1)
    return np.asarray(1e3 * (inside - halves[nearest]))


def scores(song: Annotated, grid: BeatGrid) -> list[float]:
    """Return F of beats and of downbeats, median offset and p95 of the rest, in ms."""
    found = np.asarray(grid.beats_s)
    bars = np.asarray(grid.downbeats_s)
    known = len(song.downbeats_s) and len(bars)
    away = offsets_ms(found, song.beats_s)
    if not len(away):
        return [0.0, 0.0 if known else np.nan, np.nan, np.nan]
    bias = float(np.median(away))
    return [
        mir_eval.beat.f_measure(song.beats_s, found),
        mir_eval.beat.f_measure(song.downbeats_s, bars) if known else np.nan,
        bias,
        float(np.percentile(np.abs(away - bias), 95)),
    ]


def mean_of(column: Sequence[float]) -> float:
    """Return the mean of what was measured, NaN where nothing was."""
    known = [value for value in column if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _cells(row: list[float]) -> list[str]:
    formats = (".2f", ".2f", "+.1f", ".1f")
    return ["-" if np.isnan(x) else format(x, f) for x, f in zip(row, formats, strict=True)]


def main() -> int:
    """Print the table; return 0."""
    parser = argparse.ArgumentParser(description="Measure beats and bars against librosa's.")
    parser.add_argument("folder", type=Path, nargs="?", default=AUDIO)
    folder = parser.parse_args().folder
    table = Table("song", "true", "tracker", "found", "beats F", "bars F", "bias ms", "p95 ms")
    rows: dict[str, list[list[float]]] = defaultdict(list)
    for group in (annotated_songs(folder), composed_songs()):
        for song in group:
            true_bpm = 60.0 / float(np.median(np.diff(song.beats_s)))
            for name, track in TRACKERS.items():
                grid = track(song.samples)
                row = scores(song, grid)
                rows[name].append(row)
                first = [song.name, f"{true_bpm:.1f}"] if name == "vocal" else ["", ""]
                table.add_row(*first, name, f"{grid.bpm:.1f}", *_cells(row))
        table.add_section()
    for name, measured in rows.items():
        table.add_row(
            "mean", "", name, "", *_cells([mean_of(c) for c in zip(*measured, strict=True)])
        )
    console = Console(width=100)
    console.print(table)
    print_octaves(console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
