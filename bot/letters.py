"""How the bot reads what a worker sends: a worker that was taken over must not reach further.

`pickle` calls whatever it is told to call. Here that is nothing but the plain values that answers
are made of: data classes, enumerations, paths, and the project's own errors.
"""

from __future__ import annotations

import io
import pickle
import sys
from dataclasses import is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pipeline.errors import Cancelled, PipelineError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

MOST_BYTES = 64 * 1024 * 1024
"""The longest answer that is read; results are some kilobytes."""

_HOME = ("bot", "pipeline")  # packages that may be imported for an answer's sake
_ALSO = {
    ("builtins", "bytearray"),
    ("builtins", "complex"),
    ("builtins", "frozenset"),
    ("builtins", "set"),
    ("pathlib", "PosixPath"),
    ("pathlib", "WindowsPath"),
    ("pipeline.errors", "_rebuild"),
}


def receive(pipe: Connection) -> Any:  # noqa: ANN401 - whatever the worker answers
    """Wait for an answer and read it.

    Raises
    ------
    EOFError, OSError
        There is none any more, or it is too long.
    pickle.UnpicklingError
        It holds what no answer is made of.
    """
    return _Reader(io.BytesIO(pipe.recv_bytes(MOST_BYTES))).load()


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401 - as it is there
        if module in sys.modules or module.partition(".")[0] in _HOME:
            found = super().find_class(module, name)
            if (module, name) in _ALSO or _is_plain(found):
                return found
        raise pickle.UnpicklingError(f"no answer is made of {module}.{name}")


def _is_plain(found: object) -> bool:
    return isinstance(found, type) and (
        is_dataclass(found) or issubclass(found, Enum | PipelineError | Cancelled)
    )
