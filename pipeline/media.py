"""The door for strangers' audio files: what may be opened, and what is refused at once.

Only the containers and decoders listed here are tried, and nothing but the file itself is ever
opened. What a header claims is checked again while decoding, and `pipeline.costs` bounds what all
of it may cost.
"""

from __future__ import annotations

import mmap
import os
import stat
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import av
from av.stream import Discard

from pipeline.comments import has_too_many_tags
from pipeline.costs import Carried, Metered, cap_blocks, too_costly
from pipeline.errors import UnreadableAudioError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.codeccontext import AudioCodecContext
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet

_RATES_HZ = range(4_000, 384_001)
_MOST_CHANNELS = 16
_MOST_STREAMS = 100  # films come with fonts and subtitles for many languages
_MOST_FRAME_SAMPLES = 1 << 20  # of each channel; the longest frames last a second
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
_ALLOWED_DECODERS = frozenset(_DECODERS.split(","))


@contextmanager
def opened(path: Path, shown: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open an audio file, or a video, at its first sound track.

    Parameters
    ----------
    path
        The file. Its extension means nothing; its content decides.
    shown
        What to call it in messages.

    Raises
    ------
    UnreadableAudioError
        If the path is no file, is no audio, or has no sound track that can be decoded.
    """
    _check_file(path, shown)
    # FFmpeg also guesses by name; a file opened by number has none.
    try:
        with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
            _check_tags(file, shown)
            with tracked(file, shown) as found:
                yield found
    except PermissionError as error:
        raise UnreadableAudioError(
            f"{shown} may not be read.", hint="Change its permissions."
        ) from error


@contextmanager
def tracked(file: IO[bytes], shown: str) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Find the first sound track in an open file or a pipe; as `opened`."""
    cap_blocks()
    metered = Metered(file)
    options = {
        "format_whitelist": _CONTAINERS,
        "codec_whitelist": _DECODERS,
        "protocol_whitelist": "none",  # no such protocol: nothing else can be opened
        "max_streams": str(_MOST_STREAMS),
    }
    try:
        container = av.open(metered, "r", options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        metered.check(shown)
        raise no_audio(shown) from error
    with container:
        metered.opened()
        metered.check(shown)
        yield container, _sound_track(container, shown)
        metered.check(shown)


def packets(
    container: InputContainer, stream: AudioStream, shown: str
) -> Iterator[Packet[AudioStream]]:
    """Yield what a sound track consists of, as far as the container can be read.

    Raises
    ------
    UnreadableAudioError
        There is more of it than a file of this size can hold.
    """
    carried = Carried(max(0, container.size))
    found = container.demux(stream)
    while True:
        try:
            packet = next(found, None)
        except av.FFmpegError:  # the container breaks off here: what came before is used
            return
        except IndexError:  # at the end PyAV may ask for streams that began after it had looked
            return
        if packet is None:
            return
        carried.add(packet, shown)
        yield packet


def declared_s(container: InputContainer, stream: AudioStream) -> float:
    """Return the length in seconds that the header declares, 0 where it is unknown."""
    # Raw AAC has no header: FFmpeg's guess from the first frames can be hours off.
    if container.format.name == "aac":
        return 0.0
    if stream.duration and stream.time_base:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (container.duration or 0) / av.time_base)


def check_form(rate_hz: int, channels: int, shown: str) -> None:
    """Refuse sound in a form that no song has.

    Raises
    ------
    UnreadableAudioError
        The sampling rate or the number of channels is absurd.
    """
    if rate_hz not in _RATES_HZ or not 1 <= channels <= _MOST_CHANNELS:
        raise UnreadableAudioError(
            f"{shown} claims {channels} channels at {rate_hz} Hz, which no song has.",
            hint=_COMMON_FORMATS,
        )


def no_audio(shown: str) -> UnreadableAudioError:
    """Return the error for a file in which there is no sound that can be read."""
    return UnreadableAudioError(
        f"{shown} is not an audio file that can be read.", hint=_COMMON_FORMATS
    )


def unknown_form(shown: str) -> UnreadableAudioError:
    """Return the error for a file whose sound is kept in a way that is not known here."""
    return UnreadableAudioError(
        f"{shown} holds sound in a form that cannot be read, or is copy-protected.",
        hint=_COMMON_FORMATS,
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


def _check_tags(file: IO[bytes], shown: str) -> None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if has_too_many_tags(content):
            raise too_costly(shown)


def _sound_track(container: InputContainer, shown: str) -> AudioStream:
    if not container.streams.audio:
        raise UnreadableAudioError(
            f"{shown} has no sound track.", hint="Send a file with music in it."
        )
    stream = container.streams.audio[0]
    context: AudioCodecContext | None = stream.codec_context  # PyAV's types forget the None
    # FFmpeg heeds the list where it looks at a file; PyAV opens any decoder afterwards.
    if context is None or context.name not in _ALLOWED_DECODERS:
        raise unknown_form(shown)
    check_form(stream.sample_rate, stream.channels, shown)
    context.options = {"max_samples": str(_MOST_FRAME_SAMPLES)}
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all  # not even unpacked
    return stream
