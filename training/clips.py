"""Rendered clips on disk: 12 seconds of audio in 16 bits, and a file of facts beside each."""

from __future__ import annotations

import json
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy.typing as npt

    Audio = npt.NDArray[np.float32]

CLIP_S = 12.0
"""Length of every clip in seconds."""

CLIP_SAMPLES = int(CLIP_S * SAMPLE_RATE)
"""Length of every clip in samples."""

PARTS = ("drums", "bass", "chords", "lead")
"""Order of a backing's parts."""

FIRST_VALIDATION_SEED = 1_000_000
"""Rendered clips from this seed on are for validation: never train on them."""

FIRST_REAL_SEED = 2_000_000
"""Clips from this seed on are cut from recordings; they may be trained on."""

FULL_SCALE = 26_000.0
"""What a sample of 1 is stored as: there is room for samples up to 1.26."""

Facts: TypeAlias = dict[str, Any]
"""What is known about a clip, ready for JSON."""


def write_clip(directory: Path, seed: int, audio: Audio, facts: Facts) -> None:
    """Store a clip so that it is either there whole or not there.

    Parameters
    ----------
    directory
        Where `000123.npy` and `000123.json` go; made if needed.
    seed
        The clip's number.
    audio
        float32, shape (..., n); beyond 1.26 it is clipped.
    facts
        Written last: a clip exists once its facts do.
    """
    directory.mkdir(parents=True, exist_ok=True)
    samples = np.clip(np.round(audio * FULL_SCALE), -32_767, 32_767).astype(np.int16)
    sound, words = _paths(directory, seed)
    # The process number keeps two processes that render one seed out of each other's way.
    beside = directory / f".{seed:06d}.{os.getpid()}.tmp"
    with beside.open("wb") as file:
        np.save(file, samples)
    beside.replace(sound)
    beside.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    beside.replace(words)


def read_clip(directory: Path, seed: int) -> tuple[Audio, Facts]:
    """Return a stored clip's audio, float32 of the shape it was written with, and its facts.

    Raises
    ------
    FileNotFoundError
        There is no such clip.
    """
    sound, words = _paths(directory, seed)
    facts: Facts = json.loads(words.read_text(encoding="utf-8"))
    return np.load(sound).astype(np.float32) / np.float32(FULL_SCALE), facts


def stored_seeds(directory: Path) -> list[int]:
    """Return the numbers of all clips that are there, rising; none if there is no directory."""
    return sorted(int(path.stem) for path in directory.glob("*.json"))


def render_missing(
    directory: Path,
    seeds: Iterable[int],
    render: Callable[[int], tuple[Audio, Facts]],
    *,
    processes: int = 1,
) -> int:
    """Render and store every clip that is not there yet.

    Parameters
    ----------
    directory
        Where the clips are and go.
    seeds
        Numbers of the clips that are wanted.
    render
        A function at a module's top level: seed to audio and facts.
    processes
        How many clips are rendered at a time; 1 stays in this process.

    Returns
    -------
    int
        How many were rendered.
    """
    there = set(stored_seeds(directory))
    wanted = [seed for seed in seeds if seed not in there]
    if processes == 1:
        for seed in wanted:
            write_clip(directory, seed, *render(seed))
        return len(wanted)
    # Spawned: a forked process would share a soundfont player's threads and locks.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        jobs = [pool.submit(_render_one, directory, seed, render) for seed in wanted]
        for job in jobs:
            job.result()
    return len(wanted)


def _render_one(directory: Path, seed: int, render: Callable[[int], tuple[Audio, Facts]]) -> None:
    write_clip(directory, seed, *render(seed))


def _paths(directory: Path, seed: int) -> tuple[Path, Path]:
    return directory / f"{seed:06d}.npy", directory / f"{seed:06d}.json"
