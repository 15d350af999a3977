from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.errors import ModelUnavailableError, UnreadableAudioError
from pipeline.separate.builtin import BuiltInSeparator
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.types import Song
from tests.separate.splitting import PATCH, make_song, split
from tests.tiny_spleeter import constant, make_tiny_model, pack_release, write_checksum

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RMS = 0.125


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model like the package's own."""
    return make_tiny_model(
        tmp_path_factory.mktemp("own") / "2stems",
        change=constant("conv2d_13"),
        mask_extension="average",
        input_rms=RMS,
    )


@pytest.fixture(scope="module")
def archive(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_release(model_dir, tmp_path_factory.mktemp("packed") / "models") / "2stems.tar.gz"


def test_the_packed_model_is_the_unpacked_one_and_leaves_nothing_behind(
    model_dir: Path, archive: Path
) -> None:
    before = sorted(archive.parent.iterdir())
    song = make_song(2 * PATCH)
    separator = BuiltInSeparator(archive)
    assert (separator.name, separator.note) == ("built-in", "")
    stems = split(separator, song)
    np.testing.assert_array_equal(stems.vocals, split(SpleeterSeparator(model_dir), song).vocals)
    np.testing.assert_allclose(stems.vocals + stems.accompaniment, song.samples, atol=1e-6)
    assert sorted(archive.parent.iterdir()) == before


def test_every_song_is_heard_at_the_level_of_the_training(
    tmp_path: Path, model_dir: Path, archive: Path
) -> None:
    as_it_is = shutil.copytree(model_dir, tmp_path / "2stems")
    config = json.loads((as_it_is / "config.json").read_text())
    del config["input_rms"]
    (as_it_is / "config.json").write_text(json.dumps(config))
    song = make_song(2 * PATCH)
    rms = float(np.sqrt(np.mean(song.samples.astype(np.float64) ** 2)))
    levelled = Song(samples=song.samples * np.float32(RMS / rms), title="Levelled")
    expected = split(SpleeterSeparator(as_it_is), levelled).vocals * (rms / RMS)
    separator = BuiltInSeparator(archive)
    np.testing.assert_allclose(split(separator, song).vocals, expected, atol=1e-6)
    # The model itself is not blind to levels, so that the test above means something.
    assert np.abs(split(SpleeterSeparator(as_it_is), song).vocals - expected).max() > 1e-3


@pytest.mark.parametrize("factor", [1e-3, 30.0])
def test_a_song_at_another_level_gives_the_same_voice_at_that_level(
    archive: Path, factor: float
) -> None:
    separator = BuiltInSeparator(archive)
    song = make_song(2 * PATCH)
    scaled = Song(samples=song.samples * np.float32(factor), title="Scaled")
    np.testing.assert_allclose(
        split(separator, scaled).vocals / factor, split(separator, song).vocals, atol=1e-5
    )


@pytest.mark.parametrize("level", [0.0, 1e-42, 1e-30])
@pytest.mark.parametrize("length", [0, 1, 5000])
def test_silence_stays_silence(archive: Path, level: float, length: int) -> None:
    song = Song(samples=np.full((2, length), level, np.float32), title="Silence")
    stems = split(BuiltInSeparator(archive), song)
    assert np.abs(stems.vocals).max(initial=0.0) <= 2 * level
    assert np.isfinite(stems.accompaniment).all()


def test_a_song_that_is_not_numbers_is_named(archive: Path) -> None:
    song = make_song(PATCH)
    song.samples[0, 5] = np.nan
    with pytest.raises(UnreadableAudioError, match="Noise holds samples that are not numbers"):
        split(BuiltInSeparator(archive), song)


def altered(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0x10
    archive.write_bytes(content)


def no_archive(archive: Path) -> None:
    archive.write_bytes(b"none")
    write_checksum(archive.parent)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (altered, "its checksum is wrong"),
        (no_archive, "cannot be unpacked"),
        (lambda archive: archive.unlink(), "missing or broken off"),
        (lambda archive: archive.with_name("checksum.json").unlink(), "missing or broken off"),
        (
            lambda archive: archive.with_name("checksum.json").write_text("{}"),
            "checksum.json cannot be read",
        ),
    ],
    ids=["altered", "no archive", "no file", "no checksum", "empty checksum"],
)
def test_a_damaged_package_is_an_error_in_words(
    tmp_path: Path, archive: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    copy = shutil.copytree(archive.parent, tmp_path / "models") / archive.name
    spoil(copy)
    with pytest.raises(
        ModelUnavailableError, match=f"The built-in network is damaged: .*{reason}"
    ) as caught:
        split(BuiltInSeparator(copy), make_song(100))
    assert "Install this program again" in caught.value.hint
