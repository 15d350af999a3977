"""The network that hears beats and downbeats, and its way out of PyTorch into one ONNX file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pipeline.neural_beats import ROWS, SEMITONES, STROKES
from pipeline.runtime import compile_network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

CHANNELS = 32
"""Width of the temporal convolutions."""

DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Frames between the taps of each temporal convolution: 10 s to either side in all."""

_TAPS = 5
_STROKE_FILTERS = 16
_CHANGE_FILTERS = 8
_CHANGE_TAPS, _CHANGE_STEP = 15, 2  # 0.6 s: from one chord to the next
_GROUPS = 8  # parts of the pitch range, of eight semitones each
_OPSET = 17


class BeatNetwork(nn.Module):  # type: ignore[misc] # PyTorch is absent where types are checked
    """Two front ends, one for strokes and one for changes of pitch, then temporal convolutions.

    Parameters
    ----------
    channels
        Width of the temporal convolutions.
    dilations
        One residual block each.
    """

    def __init__(
        self,
        channels: int = CHANNELS,
        dilations: Sequence[int] = DILATIONS,
        *,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.level = nn.BatchNorm1d(ROWS, affine=False)
        n = _STROKE_FILTERS
        self.strokes = nn.Sequential(
            nn.Conv2d(1, n, (3, 3), padding=(1, 1)),
            nn.BatchNorm2d(n),
            nn.ReLU(),
            nn.MaxPool2d((3, 1)),
            nn.Conv2d(n, n, (3, 3), padding=(1, 1)),
            nn.BatchNorm2d(n),
            nn.ReLU(),
            nn.MaxPool2d((4, 1)),
            nn.Conv2d(n, channels, (STROKES // 12, 1)),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.changes = nn.Sequential(
            nn.Conv2d(
                1,
                _CHANGE_FILTERS,
                (3, _CHANGE_TAPS),
                dilation=(1, _CHANGE_STEP),
                padding=(1, _CHANGE_TAPS // 2 * _CHANGE_STEP),
            ),
            nn.BatchNorm2d(_CHANGE_FILTERS),
            nn.ReLU(),
            nn.AvgPool2d((SEMITONES // _GROUPS, 1)),
            nn.Conv2d(_CHANGE_FILTERS, channels, (_GROUPS, 1)),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )
        self.join = nn.Conv1d(2 * channels, channels, 1)
        self.blocks = nn.ModuleList(_Block(channels, step, dropout) for step in dilations)
        self.head = nn.Conv1d(channels, 2, 1)

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        """Return log-odds of beat and downbeat.

        Parameters
        ----------
        spectra
            See `pipeline.neural_beats.spectra`; shape (batch, ROWS, frames).

        Returns
        -------
        Tensor
            Shape (batch, 2, frames).
        """
        x = self.level(spectra)
        strokes = self.strokes(x[:, None, :STROKES])[:, :, 0]
        changes = self.changes(x[:, None, STROKES:])[:, :, 0]
        x = self.join(torch.cat([strokes, changes], dim=1))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class _Block(nn.Module):  # type: ignore[misc] # PyTorch is absent where types are checked
    """A dilated convolution and a mixing of channels, added to what came in."""

    def __init__(self, channels: int, step: int, dropout: float) -> None:
        super().__init__()
        self.look = nn.Conv1d(channels, channels, _TAPS, dilation=step, padding=_TAPS // 2 * step)
        self.norm = nn.BatchNorm1d(channels)
        self.drop = nn.Dropout1d(dropout)
        self.mix = nn.Conv1d(channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mix(self.drop(torch.relu(self.norm(self.look(x)))))


class _Graph:
    """An ONNX graph in the making: each method adds a node and names what comes out."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(
        self,
        kind: str,
        inputs: Sequence[str],
        **settings: Any,  # noqa: ANN401 - each kind of node has attributes of its own types
    ) -> str:
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **settings))
        return name

    def constant(self, value: npt.NDArray[np.generic]) -> str:
        name = f"weight{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def convolve(self, x: str, layer: nn.Module, norm: nn.Module | None = None) -> str:
        """Add a convolution with the normalisation that follows it folded into its weights."""
        weight = layer.weight.detach().double()
        bias = layer.bias.detach().double()
        if norm is not None:
            gain = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
            weight = weight * gain.reshape(-1, *[1] * (weight.dim() - 1))
            bias = (bias - norm.running_mean.double()) * gain + norm.bias.detach().double()
        pads = [int(p) for p in layer.padding]
        return self.add(
            "Conv",
            [x, self.constant(weight.float().numpy()), self.constant(bias.float().numpy())],
            dilations=[int(d) for d in layer.dilation],
            pads=pads + pads,
        )

    def stack(self, x: str, layers: nn.Sequential) -> str:
        """Add a front end."""
        steps = list(layers)
        for step, following in zip(steps, [*steps[1:], None], strict=True):
            if isinstance(step, nn.Conv2d):
                x = self.convolve(x, step, following)
            elif isinstance(step, nn.ReLU):
                x = self.add("Relu", [x])
            elif isinstance(step, nn.MaxPool2d | nn.AvgPool2d):
                kind = "MaxPool" if isinstance(step, nn.MaxPool2d) else "AveragePool"
                size = list(step.kernel_size)
                x = self.add(kind, [x], kernel_shape=size, strides=size)
        return x

    def rows(self, x: str, start: int, stop: int) -> str:
        """Take some rows of the spectra, as one channel of a picture."""
        cut = [np.asarray([value], dtype=np.int64) for value in (start, stop, 1)]
        first, last, axis = (self.constant(value) for value in cut)
        part = self.add("Slice", [x, first, last, axis])
        return self.add("Unsqueeze", [part, axis])


def export(network: BeatNetwork, path: Path) -> None:
    """Write the network as an ONNX file whose output is probabilities, (batch, 2, frames)."""
    graph = _Graph()
    spread = torch.sqrt(network.level.running_var.double() + network.level.eps)
    mean = network.level.running_mean.double()
    shape = (1, ROWS, 1)
    x = graph.add("Sub", ["spectra", graph.constant(mean.float().numpy().reshape(shape))])
    x = graph.add("Div", [x, graph.constant(spread.float().numpy().reshape(shape))])
    ends = [
        graph.stack(graph.rows(x, 0, STROKES), network.strokes),
        graph.stack(graph.rows(x, STROKES, ROWS), network.changes),
    ]
    axis = graph.constant(np.asarray([2], dtype=np.int64))
    flat = [graph.add("Squeeze", [end, axis]) for end in ends]
    x = graph.convolve(graph.add("Concat", flat, axis=1), network.join)
    for block in network.blocks:
        inner = graph.add("Relu", [graph.convolve(x, block.look, block.norm)])
        x = graph.add("Add", [x, graph.convolve(inner, block.mix)])
    chance = graph.add("Sigmoid", [graph.convolve(x, network.head)])
    onnx.save(_model(graph, chance), str(path))


def _model(graph: _Graph, output: str) -> onnx.ModelProto:
    kind = TensorProto.FLOAT
    made = helper.make_graph(
        graph.nodes,
        "beats",
        [helper.make_tensor_value_info("spectra", kind, ["batch", ROWS, "frames"])],
        [helper.make_tensor_value_info(output, kind, ["batch", 2, "frames"])],
        graph.weights,
    )
    model = helper.make_model(
        made, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="vocal", ir_version=8
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def answers(path: Path, spectra: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what an exported network says.

    Parameters
    ----------
    path
        What `export` wrote.
    spectra
        Shape (batch, ROWS, frames).

    Returns
    -------
    array
        Probabilities of beat and downbeat, shape (batch, 2, frames).
    """
    request = compile_network(path).create_infer_request()
    says: npt.NDArray[np.float32] = request.infer({"spectra": spectra})[0]
    return says
