"""How well keys and tunings are found, on composed songs and on real ones.

Run as ``python -m benchmarks.keys`` from the root of the repository. The real keys are those that
../shared/audio/README.md states or estimates; an estimate may itself be wrong. The score is
mir_eval's: 1 for the key, 0.5 a fifth off, 0.3 for the relative, 0.2 for the parallel key.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mir_eval
import numpy as np
from rich.console import Console
from rich.table import Table

from composer import compose
from pipeline.codec import decode
from pipeline.key import find_pitch
from pipeline.meeting import SURE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import Signal

AUDIO = Path(__file__).parents[2] / "shared" / "audio"

STATED = {
    "stems/francium": "Bb major",
    "stems/hydrogen": "D major",
    "stems/potassium": "C major",
    "stems/sodium": "G minor",
    "songs/caesium.m4a": "C major",
}
ESTIMATED = {
    "songs/crazy_glue.wav": "Eb major",
    "songs/lets_go_fishin.ogg": "Bb major",
    "songs/on_the_run.ogg": "G major",
    "songs/slow_motion_dream.mp3": "F major",
    "songs/to_be_an_animal.ogg": "A major",
    "songs/twit_journalist.mp3": "E minor",
    "songs/vibe_ace.ogg": "E major",
}


def real_songs(folder: Path) -> Iterator[tuple[str, Signal, str, str]]:
    """Yield name, samples, key, and who says so."""
    for source, keys in (("stated", STATED), ("estimate", ESTIMATED)):
        for name, key in keys.items():
            path = folder / name
            if path.is_dir():
                stems = [
                    decode(path / f"{part}.ogg").samples for part in ("vocals", "accompaniment")
                ]
                length = min(stem.shape[1] for stem in stems)
                yield name, stems[0][:, :length] + stems[1][:, :length], key, source
            elif path.is_file():
                yield name, decode(path).samples, key, source


def composed_songs(count: int) -> Iterator[tuple[str, Signal, str, str]]:
    """Yield songs of all tempi and styles, some of which drift or swing."""
    for number in range(count):
        bpm = round(60.0 + 130.0 * (number * 0.618 % 1.0), 1)
        song = compose(
            6000 + number,
            bpm=bpm,
            duration_s=36.0,
            drift=(0.0, 0.02, 0.0, 0.03)[number % 4],
            swing=(0.0, 0.33, 0.0)[number % 3],
            beats_per_bar=3 if number % 6 == 5 else 4,
            intro_bars=2,
        )
        yield f"{number} at {bpm:g} BPM", song.mixture, str(song.key), "composed"


def main() -> int:
    """Print the real songs, the composed ones that are wrong, and the means; return 0."""
    parser = argparse.ArgumentParser(description="Measure keys and tunings.")
    parser.add_argument("folder", type=Path, nargs="?", default=AUDIO)
    parser.add_argument("--composed", type=int, default=48, metavar="SONGS")
    options = parser.parse_args()
    table = Table("song", "key", "by", "found", "confidence", "score", "cents", "")
    scores: dict[str, list[float]] = {"stated": [], "estimate": [], "composed": []}
    for group in (real_songs(options.folder), composed_songs(options.composed)):
        for name, samples, true, source in group:
            key, tuning = find_pitch(samples)
            score = mir_eval.key.weighted_score(true, str(key)) if key else 0.0
            scores[source].append(score)
            if source == "composed" and score == 1.0:
                continue
            sure = key is not None and key.confidence >= SURE
            table.add_row(
                *(name, true, source, str(key) if key else "-"),
                f"{key.confidence:.2f}" if key else "-",
                f"{score:.1f}",
                f"{100 * tuning:+.0f}",
                "" if score == 1.0 else "wrong" if sure else "unclear: no shift",
            )
    table.add_section()
    for source, column in scores.items():
        if column:
            exact = np.mean([score == 1.0 for score in column])
            table.add_row(
                f"{source}: {len(column)}", f"{exact:.0%}", *[""] * 3, f"{np.mean(column):.2f}"
            )
    Console(width=110).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
