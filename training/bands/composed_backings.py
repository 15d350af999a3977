"""The bands of the composer, whose songs the demo and the tests are made of, as clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from composer import compose
from pipeline.types import SAMPLE_RATE
from training.clips import CLIP_S, CLIP_SAMPLES, PARTS, render_missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pipeline.types import Signal

FIRST_COMPOSED_SEED = 300_000
"""Seeds of these clips begin here; the composer is given the same ones."""

_SONG_S = 32.0


def composed_backing_clips(directory: Path, seeds: Iterable[int], processes: int = 1) -> int:
    """Render clips of composed bands that are not there yet; return how many were rendered.

    All of a band is in the part "chords", and its chords are not written: voices that follow a
    backing follow those of `training.bands.backing`.

    Parameters
    ----------
    directory
        backings/ in it is written.
    seeds
        Which clips, from `FIRST_COMPOSED_SEED` on.
    processes
        How many at a time.
    """
    return render_missing(directory / "backings", seeds, render_composed, processes=processes)


def render_composed(seed: int) -> tuple[Signal, dict[str, Any]]:
    """Cut a clip, shape (4, 2, n), from somewhere in a band's song."""
    rng = np.random.default_rng(seed)
    metre = 3 if rng.random() < 0.2 else 4
    song = compose(seed, duration_s=_SONG_S, beats_per_bar=metre, voice=False)
    start = int(rng.uniform(0.0, _SONG_S - CLIP_S) * SAMPLE_RATE)
    parts = np.zeros((len(PARTS), 2, CLIP_SAMPLES), dtype=np.float32)
    parts[PARTS.index("chords")] = song.mixture[:, start : start + CLIP_SAMPLES]
    facts = {
        "seed": seed,
        "style": "composer",
        "bpm": song.grid.bpm,
        "beats_per_bar": metre,
        "beats_s": _within(song.grid.beats_s, start / SAMPLE_RATE),
        "downbeats_s": _within(song.grid.downbeats_s, start / SAMPLE_RATE),
        "tonic": song.key.tonic,
        "mode": song.key.mode,
        "chords": [],
    }
    return parts, facts


def _within(times_s: Sequence[float], start_s: float) -> list[float]:
    return [t - start_s for t in times_s if 0.0 <= t - start_s < CLIP_S]
