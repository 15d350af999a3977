from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.neural_beats import FPS, ROWS
from pipeline.runtime import compile_network
from training.beats.data import Example, clip_example, draw, held_out, load, prepare, targets
from training.clips import CLIP_SAMPLES, write_clip

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("TRAINING_PYTHON", ROOT / ".venv-train" / "bin" / "python"))
needs_torch = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="no training environment: run `make train`, or name its Python in TRAINING_PYTHON",
)
SMALL = ("--composed", "11", "--steps", "60", "--every", "20", "--batch", "4")


def train(folder: Path, *more: str) -> list[dict[str, Any]]:
    """Train for a few seconds on songs that it composes; return the lines of the log."""
    command = [str(PYTHON), "-m", "training", "beats", "--clips", str(folder)]
    command += ["--model", str(folder / "beats.onnx"), *SMALL, *more]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_torch
def test_a_short_training_learns_exports_and_goes_on(tmp_path: Path) -> None:
    log = train(tmp_path)
    losses = [line["loss"] for line in log if "loss" in line]
    assert len(losses) == 3
    assert losses[2] < 0.8 * losses[0]
    assert log[-1]["difference"] < 1e-4

    reference = np.load(tmp_path / "beats-reference.npz")
    request = compile_network(tmp_path / "beats.onnx").create_infer_request()
    says = request.infer({"spectra": reference["spectra"]})[0]
    assert np.abs(says - reference["wanted"]).max() < 1e-4
    assert reference["wanted"].std() > 0.01

    before = (tmp_path / "beats.onnx").read_bytes()
    again = train(tmp_path)
    assert again[0] == {"resumed_at": 60}
    assert (tmp_path / "beats.onnx").read_bytes() == before


def example(frames: int = 800) -> Example:
    """Return a song of noise at 120 BPM, three beats to the bar."""
    noise = np.random.default_rng(0).uniform(0.5, 3.0, (ROWS, frames)).astype(np.float16)
    beats = np.arange(0.4, frames / FPS, 0.5)
    return Example(spectra=noise, beats_s=beats, downbeats_s=beats[::3])


def test_targets_are_one_on_the_beat_and_half_beside_it() -> None:
    song = example()
    beat, downbeat = targets(song, np.arange(800.0))
    assert beat[[19, 20, 21, 22]].tolist() == pytest.approx([0.5, 1.0, 0.5, 0.0])
    assert np.flatnonzero(beat == 1.0).tolist() == list(range(20, 800, 25))
    assert np.flatnonzero(downbeat == 1.0).tolist() == list(range(20, 800, 75))


def test_what_is_drawn_keeps_its_beats_at_any_tempo() -> None:
    tempi = set()
    for seed in range(30):
        x, y = draw(example(), 600, np.random.default_rng(seed))
        assert x.shape == (ROWS, 600)
        assert y.shape == (2, 600)
        assert np.isfinite(x).all()
        assert not y[:, ~x.any(axis=0)].any()  # nobody has to hear beats in silence
        apart = np.diff(np.flatnonzero((y[0, 1:-1] > 0.4) & (y[0, 1:-1] >= y[0, 2:])))
        tempi.add(round(60.0 * FPS / float(np.median(apart))))
    assert min(tempi) < 110
    assert max(tempi) > 130


def test_the_same_seed_draws_the_same() -> None:
    first, second = (draw(example(), 600, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def put_clips(folder: Path) -> None:
    """Store a backing whose beats are known, a recording, and a voice for the first."""
    rng = np.random.default_rng(1)
    parts = (0.1 * rng.standard_normal((4, 2, CLIP_SAMPLES))).astype(np.float32)
    beats = np.arange(0.5, 12.0, 0.5).tolist()
    known: dict[str, Any] = {"seed": 4, "beats_s": beats, "downbeats_s": beats[::4]}
    write_clip(folder / "backings", 4, parts, known)
    write_clip(folder / "backings", 5, parts, {"seed": 5, "beats_s": [], "downbeats_s": []})
    write_clip(folder / "backings", 2_000_000, parts, {**known, "seed": 2_000_000})
    write_clip(folder / "voices", 9, parts[0], {"seed": 9, "kind": "sung", "backing": 4})


def test_clips_are_prepared_once_and_only_where_beats_are_known(tmp_path: Path) -> None:
    put_clips(tmp_path)
    cache = tmp_path / "cache"
    names = [path.name for _, path in prepare(tmp_path, cache, composed=0, variants=2)]
    assert names == ["clip-4-0.npz", "clip-4-1.npz"]
    assert not list(prepare(tmp_path, cache, composed=0, variants=2))
    stored, again = load(cache / "clip-4-1.npz"), clip_example(tmp_path, 4, {4: [9]}, 1)
    assert np.array_equal(stored.spectra, again.spectra)
    assert np.ptp(np.diff(stored.beats_s)) < 1e-9
    assert stored.spectra.astype(np.float32).std() > 0.1


@pytest.mark.parametrize(
    ("name", "validation"),
    [
        ("composed-1000010", True),
        ("composed-1000011", False),
        ("clip-10-2", False),
        ("clip-1000003-0", True),
    ],
)
def test_songs_for_validation_are_kept_apart(name: str, *, validation: bool) -> None:
    assert held_out(Path(f"{name}.npz")) == validation
