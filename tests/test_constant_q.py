from __future__ import annotations

import librosa
import numpy as np
import pytest

from pipeline.constant_q import HOP, OCTAVES, constant_q
from pipeline.mono import RATE


@pytest.mark.parametrize("tuning", [0.0, -0.45, 0.3])
def test_it_is_librosas(tuning: float) -> None:
    mono = np.random.default_rng(0).normal(0.0, 0.1, 12 * RATE).astype(np.float32)
    found = constant_q(mono, 36, tuning)
    known = librosa.cqt(
        mono,
        sr=RATE,
        hop_length=HOP,
        fmin=librosa.note_to_hz("C1"),
        n_bins=36 * OCTAVES,
        bins_per_octave=36,
        tuning=3 * tuning,
    )
    away = found - np.abs(known).T
    by_bin = np.sqrt(np.mean(away**2, axis=0) / np.mean(np.abs(known) ** 2, axis=1))
    assert by_bin.max() < 0.02


@pytest.mark.parametrize("note", [0, 31, 57, 83])
def test_a_tone_is_heard_on_its_note(note: int) -> None:
    hz = 440.0 * 2.0 ** ((note + 0.2 - 45) / 12)  # 0 is C1
    tone = 0.3 * np.sin(2 * np.pi * hz * np.arange(5 * RATE) / RATE)
    levels = constant_q(tone.astype(np.float32), 12, 0.2)
    inner = levels[10:-10]
    assert set(inner.argmax(axis=1)) == {note}
    assert inner[:, note] == pytest.approx(np.median(inner[:, note]), rel=0.05)


def test_a_long_song_has_no_seam() -> None:
    tone = np.sin(2 * np.pi * 65.406 * np.arange(100 * RATE) / RATE).astype(np.float32)
    levels = constant_q(tone, 12, 0.0)
    assert levels.shape == (1 + len(tone) // HOP, 84)
    assert levels[20:-20, 12] == pytest.approx(levels[100, 12], rel=1e-3)
    assert levels[20:-20, 40:].max() < 1e-2 * levels[100, 12]


@pytest.mark.parametrize("length", [0, 1, RATE])
def test_silence(length: int) -> None:
    assert not constant_q(np.zeros(length, dtype=np.float32), 36, 0.0).any()
