"""What the separator is trained to make small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Each term is a share of the mixture, so that loud and quiet crops count alike. The absolute
# error alone neglects what is quiet in the treble; the square alone hears only the loudest bins.
_ABSOLUTE_WEIGHT = 0.6
_ROOT_WEIGHTED_WEIGHT = 0.7
_SQUARED_WEIGHT = 1.2

_LEAST_MEAN = 1e-2
_LEAST_MAGNITUDE = 1e-3

_EXAMPLE_DIMS = (1, 2, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The terms of the loss, each the mean over a batch, scalars.

    Attributes
    ----------
    absolute
        Mean error of magnitudes over the mixture's mean magnitude.
    root_weighted
        The same, every bin divided by the square root of the mixture there.
    squared
        Mean squared error over the mixture's mean square.
    """

    absolute: Tensor
    root_weighted: Tensor
    squared: Tensor

    @property
    def total(self) -> Tensor:
        """The weighted sum that is trained."""
        return (
            _ABSOLUTE_WEIGHT * self.absolute
            + _ROOT_WEIGHTED_WEIGHT * self.root_weighted
            + _SQUARED_WEIGHT * self.squared
        )


def losses_of(mask: Tensor, mixture: Tensor, vocals: Tensor) -> Losses:
    """Compare masked magnitudes with the true ones.

    Parameters
    ----------
    mask
        float32, shape (batch, 2, n_frames, n_bins), in [0, 1].
    mixture, vocals
        Magnitudes, same shape. Silence is allowed: every divisor is kept above zero.
    """
    difference = mask * mixture - vocals
    error = difference.abs()
    root = mixture.clamp(min=_LEAST_MAGNITUDE).sqrt()
    mean = mixture.mean(_EXAMPLE_DIMS)
    mean_square = mixture.square().mean(_EXAMPLE_DIMS)
    return Losses(
        absolute=(error.mean(_EXAMPLE_DIMS) / mean.clamp(min=_LEAST_MEAN)).mean(),
        root_weighted=((error / root).mean(_EXAMPLE_DIMS) / root.mean(_EXAMPLE_DIMS)).mean(),
        squared=(
            difference.square().mean(_EXAMPLE_DIMS) / mean_square.clamp(min=_LEAST_MEAN)
        ).mean(),
    )
