from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr

from pipeline.mono import RATE, level_of, narrow, spectrogram
from pipeline.tapes import BLOCK, on_disk
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.types import Signal


def noise(length: int) -> Signal:
    return np.random.default_rng(length).normal(0.0, 0.1, (2, length)).astype(np.float32)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 101, BLOCK, 2 * BLOCK + 4321])
def test_a_song_narrowed_stretch_by_stretch_is_one_narrowed_whole(
    length: int, tmp_path: Path
) -> None:
    samples = noise(length)
    mono = narrow(samples)
    assert mono.dtype == np.float32
    whole = soxr.resample(samples.mean(axis=0), SAMPLE_RATE, RATE)
    np.testing.assert_allclose(mono, whole, atol=1e-6)
    assert np.array_equal(narrow(samples, on_disk(tmp_path)), mono)


def test_what_is_narrow_stays_as_it_is() -> None:
    mono = noise(100)[0]
    assert narrow(mono) is mono


def test_sides_cancel() -> None:
    samples = noise(SAMPLE_RATE)
    samples[1] = -samples[0]
    assert not narrow(samples).any()


@pytest.mark.parametrize(("length", "level"), [(0, 0.0), (10, 0.5), (2 * BLOCK + 7, 0.5)])
def test_level(length: int, level: float) -> None:
    wave = np.full(length, 0.5, dtype=np.float32)
    assert level_of(wave) == pytest.approx(level, rel=1e-5)


@pytest.mark.parametrize(("window", "hop"), [(1024, 220), (8192, 1024), (512, 600)])
@pytest.mark.parametrize("length", [0, 1, 50_000, 400_000])
def test_spectra_follow_each_other_without_seams(window: int, hop: int, length: int) -> None:
    mono = noise(length)[0]
    padded = np.pad(mono, window // 2 + hop)[hop:]
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    expected_next = 0
    for part, magnitudes in spectrogram(mono, window, hop):
        assert part.start == expected_next
        expected_next = part.stop
        assert magnitudes.shape == (part.stop - part.start, 1 + window // 2)
        for frame in (part.start, part.stop - 1):
            known = np.abs(np.fft.rfft(taper * padded[frame * hop : frame * hop + window]))
            np.testing.assert_allclose(magnitudes[frame - part.start], known, atol=1e-4)
    assert expected_next == 1 + length // hop
