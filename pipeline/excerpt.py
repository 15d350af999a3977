"""A short piece of a finished sound, small enough for where the whole is refused.

It runs as a program of its own, too, for those who load no audio library themselves:
``python -m pipeline.excerpt SOURCE TARGET --start S --length S --max-bytes N --title T``.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.codec import decode_blocks, find_ffmpeg
from pipeline.errors import OutputError, StageError, UserError
from pipeline.names import clean_name, clean_text, clock
from pipeline.types import SAMPLE_RATE, Stage

with warnings.catch_warnings():
    # It looks for an ffmpeg on the path while it is loaded; it is told of one below.
    warnings.simplefilter("ignore")
    from pydub import AudioSegment, audio_segment
    from pydub.exceptions import CouldntEncodeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.types import Signal

_LADDER_KBPS = (192, 160, 128, 112, 96, 80, 64)
_FADE_IN_MS = 50
_FADE_OUT_MS = 1000
_FULL_SCALE = 32767


def cut_excerpt(
    source: Path, target: Path, *, start_s: float, length_s: float, max_bytes: int, title: str
) -> Path:
    """Write a piece of an audio file as an mp3 file, with short fades.

    The file appears whole or not at all, at the best bit rate that stays inside `max_bytes`.

    Parameters
    ----------
    source
        Any audio file.
    target
        Where to write, whatever its extension. An existing file is replaced.
    start_s, length_s
        Which piece, in seconds; it is shorter where the source ends earlier.
    max_bytes
        Most bytes that the file may have.
    title
        Tag of the file.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    UnreadableAudioError
        If the source is no file, is no audio, has no sound track, or is too damaged.
    OutputError
        If there is no such piece, the folder cannot be written to, or the budget is too small.
    StageError
        If ffmpeg fails.
    """
    segment = _faded(_segment(source, start_s, length_s))
    length_s = len(segment) / 1000
    try:
        # pydub makes two files for each that it exports, and forgets them when it fails.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".cutting-") as scratch:
            whole = Path(scratch, "whole.mp3")
            for kbps in _rungs(length_s, max_bytes):
                _export(segment, whole, kbps, clean_text(title))
                if whole.stat().st_size <= max_bytes:
                    return whole.replace(target)
    except OSError as error:
        raise OutputError(
            f"{clean_name(target.name)} cannot be written: {error.strerror or error}.",
            hint="Choose another place.",
        ) from error
    raise OutputError(
        f"An excerpt of {clock(length_s)} does not fit into {max_bytes / 2**20:.3g} MB.",
        hint="Cut a shorter one.",
    )


def _segment(source: Path, start_s: float, length_s: float) -> AudioSegment:
    """Return the samples of one piece; what lies before it is decoded and dropped."""
    if not (0 <= start_s < math.inf and 0 < length_s < math.inf):
        raise OutputError(
            f"There is no excerpt of {length_s:g} s from {start_s:g} s on.",
            hint="Begin at 0 s or later, and take more than 0 s.",
        )
    start, stop = round(start_s * SAMPLE_RATE), round((start_s + length_s) * SAMPLE_RATE)
    pieces: list[bytes] = []
    at = 0
    # pydub itself would read files by ffprobe, which few people have.
    for block in decode_blocks(source):
        pieces.append(_pcm(block[:, max(0, start - at) : max(0, stop - at)]))
        at += block.shape[1]
        if at >= stop:
            break
    data = b"".join(pieces)
    if not data:
        raise OutputError(
            f"{clean_name(source.name)} is {clock(at / SAMPLE_RATE)} long: "
            f"nothing is left from {clock(start_s)} on.",
            hint="Begin earlier.",
        )
    return AudioSegment(data, sample_width=2, frame_rate=SAMPLE_RATE, channels=2)


def _pcm(block: Signal) -> bytes:
    """Return 16-bit samples, the channels in turn."""
    numbers = np.rint(np.clip(block.T, -1.0, 1.0) * _FULL_SCALE).astype(np.int16)
    return bytes(numbers.tobytes())


def _faded(segment: AudioSegment) -> AudioSegment:
    half_ms = len(segment) // 2
    if not half_ms:  # pydub takes a fade of 0 ms for one without an end
        return segment
    return segment.fade_in(min(_FADE_IN_MS, half_ms)).fade_out(min(_FADE_OUT_MS, half_ms))


def _rungs(length_s: float, max_bytes: int) -> tuple[int, ...]:
    """Return the bit rates to try in turn, in kbit/s."""
    # What the container adds is estimated here, and the file measured afterwards.
    fitting = tuple(k for k in _LADDER_KBPS if k * 125 * length_s + 2048 <= max_bytes)
    return fitting or _LADDER_KBPS[-1:]


def _export(segment: AudioSegment, path: Path, kbps: int, title: str) -> None:
    segment.converter = find_ffmpeg()  # of this segment alone; the class has another
    try:
        with path.open("w+b") as file:
            _exporter(path.parent)(
                segment,
                file,
                format="mp3",
                codec="libmp3lame",
                bitrate=f"{kbps}k",
                parameters=["-v", "error"],
                tags={"title": title} if title else None,
            )
    except CouldntEncodeError as error:
        raise StageError(Stage.ENCODE, str(error)[-2000:]) from error


def _exporter(folder: Path) -> Any:  # noqa: ANN401 - pydub publishes no types
    """Return pydub's `export` with its temporary files in a folder.

    It has no such option, and `tempfile.tempdir` is every thread's. So the function is given
    names of its own to look up, as a copy that shares nothing with the module's.
    """
    named = partial(tempfile.NamedTemporaryFile, dir=folder)
    export = AudioSegment.export
    names = {**vars(audio_segment), "NamedTemporaryFile": named}
    return FunctionType(export.__code__, names, argdefs=export.__defaults__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Cut one excerpt and return the exit code: 0, 1 (our fault) or 2 (the input's)."""
    parser = argparse.ArgumentParser(prog="python -m pipeline.excerpt", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--start", type=float, default=0.0, help="seconds")
    parser.add_argument("--length", type=float, default=60.0, help="seconds")
    parser.add_argument("--max-bytes", type=int, required=True)
    parser.add_argument("--title", default="")
    options = parser.parse_args(arguments)
    try:
        cut_excerpt(
            options.source,
            options.target,
            start_s=options.start,
            length_s=options.length,
            max_bytes=options.max_bytes,
            title=options.title,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except StageError as error:
        print(f"{error} ({error.cause})", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
