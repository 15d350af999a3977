from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

RUN = """
from pipeline.runtime import load_onnxruntime
from pipeline.neural_beats import MODEL
load_onnxruntime().InferenceSession(MODEL, providers=["CPUExecutionProvider"])
"""


def test_the_runtime_leaves_no_identifier_and_asks_nobody(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", RUN], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []
