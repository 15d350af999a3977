"""Makes the audio files that the tests read: sines of known pitch and level in any container."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, cast

import av
import numpy as np
import soundfile as sf

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.video.stream import VideoStream

    Floats = npt.NDArray[np.float32]

PITCHES_HZ = (440.0, 1000.0)
"""Left and right of `sines`."""


def sines(length_s: float, rate_hz: int, *, channels: int = 2, level: float = 0.5) -> Floats:
    """Return one steady sine a channel, shape (channels, n): 440 Hz, 1 kHz, 440 Hz, ..."""
    t = np.arange(round(length_s * rate_hz)) / rate_hz
    rows = [level * np.sin(2 * np.pi * PITCHES_HZ[c % 2] * t) for c in range(channels)]
    return np.array(rows, np.float32)


def pitch_and_level(channel: Floats, rate_hz: int) -> tuple[float, float]:
    """Return the strongest frequency in Hz and the amplitude of a sine, from its middle half."""
    middle = channel[channel.size // 4 : -channel.size // 4].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(middle.size)))
    pitch_hz = float(spectrum.argmax()) * rate_hz / middle.size
    return pitch_hz, float(np.sqrt(2 * np.mean(middle**2)))


def write_pcm(path: Path, samples: Floats, rate_hz: int, subtype: str | None = None) -> Path:
    """Write wav, aiff, flac or ogg (Vorbis) through libsndfile."""
    form = {".aiff": "AIFF", ".ogg": "OGG", ".flac": "FLAC"}.get(path.suffix, "WAV")
    sf.write(path, samples.T, rate_hz, format=form, subtype=subtype)
    return path


def write_av(
    path: Path,
    samples: Floats | None,
    rate_hz: int = 44_100,
    *,
    muxer: str,
    codec: str = "",
    layout: str = "stereo",
    video: bool = False,
    tags: dict[str, str] | None = None,
) -> Path:
    """Write through FFmpeg: any container and codec, with pictures or without, or without sound."""
    with av.open(str(path), "w", format=muxer) as out:
        out.metadata.update(tags or {})
        pictures = _add_pictures(out) if video else None
        sound = None
        if samples is not None:
            sound = cast("AudioStream", out.add_stream(codec, rate=rate_hz, layout=layout))
            sound.bit_rate = 192_000
        if pictures is not None:
            _write_pictures(out, pictures)
        if sound is not None and samples is not None:
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
            frame.sample_rate = rate_hz
            frame.pts = 0
            out.mux(sound.encode(frame))
            out.mux(sound.encode(None))
    return path


def _add_pictures(out: OutputContainer) -> VideoStream:
    codec = "libvpx" if out.format.name == "webm" else "mpeg4"
    pictures = cast("VideoStream", out.add_stream(codec, rate=5))
    pictures.width = pictures.height = 64
    pictures.pix_fmt = "yuv420p"
    return pictures


def _write_pictures(out: OutputContainer, pictures: VideoStream) -> None:
    for number in range(20):
        shade = np.full((64, 64, 3), 10 * number, np.uint8)
        out.mux(pictures.encode(av.VideoFrame.from_ndarray(shade, "rgb24")))
    out.mux(pictures.encode(None))


def write_wav_header(
    path: Path, *, declared_s: float, actual_s: float, rate_hz: int = 8000
) -> Path:
    """Write an 8-bit mono wav of nothing but its header; the rest is a hole in the file."""
    size = round(declared_s * rate_hz)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", size + 36, b"WAVE", b"fmt ", 16, 1, 1,
                       rate_hz, rate_hz, 1, 8)  # fmt: skip
    with path.open("wb") as file:
        file.write(head + struct.pack("<4sI", b"data", size))
        file.truncate(len(head) + 8 + round(actual_s * rate_hz))
    return path


def claim_flac_length(path: Path, samples: int) -> None:
    """Overwrite the number of samples that a flac file claims to have (36 bits at byte 21)."""
    data = bytearray(path.read_bytes())
    data[21] = data[21] & 0xF0 | samples >> 32
    data[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
    path.write_bytes(data)


def damage(path: Path, share: float) -> None:
    """Overwrite every other kilobyte with noise in `share` of the file, from its middle on."""
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(0)
    start = len(data) // 4
    for at in range(start, start + int(2 * share * len(data)), 2048):
        data[at : at + 1024] = noise.bytes(min(1024, len(data) - at))
    path.write_bytes(data)
