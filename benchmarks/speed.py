"""How fast songs are taken apart: the built-in network against Spleeter's full-size one.

Run as ``python -m benchmarks.speed`` from the root of the repository. Three peers take turns on
one song, all of them warm, in one process:

- the built-in network, in both precisions;
- a network of Spleeter's full size in the same engine, in both precisions (random weights: speed
  does not depend on them);
- Spleeter's own ``Separator`` on that network.

Said are the medians, and each peer's time as a multiple of the built-in network's.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from composer import compose
from pipeline.runtime import has_fast_bfloat16
from pipeline.separate.builtin import BUILT_IN, BuiltInSeparator
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.types import Song
from tests.tiny_spleeter import make_tiny_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.separate.spleeter import NetworkSeparator

    Separate = Callable[[Song], object]
    Peer = tuple[str, str]

FULL_SIZE: dict[str, Any] = {
    "T": 512,
    "F": 1024,
    "frame_length": 4096,
    "frame_step": 1024,
    "model": {"type": "unet.unet", "params": {}},
}
"""What Spleeter's 2stems configuration says of its sizes."""


def seconds_of(act: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def spleeters_own(model_dir: Path) -> Separate:
    """Return Spleeter's own way to separate; it loads TensorFlow."""
    from spleeter.separator import Separator  # noqa: PLC0415 - after the others were loaded

    separator = Separator(str(model_dir / "config.json"), multiprocess=False)
    return lambda song: separator.separate(song.samples.T)


def measure(peers: dict[Peer, Separate], song: Song, runs: int) -> dict[Peer, float]:
    """Let the peers take turns; return each one's median in seconds."""
    for separate in peers.values():
        separate(song)
    taken: dict[Peer, list[float]] = {peer: [] for peer in peers}
    for _ in range(runs):
        for peer, separate in peers.items():
            taken[peer].append(seconds_of(partial(separate, song)))
    return {peer: statistics.median(times) for peer, times in taken.items()}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="length of the song")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    song = Song(samples=compose(1, duration_s=options.seconds).mixture, title="A song")
    console = Console()
    with tempfile.TemporaryDirectory() as directory:
        model_dir = make_tiny_model(Path(directory) / "2stems", **FULL_SIZE)
        ours = {
            ("built-in", "fast"): BuiltInSeparator(BUILT_IN),
            ("built-in", "float32"): BuiltInSeparator(BUILT_IN, precision="float32"),
            ("full size", "fast"): SpleeterSeparator(model_dir),
            ("full size", "float32"): SpleeterSeparator(model_dir, precision="float32"),
        }
        loads = {peer: seconds_of(separator.load) for peer, separator in ours.items()}
        peers = {peer: _with(separator) for peer, separator in ours.items()}
        peers["Spleeter's Separator", "float32"] = spleeters_own(model_dir)
        medians = measure(peers, song, options.runs)
    first = medians["built-in", "fast"]
    table = Table(
        "", "precision", "load, s", f"{options.seconds:.0f} s song, s", "times the built-in"
    )
    for peer, median in medians.items():
        load = f"{loads[peer]:.1f}" if peer in loads else ""
        table.add_row(*peer, load, f"{median:.2f}", f"{median / first:.1f}")
    console.print(table)
    if not has_fast_bfloat16():
        console.print("This processor has no AMX: fast is the same as float32.")
    console.print(f"The built-in network's archive has {BUILT_IN.stat().st_size / 1e6:.2f} MB.")
    return 0


def _with(separator: NetworkSeparator) -> Separate:
    return lambda song: separator.separate(song, lambda _: None)


if __name__ == "__main__":
    sys.exit(main())
