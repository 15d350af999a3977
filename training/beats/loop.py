"""Train the beat network: ``python -m training beats``.

Everything is drawn from one seed. A run that was interrupted goes on where its last checkpoint
was made; new clips are taken in as they are rendered.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from pipeline.neural_beats import MODEL
from training.beats.data import Example, draw, held_out, load, prepare
from training.beats.network import CHANNELS, DILATIONS, BeatNetwork, answers, export
from training.beats.scores import validate

if TYPE_CHECKING:
    from collections.abc import Sequence

_RARE = (4.0, 8.0)  # weight of frames on a beat or a downbeat: nine in ten are on neither
_RENDERED = 0.65  # of the examples, where there are clips: they are more varied than composed songs
_WARMING = 200  # steps
_SMOOTHING = 0.998  # of the averaged weights, which are what is exported

TOLERANCE = 1e-4
"""Largest difference between the exported file and the network, in probability."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to train.

    Attributes
    ----------
    clips
        Folder of rendered clips; spectra and checkpoints are kept there as well.
    model
        Where the ONNX file goes.
    seed
        Decides weights and the order of examples.
    composed, variants
        See `training.beats.data.prepare`.
    steps, batch, length
        Steps of the optimiser, pieces in each, frames in a piece. A finished training goes on
        when it is given more steps.
    rate
        Highest learning rate; it falls like a cosine.
    every
        Steps between validations, each with a checkpoint and a look for new clips.
    channels, dilations
        See `BeatNetwork`.
    threads
        Cores to use.
    device
        "cpu" or "cuda".
    """

    clips: Path = Path("build/training")
    model: Path = MODEL
    seed: int = 0
    composed: int = 650
    variants: int = 6
    steps: int = 5000
    batch: int = 12
    length: int = 600
    rate: float = 3e-3
    every: int = 250
    channels: int = CHANNELS
    dilations: tuple[int, ...] = DILATIONS
    threads: int = 1
    device: str = "cpu"


class Shelf:
    """The examples in a folder, kept in memory, those for validation apart.

    Parameters
    ----------
    folder
        What `training.beats.data.prepare` filled.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: set[Path] = set()
        self.composed: list[Example] = []
        self.rendered: list[Example] = []
        self.validation: list[Example] = []

    def refresh(self) -> None:
        """Take in what is new."""
        files = {p for p in self._folder.glob("*.npz") if not p.name.endswith(".part.npz")}
        for path in sorted(files - self._known):
            training = self.composed if path.name.startswith("composed") else self.rendered
            (self.validation if held_out(path) else training).append(load(path))
        self._known |= files

    def pick(self, rng: np.random.Generator) -> Example:
        """Draw an example to learn from."""
        rendered = self.rendered and (not self.composed or rng.random() < _RENDERED)
        examples = self.rendered if rendered else self.composed
        return examples[int(rng.integers(len(examples)))]


def run(options: Options) -> dict[str, float]:
    """Prepare, train, export and check; return the last validation.

    Raises
    ------
    RuntimeError
        If the exported file does not say what the network says, or there is nothing to learn from.
    """
    torch.set_num_threads(options.threads)
    cache = options.clips / "beat-features"
    for seed, path in prepare(
        options.clips, cache, composed=options.composed, variants=options.variants
    ):
        _log(prepared=path.name, seed=seed)
    shelf = Shelf(cache)
    shelf.refresh()
    if not (shelf.composed or shelf.rendered) or not shelf.validation:
        raise RuntimeError(f"There are too few songs in {cache} to learn from.")
    trainer = Trainer(options)
    trainer.resume()
    report = trainer.train(shelf)
    _export(trainer.average.cpu(), shelf.validation, options)
    return report


def _export(network: BeatNetwork, examples: Sequence[Example], options: Options) -> None:
    """Write the model, and beside the checkpoint what it should say of a few songs."""
    spectra = np.stack([_beginning(example, options.length) for example in examples[:4]])
    with torch.no_grad():
        wanted = torch.sigmoid(network(torch.from_numpy(spectra))).numpy()
    options.model.parent.mkdir(parents=True, exist_ok=True)
    export(network, options.model)
    np.savez(options.clips / "beats-reference.npz", spectra=spectra, wanted=wanted)
    away = float(np.abs(answers(options.model, spectra) - wanted).max())
    if not away <= TOLERANCE:
        raise RuntimeError(f"The exported network is off by {away:.2g}, not {TOLERANCE} at most.")
    _log(exported=str(options.model), bytes=options.model.stat().st_size, difference=away)


class Trainer:
    """A network, its optimiser, and the average of its weights over the last steps."""

    def __init__(self, options: Options) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.network, self.average = (self._new() for _ in range(2))
        self.average.load_state_dict(self.network.state_dict())
        self.average.eval()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.rate, weight_decay=1e-2
        )
        self.step = 0
        self._checkpoint = options.clips / "beats.pt"

    def _new(self) -> BeatNetwork:
        network = BeatNetwork(self.options.channels, self.options.dilations)
        # A third faster on a processor.
        network.to(self.options.device, memory_format=torch.channels_last)
        return network

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one of the same training."""
        if not self._checkpoint.exists():
            return
        state = torch.load(self._checkpoint, map_location=self.options.device, weights_only=True)
        if state["wishes"] != self._wishes():
            raise RuntimeError(
                f"{self._checkpoint} is of another training ({state['wishes']}): remove it first."
            )
        for name in ("network", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.step = state["step"]
        _log(resumed_at=self.step)

    def _wishes(self) -> dict[str, Any]:
        o = self.options
        return {
            "seed": o.seed,
            "batch": o.batch,
            "length": o.length,
            "rate": o.rate,
            "channels": o.channels,
            "dilations": list(o.dilations),
        }

    def _save(self) -> None:
        state = {
            name: getattr(self, name).state_dict() for name in ("network", "average", "optimiser")
        }
        part = self._checkpoint.with_suffix(".part")
        torch.save({**state, "step": self.step, "wishes": self._wishes()}, part)
        part.replace(self._checkpoint)

    def train(self, shelf: Shelf) -> dict[str, float]:
        """Take all remaining steps; return the last validation."""
        report: dict[str, float] = {}
        began, losses = time.monotonic(), []
        while self.step < self.options.steps:
            # Drawn from the step, so that a training which goes on takes the same road.
            rng = np.random.default_rng([self.options.seed, self.step])
            torch.manual_seed(int(rng.integers(2**62)))
            losses.append(self._learn(*_batch(shelf, self.options, rng)))
            self.step += 1
            if self.step % self.options.every == 0 or self.step == self.options.steps:
                report = {
                    "loss": float(np.mean(losses)),
                    **validate(self.average, shelf.validation),
                }
                spent = time.monotonic() - began
                _log(
                    step=self.step,
                    seconds=spent,
                    songs=len(shelf.composed) + len(shelf.rendered),
                    **report,
                )
                losses.clear()
                self._save()
                shelf.refresh()
        return report or validate(self.average, shelf.validation)

    def _rate(self) -> float:
        """Return a learning rate that rises for a while and falls like a cosine to nothing."""
        done = self.step / self.options.steps
        return (
            self.options.rate * min(self.step / _WARMING, 1.0) * math.cos(0.5 * math.pi * done) ** 2
        )

    def _learn(self, spectra: torch.Tensor, wanted: torch.Tensor) -> float:
        self.network.train()
        device = self.options.device
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        loss = _loss(self.network(spectra.to(device)), wanted.to(device))
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        keep = min(_SMOOTHING, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(
                self.average.state_dict().values(), self.network.state_dict().values(), strict=True
            ):
                if mean.is_floating_point():
                    mean.lerp_(now, 1.0 - keep)
        return float(loss.detach())


def _loss(guess: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Cross-entropy, in which the few frames on a beat weigh more."""
    weight = 1.0 + (torch.tensor(_RARE, device=wanted.device)[:, None] - 1.0) * wanted
    each = functional.binary_cross_entropy_with_logits(guess, wanted, weight, reduction="none")
    beat, downbeat = each.mean(dim=(0, 2))
    return beat + downbeat


def _batch(
    shelf: Shelf, options: Options, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = [draw(shelf.pick(rng), options.length, rng) for _ in range(options.batch)]
    x, y = (np.stack(part) for part in zip(*drawn, strict=True))
    return torch.from_numpy(x), torch.from_numpy(y)


def _beginning(example: Example, length: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Return the first frames of an example, padded with silence."""
    cut = example.spectra[:, :length].astype(np.float32)
    return np.pad(cut, ((0, 0), (0, length - cut.shape[1])))


def _log(**facts: object) -> None:
    rounded = {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in facts.items()}
    print(json.dumps(rounded), flush=True)
