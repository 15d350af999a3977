"""One small tool for arrays of samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def single(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return samples in single precision, as every signal is; no copy of those that are already."""
    return np.asarray(samples, dtype=np.float32)
