"""Spleeter's U-Nets as an ONNX graph, built from the tensors of a checkpoint.

What is computed is what `spleeter.model.functions.unet` and `EstimatorSpecBuilder._build_masks`
of Spleeter 2.4.2 compute (MIT licence), as the layers' inference formulas say it. The layout is
channels first, as ONNX wants it.

A fast graph multiplies in bfloat16 on the innermost levels, which hold most of the weights and a
third of the work. What these levels get wrong is spread over many frames and bins before it is
heard; in the outer levels, whose output goes straight into the mask, the same rounding errs
thirty times as much. All that is not multiplied there stays in 32 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.separate.onnx_file import INPUT, OUTPUT, GraphBuilder

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.separate.onnx_file import Graph
    from pipeline.separate.tensors import Tensors

    Weights = npt.NDArray[np.float32]

DEPTH = 6
"""How many times a U-Net halves the axes on its way down."""

_N_CHANNELS = 2
_KERNEL = 5
# TensorFlow's padding "same", for a stride of 2 over an even axis: 1 before, 2 after.
_BY_TWO: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 2, 2]}
_BLOCK = 4  # bins to a side
_LAST_KERNEL, _LAST_DILATION = 4, 2
_LAST_SAME = [3, 3, 3, 3]
_LEAK = 0.2  # spleeter.model.functions.unet
_NORM_EPSILON = 1e-3  # the default of Keras
_RATIO_EPSILON = 1e-10  # EstimatorSpecBuilder.EPSILON
# With two, the vocals of eight real songs stay within 8e-4 of full scale of the exact ones, the
# built-in network's as well as those of random ones of full size; with three, within 3e-3.
_FAST_LEVELS = 2

# Each U-Net's share of Keras's running numbers: its layers are named in the order of creation.
_N_CONVS, _N_UPS, _N_NORMS = DEPTH + 1, DEPTH, 2 * DEPTH


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
    graph = GraphBuilder(fast=fast)
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
    return graph.finish(shape)


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


def _logits(graph: GraphBuilder, tensors: Tensors, number: int, params: dict[str, Any]) -> str:
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
    graph: GraphBuilder, layers: _Layers, filters: Sequence[int], params: dict[str, Any]
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
        skips.append(graph.convolve("Conv", value, weights, inner=inner, **_BY_TWO))
        n_in = n_out
    return skips


def _go_up(
    graph: GraphBuilder,
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
            raised = graph.convolve("ConvTranspose", value, weights, inner=inner, **_BY_TWO)
        active = _activated(graph, raised, str(params.get("deconv_activation")), "ReLU")
        value = _normalised(graph, active, layers.norm(DEPTH + level, n_out))
        n_in = n_out
    return value


def _to_one_channel(graph: GraphBuilder, value: str, kernel: Weights, bias: Weights) -> str:
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


def _normalised(graph: GraphBuilder, value: str, parameters: Sequence[Weights]) -> str:
    names = [graph.constant(parameter) for parameter in parameters]
    return graph.add("BatchNormalization", value, *names, epsilon=_NORM_EPSILON)


def _activated(graph: GraphBuilder, value: str, name: str, default: str) -> str:
    """Add an activation; any other name means the default, as it does to Spleeter."""
    kind = name if name in {"ELU", "ReLU", "LeakyReLU"} else default
    if kind == "LeakyReLU":
        return graph.add("LeakyRelu", value, alpha=_LEAK)
    return graph.add("Elu" if kind == "ELU" else "Relu", value)


def _sigmoid(graph: GraphBuilder, logit: str) -> str:
    """Add a sigmoid in full; the runtimes' own may cut off what is very faint.

    Where all instruments are that faint, the ratio of their masks lies in what is cut off.
    """
    exponential = graph.add("Exp", graph.add("Neg", logit))
    return graph.add("Reciprocal", graph.add("Add", exponential, graph.constant([1.0])))


def _softmax(graph: GraphBuilder, logits: Sequence[str], number: int) -> str:
    """Add one instrument's softmax as 1 / sum(exp(others - own)), which constants may enter."""
    terms = [graph.add("Exp", graph.add("Sub", other, logits[number])) for other in logits]
    return graph.add("Reciprocal", graph.add("Sum", *terms))


def _add_ratio(graph: GraphBuilder, estimates: Sequence[str], number: int, exponent: float) -> None:
    """Add the graph's output: one instrument's share in the sum of all, raised to a power."""
    power = graph.constant([exponent])
    powers = [graph.add("Pow", estimate, power) for estimate in estimates]
    share = graph.constant([_RATIO_EPSILON / len(estimates)])
    total = graph.add("Sum", *powers, graph.constant([_RATIO_EPSILON]))
    graph.add("Div", graph.add("Add", powers[number], share), total, output=OUTPUT)
