from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.constant_q import HOP, OCTAVES, constant_q
from pipeline.mono import RATE

if TYPE_CHECKING:
    import numpy.typing as npt


def level_of_note(mono: npt.NDArray[np.float32], hz: float, frame: int) -> float:
    """Measure one bin of 36 to the octave by the definition, at the full rate."""
    step = 2.0 ** (2 / 36)
    length = (step + 1) / (step - 1) * RATE / hz
    at = np.arange(-int(length / 2), int(length / 2) + 1)
    taper = 0.5 + 0.5 * np.cos(2 * np.pi * at / length)
    wave = taper * np.exp(-2j * np.pi * hz * at / RATE)
    heard = np.pad(mono, RATE)[RATE + frame * HOP + at]
    return float(np.sqrt(length) * np.abs(heard @ wave) / taper.sum())


@pytest.mark.parametrize("tuning", [0.0, -0.45, 0.3])
def test_levels_are_those_of_the_definition(tuning: float) -> None:
    mono = np.random.default_rng(0).normal(0.0, 0.1, 12 * RATE).astype(np.float32)
    found = constant_q(mono, 36, tuning)
    for bin_, frame in itertools.product(range(0, 36 * OCTAVES, 5), (0, 31, 64, 128)):
        hz = 440.0 * 2.0 ** ((bin_ / 3 + tuning - 45) / 12)
        assert found[frame, bin_] == pytest.approx(level_of_note(mono, hz, frame), abs=0.004)
    assert found.mean() > 0.05


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
