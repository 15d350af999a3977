"""Gains are drawn by straight lines, and mean the same to samples and to power curves."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.gains import GRAIN, STEP, along, flat, knot_times_s, knots, power_gain, through
from pipeline.types import SAMPLE_RATE


@pytest.mark.parametrize("length", [0, 1, 48, 49, 50, 441, 10_000])
def test_a_gain_reaches_over_the_whole_length(length: int) -> None:
    gain = flat(length, 0.25)
    assert gain.shape == (knots(length),)
    assert along(gain, 0, length).tolist() == [0.25] * length
    assert (knots(length) - 1) * STEP >= length


def test_any_stretch_is_a_part_of_the_whole() -> None:
    gain = np.random.default_rng(0).uniform(0.0, 2.0, knots(1000)).astype(np.float32)
    whole = along(gain, 0, 1000)
    for start, stop in ((0, 1000), (1, 2), (48, 99), (49, 98), (500, 500), (951, 1000)):
        assert np.array_equal(along(gain, start, stop), whole[start:stop])
    expected = np.interp(np.arange(1000), np.arange(knots(1000)) * STEP, gain)
    assert whole == pytest.approx(expected, abs=1e-6)


def test_a_gain_goes_through_the_middles_of_grains() -> None:
    factors = np.asarray([1.0, 2.0, 4.0, 3.0])
    heard = along(through(factors, 4 * GRAIN), 0, 4 * GRAIN)
    # A knot lies up to half a step from a middle.
    assert heard[GRAIN // 2 :: GRAIN] == pytest.approx(factors, abs=0.12)
    assert heard[0] == 1.0
    assert heard[-1] == 3.0
    assert knot_times_s(GRAIN).tolist() == pytest.approx([n / 900 for n in range(10)])


def test_power_gains_by_the_mean_of_the_square() -> None:
    length = SAMPLE_RATE
    gain = np.linspace(0.0, 2.0, knots(length), dtype=np.float32)
    squares = along(gain, 0, length).astype(np.float64) ** 2
    expected = squares.reshape(-1, GRAIN).mean(axis=1)
    assert power_gain(gain, 100) == pytest.approx(expected, abs=2e-3)
    assert power_gain(gain, 7).shape == (7,)
    assert power_gain(flat(10), 0).shape == (0,)
