"""Changes files at random, as damage does and as people do who mean harm."""

from __future__ import annotations

import struct
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HEAD = 700  # bytes in which most headers lie
_SIZES = (0, 1, 2, 255, 0x7F, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_MOST_CHANGES = 5
_LONGEST = 200_000


def mutant(seed: str, corpus: Mapping[str, bytes]) -> bytes:
    """Return a file that is made of one of the corpus, the same for the same seed.

    Parameters
    ----------
    seed
        Any text.
    corpus
        The files by their names.
    """
    rng = Random(seed)
    names = sorted(corpus)
    content = bytearray(corpus[rng.choice(names)])
    other = corpus[rng.choice(names)]
    for _ in range(rng.randint(1, _MOST_CHANGES)):
        rng.choice(_CHANGES)(rng, content, other)
        if not content:
            content += b"\0"
    return bytes(content[:_LONGEST])


def _place(rng: Random, content: bytearray) -> int:
    """Return a place in a file, in every second case near its head."""
    return rng.randrange(max(1, min(len(content), _HEAD) if rng.random() < 0.5 else len(content)))


def _part(rng: Random, content: bytes | bytearray) -> slice:
    size = 1 << rng.randrange(13)
    start = rng.randrange(max(1, len(content)))
    return slice(start, start + size)


def _flip_bits(rng: Random, content: bytearray, _other: bytes) -> None:
    for _ in range(1 << rng.randrange(8)):
        content[_place(rng, content)] ^= 1 << rng.randrange(8)


def _set_bytes(rng: Random, content: bytearray, _other: bytes) -> None:
    start = _place(rng, content)
    count = min(1 << rng.randrange(6), len(content) - start)
    content[start : start + count] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF))]) * count


def _set_size(rng: Random, content: bytearray, _other: bytes) -> None:
    form = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    count = struct.calcsize(form)
    start = _place(rng, content)
    value = rng.choice((*_SIZES, len(content), rng.getrandbits(32)))
    if start + count <= len(content):
        struct.pack_into(form, content, start, value & ((1 << 8 * count) - 1))


def _change_number(rng: Random, content: bytearray, _other: bytes) -> None:
    start = _place(rng, content)
    content[start] = (content[start] + rng.choice((-16, -2, -1, 1, 2, 16))) & 0xFF


def _cut(rng: Random, content: bytearray, _other: bytes) -> None:
    del content[rng.randrange(len(content)) + 1 :]


def _take_out(rng: Random, content: bytearray, _other: bytes) -> None:
    del content[_part(rng, content)]


def _repeat(rng: Random, content: bytearray, _other: bytes) -> None:
    part = _part(rng, content)
    content[part.start : part.start] = content[part] * rng.choice((1, 1, 2, 50))
    del content[_LONGEST:]


def _swap(rng: Random, content: bytearray, _other: bytes) -> None:
    one, two = _part(rng, content), _part(rng, content)
    content[one], content[two] = content[two], content[one]


def _splice(rng: Random, content: bytearray, other: bytes) -> None:
    part = other[_part(rng, other)]
    start = _place(rng, content)
    content[start : start + rng.choice((0, len(part)))] = part


def _go_on_with_another(rng: Random, content: bytearray, other: bytes) -> None:
    content[rng.randrange(len(content)) :] = other[rng.randrange(len(other)) :]


def _append(rng: Random, content: bytearray, other: bytes) -> None:
    content += rng.choice((rng.randbytes(1 << rng.randrange(14)), other, bytes(5000)))


def _put_in_front(rng: Random, content: bytearray, other: bytes) -> None:
    tag = b"ID3\x03\0\0" + rng.randbytes(4)
    content[:0] = rng.choice((tag, rng.randbytes(1 << rng.randrange(8)), other[:64]))


_CHANGES: tuple[Callable[[Random, bytearray, bytes], None], ...] = (
    *(_flip_bits, _set_bytes, _set_size, _set_size, _change_number, _cut, _take_out, _repeat),
    *(_swap, _splice, _go_on_with_another, _append, _put_in_front),
)
