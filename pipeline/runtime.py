"""The door to OpenVINO, which runs the networks: nothing else may import it.

Whenever its Python package is imported it loads a converter of models, which nobody here needs and
which reports to its maker through `openvino_telemetry`, and that leaves an identifier in the home
directory. The package does without the converter where it is not to be found.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

_REPORTERS = ("openvino.tools.ovc", "openvino_telemetry")
_CPU_FACTS = Path("/proc/cpuinfo")
_turn = Lock()


def compile_network(path: Path, *, threads: int = 1, streams: int = 1) -> Any:  # noqa: ANN401 - the door hides the runtime's own types
    """Make a network ready to run; slow the first time in a process.

    Parameters
    ----------
    path
        An ONNX file; neither it nor a file of weights beside it is needed afterwards.
    threads
        How many the runtime may use in all.
    streams
        How many requests are worked on at the same time, each by its share of the threads.

    Returns
    -------
    openvino.CompiledModel
        It computes in the types that the file says. Any number of threads may make requests with
        its ``create_infer_request``, each for itself.
    """
    with _turn:
        core = _core()
    settings = {
        # Left alone, it would round to 16 bits where the processor is fast at that.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": streams,
        # Several workers may share the cores: none of them may sit on one.
        "ENABLE_CPU_PINNING": False,
    }
    return core.compile_model(core.read_model(path), "CPU", settings)


@lru_cache(maxsize=1)
def has_fast_bfloat16() -> bool:
    """Say whether the processor multiplies matrices of bfloat16 faster than others: AMX."""
    try:
        return " amx_bf16" in _CPU_FACTS.read_text(encoding="utf-8")
    except FileNotFoundError:  # a system that is no Linux
        return False


@lru_cache(maxsize=1)
def _core() -> Any:  # noqa: ANN401 - the door hides the runtime's own types
    for name in _REPORTERS:
        sys.modules[name] = None  # type: ignore[assignment] # Python's way to say: not to be found
    import openvino  # noqa: PLC0415, TID251 - behind the lock; this is the door

    # The first look at a tensor settles how the package sees numpy. Two threads that both look
    # first would wait for each other for ever, and keep every other thread from running.
    openvino.Tensor(openvino.Type.f32, [1]).data.fill(0.0)
    return openvino.Core()
