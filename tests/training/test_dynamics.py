from __future__ import annotations

import numpy as np
import pytest

from pipeline.types import SAMPLE_RATE
from training.dynamics import compressor_gain, limiter_gain, pump_gain


def test_a_steady_sound_is_compressed_by_the_ratio() -> None:
    # 12 dB above the threshold at 4 to 1 leaves 3 dB of them.
    loud = np.full((2, SAMPLE_RATE), 10 ** (-8 / 20), dtype=np.float32)
    gain = compressor_gain(loud, threshold_db=-20, ratio=4)
    assert gain.dtype == np.float32
    assert 20 * np.log10(gain[-1]) == pytest.approx(-9.0, abs=0.05)
    assert gain[0] > gain[SAMPLE_RATE // 50] > gain[-1]


def test_a_sound_below_the_threshold_is_left_alone() -> None:
    quiet = np.full((2, 5000), 0.05, dtype=np.float32)
    np.testing.assert_array_equal(compressor_gain(quiet, threshold_db=-20, ratio=4), 1.0)


@pytest.mark.parametrize("length", [1, 64, 1000, 50_000])
def test_a_limiter_lets_nothing_over_its_ceiling(length: int) -> None:
    rng = np.random.default_rng(length)
    sound = rng.normal(0, 0.6, (2, length)).astype(np.float32)
    sound[:, rng.integers(length, size=3)] *= 5
    gain = limiter_gain(sound, 0.9)
    assert gain.shape == (length,)
    assert np.abs(sound * gain).max() <= 0.9 + 1e-6
    assert gain.max() <= 1.0


def test_a_limiter_leaves_what_is_under_its_ceiling() -> None:
    np.testing.assert_array_equal(limiter_gain(np.full((2, 9000), 0.5, np.float32), 0.9), 1.0)


def test_a_side_chain_ducks_on_each_beat_and_comes_back() -> None:
    gain = pump_gain(2 * SAMPLE_RATE, [0.0, 1.0], 0.8, 0.5)
    for beat in (0, SAMPLE_RATE):
        assert gain[beat + 200 : beat + 2000].min() == pytest.approx(0.2, abs=0.01)
        np.testing.assert_allclose(gain[beat + SAMPLE_RATE // 2 : beat + SAMPLE_RATE], 1.0)
    assert np.abs(np.diff(gain)).max() < 0.02  # no clicks
