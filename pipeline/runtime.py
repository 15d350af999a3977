"""The door to ONNX Runtime: nothing else may import it, because it reports to its maker.

From 1.29 on its builds send telemetry unless the environment says otherwise before the library is
loaded, and leave an identifier in the home directory
(https://github.com/microsoft/onnxruntime/pull/29843).
"""

from __future__ import annotations

import os
from typing import Any


def load_onnxruntime() -> Any:  # noqa: ANN401 - a module that publishes no types
    """Import ONNX Runtime with its telemetry off; slow the first time in a process."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime  # noqa: PLC0415, TID251 - after the switch; this is the door

    return onnxruntime
