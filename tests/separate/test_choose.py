from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.errors import Cancelled, ModelUnavailableError
from pipeline.recipe import OPTIONS
from pipeline.separate.builtin import BuiltInSeparator
from pipeline.separate.choose import CHOICES, make_separator
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.separate.weights import ModelSource
from tests.separate.splitting import make_song, split

if TYPE_CHECKING:
    from pathlib import Path

    from tests.release_server import Release

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def built_in(tiny_release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the package have a network of its own."""
    monkeypatch.setattr("pipeline.separate.builtin.BUILT_IN", tiny_release / "2stems.tar.gz")


def test_spleeter_by_name_fetches_its_weights(tmp_path: Path, release: Release) -> None:
    fractions: list[float] = []
    source = ModelSource(directory=tmp_path, location=release.url)
    separator = make_separator("spleeter", source, on_fraction=fractions.append)
    assert isinstance(separator, SpleeterSeparator)
    assert (separator.name, separator.note) == ("spleeter", "")
    assert fractions[-1] == 1.0


def test_auto_takes_weights_that_are_there(tmp_path: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "2stems")
    separator = make_separator("auto", ModelSource(directory=tmp_path, location=NOWHERE))
    assert isinstance(separator, SpleeterSeparator)
    assert (separator.name, separator.note) == ("spleeter", "")


@pytest.mark.usefixtures("built_in")
def test_auto_takes_the_built_in_network_without_asking_the_internet(
    tmp_path: Path, release: Release
) -> None:
    separator = make_separator("auto", ModelSource(directory=tmp_path, location=release.url))
    assert isinstance(separator, BuiltInSeparator)
    assert (separator.name, separator.note) == ("built-in", "")
    assert np.abs(split(separator, make_song(5000)).vocals).max() > 0.01
    assert release.log == []


@pytest.mark.usefixtures("built_in")
def test_the_built_in_network_by_name_needs_no_excuse(tmp_path: Path, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "2stems")
    separator = make_separator("builtin", ModelSource(directory=tmp_path, location=NOWHERE))
    assert isinstance(separator, BuiltInSeparator)
    assert (separator.name, separator.note) == ("built-in", "")


@pytest.mark.usefixtures("built_in")
def test_auto_turns_from_weights_that_are_damaged(tmp_path: Path, tiny_model: Path) -> None:
    altered = shutil.copytree(tiny_model, tmp_path / "2stems")
    shard = altered / "model.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF  # as long as before: only the tensor's checksum can tell
    shard.write_bytes(data)
    separator = make_separator("auto", ModelSource(directory=tmp_path, location=NOWHERE))
    assert isinstance(separator, BuiltInSeparator)
    assert separator.note == (
        "Spleeter's model is damaged: its files are altered or of another network. "
        "The built-in network did the work."
    )


def test_spleeter_by_name_is_spleeter_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="no connection"):
        make_separator("spleeter", ModelSource(directory=tmp_path, location=NOWHERE))


def test_a_fetch_can_be_called_off(tmp_path: Path, release: Release) -> None:
    def cancel(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        make_separator(
            "spleeter", ModelSource(directory=tmp_path, location=release.url), on_fraction=cancel
        )


def test_another_choice_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=", ".join(CHOICES)):
        make_separator("demucs", ModelSource(directory=tmp_path))


def test_the_choices_of_a_recipe_are_these() -> None:
    option = next(option for option in OPTIONS if option.name == "separator")
    assert tuple(option.choices) == CHOICES
