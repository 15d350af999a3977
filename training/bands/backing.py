"""Backings: excerpts of songs that nobody has sung to, part by part, with their truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import SAMPLE_RATE
from training.bands import layers
from training.bands.harmony import draw_harmony
from training.bands.soundfonts import FONTS
from training.bands.styles import draw_style
from training.bands.timeline import LEAD_S, draw_timeline
from training.clips import CLIP_S, CLIP_SAMPLES, PARTS, render_missing
from training.dynamics import compressor_gain, limiter_gain, pump_gain
from training.effects import filtered

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.types import BeatGrid, Key, Signal
    from training.bands.harmony import Chord
    from training.bands.layers import Band
    from training.bands.timeline import Timeline
    from training.clips import Audio, Facts

_LEVELS_DB = {"drums": (-21, 4.0), "bass": (-23, 3.5), "chords": (-23, 3.5), "lead": (-26, 4.0)}
_PEAK = 0.95
_LOWEST_HZ = 15.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backing:
    """Twelve seconds from somewhere in a song without a voice.

    Attributes
    ----------
    parts
        float32, shape (4, 2, n), 44 100 Hz: drums, bass, chords, lead; their sum is the backing
        and stays within [-1, 1].
    grid
        True beats and downbeats in seconds from the first sample.
    key
        The key; other modes count as the one whose third they have.
    chords
        Start and end in seconds and semitones above C, root first; without gaps.
    style
        Name of one of `training.bands.styles.STYLES`.
    """

    parts: Signal
    grid: BeatGrid
    key: Key
    chords: tuple[tuple[float, float, tuple[int, ...]], ...]
    style: str


def render_backing(seed: int) -> Backing:
    """Compose, play and mix a backing; the same seed gives the same samples.

    Raises
    ------
    training.bands.soundfonts.SoundfontError
        FluidSynth or a soundfont is not there.
    """
    rng = np.random.default_rng([seed, 0xACC0])
    style = draw_style(rng)
    timeline = draw_timeline(rng, style)
    harmony = draw_harmony(rng, timeline.beats, style.beats_per_bar)
    band = layers.Band(
        style=style,
        timeline=timeline,
        harmony=harmony,
        machine=rng.random() < 0.15 + 0.7 * style.electronic,
        font=FONTS[0] if rng.random() < 0.55 else FONTS[1],
    )
    parts = _mix(rng, _record(rng, band), band)
    start = round(LEAD_S * SAMPLE_RATE)
    return Backing(
        parts=parts[..., start : start + CLIP_SAMPLES],
        grid=timeline.grid(),
        key=harmony.key,
        chords=_heard_chords(harmony.chords, timeline),
        style=style.name,
    )


def facts_of(backing: Backing, seed: int) -> Facts:
    """Return what is stored beside a backing's audio."""
    return {
        "seed": seed,
        "style": backing.style,
        "bpm": backing.grid.bpm,
        "beats_per_bar": backing.grid.beats_per_bar,
        "beats_s": list(backing.grid.beats_s),
        "downbeats_s": list(backing.grid.downbeats_s),
        "tonic": backing.key.tonic,
        "mode": backing.key.mode,
        "chords": [[start, end, list(tones)] for start, end, tones in backing.chords],
    }


def render_backings(directory: Path, seeds: Iterable[int], processes: int = 1) -> int:
    """Render the backings that are not there yet, and return how many they were.

    Parameters
    ----------
    directory
        The clips go to `directory`/backings.
    seeds
        Which backings; those from `training.clips.FIRST_VALIDATION_SEED` on are for validation.
    processes
        How many are rendered at a time.

    Raises
    ------
    training.bands.soundfonts.SoundfontError
        FluidSynth or a soundfont is not there.
    """
    return render_missing(directory / "backings", seeds, _render, processes=processes)


def _render(seed: int) -> tuple[Audio, Facts]:
    backing = render_backing(seed)
    return backing.parts, facts_of(backing, seed)


def _record(rng: np.random.Generator, band: Band) -> dict[str, list[Signal]]:
    """Return the layers of each part; a part without layers is silent."""
    electronic = band.style.electronic > 0.5
    chords = int(rng.choice([1, 2, 3, 4], p=[0.22, 0.38, 0.27, 0.13]))
    leads = int(rng.choice([0, 1, 2], p=[0.35, 0.5, 0.15]))
    recorded = {
        "drums": [layers.record_drums(rng, band)],
        "bass": [layers.record_bass(rng, band)] if rng.random() < 0.92 else [],
        "chords": [layers.record_chords(rng, band) for _ in range(chords)],
        "lead": [layers.record_lead(rng, band) for _ in range(leads)],
    }
    if rng.random() < (0.25 if electronic else 0.03):
        recorded["chords"].append(layers.record_riser(rng, band))
    return recorded


def _mix(rng: np.random.Generator, recorded: dict[str, list[Signal]], band: Band) -> Signal:
    """Return the parts as they sound in the mix, float32, shape (4, 2, n)."""
    length = recorded["drums"][0].shape[-1]
    parts = np.zeros((len(PARTS), 2, length), dtype=np.float32)
    for index, part in enumerate(PARTS):
        middle_db, spread_db = _LEVELS_DB[part]
        for layer in recorded[part]:
            # Some sampled pads and every uneven distortion bring a constant with them.
            centred = filtered(layer, low_hz=_LOWEST_HZ)
            balanced = _at_level(centred, 10 ** (rng.uniform(-8, 0) / 20))
            parts[index] += (
                _with_entry(rng, balanced, band) if part in ("chords", "lead") else balanced
            )
        parts[index] = _at_level(parts[index], 10 ** (rng.normal(middle_db, spread_db) / 20))
    if rng.random() < (0.45 if band.style.name == "four-on-the-floor" else 0.05):
        parts[1:] *= _pump(rng, band.timeline, length)
    if rng.random() < 0.06:
        parts[:] = parts.mean(axis=1, keepdims=True)
    return _master(rng, parts)


def _with_entry(rng: np.random.Generator, layer: Signal, band: Band) -> Signal:
    """Return a layer that now and then begins or ends on a bar line within the excerpt."""
    if rng.random() > 0.14:
        return layer
    timeline = band.timeline
    bars = timeline.beats // timeline.beats_per_bar
    bar = float(rng.integers(1, max(2, bars)) * timeline.beats_per_bar)
    fade = np.clip(
        (np.arange(layer.shape[-1]) / SAMPLE_RATE - timeline.seconds(bar)) / 0.03 + 1, 0, 1
    )
    if rng.random() < 0.5:
        fade = 1 - fade
    return layer * fade.astype(np.float32)


def _pump(rng: np.random.Generator, timeline: Timeline, length: int) -> Signal:
    beats = [timeline.seconds(beat) for beat in range(timeline.beats)]
    recover_s = timeline.beat_s * float(rng.uniform(0.4, 0.95))
    return pump_gain(length, beats, float(rng.uniform(0.3, 0.95)), recover_s)


def _master(rng: np.random.Generator, parts: Signal) -> Signal:
    """Ride the sum with one gain for all parts, so that they still sum to what is heard."""
    bus = parts.sum(axis=0)
    if not bus.any():
        return parts
    if rng.random() < 0.6:
        level_db = 20 * np.log10(float(np.sqrt(np.mean(bus**2))))
        gain = compressor_gain(
            bus,
            threshold_db=level_db + rng.uniform(0, 8),
            ratio=float(rng.uniform(1.3, 4)),
            attack_s=float(rng.uniform(0.003, 0.04)),
            release_s=float(rng.uniform(0.05, 0.4)),
        )
        parts, bus = parts * gain, bus * gain
    loudness = 10 ** (rng.uniform(-20, -9) / 20)
    scale = np.float32(loudness / float(np.sqrt(np.mean(bus**2))))
    parts, bus = parts * scale, bus * scale
    if rng.random() < 0.2:  # a clipper: tanh as a gain, again the same for all parts
        drive = np.float32(rng.uniform(0.8, 1.6))
        bent = np.tanh(bus * drive) / np.where(np.abs(bus) < 1e-6, 1.0, bus * drive)
        gain = np.where(np.abs(bus) < 1e-6, 1.0, bent).astype(np.float32)
        parts, bus = parts * gain, bus * gain
    parts = parts * limiter_gain(bus, _PEAK)
    # Parts that cancel each other can be louder than their sum; clips hold up to 1.26.
    highest = float(np.max(np.abs(parts)))
    return (parts * np.float32(min(1.0, 1.2 / highest))).astype(np.float32, copy=False)


def _at_level(signal: Signal, rms: float) -> Signal:
    now = float(np.sqrt(np.mean(np.square(signal, dtype=np.float64))))
    return signal * np.float32(rms / now if now > 1e-6 else 0.0)


def _heard_chords(
    chords: Iterable[Chord], timeline: Timeline
) -> tuple[tuple[float, float, tuple[int, ...]], ...]:
    """Return the chords that sound within the excerpt, in seconds from its first sample."""
    spans = (
        (timeline.seconds(c.start) - LEAD_S, timeline.seconds(c.end) - LEAD_S, c.tones)
        for c in chords
    )
    return tuple(
        (max(0.0, start), min(CLIP_S, end), tones)
        for start, end, tones in spans
        if end > 0 and start < CLIP_S
    )
