"""A genuine Spleeter model, small enough for tests: its own code, layout and checkpoint format.

Only the number of filters and the sizes of the transform are smaller. The weights are random, yet
drawn so that the masks have all values between 0 and 1.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy.typing as npt

    Weights = npt.NDArray[np.float32]

MODEL_FILES = ("checkpoint", "model.data-00000-of-00001", "model.index", "model.meta")

TINY: dict[str, Any] = {
    "T": 64,
    "F": 128,
    "frame_length": 512,
    "frame_step": 128,
    "model": {"type": "unet.unet", "params": {"conv_n_filters": [2, 4, 8, 8, 8, 8]}},
}
"""What differs from Spleeter's 2stems configuration: a patch is 64 frames of 128 samples."""


def make_tiny_model(
    directory: Path,
    *,
    seed: int = 0,
    change: Callable[[str, Weights], Weights] = lambda _, values: values,
    **overrides: Any,
) -> Path:
    """Write a model into a new directory: the release's four files and a config.json.

    `change` is given every tensor by its name, and `overrides` go into the configuration.
    """
    directory.mkdir(parents=True)
    write_config(directory, **overrides)
    config = json.loads((directory / "config.json").read_text())
    import tensorflow as tf  # noqa: PLC0415 - tests that only serve files do without
    from spleeter.model import EstimatorSpecBuilder  # noqa: PLC0415 - loads TensorFlow, too

    rng = np.random.default_rng(seed)
    with tf.Graph().as_default() as graph:
        shape = (None, config["T"], config["F"], config["n_channels"])
        features = {"mix_spectrogram": tf.compat.v1.placeholder(tf.float32, shape)}
        assert set(EstimatorSpecBuilder(features, config).model_outputs)
        fill = [
            variable.assign(
                change(name, _weights(name, variable.shape.as_list(), rng)).astype(np.float32)
            )
            for variable in tf.compat.v1.global_variables()
            for name in [variable.name.removesuffix(":0")]
        ]
        # The release's checkpoint has it, and Spleeter's own Separator asks for it.
        step = tf.compat.v1.train.get_or_create_global_step()
        # Relative: the release's `checkpoint` file names its neighbour, not the trainer's disk.
        saver = tf.compat.v1.train.Saver(save_relative_paths=True)
        with tf.compat.v1.Session(graph=graph) as session:
            session.run([fill, step.initializer])
            saver.save(session, str(directory / "model"))
    return directory


def write_config(directory: Path, **overrides: Any) -> None:
    """Write a whole Spleeter configuration, whose model_dir is the directory itself."""
    packaged = resources.files("spleeter") / "resources" / "2stems.json"
    config = json.loads(packaged.read_text()) | TINY | overrides
    config["model_dir"] = str(directory.resolve())
    (directory / "config.json").write_text(json.dumps(config))


def constant(layer: str) -> Callable[[str, Weights], Weights]:
    """Return a change for the last layer of a U-Net: whatever comes in, 0.1 comes out."""

    def change(name: str, values: Weights) -> Weights:
        if name == f"{layer}/kernel":
            return np.zeros_like(values)
        if name == f"{layer}/bias":
            return np.full_like(values, np.log(0.1 / 0.9))
        return values

    return change


def _weights(name: str, shape: list[int], rng: np.random.Generator) -> Weights:
    if "moving_variance" in name or "gamma" in name:
        values = rng.uniform(0.5, 1.5, shape)
    elif "kernel" in name:
        values = rng.normal(0.0, 1.0 / np.sqrt(np.prod(shape[:-1])), shape)
    else:
        values = rng.normal(0.0, 0.2, shape)
    return values.astype(np.float32)


def pack_release(model_dir: Path, release_dir: Path) -> Path:
    """Pack a model as the release does: 2stems.tar.gz and checksum.json in a new directory."""
    release_dir.mkdir(parents=True)
    archive = release_dir / "2stems.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for path in sorted(model_dir.iterdir()):
            tar.add(path, arcname=path.name)
    write_checksum(release_dir)
    return release_dir


def write_checksum(release_dir: Path) -> None:
    """Write checksum.json for the archive as it is now."""
    digest = hashlib.sha256((release_dir / "2stems.tar.gz").read_bytes()).hexdigest()
    (release_dir / "checksum.json").write_text(json.dumps({"2stems": digest}))


def pack_members(release_dir: Path, members: Iterable[tarfile.TarInfo]) -> Path:
    """Pack bare members, e.g. hostile ones, with a checksum that fits them."""
    release_dir.mkdir(parents=True)
    with tarfile.open(release_dir / "2stems.tar.gz", "w:gz") as tar:
        for member in members:
            tar.addfile(member)
    write_checksum(release_dir)
    return release_dir
