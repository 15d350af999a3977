"""Twelve seconds of somebody singing: the vocal clips of the song factory."""

from __future__ import annotations

import json
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.types import SAMPLE_RATE
from training.clips import render_missing
from training.effects import (
    band_limit,
    compress,
    echo,
    equalise,
    filtered,
    guitar_amp,
    room_reverb,
    saturate,
    widen,
)
from training.singers.ensemble import SCENES
from training.singers.melody import draw_ground, ground_of
from training.singers.speech import Corpus
from training.singers.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pipeline.types import Signal
    from training.singers.melody import Ground

SOUNDING_RMS = 10 ** (-21 / 20)
"""Level of every clip while it sounds."""

_HIGHEST = 1.2
_BLOCK = SAMPLE_RATE // 20
_QUIET = 0.02  # of the loudest block: silence between phrases
_STREAM = 77  # keeps the voices' random numbers apart from the backings' of the same seeds


def render_voice(
    seed: int, corpus: Corpus, backing_facts: dict[str, Any] | None
) -> tuple[Signal, dict[str, Any]]:
    """Return a vocal clip and what is known about it.

    Parameters
    ----------
    seed
        The same seed, corpus and backing give the same samples.
    corpus
        Speech to sing with.
    backing_facts
        Facts of the backing that the voice follows; without them key and tempo are random.

    Returns
    -------
    sound
        float32, shape (2, n), `SOUNDING_RMS` where it sounds, without clipping.
    facts
        seed, kind (a key of `training.singers.ensemble.SCENES`), source (names of the voices),
        backing (its seed or None), and notes ([start in seconds, length in seconds, MIDI pitch],
        empty where the main line has no definite pitch).
    """
    rng = np.random.default_rng([_STREAM, seed])
    kinds, shares = list(SCENES), [share for _, share in SCENES.values()]
    kind = str(rng.choice(kinds, p=shares))
    ground = draw_ground(rng) if backing_facts is None else ground_of(backing_facts)
    rest = float(rng.uniform(0.5, 0.85) if rng.random() < 0.2 else rng.uniform(0.0, 0.25))
    stage = Stage(rng=rng, corpus=corpus, ground=ground, rest=rest)
    scene = SCENES[kind][0](stage)
    sound = set_level(produce(scene.sound, rng, ground))
    return sound, {
        "seed": seed,
        "kind": kind,
        "source": list(scene.voices),
        "backing": None if backing_facts is None else int(backing_facts["seed"]),
        "notes": [[round(n.start_s, 4), round(n.length_s, 4), n.pitch] for n in scene.notes],
    }


def render_voices(directory: Path, seeds: Iterable[int], processes: int = 1) -> int:
    """Render the voices that are not there yet; return how many were rendered.

    Parameters
    ----------
    directory
        Holds speech/ (see `training.singers.speech.build_corpus`) and perhaps backings/; voices/ is
        written. Voice i follows backing i where that exists.
    seeds
        Which clips.
    processes
        How many at a time.

    Raises
    ------
    FileNotFoundError
        When there is no speech.
    """
    _corpus(directory / "speech")
    render = partial(_render_stored, directory)
    return render_missing(directory / "voices", seeds, render, processes=processes)


def produce(sound: Signal, rng: np.random.Generator, ground: Ground) -> Signal:
    """Return a voice as a studio leaves it: from untouched to drowned.

    Parameters
    ----------
    sound
        float32, shape (2, n).
    rng
        Where the effects are drawn from.
    ground
        Gives the tempo of the echoes.
    """
    out = filtered(sound, low_hz=float(np.exp(rng.uniform(np.log(50), np.log(180)))))
    if rng.random() < 0.7:
        out = compress(out, rng)
    if rng.random() < 0.55:
        out = equalise(out, rng)
    if rng.random() < 0.15:
        out = saturate(out, rng)
    if rng.random() < 0.12:
        out = _disguise(out, rng, ground)
    if rng.random() < 0.08:
        out = widen(out, rng)
    if rng.random() < 0.3:
        slap = rng.random() < 0.3  # 80 to 160 ms whatever the tempo
        out = echo(out, rng, beat_s=float(rng.uniform(0.08, 0.16)) if slap else ground.beat_s)
    drowned = rng.random() < 0.1
    if drowned or rng.random() < 0.68:
        out = room_reverb(
            out, rng, longest_s=3.5 if drowned else 2.0, wettest=1.6 if drowned else 0.5
        )
    return out


def set_level(sound: Signal) -> Signal:
    """Bring the sounding blocks of a clip to `SOUNDING_RMS`, or lower where it would clip.

    Raises
    ------
    ValueError
        When nothing sounds.
    """
    blocks = np.mean(np.square(sound[:, : sound.shape[1] // _BLOCK * _BLOCK]), axis=0)
    power = blocks.reshape(-1, _BLOCK).mean(axis=1)
    if not np.max(power) > 0:
        raise ValueError("A vocal clip needs a voice, but nothing sounds.")
    level = float(np.sqrt(np.mean(power[power > _QUIET**2 * np.max(power)])))
    gain = min(SOUNDING_RMS / level, _HIGHEST / float(np.max(np.abs(sound))))
    return (sound * np.float32(gain)).astype(np.float32)


def _disguise(sound: Signal, rng: np.random.Generator, ground: Ground) -> Signal:
    """Make a voice hard to know: telephone, amplifier, drive, a gate on the beat."""
    which = rng.choice(["telephone", "amp", "drive", "gate", "band"])
    if which == "telephone":
        low, high = rng.uniform(250, 600), rng.uniform(2400, 4500)
        return saturate(filtered(sound, low_hz=low, high_hz=high, order=4), rng)
    if which == "amp":
        return guitar_amp(sound, rng)
    if which == "drive":
        return saturate(sound, rng, hardest=20.0)
    if which == "gate":
        times = np.arange(sound.shape[1]) / SAMPLE_RATE - ground.first_downbeat_s
        wave = np.sin(2 * np.pi * times / (ground.beat_s * rng.choice([0.25, 0.5, 1.0])))
        gated: Signal = (sound * (0.5 + 0.5 * np.tanh(4 * wave))).astype(np.float32)
        return gated
    return band_limit(sound, rng)


def _render_stored(directory: Path, seed: int) -> tuple[Signal, dict[str, Any]]:
    facts = directory / "backings" / f"{seed:06d}.json"
    backing = json.loads(facts.read_text(encoding="utf-8")) if facts.exists() else None
    return render_voice(seed, _corpus(directory / "speech"), backing)


@lru_cache(maxsize=1)
def _corpus(directory: Path) -> Corpus:
    return Corpus(directory)
