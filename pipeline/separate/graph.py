"""Spleeter's U-Nets as an ONNX graph, built from the tensors of a checkpoint.

What is computed is what `spleeter.model.functions.unet` and `EstimatorSpecBuilder._build_masks`
of Spleeter 2.4.2 compute (MIT licence), as the layers' inference formulas say it. The layout is
channels first, as ONNX wants it.

A fast graph multiplies in bfloat16 on the innermost levels, which hold most of the weights and a
third of the work. What these levels get wrong is spread over many frames and bins before it is
heard; in the outer levels, whose output goes straight into the mask, the same rounding would be
heard thirty times as loud. All that is not multiplied there stays in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    from onnx import NodeProto

    from pipeline.separate.tensors import Tensors

    Weights = npt.NDArray[np.float32]

INPUT, OUTPUT = "magnitudes", "mask"
_WEIGHTS_NAME = "weights"
DEPTH = 6
"""How many times a U-Net halves the axes on its way down."""

_N_CHANNELS = 2
_KERNEL = 5
# TensorFlow's padding "same", for a stride of 2 over an even axis: 1 before, 2 after.
_SAME = [1, 1, 2, 2]
_BLOCK = 4
_LAST_KERNEL, _LAST_DILATION = 4, 2
_LAST_SAME = [3, 3, 3, 3]
_LEAK = 0.2  # spleeter.model.functions.unet
_NORM_EPSILON = 1e-3  # the default of Keras
_RATIO_EPSILON = 1e-10  # EstimatorSpecBuilder.EPSILON
# The oldest that have all of these operators as they are used here: convolutions in bfloat16.
_OPSET, _IR_VERSION = 22, 10
_FAST_LEVELS = 2

# Each U-Net's share of Keras's running numbers: its layers are named in the order of creation.
_N_CONVS, _N_UPS, _N_NORMS = DEPTH + 1, DEPTH, 2 * DEPTH


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Graph:
    """A graph and its weights, apart, so that the weights are never in memory twice.

    Attributes
    ----------
    structure
        An ONNX model, serialised; its weights are declared to lie in a file beside it.
    weights
        These weights by their names, in the order of the file.
    """

    structure: bytes
    weights: dict[str, Weights]

    def write(self, folder: Path) -> Path:
        """Write graph and weights into a folder, and return the ONNX file.

        Raises
        ------
        OSError
            There is no room.
        """
        with (folder / _WEIGHTS_NAME).open("wb") as file:
            for values in self.weights.values():
                values.tofile(file)
        path = folder / "graph.onnx"
        path.write_bytes(self.structure)
        return path


def build_graph(tensors: Tensors, config: dict[str, Any], *, fast: bool = False) -> Graph:
    """Build the graph from magnitudes to the mask of the vocals.

    The output of an instrument whose U-Net does not depend on its input, because the kernel of
    its last layer is zero, is a constant, and nothing of that U-Net is computed.

    Parameters
    ----------
    tensors
        The checkpoint's tensors by their names.
    config
        A Spleeter configuration that `pipeline.separate.model.read_settings` accepts.
    fast
        Multiply in bfloat16 where it is hardly heard.

    Returns
    -------
    Graph
        Takes `INPUT`, magnitudes of shape (1, 2, T, F), and gives `OUTPUT`, the mask of the
        vocals, of the same shape.

    Raises
    ------
    ValueError
        A tensor is missing or has a shape that does not fit the others or the configuration.
    """
    graph = _Builder(fast=fast)
    params = config["model"]["params"]
    instruments: list[str] = config["instrument_list"]
    logits = [_logits(graph, tensors, k, params) for k in range(len(instruments))]
    if config["model"]["type"] == "unet.softmax_unet":
        masks = [_softmax(graph, logits, k) for k in range(len(logits))]
    else:
        masks = [_sigmoid(graph, logit) for logit in logits]
    estimates = [graph.add("Mul", mask, INPUT) for mask in masks]
    vocals = instruments.index("vocals")
    _add_ratio(graph, estimates, vocals, float(config["separation_exponent"]))
    shape = (1, _N_CHANNELS, int(config["T"]), int(config["F"]))
    return Graph(structure=graph.structure(shape), weights=graph.weights)


@dataclass(slots=True, eq=False)
class _Builder:
    """Nodes and weights as they come; every value gets a name of its own.

    Attributes
    ----------
    fast
        Whether convolutions on the innermost levels are done in bfloat16.
    """

    fast: bool
    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, Weights] = field(default_factory=dict)

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:  # noqa: ANN401 - each operator has its own kinds
        """Add a node and return the name of its output."""
        output = output or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, values: npt.ArrayLike) -> str:
        """Add a constant and return its name."""
        name = f"weight_{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(values, dtype=np.float32)
        return name

    def strided(
        self, operator: str, value: str, weights: tuple[Weights, Weights], *, inner: bool
    ) -> str:
        """Add a convolution that halves or doubles both axes, with its kernel and bias."""
        kernel, bias = weights
        strides: dict[str, Any] = {"strides": [2, 2], "pads": _SAME}
        if not (inner and self.fast):
            names = self.constant(kernel), self.constant(bias)
            return self.add(operator, value, *names, **strides)
        rough = [
            self.add("Cast", name, to=TensorProto.BFLOAT16)
            for name in (value, self.constant(kernel))
        ]
        product = self.add(operator, *rough, **strides)
        exact = self.add("Cast", product, to=TensorProto.FLOAT)
        return self.add("Add", exact, self.constant(bias.reshape(1, -1, 1, 1)))

    def structure(self, shape: tuple[int, ...]) -> bytes:
        """Serialise all but the weights; input and output have the same shape."""
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name in (INPUT, OUTPUT)
        ]
        sizes = [values.nbytes for values in self.weights.values()]
        starts = np.cumsum([0, *sizes[:-1]])
        outside = [
            _declared(name, values, int(start))
            for (name, values), start in zip(self.weights.items(), starts, strict=True)
        ]
        graph = helper.make_graph(self.nodes, "spleeter", ends[:1], ends[1:], outside)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return bytes(model.SerializeToString())


def _declared(name: str, values: Weights, start: int) -> TensorProto:
    """Declare a weight that lies in the file beside the graph, from a byte on."""
    tensor = TensorProto(
        name=name,
        data_type=TensorProto.FLOAT,
        dims=values.shape,
        data_location=TensorProto.EXTERNAL,
    )
    place = {"location": _WEIGHTS_NAME, "offset": str(start), "length": str(values.nbytes)}
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Layers:
    """The weights of one U-Net, each with the shape that it must have.

    Attributes
    ----------
    tensors
        All tensors of the checkpoint.
    number
        Place of the U-Net's instrument in the configuration.
    """

    tensors: Tensors
    number: int

    def filters(self, params: dict[str, Any]) -> list[int]:
        """Read the number of filters on every level; where the configuration says it, both agree.

        Raises
        ------
        ValueError
            They do not agree.
        """
        found = [int(self._any(self._conv(i), "kernel").shape[-1]) for i in range(DEPTH)]
        said = params.get("conv_n_filters")
        if said is not None and list(said) != found:
            raise ValueError(f"the network has {found} filters, its configuration says {said}")
        return found

    def conv(self, level: int, size: int, n_in: int, n_out: int) -> tuple[Weights, Weights]:
        """Return kernel, shape (n_out, n_in, size, size), and bias of a convolution."""
        name = self._conv(level)
        kernel = self._take(name, "kernel", (size, size, n_in, n_out))
        return kernel.transpose(3, 2, 0, 1), self._take(name, "bias", (n_out,))

    def up(self, level: int, n_in: int, n_out: int) -> tuple[Weights, Weights]:
        """Return kernel, shape (n_in, n_out, 5, 5), and bias of a transposed convolution."""
        name = _numbered("conv2d_transpose", _N_UPS * self.number + level)
        kernel = self._take(name, "kernel", (_KERNEL, _KERNEL, n_out, n_in))
        return kernel.transpose(3, 2, 0, 1), self._take(name, "bias", (n_out,))

    def norm(self, level: int, n_channels: int) -> list[Weights]:
        """Return scale, offset, mean and variance of a batch normalisation."""
        name = _numbered("batch_normalization", _N_NORMS * self.number + level)
        parts = ("gamma", "beta", "moving_mean", "moving_variance")
        return [self._take(name, part, (n_channels,)) for part in parts]

    def _conv(self, level: int) -> str:
        return _numbered("conv2d", _N_CONVS * self.number + level)

    def _take(self, layer: str, part: str, shape: tuple[int, ...]) -> Weights:
        tensor = self._any(layer, part)
        if tensor.shape != shape:
            raise ValueError(f"{layer}/{part} has the shape {tensor.shape}, not {shape}")
        return tensor

    def _any(self, layer: str, part: str) -> Weights:
        tensor = self.tensors.get(f"{layer}/{part}")
        if tensor is None or not tensor.ndim:
            raise ValueError(f"{layer}/{part} is missing")
        return tensor


def _numbered(layer: str, number: int) -> str:
    """Return how Keras names the layer of a kind that was made after so many others."""
    return f"{layer}_{number}" if number else layer


def _logits(graph: _Builder, tensors: Tensors, number: int, params: dict[str, Any]) -> str:
    """Add one instrument's U-Net up to its last layer, before the sigmoid or softmax."""
    layers = _Layers(tensors=tensors, number=number)
    kernel, bias = layers.conv(DEPTH, _LAST_KERNEL, 1, _N_CHANNELS)
    if not kernel.any():
        return graph.constant(bias.reshape(1, _N_CHANNELS, 1, 1))
    filters = layers.filters(params)
    skips = _go_down(graph, layers, filters, params)
    value = _go_up(graph, layers, filters, skips, params)
    return graph.add(
        "Conv",
        value,
        graph.constant(kernel),
        graph.constant(bias),
        dilations=[_LAST_DILATION, _LAST_DILATION],
        pads=_LAST_SAME,
    )


def _go_down(
    graph: _Builder, layers: _Layers, filters: Sequence[int], params: dict[str, Any]
) -> list[str]:
    """Add the convolutions; what they give goes to the other side before it is normalised."""
    skips: list[str] = []
    value, n_in = INPUT, _N_CHANNELS
    for level, n_out in enumerate(filters):
        if level:
            normal = _normalised(graph, skips[-1], layers.norm(level - 1, n_in))
            value = _activated(graph, normal, str(params.get("conv_activation")), "LeakyReLU")
        weights = layers.conv(level, _KERNEL, n_in, n_out)
        inner = level >= DEPTH - _FAST_LEVELS
        skips.append(graph.strided("Conv", value, weights, inner=inner))
        n_in = n_out
    return skips


def _go_up(
    graph: _Builder,
    layers: _Layers,
    filters: Sequence[int],
    skips: Sequence[str],
    params: dict[str, Any],
) -> str:
    """Add the transposed convolutions, each fed with the last one and with its own level's skip."""
    value = skips[-1]
    n_in = filters[-1]
    for level, n_out in enumerate([*filters[-2::-1], 1]):
        if level:
            value = graph.add("Concat", skips[DEPTH - 1 - level], value, axis=1)
            n_in *= 2
        weights = layers.up(level, n_in, n_out)
        if n_out == 1:
            raised = _to_one_channel(graph, value, *weights)
        else:
            inner = level < _FAST_LEVELS
            raised = graph.strided("ConvTranspose", value, weights, inner=inner)
        active = _activated(graph, raised, str(params.get("deconv_activation")), "ReLU")
        value = _normalised(graph, active, layers.norm(DEPTH + level, n_out))
        n_in = n_out
    return value


def _to_one_channel(graph: _Builder, value: str, kernel: Weights, bias: Weights) -> str:
    """Add the last transposed convolution as a convolution that gives blocks of 4 x 4 bins.

    The runtime works on 16 channels at a time, so that giving 16 bins takes it no longer than
    giving one.
    """
    # Of output 4 b + i, input 2 b + j - 1 is multiplied by the kernel's value i - 2 j + 3.
    taps = np.arange(_BLOCK)[:, None] - 2 * np.arange(_BLOCK)[None] + 3
    taps = np.where((taps < 0) | (taps >= _KERNEL), _KERNEL, taps)  # what is padded: nothing
    padded = np.pad(kernel[:, 0], ((0, 0), (0, 1), (0, 1)))
    blocks = padded[:, taps[:, None, :, None], taps[None, :, None, :]]
    blocks = blocks.reshape(len(kernel), _BLOCK**2, _BLOCK, _BLOCK).swapaxes(0, 1)
    names = graph.constant(blocks), graph.constant(np.repeat(bias, _BLOCK**2))
    given = graph.add("Conv", value, *names, strides=[2, 2], pads=[1, 1, 1, 1])
    return graph.add("DepthToSpace", given, blocksize=_BLOCK)


def _normalised(graph: _Builder, value: str, parameters: Sequence[Weights]) -> str:
    names = [graph.constant(parameter) for parameter in parameters]
    return graph.add("BatchNormalization", value, *names, epsilon=_NORM_EPSILON)


def _activated(graph: _Builder, value: str, name: str, default: str) -> str:
    """Add an activation; any other name means the default, as it does to Spleeter."""
    kind = name if name in {"ELU", "ReLU", "LeakyReLU"} else default
    if kind == "LeakyReLU":
        return graph.add("LeakyRelu", value, alpha=_LEAK)
    return graph.add("Elu" if kind == "ELU" else "Relu", value)


def _sigmoid(graph: _Builder, logit: str) -> str:
    """Add a sigmoid in full; the runtimes' own may cut off what is very faint.

    Where all instruments are that faint, the ratio of their masks lies in what is cut off.
    """
    exponential = graph.add("Exp", graph.add("Neg", logit))
    return graph.add("Reciprocal", graph.add("Add", exponential, graph.constant([1.0])))


def _softmax(graph: _Builder, logits: Sequence[str], number: int) -> str:
    """Add one instrument's softmax as 1 / sum(exp(others - own)), which constants may enter."""
    terms = [graph.add("Exp", graph.add("Sub", other, logits[number])) for other in logits]
    return graph.add("Reciprocal", graph.add("Sum", *terms))


def _add_ratio(graph: _Builder, estimates: Sequence[str], number: int, exponent: float) -> None:
    """Add the graph's output: one instrument's share in the sum of all, raised to a power."""
    power = graph.constant([exponent])
    powers = [graph.add("Pow", estimate, power) for estimate in estimates]
    share = graph.constant([_RATIO_EPSILON / len(estimates)])
    total = graph.add("Sum", *powers, graph.constant([_RATIO_EPSILON]))
    graph.add("Div", graph.add("Add", powers[number], share), total, output=OUTPUT)
