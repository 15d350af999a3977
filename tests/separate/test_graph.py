from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest

from pipeline.separate.graph import Graph, build_graph
from pipeline.separate.model import SpleeterModel, read_settings
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.separate.tensors import Tensors, read_tensors
from tests.separate.splitting import PATCH, make_song, spleeters_own_vocals, split
from tests.tiny_spleeter import TINY, constant, make_tiny_model

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tiny_spleeter import Weights

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
    np.testing.assert_allclose(split(SpleeterSeparator(model_dir), song).vocals, theirs, atol=1e-4)


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
    assert (whole.count("Conv"), whole.count("ConvTranspose")) == (14, 12)
    assert (halved.count("Conv"), halved.count("ConvTranspose")) == (7, 6)
    assert_spleeters_own(model_dir)


def test_vocals_may_be_the_constant(tmp_path: Path) -> None:
    assert_spleeters_own(make_tiny_model(tmp_path / "2stems", change=constant("conv2d_6")))


def test_masks_that_are_all_faint_keep_their_ratio(tmp_path: Path) -> None:
    def faint(name: str, values: Weights) -> Weights:
        return values + np.float32({"conv2d_6/bias": -19, "conv2d_13/bias": -22}.get(name, 0))

    assert_spleeters_own(make_tiny_model(tmp_path / "2stems", change=faint, separation_exponent=1))


def test_the_structure_is_valid_and_holds_no_weights(tiny_model: Path) -> None:
    graph = build_graph(*tensors_and_config(tiny_model))
    assert len(graph.structure) < 20_000
    model = onnx.load_model_from_string(graph.structure)
    for declared in model.graph.initializer:
        declared.CopyFrom(onnx.numpy_helper.from_array(graph.weights[declared.name], declared.name))
    onnx.checker.check_model(model, full_check=True)
    assert sum(values.size for values in graph.weights.values()) > 10_000


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
