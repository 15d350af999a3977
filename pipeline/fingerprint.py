"""What a song is known by: its audio, not its name, its tags or its cover."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING

from pipeline.media import opened, packets
from pipeline.names import clean_name

if TYPE_CHECKING:
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.packet import Packet

# Of other codecs something else from the file may matter, such as the size of a block: they are
# known by the whole file, since two songs with one fingerprint could be passed for each other.
_TOLD_BY_PACKETS = frozenset(
    ("aac", "alac", "flac", "libopus", "mp1float", "mp2float", "mp3", "mp3float", "opus", "vorbis")
)
_TAGS = frozenset(("strings_metadata", "metadata_update"))


def fingerprint(path: Path, *, name: str | None = None) -> str:
    """Return a hash of the audio in a file: files that share it decode to the same signal.

    It is taken of the compressed packets of the first sound track, without decoding them: quick,
    but the same music encoded twice has two fingerprints. Of rare codecs the whole file is taken,
    its tags included.

    Parameters
    ----------
    path
        The file. Its extension means nothing; its content decides.
    name
        What the user calls the file, for messages; the path's own name by default.

    Returns
    -------
    str
        SHA-256 in hexadecimal digits.

    Raises
    ------
    UnreadableAudioError
        If the path is no file, is no audio, or has no sound track that can be decoded.
    """
    shown = clean_name(path.name if name is None else name)
    with opened(path, shown) as (container, stream):
        codec = stream.codec_context.name
        if codec not in _TOLD_BY_PACKETS and not codec.startswith("pcm_"):
            return _file_hash(path)
        digest = hashlib.sha256()
        for field in (container.format.name.encode(), *_form(stream)):
            digest.update(struct.pack("<Q", len(field)) + field)
        for packet in packets(container, stream, shown):
            notes = _notes(packet)
            digest.update(struct.pack("<QQ", packet.size, len(notes)) + notes)
            digest.update(packet)
    return digest.hexdigest()


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _form(stream: AudioStream) -> tuple[bytes, ...]:
    """Return what the decoder is told before the first packet."""
    codec = stream.codec_context  # FFmpeg leaves Vorbis's comments out of its extradata
    form = (codec.name, codec.sample_rate, codec.layout.name)
    return (*(str(value).encode() for value in form), bytes(codec.extradata or b""))


def _notes(packet: Packet[AudioStream]) -> bytes:
    """Return what stands beside a packet and changes what is heard, e.g. what to leave out."""
    notes = b"discard" if packet.is_discard else b""
    for data in packet.iter_sidedata():
        if data.data_type not in _TAGS:
            content = bytes(data)
            notes += struct.pack("<Q", len(content)) + data.data_type.encode() + content
    return notes
