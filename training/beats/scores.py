"""How well a beat network hears, before anything is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from pipeline.neural_beats import FPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.beats.data import Example
    from training.beats.network import BeatNetwork

Frames: TypeAlias = npt.NDArray[np.float32]
Times: TypeAlias = npt.NDArray[np.float64]


def validate(network: BeatNetwork, examples: Sequence[Example]) -> dict[str, float]:
    """Return the F measure of the peaks of both outputs over whole songs, nothing decoded."""
    scores: dict[str, list[float]] = {"beats_f": [], "downbeats_f": []}
    for example in examples:
        with torch.no_grad():
            spectra = torch.from_numpy(example.spectra.astype(np.float32))
            says = network(spectra[None].to(network.head.weight.device))[0].cpu()
        end = example.spectra.shape[1] / FPS
        for row, true, name in (
            (says[0], example.beats_s, "beats_f"),
            (says[1], example.downbeats_s, "downbeats_f"),
        ):
            scores[name].append(_f_measure(_peaks(row.numpy()), true[true < end]))
    return {name: float(np.mean(values)) for name, values in scores.items()}


def _peaks(log_odds: Frames) -> Times:
    """Return the times in seconds of peaks that are likelier than not."""
    padded = np.pad(log_odds, 1, constant_values=-np.inf)
    top = (log_odds > 0) & (log_odds >= padded[:-2]) & (log_odds > padded[2:])
    return np.flatnonzero(top) / FPS


def _f_measure(found: Times, true: Times) -> float:
    """F measure within 70 ms, as in MIREX."""
    if not len(found) or not len(true):
        return float(len(found) == len(true))
    away = np.abs(found[:, None] - true[None])
    hits = min(int((away.min(axis=1) < 0.07).sum()), int((away.min(axis=0) < 0.07).sum()))
    return 2.0 * hits / (len(found) + len(true))
