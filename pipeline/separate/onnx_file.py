"""Graphs as ONNX files, with their weights in a file beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from onnx import NodeProto

    Weights = npt.NDArray[np.float32]

INPUT, OUTPUT = "magnitudes", "mask"
"""What goes in and what comes out."""

_WEIGHTS_NAME = "weights"
# The oldest that have all operators as they are used: convolutions in bfloat16 are of 22.
_OPSET, _IR_VERSION = 22, 10


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


@dataclass(slots=True, eq=False)
class GraphBuilder:
    """A graph in the making: nodes and weights as they come, every value with its own name.

    Attributes
    ----------
    fast
        Whether inner convolutions are done in bfloat16.
    nodes, weights
        What there is already.
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

    def convolve(
        self,
        operator: str,
        value: str,
        weights: tuple[Weights, Weights],
        *,
        inner: bool = False,
        **attributes: Any,  # noqa: ANN401 - as above
    ) -> str:
        """Add a convolution with its kernel and bias; an inner one may be in bfloat16."""
        kernel, bias = weights
        if not (inner and self.fast):
            names = self.constant(kernel), self.constant(bias)
            return self.add(operator, value, *names, **attributes)
        rough = [
            self.add("Cast", name, to=TensorProto.BFLOAT16)
            for name in (value, self.constant(kernel))
        ]
        product = self.add(operator, *rough, **attributes)
        exact = self.add("Cast", product, to=TensorProto.FLOAT)
        return self.add("Add", exact, self.constant(bias.reshape(1, -1, 1, 1)))

    def finish(self, shape: tuple[int, ...]) -> Graph:
        """Return the graph; its input and output have the same shape."""
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
        return Graph(structure=model.SerializeToString(), weights=self.weights)


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
