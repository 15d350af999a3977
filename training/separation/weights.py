"""Trained weights on disk: what passes from PyTorch's environment to TensorFlow's.

One .npz: kernels as float16, everything else (biases, and the statistics of the batch
normalisations, which float16 cannot hold) as float32. Both environments read it with numpy alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

N_FILTERS = (16, 32, 64, 128, 160, 160)
"""Filters of the U-Net's six convolutions; Spleeter's own has 16, 32, 64, 128, 256, 512."""

ACCOMPANIMENT_SHARE = 0.1
"""What the accompaniment's U-Net, a constant, puts out as a share of its input."""

REFERENCE_RMS = 0.125
"""RMS that a song is scaled to before the network hears it, and back from afterwards."""

_KERNEL_BITS = 8
"""Bits of a kernel's fraction that are kept: 3.6 million kernels then pack into 7.1 MB, and into
8.4 MB with the ten bits of float16. The rounding lies 61 dB below the weights."""

_FLOAT32_BITS = 23
_KERNEL_NDIM = 4


def round_kernels(
    arrays: Mapping[str, npt.NDArray[np.float32]],
) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """Round the kernels so that they are exact in float16 and pack well; keep the rest."""
    return {
        name: _rounded(array).astype(np.float16) if array.ndim == _KERNEL_NDIM else array
        for name, array in arrays.items()
    }


def save_weights(path: Path, weights: Mapping[str, npt.NDArray[np.floating[Any]]]) -> None:
    """Write weights beside their place and move them there; same weights, same bytes."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        np.savez(file, **{name: weights[name] for name in sorted(weights)})
    part.replace(path)


def load_weights(path: Path) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """Read weights.

    Raises
    ------
    OSError, ValueError
        There is no such file, or it is no .npz of arrays.
    """
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _rounded(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Round to the nearest value whose fraction has only so many bits."""
    dropped = _FLOAT32_BITS - _KERNEL_BITS
    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32)
    nearest = (bits + np.uint32(1 << (dropped - 1))) >> np.uint32(dropped) << np.uint32(dropped)
    return nearest.view(np.float32)
