"""Spleeter's full-size 2stems network: the real weights where they are, else random ones.

Run as ``python -m benchmarks.bench.network FOLDER`` it makes the random ones; that loads
TensorFlow, so it is a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from benchmarks.bench.floor import flop_per_patch
from pipeline.separate.archive import is_believed
from pipeline.separate.checkpoint import read_index
from pipeline.separate.weights import ModelSource, find_weights

ROOT = Path(__file__).parents[2]

SCRATCH = ROOT / "build" / "bench"
"""Where the songs and the network are kept from run to run, and where merges do their work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A model on disk.

    Attributes
    ----------
    model_dir
        Its files.
    config
        A configuration that Spleeter's own tools read it with.
    description
        Which weights these are.
    """

    model_dir: Path
    config: Path
    description: str

    def settings(self) -> dict[str, Any]:
        """Read the configuration."""
        settings: dict[str, Any] = json.loads(self.config.read_text(encoding="utf-8"))
        return settings

    def flop_per_patch(self) -> int:
        """Count the operations of both U-Nets for one patch."""
        index = read_index((self.model_dir / "model.index").read_bytes())
        shapes = {name: entry.shape for name, entry in index.items()}
        return flop_per_patch(shapes, self.settings())


def find_network(folder: Path) -> Network:
    """Find the weights in SPLEETER_MODEL_DIR, or random ones in a folder, or make these."""
    kept = os.environ.get("SPLEETER_MODEL_DIR")
    found = find_weights(ModelSource(directory=Path(kept))) if kept else None
    model_dir = found or folder / "2stems"
    if not found and not is_believed(model_dir):
        shutil.rmtree(model_dir, ignore_errors=True)  # broken off in the middle
        make = [sys.executable, "-m", "benchmarks.bench.network", str(model_dir)]
        subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    packaged = resources.files("spleeter") / "resources" / "2stems.json"
    config = folder / "2stems.json"
    settings = json.loads(packaged.read_text(encoding="utf-8"))
    settings["model_dir"] = str(model_dir.resolve())
    config.write_text(json.dumps(settings), encoding="utf-8")
    weights = "Spleeter's own weights" if found else "random weights"
    return Network(
        model_dir=model_dir.resolve(), config=config, description=f"full-size 2stems, {weights}"
    )


def _make_random(model_dir: Path) -> None:
    from benchmarks.speed import FULL_SIZE  # noqa: PLC0415 - in this process alone
    from tests.tiny_spleeter import make_tiny_model  # noqa: PLC0415 - as above

    make_tiny_model(model_dir, **FULL_SIZE)


if __name__ == "__main__":
    _make_random(Path(sys.argv[1]))
