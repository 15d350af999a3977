"""Signals to files: mp3, ogg, opus, m4a, flac or wav out, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import imageio_ffmpeg
import numpy as np
import soundfile as sf

from pipeline.errors import OutputError, StageError
from pipeline.names import clean_name, clean_text, clock
from pipeline.types import SAMPLE_RATE, Stage

with warnings.catch_warnings():  # pydub warns where PATH has no ffmpeg; find_ffmpeg() sees to that
    warnings.simplefilter("ignore")
    import pydub
    import pydub.exceptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lossy:
    """An encoder of ffmpeg: its container, its codec, its bit rates in kbit/s, best first."""

    muxer: str
    codec: str
    ladder_kbps: tuple[int, ...]


_LOSSY = {
    ".mp3": _Lossy(
        muxer="mp3", codec="libmp3lame", ladder_kbps=(256, 224, 192, 160, 128, 112, 96, 80, 64)
    ),
    ".ogg": _Lossy(
        muxer="ogg", codec="libvorbis", ladder_kbps=(256, 224, 192, 160, 128, 112, 96, 80, 64)
    ),
    ".opus": _Lossy(muxer="opus", codec="libopus", ladder_kbps=(192, 160, 128, 96, 80, 64, 48)),
    ".m4a": _Lossy(muxer="ipod", codec="aac", ladder_kbps=(256, 224, 192, 160, 128, 96, 80, 64)),
}
_LOSSLESS = {".flac": "FLAC", ".wav": "WAV"}

FORMATS = (*(key[1:] for key in _LOSSY), *(key[1:] for key in _LOSSLESS))
"""Extensions that `encode` writes, without the dot."""


def encode(
    samples: Signal,
    path: Path,
    *,
    title: str,
    artist: str = "",
    max_bytes: int | None = None,
) -> Path:
    """Write a signal as an audio file in the format that the extension names.

    The file appears whole or not at all. flac and wav have 24 bits; the others take the best bit
    rate that stays inside `max_bytes`.

    Parameters
    ----------
    samples
        float32, shape (2, n), 44 100 Hz; what lies outside [-1, 1] is clipped.
    path
        Where to write; its extension is one of `FORMATS`. An existing file is replaced.
    title, artist
        Tags of the file.
    max_bytes
        Most bytes that the file may have.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        If the extension is unknown, the folder cannot be written to, or the budget is too small.
    StageError
        If ffmpeg fails.
    """
    shown, extension = clean_name(path.name), path.suffix.lower()
    if extension not in _LOSSY and extension not in _LOSSLESS:
        raise OutputError(
            f"{shown} has no extension that can be written.",
            hint=f"Let it end in one of .{', .'.join(FORMATS)}.",
        )
    tags = {"title": clean_text(title), "artist": clean_text(artist)}
    tags = {key: value for key, value in tags.items() if value}
    try:
        # Inside the target's folder, so that the last step is a rename; whatever an encoder
        # leaves behind when it fails goes with the folder.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".encoding-") as scratch:
            target = Path(scratch, "whole" + extension)
            for kbps in _rungs(extension, samples.shape[1] / SAMPLE_RATE, max_bytes):
                if kbps is None:
                    _write_lossless(samples, target, tags)
                else:
                    _write_lossy(samples, target, tags, kbps)
                if max_bytes is None or target.stat().st_size <= max_bytes:
                    return target.replace(path)
    except OSError as error:
        raise OutputError(
            f"{shown} cannot be written: {error.strerror or error}.", hint="Choose another place."
        ) from error
    raise _too_big(shown, extension, samples.shape[1] / SAMPLE_RATE, max_bytes or 0)


def find_ffmpeg() -> str:
    """Return the path of an ffmpeg: the system's, else the one that imageio-ffmpeg carries."""
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def _rungs(extension: str, length_s: float, max_bytes: int | None) -> tuple[int | None, ...]:
    """Return the bit rates to try in turn, in kbit/s; None stands for lossless."""
    if extension in _LOSSLESS:
        return (None,)
    ladder = _LOSSY[extension].ladder_kbps
    if max_bytes is None:
        return ladder[:1]
    # Containers add up to 3 % and a header; what is promised here is measured afterwards.
    fitting = tuple(k for k in ladder if k * 125 * length_s * 1.03 + 8192 <= max_bytes)
    return fitting or ladder[-1:]


def _too_big(shown: str, extension: str, length_s: float, max_bytes: int) -> OutputError:
    hint = "Cut the songs down and try again."
    if extension in _LOSSLESS:
        hint = f"Choose a smaller format: {', '.join(key[1:] for key in _LOSSY)}."
    return OutputError(
        f"{shown} is {clock(length_s)} long and does not fit into {max_bytes / 2**20:.3g} MB.",
        hint=hint,
    )


def _write_lossless(samples: Signal, target: Path, tags: dict[str, str]) -> None:
    name = os.fsencode(target)  # soundfile would insist on a folder's name being UTF-8
    with sf.SoundFile(
        name, "w", SAMPLE_RATE, 2, format=_LOSSLESS[target.suffix], subtype="PCM_24"
    ) as file:
        for key, value in tags.items():
            setattr(file, key, value)
        file.write(samples.T)


def _write_lossy(samples: Signal, target: Path, tags: dict[str, str], kbps: int) -> None:
    encoder = _LOSSY[target.suffix]
    segment = pydub.AudioSegment(
        _pcm32(samples), sample_width=4, frame_rate=SAMPLE_RATE, channels=2
    )
    segment.converter = find_ffmpeg()
    try:
        with _litter_in(target.parent), target.open("wb+") as file:
            segment.export(
                file, format=encoder.muxer, codec=encoder.codec, bitrate=f"{kbps}k", tags=tags
            )
    except pydub.exceptions.CouldntEncodeError as error:
        raise StageError(Stage.ENCODE, str(error)[-2000:]) from error


def _pcm32(samples: Signal) -> bytes:
    # The largest float32 below 1: 1.0 itself would overflow the integers.
    clipped = np.clip(samples.T, -1.0, np.float32(1.0 - 2.0**-24))
    clipped *= np.float32(2.0**31)
    return clipped.astype("<i4").tobytes()


@contextmanager
def _litter_in(folder: Path) -> Iterator[None]:
    """Let temporary files that are made meanwhile lie in a folder: pydub forgets its own."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before
