from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage
import scipy.signal

import pipeline.warp
from pipeline.errors import Cancelled
from pipeline.formants import restore_formants
from pipeline.grids import apply_warp
from pipeline.tapes import on_disk
from pipeline.types import SAMPLE_RATE, LayerPlan, WarpMap
from pipeline.warp import warp
from tests.songs import clicks, sine

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.types import Signal

pytestmark = pytest.mark.slow

Array: TypeAlias = npt.NDArray[np.float64]

IDENTITY = WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0))


def steady(rate: float, *, at_s: float = 0.0) -> WarpMap:
    """Return the map that plays a stem `rate` times as fast, from `at_s` on."""
    return WarpMap(source_s=(0.0, rate), target_s=(at_s, at_s + 1.0))


def wandering(duration_s: float, *, bend: float, every_s: float) -> WarpMap:
    """Return a map whose rate changes at each anchor, by up to `bend` either way."""
    source = np.arange(0.0, duration_s + every_s, every_s)
    rates = 1.0 + bend * np.cos(2.4 * np.arange(len(source) - 1))
    target = np.concatenate([[0.0], np.cumsum(np.diff(source) / rates)])
    return WarpMap(source_s=tuple(source.tolist()), target_s=tuple(target.tolist()))


def run(
    stem: Signal,
    warp_map: WarpMap,
    length_s: float,
    *,
    semitones: float = 0.0,
    keep_formants: bool = False,
) -> Signal:
    layer = LayerPlan(warp=warp_map, semitones=semitones)
    return warp(stem, layer, length_s, lambda _: None, keep_formants=keep_formants)


def level_db(samples: Signal, window_s: float) -> Array:
    """Return the level at every sample, averaged over a window, in dB."""
    power = (samples.astype(np.float64) ** 2).mean(axis=0)
    smooth = scipy.ndimage.uniform_filter1d(power, round(window_s * SAMPLE_RATE))
    return np.asarray(10.0 * np.log10(np.maximum(smooth, 1e-12)))


def pitch_hz(samples: Signal) -> float:
    """Return the frequency of a sine, from the peak of its padded spectrum."""
    size = 1 << 20
    spectrum = np.abs(np.fft.rfft(samples[0] * np.hanning(samples.shape[1]), size))
    return float(spectrum.argmax() * SAMPLE_RATE / size)


@pytest.mark.parametrize("length_s", [0.0, 0.0001, 0.7, 3.0, 5.4321])
@pytest.mark.parametrize("warp_map", [IDENTITY, steady(1.1), wandering(4.0, bend=0.1, every_s=0.5)])
def test_length_is_exact(length_s: float, warp_map: WarpMap) -> None:
    out = run(sine(300.0, 4.0, peak=0.1), warp_map, length_s)
    assert out.shape == (2, round(length_s * SAMPLE_RATE))
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_what_stays_as_it_is_stays_bit_for_bit() -> None:
    stem = np.random.default_rng(0).normal(0.0, 0.1, (2, 2 * SAMPLE_RATE)).astype(np.float32)
    assert np.array_equal(run(stem, IDENTITY, 2.0), stem)
    moved = run(stem, steady(1.0, at_s=0.5), 2.0)
    half = SAMPLE_RATE // 2
    assert np.array_equal(moved[:, half:], stem[:, : moved.shape[1] - half])
    assert not moved[:, :half].any()


@pytest.mark.parametrize(
    "warp_map",
    [
        steady(0.8),
        steady(0.97, at_s=0.4),
        steady(1.03),
        steady(1.25),
        wandering(10.0, bend=0.04, every_s=0.5),
        wandering(10.0, bend=0.15, every_s=2.0),
    ],
)
@pytest.mark.parametrize("semitones", [0.0, 2.0])
def test_onsets_are_heard_when_the_map_says(warp_map: WarpMap, semitones: float) -> None:
    stem_s = 10.0
    onsets = np.arange(0.5, 9.5, 0.5)  # as close as beats at 120 BPM
    expected = apply_warp(warp_map, onsets)
    length_s = float(apply_warp(warp_map, np.asarray([stem_s]))[0])
    out = run(clicks(onsets, stem_s), warp_map, length_s, semitones=semitones)
    found = []
    energy = scipy.ndimage.uniform_filter1d((out**2).mean(axis=0), 44)
    for time_s in expected:
        low = round((time_s - 0.06) * SAMPLE_RATE)
        part = energy[low : low + round(0.12 * SAMPLE_RATE)]
        found.append((low + int(part.argmax())) / SAMPLE_RATE)
    away_ms = 1e3 * (np.asarray(found) - expected)
    assert np.abs(away_ms).max() < 3.0


@pytest.mark.parametrize("semitones", [-6.0, -3.0, -1.0, 1.0, 2.0, 6.0])
@pytest.mark.parametrize("rate", [1.0, 0.9, 1.12])
# The stretcher works on bands of some 10 Hz: it is a little less exact in the bass.
@pytest.mark.parametrize(("hz", "cents"), [(1000.0, 5.0), (220.0, 12.0)])
def test_pitch_moves_as_asked(semitones: float, rate: float, hz: float, cents: float) -> None:
    out = run(sine(hz, 3.0, peak=0.3), steady(rate), 2.4, semitones=semitones)
    middle = out[:, SAMPLE_RATE // 2 : 2 * SAMPLE_RATE]
    wanted = hz * 2.0 ** (semitones / 12.0)
    assert abs(1200.0 * np.log2(pitch_hz(middle) / wanted)) < cents
    assert level_db(middle, 0.05).mean() == pytest.approx(20 * np.log10(0.3 / np.sqrt(2)), abs=1.0)


def vowel(pitch: float, duration_s: float) -> Signal:
    """Sing an "a" of one pitch: a pulse train through three formants."""
    count = round(duration_s * SAMPLE_RATE)
    pulses = np.zeros(count)
    pulses[np.round(np.arange(0, count, SAMPLE_RATE / pitch)).astype(int)[:-1]] = 1.0
    for formant_hz, width_hz in ((700.0, 90.0), (1220.0, 110.0), (2600.0, 160.0)):
        radius = np.exp(-np.pi * width_hz / SAMPLE_RATE)
        angle = 2 * np.pi * formant_hz / SAMPLE_RATE
        pulses = scipy.signal.lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], pulses)
    wave = 0.3 * pulses / np.abs(pulses).max()
    return np.asarray([wave, wave], dtype=np.float32)


def envelope_db(samples: Signal, pitch: float) -> Array:
    """Return the levels of the harmonics, read at every 50 Hz from 300 to 3300 Hz, mean 0 dB."""
    frequency, power = scipy.signal.welch(samples[0], SAMPLE_RATE, nperseg=16384)
    harmonics = np.arange(1, int(3500 / pitch) + 1) * pitch
    peaks = [power[np.abs(frequency - hz) < 0.3 * pitch].max() for hz in harmonics]
    envelope = np.interp(np.arange(300, 3300, 50), harmonics, 10.0 * np.log10(peaks))
    return np.asarray(envelope - envelope.mean())


@pytest.mark.parametrize("semitones", [-3.0, -2.0, 2.0, 3.0])
@pytest.mark.parametrize("pitch", [110.0, 220.0])
def test_formants_stay_about_where_they_were(semitones: float, pitch: float) -> None:
    stem, new_pitch = vowel(pitch, 3.0), pitch * 2.0 ** (semitones / 12.0)
    before = envelope_db(stem, pitch)
    moved, kept = (
        run(stem, IDENTITY, 3.0, semitones=semitones, keep_formants=keep) for keep in (False, True)
    )
    changed, restored = (
        float(np.std(envelope_db(out, new_pitch) - before)) for out in (moved, kept)
    )
    assert restored < 0.6 * changed


def test_keeping_formants_moves_the_pitch_all_the_same() -> None:
    stem = vowel(110.0, 4.0)
    out = run(stem, IDENTITY, 4.0, semitones=3.0, keep_formants=True)
    frequency, power = scipy.signal.welch(out[0], SAMPLE_RATE, nperseg=32768)
    low = (frequency > 80) & (frequency < 180)
    assert frequency[low][power[low].argmax()] == pytest.approx(110.0 * 2**0.25, abs=1.5)
    assert np.std(out) == pytest.approx(np.std(stem), rel=0.3)


@pytest.mark.parametrize("bend", [0.02, 0.1])
@pytest.mark.parametrize("semitones", [0.0, 2.0])
def test_a_held_chord_has_no_holes_at_the_joints(bend: float, semitones: float) -> None:
    chord = sum(sine(hz, 10.0, peak=0.1) for hz in (220.0, 277.18, 329.63))
    assert not isinstance(chord, int)
    out = run(chord, wandering(10.0, bend=bend, every_s=0.5), 9.0, semitones=semitones)
    level = level_db(out, 0.06)[round(0.2 * SAMPLE_RATE) : round(8.5 * SAMPLE_RATE)]
    assert level.min() > np.median(level) - 1.5
    assert level.max() < np.median(level) + 1.5


def test_outside_the_stem_there_is_silence() -> None:
    stem = sine(440.0, 2.0, peak=0.5)
    out = run(stem, steady(1.05, at_s=1.0), 5.0)
    assert np.abs(out[:, : round(0.85 * SAMPLE_RATE)]).max() < 1e-3
    assert np.abs(out[:, round(3.1 * SAMPLE_RATE) :]).max() < 1e-3
    assert np.abs(out[:, round(1.2 * SAMPLE_RATE) : round(2.7 * SAMPLE_RATE)]).max() > 0.4


def test_a_map_that_starts_within_the_stem() -> None:
    stem = clicks([0.5, 1.5, 2.5], 3.0)
    out = run(stem, steady(1.0, at_s=-1.0), 3.0)
    assert np.flatnonzero(out[0])[0] == SAMPLE_RATE // 2
    assert np.array_equal(out[:, : 2 * SAMPLE_RATE], stem[:, SAMPLE_RATE:])


def test_progress_rises_to_one() -> None:
    told: list[float] = []
    warp_map = wandering(4.0, bend=0.05, every_s=1.0)
    warp(sine(300.0, 4.0, peak=0.1), LayerPlan(warp=warp_map), 4.0, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 3


def test_a_cancelled_warp_stops() -> None:
    def cancel(_: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        warp(sine(300.0, 1.0, peak=0.1), LayerPlan(warp=IDENTITY), 1.0, cancel)


@pytest.mark.parametrize("semitones", [0.0, 3.0])
def test_silence_stays_silent(semitones: float) -> None:
    stem = np.zeros((2, 2 * SAMPLE_RATE), dtype=np.float32)
    out = run(stem, steady(0.9), 2.0, semitones=semitones, keep_formants=True)
    assert not out.any()


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Divide after 2 s instead of 20 s."""
    monkeypatch.setattr(pipeline.warp, "_LONGEST", 2 * SAMPLE_RATE)
    monkeypatch.setattr(pipeline.warp, "_CHOICE", SAMPLE_RATE)


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("rate", [0.97, 1.002, 1.04])
@pytest.mark.parametrize(("hz", "semitones"), [(440.0, 0.0), (1000.0, 2.0)])
def test_a_tone_goes_on_evenly_where_a_long_piece_is_divided(
    hz: float, semitones: float, rate: float
) -> None:
    out = run(sine(hz, 10.0, peak=0.3), steady(rate), 9.0, semitones=semitones)
    inside = slice(SAMPLE_RATE // 2, 8 * SAMPLE_RATE)
    level = level_db(out, 0.02)[inside]
    assert np.abs(level - np.median(level)).max() < 0.1
    phase = np.unwrap(np.angle(scipy.signal.hilbert(out[0])))[inside]
    steps_hz = np.diff(phase) * SAMPLE_RATE / (2 * np.pi)
    steps_hz = scipy.ndimage.uniform_filter1d(steps_hz, 882)[882:-882]
    assert np.abs(steps_hz - np.median(steps_hz)).max() < 1.0


@pytest.mark.usefixtures("short_pieces")
@pytest.mark.parametrize("semitones", [0.0, 2.0])
def test_onsets_stay_in_time_where_a_long_piece_is_divided(semitones: float) -> None:
    onsets = np.arange(0.5, 9.5, 0.25)
    out = run(clicks(onsets, 10.0), steady(1.04), 9.0, semitones=semitones)
    energy = scipy.ndimage.uniform_filter1d((out**2).mean(axis=0), 9)
    for time_s in onsets[onsets < 9.0] / 1.04:
        low = round((time_s - 0.06) * SAMPLE_RATE)
        found = low + int(energy[low : low + 2 * 2646].argmax())
        assert abs(found / SAMPLE_RATE - time_s) < 1e-3


@pytest.mark.usefixtures("short_pieces")
def test_what_stays_as_it_is_stays_bit_for_bit_in_many_pieces() -> None:
    stem = np.random.default_rng(0).normal(0.0, 0.1, (2, 7 * SAMPLE_RATE)).astype(np.float32)
    assert np.array_equal(run(stem, IDENTITY, 7.0), stem)


def test_long_silence_is_not_rendered_and_what_lies_around_it_is() -> None:
    stem = sine(440.0, 8.0, peak=0.5)
    stem[:, 2 * SAMPLE_RATE : 6 * SAMPLE_RATE] = 0.0
    out = run(stem, steady(1.05), 7.0, semitones=1.0)
    edges = [round(time_s * SAMPLE_RATE / 1.05) for time_s in (2.0, 2.25, 5.75, 6.0)]
    assert not out[:, edges[1] + 1 : edges[2] - 1].any()
    level = level_db(out, 0.05)
    loud = level[SAMPLE_RATE]
    assert level[edges[0] - 4410] == pytest.approx(loud, abs=0.5)
    assert level[edges[3] + 4410] == pytest.approx(loud, abs=0.5)
    assert level[edges[1] - 2205] < loud - 60.0


def test_signals_on_disk_are_warped_alike(tmp_path: Path) -> None:
    blank = on_disk(tmp_path)
    stem = sine(300.0, 4.0, peak=0.3)
    stored = blank(stem.shape[1])
    stored[:] = stem
    layer = LayerPlan(warp=wandering(4.0, bend=0.05, every_s=1.0), semitones=2.0)
    out = warp(stored, layer, 4.0, lambda _: None, keep_formants=True, blank=blank)
    expected = warp(stem, layer, 4.0, lambda _: None, keep_formants=True)
    assert not out.flags.owndata
    assert np.array_equal(out, expected)


@pytest.mark.parametrize("length", [0, 1, 2047, 65_536, 200_001])
def test_formants_that_need_not_move_change_nothing(length: int) -> None:
    voice = np.random.default_rng(1).normal(0.0, 0.1, (2, length)).astype(np.float32)
    kept = voice.copy()
    restore_formants(kept, 0.0)
    np.testing.assert_allclose(kept, voice, atol=1e-6)
