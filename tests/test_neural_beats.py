from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.bars import find_bars
from pipeline.beat_search import search_beats
from pipeline.beats import _as_heard
from pipeline.mono import RATE, narrow
from pipeline.neural_beats import (
    FPS,
    HOP,
    MODEL,
    ROWS,
    STROKES,
    _ask,
    beat_activations,
    spectra,
)
from tests.songs import short_song
from tests.test_laws import loaded_by

if TYPE_CHECKING:
    import numpy.typing as npt

A4_ROW = STROKES + 69 - 28


def test_the_model_is_small() -> None:
    assert 0 < MODEL.stat().st_size <= 1_000_000


@pytest.mark.parametrize("length", [0, 1, HOP - 1, HOP, 10 * RATE])
def test_there_is_a_frame_every_20_ms(length: int) -> None:
    seen = spectra(np.ones(length, dtype=np.float32))
    assert seen.shape == (ROWS, 1 + length // HOP)
    assert seen.dtype == np.float32
    assert np.isfinite(seen).all()


def test_silence_is_zero() -> None:
    assert not spectra(np.zeros(RATE, dtype=np.float32)).any()


def test_level_does_not_matter() -> None:
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32)
    assert spectra(noise) == pytest.approx(spectra(np.float32(1e-3) * noise), abs=1e-4)


def test_a_tone_lies_on_its_own_semitone() -> None:
    time_s = np.arange(4 * RATE) / RATE
    for step in (-12, 0, 7):
        tone = np.sin(2 * np.pi * 440.0 * 2 ** (step / 12) * time_s).astype(np.float32)
        pitches = spectra(tone)[STROKES:, 100]
        assert STROKES + int(pitches.argmax()) == A4_ROW + step


def test_a_stroke_shows_on_its_own_frame() -> None:
    mono = np.zeros(4 * RATE, dtype=np.float32)
    mono[2 * RATE] = 1.0
    loud = spectra(mono)[:STROKES].sum(axis=0)
    assert int(loud.argmax()) == round(2 * FPS)


def test_long_songs_are_read_block_by_block_without_seams() -> None:
    noise = np.random.default_rng(1).standard_normal(60 * RATE).astype(np.float32)
    noise /= np.sqrt(np.mean(noise**2))
    whole = spectra(noise)
    assert whole.shape[1] > 2048  # more than one block
    # 44.1 s begin a new block's frames at another place of it.
    part = noise[30 * RATE : 50 * RATE]
    cut = spectra(part / np.sqrt(np.mean(part**2)))
    assert cut[:, 20:-20] == pytest.approx(whole[:, 1520 : 1500 + cut.shape[1] - 20], abs=0.05)


@pytest.mark.parametrize(("bpm", "beats_per_bar"), [(96.0, 4), (132.0, 3)])
def test_beats_and_downbeats_stand_out(bpm: float, beats_per_bar: int) -> None:
    song = short_song(21, bpm=bpm, beats_per_bar=beats_per_bar)
    mono = narrow(song.mixture)
    heard = beat_activations(mono)
    assert heard.beat.shape == heard.downbeat.shape == (1 + len(mono) // HOP,)
    assert heard.beat.min() >= 0.0
    assert heard.beat.max() <= 1.0
    beats = np.round(np.asarray(song.grid.beats_s)[4:-4] * FPS).astype(int)
    downbeats = np.round(np.asarray(song.grid.downbeats_s)[1:-1] * FPS).astype(int)
    between = (beats[:-1] + beats[1:]) // 2
    others = np.setdiff1d(beats, downbeats)
    assert np.median(heard.beat[beats]) > 0.5
    assert np.median(heard.beat[between]) < 0.2
    assert np.median(heard.downbeat[downbeats]) > 0.4
    assert np.median(heard.downbeat[others]) < 0.2


def test_the_same_sound_has_the_same_beats() -> None:
    noise = np.random.default_rng(2).standard_normal(3 * RATE).astype(np.float32)
    first, second = beat_activations(noise), beat_activations(noise)
    assert np.array_equal(first.beat, second.beat)


def test_the_network_is_loaded_when_it_is_asked_and_not_before() -> None:
    assert not loaded_by("import pipeline.beats", ("openvino",))
    assert not loaded_by("import bot.client", ("openvino",))


def chance_of(beats_s: npt.NDArray[np.float64], duration_s: float) -> npt.NDArray[np.float32]:
    """Return what a network says that hears these beats and no others."""
    chance = np.full(1 + round(duration_s * FPS), 0.02, dtype=np.float32)
    chance[np.round(beats_s * FPS).astype(int)] = 0.9
    return chance


STEADY = np.arange(0.5, 39.8, 0.5)  # 120 BPM


@pytest.mark.parametrize(
    ("found", "heard"),
    [
        (STEADY, STEADY),
        (STEADY[::2], STEADY),
        (STEADY[1::2], STEADY),
        (STEADY, STEADY[::2]),
        (STEADY, STEADY[1::2]),
        (STEADY[:-1] + 0.25, STEADY),
    ],
    ids=["as they are", "half as many", "half, the others", "twice as many", "twice", "between"],
)
def test_beats_are_counted_as_they_are_heard(
    found: npt.NDArray[np.float64], heard: npt.NDArray[np.float64]
) -> None:
    beats = _as_heard(found, chance_of(heard, 40.0), 40.0)
    assert np.diff(beats) == pytest.approx(np.median(np.diff(heard)))
    assert np.abs(heard[1:-1, None] - beats[None]).min(axis=1).max() < 1e-6


@pytest.mark.parametrize(("period", "heard_period"), [(0.8, 0.4), (0.4, 0.2), (0.3, 0.6 * 2)])
def test_no_tempo_is_counted_beyond_those_of_music(period: float, heard_period: float) -> None:
    found, heard = np.arange(0.5, 39.5, period), np.arange(0.5, 39.5, heard_period)
    beats = _as_heard(found, chance_of(heard, 40.0), 40.0)
    assert 55.0 <= 60.0 / np.median(np.diff(beats)) <= 215.0


def test_an_unsure_network_changes_nothing() -> None:
    chance = np.full(2001, 0.4, dtype=np.float32)
    assert np.array_equal(_as_heard(STEADY, chance, 40.0), STEADY)


def test_the_search_follows_the_network_where_onsets_say_nothing() -> None:
    onset = np.ones(2000, dtype=np.float32)
    beats = np.arange(50, 1950, 60)
    chance = np.full(2000, 0.02, dtype=np.float32)
    chance[beats] = 0.9
    found = search_beats(onset, 100.0, chance)
    assert np.median(np.diff(found)) == 60
    assert np.mean(np.isin(found, beats)) > 0.9


def test_bars_begin_where_the_network_hears_them() -> None:
    beats_s = np.arange(0.5, 40.0, 0.5)
    even = np.ones((12, 1 + round(40 * RATE / 1024)), dtype=np.float32)
    openings = np.where(np.arange(len(beats_s)) % 3 == 2, 0.9, 0.1)
    accents = np.ones((3, len(beats_s)))
    assert find_bars(beats_s, accents, (even, even, even), openings) == (3, 2)


def test_the_network_says_of_parts_what_it_says_of_the_whole() -> None:
    mono = np.random.default_rng(4).standard_normal(105 * RATE).astype(np.float32)
    mono *= np.sin(np.arange(len(mono)) * np.pi / (RATE / 2)).astype(np.float32) ** 8
    heard = beat_activations(mono)
    whole = _ask(spectra(mono))
    assert heard.beat.max() > 0.5
    np.testing.assert_allclose(np.stack([heard.beat, heard.downbeat]), whole, atol=1e-4)
