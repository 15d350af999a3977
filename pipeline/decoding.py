"""Files to signals: any common audio file in, float32 stereo at 44.1 kHz out.

The FFmpeg libraries inside PyAV do it, so that no program need be installed. Files come from
strangers: only the containers and decoders listed here are tried, nothing but the file itself is
ever opened, and what a header claims is checked again while decoding.
"""

from __future__ import annotations

import itertools
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np
import soxr

from pipeline.errors import SilentAudioError, SongLengthError, UnreadableAudioError
from pipeline.names import clean_name, clean_text, clock, title_of
from pipeline.types import SAMPLE_RATE, Song

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from pipeline.types import OnFraction, Signal

SHORTEST_S = 3.0
"""Seconds of sound without which no merge makes sense."""

LONGEST_S = 900.0
"""Seconds that a song may last unless the caller says otherwise."""

_PADDING_S = 0.5  # encoders pad; a song of exactly the longest length is let through
_SILENCE_DBFS = -60.0
_AUDIBLE_S = 1.0  # with less sound than this above the line, a song counts as silent
_REPORT_EVERY = 5 * SAMPLE_RATE
_RATES_HZ = range(4_000, 384_001)
_MOST_CHANNELS = 16
_DAMAGED_SHARE = 0.1
_COMMON_FORMATS = "Send it as mp3, m4a, ogg, flac or wav."

# Names of FFmpeg's demuxers and decoders (`ffmpeg -demuxers`, `-decoders`). Playlists (hls, dash,
# concat, sdp), image and subtitle formats are absent on purpose: they make FFmpeg open other
# files and addresses, or parse what no song needs.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,flac,flv,eac3,matroska,webm,mov,mp4,m4a,mp3,mpc,mpc8,"
    "mpegts,mpeg,ogg,tta,w64,wav,wv"
)
_DECODERS = (
    "aac,aac_latm,ac3,adpcm_ima_wav,adpcm_ms,alac,amrnb,amrwb,ape,dca,eac3,flac,libopus,mp1,"
    "mp1float,mp2,mp2float,mp3,mp3float,mpc7,mpc8,opus,pcm_alaw,pcm_f32be,pcm_f32le,pcm_f64be,"
    "pcm_f64le,pcm_mulaw,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,pcm_s32be,pcm_s32le,pcm_s8,"
    "pcm_u8,tta,vorbis,wavpack,wmalossless,wmapro,wmav1,wmav2"
)


def _nobody_listens(_fraction: float) -> None:
    """Take progress where no one asked for it."""


def decode(
    path: Path,
    *,
    name: str | None = None,
    shortest_s: float = SHORTEST_S,
    longest_s: float = LONGEST_S,
    on_fraction: OnFraction = _nobody_listens,
) -> Song:
    """Read a song from an audio file, or from the first sound track of a video.

    Mono becomes two equal channels, surround is mixed down to stereo, any sampling rate becomes
    44.1 kHz, and the padding that encoders add is cut off. A song that decodes above full scale
    is turned down as a whole, not clipped. Of a file that breaks off, what is there is used.

    Parameters
    ----------
    path
        The file. Its extension means nothing; its content decides.
    name
        What the user calls the file, for messages and the title; the path's own name by default.
    shortest_s, longest_s
        Seconds that the song must and may last.
    on_fraction
        Told the share that is decoded, in [0, 1]; what it raises passes through.

    Returns
    -------
    Song
        float32, shape (2, n), 44 100 Hz, C-contiguous, in [-1, 1].

    Raises
    ------
    UnreadableAudioError
        If the path is no file, is no audio, has no sound track, or is too damaged.
    SongLengthError
        If the song lasts under `shortest_s` or over `longest_s`.
    SilentAudioError
        If there is practically nothing to hear.
    """
    shown = clean_name(path.name if name is None else name)
    with _opened(path, shown) as container:
        stream = _sound_track(container, shown)
        declared_s = _declared_s(container, stream)
        if declared_s > longest_s + _PADDING_S:
            raise _too_long(shown, f"is {clock(declared_s)} long", longest_s)
        samples = _read(
            container,
            stream,
            shown=shown,
            declared_s=declared_s,
            bounds_s=(shortest_s, longest_s),
            on_fraction=on_fraction,
        )
        title = _title(container, stream) or title_of(path.name if name is None else name)
    _refuse_silence(samples, shown)
    on_fraction(1.0)
    return Song(samples=_within_full_scale(samples), title=title)


def _no_audio(shown: str) -> UnreadableAudioError:
    return UnreadableAudioError(
        f"{shown} is not an audio file that can be read.", hint=_COMMON_FORMATS
    )


def _too_long(shown: str, finding: str, longest_s: float) -> SongLengthError:
    return SongLengthError(
        f"{shown} {finding}; the longest song is {clock(longest_s)}.",
        hint="Cut it down and send it again.",
    )


def _check_file(path: Path, shown: str) -> None:
    # A pipe or a device would block or never end, so only regular files pass.
    try:
        status = path.stat()
    except OSError as error:  # not there, no right to look, or no system has names that long
        gone = isinstance(error, FileNotFoundError)
        finding = "does not exist" if gone else f"cannot be read: {error.strerror}"
        raise UnreadableAudioError(f"{shown} {finding}.", hint="Name an audio file.") from error
    if not stat.S_ISREG(status.st_mode):
        finding = "is a folder, not a song" if stat.S_ISDIR(status.st_mode) else "is not a file"
        raise UnreadableAudioError(f"{shown} {finding}.", hint="Name an audio file.")
    if status.st_size == 0:
        raise UnreadableAudioError(f"{shown} is empty.", hint="Send the file again.")


@contextmanager
def _opened(path: Path, shown: str) -> Iterator[InputContainer]:
    _check_file(path, shown)
    options = {
        "format_whitelist": _CONTAINERS,
        "codec_whitelist": _DECODERS,
        "protocol_whitelist": "none",  # no such protocol: nothing else can be opened
    }
    # FFmpeg also guesses by name; a file opened by number has none.
    try:
        with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
            try:
                container = av.open(file, "r", options=options, metadata_errors="replace")
            except av.FFmpegError as error:
                raise _no_audio(shown) from error
            with container:
                yield container
    except PermissionError as error:
        raise UnreadableAudioError(
            f"{shown} may not be read.", hint="Change its permissions."
        ) from error


def _sound_track(container: InputContainer, shown: str) -> AudioStream:
    if not container.streams.audio:
        raise UnreadableAudioError(
            f"{shown} has no sound track.", hint="Send a file with music in it."
        )
    stream = container.streams.audio[0]
    context: AudioCodecContext | None = stream.codec_context  # PyAV's types forget the None
    if context is None:
        raise UnreadableAudioError(
            f"{shown} holds sound in a form that cannot be read, or is copy-protected.",
            hint=_COMMON_FORMATS,
        )
    _check_form(stream.sample_rate, stream.channels, shown)
    return stream


def _check_form(rate_hz: int, channels: int, shown: str) -> None:
    if rate_hz not in _RATES_HZ or not 1 <= channels <= _MOST_CHANNELS:
        raise UnreadableAudioError(
            f"{shown} claims {channels} channels at {rate_hz} Hz, which no song has.",
            hint=_COMMON_FORMATS,
        )


def _declared_s(container: InputContainer, stream: AudioStream) -> float:
    """Return the length in seconds that the header declares, 0 where it is unknown."""
    # Raw AAC has no header: FFmpeg's guess from the first frames can be hours off.
    if container.format.name == "aac":
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


@dataclass(slots=True)
class _Tally:
    packets: int = 0
    failed: int = 0


def _read(
    container: InputContainer,
    stream: AudioStream,
    *,
    shown: str,
    declared_s: float,
    bounds_s: tuple[float, float],
    on_fraction: OnFraction,
) -> Signal:
    shortest_s, longest_s = bounds_s
    tally = _Tally()
    blocks: list[Signal] = []
    length = told = 0
    for block in _stereo_blocks(_frames(container, stream, tally), shown):
        blocks.append(block)
        length += block.shape[1]
        if length > (longest_s + _PADDING_S) * SAMPLE_RATE:
            raise _too_long(shown, "is too long", longest_s)
        if length - told >= _REPORT_EVERY:
            told = length
            on_fraction(min(1.0, length / SAMPLE_RATE / (declared_s or longest_s)))
    _check_yield(tally, length / SAMPLE_RATE, declared_s, shortest_s, shown)
    samples = np.empty((2, length), np.float32)
    ends = itertools.accumulate(block.shape[1] for block in blocks)
    for block, end in zip(blocks, ends, strict=True):
        samples[:, end - block.shape[1] : end] = block  # one channel fills both
    return samples


def _frames(container: InputContainer, stream: AudioStream, tally: _Tally) -> Iterator[AudioFrame]:
    """Yield what can be decoded, counting the packets that cannot."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # the container breaks off here: what came before is used
            return
        if packet is None:
            return
        tally.packets += 1
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            tally.failed += 1
            continue
        yield from frames


def _form(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _stereo_blocks(frames: Iterator[AudioFrame], shown: str) -> Iterator[Signal]:
    """Yield the frames as float32 blocks at 44.1 kHz, shape (2, n), or (1, n) for mono."""
    # A stream may change its form on the way, e.g. at the joint of two chained recordings.
    for (_, _, rate_hz), group in itertools.groupby(frames, key=_form):
        first = next(group)
        channels = first.layout.nb_channels
        _check_form(rate_hz, channels, shown)
        # FFmpeg would turn mono down by 3 dB on its way to stereo.
        layout = "mono" if channels == 1 else "stereo"
        mixer = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
        resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE, min(channels, 2), dtype="float32")
        for frame in itertools.chain([first], group, [None]):
            for mixed in mixer.resample(frame):
                # Floating-point files may hold what is no number, and one would spread.
                block = np.nan_to_num(mixed.to_ndarray().T, nan=0.0, posinf=0.0, neginf=0.0)
                yield resampler.resample_chunk(np.ascontiguousarray(block)).T
        yield resampler.resample_chunk(np.zeros((0, min(channels, 2)), np.float32), last=True).T


def _check_yield(
    tally: _Tally, length_s: float, declared_s: float, shortest_s: float, shown: str
) -> None:
    # The one packet at which a file breaks off is no damage.
    if tally.failed > 1 + _DAMAGED_SHARE * tally.packets:
        share = tally.failed / tally.packets
        raise UnreadableAudioError(
            f"{shown} is damaged: {share:.0%} of it cannot be read.",
            hint="Send another copy.",
        )
    if length_s >= shortest_s:
        return
    if length_s == 0:
        raise _no_audio(shown)
    if declared_s >= shortest_s:
        raise UnreadableAudioError(
            f"{shown} breaks off after {length_s:.1f} s.", hint="Send another copy."
        )
    raise SongLengthError(
        f"{shown} is {length_s:.1f} s long; the shortest song is {shortest_s:g} s.",
        hint="Send the whole song.",
    )


def _title(container: InputContainer, stream: AudioStream) -> str:
    """Return "artist - title" from the tags, with an en dash; "" if there is no title."""
    # Ogg keeps its tags with the stream, everything else with the file.
    found = {**stream.metadata, **container.metadata}
    tags = {key.lower(): clean_text(value) for key, value in found.items()}
    parts = (tags.get("artist"), tags.get("title"))
    return " \N{EN DASH} ".join(part for part in parts if part) if parts[1] else ""


def _refuse_silence(samples: Signal, shown: str) -> None:
    block = SAMPLE_RATE // 10
    count = samples.shape[1] // block
    level = samples[:, : count * block].reshape(2, count, block).std(axis=2).max(axis=0)
    heard_s = np.count_nonzero(level > 10 ** (_SILENCE_DBFS / 20)) * block / SAMPLE_RATE
    if heard_s < _AUDIBLE_S:
        raise SilentAudioError(f"{shown} is silent.", hint="Send a song that can be heard.")


def _within_full_scale(samples: Signal) -> Signal:
    peak = float(max(samples.max(), -samples.min()))
    if peak > 1.0:
        samples /= np.float32(peak)
    return samples
