"""How well the offline separator takes songs apart, against doing nothing at all.

Run as ``python -m benchmarks.separation`` from the root of the repository. Reads pairs of
``vocals.ogg`` and ``accompaniment.ogg`` from ../shared/audio/stems, or from a folder given.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from pipeline.codec import decode
from pipeline.separate.offline import OfflineSeparator
from pipeline.types import SAMPLE_RATE, Song, Stems

if TYPE_CHECKING:
    from pipeline.types import Signal

STEMS = Path(__file__).parents[2] / "shared" / "audio" / "stems"


def sdr_db(truth: Signal, estimate: Signal) -> float:
    """Return the signal-to-distortion ratio in dB over the whole song."""
    error = float(np.sum((truth - estimate) ** 2, dtype=np.float64))
    return 10 * float(np.log10(np.sum(truth**2, dtype=np.float64) / error))


def sounding_seconds(stems: Stems) -> list[slice]:
    """Return the whole seconds in which both stems are above -60 dBFS.

    In the others the SDR of one of them has no meaning; BSSEval leaves them out, too.
    """
    seconds = range(0, stems.vocals.shape[1] - SAMPLE_RATE + 1, SAMPLE_RATE)
    frames = [slice(start, start + SAMPLE_RATE) for start in seconds]
    both = (stems.vocals, stems.accompaniment)
    return [f for f in frames if min(np.sqrt(np.mean(stem[:, f] ** 2)) for stem in both) > 1e-3]


def measure(folder: Path) -> tuple[list[float], list[float], float]:
    """Return SDRs of the mixture as the estimate, of the separator, and its seconds per minute."""
    vocals = decode(folder / "vocals.ogg").samples
    accompaniment = decode(folder / "accompaniment.ogg").samples
    length = min(vocals.shape[1], accompaniment.shape[1])
    truth = Stems(vocals=vocals[:, :length], accompaniment=accompaniment[:, :length])
    song = Song(samples=truth.vocals + truth.accompaniment, title=folder.name)
    nothing_done = Stems(vocals=song.samples, accompaniment=song.samples)
    start = time.perf_counter()
    stems = OfflineSeparator().separate(song, lambda _: None)
    seconds = time.perf_counter() - start
    return _row(truth, nothing_done), _row(truth, stems), 60 * seconds / song.duration_s


def _row(truth: Stems, estimate: Stems) -> list[float]:
    """Return SDR and median SDR by the second of the vocals, then of the accompaniment."""
    row = []
    for stem in ("vocals", "accompaniment"):
        true, guess = getattr(truth, stem), getattr(estimate, stem)
        by_second = [sdr_db(true[:, f], guess[:, f]) for f in sounding_seconds(truth)]
        row += [sdr_db(true, guess), float(np.median(by_second))]
    return row


def main() -> int:
    """Print the table; return 0, or 1 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=STEMS)
    folder = parser.parse_args().folder
    songs = sorted(path.parent for path in folder.glob("*/vocals.ogg"))
    if not songs:
        print(f"There are no stems in {folder}: nothing to measure.")
        return 1
    table = Table("song", "estimate", "vocals", "by second", "accomp.", "by second", "s/min")
    rows = []
    for song in songs:
        before, after, pace = measure(song)
        rows.append((before, after, pace))
        table.add_row(song.name, "mixture", *(f"{x:.1f}" for x in before), "")
        table.add_row("", "offline", *(f"{x:.1f}" for x in after), f"{pace:.1f}")
    table.add_section()
    for number, estimate in enumerate(("mixture", "offline")):
        means = np.mean([row[number] for row in rows], axis=0)
        table.add_row("mean", estimate, *(f"{x:.1f}" for x in means), "")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
