from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from pipeline.separate.graph import build_graph
from pipeline.separate.model import SpleeterModel, read_settings
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.separate.tensors import Tensors, read_tensors
from tests.separate.splitting import EXACT, PATCH, make_song, spleeters_own_vocals, split
from tests.tiny_spleeter import TINY, constant, make_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.separate.onnx_file import Graph
    from tests.tiny_spleeter import Weights

pytestmark = pytest.mark.slow

FILTERS = TINY["model"]["params"]


def tensors_and_config(model_dir: Path) -> tuple[Tensors, dict[str, Any]]:
    model = SpleeterModel(model_dir)
    read = model.open()
    return read_tensors(read, "model"), read_settings(model, read).config


def operators(graph: Graph) -> list[str]:
    model = onnx.load_model_from_string(graph.structure)
    return [node.op_type for node in model.graph.node]


def assert_spleeters_own(model_dir: Path) -> None:
    song = make_song(2 * PATCH)
    theirs = spleeters_own_vocals(model_dir, song)
    assert np.abs(theirs).max() > 0.05
    ours = split(SpleeterSeparator(model_dir, precision="float32"), song).vocals
    np.testing.assert_allclose(ours, theirs, atol=EXACT)


@pytest.mark.parametrize(
    "overrides",
    [
        {
            "model": {
                "type": "unet.unet",
                "params": {**FILTERS, "conv_activation": "ELU", "deconv_activation": "ELU"},
            },
            "instrument_list": ["drums", "vocals", "bass"],
            "separation_exponent": 1.5,
        },
        {
            "model": {
                "type": "unet.softmax_unet",
                "params": {**FILTERS, "conv_activation": "ReLU", "deconv_activation": "LeakyReLU"},
            },
            "instrument_list": ["drums", "bass", "vocals"],
            "mask_extension": "average",
        },
    ],
    ids=["ELU", "softmax"],
)
def test_every_kind_of_network_gives_spleeters_own_vocals(
    tmp_path: Path, overrides: dict[str, Any]
) -> None:
    assert_spleeters_own(make_tiny_model(tmp_path / "2stems", **overrides))


@pytest.mark.parametrize("kind", ["unet.unet", "unet.softmax_unet"])
def test_a_constant_network_is_not_computed(tmp_path: Path, tiny_model: Path, kind: str) -> None:
    model_dir = make_tiny_model(
        tmp_path / "2stems",
        change=constant("conv2d_13"),
        model={**TINY["model"], "type": kind},
        mask_extension="average",
    )
    whole = operators(build_graph(*tensors_and_config(tiny_model)))
    halved = operators(build_graph(*tensors_and_config(model_dir)))
    assert (whole.count("Conv"), whole.count("ConvTranspose")) == (16, 10)
    assert (halved.count("Conv"), halved.count("ConvTranspose")) == (8, 5)
    assert_spleeters_own(model_dir)


def test_vocals_may_be_the_constant(tmp_path: Path) -> None:
    assert_spleeters_own(make_tiny_model(tmp_path / "2stems", change=constant("conv2d_6")))


def test_masks_that_are_all_faint_keep_their_ratio(tmp_path: Path) -> None:
    def faint(name: str, values: Weights) -> Weights:
        return values + np.float32({"conv2d_6/bias": -19, "conv2d_13/bias": -22}.get(name, 0))

    assert_spleeters_own(make_tiny_model(tmp_path / "2stems", change=faint, separation_exponent=1))


@pytest.mark.parametrize("fast", [False, True])
def test_the_graph_is_a_valid_onnx_file_beside_its_weights(
    tiny_model: Path, tmp_path: Path, *, fast: bool
) -> None:
    graph = build_graph(*tensors_and_config(tiny_model), fast=fast)
    assert len(graph.structure) < 25_000
    path = graph.write(tmp_path)
    onnx.checker.check_model(str(path), full_check=True)
    read = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
    assert read.keys() == graph.weights.keys()
    for name, values in graph.weights.items():
        np.testing.assert_array_equal(onnx.numpy_helper.to_array(read[name]), values)
    assert sum(values.size for values in graph.weights.values()) > 10_000


def test_a_fast_graph_is_coarse_on_the_innermost_levels_alone(tiny_model: Path) -> None:
    tensors_config = tensors_and_config(tiny_model)
    exact, fast = (build_graph(*tensors_config, fast=fast) for fast in (False, True))
    assert operators(exact).count("Cast") == 0
    # Two U-Nets, two levels down and two up, value and kernel in and their product out.
    assert operators(fast).count("Cast") == 2 * (2 + 2) * 3
    model = onnx.load_model_from_string(fast.structure)
    coarse = {
        name
        for node in model.graph.node
        if node.op_type in {"Conv", "ConvTranspose"} and node.input[1] not in fast.weights
        for name in node.output
    }
    assert len(coarse) == 8
    assert fast.weights.keys() >= {
        node.input[1]
        for node in model.graph.node
        if node.op_type in {"Conv", "ConvTranspose"} and node.output[0] not in coarse
    }


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("conv2d_3/kernel", None, "missing"),
        ("conv2d_13/kernel", None, "missing"),
        ("conv2d_3/kernel", np.ones((5, 5, 4, 8), np.float32), "has the shape"),
        ("conv2d_transpose_11/bias", np.ones(2, np.float32), "has the shape"),
        ("batch_normalization_7/moving_mean", np.float32(1.0).reshape(()), "missing"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(
    tiny_model: Path, name: str, values: Any, reason: str
) -> None:
    tensors, config = tensors_and_config(tiny_model)
    if values is None:
        del tensors[name]
    else:
        tensors[name] = values
    with pytest.raises(ValueError, match=f"{name} .*{reason}|{name} {reason}|{name} is {reason}"):
        build_graph(tensors, config)
