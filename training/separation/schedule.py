"""A training's options, and how far it is: what both its loop and its checkpoints know."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline.separate.patches import PatchGeometry
from training.separation.weights import N_FILTERS

if TYPE_CHECKING:
    from pathlib import Path

_WARM_UP_STEPS = 100
_LAST_RATE_SHARE = 0.01


SPLEETER_FRAMES = 512
"""Frames in one of Spleeter's patches; crops to train on may be shorter."""


def geometry_of(frame_length: int, n_frames: int = SPLEETER_FRAMES) -> PatchGeometry:
    """Keep Spleeter's proportions: hops of a quarter frame, and the lower half of the bins.

    Raises
    ------
    ValueError
        The network, which halves both axes six times, cannot work with these sizes.
    """
    quarter = frame_length // 4
    sizes = {"T": n_frames, "F": quarter, "frame_length": frame_length, "frame_step": quarter}
    return PatchGeometry.of(sizes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Everything that decides a training of the separator.

    Attributes
    ----------
    clips
        Directory of the rendered clips.
    directory
        Where the training keeps its files; one that was stopped goes on from them.
    geometry
        Sizes of the crops that are trained on.
    stems
        Folder of the real songs to validate with; None goes without.
    n_filters
        Filters of the network's six convolutions.
    minutes, steps
        The budget: when one is used up the learning rate has sunk and the training ends. Minutes
        are those that it ran, validation included, over all its starts.
    batch_size, learning_rate, seed
        As usual.
    device
        "cpu" or "cuda".
    n_workers
        Processes that mix songs; 0 mixes between the steps.
    compiles
        Whether to compile the network: a minute at the start, then less time for each step. Not
        by default: on a CPU, code that PyTorch 2.13.0 had compiled read beyond a buffer after
        230 steps, and the process died. Its checkpoint serves either way.
    validation_minutes, checkpoint_minutes
        How often.
    """

    clips: Path
    directory: Path
    geometry: PatchGeometry
    stems: Path | None = None
    n_filters: tuple[int, ...] = N_FILTERS
    minutes: float = math.inf
    steps: float = math.inf
    batch_size: int = 6
    learning_rate: float = 2e-3
    seed: int = 0
    device: str = "cpu"
    n_workers: int = 1
    compiles: bool = False
    validation_minutes: float = 10.0
    checkpoint_minutes: float = 3.0

    def __post_init__(self) -> None:
        if math.isinf(self.minutes) and math.isinf(self.steps):
            raise ValueError("a training needs a budget: minutes or steps")


@dataclass(slots=True)
class Clock:
    """How far a training is.

    Attributes
    ----------
    training
        Whose budget counts.
    step
        Steps made.
    used_before_s
        Seconds that earlier starts took.
    """

    training: Training
    step: int = 0
    used_before_s: float = 0.0
    _started_s: float = field(default_factory=time.monotonic)
    _last_s: dict[str, float] = field(default_factory=dict)

    @property
    def used_s(self) -> float:
        """Seconds used, over all starts."""
        return self.used_before_s + time.monotonic() - self._started_s

    @property
    def fraction(self) -> float:
        """Share of the budget that is used up; from 1 on the training is over."""
        return max(self.used_s / 60 / self.training.minutes, self.step / self.training.steps)

    @property
    def learning_rate(self) -> float:
        """Rises over the first steps and sinks along a cosine to the end of the budget."""
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(self.fraction, 1.0))
        share = _LAST_RATE_SHARE + (1 - _LAST_RATE_SHARE) * cosine
        return self.training.learning_rate * share * min(1.0, (self.step + 1) / _WARM_UP_STEPS)

    def is_due(self, what: str, every_minutes: float) -> bool:
        """Say whether something is to be done again, and take it for done if so."""
        last_s = self._last_s.setdefault(what, self.used_before_s)
        if self.used_s - last_s < 60 * every_minutes:
            return False
        self._last_s[what] = self.used_s
        return True
