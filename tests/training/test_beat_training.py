from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("TRAINING_PYTHON", ROOT / ".venv-train" / "bin" / "python"))
needs_torch = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="no training environment: run `make train`, or name its Python in TRAINING_PYTHON",
)
SMALL = ("--composed", "11", "--steps", "60", "--every", "20", "--batch", "4")


def train(folder: Path, *more: str) -> list[dict[str, Any]]:
    """Train for a few seconds on songs that it composes; return the lines of the log."""
    command = [str(PYTHON), "-m", "training.beats", "--clips", str(folder)]
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
    session = onnxruntime.InferenceSession(tmp_path / "beats.onnx")
    says = session.run(None, {"spectra": reference["spectra"]})[0]
    assert np.abs(says - reference["wanted"]).max() < 1e-4
    assert reference["wanted"].std() > 0.01

    before = (tmp_path / "beats.onnx").read_bytes()
    again = train(tmp_path)
    assert again[0] == {"resumed_at": 60}
    assert (tmp_path / "beats.onnx").read_bytes() == before
