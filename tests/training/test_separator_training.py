"""A training of a minute: the loss falls, and what it exports is a Spleeter model.

PyTorch lives in an environment of its own, which `make train` and `make test` make; here its
interpreter is started for everything that needs it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from composer import compose
from pipeline.separate.builtin import BuiltInSeparator
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.types import Song
from training.clips import write_clip
from training.separation.export import export_model, pack_model, tensors_of
from training.separation.weights import load_weights, save_weights

if TYPE_CHECKING:
    from pipeline.types import Signal

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
FRAME_LENGTH = 1024
PARTS = (0.4, 0.3, 0.2, 0.1)


def training_python() -> str:
    python = os.environ.get("TRAINING_PYTHON", str(ROOT / ".venv-train" / "bin" / "python"))
    if shutil.which(python) is None:
        pytest.skip(f"no training environment: {python} is absent; `make .venv-train` makes it")
    return python


def run(*arguments: str | Path) -> str:
    command = [training_python(), "-m", *map(str, arguments)]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=quiet, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(command: str, *paths: Path) -> None:
    run("tests.training.torch_side", command, *paths)


def train(clips: Path, directory: Path, *options: str) -> None:
    run(
        *("training", "separator", "--clips", clips, "--out", directory, "--stems", "absent"),
        *("--filters", "2,2,4,4,4,4", "--frames", "64", "--frame-length", str(FRAME_LENGTH)),
        *("--batch", "2", "--workers", "0", "--no-compile", *options),
    )


def log_of(directory: Path, kind: str) -> list[dict[str, Any]]:
    lines = (directory / "log.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if line["kind"] == kind]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three composed songs in parts, the last two of them not to be trained on as they are."""
    directory = tmp_path_factory.mktemp("clips")
    for seed in (0, 1, 1_000_000):
        song = compose(seed % 999_999, duration_s=5.0, bpm=180.0, intro_bars=0)
        parts = np.stack([song.stems.accompaniment * share for share in PARTS])
        write_clip(directory / "backings", seed, parts, {"seed": seed})
        write_clip(directory / "voices", seed, song.stems.vocals, {"seed": seed, "backing": seed})
    # A recording that is all silence must do no harm.
    quiet = {"seed": 2_000_000, "backing": None}
    write_clip(directory / "voices", 2_000_000, np.zeros((2, 100_000), dtype=np.float32), quiet)
    return directory


@pytest.fixture(scope="module")
def trained(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("trained")
    train(clips, directory, "--steps", "150")
    return directory


@pytest.fixture(scope="module")
def model_dir(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("exported") / "2stems"
    export_model(load_weights(trained / "weights.npz"), directory, frame_length=FRAME_LENGTH)
    return directory


@pytest.fixture(scope="module")
def song() -> Song:
    """A song at the level that the network is trained at, a little longer than one patch."""
    mixture = compose(7, duration_s=6.0, bpm=180.0, intro_bars=0).mixture
    return Song(samples=mixture * np.float32(0.125 / np.sqrt(np.mean(mixture**2))), title="Seven")


@pytest.fixture(scope="module")
def torch_vocals(trained: Path, song: Song, tmp_path_factory: pytest.TempPathFactory) -> Signal:
    folder = tmp_path_factory.mktemp("torch")
    np.save(folder / "mixture.npy", song.samples)
    ask("vocals", trained / "weights.npz", folder / "mixture.npy", folder / "vocals.npy")
    vocals: Signal = np.load(folder / "vocals.npy")
    return vocals


# Learning


def test_the_loss_falls(trained: Path) -> None:
    first, _, last = log_of(trained, "train")
    for term in ("absolute", "root_weighted", "squared"):
        assert last[term] < 0.95 * first[term]
    assert log_of(trained, "skipped") == []


def test_the_songs_to_validate_with_are_scored_at_the_end(trained: Path) -> None:
    songs = {line["name"]: line for line in log_of(trained, "song")}
    assert set(songs) == {"clip 1000000", "band 1000000"}
    assert songs["clip 1000000"]["step"] == 150
    # The mixture itself would have -4 dB; below 0 dB nothing is taken out of it at all.
    assert songs["clip 1000000"]["vocals_sdr_db"] > 0.5


def test_a_training_goes_on_where_it_stopped(clips: Path, trained: Path, tmp_path: Path) -> None:
    directory = shutil.copytree(trained, tmp_path / "more")
    train(clips, directory, "--steps", "152")
    assert [line["step"] for line in log_of(directory, "start")] == [0, 150]
    assert [line["step"] for line in log_of(directory, "end")] == [150, 152]
    before, after = (load_weights(place / "weights.npz") for place in (trained, directory))
    kernels = [name for name in before if before[name].ndim == 4]
    changes = [np.abs(after[name] - before[name]).max() for name in kernels]
    # Two small steps: a network that began anew would be another one altogether.
    assert 0.0 < np.max(changes) < 0.02 < max(np.abs(before[name]).max() for name in kernels)


def test_batches_are_sound_and_depend_on_their_number_alone(clips: Path, tmp_path: Path) -> None:
    ask("batches", clips, tmp_path / "facts.json")
    facts = json.loads((tmp_path / "facts.json").read_text())
    assert facts["shape"] == [48, 2, 64, 256]
    assert facts["is_finite"]
    assert facts["is_within"]
    assert facts["least_rms"] > 0.01
    assert 1 <= facts["without_voice"] <= 20
    assert facts["same_later"]
    assert facts["others_earlier"]
    assert sorted(facts["seeds"]) == [0, 0, 1, 1, 2_000_000]


def test_silence_gives_numbers(tmp_path: Path) -> None:
    ask("silence", tmp_path / "facts.json")
    facts = np.array(json.loads((tmp_path / "facts.json").read_text()))
    assert np.isfinite(facts).all()
    assert facts[0].max() == 0.0
    assert facts[1].min() > 0.0


def test_without_clips_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="voices holds no clip to train on yet"):
        train(tmp_path / "nothing", tmp_path / "out", "--steps", "1")


# The exported model


def test_spleeters_own_separator_gives_the_trained_networks_vocals(
    model_dir: Path, song: Song, torch_vocals: Signal, tmp_path: Path
) -> None:
    from spleeter.separator import Separator  # noqa: PLC0415 - loads TensorFlow

    theirs = shutil.copytree(model_dir, tmp_path / "2stems")
    config = json.loads((theirs / "config.json").read_text())
    config["model_dir"] = str(theirs)  # Spleeter finds a model by this absolute path
    (theirs / "config.json").write_text(json.dumps(config))
    genuine = Separator(str(theirs / "config.json"), multiprocess=False)
    stems = genuine.separate(song.samples.T)
    assert 0.01 < np.abs(torch_vocals).max() < 0.9 * np.abs(song.samples).max()
    np.testing.assert_allclose(stems["vocals"].T, torch_vocals, atol=1e-4)
    rest = song.samples - torch_vocals
    np.testing.assert_allclose(stems["accompaniment"].T, rest, atol=1e-4)


def test_the_runtime_gives_the_trained_networks_vocals(
    model_dir: Path, song: Song, torch_vocals: Signal, tmp_path: Path
) -> None:
    archive = pack_model(model_dir, tmp_path / "release")
    quiet = Song(samples=song.samples * np.float32(0.1), title="Seven, softly")
    for separator in (
        SpleeterSeparator(model_dir, precision="float32"),
        BuiltInSeparator(archive, precision="float32"),
    ):
        stems = separator.separate(quiet, lambda _: None)
        np.testing.assert_allclose(stems.vocals * 10, torch_vocals, atol=1e-4)


def test_the_same_weights_give_the_same_bytes(
    trained: Path, model_dir: Path, tmp_path: Path
) -> None:
    weights = load_weights(trained / "weights.npz")
    save_weights(tmp_path / "weights.npz", weights)
    assert (tmp_path / "weights.npz").read_bytes() == (trained / "weights.npz").read_bytes()
    export_model(weights, tmp_path / "2stems", frame_length=FRAME_LENGTH)
    archives = [
        pack_model(model, tmp_path / name).read_bytes()
        for model, name in ((model_dir, "first"), (tmp_path / "2stems", "second"))
    ]
    assert archives[0] == archives[1]


def test_weights_of_another_network_are_refused(trained: Path, tmp_path: Path) -> None:
    weights = load_weights(trained / "weights.npz")
    with pytest.raises(ValueError, match="do not fit"):
        export_model(weights | {"last.bias": np.zeros(3, dtype=np.float32)}, tmp_path / "a")
    del weights["up.3.bias"]
    with pytest.raises(ValueError, match=r"lack 'up\.3\.bias'"):
        tensors_of(weights)
