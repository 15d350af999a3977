"""Train the separator.

All that a training writes lies in one directory: ``checkpoint.pt``, from which it goes on by
itself, ``weights.npz``, the averaged network as `training.separation.export` takes it, and
``log.jsonl``.
"""

from __future__ import annotations

import copy
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.separation.journal import Journal
from training.separation.losses import losses_of
from training.separation.mixing import RemixedSongs
from training.separation.network import VocalUNet, mask_of, weights_of
from training.separation.schedule import Clock, Training, geometry_of
from training.separation.validation import KnownSong, real_songs, score, synthetic_songs
from training.separation.weights import save_weights

if TYPE_CHECKING:
    from types import FrameType

CHECKPOINT_NAME, WEIGHTS_NAME, LOG_NAME = "checkpoint.pt", "weights.npz", "log.jsonl"

_BETAS = (0.9, 0.98)
_WEIGHT_DECAY = 1e-3
_LARGEST_GRADIENT = 1.0
_AVERAGE_DECAY, _AVERAGE_RAMP_STEPS = 0.998, 30
_STEPS_BETWEEN_LINES = 50
_MOST_SKIPPED = 20
_BATCHES_AHEAD = 4

_LossTerms: TypeAlias = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class SeparatorTraining:
    """A training on its way.

    Parameters
    ----------
    training
        What to train, and how long.
    """

    def __init__(self, training: Training) -> None:
        torch.manual_seed(training.seed)
        self._training = training
        self._device = torch.device(training.device)
        self._network = VocalUNet(training.n_filters).to(
            self._device, memory_format=torch.channels_last
        )
        self._average = copy.deepcopy(self._network).eval()
        self._optimiser = torch.optim.AdamW(
            self._network.parameters(), betas=_BETAS, weight_decay=_WEIGHT_DECAY
        )
        self._clock = Clock(training)
        training.directory.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(training.directory / LOG_NAME)
        self._recent: list[list[float]] = []
        self._recent_since_s = 0.0
        self._skipped = 0
        self._is_stopped = False

    def run(self) -> int:
        """Train until the budget is used up, or until a SIGTERM or a SIGINT.

        Returns
        -------
        int
            Steps made, those of earlier starts included.

        Raises
        ------
        FileNotFoundError
            There are no clips to train on.
        RuntimeError
            The gradient is not a number, many times in a row; or the loader's process died.
        """
        self._resume()
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        songs = self._known_songs()
        loss_terms = self._loss_terms()
        self._recent_since_s = self._clock.used_s
        for mixture, vocals in self._loader():
            if self._is_stopped or self._clock.fraction >= 1.0:
                break
            self._learn(loss_terms, mixture, vocals)
            self._tend(songs)
        if not self._is_stopped:
            self._validate(songs)
        self._save()
        self._journal.tell("end", step=self._clock.step, minutes=self._clock.used_s / 60)
        return self._clock.step

    def _stop(self, _number: int, _frame: FrameType | None) -> None:
        self._is_stopped = True

    def _known_songs(self) -> list[KnownSong]:
        stems = self._training.stems
        real = real_songs(stems) if stems else []
        synthetic = synthetic_songs(self._training.clips)
        self._journal.tell(
            "songs to validate with",
            real=len(real),
            synthetic=len(synthetic),
            stems="none" if stems is None else str(stems) if real else f"{stems} holds none",
        )
        return real + synthetic

    def _loader(self) -> DataLoader:
        training = self._training
        songs = RemixedSongs(
            training.clips,
            training.geometry,
            batch_size=training.batch_size,
            seed=training.seed,
            first_batch=self._clock.step,
        )
        return DataLoader(
            songs,
            batch_size=None,
            num_workers=training.n_workers,
            prefetch_factor=_BATCHES_AHEAD if training.n_workers else None,
            worker_init_fn=_leave_signals_to_the_trainer,
            pin_memory=self._device.type == "cuda",
        )

    def _loss_terms(self) -> _LossTerms:
        """Return what computes a batch's loss and its terms, compiled where that can be."""

        def loss_terms(mixture: Tensor, vocals: Tensor) -> tuple[Tensor, Tensor]:
            with torch.autocast(self._device.type, torch.bfloat16):
                share = self._network(mixture)
            losses = losses_of(mask_of(share), mixture, vocals)
            terms = torch.stack([losses.absolute, losses.root_weighted, losses.squared])
            return losses.total, terms.detach()

        compiler = shutil.which("g++") or shutil.which("c++")
        compiles = self._training.compiles and compiler is not None
        self._journal.tell(
            "start",
            step=self._clock.step,
            device=str(self._device),
            threads=torch.get_num_threads(),
            compiled=compiles,
            compiler=compiler or "none, so nothing is compiled",
            n_parameters=sum(p.numel() for p in self._network.parameters()),
        )
        if not compiles:
            return loss_terms
        compiled: _LossTerms = torch.compile(loss_terms)
        return compiled

    def _learn(self, loss_terms: _LossTerms, mixture: Tensor, vocals: Tensor) -> None:
        """Make one step."""
        for group in self._optimiser.param_groups:
            group["lr"] = self._clock.learning_rate
        self._network.train()
        loss, terms = loss_terms(
            mixture.to(self._device, non_blocking=True), vocals.to(self._device, non_blocking=True)
        )
        self._optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), _LARGEST_GRADIENT)
        self._clock.step += 1
        if not torch.isfinite(norm):
            self._skip()
            return
        self._skipped = 0
        self._optimiser.step()
        self._follow()
        self._recent.append([*terms.tolist(), float(norm)])

    def _skip(self) -> None:
        self._skipped += 1
        self._journal.tell("skipped", step=self._clock.step, reason="gradient is not a number")
        if self._skipped >= _MOST_SKIPPED:
            raise RuntimeError(f"the gradient was not a number {_MOST_SKIPPED} times in a row")

    def _follow(self) -> None:
        """Let the averaged network follow the one that learns."""
        step = self._clock.step
        decay = min(_AVERAGE_DECAY, (step + 1) / (step + _AVERAGE_RAMP_STEPS))
        average, network = self._average.state_dict(), self._network.state_dict()
        for name, slow in average.items():
            if slow.is_floating_point():
                slow.lerp_(network[name], 1 - decay)

    def _tend(self, songs: list[KnownSong]) -> None:
        """Do what is due between steps."""
        if self._clock.step % _STEPS_BETWEEN_LINES == 0:
            self._report()
        if self._clock.is_due("validation", self._training.validation_minutes):
            self._validate(songs)
        if self._clock.is_due("checkpoint", self._training.checkpoint_minutes):
            self._save()

    def _report(self) -> None:
        now_s = self._clock.used_s
        absolute, root_weighted, squared, norm = np.mean(self._recent or [[np.nan] * 4], axis=0)
        self._journal.tell(
            "train",
            step=self._clock.step,
            minutes=now_s / 60,
            absolute=float(absolute),
            root_weighted=float(root_weighted),
            squared=float(squared),
            gradient=float(norm),
            learning_rate=self._clock.learning_rate,
            seconds_per_step=(now_s - self._recent_since_s) / max(len(self._recent), 1),
        )
        self._recent.clear()
        self._recent_since_s = now_s

    def _validate(self, songs: list[KnownSong]) -> None:
        """Separate the known songs with the averaged network, and keep its weights."""
        started_s = time.monotonic()
        geometry = geometry_of(self._training.geometry.frame_length)
        for song in songs:
            result = asdict(score(self._average, song, geometry))
            self._journal.tell("song", step=self._clock.step, name=song.name, **result)
        save_weights(
            self._training.directory / WEIGHTS_NAME, weights_of(self._average.state_dict())
        )
        self._journal.tell(
            "validated",
            step=self._clock.step,
            minutes=self._clock.used_s / 60,
            seconds=time.monotonic() - started_s,
        )

    def _save(self) -> None:
        """Write the checkpoint beside its place and move it there."""
        path = self._training.directory / CHECKPOINT_NAME
        part = path.with_name(f".{path.name}.part")
        state = {
            "network": self._network.state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "step": self._clock.step,
            "used_s": self._clock.used_s,
        }
        torch.save(state, part)
        part.replace(path)

    def _resume(self) -> None:
        """Go on from the directory's checkpoint, if there is one."""
        path = self._training.directory / CHECKPOINT_NAME
        if not path.exists():
            return
        # The batches need no state of a generator: each is drawn from the seed and its number.
        state = torch.load(path, map_location=self._device, weights_only=True)
        self._network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._clock.step = state["step"]
        self._clock.used_before_s = state["used_s"]


def _leave_signals_to_the_trainer(_worker: int) -> None:
    """Let a loader's process live until the trainer, who may get the same signal, ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
