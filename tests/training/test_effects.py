from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.types import SAMPLE_RATE
from training import effects
from training.arrays import single
from training.effects import filtered, pan

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from pipeline.types import Signal

    Effect: TypeAlias = Callable[[Signal, np.random.Generator], Signal]

EFFECTS = (
    effects.band_limit,
    effects.chorus,
    effects.compress,
    effects.echo,
    effects.equalise,
    effects.guitar_amp,
    effects.room_reverb,
    effects.saturate,
    effects.talk_box,
    effects.widen,
)

every_effect = pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.__name__)


def noise(seconds: float = 1.5) -> Signal:
    samples = np.random.default_rng(5).normal(0, 0.1, (2, int(seconds * SAMPLE_RATE)))
    return single(samples)


def sine(hz: float, seconds: float = 0.5) -> Signal:
    wave = np.sin(2 * np.pi * hz * np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE)
    return single([wave, wave])


def level_db(signal: Signal) -> float:
    settled = signal[:, signal.shape[1] // 2 :]
    return float(20 * np.log10(np.sqrt(2 * np.mean(settled**2))))


@every_effect
def test_an_effect_returns_a_new_sound_of_the_same_shape(effect: Effect) -> None:
    sound = noise()
    before = sound.copy()
    out = effect(sound, np.random.default_rng(3))
    assert out.dtype == np.float32
    assert out.shape == sound.shape
    assert np.isfinite(out).all()
    np.testing.assert_array_equal(sound, before)
    assert np.abs(out - sound).max() > 0.001


@every_effect
def test_the_seed_decides(effect: Effect) -> None:
    once, again, other = (effect(noise(), np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@every_effect
@pytest.mark.parametrize("length", [1, 300])
def test_silence_stays_silence(effect: Effect, length: int) -> None:
    for seed in range(6):
        silence = np.zeros((2, length), dtype=np.float32)
        out = effect(silence, np.random.default_rng(seed))
        np.testing.assert_array_equal(out, silence)


@pytest.mark.parametrize(
    "effect", [effects.compress, effects.guitar_amp, effects.saturate, effects.talk_box]
)
def test_what_distorts_keeps_the_level(effect: Effect) -> None:
    for seed in range(4):
        out = effect(noise(), np.random.default_rng(seed))
        assert np.sqrt(np.mean(out**2)) == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("hz", "gain_db"), [(100, -40.0), (1000, -3.0), (4000, 0.0), (10_000, -3.0), (20_000, -25.0)]
)
def test_a_filter_is_a_butterworth_of_its_order(hz: float, gain_db: float) -> None:
    out = filtered(sine(hz), low_hz=1000, high_hz=10_000, order=2)
    if gain_db < -20:
        assert level_db(out) <= gain_db + 1
    else:
        assert level_db(out) == pytest.approx(gain_db, abs=0.25)


def test_a_filter_without_cutoffs_lets_everything_through() -> None:
    np.testing.assert_array_equal(filtered(noise()), noise())


@pytest.mark.parametrize(
    ("place", "left", "right"), [(-1, np.sqrt(2), 0), (0, 1, 1), (1, 0, np.sqrt(2))]
)
def test_panning_keeps_the_power(place: float, left: float, right: float) -> None:
    out = pan(sine(440), place)
    peaks = np.abs(out).max(axis=1)
    np.testing.assert_allclose(peaks, [left, right], atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "centre_hz", "probe_hz"),
    [("bell", 1000, 1000), ("low shelf", 400, 40), ("high shelf", 3000, 15_000)],
)
def test_an_equaliser_band_raises_what_it_says(
    shape: effects.Shape, centre_hz: float, probe_hz: float
) -> None:
    band = effects._biquad(shape, centre_hz, 6.0, 1.0)
    z = np.exp(2j * np.pi * probe_hz / SAMPLE_RATE)
    response = np.polyval(band[:3], z) / np.polyval(band[3:], z)
    assert 20 * np.log10(abs(response)) == pytest.approx(6.0, abs=0.15)


def test_a_room_rings_after_the_sound_and_dies_away() -> None:
    click = np.zeros((2, 2 * SAMPLE_RATE), dtype=np.float32)
    click[:, 100] = 1.0
    out = effects.room_reverb(click, np.random.default_rng(2), longest_s=0.5)
    assert np.abs(out[:, :100]).max() < 1e-6  # but for the rounding of a fast convolution
    tenth = SAMPLE_RATE // 10
    energy = [float(np.sum(out[:, 101 + n * tenth : 101 + (n + 1) * tenth] ** 2)) for n in range(6)]
    assert energy[0] > 0.001
    assert energy[0] > 3 * energy[2]
    assert energy[5] < 1e-6
