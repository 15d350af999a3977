"""Real accompaniments for training: those of two songs, cut into clips.

They are "Hydrogen" and "Francium" by Software-Entwicklungskit (CC0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from pipeline.types import SAMPLE_RATE
from training.clips import CLIP_SAMPLES, FIRST_REAL_SEED, PARTS, render_missing

if TYPE_CHECKING:
    from pathlib import Path

    from training.clips import Audio, Facts

_FAINTEST = 0.003  # -50 dB: what is fainter is a song's beginning or end


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Twelve seconds of a recording: its file, and the first sample."""

    path: Path
    start: int


def real_backing_clips(folder: Path, directory: Path, processes: int = 1) -> int:
    """Cut real accompaniments into clips; return how many were written.

    All of a recording is in the part "chords", and no beats are known.

    Parameters
    ----------
    folder
        Holds one folder a song, with an accompaniment.ogg of 44 100 Hz in stereo.
    directory
        backings/ in it is written, seeds from `training.clips.FIRST_REAL_SEED` on.
    processes
        How many at a time.

    Raises
    ------
    FileNotFoundError
        There is no accompaniment.
    ValueError
        A recording has another sample rate or another number of channels.
    """
    render = _Render(tuple(list_cuts(folder)))
    seeds = range(FIRST_REAL_SEED, FIRST_REAL_SEED + len(render.cuts))
    return render_missing(directory / "backings", seeds, render, processes=processes)


def list_cuts(folder: Path) -> list[Cut]:
    """Return every whole clip that sounds, song by song; see `real_backing_clips`."""
    paths = sorted(folder.glob("*/accompaniment.ogg"))
    if not paths:
        raise FileNotFoundError(f"There is no accompaniment in {folder}.")
    return [
        Cut(path=path, start=start)
        for path in paths
        for start in range(0, soundfile.info(path).frames - CLIP_SAMPLES + 1, CLIP_SAMPLES)
        if float(np.sqrt(np.mean(np.square(_read(path, start))))) > _FAINTEST
    ]


@dataclass(frozen=True, slots=True)
class _Render:
    """What makes a clip from its seed; a value, so that other processes can be given it."""

    cuts: tuple[Cut, ...]

    def __call__(self, seed: int) -> tuple[Audio, Facts]:
        cut = self.cuts[seed - FIRST_REAL_SEED]
        parts = np.zeros((len(PARTS), 2, CLIP_SAMPLES), dtype=np.float32)
        parts[PARTS.index("chords")] = _read(cut.path, cut.start)
        facts = {
            "seed": seed,
            "style": "real",
            "bpm": 0.0,
            "beats_per_bar": 4,
            "beats_s": [],
            "downbeats_s": [],
            "tonic": None,
            "mode": None,
            "chords": [],
            "source": f"{cut.path.parent.name}/{cut.path.name} at {cut.start / SAMPLE_RATE:.0f} s",
        }
        return parts, facts


def _read(path: Path, start: int) -> Audio:
    samples, rate = soundfile.read(
        path, start=start, frames=CLIP_SAMPLES, dtype="float32", always_2d=True
    )
    if rate != SAMPLE_RATE or samples.shape[1] != 2:
        raise ValueError(f"{path} has {rate} Hz and {samples.shape[1]} channels, not 44100 and 2.")
    return np.ascontiguousarray(samples.T)
