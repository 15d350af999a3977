"""Reads many mutants, and says what became of them."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from tests.fuzz.mutate import mutant
from tests.fuzz.reading import Reading, reader
from tests.fuzz.seeds import seeds

DEADLINE_S = 30.0
"""Seconds for one file of a second; it takes some hundredths, but the machine may be busy."""


@dataclass(slots=True)
class Findings:
    """What became of all mutants.

    Attributes
    ----------
    answers
        How often each was given, without the numbers in it.
    faults
        Seeds of the files that crashed, hung or raised anything but a refusal, and what they did.
    slowest
        Processor time of the slowest file in seconds, and its seed.
    memory_mb
        The most memory that a process took beyond what it began with.
    remarks
        What the processes wrote to their standard output and error.
    """

    answers: Counter[str] = field(default_factory=Counter)
    faults: dict[str, str] = field(default_factory=dict)
    slowest: tuple[float, str] = (0.0, "")
    memory_mb: float = 0.0
    remarks: str = ""
    files: int = 0

    def add(self, seed: str, reading: Reading) -> None:
        """Note what became of a file."""
        self.files += 1
        if not reading.is_fine:
            self.faults[seed] = reading.said[0]
        self.answers.update(re.sub(r"-?\d[\d:.]*", "N", answer) for answer in reading.said)
        self.slowest = max(self.slowest, (reading.cpu_s, seed))
        self.memory_mb = max(self.memory_mb, reading.memory_mb)


def fuzz(seed: str, files: int, processes: int) -> Findings:
    """Read mutants of the corpus.

    Parameters
    ----------
    seed
        Of all; the mutants have "seed/0", "seed/1" and so on.
    files
        How many.
    processes
        How many read at a time.
    """
    corpus = seeds()
    findings, lock = Findings(), Lock()
    numbers = iter(range(files))
    with tempfile.TemporaryDirectory() as name:
        remarks = Path(name, "remarks")

        def work(worker: int) -> None:
            path = Path(name, f"{worker}")
            with reader(remarks, DEADLINE_S) as process:
                while True:
                    with lock:
                        number = next(numbers, None)
                    if number is None:
                        return
                    path.write_bytes(mutant(f"{seed}/{number}", corpus))
                    reading = process.read(path)
                    with lock:
                        findings.add(f"{seed}/{number}", reading)

        with ThreadPoolExecutor(processes) as pool:
            list(pool.map(work, range(processes)))
        findings.remarks = remarks.read_text("utf-8", "replace") if remarks.exists() else ""
    return findings
