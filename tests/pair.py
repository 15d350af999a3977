"""Two composed songs as files, and separators that need no time, for the tests of whole merges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile as sf

from composer import Composition, compose
from pipeline.tapes import in_memory
from pipeline.types import SAMPLE_RATE, Stems

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Signal, Song


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pair:
    """Two songs, their files, and a separator that knows their stems."""

    vocals: Path
    backing: Path
    vocal_song: Composition
    backing_song: Composition
    separator: TrueStems


class TrueStems:
    """Gives back the stems that composed songs were made of; it knows a song by its length."""

    name = identity = "truth"
    note = ""

    def __init__(self, *songs: Composition) -> None:
        self.songs = {song.mixture.shape[1]: song for song in songs}
        assert len(self.songs) == len(songs)
        self.asked = 0

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory) -> Stems:
        self.asked += 1
        on_fraction(0.5)
        vocals = self.songs[song.samples.shape[1]].stems.vocals
        on_fraction(1.0)
        return _stems(song, vocals, blank)


class Shares:
    """Calls a share of any song its voice, at once."""

    name = identity = "shares"

    def __init__(self, voice: float = 0.5, note: str = "") -> None:
        self.voice = np.float32(voice)
        self.note = note

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory) -> Stems:
        on_fraction(1.0)
        return _stems(song, song.samples * self.voice, blank)


def _stems(song: Song, vocals: Signal, blank: Blank) -> Stems:
    stems = Stems(vocals=blank(vocals.shape[1]), accompaniment=blank(vocals.shape[1]))
    stems.vocals[:] = vocals
    stems.accompaniment[:] = song.samples - vocals
    return stems


def write_pair(
    folder: Path,
    *,
    seeds: tuple[int, int] = (1, 2),
    durations_s: tuple[float, float] = (10.0, 11.0),
    bpms: tuple[float, float] = (120.0, 112.0),
    intro_bars: int = 1,
) -> Pair:
    """Compose two songs and write them as float wav."""
    first, second = (
        compose(seed, duration_s=duration_s, bpm=bpm, intro_bars=intro_bars)
        for seed, duration_s, bpm in zip(seeds, durations_s, bpms, strict=True)
    )
    folder.mkdir(exist_ok=True)
    return Pair(
        vocals=write_song(folder / "voice of.wav", first),
        backing=write_song(folder / "backing of.wav", second),
        vocal_song=first,
        backing_song=second,
        separator=TrueStems(first, second),
    )


def write_song(path: Path, song: Composition) -> Path:
    """Write a song as float wav, so that it is read as it was composed."""
    sf.write(path, song.mixture.T, SAMPLE_RATE, format="WAV", subtype="FLOAT")
    return path


def all_files(folder: Path) -> list[str]:
    """Name everything in a folder, at any depth, hidden or not."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
