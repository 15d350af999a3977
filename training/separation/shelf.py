"""Which rendered clips may be trained on, and reading a stretch of one.

The layout on disk is that of `training.clips`: ``backings/000123.npy`` has shape (4, 2, n) and
``voices/000123.npy`` shape (2, n), both int16.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it

from training.clips import FIRST_REAL_SEED, FIRST_VALIDATION_SEED, FULL_SCALE, stored_seeds

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Seeds of the clips that may be trained on, each tuple sorted.

    Attributes
    ----------
    directory
        Where ``backings`` and ``voices`` lie.
    voices, backings
        Synthesised ones.
    real_voices, real_backings
        Those that are cut from recordings; may be empty.
    backing_of
        For a voice that follows the key, chords and tempo of a backing here: its seed.
    """

    directory: Path
    voices: tuple[int, ...]
    backings: tuple[int, ...]
    real_voices: tuple[int, ...]
    real_backings: tuple[int, ...]
    backing_of: dict[int, int]

    @classmethod
    def read(cls, directory: Path, partners: dict[int, int | None]) -> Self:
        """Look at what is on disk now.

        Parameters
        ----------
        directory
            Where ``backings`` and ``voices`` lie.
        partners
            Which backing each voice follows, as far as earlier looks know; completed here.

        Raises
        ------
        FileNotFoundError
            There is no synthesised backing or voice to train on yet.
        """
        voices, real_voices = _split(stored_seeds(directory / "voices"))
        backings, real_backings = _split(stored_seeds(directory / "backings"))
        for kind, seeds in (("voices", voices), ("backings", backings)):
            if not seeds:
                raise FileNotFoundError(f"{directory / kind} holds no clip to train on yet")
        for seed in voices + real_voices:
            if seed not in partners:
                partners[seed] = partner_of(directory, seed)
        there = set(backings)
        return cls(
            directory=directory,
            voices=voices,
            backings=backings,
            real_voices=real_voices,
            real_backings=real_backings,
            backing_of={v: b for v, b in partners.items() if b is not None and b in there},
        )

    def backing(self, seed: int) -> npt.NDArray[np.int16]:
        """Map a backing into memory, shape (4, 2, n)."""
        return open_clip(self.directory / "backings", seed)

    def voice(self, seed: int) -> npt.NDArray[np.int16]:
        """Map a voice into memory, shape (2, n)."""
        return open_clip(self.directory / "voices", seed)


def open_clip(folder: Path, seed: int) -> npt.NDArray[np.int16]:
    """Map a clip into memory: only what is looked at is read."""
    clip: npt.NDArray[np.int16] = np.load(folder / f"{seed:06d}.npy", mmap_mode="r")
    return clip


def partner_of(directory: Path, voice: int) -> int | None:
    """Read which backing a voice follows; None if it follows none."""
    facts = json.loads((directory / "voices" / f"{voice:06d}.json").read_text(encoding="utf-8"))
    partner: int | None = facts.get("backing")
    return partner


def length_at(rate: float, n_samples: int) -> int:
    """Say how many samples of a clip last `n_samples` at a rate (> 1 is faster)."""
    return max(2, math.ceil(n_samples * rate))


def cut(clip: npt.NDArray[np.int16], start: int, n_samples: int) -> Tensor:
    """Read a stretch of a clip, shape (..., n), as float32; after its end there is silence."""
    stretch = torch.from_numpy(clip[..., start : start + n_samples].astype(np.float32))
    return F.pad(stretch.div_(FULL_SCALE), (0, n_samples - stretch.shape[-1]))


def play(samples: Tensor, n_samples: int) -> Tensor:
    """Let samples, shape (2, n), last `n_samples`, as a tape that runs faster or slower does."""
    if samples.shape[-1] == n_samples:
        return samples
    # Straight lines between samples: an eighth of the time of a cubic, and what they do to the
    # treble they do to voices and backings alike.
    return F.interpolate(samples[None], size=n_samples, mode="linear", align_corners=True)[0]


def _split(seeds: list[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Part the synthesised from the real ones; those between them are for validation."""
    synthesised = tuple(seed for seed in seeds if seed < FIRST_VALIDATION_SEED)
    return synthesised, tuple(seed for seed in seeds if seed >= FIRST_REAL_SEED)
