"""The songs of a kit: which there are, which of them can be read, and their stems, made once."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from composer import compose
from pipeline.codec import decode, encode
from pipeline.errors import UserError
from pipeline.names import clean_name, clean_text
from pipeline.tapes import in_memory
from pipeline.types import Stems

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pipeline.separate import Separator
    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Song

SHARED = Path(__file__).resolve().parents[3] / "shared" / "audio" / "songs"
"""Where real songs lie on machines that have them."""

SHARED_INSTRUMENTALS = frozenset({"vibe_ace.ogg"})

_SUFFIXES = frozenset(
    f".{word}"
    for word in (
        *("mp3", "m4a", "aac", "mp4", "ogg", "oga", "opus", "flac", "wav", "aif", "aiff", "webm"),
        *("wma", "mka", "mkv", "mov", "wv", "ape", "caf"),
    )
)
_COMPOSED_SEEDS = range(41, 46)
_COMPOSED_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A song that can be read.

    Attributes
    ----------
    path
        Its file.
    title
        What a person would call it.
    sings
        Whether it may give the voice.
    """

    path: Path
    title: str
    sings: bool = True


def find_songs(
    folder: Path, instrumentals: Collection[str], tell: Callable[[str], None]
) -> list[Source]:
    """List the readable songs of a folder in the order of their names.

    Parameters
    ----------
    folder
        Where to look; not in the folders inside it.
    instrumentals
        Names of files in which nobody sings.
    tell
        Told which files are left out, and why.

    Raises
    ------
    UserError
        It is no folder, holds fewer than two readable songs, or an instrumental that is not there.
    """
    shown = clean_text(str(folder))
    try:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)
    except OSError as error:
        raise UserError(
            f"The songs' folder {shown} cannot be read ({error.strerror}).",
            hint="Name a folder of songs with --songs.",
        ) from error
    files = [path for path in files if path.is_file() and not path.name.startswith(".")]
    for name in sorted(set(instrumentals) - {path.name for path in files}):
        raise UserError(
            f"There is no {clean_name(name)} in {shown}.",
            hint="Give --instrumental the name of a file in the songs' folder.",
        )
    songs = []
    for path in files:
        try:
            title = decode(path).title
        except UserError as error:
            tell(f"Left out: {error}")
        else:
            songs.append(Source(path=path, title=title, sings=path.name not in instrumentals))
    if len(songs) < 2:
        raise UserError(
            f"{shown} has {('no readable song', 'one readable song')[len(songs)]}, "
            "and a mash-up takes two.",
            hint="Name a folder of songs with --songs.",
        )
    return songs


def compose_songs(folder: Path) -> list[Source]:
    """Compose five songs of a minute into an existing folder, for where there are no others."""
    songs = []
    for seed in _COMPOSED_SEEDS:
        song = compose(seed, duration_s=_COMPOSED_S)
        path = encode(song.mixture, folder / f"composed_{seed}.wav", title=song.title)
        songs.append(Source(path=path, title=song.title))
    return songs


class SeparateOnce:
    """A separator that keeps the stems it made on disk, so that both methods get the same.

    Parameters
    ----------
    separator
        Does the work.
    folder
        An existing, empty folder; a minute of song takes 40 MB.
    """

    def __init__(self, separator: Separator, folder: Path) -> None:
        self.name, self.note = separator.name, separator.note
        self.identity = separator.identity
        self._separator = separator
        self._folder = folder

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory) -> Stems:
        """Split a song into stems that sum to it, or read how it was split before."""
        path = self._folder / f"{hashlib.sha256(song.samples.tobytes()).hexdigest()}.npy"
        if not path.exists():
            stems = self._separator.separate(song, on_fraction, blank=blank)
            np.save(path, np.stack([stems.vocals, stems.accompaniment]))
        vocals, accompaniment = np.load(path)
        on_fraction(1.0)
        return Stems(vocals=vocals, accompaniment=accompaniment)
