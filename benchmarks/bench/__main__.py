"""``python -m benchmarks.bench``; spawned workers import this module again, so it stays light."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from benchmarks.bench.command import main

    sys.exit(main())
