"""The separator's network: Spleeter's U-Net for the vocals, in PyTorch.

Spleeter (https://github.com/deezer/spleeter, ``spleeter.model.functions.unet.apply_unet``) gives
every instrument a U-Net of its own and turns the magnitudes v, a that they put out into a mask
v^2 / (v^2 + a^2). The exported model's second U-Net is a constant: it puts out 0.1 times its
input. So only the first one is trained, against the mask that this leaves:
m^2 / (m^2 + 0.1^2), where m is the network's own share of the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import nn

from training.separation.weights import ACCOMPANIMENT_SHARE, N_FILTERS, round_kernels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from torch import Tensor

_MASK_EPSILON = 1e-10
"""spleeter.model.EstimatorSpecBuilder.EPSILON"""

_NORM_EPSILON = 1e-3
"""What Keras adds to a variance; PyTorch adds 1e-5 unless told."""

_NORM_MOMENTUM = 0.03
_LEAK = 0.2
_FIRST_SHARE = 0.1
"""The share that an untrained network gives to the vocals, about."""


class VocalUNet(nn.Module):  # type: ignore[misc] # PyTorch is not in the types' environment
    """Spleeter's U-Net of one instrument.

    Parameters
    ----------
    n_filters
        Filters of the six convolutions on the way down.
    """

    def __init__(self, n_filters: Sequence[int] = N_FILTERS) -> None:
        super().__init__()
        down_in = [2, *n_filters[:-1]]
        up_out = [*reversed(n_filters[:-1]), 1]
        # From the second on, each way up also gets what the way down put out at its height.
        up_in = [n_filters[-1], *(2 * n for n in reversed(n_filters[:-1]))]
        self.down = nn.ModuleList(
            nn.Conv2d(a, b, 5, stride=2) for a, b in zip(down_in, n_filters, strict=True)
        )
        # Spleeter has a sixth normalisation here, which nothing of its output depends on.
        self.down_norm = nn.ModuleList(_norm(n) for n in n_filters[:-1])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 5, stride=2, padding=1)
            for a, b in zip(up_in, up_out, strict=True)
        )
        self.up_norm = nn.ModuleList(_norm(n) for n in up_out)
        self.last = nn.Conv2d(1, 2, 4, dilation=2, padding=3)
        self._initialise()

    def _initialise(self) -> None:
        for down in self.down:
            nn.init.kaiming_uniform_(down.weight, a=_LEAK)
            nn.init.zeros_(down.bias)
        for up in self.up:
            # With a stride of 2 only every fourth of a kernel's weights meets one output.
            limit = (6 / (up.weight.shape[0] * 25 / 4)) ** 0.5
            nn.init.uniform_(up.weight, -limit, limit)
            nn.init.zeros_(up.bias)
        with torch.no_grad():
            self.last.weight.mul_(0.3)
            self.last.bias.fill_(float(np.log(_FIRST_SHARE / (1 - _FIRST_SHARE))))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Give the share m of every bin, in (0, 1).

        Parameters
        ----------
        magnitudes
            float32, shape (batch, 2, n_frames, n_bins); frames and bins are multiples of 64.

        Returns
        -------
        Tensor
            float32, same shape.
        """
        x = magnitudes
        skips = []
        for i, down in enumerate(self.down):
            # 'same' in TensorFlow: of the three rows to add, one comes before and two after.
            x = down(F.pad(x, (1, 2, 1, 2)))
            skips.append(x)
            if i < len(self.down_norm):
                x = F.leaky_relu(self.down_norm[i](x), _LEAK)
        x = skips.pop()
        for i, up in enumerate(self.up):
            if i:
                x = torch.cat([skips.pop(), x], dim=1)
            x = self.up_norm[i](F.relu(up(x)[:, :, :-1, :-1]))
        return torch.sigmoid(self.last(x).float())


def mask_of(share: Tensor) -> Tensor:
    """Turn the network's share into the mask of the vocals that Spleeter makes of it."""
    squared = share * share
    return squared / (squared + ACCOMPANIMENT_SHARE**2)


def spleeter_mask_of(share: Tensor, magnitudes: Tensor) -> Tensor:
    """Compute the mask as Spleeter does, also where there is next to no sound.

    Spleeter adds 1e-10 to the sum of squares, half of it for each instrument: the mask of
    digital silence is 1/2, and counts in the mean that the bins above the network's are given.
    """
    vocals = (share * magnitudes) ** 2
    accompaniment = (ACCOMPANIMENT_SHARE * magnitudes) ** 2
    return (vocals + _MASK_EPSILON / 2) / (vocals + accompaniment + _MASK_EPSILON)


def weights_of(state: Mapping[str, Tensor]) -> dict[str, npt.NDArray[np.floating[Any]]]:
    """Take the weights out of a network's state, as `training.separation.weights` keeps them."""
    arrays = {
        name: tensor.detach().float().cpu().numpy()
        for name, tensor in state.items()
        if not name.endswith("num_batches_tracked")
    }
    return round_kernels(arrays)


def network_from(weights: Mapping[str, npt.NDArray[np.floating[Any]]]) -> VocalUNet:
    """Make a network, ready to separate, of saved weights.

    Raises
    ------
    KeyError, RuntimeError
        The weights are of another network.
    """
    n_filters = [weights[f"down.{i}.weight"].shape[0] for i in range(len(N_FILTERS))]
    network = VocalUNet(n_filters)
    state = {name: torch.from_numpy(array.astype(np.float32)) for name, array in weights.items()}
    counters = {n: t for n, t in network.state_dict().items() if n.endswith("num_batches_tracked")}
    network.load_state_dict(state | counters)
    network.eval()
    return network


def _norm(n_channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(n_channels, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
