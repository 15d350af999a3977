"""What the tests ask of the code that needs PyTorch, run by the interpreter that has it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from training.separation.losses import losses_of
from training.separation.mixing import RemixedSongs
from training.separation.network import VocalUNet, mask_of, network_from
from training.separation.schedule import geometry_of
from training.separation.shelf import Shelf
from training.separation.validation import separate_vocals
from training.separation.weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.separate.patches import PatchGeometry

FRAME_LENGTH = 1024
N_FRAMES = 64
TINY_FILTERS = (2, 2, 4, 4, 4, 4)


def vocals(weights: Path, mixture: Path, answer: Path) -> None:
    """Separate a mixture, (2, n), as the validation does."""
    network = network_from(load_weights(weights))
    separated = separate_vocals(network, np.load(mixture), geometry_of(FRAME_LENGTH))
    np.save(answer, separated)


def batches(clips: Path, answer: Path) -> None:
    """Draw batches, tell what they hold, and which clips may be drawn at all."""
    geometry = geometry_of(FRAME_LENGTH, N_FRAMES)
    stream = iter(_songs(clips, geometry))
    drawn = [next(stream) for _ in range(12)]
    later = next(iter(_songs(clips, geometry, first_batch=7)))
    mixtures, sung = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    shelf = Shelf.read(clips, {})
    facts = {
        "shape": list(mixtures.shape),
        "is_finite": bool(torch.isfinite(mixtures).all() and torch.isfinite(sung).all()),
        "is_within": bool(((sung >= 0) & (sung <= mixtures)).all()),
        "least_rms": float(mixtures.square().mean((1, 2, 3)).sqrt().min()),
        "without_voice": int((sung.amax((1, 2, 3)) == 0).sum()),
        "same_later": bool(torch.equal(drawn[7][0], later[0])),
        "others_earlier": not torch.equal(drawn[6][0], later[0]),
        "seeds": [*shelf.voices, *shelf.backings, *shelf.real_voices, *shelf.real_backings],
    }
    answer.write_text(json.dumps(facts), encoding="utf-8")


def silence(answer: Path) -> None:
    """Learn from digital silence, alone and beside sound; tell the losses and gradients."""
    torch.manual_seed(0)
    facts = []
    for level in (0.0, 1.0):
        mixture = torch.rand(2, 2, N_FRAMES, 64)
        mixture[0] = 0.0
        mixture[1] *= level
        network = VocalUNet(TINY_FILTERS)
        loss = losses_of(mask_of(network(mixture)), mixture, torch.zeros_like(mixture)).total
        loss.backward()
        gradients = [p.grad.abs().max() for p in network.parameters() if p.grad is not None]
        facts.append([float(loss), float(torch.stack(gradients).max())])
    answer.write_text(json.dumps(facts), encoding="utf-8")


def _songs(clips: Path, geometry: PatchGeometry, *, first_batch: int = 0) -> RemixedSongs:
    return RemixedSongs(clips, geometry, batch_size=4, seed=5, first_batch=first_batch)


if __name__ == "__main__":
    commands: dict[str, Callable[..., None]] = {
        "vocals": vocals,
        "batches": batches,
        "silence": silence,
    }
    commands[sys.argv[1]](*map(Path, sys.argv[2:]))
