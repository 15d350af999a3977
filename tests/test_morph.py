from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.morph import Pair, crossfade, cut, measure
from pipeline.errors import Cancelled
from pipeline.loudness import short_term_lufs
from pipeline.morph import morph, splice
from pipeline.tapes import on_disk
from pipeline.tones import split_tones
from pipeline.types import SAMPLE_RATE
from tests.songs import short_song

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from pipeline.types import Signal

pytestmark = pytest.mark.slow

UNTOUCHED = round(0.05 * SAMPLE_RATE)
BEATS_S = tuple(np.arange(0.0, 3.0, 0.5).tolist())


def tones(*frequencies_hz: float, seconds: float = 3.0, level: float = 0.2) -> Signal:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    left = level * np.sin([2 * np.pi * f * t + f for f in frequencies_hz]).sum(axis=0)
    return np.asarray(np.stack([left, 0.7 * left]), dtype=np.float32)


def noise(seed: int, seconds: float = 3.0) -> Signal:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal((2, round(seconds * SAMPLE_RATE)))).astype(np.float32)


def strokes(channel: int, beats_s: tuple[float, ...] = BEATS_S) -> Signal:
    """Return 50 ms of noise after each beat, in one channel alone."""
    out = np.zeros((2, 3 * SAMPLE_RATE), dtype=np.float32)
    size = round(0.05 * SAMPLE_RATE)
    burst = np.random.default_rng(7).standard_normal(size) * np.linspace(0.3, 0.0, size)
    for beat in beats_s:
        start = round(beat * SAMPLE_RATE)
        out[channel, start : start + size] = burst
    return out


def spectrum(samples: Signal, at_s: float) -> tuple[npt.NDArray[np.float64], ...]:
    """Return frequencies in Hz and amplitudes of 0.3 s of the left channel around a moment."""
    part = samples[0, round((at_s - 0.15) * SAMPLE_RATE) : round((at_s + 0.15) * SAMPLE_RATE)]
    amplitude = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 17)) / (len(part) / 4)
    return np.fft.rfftfreq(1 << 17, 1 / SAMPLE_RATE), amplitude


def loudest_tone(samples: Signal, at_s: float) -> tuple[float, float]:
    """Return its frequency in Hz, and how far all that is 30 Hz away lies below it, in dB."""
    frequencies, amplitude = spectrum(samples, at_s)
    peak = int(amplitude.argmax())
    others = amplitude[np.abs(frequencies - frequencies[peak]) > 30]
    return float(frequencies[peak]), 20 * float(np.log10(amplitude[peak] / others.max()))


@pytest.fixture(scope="module")
def pair() -> Pair:
    songs = [short_song(seed, bpm=120.0) for seed in (11, 12)]
    starts = [round(song.grid.downbeats_s[0] * SAMPLE_RATE) for song in songs]
    mixtures = [song.mixture[:, start:] for song, start in zip(songs, starts, strict=True)]
    length = round(18.0 * SAMPLE_RATE)
    first, second = (mixture[:, :length] for mixture in mixtures)
    beats_s = tuple(np.arange(0.0, 18.0, 0.5).tolist())
    return Pair(name="composed", first=first, second=second, beats_s=beats_s)


@pytest.fixture(scope="module")
def joined(pair: Pair) -> Signal:
    return splice(pair.first, pair.second, pair.middle(4), pair.beats_s)


def test_a_composed_pair_meets_every_target(pair: Pair, joined: Signal) -> None:
    found = measure(pair, joined, pair.middle(4))

    assert found.failures() == []
    assert found.roughest < 1.5


def test_outside_the_transition_nothing_changes(pair: Pair, joined: Signal) -> None:
    start, stop = pair.middle(4)

    np.testing.assert_array_equal(
        joined[:, : start + UNTOUCHED], pair.first[:, : start + UNTOUCHED]
    )
    np.testing.assert_array_equal(joined[:, stop - UNTOUCHED :], pair.second[:, stop - UNTOUCHED :])


def test_a_cut_would_not_meet_the_targets(pair: Pair) -> None:
    quieter = Pair(name="quieter", first=pair.first, second=0.2 * pair.second, beats_s=pair.beats_s)
    span = pair.middle(4)

    found = measure(quieter, cut(quieter.first, quieter.second, span, ()), span)

    assert "loudness" in found.failures()


def test_a_shared_accompaniment_neither_swells_nor_moves(pair: Pair) -> None:
    alike = Pair(
        name="alike",
        first=pair.first,
        second=pair.first + tones(700.0, seconds=18.0, level=0.03),
        beats_s=pair.beats_s,
    )
    span = pair.middle(2)

    found = measure(alike, splice(alike.first, alike.second, span, alike.beats_s), span)
    plain = measure(alike, crossfade(alike.first, alike.second, span, ()), span)

    assert found.outside_lu < 0.5
    assert plain.outside_lu > 2.0


@pytest.mark.parametrize("same", [tones(220.0, 277.2, 329.6), noise(1), strokes(0)])
def test_a_signal_morphed_into_itself_stays_itself(same: Signal) -> None:
    np.testing.assert_allclose(morph(same, same, BEATS_S), same, atol=1e-5)


@pytest.mark.parametrize(("low", "high"), [(440.0, 660.0), (100.0, 170.0), (220.0, 233.1)])
def test_a_tone_glides_into_another(low: float, high: float) -> None:
    out = morph(tones(low), tones(high), BEATS_S)

    heard = [loudest_tone(out, at_s) for at_s in (0.8, 1.15, 1.5, 1.85, 2.2)]
    frequencies = [frequency for frequency, _ in heard]
    assert frequencies == sorted(frequencies)
    # Pitch is heard on a logarithmic scale, so halfway is the geometric mean.
    assert frequencies[2] == pytest.approx(np.sqrt(low * high), rel=0.02)
    assert min(margin for _, margin in heard) > 20


def test_a_crossfade_has_two_tones_where_a_morph_has_one() -> None:
    faded = crossfade(tones(440.0), tones(660.0), (0, 3 * SAMPLE_RATE), ())

    assert loudest_tone(faded, 1.5)[1] < 3


def test_of_two_chords_the_common_tone_stays_and_the_others_glide() -> None:
    out = morph(tones(261.6, 329.6, 392.0), tones(261.6, 349.2, 440.0), BEATS_S)

    frequencies, amplitude = spectrum(out, 1.5)
    for expected in (261.6, np.sqrt(329.6 * 349.2), np.sqrt(392.0 * 440.0)):
        near = np.abs(frequencies - expected) < 8
        assert amplitude[near].max() == pytest.approx(0.2, rel=0.15)


def test_a_tone_more_than_an_octave_away_fades_in_instead() -> None:
    out = morph(tones(200.0), tones(900.0), BEATS_S)

    frequencies, amplitude = spectrum(out, 1.5)
    between = (frequencies > 230) & (frequencies < 860)
    assert amplitude[between].max() < 0.01


def test_the_level_of_a_glide_is_even() -> None:
    out = morph(tones(440.0), tones(660.0), BEATS_S)

    inside = short_term_lufs(out)[30:-30]
    assert inside.max() - inside.min() < 1.0


def test_drums_are_handed_over_step_by_step_and_level_from_beat_to_beat() -> None:
    out = morph(strokes(0), strokes(1), BEATS_S)

    size = round(0.04 * SAMPLE_RATE)
    starts = [round(beat * SAMPLE_RATE) for beat in BEATS_S]
    old, new = (
        np.asarray([np.sum(out[channel, at : at + size] ** 2) for at in starts])
        for channel in (0, 1)
    )
    assert old[0] > 0
    assert np.all(np.diff(old) < 0)
    assert new[0] == 0
    assert np.all(np.diff(new) > 0)
    whole = (old + new) / old[0]
    assert 10 * np.log10(whole).max() < 1.5
    assert 10 * np.log10(whole).min() > -1.5


def test_silence_grows_into_music_and_music_into_silence() -> None:
    silence, music = np.zeros((2, 3 * SAMPLE_RATE), dtype=np.float32), noise(2)

    grown, gone = morph(silence, music, BEATS_S), morph(music, silence, BEATS_S)

    rising = short_term_lufs(grown)[[60, 110, 160, 210, 260]]
    falling = short_term_lufs(gone)[[40, 90, 140, 190, 240]]
    assert np.all(np.diff(rising) > 0)
    assert np.all(np.diff(falling) < 0)
    assert not grown[:, :UNTOUCHED].any()
    assert not gone[:, -UNTOUCHED:].any()


def test_silence_stays_silence() -> None:
    silence = np.zeros((2, SAMPLE_RATE), dtype=np.float32)

    assert not morph(silence, silence, ()).any()


@pytest.mark.parametrize("beats_s", [(), (0.0, 0.45), (0.2,)])
def test_one_beat_is_long_enough(beats_s: tuple[float, ...]) -> None:
    a, b = tones(440.0, seconds=0.45) + strokes(0)[:, :19845], tones(500.0, seconds=0.45)

    out = morph(a, b, beats_s)

    np.testing.assert_array_equal(out[:, :UNTOUCHED], a[:, :UNTOUCHED])
    np.testing.assert_array_equal(out[:, -UNTOUCHED:], b[:, -UNTOUCHED:])
    assert np.abs(np.diff(out)).max() < 1.5 * max(np.abs(np.diff(x)).max() for x in (a, b))


@pytest.mark.parametrize("length", [0, 1, 7, 100, 441, 3000])
def test_hardly_any_samples_are_enough(length: int) -> None:
    out = morph(noise(3)[:, :length], noise(4)[:, :length], BEATS_S)

    assert out.shape == (2, length)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()


def test_the_second_song_may_go_on_longer_than_the_first() -> None:
    first, second = noise(5, 2.0), noise(6, 3.0)

    out = splice(first, second, (SAMPLE_RATE, 2 * SAMPLE_RATE), BEATS_S)

    assert out.shape == second.shape
    np.testing.assert_array_equal(out[:, :SAMPLE_RATE], first[:, :SAMPLE_RATE])
    np.testing.assert_array_equal(out[:, 2 * SAMPLE_RATE :], second[:, 2 * SAMPLE_RATE :])


def test_songs_on_disk_are_spliced_alike(tmp_path: Path) -> None:
    blank = on_disk(tmp_path)
    first, second = noise(5, 2.0), noise(6, 3.0)
    stored = blank(first.shape[1]), blank(second.shape[1])
    stored[0][:], stored[1][:] = first, second
    span = (SAMPLE_RATE, 2 * SAMPLE_RATE)

    out = splice(*stored, span, BEATS_S, blank=blank)

    np.testing.assert_array_equal(out, splice(first, second, span, BEATS_S))
    assert not out.flags.owndata


@pytest.mark.parametrize("shape", [(2, 1000), (1, 2000), (2000,)])
def test_signals_must_match(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        morph(noise(1)[:, :2000], np.zeros(shape, dtype=np.float32), ())


@pytest.mark.parametrize("transition", [(-1, 10), (10, 10), (20, 10), (0, 2001)])
def test_the_transition_must_lie_inside_both(transition: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="inside both"):
        splice(noise(1), noise(2)[:, :2000], transition, ())


def test_progress_rises_to_one() -> None:
    told: list[float] = []

    morph(noise(1, 1.0), noise(2, 1.0), (), told.append)

    assert told == sorted(told)
    assert told[-1] == 1.0


def test_it_can_be_called_off() -> None:
    def stop(fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        morph(noise(1, 2.0), noise(2, 2.0), (), stop)


def test_a_long_tone_is_a_tone_and_a_stroke_is_none() -> None:
    # Long enough for more than one batch of frames.
    steady, struck = tones(440.0, seconds=14.0), strokes(0)

    np.testing.assert_allclose(split_tones(steady)[:, 4410:-4410], steady[:, 4410:-4410], atol=0.01)
    assert np.sum(split_tones(struck) ** 2) < 0.2 * np.sum(struck**2)
