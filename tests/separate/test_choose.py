from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import Cancelled, ModelUnavailableError
from pipeline.separate.choose import CHOICES, make_separator
from pipeline.separate.offline import OfflineSeparator
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.separate.weights import ModelSource

if TYPE_CHECKING:
    from pathlib import Path

    from tests.release_server import Release

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("choice", ["auto", "spleeter"])
def test_spleeter_does_the_work_where_its_weights_can_be_fetched(
    tmp_path: Path, release: Release, choice: str
) -> None:
    fractions: list[float] = []
    source = ModelSource(directory=tmp_path, location=release.url)
    separator = make_separator(choice, source, on_fraction=fractions.append)
    assert isinstance(separator, SpleeterSeparator)
    assert (separator.name, separator.note) == ("spleeter", "")
    assert fractions[-1] == 1.0


def test_auto_falls_back_and_says_so(tmp_path: Path) -> None:
    separator = make_separator("auto", ModelSource(directory=tmp_path, location=NOWHERE))
    assert isinstance(separator, OfflineSeparator)
    assert separator.note == (
        "Spleeter's weights could not be fetched (no connection to 127.0.0.1:9), so the built-in "
        "separator did the work: expect more of the old backing in the voice."
    )


def test_auto_falls_back_from_a_model_that_turns_out_damaged(
    tmp_path: Path, tiny_model: Path
) -> None:
    altered = shutil.copytree(tiny_model, tmp_path / "2stems")
    shard = altered / "model.data-00000-of-00001"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 0xFF  # as long as before: only TensorFlow's checksum can tell
    shard.write_bytes(data)
    separator = make_separator("auto", ModelSource(directory=tmp_path, location=NOWHERE))
    assert isinstance(separator, OfflineSeparator)
    assert separator.note.startswith("Spleeter's model is damaged: ")
    assert str(tmp_path) not in separator.note  # people in a chat need not know the admin's disk


def test_spleeter_by_name_is_spleeter_or_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="no connection"):
        make_separator("spleeter", ModelSource(directory=tmp_path, location=NOWHERE))


def test_offline_by_name_needs_no_weights_and_no_excuse(tmp_path: Path, release: Release) -> None:
    source = ModelSource(directory=tmp_path, location=release.url)
    separator = make_separator("offline", source)
    assert isinstance(separator, OfflineSeparator)
    assert (separator.name, separator.note) == ("offline", "")
    assert release.log == []


def test_a_fetch_can_be_called_off(tmp_path: Path, release: Release) -> None:
    def cancel(fraction: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        make_separator(
            "auto", ModelSource(directory=tmp_path, location=release.url), on_fraction=cancel
        )


def test_another_choice_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=", ".join(CHOICES)):
        make_separator("demucs", ModelSource(directory=tmp_path))
