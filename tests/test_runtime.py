from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Python's own account of what is imported, connected to and started; see PEP 578.
RUN = """
import sys

TOLD = []
WATCHED = {"socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.fork"}
sys.addaudithook(lambda event, _: TOLD.append(event) if event in WATCHED else None)

import numpy
from pipeline.neural_beats import MODEL, ROWS
from pipeline.runtime import compile_network

request = compile_network(MODEL).create_infer_request()
request.infer({"spectra": numpy.zeros((1, ROWS, 99), numpy.float32)})
loaded = [name for name in sys.modules if "telemetry" in name and sys.modules[name]]
print(*TOLD, *loaded)
"""


def run_at_home(home: Path) -> str:
    """Return what a process says that has a home directory and nobody who forbids anything."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", RUN], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_runtime_leaves_no_identifier_and_asks_nobody(tmp_path: Path) -> None:
    assert run_at_home(tmp_path) == ""
    assert list(tmp_path.iterdir()) == []
