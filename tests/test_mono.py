from __future__ import annotations

from typing import TYPE_CHECKING

import librosa
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
@pytest.mark.parametrize("length", [0, 1, 50_000])
def test_spectra_are_those_of_librosa(window: int, hop: int, length: int) -> None:
    mono = noise(length)[0]
    blocks = list(spectrogram(mono, window, hop))
    padded = np.pad(mono, window // 2)
    whole = np.abs(librosa.stft(padded, n_fft=window, hop_length=hop, center=False)).T
    assert [part.start for part, _ in blocks[1:]] == [part.stop for part, _ in blocks[:-1]]
    np.testing.assert_allclose(np.concatenate([rows for _, rows in blocks]), whole, atol=1e-4)
