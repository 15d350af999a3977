from __future__ import annotations

import librosa
import numpy as np
import pytest

from pipeline.filters import chroma_bank, mel_bank, mel_corners
from pipeline.mono import RATE


@pytest.mark.parametrize(
    ("window", "rows", "low_hz", "high_hz"),
    [(1024, 96, 27.0, 10_000.0), (512, 96, 27.0, 10_000.0), (8192, 40, 0.0, RATE / 2)],
)
def test_mel_bands_are_librosas(window: int, rows: int, low_hz: float, high_hz: float) -> None:
    known = librosa.filters.mel(sr=RATE, n_fft=window, n_mels=rows, fmin=low_hz, fmax=high_hz)
    np.testing.assert_allclose(mel_bank(window, rows, low_hz, high_hz).T, known, atol=1e-7)


@pytest.mark.parametrize(("low_hz", "high_hz"), [(27.0, 10_000.0), (30.0, 800.0), (2e3, 9e3)])
def test_mel_corners_are_librosas(low_hz: float, high_hz: float) -> None:
    known = librosa.mel_frequencies(33, fmin=low_hz, fmax=high_hz)
    np.testing.assert_allclose(mel_corners(33, low_hz, high_hz), known)


@pytest.mark.parametrize("window", [4096, 8192])
def test_pitch_classes_are_librosas(window: int) -> None:
    known = librosa.filters.chroma(sr=RATE, n_fft=window, tuning=0.0)
    found = chroma_bank(window).T
    np.testing.assert_allclose(found[:, 1:], known[:, 1:], atol=1e-6)
    assert np.abs(known[:, 0]).max() < 1e-3  # librosa gives 0 Hz a pitch far below all others
