"""What a training says while it runs: a line for people, and a line of JSON in a file."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes to standard output and to the end of a file, each line at once."""

    path: Path

    def tell(self, kind: str, **facts: float | str | bool | None) -> None:
        """Tell facts under one heading; numbers are rounded for people only."""
        words = (f"{name} {_short(fact)}" for name, fact in facts.items())
        sys.stdout.write(f"{kind}: {', '.join(words)}\n")
        sys.stdout.flush()
        numbers = {
            name: None if isinstance(fact, float) and not math.isfinite(fact) else fact
            for name, fact in facts.items()
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **numbers}) + "\n")


def _short(fact: float | str | bool | None) -> str:  # noqa: FBT001 - any fact at all
    return f"{fact:.4g}" if isinstance(fact, float) else str(fact)
