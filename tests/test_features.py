from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.features import STEPS, beat_features
from pipeline.types import SAMPLE_RATE, BeatGrid
from tests.songs import clicks, sine, steady_grid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import Signal


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def silence(duration_s: float) -> Signal:
    return np.zeros((2, round(duration_s * SAMPLE_RATE)), dtype=np.float32)


@pytest.mark.parametrize("octave_hz", [220.0, 440.0, 880.0])
@pytest.mark.parametrize("semitones", [0, 1, 7])
def test_a_tone_is_heard_on_its_pitch_class(octave_hz: float, semitones: int) -> None:
    tone = sine(octave_hz * 2.0 ** (semitones / 12), 4.0, peak=0.3)
    found = beat_features(tone, steady_grid(120, 4.0))
    assert found.chroma.argmax(axis=0).tolist() == [(9 + semitones) % 12] * 8  # A is the tenth


def test_each_beat_has_its_own_pitch() -> None:
    tones = np.hstack([sine(261.63, 1.0, peak=0.3), sine(392.0, 1.0, peak=0.3)])
    found = beat_features(tones, steady_grid(120, 2.0))
    assert found.chroma.argmax(axis=0).tolist() == [0, 0, 7, 7]


def test_pitches_have_zero_mean_and_unit_length() -> None:
    found = beat_features(sine(440.0, 4.0, peak=0.3), steady_grid(100, 4.0))
    assert found.chroma.mean(axis=0) == pytest.approx(0.0, abs=1e-9)
    assert np.linalg.norm(found.chroma, axis=0) == pytest.approx(1.0)


@pytest.mark.parametrize("bpm", [70.0, 120.0, 200.0])
@pytest.mark.parametrize("sixteenth", range(STEPS))
@pytest.mark.parametrize("early_s", [-0.01, 0.0, 0.01])
def test_an_onset_falls_into_its_sixteenth(bpm: float, sixteenth: int, early_s: float) -> None:
    grid = steady_grid(bpm, 8.0, first_s=0.5)
    times = np.asarray(grid.beats_s) + sixteenth * 60.0 / bpm / STEPS - early_s
    found = beat_features(clicks(times, 8.0), grid).onsets
    assert found.mean() == pytest.approx(1.0)
    inner = found[:, 1:-1]
    assert (inner[sixteenth] / inner.sum(axis=0)).min() > 0.9


def test_a_beat_has_one_column() -> None:
    beats = (0.3, 0.8, 1.5, 1.9, 2.2)  # however they wander
    grid = BeatGrid(beats_s=beats, downbeats_s=beats[:1], bpm=120.0)
    found = beat_features(sine(440.0, 3.0, peak=0.3), grid)
    assert found.chroma.shape == (12, 5)
    assert found.onsets.shape == (STEPS, 5)
    assert found.bands.shape == (20, 5)
    assert found.level.shape == (5,)


def test_beats_beyond_the_stem_are_silent() -> None:
    found = beat_features(sine(440.0, 2.0, peak=0.3), steady_grid(120, 6.0))
    assert found.level[:3].min() > 0.5
    assert not found.level[5:].any()
    assert not found.chroma[:, 5:].any()


@pytest.mark.parametrize("duration_s", [0.05, 1.0, 8.0])
def test_silence_has_no_features(duration_s: float) -> None:
    found = beat_features(silence(duration_s), steady_grid(120, 8.0))
    for values in (found.chroma, found.onsets, found.bands):
        assert not values.any()
        assert np.isfinite(values).all()


def test_level_is_one_where_a_stem_is_loud() -> None:
    stem = np.hstack([sine(440.0, 4.0, peak=0.3), sine(440.0, 4.0, peak=0.03)])
    level = beat_features(stem, steady_grid(120, 8.0)).level
    assert level[1:7] == pytest.approx(1.0, rel=0.05)
    assert level[9:15] == pytest.approx(0.01, rel=0.05)  # 20 dB less


def test_a_voice_that_is_mostly_silent_is_measured_by_its_singing() -> None:
    stem = silence(32.0)
    stem[:, : 2 * SAMPLE_RATE] = sine(440.0, 2.0, peak=0.3)
    found = beat_features(stem, steady_grid(120, 32.0))
    assert found.level[1:3] == pytest.approx(1.0, rel=0.05)
    assert not found.level[6:].any()


@pytest.mark.parametrize("gain", [0.003, 3.0])
def test_how_loud_a_song_was_made_does_not_matter(gain: float) -> None:
    grid = steady_grid(120, 6.0)
    stem = sine(440.0, 6.0, peak=0.1) + clicks(grid.beats_s, 6.0)
    plain, other = beat_features(stem, grid), beat_features(stem * np.float32(gain), grid)
    np.testing.assert_allclose(other.chroma, plain.chroma, atol=1e-3)
    np.testing.assert_allclose(other.onsets, plain.onsets, atol=1e-2)
    np.testing.assert_allclose(other.bands, plain.bands, rtol=1e-3, atol=1e-6)


def test_a_long_song_is_measured_in_blocks_that_leave_no_seam() -> None:
    # 60 s are more than one block of either transform; every beat of a steady tone is alike.
    found = beat_features(sine(440.0, 60.0, peak=0.3), steady_grid(120, 60.0))
    assert found.level[1:-1] == pytest.approx(1.0, rel=0.01)
