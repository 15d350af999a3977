"""``python -m tests.faults``: a hundred people, bad luck, and whether all were answered once."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from pathlib import Path
from time import monotonic

from tests.faults.trial import Trial, run


def main() -> int:
    """Print what went wrong and what came of it; return 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--spread", type=float, default=60.0, help="seconds to press within")
    parser.add_argument("--log", type=Path, help="where to keep what the bot logged")
    options = parser.parse_args()
    trial = Trial(seed=options.seed, people=options.people, spread_s=options.spread, every_s=0.6)
    print(f"seed {trial.seed}: {trial.people} people")
    began = monotonic()
    with tempfile.TemporaryDirectory() as folder:
        outcome = asyncio.run(run(trial, Path(folder)))
        if options.log is not None:
            shutil.copy(Path(folder) / "log", options.log)
    print("Bad luck:", ", ".join(f"{name} {count}" for name, count in outcome.luck.most_common()))
    for said, count in outcome.answers.most_common():
        print(f"{count:5} x {said}")
    for complaint in outcome.complaints:
        print("WRONG:", complaint)
    print(f"{len(outcome.complaints)} complaints after {monotonic() - began:.0f} s")
    return 1 if outcome.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
