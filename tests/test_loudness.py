from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.gains import along, knots
from pipeline.loudness import (
    gated_lufs,
    integrated_lufs,
    limiting_gain,
    measure,
    measure_with_peaks,
    short_term_lufs,
    sounding,
    true_peak_dbtp,
    vocals_to_backing_lu,
)
from pipeline.meters import PeakMeter
from pipeline.tapes import blocks
from pipeline.types import SAMPLE_RATE
from tests.songs import short_song, sine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import Signal


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def noise(duration_s: float, level: float, seed: int = 0) -> Signal:
    shape = (2, round(duration_s * SAMPLE_RATE))
    return np.random.default_rng(seed).normal(0.0, level, shape).astype(np.float32)


def silence(duration_s: float) -> Signal:
    return np.zeros((2, round(duration_s * SAMPLE_RATE)), dtype=np.float32)


def limited(samples: Signal, ceiling_dbtp: float) -> Signal:
    """Return the limiter's gain for every sample."""
    _, peaks = measure_with_peaks(blocks(samples))
    gain = limiting_gain(peaks, ceiling_dbtp)
    assert gain.shape == (knots(samples.shape[1]),)
    assert gain.dtype == np.float32
    return along(gain, 0, samples.shape[1])


@pytest.mark.parametrize("lufs", [-40.0, -23.0, -14.0, -3.0])
def test_a_997_hz_sine_on_both_sides_is_as_loud_as_its_peak(lufs: float) -> None:
    # EBU Tech 3341, test signals 1 and 2: 1 kHz with a peak of -23 dBFS measures -23 LUFS.
    samples = sine(997.0, 5.0, peak=10.0 ** (lufs / 20.0))
    assert integrated_lufs(samples) == pytest.approx(lufs, abs=0.1)


def test_a_sine_on_one_side_is_three_db_softer() -> None:
    # BS.1770 sums the power of the channels.
    samples = sine(997.0, 5.0, peak=0.1)
    samples[1] = 0.0
    assert integrated_lufs(samples) == pytest.approx(-23.0, abs=0.1)


def test_silence_between_is_gated_out() -> None:
    loud = sine(997.0, 5.0, peak=0.1)
    assert integrated_lufs(np.hstack([loud, silence(20.0), loud])) == pytest.approx(-20.0, abs=0.3)


def test_a_composed_song_is_as_loud_as_it_was_made() -> None:
    assert integrated_lufs(short_song(11, bpm=112.0, drift=0.0).mixture) == pytest.approx(
        -16.0, abs=0.1
    )


@pytest.mark.parametrize(
    "samples",
    [
        silence(0.0),
        silence(0.1),
        silence(5.0),
        sine(997.0, 0.39, peak=0.5),  # shorter than one block of 400 ms
        noise(5.0, 1e-5),  # below the absolute gate of -70 LUFS
    ],
    ids=["empty", "short and silent", "silent", "short", "below the gate"],
)
def test_what_has_no_loudness_is_minus_infinity(samples: Signal) -> None:
    assert integrated_lufs(samples) == float("-inf")


@pytest.mark.parametrize("seconds", [0.5, 3.0, 11.87])
@pytest.mark.parametrize("start_s", [0.0, 2.0])
def test_loudness_agrees_with_pyloudnorm(seconds: float, start_s: float) -> None:
    song = short_song(11, bpm=112.0, drift=0.0).mixture
    samples = song[:, round(start_s * SAMPLE_RATE) : round((start_s + seconds) * SAMPLE_RATE)]
    expected = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T)
    assert integrated_lufs(samples) == pytest.approx(expected, abs=0.05)


def test_a_gain_can_be_applied_to_the_power_instead() -> None:
    samples = short_song(11, bpm=112.0, drift=0.0).mixture
    assert gated_lufs(measure(samples) * 0.25) == pytest.approx(
        integrated_lufs(samples * np.float32(0.5)), abs=1e-3
    )


@pytest.mark.parametrize("size", [1, 440, 44_100, 100_000])
def test_what_is_measured_does_not_depend_on_the_blocks(size: int) -> None:
    samples = noise(0.05 if size == 1 else 3.0, 0.1)
    power, peaks = measure_with_peaks(blocks(samples, size))
    assert power == pytest.approx(measure(samples), rel=1e-3)
    assert peaks == pytest.approx(measure_with_peaks([samples])[1], rel=1e-3)
    assert len(peaks) == knots(samples.shape[1]) - 1


@pytest.mark.parametrize("level", [0.001, 0.05])
def test_short_term_levels_agree_with_pyloudnorm_on_steady_noise(level: float) -> None:
    samples = noise(6.0, level)
    levels = short_term_lufs(samples)
    assert levels.shape == (600,)
    integrated = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T)
    assert np.median(levels) == pytest.approx(integrated, abs=0.2)
    # The mean power is off by less than each window: both filters are the same.
    power = np.mean(10.0 ** (levels[50:-50] / 10.0))
    assert 10.0 * np.log10(power) == pytest.approx(integrated, abs=0.1)


def test_levels_of_silence_are_low_and_finite() -> None:
    assert short_term_lufs(silence(1.0)).max() < -100.0
    assert len(short_term_lufs(silence(0.0))) == 0


def test_a_peak_between_the_samples_is_found() -> None:
    # BS.1770-4, annex 2: a quarter-rate sine at 45 degrees has samples 3 dB below its peak.
    samples = sine(SAMPLE_RATE / 4, 1.0, peak=0.5, phase=np.pi / 4)
    faded = samples * np.hanning(samples.shape[1]).astype(np.float32)
    assert np.abs(faded).max() == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    assert true_peak_dbtp(faded) == pytest.approx(20 * np.log10(0.5), abs=0.1)


@pytest.mark.parametrize("start_s", [0.0, 4.0, 9.995, 10.0, 19.99])
def test_a_peak_is_found_wherever_it_is(start_s: float) -> None:
    samples = silence(20.0)
    # Three periods of a cosine under a window: a peak lies in the middle of both.
    burst = sine(441.0, 3 / 441, peak=0.8, phase=np.pi / 2) * np.hanning(300).astype(np.float32)
    start = min(round(start_s * SAMPLE_RATE), samples.shape[1] - burst.shape[1])
    samples[1, start : start + burst.shape[1]] = burst[1]
    assert true_peak_dbtp(samples) == pytest.approx(20 * np.log10(0.8), abs=0.3)


@pytest.mark.parametrize("duration_s", [0.0, 0.5, 11.0])
def test_silence_has_no_peak(duration_s: float) -> None:
    assert true_peak_dbtp(silence(duration_s)) == float("-inf")


@pytest.mark.parametrize("count", [2, 3, 100])
def test_a_few_samples_have_a_peak(count: int) -> None:
    peak_dbtp = true_peak_dbtp(np.full((2, count), 0.5, dtype=np.float32))
    assert -7.0 < peak_dbtp < -3.0


@settings(deadline=None, max_examples=15)
@given(
    level_db=st.floats(-30.0, 20.0),
    ceiling_dbtp=st.floats(-12.0, 0.0),
    seed=st.integers(0, 99),
    spikes=st.integers(0, 30),
)
def test_no_true_peak_passes_the_limiter(
    level_db: float, ceiling_dbtp: float, seed: int, spikes: int
) -> None:
    samples = noise(1.0, 0.1, seed)
    samples[:, np.random.default_rng(seed).integers(0, SAMPLE_RATE, spikes)] += 0.9
    samples *= np.float32(10.0 ** (level_db / 20.0))
    gain = limited(samples, ceiling_dbtp)
    assert gain.shape == (SAMPLE_RATE,)
    assert gain.dtype == np.float32
    assert gain.min() > 0
    assert gain.max() <= 1.0 + 1e-6
    assert true_peak_dbtp(samples * gain) <= ceiling_dbtp + 0.1


def test_the_limiter_leaves_alone_what_is_below_the_ceiling() -> None:
    samples = sine(440.0, 1.0, peak=0.5) * np.hanning(SAMPLE_RATE).astype(np.float32)
    assert limited(samples, -1.0) == pytest.approx(1.0, abs=1e-6)


def test_the_limiter_touches_only_the_neighbourhood_of_a_peak() -> None:
    samples = silence(1.0)
    samples[:, SAMPLE_RATE // 2] = 2.0
    gain = limited(samples, -1.0)
    changed = np.flatnonzero(gain < 0.9999)
    assert abs(changed - SAMPLE_RATE // 2).max() < 0.015 * SAMPLE_RATE
    # It comes down before the peak and has no jump that would click.
    assert np.abs(np.diff(gain)).max() < 0.01


@pytest.mark.parametrize("difference_lu", [-9.0, 0.0, 4.0])
def test_the_balance_of_two_layers(difference_lu: float) -> None:
    backing = sine(997.0, 8.0, peak=0.1)
    vocals = sine(997.0, 8.0, peak=0.1 * 10.0 ** (difference_lu / 20.0))
    vocals[:, : 4 * SAMPLE_RATE] = 0.0  # the pause must not count
    found = vocals_to_backing_lu(vocals, backing)
    assert found == pytest.approx(difference_lu, abs=0.3)


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_a_silent_layer_has_no_balance(seconds: float) -> None:
    tone = sine(997.0, seconds, peak=0.1)
    assert vocals_to_backing_lu(silence(seconds), tone) is None
    assert vocals_to_backing_lu(tone, silence(seconds)) is None


def test_layers_that_never_sound_together_have_no_balance() -> None:
    tone, rest = sine(997.0, 3.0, peak=0.1), silence(4.0)  # more than the window apart
    assert vocals_to_backing_lu(np.hstack([tone, rest]), np.hstack([rest, tone])) is None


def test_what_sounds_is_judged_by_its_own_loud_passages() -> None:
    levels = np.asarray([-50.0, -30.0, -12.0, -10.0, -10.0, -10.0, -29.0])
    assert sounding(levels).tolist() == [False, False, True, True, True, True, True]
    assert not sounding(np.full(10, -70.0)).any()
    assert sounding(np.zeros(0)).shape == (0,)


def test_peaks_that_do_not_matter_are_bounded_and_the_others_exact() -> None:
    rng = np.random.default_rng(3)
    samples = rng.normal(0.0, 0.1, (2, 3 * SAMPLE_RATE)).astype(np.float32)
    samples *= np.linspace(0.0, 1.0, samples.shape[1], dtype=np.float32)
    _, exact = measure_with_peaks(blocks(samples))
    _, rough = measure_with_peaks(blocks(samples), PeakMeter(0.3))
    assert np.all(rough >= exact - 1e-6)
    assert np.all(rough[exact > 0.3] == pytest.approx(exact[exact > 0.3], rel=1e-5))
    assert np.all(rough[exact <= 0.3] <= 0.31)
    assert np.any(rough != exact)
    _, highest = measure_with_peaks(blocks(samples), PeakMeter(rising=True))
    assert highest.max() == pytest.approx(exact.max(), rel=1e-5)
