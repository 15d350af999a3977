"""How well beats and bars are found: the network, onsets and accents, and librosa's beat tracker.

Run as ``python -m benchmarks.beats`` from the root of the repository. Reads the annotated songs of
../shared/audio, or of a folder given, whole and in pieces, and the rendered clips of build/training
that are kept for validation, and composes songs that no training has seen. Offsets are those of
each found beat after the true one, or the half between two, that is nearest: their median is the
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
import soxr
from rich.console import Console
from rich.table import Table

from composer import compose
from pipeline.beats import track_beats
from pipeline.codec import decode
from pipeline.types import SAMPLE_RATE, BeatGrid
from training.clips import (
    CLIP_S,
    FIRST_REAL_SEED,
    FIRST_VALIDATION_SEED,
    read_clip,
    stored_seeds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipeline.types import Signal

AUDIO = Path(__file__).parents[2] / "shared" / "audio"
COMPOSED = 50
PIECE = 30 * SAMPLE_RATE
SPEEDS = (0.9, 1.0, 1.1)

Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Annotated:
    """A song and its true beats in seconds; no downbeats where nobody annotated them."""

    name: str
    samples: Signal
    beats_s: Array
    downbeats_s: Array


def composed_songs() -> Iterator[Annotated]:
    """Yield songs of 60 to 190 BPM, some of which drift, swing or have three beats in a bar."""
    for number in range(COMPOSED):
        song = compose(
            700 + number,
            bpm=round(60.0 + 130.0 * number / (COMPOSED - 1), 1),
            drift=(0.0, 0.02, 0.0, 0.03)[number % 4],
            swing=(0.0, 0.33, 0.0)[number % 3],
            beats_per_bar=3 if number % 6 == 5 else 4,
            pickup_beats=(0, 1, 0, 2, 0)[number % 5],
            duration_s=36.0,
            intro_bars=2,
        )
        yield Annotated(
            name=f"composed {number}",
            samples=song.mixture,
            beats_s=np.asarray(song.grid.beats_s),
            downbeats_s=np.asarray(song.grid.downbeats_s),
        )


def rendered_songs(clips: Path) -> Iterator[Annotated]:
    """Yield the rendered clips that are kept for validation: 12 s of many more styles."""
    for seed in stored_seeds(clips / "backings"):
        if FIRST_VALIDATION_SEED <= seed < FIRST_REAL_SEED:
            parts, facts = read_clip(clips / "backings", seed)
            beats, downbeats = (np.asarray(facts[kind]) for kind in ("beats_s", "downbeats_s"))
            yield Annotated(
                name=f"clip {seed}",
                samples=parts.sum(axis=0),
                beats_s=beats[beats < CLIP_S],
                downbeats_s=downbeats[downbeats < CLIP_S],
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


def track_with_librosa(samples: Signal) -> BeatGrid:
    """Find beats as librosa does when left to itself; it knows no downbeats."""
    rate = 22_050
    mono = librosa.resample(samples.mean(axis=0), orig_sr=SAMPLE_RATE, target_sr=rate)
    tempo, beats = librosa.beat.beat_track(y=mono, sr=rate, units="time")
    return BeatGrid(beats_s=tuple(beats.tolist()), bpm=float(np.atleast_1d(tempo)[0]))


TRACKERS: dict[str, Callable[[Signal], BeatGrid]] = {
    "network": lambda samples: track_beats(samples, "neural"),
    "onsets": lambda samples: track_beats(samples, "onsets"),
    "librosa, refined": lambda samples: track_beats(samples, "librosa"),
    "librosa": track_with_librosa,
}


def pieces(songs: Iterator[Annotated]) -> Iterator[Annotated]:
    """Yield the songs in pieces of 30 s, as they are, played slower, and played faster.

    A whole song forgives much: most of it may be plain. Few of these pieces are.
    """
    for song in songs:
        for speed in SPEEDS:
            played = soxr.resample(song.samples.T, SAMPLE_RATE * speed, SAMPLE_RATE).T
            for start in range(0, played.shape[1] - PIECE // 2, PIECE):
                beats, downbeats = (
                    times / speed - start / SAMPLE_RATE
                    for times in (song.beats_s, song.downbeats_s)
                )
                cut = played[:, start : start + PIECE]
                end_s = cut.shape[1] / SAMPLE_RATE
                yield Annotated(
                    name=f"{song.name} x {speed}, {start / SAMPLE_RATE:.0f} s",
                    samples=cut,
                    beats_s=beats[(beats >= 0) & (beats < end_s)],
                    downbeats_s=downbeats[(downbeats >= 0) & (downbeats < end_s)],
                )


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


def tempo_word(found_bpm: float, true_bpm: float) -> str:
    """Return whether a tempo is right, double, half, or something else."""
    octave = round(np.log2(max(found_bpm, 1.0) / true_bpm))
    near = abs(found_bpm / true_bpm / 2.0**octave - 1.0) < 0.02
    return {0: "right", 1: "double", -1: "half"}.get(octave, "other") if near else "other"


def _cells(row: Sequence[float]) -> list[str]:
    formats = (".3f", ".3f", "+.1f", ".1f")
    return ["-" if np.isnan(x) else format(x, f) for x, f in zip(row, formats, strict=True)]


def print_songs(console: Console, songs: Iterator[Annotated]) -> None:
    """Print what each tracker finds in each song, and the means."""
    table = Table("song", "true", "tracker", "found", "beats F", "bars F", "bias ms", "p95 ms")
    rows: dict[str, list[list[float]]] = defaultdict(list)
    for song in songs:
        first = [song.name, f"{_bpm(song):.1f}"]
        for name, track in TRACKERS.items():
            grid = track(song.samples)
            rows[name].append(scores(song, grid))
            table.add_row(*first, name, f"{grid.bpm:.1f}", *_cells(rows[name][-1]))
            first = ["", ""]
    table.add_section()
    for name, measured in rows.items():
        means = [mean_of(column) for column in zip(*measured, strict=True)]
        table.add_row("mean", "", name, "", *_cells(means))
    console.print(table)


def print_tempi(console: Console, title: str, songs: Iterator[Annotated]) -> None:
    """Print how each tracker does at each tempo, and how often it counts twice or half as fast."""
    words = ("right", "double", "half", "other")
    table = Table(
        "true BPM",
        "songs",
        "tracker",
        *words,
        "beats F",
        "bars F",
        "bias ms",
        "p95 ms",
        title=title,
    )
    rows: dict[tuple[str, str], list[tuple[str, list[float]]]] = defaultdict(list)
    for song in songs:
        low = 20 * int(_bpm(song) // 20)
        for name, track in TRACKERS.items():
            grid = track(song.samples)
            row = tempo_word(grid.bpm, _bpm(song)), scores(song, grid)
            rows[f"{low}-{low + 20}", name].append(row)
            rows["all", name].append(row)
    for decade, name in sorted(rows, key=lambda key: (key[0] == "all", len(key[0]), key[0])):
        found, measured = zip(*rows[decade, name], strict=True)
        means = [mean_of(column) for column in zip(*measured, strict=True)]
        counts = [str(found.count(word)) for word in words]
        table.add_row(decade, str(len(found)), name, *counts, *_cells(means))
    console.print(table)


def _bpm(song: Annotated) -> float:
    return 60.0 / float(np.median(np.diff(song.beats_s)))


def main() -> int:
    """Print the tables; return 0."""
    parser = argparse.ArgumentParser(description="Measure beats and bars against librosa's.")
    parser.add_argument("folder", type=Path, nargs="?", default=AUDIO)
    parser.add_argument("--clips", type=Path, default=Path("build/training"))
    options = parser.parse_args()
    folder, clips = options.folder, options.clips
    console = Console(width=110)
    if folder.is_dir():
        print_songs(console, annotated_songs(folder))
        print_tempi(console, "recorded, in pieces", pieces(annotated_songs(folder)))
    else:
        console.print(f"{folder} is absent: no annotated songs are measured.")
    print_tempi(console, "composed", composed_songs())
    if (clips / "backings").is_dir():
        print_tempi(console, "rendered", rendered_songs(clips))
    else:
        console.print(f"{clips} is absent: no rendered clips are measured.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
