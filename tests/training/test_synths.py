from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.types import SAMPLE_RATE
from training.bands.kits import DRUMS, kit_notes, play_machine
from training.bands.notes import Note, Stroke, bend_of
from training.bands.synths import Patch, draw_bass, draw_lead, draw_pad, play_glide, play_synth

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.types import Signal

LENGTH = SAMPLE_RATE
PLAIN = Patch(
    wave="triangle",
    voices=1,
    detune=0.0,
    attack_s=0.005,
    decay_s=1.0,
    sustain=1.0,
    release_s=0.02,
    open_hz=15_000.0,
    closed_hz=15_000.0,
    sweep_s=0.1,
    glide_s=0.02,
)


def note(start_s: float, length_s: float, pitch: int) -> Note:
    return Note(start_s=start_s, length_s=length_s, pitch=pitch, velocity=100)


def loudest_hz(mono: Signal) -> float:
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), 8 * len(mono)))
    return float(np.argmax(spectrum) * SAMPLE_RATE / (8 * len(mono)))


@pytest.mark.parametrize("wave", ["saw", "square", "pulse", "triangle", "organ", "whistle"])
def test_a_note_has_its_pitch_and_its_place(wave: str) -> None:
    rng = np.random.default_rng(1)
    sound = play_synth(rng, replace(PLAIN, wave=wave), [note(0.2, 0.5, 69)], LENGTH)
    assert sound.shape == (2, LENGTH)
    assert sound.dtype == np.float32
    assert not sound[:, : int(0.199 * SAMPLE_RATE)].any()
    assert loudest_hz(sound[0, 11_000:28_000]) == pytest.approx(440, abs=2)
    assert np.abs(sound[:, int(0.9 * SAMPLE_RATE) :]).max() < 0.001


def test_no_harmonic_folds_back_from_above_half_the_sample_rate() -> None:
    sound = play_synth(
        np.random.default_rng(1), replace(PLAIN, wave="saw"), [note(0, 0.9, 103)], LENGTH
    )
    held = sound[0, 4000:36_000]
    spectrum = np.abs(np.fft.rfft(held * np.hanning(len(held)))) ** 2
    hz = np.fft.rfftfreq(len(held), 1 / SAMPLE_RATE)
    pitch_hz = 440 * 2 ** ((103 - 69) / 12)
    away = np.abs(hz / pitch_hz - np.round(hz / pitch_hz)) * pitch_hz
    assert spectrum[away > 60].sum() < 1e-5 * spectrum.sum()


def test_a_gliding_voice_slides_from_note_to_note() -> None:
    notes = [note(0.0, 0.5, 57), note(0.5, 0.5, 69)]
    sound = play_glide(np.random.default_rng(1), replace(PLAIN, glide_s=0.05), notes, LENGTH)
    assert loudest_hz(sound[0, 8000:20_000]) == pytest.approx(220, abs=2)
    assert 250 < loudest_hz(sound[0, 22_500:24_500]) < 435
    assert loudest_hz(sound[0, 34_000:43_000]) == pytest.approx(440, abs=2)


def test_a_gliding_voice_without_notes_is_silent() -> None:
    assert not play_glide(np.random.default_rng(1), PLAIN, [], 100).any()


@pytest.mark.parametrize("draw", [draw_pad, draw_bass, draw_lead])
def test_every_drawn_patch_sounds(draw: Callable[[np.random.Generator], Patch]) -> None:
    for seed in range(25):
        patch = draw(np.random.default_rng(seed))
        player = play_glide if draw is draw_lead else play_synth
        sound, again = (
            player(np.random.default_rng(seed), patch, [note(0.1, 0.4, 50)], LENGTH // 2)
            for _ in range(2)
        )
        np.testing.assert_array_equal(sound, again)
        assert np.isfinite(sound).all()
        assert 0.005 < np.abs(sound).max() < 6


@pytest.mark.parametrize("drum", DRUMS)
def test_a_machine_has_every_drum(drum: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        sound = play_machine(rng, [Stroke(at_s=0.1, drum=drum, velocity=110)], LENGTH)
        assert np.isfinite(sound).all()
        assert not sound[:, :4409].any()
        assert np.abs(sound[:, 4410:6000]).max() > 0.05
        assert np.abs(sound).max() < 2


def test_a_harder_stroke_is_louder() -> None:
    strokes = [Stroke(at_s=t, drum="snare", velocity=v) for t, v in ((0.0, 55), (0.5, 110))]
    sound = play_machine(np.random.default_rng(1), strokes, LENGTH)
    soft, hard = (np.abs(half).max() for half in (sound[:, :22_050], sound[:, 22_050:]))
    assert hard / soft == pytest.approx(2**1.5, rel=0.05)


def test_a_sampled_kit_is_told_keys() -> None:
    notes = kit_notes([Stroke(at_s=1.0, drum=drum, velocity=90) for drum in DRUMS])
    assert len({note.pitch for note in notes}) == len(DRUMS)
    assert {note.velocity for note in notes} == {90}
    assert all(35 <= note.pitch <= 81 for note in notes)


@pytest.mark.parametrize(("semitones", "wheel"), [(0, 8192), (-12, 0), (12, 16_383), (6, 12_288)])
def test_the_wheel_reaches_an_octave(semitones: float, wheel: int) -> None:
    assert bend_of(0.0, semitones).wheel == wheel
