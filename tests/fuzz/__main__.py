"""The command line: ``python -m tests.fuzz --files 3000 --seed 7``, or one file by its seed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.fuzz.mutate import mutant
from tests.fuzz.run import Findings, fuzz
from tests.fuzz.seeds import seeds


def main() -> int:
    """Read mutants; return 0 if all are music or refused in a sentence."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=3000, help="how many (3000)")
    parser.add_argument("--seed", default=str(int(time.time())), help="any text (the time)")
    parser.add_argument("--processes", type=int, default=2, help="how many read at a time (2)")
    parser.add_argument("--write", metavar="SEED/N", help="write that one mutant, and read none")
    asked = parser.parse_args()
    if asked.write:
        path = Path(asked.write.replace("/", "-"))
        path.write_bytes(mutant(asked.write, seeds()))
        print(path)
        return 0
    print(f"seed {asked.seed}: {asked.files} files from {len(seeds())}", flush=True)
    findings = fuzz(asked.seed, asked.files, asked.processes)
    report(findings)
    return 1 if findings.faults or findings.remarks else 0


def report(findings: Findings) -> None:
    """Print what was found."""
    for answer, count in findings.answers.most_common():
        print(f"{count:7}  {answer}")
    for seed, fault in sorted(findings.faults.items()):
        print(f"{seed}: {fault}")
    cpu_s, seed = findings.slowest
    print(f"{findings.files} files, {len(findings.faults)} faults")
    print(
        f"slowest {cpu_s:.2f} s of processor time ({seed}), peak {findings.memory_mb:.0f} MB more"
    )
    if findings.remarks:
        print(f"the readers wrote:\n{findings.remarks[:2000]}")


if __name__ == "__main__":
    sys.exit(main())
