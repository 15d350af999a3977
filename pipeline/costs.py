"""What a stranger's file may cost: bounds on memory, reading and work that no song comes near.

A file of a few kilobytes can claim tables of gigabytes, or hold a packet that decodes to an hour.
None of these bounds asks what time it is, so that a busy machine refuses no song: they count, or
ask how long this thread has worked.
"""

from __future__ import annotations

import ctypes
import errno
import time
from typing import IO, TYPE_CHECKING

from av import _core

from pipeline.errors import UnreadableAudioError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet

_COMMON_FORMATS = "Send it as mp3, m4a, ogg, flac or wav."
_KIB = 1024
_MIB = 1024 * _KIB

_LARGEST_BLOCK = 64 * _MIB  # an index of 2.8 million packets, or a picture on a cover
_MOST_READS = 1_000_000
_MOST_PACKETS = 1_000_000  # of a song of the longest length, one every 0.9 ms
_MOST_CARRIED = 4  # times the file's size; two packets may lie on the same bytes
_CARRIED_AT_LEAST = 16 * _MIB
_OPENING_CPU_S = 2.0  # processor time of this thread; songs take some hundredths

# These decoders take several frames out of one packet, each a thousand times its size, and all of
# them are in memory at once. In containers that are not made to harm, a packet is one frame or few.
_LARGEST_PACKETS = {"aac": 16 * _KIB, "aac_latm": 16 * _KIB, "amrnb": 16 * _KIB, "amrwb": 16 * _KIB}
_LARGEST_LOSSY_PACKET = 64 * _KIB
_LARGEST_PACKET = 16 * _MIB
_LARGE_PACKETS = ("pcm_", "adpcm_", "alac", "ape", "flac", "mpc", "tta", "wav", "wmalossless")
_FLAC_FRAME_STARTS = (b"\xff\xf8", b"\xff\xf9")
_MOST_FLAC_FRAMES = 8  # in one packet; two bytes of noise look like the start of one, too
_NOISE_PER_FLAC_FRAME = 2 * _KIB
_LARGEST_APE_FRAME = 16 * 73_728  # samples, of the slowest compression level


def cap_blocks() -> None:
    """Let FFmpeg allocate no single block of memory that a song could not need.

    It holds for this process from here on. A file of 5 kB could take 3 GB without it.
    """
    # The extension module is linked against FFmpeg's libraries, wherever they lie.
    ctypes.CDLL(_core.__file__).av_max_alloc(ctypes.c_size_t(_LARGEST_BLOCK))


class Metered:
    """A file as FFmpeg reads it, which ends early where reading it makes no headway.

    Nothing is raised inside FFmpeg's calls: a file that has used up its allowance looks as if it
    ended there, and `check` says so afterwards.

    Parameters
    ----------
    file
        Open for reading, binary.
    """

    name = ""  # FFmpeg would guess by it

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._reads = 0
        self._opening_until: float | None = time.thread_time() + _OPENING_CPU_S
        self._spent = False

    def readable(self) -> bool:
        """Whether there is anything to read: there is."""
        return True

    def seekable(self) -> bool:
        """Whether the file has places to go to; a pipe has none."""
        return self._file.seekable()

    def read(self, size: int) -> bytes:
        """Return the next bytes, none where the allowance is used up."""
        self._reads += 1
        if self._reads > _MOST_READS or (
            self._opening_until is not None and time.thread_time() > self._opening_until
        ):
            self._spent = True
        return b"" if self._spent else self._file.read(size)

    def seek(self, offset: int, whence: int) -> int:
        """Go to a place in the file; where there is none, a negative number says so to FFmpeg."""
        try:
            return self._file.seek(offset, whence)
        except OSError:  # before the start
            return -errno.EINVAL

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()

    def opened(self) -> None:
        """Stop the watch on the time that it takes to open the file."""
        self._opening_until = None

    def check(self, shown: str) -> None:
        """Refuse the file if its allowance is used up.

        Raises
        ------
        UnreadableAudioError
            Reading it takes work that no song needs.
        """
        if self._spent:
            raise too_costly(shown)


class Carried:
    """The packets of a sound track, counted against what can be in its file.

    Parameters
    ----------
    size
        Bytes of the file, 0 if unknown.
    """

    def __init__(self, size: int) -> None:
        self._most = _MOST_CARRIED * size + _CARRIED_AT_LEAST if size else None
        self._packets = 0
        self._bytes = 0

    def add(self, packet: Packet[AudioStream], shown: str) -> None:
        """Count one packet.

        Raises
        ------
        UnreadableAudioError
            They are more, or larger, than a song of this size can have.
        """
        self._packets += 1
        self._bytes += packet.size
        if self._most is None:
            return
        if self._packets > _MOST_PACKETS or self._bytes > self._most:
            raise too_costly(shown)


def swells(decoder: str, packet: Packet[AudioStream]) -> bool:
    """Whether a packet may decode to far more than one packet of a song does.

    Parameters
    ----------
    decoder
        FFmpeg's name of what decodes it.
    packet
        The packet; empty at the end of a track.
    """
    if packet.size > _largest_packet(decoder):
        return True
    if decoder == "flac":
        content = bytes(packet)
        frames = sum(content.count(start) for start in _FLAC_FRAME_STARTS)
        return frames > _MOST_FLAC_FRAMES + packet.size / _NOISE_PER_FLAC_FRAME
    if decoder == "ape":  # its demuxer puts the number of samples in front
        return int.from_bytes(memoryview(packet)[:4], "little") > _LARGEST_APE_FRAME
    return False


def _largest_packet(decoder: str) -> int:
    if decoder.startswith(_LARGE_PACKETS):
        return _LARGEST_PACKET
    return _LARGEST_PACKETS.get(decoder, _LARGEST_LOSSY_PACKET)


def too_costly(shown: str) -> UnreadableAudioError:
    """Return the refusal of a file that would take more work or memory than a song."""
    return UnreadableAudioError(
        f"{shown} would take far more work to read than any song.", hint=_COMMON_FORMATS
    )
