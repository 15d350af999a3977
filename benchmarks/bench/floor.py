"""The arithmetic floor: what the U-Nets must compute, and how fast this machine multiplies.

Counted are the multiplications and additions of all convolutions and transposed convolutions, two
for each weight that is applied; the transforms, the normalisations and the masks come for
nothing. The rate is that of numpy's matrix multiply in 32 bits on all cores.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

DEPTH = 6
"""How many times a U-Net of Spleeter halves both axes."""

_SIZES = (2048, 3072, 4096)
_KERNEL = re.compile(r"(conv2d(?:_transpose)?)(?:_(\d+))?/kernel")


def flop_per_patch(shapes: Mapping[str, tuple[int, ...]], config: Mapping[str, Any]) -> int:
    """Count the floating-point operations of all U-Nets for one patch.

    Parameters
    ----------
    shapes
        The shape of every tensor of the checkpoint, by Keras's names.
    config
        A Spleeter configuration: a patch has T frames of F bins.

    Raises
    ------
    ValueError
        The layers are not those of so many U-Nets.
    """
    patch = int(config["T"]) * int(config["F"])
    macs, layers = 0, Counter[str]()
    for name, shape in shapes.items():
        found = _KERNEL.fullmatch(name)
        if found:
            kind, number = found[1], int(found[2] or 0)
            layers[kind] += 1
            macs += prod(shape) * _places(kind, number, patch)
    n_unets = len(config["instrument_list"])
    if layers != {"conv2d": (DEPTH + 1) * n_unets, "conv2d_transpose": DEPTH * n_unets}:
        raise ValueError(f"{dict(layers)} are not the layers of {n_unets} U-Nets")
    return 2 * macs


def _places(kind: str, number: int, patch: int) -> int:
    """Return at how many places a layer's kernel is applied; both axes halve on every level."""
    if kind == "conv2d_transpose":
        return patch >> 2 * (DEPTH - number % DEPTH)  # once for every input
    level = number % (DEPTH + 1)
    return patch if level == DEPTH else patch >> 2 * (level + 1)  # once for every output


def patches_of(n_samples: int, config: Mapping[str, Any]) -> float:
    """Return how many patches a song fills; the rest of the last one is not counted."""
    return n_samples / (int(config["frame_step"]) * int(config["T"]))


def matmul_gflops() -> float:
    """Return the best rate of some matrix multiplies, in 10^9 operations a second."""
    rng = np.random.default_rng(0)
    whole = rng.standard_normal((max(_SIZES), max(_SIZES)), dtype=np.float32)
    rates = []
    for size in (*_SIZES, *_SIZES):
        matrix = np.ascontiguousarray(whole[:size, :size])
        out = np.empty_like(matrix)
        start = time.perf_counter()
        np.matmul(matrix, matrix, out=out)
        rates.append(2e-9 * size**3 / (time.perf_counter() - start))
    return max(rates)
