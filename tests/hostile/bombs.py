"""Small files that claim, or unpack to, far more than a song."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import av

from tests.audio_files import claim_flac_length, sines, write_av, write_pcm
from tests.fuzz.seeds import write_ape
from tests.hostile.boxes import chunk, ebml, movie, riff

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_EBML_HEAD = ebml("1a45dfa3", ebml("4282", b"matroska"))


def matroska(tracks: Iterable[bytes], blocks: Iterable[bytes], more: bytes = b"") -> bytes:
    """Return a Matroska file of track entries and blocks of the first track."""
    info = ebml("1549a966", ebml("2ad7b1", b"\x0f\x42\x40"))
    entries = ebml("1654ae6b", b"".join(ebml("ae", track) for track in tracks))
    parts = (ebml("a3", b"\x81" + struct.pack(">hB", i, 0x80) + b) for i, b in enumerate(blocks))
    cluster = ebml("1f43b675", ebml("e7", b"\0") + b"".join(parts))
    return _EBML_HEAD + ebml("18538067", info + entries + more + cluster)


def track(codec: bytes, number: int = 1, private: bytes = b"", more: bytes = b"") -> bytes:
    """Return a Matroska track entry: stereo at 44.1 kHz, 16 bits."""
    form = ebml("b5", struct.pack(">d", 44_100.0)) + ebml("9f", b"\2") + ebml("6264", b"\x10")
    head = ebml("d7", bytes([number])) + ebml("73c5", bytes([number])) + ebml("83", b"\2")
    return head + ebml("86", codec) + ebml("63a2", private) + ebml("e1", form) + more


def _wav(channels: int, rate_hz: int, data: bytes, claimed_bytes: int | None = None) -> bytes:
    each = 2 * channels
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * each & 0xFFFFFFFF, each, 16)
    size = len(data) if claimed_bytes is None else claimed_bytes
    return riff(b"WAVE", chunk(b"fmt ", form) + b"data" + struct.pack("<I", size) + data)


def long_wav(path: Path) -> None:
    path.write_bytes(_wav(1, 4_000, b"\1\2" * 20_000, claimed_bytes=0xFFFFFFF0))


def long_flac(path: Path) -> None:
    write_pcm(path.with_suffix(".flac"), sines(5.0, 8_000), 8_000).rename(path)
    claim_flac_length(path, 8_000_000_000)  # a million seconds


def long_matroska(path: Path) -> None:
    write_av(path, sines(5.0, 44_100), muxer="matroska", codec="flac")
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3  # the length, in milliseconds
    path.write_bytes(data[:at] + struct.pack(">d", 1e12) + data[at + 8 :])


def many_channels(path: Path) -> None:
    path.write_bytes(_wav(300, 8_000, bytes(1_000_000)))


def no_channels(path: Path) -> None:
    path.write_bytes(_wav(0, 8_000, bytes(100_000)))


def absurd_rate(path: Path) -> None:
    path.write_bytes(_wav(2, 0x7FFFFFFF, bytes(1_000_000)))


def many_streams(path: Path) -> None:
    tracks = [track(b"A_PCM/INT/LIT", number) for number in range(1, 128)]
    path.write_bytes(matroska(tracks, [bytes(4000)] * 50))


def many_tracks_in_a_movie(path: Path) -> None:
    path.write_bytes(movie(tracks=5_000))


def another_form_on_every_frame(path: Path) -> None:
    found = []
    for rate_hz in (44_100, 48_000):
        part = write_av(path, sines(4.0, rate_hz), rate_hz, muxer="mp3", codec="libmp3lame")
        with av.open(str(part)) as container:
            found.append([bytes(packet) for packet in container.demux()])
    path.write_bytes(b"".join(one + two for one, two in zip(*found, strict=False)))


def hours_in_a_packet(path: Path) -> None:
    private = b"fLaC\x80" + len(_FLAC_HEAD).to_bytes(3, "big") + _FLAC_HEAD
    path.write_bytes(matroska([track(b"A_FLAC", private=private)], [_flac_frame(0) * 20_000] * 3))


def hours_in_a_flac(path: Path) -> None:
    head = b"fLaC\x80" + len(_FLAC_HEAD).to_bytes(3, "big") + _FLAC_HEAD
    path.write_bytes(head + b"".join(_flac_frame(number) for number in range(6_000)))


# Frames of 65 535 samples, 44.1 kHz, two channels of 16 bits, of unknown length.
_FLAC_HEAD = b"".join((
    struct.pack(">HH", 65_535, 65_535), bytes(6),
    (44_100 << 44 | 1 << 41 | 15 << 36).to_bytes(8, "big"), bytes(16),
))  # fmt: skip


def _flac_frame(number: int) -> bytes:
    """Return a FLAC frame of 65 535 silent samples in two channels: 16 bytes, or a few more."""
    # Synchronization, 16 bits of block size minus one, 44.1 kHz, two channels of 16 bits.
    head = bytes((0xFF, 0xF8, 0x79, 0x18)) + chr(number).encode() + bytes((0xFF, 0xFE))
    head += bytes([_crc(head, 0x07, 8)])
    body = head + bytes((0, 0, 0)) * 2  # each channel: "constant", and the constant
    return body + _crc(body, 0x8005, 16).to_bytes(2, "big")


def _crc(content: bytes, polynomial: int, bits: int) -> int:
    found, top = 0, 1 << (bits - 1)
    for byte in content:
        found ^= byte << (bits - 8)
        for _ in range(8):
            found = (found << 1 ^ polynomial if found & top else found << 1) & ((1 << bits) - 1)
    return found


def hours_in_an_ape_frame(path: Path) -> None:
    write_ape(path, samples=1 << 28, frame_samples=1 << 28)


def a_table_of_gigabytes(path: Path) -> None:
    path.write_bytes(movie(codec=b".mp3", samples=80_000_000, sample_bytes=1, sample_length=2))


def the_same_bytes_again_and_again(path: Path) -> None:
    count = 20_000
    sizes = struct.pack(">I", 150_000) * count
    path.write_bytes(
        movie(codec=b".mp3", samples=count, sample_bytes=0, sizes=sizes, offsets=(40,) * count,
              sample_length=1152)
    )  # fmt: skip


def packets_that_unpack(path: Path) -> None:
    packed = zlib.compress(bytes(9_000_000), 9)
    how = ebml("6d80", ebml("6240", ebml("5034", ebml("4254", b"\0"))))
    path.write_bytes(matroska([track(b"A_PCM/INT/LIT", more=how)], [packed] * 300))


def vorbis_tags(count: int) -> bytes:
    entries = (struct.pack("<I", 7) + b"%05x=x" % number for number in range(count))
    return struct.pack("<II", 0, count) + b"".join(entries)


def tags_in_a_flac(path: Path) -> None:
    tags = vorbis_tags(500_000)
    head = b"fLaC\0" + len(_FLAC_HEAD).to_bytes(3, "big") + _FLAC_HEAD
    path.write_bytes(head + b"\x84" + len(tags).to_bytes(3, "big") + tags)


def ogg_pages(packets: Iterable[bytes]) -> bytes:
    """Return Ogg pages; FFmpeg does not look at their checksums."""
    pages = b""
    for number, packet in enumerate(packets):
        lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255])
        for start in range(0, len(lacing), 255):
            flags = (2 if number == 0 else 0) | (1 if start else 0)
            part = packet[start * 255 : (start + 255) * 255]
            some = lacing[start : start + 255]
            pages += b"OggS\0" + struct.pack("<BqIIIB", flags, 0, 1, number, 0, len(some))
            pages += some + part
    return pages


def tags_in_an_ogg(path: Path) -> None:
    head = b"OpusHead\x01\x02" + struct.pack("<HIhB", 0, 48_000, 0, 0)
    path.write_bytes(ogg_pages([head, b"OpusTags" + vorbis_tags(500_000), b"\xfc\xff\xfe" * 9]))


def tags_in_a_matroska(path: Path) -> None:
    each = (ebml("67c8", ebml("45a3", b"%x" % n) + ebml("4487", b"1")) for n in range(300_000))
    tags = ebml("1254c367", ebml("7373", ebml("63c0", b"") + b"".join(each)))
    path.write_bytes(matroska([track(b"A_PCM/INT/LIT")], [bytes(4000)] * 50, tags))


def tags_before_an_mp3(path: Path) -> None:
    write_av(path, sines(4.0, 44_100), muxer="mp3", codec="libmp3lame")
    each = (b"\0%x\0z" % number for number in range(300_000))
    tags = b"".join(b"TXXX" + struct.pack(">IH", len(tag), 0) + tag for tag in each)
    size = bytes(len(tags) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + tags + path.read_bytes())


def _png(width: int, height: int) -> bytes:
    def part(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = part(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + head
        + part(b"IDAT", zlib.compress(bytes(50_000_000), 9))
        + part(b"IEND", b"")
    )


def a_cover_of_gigapixels(path: Path) -> None:
    write_av(path, sines(4.0, 44_100), muxer="mp3", codec="libmp3lame")
    content = b"\0image/png\0\3\0" + _png(60_000, 60_000)
    tag = b"APIC" + struct.pack(">IH", len(content), 0) + content
    size = bytes(len(tag) >> shift & 127 for shift in (21, 14, 7, 0))
    path.write_bytes(b"ID3\x03\0\0" + size + tag + path.read_bytes())


def an_index_of_nothing(path: Path) -> None:
    write_av(path, sines(4.0, 44_100), muxer="avi", codec="libmp3lame")
    data = path.read_bytes()
    data = data[: data.rindex(b"idx1")]
    entries = struct.pack("<4sIII", b"00wb", 16, 0x7FFFFFF0, 0x7FFFFFFF) * 200_000
    path.write_bytes(data + chunk(b"idx1", entries))


_LONG = "; the longest song is 15:00."
_FORM = ", which no song has."
_WORK = " would take far more work to read than any song."
_DAMAGED = "% of it cannot be read."

BOMBS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a flac that claims a million seconds": (long_flac, _LONG),
    "a matroska that claims a billion seconds": (long_matroska, _LONG),
    "hours of silence in 100 kB": (hours_in_a_flac, _LONG),
    "300 channels": (many_channels, _FORM),
    "no channels": (no_channels, _FORM),
    "2 GHz": (absurd_rate, _FORM),
    "5000 tracks": (many_tracks_in_a_movie, " is not an audio file that can be read."),
    "another form on every frame": (another_form_on_every_frame, _WORK),
    "hours in a packet": (hours_in_a_packet, _DAMAGED),
    "hours in an APE frame": (hours_in_an_ape_frame, _LONG),
    "a table of gigabytes": (a_table_of_gigabytes, _LONG),
    "packets that unpack": (packets_that_unpack, _WORK),
    "tags in a flac": (tags_in_a_flac, _WORK),
    "tags in an ogg": (tags_in_an_ogg, _WORK),
    "tags in a matroska": (tags_in_a_matroska, _WORK),
    "tags before an mp3": (tags_before_an_mp3, _WORK),
}
"""Writers of files that are refused, and what the refusal says."""

HARMLESS: dict[str, Callable[[Path], None]] = {
    "a wav that claims four gigabytes": long_wav,
    "127 tracks": many_streams,
    "a cover of gigapixels": a_cover_of_gigapixels,
    "an index of nothing": an_index_of_nothing,
}
"""Writers of files whose music is taken, and the rest is not looked at."""
