"""The composer's one act: a seed and a few wishes in, a song and its answer out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from composer.band import play_band
from composer.clock import wind_clock
from composer.drums import PANS, build_kit, play_drums
from composer.instruments import INSTRUMENTS, build_room, pan_gains
from composer.levels import set_levels
from composer.melody import write_melody
from composer.score import Metre, draw_form, draw_key, draw_style, draw_title
from composer.voice import draw_singer, sing_phrase
from pipeline.types import SAMPLE_RATE, BeatGrid, Stems

if TYPE_CHECKING:
    from collections.abc import Iterable

    from composer.band import Note
    from composer.clock import Clock
    from composer.drums import Hit
    from composer.melody import Syllable
    from composer.voice import Singer
    from pipeline.types import Key, Signal

LIMITS: dict[str, tuple[float, float]] = {
    "duration_s": (4.0, 900.0),
    "bpm": (40.0, 240.0),
    "drift": (0.0, 0.2),
    "swing": (0.0, 0.5),
    "loudness_lufs": (-40.0, -9.0),
    "intro_bars": (0, 64),
}
"""Lowest and highest value of each number that `compose` takes."""

_DRUM_ROOM = 0.10
_BAND_ROOM = 0.22
_ROOM_S = 0.9
_VOICE_ROOM_S = 0.5
_FADE_S = 1.0
_FEWEST_BARS = 3  # after the intro: two to sing in and the last chord


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composition:
    """A song, and everything that an analysis of it should find.

    Attributes
    ----------
    title
        Two words.
    mixture
        float32, shape (2, n), 44 100 Hz; exactly `stems.vocals` + `stems.accompaniment`.
    stems
        The voice and the band.
    grid
        True beats and downbeats in seconds: where the quarter notes are played. Its `bpm` is the
        mean tempo that was asked for.
    key
        Key of the melody and the chords.
    voice_spans_s
        Start and end in seconds of each sung phrase; outside them the vocals are digital silence.
        A phrase starts with the onset of its first vowel, on the grid.
    swing
        Delay of the off-beat eighths as a share of an eighth.
    """

    title: str
    mixture: Signal
    stems: Stems
    grid: BeatGrid
    key: Key
    voice_spans_s: tuple[tuple[float, float], ...]
    swing: float


def compose(
    seed: int,
    *,
    duration_s: float = 30.0,
    bpm: float | None = None,
    drift: float = 0.0,
    key: Key | None = None,
    beats_per_bar: int = 4,
    swing: float = 0.0,
    pickup_beats: int = 0,
    loudness_lufs: float = -16.0,
    intro_bars: int = 4,
    voice: bool = True,
) -> Composition:
    """Compose and render a song; the same arguments give the same samples.

    Parameters
    ----------
    seed
        Any whole number from 0; it decides everything that the rest leaves open.
    duration_s
        Length in seconds, from 4 to 900; the last chord rings until the end.
    bpm
        Mean tempo in beats per minute, from 40 to 240; None lets the seed choose.
    drift
        Largest fractional deviation from the mean tempo, a slow wander, up to 0.2.
    key
        None lets the seed choose.
    beats_per_bar
        3 or 4.
    swing
        Delay of the off-beat eighths as a share of an eighth, up to 0.5; 1/3 is a triplet feel.
    pickup_beats
        How many beats the song, and each sung phrase, begins before its first downbeat; less
        than a bar.
    loudness_lufs
        Integrated loudness in LUFS after ITU-R BS.1770, from -40 to -9.
    intro_bars
        How many bars the band plays before the first phrase (which a pickup brings forward).
    voice
        False leaves the vocals silent.

    Raises
    ------
    ValueError
        If an argument is out of bounds, or the song too short to hold the intro and three bars,
        or so peaky that it cannot be made as loud as asked.
    """
    _check(
        seed,
        beats_per_bar,
        pickup_beats,
        duration_s=duration_s,
        bpm=bpm,
        drift=drift,
        swing=swing,
        loudness_lufs=loudness_lufs,
        intro_bars=intro_bars,
    )
    # Independent streams: asking for another tempo changes neither drum sounds nor singer.
    traits, tempo, tune, words, throat, *players = (
        np.random.default_rng([seed, stream]) for stream in range(8)
    )
    title = draw_title(traits)
    drawn_key = draw_key(traits)
    style = draw_style(traits, bpm, beats_per_bar)
    drawn_bpm = round(float(traits.uniform(style.slowest_bpm, style.fastest_bpm)), 1)
    key = drawn_key if key is None else key
    bpm = drawn_bpm if bpm is None else bpm
    clock = wind_clock(
        tempo,
        duration_s=duration_s,
        bpm=bpm,
        drift=drift,
        swing=swing,
        lead_s=float(tempo.uniform(0.05, 0.35)),
        pickup_beats=pickup_beats,
    )
    metre = Metre(beats_per_bar=beats_per_bar, pickup_beats=pickup_beats, beat_s=60 / bpm)
    form = draw_form(tune, key, _count_bars(clock, metre, duration_s, intro_bars), intro_bars)
    length = round(duration_s * SAMPLE_RATE)
    drummer, kit, walls = players
    # The last chord rings until the end of the song.
    final_beats = clock.position(duration_s) - (len(form) - 1) * beats_per_bar
    hits = play_drums(drummer, style, form, metre)
    notes = play_band(style, form, metre, final_beats=final_beats)
    accompaniment = _in_room(
        walls, render_drums(kit, hits, clock, length), render_band(notes, clock, length)
    )
    vocals: Signal = np.zeros((2, length), dtype=np.float32)
    spans: tuple[tuple[float, float], ...] = ()
    if voice:
        singer = draw_singer(throat)
        melody = write_melody(words, form, key, metre, centre=singer.centre)
        vocals, spans = _render_vocals(throat, singer, melody, clock, length)
    vocals, accompaniment = set_levels(vocals, accompaniment, spans_s=spans, lufs=loudness_lufs)
    return Composition(
        title=title,
        mixture=vocals + accompaniment,
        stems=Stems(vocals=vocals, accompaniment=accompaniment),
        grid=_true_grid(clock, metre, len(form), bpm),
        key=key,
        voice_spans_s=spans,
        swing=swing,
    )


def _count_bars(clock: Clock, metre: Metre, duration_s: float, intro_bars: int) -> int:
    bars = int(clock.position(duration_s) // metre.beats_per_bar)
    if bars < intro_bars + _FEWEST_BARS:
        raise ValueError(
            f"{duration_s:g} s at {60 / metre.beat_s:g} BPM hold {max(bars, 0)} bars, but "
            f"{intro_bars} for the intro and {_FEWEST_BARS} for the song are needed; ask for a "
            "longer song, a faster one or a shorter intro."
        )
    return bars


def _true_grid(clock: Clock, metre: Metre, bars: int, bpm: float) -> BeatGrid:
    beats = np.arange(-metre.pickup_beats, bars * metre.beats_per_bar)
    times = clock.seconds(beats)
    return BeatGrid(
        beats_s=tuple(times.tolist()),
        downbeats_s=tuple(times[beats % metre.beats_per_bar == 0].tolist()),
        bpm=bpm,
        beats_per_bar=metre.beats_per_bar,
        confidence=1.0,
    )


def _check(seed: int, beats_per_bar: int, pickup_beats: int, **numbers: float | None) -> None:
    if seed < 0:
        raise ValueError(f"seed is {seed}, but must be 0 or more.")
    if beats_per_bar not in (3, 4):
        raise ValueError(f"beats_per_bar is {beats_per_bar}, but must be 3 or 4.")
    if not 0 <= pickup_beats < beats_per_bar:
        raise ValueError(f"pickup_beats is {pickup_beats}, but must be from 0 to less than a bar.")
    for name, value in numbers.items():
        low, high = LIMITS[name]
        # Written so that a NaN fails too.
        if value is not None and not low <= value <= high:
            raise ValueError(f"{name} is {value:g}, but must be from {low:g} to {high:g}.")


def _in_room(rng: np.random.Generator, drums: Signal, band: Signal) -> Signal:
    """Return drums and band in their room, faded out at the end, float32, shape (2, n)."""
    sent = np.float32(_DRUM_ROOM) * drums + np.float32(_BAND_ROOM) * band
    wet = signal.oaconvolve(sent, build_room(rng, _ROOM_S), axes=-1)[:, : drums.shape[-1]]
    out: Signal = drums + band + wet.astype(np.float32)
    fade = int(_FADE_S * SAMPLE_RATE)
    out[:, -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
    return out


def _render_vocals(
    rng: np.random.Generator,
    singer: Singer,
    melody: tuple[tuple[Syllable, ...], ...],
    clock: Clock,
    length: int,
) -> tuple[Signal, tuple[tuple[float, float], ...]]:
    """Return the voice, float32, shape (2, length), and start and end of each phrase in s."""
    out = np.zeros((2, length), dtype=np.float32)
    room = build_room(rng, _VOICE_ROOM_S)
    sung = [sing_phrase(rng, singer, phrase, clock, room) for phrase in melody]
    return out, tuple(_place(out, start_s, sound) for start_s, sound in sung)


def render_drums(
    rng: np.random.Generator, hits: Iterable[Hit], clock: Clock, length: int
) -> Signal:
    """Return the dry drums, float32, shape (2, length)."""
    kit = build_kit(rng)
    out = np.zeros((2, length), dtype=np.float32)
    for hit in hits:
        sounds = kit[hit.drum]
        sound = sounds[int(rng.integers(len(sounds)))] * np.float32(hit.level)
        _place(out, float(clock.seconds(hit.position)), sound * pan_gains(PANS[hit.drum]))
    return out


def render_band(notes: Iterable[Note], clock: Clock, length: int) -> Signal:
    """Return dry bass and chords, float32, shape (2, length)."""
    out = np.zeros((2, length), dtype=np.float32)
    sounds: dict[tuple[str, int], Signal] = {}
    timed = [(n, *clock.seconds([n.start, n.start + n.length]).tolist()) for n in notes]
    # Longest first, so that a shorter note of the same pitch is cut from a sound that is there.
    for note, start_s, end_s in sorted(timed, key=lambda x: x[1] - x[2]):
        name = (note.instrument, note.pitch)
        if name not in sounds:
            sounds[name] = INSTRUMENTS[note.instrument].sound(note.pitch, end_s - start_s)
        release = INSTRUMENTS[note.instrument].release
        sound = sounds[name][:, : int((end_s - start_s) * SAMPLE_RATE) + len(release)]
        sound = sound * np.float32(note.level)
        sound[:, -len(release) :] *= release
        _place(out, start_s, sound)
    return out


def _place(out: Signal, start_s: float, sound: Signal) -> tuple[float, float]:
    """Add a sound to a signal in place; return when it starts and ends in it, in seconds."""
    start = round(start_s * SAMPLE_RATE)
    end = min(start + sound.shape[-1], out.shape[-1])
    out[:, start:end] += sound[:, : end - start]
    return start / SAMPLE_RATE, end / SAMPLE_RATE
