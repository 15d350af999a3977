"""Counts the tags of a file, because FFmpeg compares each with all the others.

A hundred thousand of them fit in a megabyte and take it half a minute, a million an hour. Where it
reads them bit by bit, `pipeline.costs.Metered` ends it. In ID3, FLAC, Ogg and Matroska it takes
them all at once and cannot be stopped, so they are counted here before it sees the file.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable, Iterator

MOST_TAGS = 5_000
"""Tags that a file may have: FFmpeg takes a tenth of a second for so many."""

_FLAC_COMMENT = 4
_BEGINS = 2  # bit in the head of an Ogg page: a recording starts here
_CONTINUES = 1  # the same: the page starts with the rest of a packet
_HEADER_PACKETS = 8  # of an Ogg recording; the second has the tags, in FLAC any of the first
_COMMENT_STARTS = (0, 4, 7, 8)  # bytes before the tags: Speex, FLAC, Vorbis and Theora, Opus
_SIMPLE_TAG = b"\x67\xc8"  # Matroska's element
_ID3_FRAME = re.compile(rb"T[0-9A-Z]{2}|COM|PRI|ULT|USL|GEO|CHA")  # names of three or four letters
_NOISE_PER_SIMPLE_TAG = 16_384  # bytes; noise looks like its two bytes in every 65 536


def has_too_many_tags(content: mmap.mmap | bytes) -> bool:
    """Whether a file has more tags than FFmpeg can take in passing.

    Parameters
    ----------
    content
        The whole file.
    """
    start = _after_id3(content)
    if _more_than(MOST_TAGS, _ID3_FRAME.finditer(content, 0, start)):
        return True
    head = content[start : start + 4]
    if head == b"fLaC":
        blocks = _flac_comments(content, start + 4)
        return any(_count(block, 0) > MOST_TAGS for block in blocks)
    if head == b"OggS":
        packets = _ogg_headers(content, start)
        return any(_count(p, at) > MOST_TAGS for p in packets for at in _COMMENT_STARTS)
    if head == b"\x1a\x45\xdf\xa3":
        most = MOST_TAGS + len(content) // _NOISE_PER_SIMPLE_TAG
        return _more_than(most, re.finditer(_SIMPLE_TAG, content))
    return False


def _after_id3(content: mmap.mmap | bytes) -> int:
    """Return where a file goes on behind the ID3 tags that FFmpeg takes before any format."""
    start = 0
    while content[start : start + 3] == b"ID3" and len(content) >= start + 10:
        size = 0
        for byte in content[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start += 10 + size + (10 if content[start + 5] & 0x10 else 0)
    return start


def _flac_comments(content: mmap.mmap | bytes, at: int) -> Iterator[bytes]:
    while at + 4 <= len(content):
        kind, size = content[at], int.from_bytes(content[at + 1 : at + 4], "big")
        if kind & 0x7F == _FLAC_COMMENT:
            yield content[at + 4 : at + 4 + size]
        if kind & 0x80:
            return
        at += 4 + size


def _ogg_headers(content: mmap.mmap | bytes, at: int) -> Iterator[bytes]:
    """Yield the first packets of each recording in an Ogg file."""
    begun: dict[bytes, list[bytearray]] = {}
    while (at := content.find(b"OggS", at)) >= 0 and at + 27 <= len(content):
        flags, serial = content[at + 5], content[at + 14 : at + 18]
        lacing = content[at + 27 : at + 27 + content[at + 26]]
        at += 27 + len(lacing)
        if flags & _BEGINS:
            yield from map(bytes, begun.pop(serial, ()))
            begun[serial] = []
        packets = begun.get(serial)
        if packets is not None:
            _add_page(
                packets, content[at : at + sum(lacing)], lacing, rest=bool(flags & _CONTINUES)
            )
            if len(packets) > _HEADER_PACKETS:
                yield from map(bytes, begun.pop(serial))
        at += sum(lacing)
    for packets in begun.values():
        yield from map(bytes, packets)


def _add_page(packets: list[bytearray], body: bytes, lacing: bytes, *, rest: bool) -> None:
    at, goes_on = 0, rest and bool(packets)
    for size in lacing:
        if not goes_on:
            packets.append(bytearray())
        packets[-1] += body[at : at + size]
        at += size
        goes_on = size == 255


def _count(comments: bytes, at: int) -> int:
    """Return how many tags there are at a place, one more than allowed at most."""
    if at + 4 > len(comments):
        return 0
    at += 8 + int(struct.unpack_from("<I", comments, at)[0])  # whose encoder it was, and the count
    found = 0
    while found <= MOST_TAGS and at + 4 <= len(comments):
        at += 4 + int(struct.unpack_from("<I", comments, at)[0])
        found += at <= len(comments)
    return found


def _more_than(most: int, found: Iterable[object]) -> bool:
    return any(number == most for number, _ in enumerate(found))
