"""Composed songs for the tests of the musical stages, each made once a run."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from composer import Composition, compose
from pipeline.beats import track_beats
from pipeline.features import STEPS, BeatFeatures
from pipeline.types import SAMPLE_RATE, BeatGrid, SongFacts

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Key, Signal, Spans


@cache
def short_song(
    seed: int, *, bpm: float, drift: float = 0.0, beats_per_bar: int = 4, pickup_beats: int = 0
) -> Composition:
    """Compose 20 s with two bars of intro; kept for the whole run, so ask for few."""
    return compose(
        seed,
        duration_s=20.0,
        bpm=bpm,
        drift=drift,
        beats_per_bar=beats_per_bar,
        pickup_beats=pickup_beats,
        intro_bars=2,
    )


def facts(song: Composition, *, grid: BeatGrid | None = None) -> SongFacts:
    """Return what the pipeline finds out about a song, apart from its key."""
    return SongFacts(
        title=song.title,
        duration_s=song.mixture.shape[1] / SAMPLE_RATE,
        grid=track_beats(song.mixture) if grid is None else grid,
        key=None,
    )


def steady_grid(
    bpm: float, duration_s: float, *, first_s: float = 0.0, beats_per_bar: int = 4, pickup: int = 0
) -> BeatGrid:
    """Return the grid of a song made to a click; `pickup` beats come before its first downbeat."""
    beats = np.arange(first_s, duration_s, 60.0 / bpm).tolist()
    return BeatGrid(
        beats_s=tuple(beats),
        downbeats_s=tuple(beats[pickup::beats_per_bar]),
        bpm=bpm,
        beats_per_bar=beats_per_bar,
        confidence=1.0,
    )


def song_facts(
    grid: BeatGrid,
    duration_s: float,
    *,
    key: Key | None = None,
    tuning: float = 0.0,
    sung: Spans = (),
) -> SongFacts:
    """Return the facts of a song that nobody has to hear."""
    return SongFacts(
        title="A song", duration_s=duration_s, grid=grid, key=key, tuning=tuning, sung=sung
    )


def plain_features(
    beats: int, *, pitches: npt.ArrayLike | None = None, sung: slice = slice(None)
) -> BeatFeatures:
    """Return features of a stem that sounds on the beats of `sung` and nowhere else.

    `pitches` holds the one pitch class of each beat, 0 to 11; without it all are C.
    """
    chroma = np.full((12, beats), -1.0 / 12)
    chroma[np.zeros(beats, int) if pitches is None else np.asarray(pitches), np.arange(beats)] += 1
    heard = np.zeros(beats)
    heard[sung] = 1.0
    onsets = np.zeros((STEPS, beats))
    onsets[0] = heard
    return BeatFeatures(
        chroma=chroma / np.linalg.norm(chroma, axis=0) * heard,
        onsets=onsets,
        bands=np.tile(heard / 20, (20, 1)),
    )


def sine(frequency_hz: float, duration_s: float, *, peak: float, phase: float = 0.0) -> Signal:
    """Return the same sine on both channels; float32, shape (2, n)."""
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    wave = peak * np.sin(2.0 * np.pi * frequency_hz * time_s + phase)
    return np.asarray([wave, wave], dtype=np.float32)


def clicks(times_s: npt.ArrayLike, duration_s: float) -> Signal:
    """Return 5 ms bursts of noise that start at the given times; float32, shape (2, n)."""
    out = np.zeros(round(duration_s * SAMPLE_RATE) + 221, dtype=np.float32)
    fall = np.exp(-np.arange(220) / 60.0)
    burst = np.random.default_rng(0).standard_normal(220) * fall
    for time_s in np.asarray(times_s, dtype=float):
        start = round(time_s * SAMPLE_RATE)
        if start < len(out) - 220:
            out[start : start + 220] += 0.3 * burst.astype(np.float32)
    return np.asarray([out[:-221], out[:-221]])
