from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from pipeline.types import SAMPLE_RATE
from tests.training.fonts import needs_fonts
from training.bands import backing as backings
from training.bands.backing import Backing, facts_of, render_backing, render_backings
from training.bands.real_backings import real_backing_clips
from training.clips import CLIP_SAMPLES, FIRST_REAL_SEED, read_clip, stored_seeds

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from pipeline.types import Signal

FLUID_ONLY = 19  # a seed whose layers all come from the soundfont that loads at once


@pytest.fixture(scope="module")
def rendered() -> Backing:
    return render_backing(FLUID_ONLY)


@needs_fonts
def test_a_backing_is_twelve_seconds_that_fit_full_scale(rendered: Backing) -> None:
    assert rendered.parts.shape == (4, 2, CLIP_SAMPLES)
    assert rendered.parts.dtype == np.float32
    assert np.isfinite(rendered.parts).all()
    assert 0.05 < np.abs(rendered.parts.sum(axis=0)).max() <= 0.951
    assert np.abs(rendered.parts).max() <= 1.2001


@needs_fonts
def test_the_seed_decides_every_byte(rendered: Backing) -> None:
    again = render_backing(FLUID_ONLY)
    np.testing.assert_array_equal(again.parts, rendered.parts)
    assert facts_of(again, 0) == facts_of(rendered, 0)


@needs_fonts
def test_the_chords_cover_the_excerpt_and_are_what_sounds(rendered: Backing) -> None:
    assert rendered.chords[0][0] == 0
    assert rendered.chords[-1][1] == 12
    mono = rendered.parts[1:3].sum(axis=(0, 1))
    for start, end, tones in rendered.chords:
        heard = _pitch_classes(mono[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)])
        assert heard[list(tones)].mean() > 1.3 * heard.mean()


def _pitch_classes(mono: Signal) -> npt.NDArray[np.float64]:
    power = np.abs(np.fft.rfft(mono * np.hanning(len(mono))))
    hz = np.fft.rfftfreq(len(mono), 1 / SAMPLE_RATE)
    inside = (hz > 80) & (hz < 1500)
    classes: npt.NDArray[np.int64] = np.round(12 * np.log2(hz[inside] / 440) + 69).astype(int) % 12
    return np.array([power[inside][classes == tone].sum() for tone in range(12)])


@needs_fonts
def test_what_is_stored_is_what_was_rendered(tmp_path: Path, rendered: Backing) -> None:
    assert render_backings(tmp_path, [FLUID_ONLY]) == 1
    assert render_backings(tmp_path, [FLUID_ONLY]) == 0
    parts, facts = read_clip(tmp_path / "backings", FLUID_ONLY)
    np.testing.assert_allclose(parts, rendered.parts, atol=2e-5)
    assert facts == json.loads(json.dumps(facts_of(rendered, FLUID_ONLY)))
    assert set(facts) >= {"seed", "style", "bpm", "beats_per_bar", "beats_s", "downbeats_s"}
    assert facts["tonic"] == rendered.key.tonic
    assert facts["mode"] == rendered.key.mode


def test_the_master_bus_is_one_gain_for_all_parts() -> None:
    rng = np.random.default_rng(8)
    parts = rng.normal(0, 0.2, (4, 2, 30_000)).astype(np.float32)
    for seed in range(12):
        out = backings._master(np.random.default_rng(seed), parts)
        gains = out / parts
        assert np.abs(out.sum(axis=0)).max() <= 0.951
        loud = np.abs(parts).min(axis=0) > 0.01
        for part in gains[1:]:
            np.testing.assert_allclose(part[loud], gains[0][loud], rtol=1e-4)


def test_the_master_bus_takes_silence() -> None:
    assert not backings._master(np.random.default_rng(0), np.zeros((4, 2, 9), np.float32)).any()


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    wave = 0.3 * np.sin(np.arange(int(2.5 * CLIP_SAMPLES)) / 20)
    wave[CLIP_SAMPLES : 2 * CLIP_SAMPLES] = 0
    for song, samples in (("one", wave), ("two", wave[:CLIP_SAMPLES])):
        (folder / song).mkdir(parents=True)
        stereo = np.stack([samples, 0.5 * samples], axis=1)
        soundfile.write(folder / song / "accompaniment.ogg", stereo, SAMPLE_RATE)
    return folder


def test_recordings_become_clips_without_what_is_silent(recordings: Path, tmp_path: Path) -> None:
    assert real_backing_clips(recordings, tmp_path) == 2
    assert stored_seeds(tmp_path / "backings") == [FIRST_REAL_SEED, FIRST_REAL_SEED + 1]
    parts, facts = read_clip(tmp_path / "backings", FIRST_REAL_SEED + 1)
    assert parts.shape == (4, 2, CLIP_SAMPLES)
    assert not parts[[0, 1, 3]].any()
    assert np.sqrt(np.mean(parts[2, 0] ** 2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    assert facts["source"] == "two/accompaniment.ogg at 0 s"
    assert facts["beats_s"] == facts["downbeats_s"] == facts["chords"] == []
    assert facts["tonic"] is None


def test_no_recordings_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no accompaniment"):
        real_backing_clips(tmp_path, tmp_path)


def test_a_recording_at_another_rate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "song").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, (CLIP_SAMPLES, 2))
    soundfile.write(tmp_path / "song" / "accompaniment.ogg", noise, 48_000)
    with pytest.raises(ValueError, match="48000 Hz"):
        real_backing_clips(tmp_path, tmp_path)
