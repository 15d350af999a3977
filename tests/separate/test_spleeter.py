from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.errors import Cancelled, ModelUnavailableError, UnreadableAudioError
from pipeline.runtime import compile_network, has_fast_bfloat16
from pipeline.separate import network, spleeter
from pipeline.separate.model import Settings, SpleeterModel, read_settings
from pipeline.separate.patches import PatchGeometry
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.separate.weights import ModelSource, ensure_weights
from pipeline.tapes import on_disk
from pipeline.types import Song
from tests.separate.splitting import (
    EXACT,
    FAST,
    PATCH,
    make_song,
    quiet,
    spleeters_own_vocals,
    split,
)
from tests.tiny_spleeter import TINY, make_tiny_model, write_config

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.separate.model import Precision
    from pipeline.types import Signal
    from tests.release_server import Release
    from tests.tiny_spleeter import Weights

pytestmark = pytest.mark.slow

SHARD = "model.data-00000-of-00001"
SHORT_LENGTHS = (1, 2, 127, 128, 129, 511, 513)
# Lengths around which another patch begins: one frame of silence stands before the song.
EDGE_LENGTHS = (PATCH - 512, PATCH - 511, 3 * PATCH - 512, 3 * PATCH - 511)


def settings_of(model_dir: Path) -> Settings:
    model = SpleeterModel(model_dir)
    return read_settings(model, model.open())


@pytest.fixture(scope="module")
def warm(tiny_model: Path) -> SpleeterSeparator:
    separator = SpleeterSeparator(tiny_model)
    split(separator, make_song(100))
    return separator


# The same as Spleeter


def test_downloaded_weights_give_spleeters_own_vocals(tmp_path: Path, release: Release) -> None:
    model_dir = ensure_weights(ModelSource(directory=tmp_path, location=release.url))
    # Spleeter finds a model by the absolute path in its configuration.
    write_config(model_dir)
    song = make_song(EDGE_LENGTHS[-1])
    theirs = spleeters_own_vocals(model_dir, song)
    assert np.abs(theirs).max() > 0.05
    bounds: dict[Precision, float] = {"float32": EXACT, "fast": FAST}
    for precision, bound in bounds.items():
        stems = split(SpleeterSeparator(model_dir, precision=precision), song)
        np.testing.assert_allclose(stems.vocals, theirs, atol=bound)
        np.testing.assert_allclose(stems.vocals + stems.accompaniment, song.samples, atol=1e-6)


def test_another_configuration_gives_spleeters_own_vocals(tmp_path: Path, tiny_model: Path) -> None:
    model_dir = shutil.copytree(tiny_model, tmp_path / "2stems")
    model = {**TINY["model"], "type": "unet.softmax_unet"}
    write_config(model_dir, mask_extension="average", separation_exponent=1, model=model)
    song = make_song(1)
    song.samples[:] = 0.9
    theirs = spleeters_own_vocals(model_dir, song)
    ours = split(SpleeterSeparator(model_dir, precision="float32"), song).vocals
    assert np.abs(theirs).min() > 0.05
    np.testing.assert_allclose(ours, theirs, atol=EXACT)


def test_the_masks_of_the_tiny_model_are_not_trivial(warm: SpleeterSeparator) -> None:
    song = make_song(4 * PATCH)
    share = split(warm, song).vocals / song.samples
    assert np.percentile(np.abs(share), 10) < 0.2
    assert np.percentile(np.abs(share), 90) > 0.5


# One graph for all songs


def test_one_warm_separator_gives_every_song_the_answer_of_a_fresh_one(
    tiny_model: Path, warm: SpleeterSeparator
) -> None:
    first, second = make_song(20_000, seed=1), make_song(20_000, seed=2)
    warm_answers = [split(warm, song).vocals for song in (first, second)]
    assert np.abs(warm_answers[0] - warm_answers[1]).max() > 0.1
    for song, answer in zip((first, second), warm_answers, strict=True):
        fresh = split(SpleeterSeparator(tiny_model), song).vocals
        np.testing.assert_allclose(fresh, answer, atol=1e-6)


def test_one_network_serves_all_songs(
    warm: SpleeterSeparator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("another one was made")

    loaded = warm.load()
    monkeypatch.setattr(network, "compile_network", refuse)
    split(warm, make_song(5000))
    split(warm, make_song(1000))
    assert warm.load() is loaded


def test_songs_in_several_threads_share_the_network(warm: SpleeterSeparator) -> None:
    songs = [make_song(3 * PATCH + 100 * seed, seed=seed) for seed in range(6)]
    alone = [split(warm, song).vocals for song in songs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda song: split(warm, song).vocals, songs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_several_threads_load_the_network_once(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def compile_and_count(path: Path, **settings: int) -> Any:
        made.append(path)
        return compile_network(path, **settings)

    monkeypatch.setattr(network, "compile_network", compile_and_count)
    separator = SpleeterSeparator(tiny_model)
    with ThreadPoolExecutor(3) as pool:
        loaded = list(pool.map(lambda _: separator.load(), range(3)))
    assert loaded[0] is loaded[1] is loaded[2]
    assert len(made) == 1
    assert not made[0].exists()


def test_few_patches_of_a_song_are_worked_on_at_a_time(warm: SpleeterSeparator) -> None:
    read: list[int] = []

    class Samples:
        """Counts the patches that are read."""

        shape = (2, 30 * PATCH)

        def __getitem__(self, key: tuple[slice, slice]) -> Signal:
            read.append(key[1].start)
            return np.zeros((2, key[1].stop - key[1].start), dtype=np.float32)

    done: list[float] = []

    def on_fraction(fraction: float) -> None:
        done.append(fraction)
        assert len(read) - len(done) <= 3

    song = Song(samples=Samples(), title="Long")  # type: ignore[arg-type] # reads like an array
    warm.separate(song, on_fraction)
    assert len(read) == 31


def test_stems_go_where_the_caller_wants_them(warm: SpleeterSeparator, tmp_path: Path) -> None:
    song = make_song(3 * PATCH)
    kept = on_disk(tmp_path)(3 * PATCH)
    kept[:] = song.samples
    made: list[Signal] = []

    def blank(length: int) -> Signal:
        made.append(on_disk(tmp_path)(length))
        return made[-1]

    stems = warm.separate(Song(samples=kept, title="Kept"), quiet, blank=blank)
    assert stems.vocals is made[0]
    assert stems.accompaniment is made[1]
    np.testing.assert_allclose(stems.vocals, split(warm, song).vocals, atol=1e-6)
    np.testing.assert_allclose(stems.vocals + stems.accompaniment, song.samples, atol=1e-6)


def test_an_identity_stands_for_weights_configuration_and_precision(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def identity(model_dir: Path, precision: Precision = "float32") -> str:
        return SpleeterSeparator(model_dir, precision=precision).identity

    copied = shutil.copytree(tiny_model, tmp_path / "2stems")
    assert identity(copied) == identity(tiny_model)
    exact = identity(tiny_model)
    assert (identity(tiny_model, "fast") != exact) == has_fast_bfloat16()
    with monkeypatch.context() as without_amx:
        without_amx.setattr(spleeter, "has_fast_bfloat16", lambda: False)
        assert identity(tiny_model, "fast") == exact
    write_config(copied, mask_extension="average")
    other = shutil.copytree(tiny_model, tmp_path / "other")
    (other / "model.index").write_bytes(b"the checksums of other weights")
    assert len({exact, identity(copied), identity(other)}) == 3


def test_a_model_that_is_not_there_has_no_identity(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="missing or broken off"):
        _ = SpleeterSeparator(tmp_path).identity


# Every length, and progress


@pytest.mark.parametrize("n_samples", [0, *SHORT_LENGTHS, *EDGE_LENGTHS])
def test_stems_sum_to_the_song_at_every_length(warm: SpleeterSeparator, n_samples: int) -> None:
    song = make_song(n_samples)
    stems = split(warm, song)
    assert stems.vocals.shape == stems.accompaniment.shape == (2, n_samples)
    assert stems.vocals.dtype == stems.accompaniment.dtype == np.float32
    np.testing.assert_allclose(stems.vocals + stems.accompaniment, song.samples, atol=1e-6)


def test_the_song_itself_is_left_alone(warm: SpleeterSeparator) -> None:
    song = make_song(5000)
    before = song.samples.copy()
    split(warm, song)
    np.testing.assert_array_equal(song.samples, before)


def test_progress_rises_patch_by_patch(warm: SpleeterSeparator) -> None:
    told: list[float] = []
    warm.separate(make_song(4 * PATCH - 512), told.append)
    assert told == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_a_separation_can_be_called_off_between_patches(warm: SpleeterSeparator) -> None:
    told: list[float] = []

    def cancel(fraction: float) -> None:
        told.append(fraction)
        if fraction >= 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        warm.separate(make_song(4 * PATCH - 512), cancel)
    assert told == [0.0, 0.25, 0.5]
    song = make_song(3000)
    stems = split(warm, song)  # and the session is none the worse for it
    np.testing.assert_allclose(stems.vocals + stems.accompaniment, song.samples, atol=1e-6)


def test_patches_cover_the_song_from_a_frame_before_it_to_its_end() -> None:
    geometry = PatchGeometry(n_frames=512, n_bins=1024, frame_length=4096, frame_step=1024)
    assert list(geometry.patch_starts(0)) == [-4096]
    assert list(geometry.patch_starts(512 * 1024 - 4096)) == [-4096]
    assert list(geometry.patch_starts(512 * 1024 - 4095)) == [-4096, 512 * 1024 - 4096]


# Models that cannot be used


@pytest.mark.parametrize("name", ["model.index", SHARD])
def test_a_missing_file_is_an_error_in_words(tmp_path: Path, tiny_model: Path, name: str) -> None:
    model_dir = shutil.copytree(tiny_model, tmp_path / "2stems")
    (model_dir / name).unlink()
    with pytest.raises(ModelUnavailableError, match="missing or broken off") as caught:
        split(SpleeterSeparator(model_dir), make_song(100))
    assert str(model_dir) in str(caught.value)


def test_an_altered_shard_is_an_error_in_words(tmp_path: Path, tiny_model: Path) -> None:
    model_dir = shutil.copytree(tiny_model, tmp_path / "2stems")
    content = bytearray((model_dir / SHARD).read_bytes())
    content[len(content) // 2] ^= 0x10
    (model_dir / SHARD).write_bytes(content)
    with pytest.raises(ModelUnavailableError, match="altered"):
        split(SpleeterSeparator(model_dir), make_song(100))


def test_weights_that_are_not_numbers_are_an_error_in_words(tmp_path: Path) -> None:
    def spoil(name: str, values: Weights) -> Weights:
        return values * np.float32(np.nan) if name == "conv2d_6/bias" else values

    model_dir = make_tiny_model(tmp_path / "2stems", change=spoil)
    with pytest.raises(ModelUnavailableError, match="not numbers"):
        split(SpleeterSeparator(model_dir), make_song(100))


@pytest.mark.parametrize(
    "changes",
    [
        {"instrument_list": ["vocals", "drums", "bass"]},
        {"model": {"type": "unet.unet", "params": {"conv_n_filters": [2, 4, 8, 8, 8, 9]}}},
    ],
    ids=["more instruments", "other filters"],
)
def test_weights_of_another_network_are_an_error_in_words(
    tmp_path: Path, tiny_model: Path, changes: dict[str, Any]
) -> None:
    model_dir = shutil.copytree(tiny_model, tmp_path / "2stems")
    write_config(model_dir, **changes)
    with pytest.raises(ModelUnavailableError, match="altered or of another network"):
        split(SpleeterSeparator(model_dir), make_song(100))


def test_a_song_that_is_not_numbers_is_not_blamed_on_the_model(warm: SpleeterSeparator) -> None:
    song = make_song(3 * PATCH)
    song.samples[1, 2 * PATCH] = np.inf
    with pytest.raises(UnreadableAudioError, match="Noise holds samples that are not numbers"):
        split(warm, song)
    split(warm, make_song(3 * PATCH))  # and no patch is left in the network


@pytest.mark.parametrize(
    "changes",
    [
        {"T": 100},
        {"F": 0},
        {"F": 512},
        {"frame_step": 100},
        {"frame_length": 640},
        {"frame_length": "long"},
        {"sample_rate": 16_000},
        {"n_channels": 1},
        {"instrument_list": ["drums", "bass"]},
        {"mask_extension": "mirror"},
        {"model": {"type": "blstm.blstm", "params": {}}},
        {"model": {"type": "unet.unet", "params": {"conv_n_filters": [2, 4]}}},
        {"model": None},
        {"input_rms": 0},
        {"input_rms": 2},
        {"input_rms": "loud"},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    write_config(tmp_path, **changes)
    with pytest.raises(ModelUnavailableError, match=r"config\.json cannot be used"):
        settings_of(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{"])
def test_a_configuration_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelUnavailableError, match=r"config\.json cannot be used"):
        settings_of(tmp_path)


def test_without_a_configuration_it_is_spleeters_2stems(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    assert settings.input_rms is None
    assert settings.geometry == PatchGeometry(
        n_frames=512, n_bins=1024, frame_length=4096, frame_step=1024
    )
    assert settings.config["mask_extension"] == "zeros"
    (tmp_path / "config.json").write_text(json.dumps({"mask_extension": "average"}))
    assert settings_of(tmp_path).config == settings.config | {"mask_extension": "average"}


# A quiet machine room


def test_a_separation_prints_nothing_and_loads_no_tensorflow(tiny_model: Path) -> None:
    code = (
        "import sys, pathlib, numpy\n"
        "from pipeline.separate.spleeter import SpleeterSeparator\n"
        "from pipeline.types import Song\n"
        "assert not {'onnx', 'openvino', 'spleeter'} & set(sys.modules)\n"
        "song = Song(samples=numpy.ones((2, 99), numpy.float32), title='One')\n"
        "SpleeterSeparator(pathlib.Path(sys.argv[1])).separate(song, lambda _: None)\n"
        "assert 'openvino' in sys.modules\n"
        "assert not {'tensorflow', 'keras', 'tensorboard'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tiny_model)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")
