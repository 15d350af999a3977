from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.singing import GRAIN, _levels, find_sung
from pipeline.tapes import on_disk
from pipeline.types import SAMPLE_RATE
from tests.songs import short_song, sine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.types import Signal


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def silence(duration_s: float) -> Signal:
    return np.zeros((2, round(duration_s * SAMPLE_RATE)), dtype=np.float32)


def band(duration_s: float) -> Signal:
    """Return noise whose sides differ, as a band has them."""
    shape = (2, round(duration_s * SAMPLE_RATE))
    return np.random.default_rng(7).normal(0.0, 0.05, shape).astype(np.float32)


@pytest.mark.parametrize(
    ("seed", "bpm", "drift"), [(11, 112.0, 0.0), (12, 90.0, 0.02), (13, 138.0, 0.01)]
)
def test_sung_passages_of_composed_songs(seed: int, bpm: float, drift: float) -> None:
    song = short_song(seed, bpm=bpm, drift=drift)
    truth = np.zeros(20 * 100, dtype=bool)
    for start, end in song.voice_spans_s:
        truth[round(start * 100) : round(end * 100)] = True
    found = find_sung(song.stems.vocals, song.stems.accompaniment)
    assert found[0][0] == pytest.approx(song.voice_spans_s[0][0], abs=0.3)
    assert found[-1][1] == pytest.approx(song.voice_spans_s[-1][1], abs=0.5)
    assert all(end - start >= 0.5 for start, end in found)
    heard = np.zeros_like(truth)
    for start, end in found:
        heard[round(start * 100) : round(end * 100)] = True
    assert np.mean(heard[truth]) > 0.9


def test_passages_and_breaths() -> None:
    tone = sine(440.0, 2.0, peak=0.1)
    vocals = np.hstack(
        [silence(1.0), tone, silence(0.4), tone, silence(3.0), tone, silence(1.0), silence(0.6)]
    )
    vocals[:, -round(0.3 * SAMPLE_RATE) :] = sine(440.0, 0.3, peak=0.1)  # too short to be sung
    spans = find_sung(vocals, band(vocals.shape[1] / SAMPLE_RATE))
    assert np.ravel(spans) == pytest.approx([1.0, 5.4, 8.4, 10.4], abs=0.15)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 5.0])
def test_nobody_sings_in_silence(seconds: float) -> None:
    assert find_sung(silence(seconds), band(seconds)) == ()


def test_a_voice_without_a_pause_is_one_passage() -> None:
    spans = find_sung(sine(440.0, 6.03, peak=0.2), band(6.03))
    assert len(spans) == 1
    assert spans[0] == pytest.approx((0.0, 6.03))  # and never ends after its song


def test_the_bands_residue_is_nobodys_singing() -> None:
    rest = band(12.0)
    vocals = 0.03 * rest
    vocals[:, 4 * SAMPLE_RATE : 8 * SAMPLE_RATE] += sine(440.0, 4.0, peak=0.2)
    spans = find_sung(vocals, rest)
    assert np.ravel(spans) == pytest.approx([4.0, 8.0], abs=0.3)


@pytest.mark.parametrize(
    ("frequency_hz", "db"),
    [(1000.0, 0.0), (440.0, 0.0), (150.0, -3.0), (8000.0, -3.0), (75.0, -12.3)],
)
def test_levels_are_those_of_the_band_of_voices(frequency_hz: float, db: float) -> None:
    tone = sine(frequency_hz, 13.03, peak=0.1)
    left = tone * np.asarray([[1.0], [0.0]], dtype=np.float32)
    middle, sides, other = _levels(left, tone)
    assert middle.shape == (-(-tone.shape[1] // GRAIN),)
    full_db = 20 * np.log10(0.1) - 3.01
    assert other[:-1] == pytest.approx(full_db + db, abs=0.7)
    assert middle[:-1] == pytest.approx(full_db + db - 6.02, abs=0.7)
    assert sides[:-1] == pytest.approx(full_db + db - 6.02, abs=0.7)


def test_stems_on_disk_are_heard_alike(tmp_path: Path) -> None:
    song = short_song(11, bpm=112.0)
    blank = on_disk(tmp_path)
    stored = [blank(stem.shape[1]) for stem in (song.stems.vocals, song.stems.accompaniment)]
    stored[0][:], stored[1][:] = song.stems.vocals, song.stems.accompaniment
    assert find_sung(stored[0], stored[1]) == find_sung(song.stems.vocals, song.stems.accompaniment)
