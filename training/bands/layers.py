"""Instruments and their studio treatment: notes in, a finished layer out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import SAMPLE_RATE
from training import effects
from training.bands.grooves import play_drums
from training.bands.kits import kit_notes, play_machine
from training.bands.parts import (
    FIGURES,
    bend_notes,
    draw_touch,
    play_bass,
    play_chords,
    play_melody,
)
from training.bands.soundfonts import FONTS, play_font
from training.bands.synths import draw_bass, draw_lead, draw_pad, play_glide, play_synth
from training.bands.timeline import RENDERED_S

if TYPE_CHECKING:
    from pipeline.types import Signal
    from training.bands.harmony import Harmony
    from training.bands.styles import Style
    from training.bands.timeline import Timeline

_LENGTH = round(RENDERED_S * SAMPLE_RATE)
_KITS = (0, 0, 8, 16, 24, 25, 32, 40)
_BASSES = (32, 33, 33, 33, 34, 34, 35, 36, 37, 38, 39, 43)
_GUITARS = range(24, 32)
_DRIVEN = (29, 30)
# General MIDI numbers. Choirs (52 to 54), the voice lead (85) and the choir pad (91) stay out:
# the separator is to learn that a voice is a voice.
_CHORD_PROGRAMS = (
    *(0, 0, 0, 1, 2, 3, 4, 4, 5, 5, 6, 7),
    *(8, 9, 10, 11, 12, 13, 14, 15),
    *(16, 16, 17, 18, 18, 19, 20, 21, 22, 23),
    *(24, 24, 25, 25, 25, 26, 26, 27, 27, 27, 28, 29, 29, 30, 30, 30),
    *(44, 45, 46, 48, 48, 48, 49, 50, 51, 55, 60, 61, 61, 62, 63),
    *(80, 81, 84, 87, 88, 89, 90, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103),
    *(104, 105, 106, 107, 108),
)
_LEAD_PROGRAMS = (
    *(40, 40, 40, 41, 41, 42, 42, 110, 110),
    *(56, 56, 57, 57, 58, 59, 60, 61),
    *(64, 64, 65, 65, 66, 66, 66, 67, 68, 68, 69, 70, 71, 71, 111, 109),
    *(72, 73, 73, 73, 74, 75, 75, 76, 77, 78, 78, 79),
    *(26, 27, 27, 29, 29, 30, 30, 30, 24, 25, 104, 105),
    *(16, 17, 18, 20, 21, 22, 22, 23),
    *(80, 81, 81, 82, 83, 84, 86, 87),
    *(0, 4, 8, 9, 11, 12, 13, 46, 107, 108, 114),
)
_FIRST_BENT, _LAST_BENT = 40, 111


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Who plays: what all layers of an excerpt share.

    Attributes
    ----------
    style, timeline, harmony
        What is played, when, and on which pitches.
    machine
        Whether a machine keeps the time.
    font
        The soundfont most layers use.
    """

    style: Style
    timeline: Timeline
    harmony: Harmony
    machine: bool
    font: str

    def pick_font(self, rng: np.random.Generator) -> str:
        """Return the band's soundfont, or now and then another."""
        return self.font if rng.random() < 0.75 else str(rng.choice(FONTS))


def record_drums(rng: np.random.Generator, band: Band) -> Signal:
    """Return the drums, float32, shape (2, n); zeros in a style without."""
    strokes = play_drums(rng, band.style, band.timeline, machine=band.machine)
    if not strokes:
        return _silence()
    electronic = rng.random() < band.style.electronic
    if electronic:
        drums = play_machine(rng, strokes, _LENGTH)
    else:
        kit = int(rng.choice(_KITS))
        notes = kit_notes(strokes)
        drums = play_font(band.pick_font(rng), notes, program=kit, length=_LENGTH, drums=True)
        if rng.random() < 0.12:  # a sampled kit under the machine's, as producers layer them
            drums += play_machine(rng, strokes, _LENGTH) * np.float32(0.3)
    if rng.random() < 0.5:
        drums = effects.equalise(drums, rng)
    if rng.random() < 0.45:
        drums = effects.compress(drums, rng)
    if rng.random() < (0.3 if electronic else 0.55):
        drums = effects.room_reverb(drums, rng, longest_s=1.2, wettest=0.5)
    if rng.random() < 0.25:
        drums = effects.saturate(drums, rng)
    if rng.random() < 0.08:
        drums = effects.band_limit(drums, rng)
    return drums


def record_bass(rng: np.random.Generator, band: Band) -> Signal:
    """Return the bass, float32, shape (2, n)."""
    walking = band.style.name in ("swing", "shuffle") and rng.random() < 0.8
    touch = draw_touch(rng, machine=band.machine)
    notes = play_bass(rng, band.harmony, band.timeline, touch, walking=walking)
    if rng.random() < 0.2 + 0.4 * band.style.electronic:
        bass = play_synth(rng, draw_bass(rng), notes, _LENGTH)
    else:
        program = 32 if walking else int(rng.choice(_BASSES))
        bass = play_font(band.pick_font(rng), notes, program=program, length=_LENGTH)
    if rng.random() < 0.85:
        bass = effects.pan(bass, 0.0)
    if rng.random() < 0.35:
        bass = effects.saturate(bass, rng)
    if rng.random() < 0.4:
        bass = effects.compress(bass, rng)
    if rng.random() < 0.3:
        bass = effects.equalise(bass, rng)
    if rng.random() < 0.1:
        bass = effects.chorus(bass, rng)
    return bass


def record_chords(rng: np.random.Generator, band: Band) -> Signal:
    """Return one chord layer, float32, shape (2, n)."""
    synth = rng.random() < 0.15 + 0.35 * band.style.electronic
    program = int(rng.choice(_CHORD_PROGRAMS))
    figure = str(rng.choice(("pad", "pad", "arpeggio", *FIGURES)))
    if program in _DRIVEN and not synth:
        figure = str(rng.choice(["power", "power", "pad", "eighths"]))
    elif figure == "power" and (synth or program not in _GUITARS):
        figure = "quarters"
    touch = draw_touch(rng, machine=band.machine)
    notes = play_chords(rng, band.harmony, band.timeline, touch, figure=figure)
    if synth:
        return _finish(rng, band, play_synth(rng, draw_pad(rng), notes, _LENGTH))
    layer = play_font(band.pick_font(rng), notes, program=program, length=_LENGTH)
    if program in _GUITARS and program > 25 and rng.random() < (0.8 if program > 28 else 0.3):
        layer = effects.guitar_amp(layer, rng)
    return _finish(rng, band, layer)


def record_lead(rng: np.random.Generator, band: Band) -> Signal:
    """Return one melody, float32, shape (2, n): what a separator might take for a voice."""
    touch = draw_touch(rng, machine=band.machine)
    notes = play_melody(rng, band.harmony, band.timeline, touch)
    if rng.random() < 0.28:
        patch = draw_lead(rng)
        layer = play_glide(rng, patch, notes, _LENGTH)
        if rng.random() < 0.15:
            layer = effects.talk_box(layer, rng)
        return _finish(rng, band, layer)
    program = int(rng.choice(_LEAD_PROGRAMS))
    bent = _FIRST_BENT <= program <= _LAST_BENT or program in _GUITARS
    bends = bend_notes(rng, notes) if bent and rng.random() < 0.7 else []
    layer = play_font(band.pick_font(rng), notes, program=program, length=_LENGTH, bends=bends)
    if program in _GUITARS and rng.random() < 0.6:
        layer = effects.guitar_amp(layer, rng)
    return _finish(rng, band, layer)


def record_riser(rng: np.random.Generator, band: Band) -> Signal:
    """Return noise that swells towards a downbeat, float32, shape (2, n)."""
    bars = band.timeline.beats // band.timeline.beats_per_bar
    bar = float(rng.integers(1, max(2, bars)) * band.timeline.beats_per_bar)
    end = min(_LENGTH, int(band.timeline.seconds(bar) * SAMPLE_RATE))
    count = min(end, int(rng.uniform(1.5, 6) * SAMPLE_RATE))
    out = _silence()
    if count < SAMPLE_RATE // 2:
        return out
    noise = rng.standard_normal((2, count), dtype=np.float32)
    climb = np.linspace(0, 1, count, dtype=np.float32)
    dark = effects.filtered(noise, low_hz=200, high_hz=1500)
    bright = effects.filtered(noise, low_hz=3000)
    out[:, end - count : end] = (dark * (1 - climb) + bright * climb) * climb**2
    return out


def _finish(rng: np.random.Generator, band: Band, layer: Signal) -> Signal:
    """Return a layer after what a mixing desk does: tone, place, room."""
    if rng.random() < 0.4:
        layer = effects.equalise(layer, rng)
    if rng.random() < 0.25:
        layer = effects.compress(layer, rng)
    if rng.random() < 0.22:
        layer = effects.chorus(layer, rng)
    if rng.random() < 0.1:
        layer = effects.saturate(layer, rng)
    layer = _placed(rng, layer)
    if rng.random() < 0.2:
        layer = effects.echo(layer, rng, beat_s=band.timeline.beat_s)
    if rng.random() < 0.55:
        layer = effects.room_reverb(layer, rng)
    if rng.random() < 0.07:
        layer = effects.band_limit(layer, rng)
    return layer


def _placed(rng: np.random.Generator, layer: Signal) -> Signal:
    """Return a layer somewhere between the loudspeakers, at one of them, wide, or as it was."""
    place = rng.random()
    if place < 0.3:
        return effects.pan(layer, float(np.clip(rng.normal(0, 0.5), -1, 1)))
    if place < 0.38:
        return effects.pan(layer, float(rng.choice([-1, 1])))
    if place < 0.62:
        return effects.widen(layer, rng)
    return layer


def _silence() -> Signal:
    return np.zeros((2, _LENGTH), dtype=np.float32)
