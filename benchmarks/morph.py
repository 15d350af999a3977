"""How well one song is morphed into another, against a crossfade and a cut.

Run as ``python -m benchmarks.morph`` from the root of the repository. Takes pairs of composed songs
of one tempo, and, where ../shared/audio/stems is there, real songs brought to one tempo.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import librosa
import numpy as np
import numpy.typing as npt
import scipy.ndimage
from rich.console import Console
from rich.table import Table

from composer import compose
from pipeline.beats import track_beats
from pipeline.codec import decode
from pipeline.grids import simplify
from pipeline.loudness import short_term_lufs
from pipeline.morph import splice
from pipeline.types import SAMPLE_RATE, BeatGrid, Key, LayerPlan
from pipeline.warp import warp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.types import Signal

    Join: TypeAlias = Callable[[Signal, Signal, tuple[int, int], tuple[float, ...]], Signal]

Array: TypeAlias = npt.NDArray[np.float64]

STEMS = Path(__file__).parents[2] / "shared" / "audio" / "stems"
_LEVELS_PER_S = 100  # of pipeline.loudness.short_term_lufs
_WITHIN = 40  # levels, 400 ms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two songs side by side on one beat grid.

    Attributes
    ----------
    name
        What they are.
    first, second
        float32, shape (2, n), 44 100 Hz; equal length.
    beats_s
        The grid, in seconds; every fourth beat from the first on is a downbeat.
    """

    name: str
    first: Signal
    second: Signal
    beats_s: tuple[float, ...]

    def middle(self, bars: int) -> tuple[int, int]:
        """Return the samples of the `bars` bars in the middle, from downbeat to downbeat.

        Both ends are 30 ms early, so that the joints lie before the attacks, not in them.
        """
        start = (len(self.beats_s) - 4 * bars) // 8 * 4
        first, last = (
            round((self.beats_s[beat] - 0.03) * SAMPLE_RATE) for beat in (start, start + 4 * bars)
        )
        return first, last


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What can be measured of a transition.

    Attributes
    ----------
    click
        Larger of the two sample steps at the joints, over the 99.99th percentile of all steps.
    roughest
        Largest sample step inside the transition, over the largest in either song there.
    jump_lu
        Largest change of the momentary loudness within 400 ms.
    own_jump_lu
        The same of either song alone, in the same span; music has breaks and hits of its own.
    added_jump_lu
        Largest change that is not in either song at that moment.
    outside_lu
        How far the momentary loudness lies below the softer or above the louder song.
    from_a, to_b
        Largest step in the wrong direction, from beat to beat, of the likeness to the first and
        the second song; 0 when they fall and rise all the way.
    middle
        Likeness to both, halfway.
    beat
        Largest deviation of a tracked beat interval from those around, as a fraction.
    """

    click: float
    roughest: float
    jump_lu: float
    own_jump_lu: float
    added_jump_lu: float
    outside_lu: float
    from_a: float
    to_b: float
    middle: tuple[float, float]
    beat: float

    def failures(self) -> list[str]:
        """Name the targets that are missed."""
        missed = {
            "click": self.click > 1.0,
            "loudness": max(self.added_jump_lu, self.outside_lu) > 2.0,
            "likeness": max(self.from_a, self.to_b) > 0.01,
            "beat": self.beat > 0.03,
        }
        return [name for name, failed in missed.items() if failed]


def measure(pair: Pair, out: Signal, span: tuple[int, int]) -> Figures:
    """Measure a transition in `out`, of shape (2, n), over the samples `span`."""
    to_a, to_b = likeness(pair, out, span)
    jump, own, added, outside = _loudness(pair, out, span)
    return Figures(
        click=joint_step(out, span),
        roughest=_roughest(pair, out, span),
        jump_lu=jump,
        own_jump_lu=own,
        added_jump_lu=added,
        outside_lu=outside,
        from_a=float(np.diff(to_a).max(initial=0.0)),
        to_b=float(np.diff(-to_b).max(initial=0.0)),
        middle=(_middle(to_a), _middle(to_b)),
        beat=_beat_deviation(out, span),
    )


def _middle(curve: Array) -> float:
    return float(curve[len(curve) // 2]) if len(curve) else float("nan")


def joint_step(out: Signal, span: tuple[int, int]) -> float:
    """Return the larger sample step at the joints over the 99.99th percentile of all steps."""
    steps = np.abs(np.diff(out)).max(axis=0)
    return float(max(steps[joint - 1] for joint in span) / np.percentile(steps, 99.99))


def likeness(pair: Pair, out: Signal, span: tuple[int, int]) -> tuple[Array, Array]:
    """Likeness of the output to both songs, beat by beat, smoothed; each 0 to 1.

    1 minus the distance to one song, in units of the distance between the two at the same beat:
    1 is that song itself, 0 is as far from it as the other. Distances are root mean squares over
    64 mel bands of differences in loudness, which goes as power to the 0.3 (Stevens), smoothed
    over the beats with a Gaussian of two beats' standard deviation. Beats at which the songs
    themselves differ by less than 5 % say nothing and are left out.
    """
    a, b, mixed = (
        _mel_per_beat(x, pair.beats_s, span) ** 0.3 for x in (pair.first, pair.second, out)
    )

    def distance(x: Array, y: Array | float) -> Array:
        squared = np.mean((x - y) ** 2, axis=0)
        return np.asarray(np.sqrt(scipy.ndimage.gaussian_filter1d(squared, 2.0, mode="nearest")))

    apart = distance(a, b)
    telling = apart > 0.05 * distance(a, 0.0)
    return tuple(  # type: ignore[return-value]  # two of two
        1 - distance(mixed, song)[telling] / apart[telling] for song in (a, b)
    )


def _mel_per_beat(samples: Signal, beats_s: tuple[float, ...], span: tuple[int, int]) -> Array:
    """Mean power in 64 mel bands between each beat and the next; shape (64, beats)."""
    part = samples[:, span[0] : span[1]].mean(axis=0)
    mel = librosa.feature.melspectrogram(
        y=part, sr=SAMPLE_RATE, n_fft=4096, hop_length=512, n_mels=64, fmin=30.0
    )
    beats = np.asarray(beats_s) - span[0] / SAMPLE_RATE
    inside = beats[(beats > 0.1) & (beats < (span[1] - span[0]) / SAMPLE_RATE - 0.1)]
    edges = np.concatenate([[0], np.rint(inside * SAMPLE_RATE / 512).astype(int)])
    return np.asarray(
        np.add.reduceat(mel, edges, axis=1) / np.diff(edges, append=mel.shape[1]), dtype=np.float64
    )


def _roughest(pair: Pair, out: Signal, span: tuple[int, int]) -> float:
    part = slice(*span)
    mixed, *own = (np.abs(np.diff(x[:, part])).max() for x in (out, pair.first, pair.second))
    return float(mixed / max(own))


def _loudness(pair: Pair, out: Signal, span: tuple[int, int]) -> tuple[float, ...]:
    around = slice(*(x * _LEVELS_PER_S // SAMPLE_RATE for x in span))
    a, b, mixed = (short_term_lufs(x)[around] for x in (pair.first, pair.second, out))
    jump_a, jump_b, jump = (np.abs(x[_WITHIN:] - x[:-_WITHIN]) for x in (a, b, mixed))
    own = np.maximum(jump_a, jump_b)
    outside = np.abs(mixed - np.clip(mixed, np.minimum(a, b), np.maximum(a, b)))
    return jump.max(), own.max(), max(0.0, (jump - own).max()), outside.max()


def _beat_deviation(out: Signal, span: tuple[int, int]) -> float:
    beats = np.asarray(track_beats(out).beats_s)
    if len(beats) < 8:
        return float("inf")
    intervals = np.diff(beats)
    usual = scipy.ndimage.median_filter(intervals, 9, mode="nearest")
    times = np.asarray(span) / SAMPLE_RATE
    inside = (beats[1:] > times[0] - 1) & (beats[:-1] < times[1] + 1)
    return float(np.abs(intervals / usual - 1)[inside].max())


def composed_pair(seeds: tuple[int, int], bpm: float, keys: tuple[int, int] | None) -> Pair:
    """Compose two songs of one tempo, their downbeats together; keys are tonics of major."""
    songs = [
        compose(seed, bpm=bpm, duration_s=22 * 240 / bpm, key=key, intro_bars=2)
        for seed, key in zip(seeds, _keys(keys), strict=True)
    ]
    starts = [round(song.grid.downbeats_s[0] * SAMPLE_RATE) for song in songs]
    parts = [song.mixture[:, start:] for song, start in zip(songs, starts, strict=True)]
    length = round(19 * 240 / bpm * SAMPLE_RATE)
    beats = tuple((np.arange(19 * 4) * 60 / bpm).tolist())
    names = "same key" if keys is None else "keys {} and {}".format(*keys)
    return Pair(
        name=f"composed {seeds[0]}, {seeds[1]} at {bpm:g}, {names}",
        first=parts[0][:, :length],
        second=parts[1][:, :length],
        beats_s=beats,
    )


def _keys(tonics: tuple[int, int] | None) -> tuple[Key, Key]:
    one, other = tonics or (0, 0)
    return Key(tonic=one, mode="major"), Key(tonic=other, mode="major")


def _read(name: str) -> tuple[Signal, Signal, BeatGrid]:
    """Read a song of the stems folder: vocals, accompaniment, grid from its first downbeat."""
    vocals, rest = (
        decode(STEMS / name / f"{part}.ogg").samples for part in ("vocals", "accompaniment")
    )
    length = min(vocals.shape[1], rest.shape[1])
    rows = np.loadtxt(STEMS / name / "beats.txt")
    rows = rows[int(np.argmax(rows[:, 1] == 1)) :]
    grid = BeatGrid(beats_s=tuple(rows[:, 0].tolist()))
    return vocals[:, :length], rest[:, :length], grid


def _to_tempo(samples: Signal, grid: BeatGrid, bpm: float, beats: int) -> Signal:
    """Bring a song to a tempo; its first downbeat comes first."""
    source = np.asarray(grid.beats_s)
    moved = simplify(source, np.arange(len(source)) * 60 / bpm, 0.004)
    return warp(samples, LayerPlan(warp=moved), beats * 60 / bpm, lambda _: None)


def real_pairs() -> Iterator[Pair]:
    """Real songs brought to one tempo, and a song beside its own mash-up."""
    songs = {name: _read(name) for name in ("hydrogen", "francium", "sodium")}
    for one, other, bpm in (
        ("francium", "hydrogen", 130.0),
        ("hydrogen", "sodium", 136.0),
        ("sodium", "francium", 134.0),
    ):
        beats = min(len(songs[name][2].beats_s) for name in (one, other)) // 4 * 4
        whole = [
            [_to_tempo(stem, songs[name][2], bpm, beats) for stem in songs[name][:2]]
            for name in (one, other)
        ]
        times = tuple((np.arange(beats) * 60 / bpm).tolist())
        first, second = whole[0][0] + whole[0][1], whole[1][0] + whole[1][1]
        yield Pair(name=f"{one}, {other}", first=first, second=second, beats_s=times)
        mashup = whole[0][0] + whole[1][1]
        yield Pair(name=f"{other}, {one} over {other}", first=second, second=mashup, beats_s=times)


def composed_pairs() -> Iterator[Pair]:
    """Composed songs of one tempo, in one key and in two."""
    yield composed_pair((1, 2), 120.0, None)
    yield composed_pair((3, 4), 96.0, None)
    yield composed_pair((5, 6), 140.0, (0, 6))
    yield composed_pair((7, 8), 84.0, (2, 3))
    yield composed_pair((9, 10), 128.0, (0, 7))


def crossfade(
    first: Signal, second: Signal, span: tuple[int, int], _beats_s: tuple[float, ...]
) -> Signal:
    """Crossfade with equal power over the span: what a morph is to be better than."""
    ramp = np.clip((np.arange(second.shape[1]) - span[0]) / (span[1] - span[0]), 0.0, 1.0)
    angle = (ramp * np.pi / 2).astype(np.float32)
    return np.asarray(np.cos(angle) * first + np.sin(angle) * second)


def cut(
    first: Signal, second: Signal, span: tuple[int, int], _beats_s: tuple[float, ...]
) -> Signal:
    """Cut from one to the other in the middle of the span."""
    middle = sum(span) // 2
    return np.concatenate([first[:, :middle], second[:, middle:]], axis=1)


JOINS: dict[str, Join] = {"morph": splice, "crossfade": crossfade, "cut": cut}


def main() -> None:
    """Print a table: each pair with each way of joining."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--bars", type=int, default=8, help="length of the transition")
    parser.add_argument("--real", action="store_true", help="real songs as well")
    options = parser.parse_args()
    table = Table(title=f"Transitions over {options.bars} bars")
    for column in (
        *(
            "pair",
            "join",
            "click",
            "roughest",
            "jump LU",
            "own LU",
            "added LU",
            "outside LU",
            "off A",
            "off B",
        ),
        *("middle A", "middle B", "beat %", "s per 30 s", "misses"),
    ):
        table.add_column(column)
    for pair in (*composed_pairs(), *(real_pairs() if options.real else ())):
        for name, join in JOINS.items():
            table.add_row(pair.name, name, *_row(pair, join, options.bars))
    Console(width=200).print(table)


def _row(pair: Pair, join: Join, bars: int) -> list[str]:
    span = pair.middle(bars)
    started = time.perf_counter()
    out = join(pair.first, pair.second, span, pair.beats_s)
    seconds = (time.perf_counter() - started) * 30 * SAMPLE_RATE / (span[1] - span[0])
    found = measure(pair, out, span)
    numbers = (found.click, found.roughest, found.jump_lu, found.own_jump_lu)
    levels = (found.added_jump_lu, found.outside_lu)
    likenesses = (found.from_a, found.to_b, *found.middle)
    return [
        *(f"{x:.2f}" for x in (*numbers, *levels)),
        *(f"{x:.3f}" for x in likenesses),
        f"{100 * found.beat:.1f}",
        f"{seconds:.1f}",
        ", ".join(found.failures()),
    ]


if __name__ == "__main__":
    main()
