"""A model's files, wherever they lie, and what its configuration says."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from pipeline.errors import ModelUnavailableError
from pipeline.separate.patches import PatchGeometry
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG_NAME = "config.json"
"""Beside the checkpoint: what differs from Spleeter's configuration of its 2stems model."""

INPUT_RMS = "input_rms"
"""Key of that file, unknown to Spleeter: the level, root mean square over the song and both
channels, that the model was trained at. Without it a song is taken as loud as it is."""

INDEX_NAME = "model.index"
"""The checkpoint's index, which holds a checksum of every tensor."""

Precision: TypeAlias = Literal["float32", "fast"]
"""How a network computes: all in 32 bits, or with 16 where that is faster and hardly heard."""

_N_CHANNELS = 2
_UNET_DEPTH = 6


ReadFile: TypeAlias = "Callable[[str], bytes]"
"""Returns a file's content by its name; raises FileNotFoundError where there is none."""


class Model(Protocol):
    """The files of one model."""

    def open(self) -> ReadFile:
        """Return what reads the files; nothing of them stays in memory when it is let go.

        Raises
        ------
        OSError
            The files cannot be read.
        ModelUnavailableError
            They are damaged as a whole.
        """
        ...

    def digest(self) -> str:
        """Return a hash that another network or configuration would not have.

        Raises
        ------
        OSError
            The files cannot be read.
        """
        ...

    def damaged(self, reason: str) -> ModelUnavailableError:
        """Return the error that says what is wrong with the model and what to do about it."""
        ...


@dataclass(frozen=True, slots=True)
class SpleeterModel:
    """Spleeter's own model, unpacked.

    Attributes
    ----------
    directory
        ``model.index`` and its shards, and beside them a ``config.json`` if the model was not
        trained with Spleeter's 2stems configuration.
    """

    directory: Path

    def open(self) -> ReadFile:
        """Return what reads the files."""
        return lambda name: (self.directory / name).read_bytes()

    def digest(self) -> str:
        """Hash the configuration and the index, whose checksums stand for the weights."""
        digest = hashlib.sha256((self.directory / INDEX_NAME).read_bytes())
        config = self.directory / CONFIG_NAME
        if config.exists():
            digest.update(config.read_bytes())
        return digest.hexdigest()

    def damaged(self, reason: str) -> ModelUnavailableError:
        """Return the error that says what is wrong with the model and what to do about it."""
        return ModelUnavailableError(
            f"Spleeter's model is damaged: {reason}.",
            hint=f"Replace the files in {self.directory}, or delete it so that they are fetched "
            "anew.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a model's configuration says, checked.

    Attributes
    ----------
    config
        The whole Spleeter configuration.
    geometry
        Its sizes.
    input_rms
        The level to bring every song to before it is separated; None to take it as it is.
    """

    config: dict[str, Any]
    geometry: PatchGeometry
    input_rms: float | None


def read_settings(model: Model, read: ReadFile) -> Settings:
    """Read how a model was trained: Spleeter's 2stems.json, overridden by the model's own file.

    Parameters
    ----------
    model
        The model, for the error.
    read
        What it opened to.

    Raises
    ------
    ModelUnavailableError
        The model's own configuration cannot be read or is not for this pipeline.
    """
    packaged = resources.files("spleeter") / "resources" / "2stems.json"
    config: dict[str, Any] = json.loads(packaged.read_text(encoding="utf-8"))
    try:
        config |= _own_config(read)
        _check_config(config)
        return Settings(
            config=config, geometry=PatchGeometry.of(config), input_rms=_input_rms(config)
        )
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise model.damaged(f"its {CONFIG_NAME} cannot be used: {error}") from error


def _own_config(read: ReadFile) -> dict[str, Any]:
    try:
        content = read(CONFIG_NAME)
    except FileNotFoundError:  # the release has none
        return {}
    own: dict[str, Any] = json.loads(content)
    return own


def _input_rms(config: dict[str, Any]) -> float | None:
    if INPUT_RMS not in config:
        return None
    level = float(config[INPUT_RMS])
    if not 0.0 < level <= 1.0:
        raise ValueError(f"{INPUT_RMS} must be above 0 and at most 1")
    return level


def _check_config(config: dict[str, Any]) -> None:
    wanted = {"sample_rate": SAMPLE_RATE, "n_channels": _N_CHANNELS}
    for field, value in wanted.items():
        if config[field] != value:
            raise ValueError(f"{field} must be {value}")
    if "vocals" not in config["instrument_list"]:
        raise ValueError("instrument_list must name vocals")
    if config["mask_extension"] not in {"zeros", "average"}:
        raise ValueError("mask_extension must be zeros or average")
    if config["model"]["type"] not in {"unet.unet", "unet.softmax_unet"}:
        raise ValueError("model.type must be unet.unet or unet.softmax_unet")
    n_filters = config["model"]["params"].get("conv_n_filters")
    if n_filters is not None and len(n_filters) != _UNET_DEPTH:
        raise ValueError(f"model.params.conv_n_filters must be {_UNET_DEPTH} numbers")
