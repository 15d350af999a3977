"""The bricks of containers: MP4's boxes, Matroska's elements, RIFF's chunks."""

from __future__ import annotations

import struct

_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def box(kind: bytes, content: bytes) -> bytes:
    """Return an MP4 box."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full_box(kind: bytes, content: bytes, flags: int = 0) -> bytes:
    """Return an MP4 box of version 0."""
    return box(kind, struct.pack(">I", flags) + content)


def ebml(name: str, content: bytes) -> bytes:
    """Return a Matroska element; its name in hexadecimal digits."""
    return bytes.fromhex(name) + (1 << 56 | len(content)).to_bytes(8, "big") + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return a RIFF chunk."""
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def riff(kind: bytes, content: bytes) -> bytes:
    """Return a RIFF file."""
    return chunk(b"RIFF", kind + content)


def movie(
    *,
    reference: bytes = full_box(b"url ", b"", flags=1),
    codec: bytes = b"sowt",
    samples: int = 44_100,
    sample_bytes: int = 4,
    sample_length: int = 1,
    offsets: tuple[int, ...] = (40,),
    tracks: int = 1,
    sizes: bytes = b"",
) -> bytes:
    """Return a QuickTime movie of one sound track, with everything in it free to lie.

    Parameters
    ----------
    reference
        Where the sound is, a box for `dref`; in this file by default.
    codec
        Its four letters.
    samples, sample_bytes, sample_length
        How many samples it claims, the size of each (0: `sizes` has them), and its length in
        units of 1/44 100 s.
    offsets
        Where its chunks are; each has all the samples if there is one, else one sample.
    tracks
        How often the track is repeated.
    """
    entry = (
        b"\0" * 6
        + struct.pack(">H", 1)
        + b"\0" * 8
        + struct.pack(">HHHHI", 2, 16, 0, 0, 44_100 << 16)
    )
    each = samples if len(offsets) == 1 else 1
    tables = full_box(b"stsd", struct.pack(">I", 1) + box(codec, entry))
    tables += full_box(b"stts", struct.pack(">III", 1, samples, sample_length))
    tables += full_box(b"stsc", struct.pack(">IIII", 1, 1, each, 1))
    tables += full_box(b"stsz", struct.pack(">II", sample_bytes, samples) + sizes)
    tables += full_box(b"stco", struct.pack(f">I{len(offsets)}I", len(offsets), *offsets))
    data = box(b"dinf", full_box(b"dref", struct.pack(">I", 1) + reference))
    media = full_box(b"mdhd", struct.pack(">IIIIHH", 0, 0, 44_100, samples, 0x55C4, 0))
    media += full_box(b"hdlr", b"mhlrsoun" + b"\0" * 13)
    media += box(b"minf", full_box(b"smhd", b"\0" * 4) + data + box(b"stbl", tables))
    head = struct.pack(">IIIII", 0, 0, 1, 0, 1000) + b"\0" * 16 + _MATRIX + b"\0" * 8
    track = box(b"trak", full_box(b"tkhd", head, flags=3) + box(b"mdia", media))
    whole = struct.pack(">IIIIIH", 0, 0, 1000, 1000, 0x10000, 0x100) + b"\0" * 10 + _MATRIX
    moov = full_box(b"mvhd", whole + b"\0" * 24 + struct.pack(">I", 2)) + track * tracks
    return (
        box(b"ftyp", b"qt  \0\0\2\0qt  ") + box(b"mdat", b"\x11\x02" * 88_200) + box(b"moov", moov)
    )
