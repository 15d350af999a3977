from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.types import SAMPLE_RATE
from training.clips import CLIP_S
from training.singers.formant_singer import sing_formants
from training.singers.manner import Manner, draw_manner, vary_manner
from training.singers.melody import (
    Note,
    draw_ground,
    ground_of,
    harmonise,
    voice_chords,
    write_flow,
    write_phrases,
)
from training.singers.singing import _bend, _line_up, sing, speak
from training.singers.speech import draw_kana, draw_text
from training.singers.vocoder import BINS, Utterance, analyse, find_syllables, tract_at

if TYPE_CHECKING:
    import numpy.typing as npt

    Mono = npt.NDArray[np.float32]

_PLAIN = Manner(
    formants=1.0, melisma=0.0, vibrato_cents=0.0, drift_cents=0.0, jitter_cents=0.0, scoop=0.0,
    prosody=0.0, inhale=0.0,
)  # fmt: skip


def _utterance(rate_hz: int = 16_000, peak_hz: float = 1000.0) -> Utterance:
    """Two syllables with a formant, each an unvoiced consonant and a voiced vowel."""
    hz = np.linspace(0, rate_hz / 2, 513)
    log_power = np.tile(-10 - ((hz - peak_hz) / 400) ** 2 / 2, (100, 1))
    pitch = np.full(100, 120.0, dtype=np.float32)
    pitch[:10] = pitch[50:60] = 0
    return Utterance(
        voice="test",
        rate_hz=rate_hz,
        pitch_hz=pitch,
        log_power=np.maximum(log_power, -30).astype(np.float16),
        aperiodicity=np.full((100, 33), 0.1, dtype=np.float16),
        syllables=np.array([[0, 10, 40, 50], [50, 60, 90, 100]]),
    )


def _facts() -> dict[str, Any]:
    beats = np.arange(0.2, CLIP_S, 0.5)
    chords = [[-1.0, 6.0, [0, 4, 7]], [6.0, 13.0, [7, 11, 2]]]
    return {
        "seed": 1, "tonic": 0, "mode": "major", "beats_s": list(beats),
        "downbeats_s": list(beats[::4]), "chords": chords,
    }  # fmt: skip


def _pitch(sound: Mono) -> float:
    """Pitch of a steady tone as a MIDI note number, from its autocorrelation."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 2 * len(sound))) ** 2
    echo = np.fft.irfft(spectrum)
    shortest, longest = SAMPLE_RATE // 600, SAMPLE_RATE // 70
    part = echo[shortest:longest]
    # Two periods look like one: the first high peak is the pitch.
    high = int(np.argmax(part > 0.85 * np.max(part)))
    best = shortest + high + int(np.argmax(part[high : high + 40]))
    left, top, right = echo[best - 1 : best + 2]
    lag = best + 0.5 * (left - right) / (left - 2 * top + right)
    return float(69 + 12 * np.log2(SAMPLE_RATE / lag / 440))


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ([0.5, 1.0], nullcontext()),
        ([0.5], pytest.raises(ValueError, match="two beats")),
        ([], pytest.raises(ValueError, match="two beats")),
    ],
)
def test_a_ground_needs_two_beats(
    beats: list[float], expected: AbstractContextManager[object]
) -> None:
    with expected:
        ground = ground_of({**_facts(), "beats_s": beats})
        assert ground.beats_s[0] < 0
        assert ground.beats_s[-1] > CLIP_S


@pytest.mark.parametrize("seed", range(6))
def test_tunes_keep_to_the_range_the_key_and_the_clip(seed: int) -> None:
    ground = ground_of(_facts())
    rng = np.random.default_rng(seed)
    phrases = write_phrases(rng, ground, low=55, high=67, pace_s=0.4, rest=0.2)
    notes = [note for phrase in phrases for note in phrase]
    assert notes
    assert all(55 - 6 <= n.pitch <= 67 + 6 and n.pitch % 12 in ground.scale for n in notes)
    assert all(n.start_s < CLIP_S and n.start_s + n.length_s > 0 for n in notes)
    long = [n for n in notes if n.length_s > 0.6]
    assert all(n.pitch % 12 in ground.chord_at(n.start_s) for n in long)


@pytest.mark.parametrize("seed", range(4))
def test_tunes_are_on_the_grid(seed: int) -> None:
    ground = ground_of(_facts())
    phrases = write_phrases(
        np.random.default_rng(seed), ground, low=50, high=62, pace_s=0.5, rest=0.0
    )
    places = np.array([(n.start_s - 0.2) / 0.5 for phrase in phrases for n in phrase])
    off = np.abs(places * 12 - np.round(places * 12)) * 0.5 / 12
    assert np.max(off) <= 0.5 / 24  # a twelfth of a beat holds every rhythm
    assert np.mean(np.abs(places - np.round(places)) < 0.1) > 0.3


def test_a_rest_of_one_still_leaves_a_phrase() -> None:
    rng = np.random.default_rng(0)
    assert len(write_phrases(rng, draw_ground(rng), low=50, high=60, pace_s=0.4, rest=1.0)) == 1
    assert len(write_flow(rng, draw_ground(rng), pitch=50.0, rest=1.0)) == 1


@pytest.mark.parametrize("seed", range(4))
def test_rap_lines_are_fast_and_in_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = write_flow(rng, draw_ground(rng), pitch=48.0, rest=0.0)
    for line in lines:
        starts = [n.start_s for n in line]
        assert starts == sorted(starts)
    lengths = [n.length_s for line in lines for n in line]
    assert np.median(lengths) < 0.6


def test_harmonies_move_along_the_scale_and_choirs_along_the_chord() -> None:
    ground = ground_of(_facts())
    tune = [
        (Note(start_s=1.0, length_s=1.0, pitch=64.0), Note(start_s=7.0, length_s=1.0, pitch=65.0))
    ]
    third = harmonise(tune, ground, 2)
    assert [n.pitch for n in third[0]] == [67.0, 69.0]
    octave = harmonise(tune, ground, -7)
    assert [n.pitch for n in octave[0]] == [52.0, 53.0]
    chord = voice_chords(tune, ground, 4)
    assert [n.pitch % 12 for n in chord[0]] == [7, 7]
    assert [n.start_s for n in chord[0]] == [1.0, 7.0]


def test_syllables_part_where_the_energy_is_lowest() -> None:
    frames = np.arange(150)
    level = -6 * np.cos(2 * np.pi * frames / 50) - 8
    log_power = np.tile(level[:, None], (1, 513)).astype(np.float32)
    pitch = np.where(frames % 50 < 12, 0, 150).astype(np.float32)
    found = find_syllables(pitch, log_power, 16_000)
    assert len(found) == 3
    for index, (start, vowel, tail, end) in enumerate(found):
        assert start <= vowel < tail <= end
        assert vowel <= 50 * index + 25 < tail  # the loudest moment is in the vowel
        assert pitch[vowel] > 0


@pytest.mark.parametrize("formants", [0.85, 1.0, 1.3])
def test_formants_move_with_the_head(formants: float) -> None:
    power, noise = tract_at(_utterance(), np.array([20.0, 20.5]), formants=formants, air=-1.0)
    assert power.shape == noise.shape == (2, BINS)
    peak_hz = np.argmax(power[0]) * SAMPLE_RATE / 2 / (BINS - 1)
    assert peak_hz == pytest.approx(1000 * formants, abs=45)  # a bin is 22 Hz
    np.testing.assert_allclose(power[0], power[1], atol=1e-5)


def test_what_a_recording_does_not_hold_is_made_up_falling() -> None:
    power, noise = tract_at(_utterance(), np.array([20.0]), formants=1.0, air=-0.8)
    bins = [int(hz / (SAMPLE_RATE / 2 / (BINS - 1))) for hz in (9000, 12_000)]
    assert power[0, bins[1]] - power[0, bins[0]] == pytest.approx(-0.8 * 3, abs=0.1)
    assert np.min(noise[0, bins[0] :]) >= 0.8


def test_vowels_begin_on_their_notes_and_consonants_before() -> None:
    phrase = [Note(start_s=1.0, length_s=0.5, pitch=50), Note(start_s=1.5, length_s=1.0, pitch=52)]
    utterance = _utterance()
    take = _line_up(np.random.default_rng(0), utterance, phrase, _PLAIN)
    vowels = set(utterance.syllables[:, 1])
    for onset in (40, 40 + 100):  # 5 ms frames, the first vowel at the end of the lead
        assert take.positions[onset] in vowels
        assert utterance.pitch_hz[int(take.positions[onset - 2])] == 0
    assert np.all(take.pitch[40:140] == 50)
    assert np.all(take.pitch[140:] == 52)
    assert np.all(take.positions[:25] == -1)


def test_vibrato_comes_late_and_as_deep_as_asked() -> None:
    manner = Manner(
        formants=1.0, vibrato_cents=100, vibrato_delay_s=0.5, drift_cents=0, jitter_cents=0, scoop=0
    )
    phrase = [Note(start_s=0.0, length_s=3.0, pitch=60)]
    rng = np.random.default_rng(0)
    take = _line_up(rng, _utterance(), phrase, manner)
    tune = _bend(rng, take, manner)
    assert np.max(np.abs(tune[40:140] - 60)) < 0.05
    assert np.max(np.abs(tune[240:600] - 60)) == pytest.approx(1.0, abs=0.1)


def test_manners_follow_the_range_and_doubles_stay_near() -> None:
    low = [draw_manner(np.random.default_rng(n), low=38).formants for n in range(20)]
    high = [draw_manner(np.random.default_rng(n), low=64).formants for n in range(20)]
    assert max(low) < 1.0 < min(high)
    first = draw_manner(np.random.default_rng(1), low=50)
    double = vary_manner(np.random.default_rng(2), first, spread=1.0)
    assert double != first
    assert abs(double.formants / first.formants - 1) < 0.08


def test_the_formant_singer_sings_what_is_written() -> None:
    phrases = [(Note(start_s=-0.2, length_s=2.2, pitch=57.0),)]
    sound = sing_formants(np.random.default_rng(3), phrases, length=3 * SAMPLE_RATE)
    assert sound.shape == (3 * SAMPLE_RATE,)
    assert _pitch(sound[SAMPLE_RATE // 2 : SAMPLE_RATE * 3 // 2]) % 12 == pytest.approx(9, abs=0.5)


def test_texts_repeat_with_their_seed() -> None:
    one, two, other = (draw_text(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == two != other
    assert all(draw_kana(np.random.default_rng(seed)) for seed in range(5))


@pytest.mark.parametrize("pitch", [45.0, 57.0, 69.0])
def test_syllables_are_sung_at_the_pitch_that_is_written(pitch: float) -> None:
    pytest.importorskip("pyworld", reason="needs the training environment (make train)")
    phrases = [(Note(start_s=0.5, length_s=1.5, pitch=pitch),)]
    sound = sing(np.random.default_rng(0), [_utterance()], phrases, _PLAIN, length=3 * SAMPLE_RATE)
    assert sound.dtype == np.float32
    assert np.all(np.isfinite(sound))
    assert _pitch(sound[int(0.8 * SAMPLE_RATE) : int(1.6 * SAMPLE_RATE)]) == pytest.approx(
        pitch, abs=0.2
    )
    assert np.max(np.abs(sound[: int(0.25 * SAMPLE_RATE)])) < 0.02 * np.max(np.abs(sound))


def test_what_was_spoken_is_found_and_spoken_again() -> None:
    pytest.importorskip("pyworld", reason="needs the training environment (make train)")
    notes = tuple(Note(start_s=0.3 + 0.4 * n, length_s=0.3, pitch=50.0) for n in range(4))
    said = sing_formants(np.random.default_rng(5), [notes], length=2 * SAMPLE_RATE)
    said = said + 1e-5 * np.random.default_rng(0).standard_normal(len(said)).astype(np.float32)
    utterance = analyse(said, SAMPLE_RATE, "test")
    assert 2 <= len(utterance.syllables) <= 6
    again = speak(np.random.default_rng(0), utterance, _PLAIN, pitch=52.0, rate=1.0)
    span = int((utterance.syllables[-1, 3] - utterance.syllables[0, 0]) * 0.005 * SAMPLE_RATE)
    assert abs(len(again) - span) < 0.02 * SAMPLE_RATE
    assert np.all(np.isfinite(again))
    assert np.max(np.abs(again)) > 0.01
