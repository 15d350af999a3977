"""What the beat network learns from: spectra of many songs, and where their beats are.

Songs come from two places: `composer.compose`, at all tempi and metres, and the rendered clips of
`training.clips`, of which parts are left out, re-balanced and sung over. Spectra are computed once
and kept on disk; what a microphone, a mixing desk or another drummer would change is changed anew
each time an example is drawn.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from composer import compose
from pipeline.mono import RATE
from pipeline.neural_beats import FPS, ROWS, STROKES, spectra
from pipeline.types import SAMPLE_RATE
from training.clips import (
    FIRST_REAL_SEED,
    FIRST_VALIDATION_SEED,
    Facts,
    read_clip,
    stored_seeds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Floats: TypeAlias = npt.NDArray[np.float64]
Frames: TypeAlias = npt.NDArray[np.float32]

FIRST_SEED = 1_000_000
"""Composed songs are numbered from here on; tests and benchmarks take lower seeds."""

HELD_OUT = 10
"""Composed songs whose seed is a multiple of this are for validation, never for training."""

_COMPOSED_S = 26.0
_SPEED = 0.12  # a tape played faster or slower shifts formants and drum sounds too
_STRETCH = 0.22  # of the spectra alone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """A song as the network reads it, and what it should say.

    Attributes
    ----------
    spectra
        See `pipeline.neural_beats.spectra`; float16, shape (ROWS, frames).
    beats_s, downbeats_s
        True times in seconds, shape (n,).
    """

    spectra: npt.NDArray[np.float16]
    beats_s: Floats
    downbeats_s: Floats


def prepare(
    clips: Path, cache: Path, *, composed: int, variants: int
) -> Iterator[tuple[int, Path]]:
    """Compute and keep the spectra of all songs that have none yet; yield each as it is done.

    Parameters
    ----------
    clips
        Folder of rendered clips, with backings and voices; may hold none yet.
    cache
        Where to keep spectra.
    composed
        How many songs to compose.
    variants
        In how many ways to mix each rendered clip.
    """
    cache.mkdir(parents=True, exist_ok=True)
    for seed in range(FIRST_SEED, FIRST_SEED + composed):
        path = cache / f"composed-{seed}.npz"
        if not path.exists():
            save(path, composed_example(seed))
            yield seed, path
    voices = voices_of(clips)
    for seed, _ in _rendered(clips / "backings", known="beats_s"):
        for variant in range(variants):
            path = cache / f"clip-{seed}-{variant}.npz"
            if not path.exists():
                save(path, clip_example(clips, seed, voices, variant))
                yield seed, path


def held_out(path: Path) -> bool:
    """Whether spectra that `prepare` made are of a song for validation."""
    kind, seed = path.stem.split("-")[:2]
    if kind == "composed":
        return int(seed) % HELD_OUT == 0
    return int(seed) >= FIRST_VALIDATION_SEED


def composed_example(seed: int) -> Example:
    """Compose a song of any tempo, metre, swing and drift, and mix its voice anew."""
    rng = np.random.default_rng([seed, 1])
    three = rng.random() < 0.3
    song = compose(
        seed,
        duration_s=_COMPOSED_S,
        bpm=float(np.exp(rng.uniform(np.log(58.0), np.log(198.0)))),
        drift=float(rng.choice([0.0, rng.uniform(0.0, 0.06)])),
        beats_per_bar=3 if three else 4,
        swing=float(rng.choice([0.0, 0.0, 1 / 3, rng.uniform(0.0, 0.4)])),
        pickup_beats=int(rng.choice([0, 0, rng.integers(3)])),
        intro_bars=int(rng.integers(1, 3)),
    )
    voice = float(rng.choice([0.0, 1.0, 10.0 ** (rng.uniform(-6.0, 6.0) / 20.0)]))
    samples = song.stems.accompaniment + np.float32(voice) * song.stems.vocals
    grid = song.grid
    return _example(samples, np.asarray(grid.beats_s), np.asarray(grid.downbeats_s), rng)


def clip_example(
    clips: Path, seed: int, voices: dict[int | None, list[int]], variant: int
) -> Example:
    """Mix a rendered clip: parts louder, softer or silent, a voice over half of the mixes.

    Parameters
    ----------
    clips
        Folder of rendered clips.
    seed
        Of the backing.
    voices
        See `voices_of`.
    variant
        Which of the many mixes.
    """
    rng = np.random.default_rng([seed, 2, variant])
    parts, facts = read_clip(clips / "backings", seed)
    gains = 10.0 ** (rng.uniform(-8.0, 5.0, len(parts)) / 20.0)
    if variant > 0:  # the first is the whole band
        gains *= _dropout(rng, parts)
    samples = np.einsum("p,pcn->cn", gains.astype(np.float32), parts)
    sung = voices.get(seed) or voices.get(None)
    if sung and rng.random() < 0.5:
        voice, _ = read_clip(clips / "voices", sung[int(rng.integers(len(sung)))])
        samples += _as_loud(voice, samples) * np.float32(10.0 ** (rng.uniform(-8.0, 5.0) / 20.0))
    return _example(samples, np.asarray(facts["beats_s"]), np.asarray(facts["downbeats_s"]), rng)


def voices_of(clips: Path) -> dict[int | None, list[int]]:
    """Find the voices that follow each backing: seeds by seed; under None those that follow none.

    Parameters
    ----------
    clips
        Folder of rendered clips.
    """
    found: dict[int | None, list[int]] = {}
    for seed, facts in _rendered(clips / "voices", known="kind"):
        found.setdefault(facts["backing"], []).append(seed)
    return found


def _rendered(folder: Path, *, known: str) -> Iterator[tuple[int, Facts]]:
    """Yield seeds and facts of clips that were not recorded and of which this is known."""
    for seed in stored_seeds(folder):
        facts: Facts = json.loads((folder / f"{seed:06d}.json").read_text(encoding="utf-8"))
        if seed < FIRST_REAL_SEED and facts[known]:
            yield seed, facts


def _dropout(rng: np.random.Generator, parts: Frames) -> Floats:
    """Which parts play: drums, bass, chords, lead; never silence."""
    played = rng.random(len(parts)) < (0.6, 0.8, 0.8, 0.7)
    heard = np.abs(parts).max(axis=(1, 2)) > 0
    if not np.any(played & heard):
        played = np.ones(len(parts), dtype=bool)
    return played.astype(np.float64)


def _as_loud(voice: Frames, band: Frames) -> Frames:
    """Return a voice as long and as loud as the band."""
    length = band.shape[1]
    voice = np.pad(voice[:, :length], ((0, 0), (0, max(0, length - voice.shape[1]))))
    level = np.sqrt(np.mean(band**2) / (np.mean(voice**2) + 1e-9))
    return np.asarray(voice * level, dtype=np.float32)


def _example(
    samples: Frames, beats_s: Floats, downbeats_s: Floats, rng: np.random.Generator
) -> Example:
    speed = float(np.exp(rng.choice([0.0, rng.uniform(-_SPEED, _SPEED)])))
    mono = soxr.resample(samples.mean(axis=0), SAMPLE_RATE * speed, RATE).astype(np.float32)
    if rng.random() < 0.3:
        hiss = np.cumsum(rng.standard_normal(len(mono))) if rng.random() < 0.5 else None
        noise = rng.standard_normal(len(mono)) if hiss is None else np.diff(hiss, prepend=0.0)
        level = mono.std() * 10.0 ** (rng.uniform(-40.0, -12.0) / 20.0)
        mono = mono + (level * noise / (noise.std() + 1e-9)).astype(np.float32)
    return Example(
        spectra=spectra(mono).astype(np.float16),
        beats_s=beats_s / speed,
        downbeats_s=downbeats_s / speed,
    )


def save(path: Path, example: Example) -> None:
    """Write an example beside its place and rename it: a file that exists is whole."""
    part = path.with_suffix(".part.npz")
    np.savez(
        part,
        spectra=example.spectra,
        beats_s=example.beats_s,
        downbeats_s=example.downbeats_s,
    )
    part.replace(path)


def load(path: Path) -> Example:
    """Read what `save` wrote."""
    with np.load(path) as data:
        return Example(**{name: data[name] for name in ("spectra", "beats_s", "downbeats_s")})


def targets(example: Example, frames: Floats) -> Frames:
    """Return what the network should say at each frame; shape (2, frames).

    Parameters
    ----------
    example
        Whose beats to mark: 1 on the frame, half of it on each neighbour, since nobody plays, and
        no two rooms agree, to 20 ms.
    frames
        Times in frames of the example, shape (frames,).
    """
    rows = []
    for times in (example.beats_s, example.downbeats_s):
        away = np.full(len(frames), np.inf)
        for time in times:
            away = np.minimum(away, np.abs(frames - time * FPS))
        rows.append(np.maximum(0.0, 1.0 - away / 2.0))
    return np.asarray(rows, dtype=np.float32)


def draw(example: Example, length: int, rng: np.random.Generator) -> tuple[Frames, Frames]:
    """Cut a piece out of an example, at another tempo, of another colour, at another level.

    Parameters
    ----------
    example
        Any example.
    length
        Frames to return; what is missing is silence.
    rng
        Decides which piece, and how it is changed.

    Returns
    -------
    tuple
        Spectra, shape (ROWS, length), and targets, shape (2, length).
    """
    stretch = float(np.exp(rng.choice([0.0, rng.uniform(-_STRETCH, _STRETCH)])))
    available = example.spectra.shape[1]
    room = max(0.0, available - 1 - stretch * length)
    frames = rng.uniform(0.0, room) + stretch * np.arange(length)
    frames -= rng.choice([0.0, rng.uniform(0.0, 100.0)], p=[0.8, 0.2])  # songs begin after silence
    inside = (frames >= 0) & (frames <= available - 1)
    low = np.clip(np.floor(frames).astype(int), 0, available - 2)
    share = np.clip(frames - low, 0.0, 1.0).astype(np.float32)
    cut = example.spectra[:, low] * (1 - share) + example.spectra[:, low + 1] * share
    x = _recoloured(cut.astype(np.float32), rng)
    return x * inside.astype(np.float32), targets(example, frames) * inside.astype(np.float32)


def _recoloured(x: Frames, rng: np.random.Generator) -> Frames:
    """Change level and tone, transpose, and mask a band; works on log spectra."""
    gain = rng.uniform(-0.6, 0.6)
    tilt = rng.uniform(-0.7, 0.7) if rng.random() < 0.7 else 0.0
    for part in (slice(0, STROKES), slice(STROKES, ROWS)):
        rows = np.linspace(-1.0, 1.0, x[part].shape[0])
        wave = rng.uniform(0.0, 0.4) * np.sin(rng.uniform(1, 6) * rows + rng.uniform(0, 6.28))
        scale = np.exp(gain + tilt * rows + wave).astype(np.float32)
        x[part] = np.log1p(scale[:, None] * np.expm1(x[part]))
    step = int(rng.integers(-6, 7))
    x[STROKES:] = np.roll(x[STROKES:], step, axis=0)
    if step > 0:
        x[STROKES : STROKES + step] = 0.0
    elif step < 0:
        x[step:] = 0.0
    if rng.random() < 0.3:
        start, width = int(rng.integers(STROKES)), int(rng.integers(4, 16))
        x[start : min(STROKES, start + width)] = 0.0
    return x
