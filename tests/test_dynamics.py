from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.signal

from pipeline import dynamics
from pipeline.dynamics import MOST_RIDE_DB
from pipeline.layers import layer_of
from pipeline.loudness import vocals_to_backing_lu
from pipeline.types import SAMPLE_RATE
from tests.songs import sine

if TYPE_CHECKING:
    from pipeline.types import Signal


def pink(duration_s: float, *, rms_db: float, seed: int = 0) -> Signal:
    random = np.random.default_rng(seed)
    count = round(duration_s * SAMPLE_RATE)
    spectrum = np.fft.rfft(random.standard_normal((2, count)))
    spectrum /= np.sqrt(np.maximum(np.arange(spectrum.shape[1]), 50.0))
    noise = np.fft.irfft(spectrum, count)
    noise *= 10 ** (rms_db / 20) / np.sqrt(np.mean(noise**2))
    return noise.astype(np.float32)


def phrases(*levels_db: float | None, phrase_s: float = 4.0) -> Signal:
    """Return one tone after another at these peak levels; None is a phrase of silence."""
    parts = [
        sine(440.0, phrase_s, peak=0.0 if level is None else 10 ** (level / 20))
        for level in levels_db
    ]
    return np.concatenate(parts, axis=1)


def level_frames(vocals: Signal, backing: Signal, wanted_lu: float) -> Signal:
    return dynamics.level_frames(layer_of(vocals), layer_of(backing), wanted_lu)[:, :]


def duck(accompaniment: Signal, vocals: Signal, depth_db: float) -> Signal:
    return dynamics.duck(layer_of(accompaniment), layer_of(vocals), depth_db)[:, :]


def rms_db(signal: Signal, start_s: float, stop_s: float) -> float:
    part = signal[:, round(start_s * SAMPLE_RATE) : round(stop_s * SAMPLE_RATE)]
    return 10 * float(np.log10(np.mean(part.astype(np.float64) ** 2) + 1e-20))


def band_db(signal: Signal, hz: tuple[float, float], start_s: float, stop_s: float) -> float:
    part = signal[0, round(start_s * SAMPLE_RATE) : round(stop_s * SAMPLE_RATE)]
    frequency, power = scipy.signal.welch(part, SAMPLE_RATE, nperseg=8192)
    inside = (frequency > hz[0]) & (frequency < hz[1])
    return 10 * float(np.log10(power[inside].sum()))


@pytest.mark.parametrize("balance_lu", [-6.0, 1.0, 6.0])
def test_the_balance_holds_overall(balance_lu: float) -> None:
    vocals, backing = phrases(-20.0, -12.0, None, -26.0, -14.0), pink(20.0, rms_db=-20.0)
    levelled = level_frames(vocals, backing, balance_lu)
    assert vocals_to_backing_lu(levelled, backing) == pytest.approx(balance_lu, abs=0.5)


def test_a_quiet_phrase_rises_and_a_loud_one_falls() -> None:
    vocals, backing = phrases(-12.0, -20.0, -12.0), pink(12.0, rms_db=-20.0)
    levelled = level_frames(vocals, backing, 1.0)
    apart = rms_db(levelled, 1.0, 3.0) - rms_db(levelled, 5.0, 7.0)
    assert rms_db(vocals, 1.0, 3.0) - rms_db(vocals, 5.0, 7.0) == pytest.approx(8.0, abs=0.1)
    assert abs(apart) < 2.0


def test_a_swell_of_the_backing_lifts_the_voice() -> None:
    vocals = phrases(-14.0, -14.0)
    backing = np.concatenate([pink(4.0, rms_db=-26.0), pink(4.0, rms_db=-18.0)], axis=1)
    levelled = level_frames(vocals, backing, 1.0)
    assert rms_db(levelled, 5.0, 7.0) - rms_db(levelled, 1.0, 3.0) == pytest.approx(8.0, abs=2.0)


def test_one_level_all_along_gets_one_gain() -> None:
    vocals, backing = phrases(-20.0, -20.0, -20.0), pink(12.0, rms_db=-20.0)
    gain = level_frames(vocals, backing, 1.0)[0] / np.where(vocals[0] == 0, 1.0, vocals[0])
    loud = np.abs(vocals[0]) > 0.05
    assert 20 * np.log10(gain[loud].max() / gain[loud].min()) < 1.0


def test_residue_in_a_long_pause_is_not_raised_with_the_quiet_phrases_around_it() -> None:
    residue = sine(440.0, 10.0, peak=10 ** (-55 / 20))
    vocals = np.concatenate([phrases(-10.0), phrases(-18.0), residue, phrases(-18.0)], axis=1)
    backing = pink(vocals.shape[1] / SAMPLE_RATE, rms_db=-20.0)
    levelled = level_frames(vocals, backing, 1.0)
    loud, quiet, pause = (
        rms_db(levelled, a, b) - rms_db(vocals, a, b) for a, b in ((1, 3), (5, 7), (12, 14))
    )
    assert loud < quiet - 4.0
    assert loud < pause < quiet - 2.0


def test_the_gain_never_goes_far_from_that_of_the_song() -> None:
    vocals, backing = phrases(-2.0, -20.0, -2.0), pink(12.0, rms_db=-20.0)
    backing[:, 4 * SAMPLE_RATE : 8 * SAMPLE_RATE] *= 10 ** (8 / 20)
    levelled = level_frames(vocals, backing, 1.0)
    gains = [rms_db(levelled, a, b) - rms_db(vocals, a, b) for a, b in ((1, 2), (5.5, 6.5))]
    assert MOST_RIDE_DB < gains[1] - gains[0] <= 2 * MOST_RIDE_DB + 0.1


def test_silence_stays_silent() -> None:
    vocals, backing = phrases(-12.0, None, -20.0), pink(12.0, rms_db=-20.0)
    levelled = level_frames(vocals, backing, 1.0)
    assert not levelled[:, 4 * SAMPLE_RATE : 8 * SAMPLE_RATE].any()


def test_the_gain_moves_without_clicks() -> None:
    vocals, backing = phrases(-10.0, -24.0, None, -10.0), pink(16.0, rms_db=-20.0)
    levelled = level_frames(vocals, backing, 1.0)
    # Gains are at most 9 dB apart and take a second to change: 1 dB from one 10 ms to the next
    # would be a fault, and a click far more.
    inside = np.abs(vocals[0]) > 0.01
    gain = 20 * np.log10(levelled[0, inside] / vocals[0, inside])
    here = np.flatnonzero(inside)
    near = np.diff(here) < 200
    assert np.abs(np.diff(gain)[near]).max() < 0.1


@pytest.mark.parametrize("length", [0, 1, 4410, 3 * SAMPLE_RATE])
@pytest.mark.parametrize("silent", ["vocals", "backing", "both"])
def test_what_never_sounds_together_stays_as_it_is(length: int, silent: str) -> None:
    tone = sine(440.0, 3.0, peak=0.1)[:, :length]
    vocals = tone if silent == "backing" else np.zeros_like(tone)
    backing = tone if silent == "vocals" else np.zeros_like(tone)
    np.testing.assert_array_equal(level_frames(vocals, backing, 1.0), vocals)
    np.testing.assert_array_equal(duck(vocals, np.zeros_like(tone), 6.0), vocals)


def test_ducking_by_nothing_gives_the_input() -> None:
    backing = layer_of(pink(2.0, rms_db=-20.0))
    assert dynamics.duck(backing, layer_of(sine(440.0, 2.0, peak=0.3)), 0.0) is backing


def test_ducking_goes_on_from_the_gain_that_a_layer_has() -> None:
    backing, vocals = pink(3.0, rms_db=-20.0), sine(440.0, 3.0, peak=0.3)
    halved = dynamics.duck(layer_of(backing) * 0.5, layer_of(vocals), 6.0)
    np.testing.assert_allclose(halved[:, :], 0.5 * duck(backing, vocals, 6.0), atol=1e-6)
    np.testing.assert_allclose(halved.power, layer_of(halved[:, :]).power)


@pytest.mark.parametrize("depth_db", [3.0, 6.0])
def test_the_band_is_ducked_by_what_was_asked_for(depth_db: float) -> None:
    backing = pink(8.0, rms_db=-20.0)
    vocals = np.concatenate([sine(440.0, 5.0, peak=0.3), np.zeros((2, 3 * SAMPLE_RATE))], axis=1)
    ducked = duck(backing, vocals.astype(np.float32), depth_db)

    def fall(hz: tuple[float, float], start_s: float, stop_s: float) -> float:
        return band_db(backing, hz, start_s, stop_s) - band_db(ducked, hz, start_s, stop_s)

    assert fall((400.0, 2800.0), 1.0, 4.0) == pytest.approx(depth_db, abs=1.0)
    assert fall((20.0, 220.0), 1.0, 4.0) == pytest.approx(0.0, abs=0.1)
    assert fall((3300.0, 20_000.0), 1.0, 4.0) == pytest.approx(0.0, abs=0.1)
    # Released: five time constants after the last note.
    assert fall((400.0, 2800.0), 6.6, 8.0) == pytest.approx(0.0, abs=0.2)


def test_ducking_sets_in_with_the_voice_and_lets_go_slowly() -> None:
    backing = sine(1000.0, 6.0, peak=0.2)
    vocals = np.zeros_like(backing)
    vocals[:, 2 * SAMPLE_RATE : 4 * SAMPLE_RATE] = sine(440.0, 2.0, peak=0.3)
    ducked = duck(backing, vocals, 6.0)
    assert rms_db(backing, 1.0, 1.9) - rms_db(ducked, 1.0, 1.9) < 0.1
    assert rms_db(backing, 2.15, 3.9) - rms_db(ducked, 2.15, 3.9) == pytest.approx(6.0, abs=0.7)
    assert 1.0 < rms_db(backing, 4.2, 4.4) - rms_db(ducked, 4.2, 4.4) < 5.0


def test_ducking_moves_nothing_in_time() -> None:
    backing, vocals = pink(3.0, rms_db=-20.0), sine(440.0, 3.0, peak=0.3)
    ducked = duck(backing, vocals, 6.0)
    around = scipy.signal.correlate(ducked[0], backing[0], mode="same", method="fft")
    assert np.argmax(around) == backing.shape[1] // 2


def test_blocks_leave_no_seam() -> None:
    backing, vocals = sine(1000.0, 41.0, peak=0.2), sine(440.0, 41.0, peak=0.3)
    ducked = duck(backing, vocals, 6.0)
    steady = ducked[0, 2 * SAMPLE_RATE : 40 * SAMPLE_RATE]
    lower = backing[0, 2 * SAMPLE_RATE : 40 * SAMPLE_RATE] * 10 ** (-6 / 20)
    np.testing.assert_allclose(steady, lower, atol=2e-3)
