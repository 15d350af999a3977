"""Songs for tiny networks, and what Spleeter itself makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import Song

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.separate import Separator
    from pipeline.types import Signal, Stems

PATCH = 64 * 128
"""Samples from the start of one patch of the tiny model to the start of the next."""


EXACT = 1e-5
"""How far from Spleeter's vocals a separator of "float32" may be, of full scale."""

FAST = 1e-3
"""The same of "fast"."""


def make_song(n_samples: int, *, seed: int = 0) -> Song:
    """Noise under a slow swell, different in the two channels."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, 0.2, (2, n_samples))
    swell = 0.5 + 0.5 * np.sin(np.arange(n_samples) * 2e-4 + seed)
    return Song(samples=(noise * swell).astype(np.float32), title="Noise")


def quiet(_: float) -> None:
    pass


def split(separator: Separator, song: Song) -> Stems:
    return separator.separate(song, quiet)


def spleeters_own_vocals(model_dir: Path, song: Song) -> Signal:
    """Take a song apart with Spleeter itself; its vocals, shape (2, n)."""
    from spleeter.separator import Separator as Genuine  # noqa: PLC0415 - loads TensorFlow

    genuine = Genuine(str(model_dir / "config.json"), multiprocess=False)
    vocals: Signal = genuine.separate(song.samples.T)["vocals"].T
    return vocals
