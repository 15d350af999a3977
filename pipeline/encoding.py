"""Signals to files: mp3, ogg, opus, m4a, flac or wav out, whole or not at all."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

import imageio_ffmpeg
import numpy as np
import soundfile as sf

from pipeline.decoding import decode_blocks, decode_pipe
from pipeline.errors import OutputError, StageError
from pipeline.names import clean_name, clean_text, clock
from pipeline.tapes import blocks
from pipeline.types import SAMPLE_RATE, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pipeline.tapes import Sound
    from pipeline.types import OnFraction, Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lossy:
    """An encoder of ffmpeg: its container, its codec, its bit rates in kbit/s, best first."""

    muxer: str
    codec: str
    ladder_kbps: tuple[int, ...]
    stream: str = ""  # the container in which it can be heard while it is written
    ample: tuple[str, ...] = ()  # options for bit rates with which quality is no question


_LOSSY = {
    ".mp3": _Lossy(
        muxer="mp3",
        stream="mp3",
        codec="libmp3lame",
        ladder_kbps=(256, 224, 192, 160, 128, 112, 96, 80, 64),
        # Without LAME's noise shaping, in two thirds of the time: against the masked threshold
        # there is 0.1 dB more noise at 256 kbit/s, but 0.6 dB more at 128.
        ample=("-compression_level", "7"),
    ),
    ".ogg": _Lossy(
        muxer="ogg",
        stream="ogg",
        codec="libvorbis",
        ladder_kbps=(256, 224, 192, 160, 128, 112, 96, 80, 64),
    ),
    ".opus": _Lossy(
        muxer="opus", stream="ogg", codec="libopus", ladder_kbps=(192, 160, 128, 96, 80, 64, 48)
    ),
    ".m4a": _Lossy(muxer="ipod", codec="aac", ladder_kbps=(256, 224, 192, 160, 128, 96, 80, 64)),
}
_AMPLE_KBPS = 224
_STEPS_BACK = 10
_PIPE_BYTES = 1 << 20  # 3 s of samples; the most that Linux gives to anybody
_LOSSLESS = {".flac": "FLAC", ".wav": "WAV"}

LOSSLESS = tuple(key[1:] for key in _LOSSLESS)
"""Those of `FORMATS` that take their size from the length alone."""

Listener: TypeAlias = "Callable[[Iterable[Signal]], object]"
"""Takes what comes out of an encoder, in blocks of shape (2, k), until there is no more."""

FORMATS = (*(key[1:] for key in _LOSSY), *LOSSLESS)
"""Extensions that `encode` writes, without the dot."""


def encode(
    samples: Sound,
    path: Path,
    *,
    title: str,
    artist: str = "",
    max_bytes: int | None = None,
    listener: Listener | None = None,
    on_fraction: OnFraction = lambda _: None,
) -> Path:
    """Write a sound as an audio file in the format that the extension names.

    The file appears whole or not at all. It is read a second at a time, once for each bit rate
    that is tried. flac and wav have 24 bits; the others take the best bit
    rate that stays inside `max_bytes`.

    Parameters
    ----------
    samples
        float32, shape (2, n), 44 100 Hz, or what reads like it; what lies outside [-1, 1] is
        clipped.
    path
        Where to write; its extension is one of `FORMATS`. An existing file is replaced.
    title, artist
        Tags of the file.
    max_bytes
        Most bytes that the file may have.
    listener
        Given what the encoder makes of the sound, as `pipeline.codec.decode_blocks` reads it and
        while it is being written, if the format allows that; anew for each bit rate that is
        tried. It runs in another thread, and takes it all.
    on_fraction
        Told the share that is written, in [0, 1], anew for each bit rate; what it raises passes
        through.

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
                told = _told(samples, on_fraction)
                if kbps is None:
                    _write_lossless(told, target, tags, listener)
                else:
                    _write_lossy(told, target, tags, kbps, listener)
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


def _told(sound: Sound, on_fraction: OnFraction) -> Iterator[Signal]:
    """Read a sound a second at a time, and tell the share of it that was taken."""
    length = sound.shape[1]
    done = 0
    for block in blocks(sound):
        yield block
        done += block.shape[1]
        on_fraction(done / length)


def _write_lossless(
    sound: Iterable[Signal], target: Path, tags: dict[str, str], listener: Listener | None
) -> None:
    name = os.fsencode(target)  # soundfile would insist on a folder's name being UTF-8
    with sf.SoundFile(
        name, "w", SAMPLE_RATE, 2, format=_LOSSLESS[target.suffix], subtype="PCM_24"
    ) as file:
        for key, value in tags.items():
            setattr(file, key, value)
        for block in sound:
            file.write(block.T)
    if listener:
        listener(decode_blocks(target))


def _write_lossy(
    sound: Iterable[Signal],
    target: Path,
    tags: dict[str, str],
    kbps: int,
    listener: Listener | None,
) -> None:
    """Feed ffmpeg, block by block, with as much as it takes, while the listener hears it."""
    stream = _LOSSY[target.suffix].stream if listener else ""
    with (target.parent / "log").open("w+b") as log:
        with (
            subprocess.Popen(  # noqa: S603 - our own words; tags stand behind their keys
                _command(target, tags, kbps, stream),
                cwd=target.parent,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if stream else log,
                stderr=log,
            ) as ffmpeg,
            ThreadPoolExecutor(1) as pool,
            ExitStack() as undo,
        ):
            undo.callback(ffmpeg.kill)
            for pipe in filter(None, (ffmpeg.stdin, ffmpeg.stdout)):
                _widen(pipe)
            if listener and ffmpeg.stdout:
                listening = pool.submit(_hear, ffmpeg.stdout, target.name, listener)
            whole = _feed(sound, ffmpeg)
            undo.pop_all()
        if ffmpeg.returncode or not whole:
            log.seek(0)
            error = StageError(Stage.ENCODE, log.read().decode(errors="replace")[-2000:])
            raise error from (listening.exception() if listener and stream else None)
    if listener and stream:
        listening.result()
    elif listener:
        listener(decode_blocks(target))


def _widen(pipe: IO[bytes]) -> None:
    """Let a pipe hold a few seconds, so that an encoder does not wait for threads to take turns."""
    with suppress(PermissionError):  # somebody has many pipes open: it works as it is
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _hear(pipe: IO[bytes], shown: str, listener: Listener) -> None:
    # Of this thread, and those that it starts: whoever feeds the encoder comes first.
    os.nice(_STEPS_BACK)
    with pipe:  # an encoder that nobody hears must not wait for ever
        listener(decode_pipe(pipe, shown))


def _command(target: Path, tags: dict[str, str], kbps: int, stream: str) -> list[str]:
    encoder = _LOSSY[target.suffix]
    source = ["-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "2", "-i", "pipe:0"]
    named = [word for key, value in tags.items() for word in ("-metadata", f"{key}={value}")]
    coded = ["-map", "0:a", "-c:a", encoder.codec, "-b:a", f"{kbps}k"]
    coded += encoder.ample if kbps >= _AMPLE_KBPS else ()
    # The file's name is our own, in the folder that ffmpeg runs in.
    if stream:
        out = ["-f", "tee", f"[f={encoder.muxer}]{target.name}|[f={stream}]pipe:1"]
    else:
        out = ["-f", encoder.muxer, target.name]
    return [find_ffmpeg(), "-v", "error", "-y", *source, *coded, *named, *out]


def _feed(sound: Iterable[Signal], ffmpeg: subprocess.Popen[bytes]) -> bool:
    """Return whether it has taken everything; if not, it has given up and says why."""
    if ffmpeg.stdin is None:
        raise ValueError("ffmpeg must have a pipe to its standard input")
    try:
        for block in sound:
            frames = np.stack(tuple(block), axis=1, dtype="<f4")
            ffmpeg.stdin.write(np.clip(frames, -1.0, 1.0, out=frames).data)
        ffmpeg.stdin.close()
    except BrokenPipeError:
        return False
    finally:
        with suppress(BrokenPipeError):
            ffmpeg.stdin.close()
    return True
