"""Who sings what: leads with doubles and harmonies, wide backing voices, choirs, rap, ad-libs.

Every scene returns stereo before the studio's effects, and the notes of its main line.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import SAMPLE_RATE
from training.clips import CLIP_S, CLIP_SAMPLES
from training.effects import chorus, filtered, room_reverb, widen
from training.singers.formant_singer import sing_formants
from training.singers.manner import draw_manner, vary_manner
from training.singers.melody import harmonise, voice_chords, write_flow, write_phrases
from training.singers.singing import speak
from training.singers.stage import Scene, Singer, Stage, gain, level, overlay, place

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from pipeline.types import Signal
    from training.singers.melody import Note

    Mono = npt.NDArray[np.float32]
    Phrases = list[tuple[Note, ...]]


def sing_lead(stage: Stage) -> Scene:
    """Sing a lead, perhaps with doubles, harmonies, a wide pair behind and ad-libs."""
    rng = stage.rng
    singer = stage.singer()
    phrases, cast = stage.tune(singer), stage.cast(singer.voice)
    sound = place(
        stage.line(singer, phrases, cast), float(rng.choice([0, 0, 0, rng.uniform(-1, 1)]))
    )
    if rng.random() < 0.3:
        for side in (-1, 1)[: int(rng.integers(1, 3))]:
            take = _another(rng, singer, 1.0)
            width = side * rng.uniform(0.0, 1.0)
            sound += place(stage.line(take, phrases, cast), width) * gain(rng, -12, -2)
    if rng.random() < 0.25:
        steps = int(rng.choice([2, 2, -2, 4, -3, 5, 7, -7]))
        moved = harmonise(_some(rng, phrases, 0.7), stage.ground, steps)
        take = _another(rng, singer, 1.5)
        part = stage.line(take, moved, cast)
        sound += place(part, rng.uniform(-1, 1)) * gain(rng, -12, -3)
    if rng.random() < 0.2:
        sound += _wide_pair(stage, singer, _some(rng, phrases, 0.5)) * gain(rng, -9, 1)
    if rng.random() < 0.12:
        sound += _ad_libs(stage, singer) * gain(rng, -10, 0)
    return Scene(sound=sound, notes=_flat(phrases), voices=(singer.voice,))


def sing_backing(stage: Stage) -> Scene:
    """Sing wide backing voices with nothing in the middle, often oohs and aahs."""
    rng = stage.rng
    singer = stage.singer()
    phrases = stage.tune(singer)
    oneword = bool(rng.random() < 0.5)
    parts = rng.choice([0, 2, 4, 7, -3], size=int(rng.integers(1, 4)), replace=False)
    sound = np.zeros((2, CLIP_SAMPLES), dtype=np.float32)
    for steps in parts:
        moved = harmonise(phrases, stage.ground, int(steps))
        cast = stage.cast(singer.voice, oneword=oneword)
        away = rng.uniform(0.4, 1.0)
        sides = (-away, away) if rng.random() < 0.7 else (rng.choice([-1.0, 1.0]) * away,)
        for side in sides:
            take = _another(rng, singer, 2.0)
            take = replace(take, manner=replace(take.manner, melisma=1.0 if oneword else 0.1))
            sound += place(stage.line(take, moved, cast), float(side)) * gain(rng, -4, 0)
    return Scene(
        sound=_spread(rng, sound),
        notes=_flat(phrases) if 0 in parts else (),
        voices=(singer.voice,),
    )


def sing_choir(stage: Stage) -> Scene:
    """Sing chord tones with three to six people, spread over the stage."""
    rng = stage.rng
    first = stage.singer()
    phrases = write_phrases(
        rng,
        stage.ground,
        low=first.low,
        high=first.high,
        pace_s=rng.uniform(0.4, 1.4),
        rest=stage.rest,
    )
    oneword = bool(rng.random() < 0.6)
    sound = np.zeros((2, CLIP_SAMPLES), dtype=np.float32)
    voices = []
    for _ in range(int(rng.integers(3, 7))):
        voice = stage.corpus.draw_voice(rng)
        offset = int(rng.choice([-12, -8, -5, 0, 0, 4, 7, 12]))
        manner = draw_manner(rng, low=int(np.clip(first.low + offset, 36, 66)))
        manner = replace(
            manner,
            melisma=0.9 if oneword else 0.0,
            legato=1.0,
            late_s=float(rng.uniform(0, 0.05)),
            detune_cents=float(rng.normal(0, 12)),
            tilt_db=manner.tilt_db - 1.0,
            inhale=0.0,
        )
        person = Singer(voice=voice, low=first.low, high=first.high, manner=manner)
        part = voice_chords(phrases, stage.ground, offset)
        line = stage.line(person, part, stage.cast(voice, oneword=oneword))
        sound += place(line, rng.uniform(-1, 1)) * gain(rng, -5, 0)
        voices.append(voice)
    sound = chorus(sound, rng) if rng.random() < 0.4 else sound
    return Scene(
        sound=room_reverb(sound, rng, longest_s=3.0, wettest=0.9),
        notes=(),
        voices=tuple(sorted(set(voices))),
    )


def sing_vocalise(stage: Stage) -> Scene:
    """Sing on one vowel, perhaps doubled."""
    rng = stage.rng
    singer = stage.singer()
    manner = replace(
        singer.manner, melisma=0.92, legato=1.0, glide_s=float(rng.uniform(0.015, 0.08))
    )
    singer = replace(singer, manner=manner)
    phrases, cast = stage.tune(singer), stage.cast(singer.voice, oneword=True)
    sound = place(stage.line(singer, phrases, cast), float(rng.uniform(-0.3, 0.3)))
    if rng.random() < 0.4:
        sound += _wide_pair(stage, singer, phrases) * gain(rng, -9, 2)
    return Scene(sound=sound, notes=_flat(phrases), voices=(singer.voice,))


def rap(stage: Stage) -> Scene:
    """Rap fast syllables on the grid with the melody of speech, perhaps double-tracked."""
    rng = stage.rng
    singer = stage.singer()
    pitch = float(rng.uniform(singer.low - 3, singer.low + 8))
    lines = write_flow(rng, stage.ground, pitch=pitch, rest=stage.rest)
    manner = replace(
        singer.manner,
        prosody=float(rng.uniform(0.4, 1.3)),
        vibrato_cents=0.0,
        melisma=0.0,
        legato=float(rng.choice([0.85, 1.0])),
        glide_s=0.012,
        accents_db=float(rng.uniform(1, 4)),
        detune_cents=0.0,
    )
    singer = replace(singer, manner=manner)
    cast = stage.cast(singer.voice)
    sound = place(stage.line(singer, lines, cast), 0.0)
    if rng.random() < 0.5:
        chosen = lines if rng.random() < 0.5 else [line[-3:] for line in lines]
        for side in (-1, 1)[: int(rng.integers(1, 3))]:
            part = stage.line(_another(rng, singer, 1.0), chosen, cast)
            sound += place(part, side * rng.uniform(0.3, 1.0)) * gain(rng, -12, -3)
    if rng.random() < 0.3:
        sound += _ad_libs(stage, singer) * gain(rng, -9, 0)
    return Scene(sound=sound, notes=(), voices=(singer.voice,))


def talk(stage: Stage) -> Scene:
    """Speak and shout here and there."""
    singer = stage.singer()
    return Scene(sound=_ad_libs(stage, singer), notes=(), voices=(singer.voice,))


def sing_formant(stage: Stage) -> Scene:
    """Let the composer's formant singer sing, perhaps twice, left and right."""
    rng = stage.rng
    singer = stage.singer()
    phrases = stage.tune(singer)
    sound = place(level(sing_formants(rng, phrases, length=CLIP_SAMPLES)), rng.uniform(-0.4, 0.4))
    if rng.random() < 0.3:
        other = harmonise(phrases, stage.ground, int(rng.choice([0, 2, 4, -3])))
        part = level(sing_formants(rng, other, length=CLIP_SAMPLES))
        sound += place(part, rng.uniform(-1, 1)) * gain(rng, -9, 0)
    return Scene(sound=sound, notes=(), voices=("formants",))


def chop(stage: Stage) -> Scene:
    """Strike short pieces of a sung line again and again on the grid at other pitches."""
    rng = stage.rng
    singer = stage.singer()
    phrases = stage.tune(singer)
    line = stage.line(singer, phrases, stage.cast(singer.voice))
    step = stage.ground.beat_s * float(rng.choice([0.25, 0.5, 0.5, 1.0]))
    notes = _flat(phrases)
    pattern = rng.random(8) < 0.6
    pattern[0] = True
    out = np.zeros((2, CLIP_SAMPLES), dtype=np.float32)
    source = notes[int(rng.integers(len(notes)))]
    for index in range(int(CLIP_S / step)):
        if index % 16 == 0:
            source = notes[int(rng.integers(len(notes)))]
        if not pattern[index % 8] or (index // 16 and rng.random() < stage.rest / 2):
            continue
        begin = max(0, int(source.start_s * SAMPLE_RATE) - 1500)
        piece = line[begin : begin + int(min(1.4 * step, 0.6) * SAMPLE_RATE)]
        piece = _repitched(piece, float(rng.choice([0, 0, 0, 3, 5, 7, 12, -5])))
        start = int((stage.ground.first_downbeat_s + index * step) * SAMPLE_RATE)
        overlay(out, piece, start, float(rng.choice([0, 0, -0.8, 0.8])))
    return Scene(sound=out + 0.02 * place(line, 0.0), notes=(), voices=(singer.voice,))


SCENES: dict[str, tuple[Callable[[Stage], Scene], float]] = {
    "sung": (sing_lead, 0.48),
    "backing": (sing_backing, 0.14),
    "rap": (rap, 0.13),
    "choir": (sing_choir, 0.06),
    "vocalise": (sing_vocalise, 0.08),
    "formant": (sing_formant, 0.05),
    "chop": (chop, 0.03),
    "talk": (talk, 0.03),
}
"""Every kind of clip: what makes it, and its share."""


def _wide_pair(stage: Stage, singer: Singer, phrases: Phrases) -> Signal:
    """Return the phrases in harmony left and right, with effects of their own."""
    rng = stage.rng
    oneword = bool(rng.random() < 0.4)
    cast = stage.cast(singer.voice, oneword=oneword)
    away = rng.uniform(0.5, 1.0)
    out = np.zeros((2, CLIP_SAMPLES), dtype=np.float32)
    for side in (-away, away):
        moved = harmonise(phrases, stage.ground, int(rng.choice([0, 2, 4, 7])))
        out += place(stage.line(_another(rng, singer, 2.0), moved, cast), side)
    return _spread(rng, out)


def _ad_libs(stage: Stage, singer: Singer) -> Signal:
    rng = stage.rng
    out = np.zeros((2, CLIP_SAMPLES), dtype=np.float32)
    for _ in range(int(rng.integers(2, 6))):
        manner = replace(singer.manner, prosody=float(rng.uniform(0.3, 1.8)))
        pitch = float(rng.uniform(singer.low, singer.low + 12))
        words = stage.corpus.utterance(rng, singer.voice)
        said = level(speak(rng, words, manner, pitch=pitch, rate=float(rng.uniform(0.8, 1.5))))
        said = said[: int(rng.uniform(0.3, 2.5) * SAMPLE_RATE)]
        said[-800:] *= np.linspace(1, 0, 800, dtype=np.float32)[-len(said) :]
        beat = stage.ground.beats_s[int(rng.integers(len(stage.ground.beats_s)))]
        start = int(np.clip(beat, 0, CLIP_S - 1) * SAMPLE_RATE)
        overlay(out, said, start, float(rng.uniform(-0.9, 0.9)))
    return out


def _spread(rng: np.random.Generator, sound: Signal) -> Signal:
    """Make backing voices as wide and as wet as records do."""
    out = filtered(sound, low_hz=float(np.exp(rng.uniform(np.log(90), np.log(450)))))
    if rng.random() < 0.5:
        out = chorus(out, rng)
    if rng.random() < 0.25:
        out = widen(out, rng)
    if rng.random() < 0.65:
        out = room_reverb(out, rng, longest_s=3.0, wettest=1.0)
    return out


def _another(rng: np.random.Generator, singer: Singer, spread: float) -> Singer:
    return replace(singer, manner=vary_manner(rng, singer.manner, spread=spread))


def _some(rng: np.random.Generator, phrases: Phrases, share: float) -> Phrases:
    kept = [phrase for phrase in phrases if rng.random() < share]
    return kept or phrases[:1]


def _flat(phrases: Phrases) -> tuple[Note, ...]:
    return tuple(note for phrase in phrases for note in phrase)


def _repitched(piece: Mono, semitones: float) -> Mono:
    """Play a piece faster or slower, as a sampler does, with its ends faded."""
    at = np.arange(0, len(piece) - 1, 2 ** (semitones / 12))
    out = np.interp(at, np.arange(len(piece)), piece).astype(np.float32)
    fade = np.minimum(1.0, np.minimum(np.arange(len(out)), len(out) - np.arange(len(out))) / 200)
    faded: Mono = (out * fade).astype(np.float32)
    return faded
