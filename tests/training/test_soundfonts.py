from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.types import SAMPLE_RATE
from tests.training.fonts import needs_fonts
from training.bands.notes import Note, bend_of
from training.bands.soundfonts import FONTS, SoundfontError, find_font, play_font

if TYPE_CHECKING:
    from pipeline.types import Signal

NOTES = [Note(start_s=0.25, length_s=0.5, pitch=69, velocity=100)]


def loudest_hz(mono: Signal) -> float:
    spectrum = np.abs(np.fft.rfft(mono * np.hanning(len(mono)), 4 * len(mono)))
    return float(np.argmax(spectrum) * SAMPLE_RATE / (4 * len(mono)))


def test_a_missing_soundfont_is_named_with_what_to_install() -> None:
    with pytest.raises(SoundfontError, match=r"nothing\.sf2 is in none of .*apt-get install"):
        find_font("nothing.sf2")


@needs_fonts
def test_a_note_is_heard_when_and_as_it_is_written() -> None:
    sound = play_font(FONTS[0], NOTES, program=73, length=SAMPLE_RATE)  # a flute
    assert sound.shape == (2, SAMPLE_RATE)
    assert sound.dtype == np.float32
    assert not sound[:, : int(0.248 * SAMPLE_RATE)].any()
    assert np.abs(sound[:, int(0.25 * SAMPLE_RATE) : int(0.3 * SAMPLE_RATE)]).max() > 0.001
    assert loudest_hz(sound[0, 16_000:32_000]) == pytest.approx(440, abs=3)


@needs_fonts
def test_the_wheel_bends_the_pitch() -> None:
    bent = play_font(FONTS[0], NOTES, program=79, length=SAMPLE_RATE, bends=[bend_of(0.0, 7.0)])
    plain = play_font(FONTS[0], NOTES, program=79, length=SAMPLE_RATE)  # an ocarina
    ratio = loudest_hz(bent[0, 16_000:32_000]) / loudest_hz(plain[0, 16_000:32_000])
    assert 12 * np.log2(ratio) == pytest.approx(7, abs=0.2)


@needs_fonts
def test_what_was_played_before_leaves_no_trace() -> None:
    first = play_font(FONTS[0], NOTES, program=48, length=30_000)
    play_font(FONTS[0], NOTES * 3, program=0, length=9_999, drums=True, bends=[bend_of(0, 5)])
    np.testing.assert_array_equal(play_font(FONTS[0], NOTES, program=48, length=30_000), first)


@needs_fonts
def test_a_drum_sounds_within_a_few_milliseconds() -> None:
    kick = [Note(start_s=0.1, length_s=0.1, pitch=36, velocity=110)]
    sound = np.abs(play_font(FONTS[0], kick, program=0, length=20_000, drums=True)).max(axis=0)
    assert np.argmax(sound > 0.1 * sound.max()) / SAMPLE_RATE == pytest.approx(0.1, abs=0.006)


@needs_fonts
def test_an_unknown_instrument_is_refused() -> None:
    with pytest.raises(SoundfontError, match="no instrument 126 in bank 128"):
        play_font(FONTS[0], NOTES, program=126, length=64, drums=True)
