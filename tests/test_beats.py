from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.bars import bars_of, starts_between_beats
from pipeline.beats import METHODS, _smoothed, track_beats
from pipeline.codec import decode
from pipeline.mono import narrow
from pipeline.tapes import on_disk
from pipeline.types import SAMPLE_RATE, BeatGrid
from tests.songs import clicks, short_song

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

pytestmark = pytest.mark.slow

AUDIO = Path(__file__).parents[2] / "shared" / "audio"
needs_audio = pytest.mark.skipif(
    not AUDIO.is_dir(), reason="the folder shared/audio beside the repository is absent"
)


def away_ms(grid: BeatGrid, truth: Floats) -> Floats:
    """How far each tracked beat is after the nearest true one, in milliseconds."""
    beats = np.asarray(grid.beats_s)
    beats = beats[(beats > truth[0] - 0.1) & (beats < truth[-1] + 0.1)]
    nearest = truth[np.abs(beats[:, None] - truth[None]).argmin(axis=1)]
    return np.asarray(1e3 * (beats - nearest))


def bars_found(grid: BeatGrid, truth: BeatGrid) -> float:
    """Share of the true downbeats within 50 ms of which a downbeat was found."""
    found, true = np.asarray(grid.downbeats_s), np.asarray(truth.downbeats_s)
    return float(np.mean(np.abs(true[:, None] - found[None]).min(axis=1) < 0.05))


def assert_legal(grid: BeatGrid, duration_s: float) -> None:
    assert np.all(np.diff(grid.beats_s) > 0)
    assert all(0 <= time < duration_s for time in grid.beats_s)
    assert set(grid.downbeats_s) <= set(grid.beats_s)
    assert grid.beats_per_bar in (3, 4)
    assert 0 <= grid.confidence <= 1


def held_chord() -> npt.NDArray[np.float32]:
    time = np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE
    tones = np.asarray([[220.0], [277.2], [329.6]])
    chord = 0.1 * np.sin(2 * np.pi * tones * time).sum(axis=0, dtype=np.float32)
    return np.stack([chord, chord])


@pytest.mark.parametrize("bpm", [60, 77, 100, 123, 150, 180, 200])
def test_clicks_are_found_to_a_few_milliseconds(bpm: float) -> None:
    truth = np.arange(0.3, 15.0, 60.0 / bpm)
    grid = track_beats(clicks(truth, 15.0))
    assert_legal(grid, 15.0)
    assert grid.bpm == pytest.approx(bpm, rel=0.002)
    away = away_ms(grid, truth)
    assert abs(np.median(away)) < 2.0
    assert np.abs(away).max() < 5.0
    assert len(away) >= len(truth) - 1


def test_clicks_that_wander_are_followed() -> None:
    time = np.arange(0.0, 30.0, 0.001)
    position = np.cumsum(0.002 * (1.0 + 0.04 * np.sin(2 * np.pi * time / 15.0)))
    truth = np.interp(np.arange(1, int(position[-1])), position, time)
    away = away_ms(track_beats(clicks(truth, 30.0)), truth)
    # 4 % around 120 BPM is 95 ms to either side of a steady grid.
    assert np.abs(away).max() < 15.0
    assert len(away) >= len(truth) - 2


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.zeros((2, 0), dtype=np.float32), "empty"),
        (np.zeros((2, 1), dtype=np.float32), "one sample"),
        (np.zeros((2, 20 * SAMPLE_RATE), dtype=np.float32), "silent"),
        (clicks(np.arange(0, 1, 0.25), 1.0), "one second"),
        (held_chord(), "a held chord"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_without_a_pulse_the_grid_is_empty(samples: npt.NDArray[np.float32], why: str) -> None:
    assert track_beats(samples) == BeatGrid()


def test_noise_is_no_clear_pulse() -> None:
    noise = np.random.default_rng(3).normal(0.0, 0.1, (2, 10 * SAMPLE_RATE)).astype(np.float32)
    grid = track_beats(noise)
    assert_legal(grid, 10.0)
    pulse = track_beats(clicks(np.arange(0.2, 10, 0.5), 10.0))
    assert grid.confidence < 0.75 < pulse.confidence


def test_level_does_not_matter() -> None:
    samples = short_song(11, bpm=112.0, drift=0.0).mixture
    loud, soft = track_beats(samples), track_beats(np.float32(0.01) * samples)
    assert len(soft.beats_s) == len(loud.beats_s)
    assert np.abs(np.subtract(soft.beats_s, loud.beats_s)).max() < 0.003
    assert soft.downbeats_s == pytest.approx(loud.downbeats_s, abs=0.003)


@pytest.mark.parametrize(
    ("seed", "bpm", "drift"), [(11, 112.0, 0.0), (12, 90.0, 0.02), (13, 138.0, 0.01)]
)
def test_composed_songs(seed: int, bpm: float, drift: float) -> None:
    song = short_song(seed, bpm=bpm, drift=drift)
    grid = track_beats(song.mixture)
    assert_legal(grid, 20.0)
    assert grid.bpm == pytest.approx(bpm, rel=0.02)
    away = away_ms(grid, np.asarray(song.grid.beats_s))
    assert abs(np.median(away)) < 15.0
    assert np.percentile(np.abs(away - np.median(away)), 95) < 25.0
    assert bars_found(grid, song.grid) > 0.9


def test_three_in_a_bar(tmp_path: Path) -> None:
    song = short_song(14, bpm=120, beats_per_bar=3)
    grid = track_beats(song.mixture)
    assert track_beats(narrow(song.mixture, on_disk(tmp_path))) == grid
    assert grid.beats_per_bar == 3
    assert bars_found(grid, song.grid) > 0.9


def test_a_pickup_does_not_move_the_bars() -> None:
    song = short_song(15, bpm=104, pickup_beats=1)
    grid = track_beats(song.mixture)
    assert bars_found(grid, song.grid) > 0.9


@pytest.mark.parametrize("drift", [0.0, 0.02])
def test_librosa_finds_the_same_beats_where_the_pulse_is_plain(drift: float) -> None:
    song = short_song(16, bpm=116, drift=drift)
    grid = track_beats(song.mixture, "librosa")
    assert_legal(grid, 20.0)
    away = away_ms(grid, np.asarray(song.grid.beats_s))
    assert abs(np.median(away)) < 15.0
    assert np.percentile(np.abs(away - np.median(away)), 95) < 25.0
    assert bars_found(grid, song.grid) > 0.9


@pytest.mark.parametrize("method", ["neural", "onsets"])
def test_whoever_waits_is_told_how_far_it_is(method: str) -> None:
    told: list[float] = []
    track_beats(clicks(np.arange(0.5, 12.0, 0.5), 12.0), method, told.append)
    assert told == sorted(set(told))
    assert len(told) >= 4
    assert 0.0 < told[0] < told[-1] < 1.0


def test_another_method_is_refused() -> None:
    with pytest.raises(ValueError, match=f"named guess: use {' or '.join(METHODS)}"):
        track_beats(clicks(np.arange(0, 8, 0.5), 8.0), "guess")


@pytest.mark.parametrize("method", METHODS)
def test_silence_has_no_beats_whoever_looks(method: str) -> None:
    assert track_beats(np.zeros((2, 5 * SAMPLE_RATE), dtype=np.float32), method) == BeatGrid()


def test_a_slow_ballad_is_not_counted_in_eighths() -> None:
    song = short_song(9700, bpm=61)
    assert track_beats(song.mixture).bpm == pytest.approx(61, rel=0.02)


def test_a_fast_song_is_on_one_and_three_where_it_is_counted_by_halves() -> None:
    song = short_song(4003, bpm=190)
    grid = track_beats(song.mixture)
    ratio = grid.bpm / 190
    assert ratio == pytest.approx(0.5, rel=0.02) or ratio == pytest.approx(1.0, rel=0.02)
    true = np.asarray(song.grid.downbeats_s)[1:-1]
    assert np.abs(true[:, None] - np.asarray(grid.beats_s)[None]).min(axis=1).max() < 0.03


@pytest.mark.parametrize("shift", [0, 1])
def test_bars_that_start_between_the_beats_are_noticed(shift: int) -> None:
    """The harmony turns and the low end is struck every eight halves, on or off the beat."""
    halves_s = 0.25 * np.arange(1, 161)
    on_bar = np.arange(160) % 8 == shift
    accents = np.stack([np.where(on_bar, 3.0, 0.5), np.ones(160), np.ones(160)])
    frames = np.arange(round(41 * 22_050 / 1024)) * 1024 / 22_050
    bar = np.floor((frames - halves_s[shift]) / 2.0).astype(int)
    notes = np.eye(12, dtype=np.float32)[:, (5 * bar) % 12]
    features = notes, notes, np.zeros((40, len(frames)), dtype=np.float32)
    assert starts_between_beats(halves_s, accents, features) == bool(shift)


@needs_audio
@pytest.mark.parametrize("name", ["potassium", "sodium"])
def test_real_songs_made_to_a_click(name: str) -> None:
    folder = AUDIO / "stems" / name
    parts = [decode(folder / f"{part}.ogg").samples for part in ("vocals", "accompaniment")]
    truth, place = np.loadtxt(folder / "beats.txt").T
    downbeats = truth[place == 1]
    grid = track_beats(parts[0] + parts[1])
    assert mir_eval.beat.f_measure(truth, np.asarray(grid.beats_s)) > 0.95
    away = away_ms(grid, truth)
    assert abs(np.median(away)) < 12.0
    assert np.percentile(np.abs(away - np.median(away)), 95) < 5.0
    assert mir_eval.beat.f_measure(downbeats, np.asarray(grid.downbeats_s)) > 0.95


@pytest.mark.parametrize("beats_per_bar", [3, 4])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_bars_start_where_the_evidence_is(beats_per_bar: int, first: int) -> None:
    evidence = np.where(np.arange(40) % beats_per_bar == first, 2.0, -0.5)
    assert bars_of(evidence) == (beats_per_bar, first)


def test_bars_have_four_beats_when_nothing_speaks_for_three() -> None:
    assert bars_of(np.zeros(40))[0] == 4


@settings(deadline=None, max_examples=50)
@given(
    period=st.floats(0.3, 1.0),
    bend=st.floats(-0.002, 0.002),
    count=st.integers(4, 60),
)
def test_smoothing_leaves_an_even_change_of_tempo_alone(
    period: float, bend: float, count: int
) -> None:
    beat = np.arange(count)
    times = 1.0 + period * beat + bend * beat**2
    assert _smoothed(times, np.ones(count)) == pytest.approx(times, abs=1e-6)
