"""Make a genuine Spleeter model of trained weights, and pack it as Spleeter packs its own.

Spleeter's own code writes the model: this runs in the bot's environment, without PyTorch. The
same weights give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import tarfile
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.separate.archive import CHECKPOINT_NAME
from pipeline.separate.model import CONFIG_NAME, INPUT_RMS
from pipeline.separate.weights import ARCHIVE_NAME, CHECKSUM_NAME, MODEL_NAME
from training.separation.schedule import geometry_of
from training.separation.weights import ACCOMPANIMENT_SHARE, REFERENCE_RMS, load_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import numpy.typing as npt

    Tensors = dict[str, npt.NDArray[np.float32]]

LARGEST_ARCHIVE = 8_000_000
"""Bytes that the packed model may have: it travels in the package."""

FRAME_LENGTH = 4096
"""Samples in a frame of Spleeter's transform."""

_DEPTH = 6
_PROBE_NAME = ".probe"  # without it Spleeter would go and download the model
_NORM_TENSORS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def export_model(
    weights: Mapping[str, npt.NDArray[np.floating[Any]]],
    model_dir: Path,
    *,
    frame_length: int = FRAME_LENGTH,
) -> None:
    """Write a Spleeter model: ``config.json``, ``checkpoint``, ``model.*`` and ``.probe``.

    The first U-Net is the trained one; the second, of the accompaniment, puts out a constant
    share of its input. Spleeter's own ratio mask then is what the first was trained with.

    Parameters
    ----------
    weights
        As `training.separation.weights.load_weights` returns them.
    model_dir
        Where the files go; made if needed.
    frame_length
        Of the transform that the network was trained with.

    Raises
    ------
    ValueError
        The weights are not those of Spleeter's U-Net.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    config = _config(weights, frame_length)
    text = json.dumps(config, indent=2) + "\n"
    (model_dir / CONFIG_NAME).write_text(text, encoding="utf-8")
    (model_dir / _PROBE_NAME).write_text("OK", encoding="utf-8")
    _write_checkpoint(tensors_of(weights), config, model_dir)


def pack_model(model_dir: Path, release_dir: Path) -> Path:
    """Pack a model as ``2stems.tar.gz`` and write the ``checksum.json`` that fits it.

    Parameters
    ----------
    model_dir
        What `export_model` wrote.
    release_dir
        Where both files go; made if needed.

    Returns
    -------
    Path
        The archive.

    Raises
    ------
    ValueError
        It is larger than `LARGEST_ARCHIVE`.
    """
    unpacked = BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(model_dir.iterdir()):
            if path.name != _PROBE_NAME:
                content = path.read_bytes()
                member = tarfile.TarInfo(path.name)
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, BytesIO(content))
    # Neither tar nor gzip is told a time: it would differ from run to run.
    archive = gzip.compress(unpacked.getvalue(), compresslevel=9, mtime=0)
    if len(archive) > LARGEST_ARCHIVE:
        raise ValueError(f"the model packs into {len(archive)} bytes, over {LARGEST_ARCHIVE}")
    release_dir.mkdir(parents=True, exist_ok=True)
    (release_dir / ARCHIVE_NAME).write_bytes(archive)
    checksums = json.dumps({MODEL_NAME: hashlib.sha256(archive).hexdigest()}) + "\n"
    (release_dir / CHECKSUM_NAME).write_text(checksums, encoding="utf-8")
    return release_dir / ARCHIVE_NAME


def export_file(weights: Path, model_dir: Path, release_dir: Path, *, frame_length: int) -> Path:
    """Export a file of weights and pack the model; returns the archive."""
    export_model(load_weights(weights), model_dir, frame_length=frame_length)
    return pack_model(model_dir, release_dir)


def tensors_of(weights: Mapping[str, npt.NDArray[np.floating[Any]]]) -> Tensors:
    """Name weights, and those of the constant second U-Net, as Spleeter's graph does.

    Raises
    ------
    ValueError
        A weight is missing.
    """
    try:
        trained = _trained(weights)
    except KeyError as error:
        raise ValueError(f"the weights lack {error}") from error
    constant = {name: _at_rest(name, values) for name, values in trained.items()}
    share = ACCOMPANIMENT_SHARE
    constant[f"conv2d/{_DEPTH}/bias"] = np.full(2, np.log(share / (1 - share)), dtype=np.float32)
    named: Tensors = {}
    for network, tensors in enumerate((trained, constant)):
        for name, values in tensors.items():
            layer, place, tensor = name.split("/")
            number = int(place) + network * _LAYERS[layer]
            named[f"{layer}_{number}/{tensor}" if number else f"{layer}/{tensor}"] = values
    return named


_LAYERS = {"conv2d": _DEPTH + 1, "conv2d_transpose": _DEPTH, "batch_normalization": 2 * _DEPTH}
"""How many layers of a kind one U-Net has; Keras counts on through both."""


def _trained(weights: Mapping[str, npt.NDArray[np.floating[Any]]]) -> Tensors:
    """Name weights by kind of layer, its number in the U-Net, and tensor."""
    down = [f"down.{i}" for i in range(_DEPTH)]
    up = [f"up.{i}" for i in range(_DEPTH)]
    down_norms = {i: f"down_norm.{i}" for i in range(_DEPTH - 1)}
    norms = down_norms | {_DEPTH + i: f"up_norm.{i}" for i in range(_DEPTH)}
    tensors: Tensors = {}
    for kind, layers in (("conv2d", [*down, "last"]), ("conv2d_transpose", up)):
        for i, layer in enumerate(layers):
            # PyTorch has the filters first, TensorFlow the two axes of the kernel.
            kernel = weights[f"{layer}.weight"].astype(np.float32)
            tensors[f"{kind}/{i}/kernel"] = kernel.transpose(2, 3, 1, 0)
            tensors[f"{kind}/{i}/bias"] = weights[f"{layer}.bias"].astype(np.float32)
    for i, layer in norms.items():
        for theirs, ours in _NORM_TENSORS.items():
            values = weights[f"{layer}.{ours}"].astype(np.float32)
            tensors[f"batch_normalization/{i}/{theirs}"] = values
    # The normalisation below the lowest convolution is in the graph, and nothing depends on it.
    for tensor in _NORM_TENSORS:
        name = f"batch_normalization/{_DEPTH - 1}/{tensor}"
        tensors[name] = _at_rest(name, tensors[f"conv2d/{_DEPTH - 1}/bias"])
    return tensors


def _at_rest(name: str, like: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a tensor that does nothing: kernels of zero, normalisations that change nothing."""
    is_scale = name.endswith(("gamma", "moving_variance"))
    return np.ones_like(like) if is_scale else np.zeros_like(like)


def _config(
    weights: Mapping[str, npt.NDArray[np.floating[Any]]], frame_length: int
) -> dict[str, Any]:
    packaged = resources.files("spleeter") / "resources" / "2stems.json"
    config: dict[str, Any] = json.loads(packaged.read_text(encoding="utf-8"))
    geometry = geometry_of(frame_length)
    n_filters = [int(weights[f"down.{i}.weight"].shape[0]) for i in range(_DEPTH)]
    config |= {
        "model_dir": MODEL_NAME,
        "T": geometry.n_frames,
        "F": geometry.n_bins,
        "frame_length": geometry.frame_length,
        "frame_step": geometry.frame_step,
        "mask_extension": "average",
        "model": {"type": "unet.unet", "params": {"conv_n_filters": n_filters}},
        INPUT_RMS: REFERENCE_RMS,
    }
    return config


def _write_checkpoint(tensors: Tensors, config: dict[str, Any], model_dir: Path) -> None:
    # Read when TensorFlow's library is loaded: 2 keeps errors and drops the rest.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf  # noqa: PLC0415 - seconds and hundreds of megabytes
    from spleeter.model import EstimatorSpecBuilder  # noqa: PLC0415 - loads TensorFlow, too

    tf.get_logger().setLevel(logging.ERROR)
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        shape = (None, config["T"], config["F"], config["n_channels"])
        features = {f"{config['mix_name']}_spectrogram": v1.placeholder(tf.float32, shape)}
        outputs = EstimatorSpecBuilder(features, config).model_outputs
        variables = {v.name.removesuffix(":0"): v for v in v1.global_variables()}
        wanted = {name: tuple(v.shape.as_list()) for name, v in variables.items()}
        if not outputs or wanted != {name: values.shape for name, values in tensors.items()}:
            raise ValueError("the weights do not fit Spleeter's U-Net")
        fill = [variables[name].assign(values) for name, values in tensors.items()]
        step = v1.train.get_or_create_global_step()  # Spleeter's own Separator asks for it
        # Relative: `checkpoint` names its neighbour, not a place on the trainer's disk.
        saver = v1.train.Saver(save_relative_paths=True)
        with v1.Session(graph=graph) as session:
            session.run([fill, step.initializer])
            saver.save(session, str(model_dir / CHECKPOINT_NAME), write_meta_graph=False)
