"""Writes the files that the others are mutated from: ``python -m tests.fuzz.seeds``.

One tiny file of every container and codec that is taken in and that can be written here. They lie
in the repository, because other versions of the encoders write other bytes.
"""

from __future__ import annotations

import struct
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.audio_files import sines, write_av, write_pcm

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).with_name("corpus")

_LENGTH_S = 0.25
_TAGS = {"title": "Titel", "artist": "Band", "comment": "x" * 40}


def _encoded(
    muxer: str,
    codec: str,
    *,
    rate_hz: int = 22_050,
    layout: str = "stereo",
    video: bool = False,
) -> Callable[[Path], object]:
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    write = partial(write_av, muxer=muxer, codec=codec, layout=layout, video=video, tags=_TAGS)
    return lambda path: write(path, sines(_LENGTH_S, rate_hz, channels=channels), rate_hz)


def _plain(rate_hz: int, subtype: str | None = None) -> Callable[[Path], object]:
    return lambda path: write_pcm(path, sines(_LENGTH_S, rate_hz), rate_hz, subtype)


def write_ape(path: Path, *, samples: int = 8_192, frame_samples: int = 8_192) -> Path:
    """Write Monkey's Audio of one silent frame, which nothing here can encode."""
    head = struct.pack("<HHIIIHHI", 1000, 0, frame_samples, samples, 1, 16, 2, 44_100)
    about = struct.pack("<4sHHIIIIIII", b"MAC ", 3990, 0, 52, len(head), 4, 0, 40, 0, 0)
    words = struct.pack(">IIQQQQ", 1 << 31, 3, 0, 0, 0, 0)  # a checksum; both channels are silent
    frame = np.frombuffer(words, np.uint32).byteswap().tobytes()
    place = struct.pack("<I", 52 + len(head) + 4)
    path.write_bytes(about + bytes(16) + head + place + frame)
    return path


SEEDS: dict[str, Callable[[Path], object]] = {
    "mp3": _encoded("mp3", "libmp3lame"),
    "mp2": _encoded("mp2", "mp2", rate_hz=32_000),
    "m4a-aac": _encoded("ipod", "aac"),
    "m4a-alac": _encoded("ipod", "alac", rate_hz=8_000),
    "mp4-video": _encoded("mp4", "aac", video=True),
    "mov-pcm": _encoded("mov", "pcm_s16le", rate_hz=8_000),
    "mp4-fragments": _encoded("ismv", "aac"),
    "aac": _encoded("adts", "aac"),
    "flac": _encoded("flac", "flac", rate_hz=8_000),
    "ogg-opus": _encoded("ogg", "libopus", rate_hz=48_000),
    "ogg-flac": _encoded("ogg", "flac", rate_hz=8_000),
    "webm": _encoded("webm", "libopus", rate_hz=48_000),
    "mkv-flac": _encoded("matroska", "flac", rate_hz=8_000),
    "mkv-ac3": _encoded("matroska", "ac3", rate_hz=32_000),
    "wav": _encoded("wav", "pcm_s16le", rate_hz=8_000, layout="mono"),
    "wav-u8": _encoded("wav", "pcm_u8", rate_hz=8_000),
    "wav-f32": _encoded("wav", "pcm_f32le", rate_hz=8_000, layout="mono"),
    "wav-adpcm": _encoded("wav", "adpcm_ms", rate_hz=8_000),
    "wav-ima": _encoded("wav", "adpcm_ima_wav", rate_hz=8_000),
    "w64": _encoded("w64", "pcm_s24le", rate_hz=8_000, layout="mono"),
    "aiff": _encoded("aiff", "pcm_s16be", rate_hz=8_000, layout="mono"),
    "au": _encoded("au", "pcm_mulaw", rate_hz=8_000),
    "caf": _encoded("caf", "alac", rate_hz=8_000),
    "caf-alaw": _encoded("caf", "pcm_alaw", rate_hz=8_000),
    "tta": _encoded("tta", "tta", rate_hz=8_000),
    "wv": _encoded("wv", "wavpack", rate_hz=8_000),
    "wma1": _encoded("asf", "wmav1"),
    "wma2": _encoded("asf", "wmav2"),
    "flv": _encoded("flv", "libmp3lame"),
    "avi": _encoded("avi", "libmp3lame", video=True),
    "ts-aac": _encoded("mpegts", "aac"),
    "ts-mp2": _encoded("mpegts", "mp2", rate_hz=32_000),
    "mpg": _encoded("mpeg", "mp2", rate_hz=32_000),
    "ac3": _encoded("ac3", "ac3", rate_hz=32_000, layout="5.1"),
    "eac3": _encoded("eac3", "eac3", rate_hz=32_000),
    "amr": _encoded("amr", "libopencore_amrnb", rate_hz=8_000, layout="mono"),
    "vorbis.ogg": _plain(22_050),
    "deep.flac": _plain(8_000, "PCM_24"),
    "ape": write_ape,
}
"""Writers of the seeds by their files' names."""


def seeds() -> dict[str, bytes]:
    """Return the corpus."""
    return {path.name: path.read_bytes() for path in sorted(CORPUS.iterdir())}


def _write_all() -> None:
    CORPUS.mkdir(exist_ok=True)
    for name, write in SEEDS.items():
        write(CORPUS / name)


if __name__ == "__main__":
    _write_all()
