"""Read the index of a TensorFlow checkpoint, and tell a whole one from a broken one.

A checkpoint "model" is an index, ``model.index``, and its tensors, cut into shards named
``model.data-00000-of-00001``. The index is a sorted table of key and value as LevelDB keeps it
(https://github.com/google/leveldb/blob/main/doc/table_format.md), uncompressed; the empty key
holds a BundleHeaderProto, every other key a BundleEntryProto (tensorflow/core/protobuf/
tensor_bundle.proto), which says where in which shard a tensor lies.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOOTER_LENGTH = 48
_MAGIC = 0xDB4775248B80FB57
_UNCOMPRESSED = 0

# Field numbers of the messages, and the wire types of protocol buffers.
_HEADER_NUM_SHARDS, _HEADER_ENDIANNESS = 1, 2
_ENTRY_DTYPE, _ENTRY_SHAPE = 1, 2
_ENTRY_SHARD_ID, _ENTRY_OFFSET, _ENTRY_SIZE, _ENTRY_CRC32C = 3, 4, 5, 6
_SHAPE_DIM, _DIM_SIZE = 2, 1
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorEntry:
    """Where a tensor lies, and how to tell that it is all there.

    Attributes
    ----------
    dtype
        Its type, a number of tensorflow/core/framework/types.proto.
    shape
        Its axes.
    shard
        The ending of its file, e.g. "data-00000-of-00001".
    offset, size
        Where in that file it starts, and how long it is, in bytes.
    checksum
        CRC-32C of its bytes, masked as LevelDB does.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: str
    offset: int
    size: int
    checksum: int


def is_whole(prefix: Path) -> bool:
    """Say whether a checkpoint's index can be read and every shard is as long as it says.

    What lies inside the shards is not looked at: every tensor carries its own checksum, which
    `pipeline.separate.tensors` verifies when it reads it.

    Parameters
    ----------
    prefix
        Path of the checkpoint without an ending, e.g. ``2stems/model``.
    """
    try:
        lengths = shard_lengths(prefix.with_name(f"{prefix.name}.index").read_bytes())
        return all(
            prefix.with_name(f"{prefix.name}.{shard}").stat().st_size >= length
            for shard, length in lengths.items()
        )
    except (OSError, ValueError):
        return False


def shard_lengths(index: bytes) -> dict[str, int]:
    """Read from an index how long each shard must be at least.

    Parameters
    ----------
    index
        The bytes of a ``.index`` file.

    Returns
    -------
    dict
        For each shard its ending, e.g. "data-00000-of-00001", and its length in bytes.

    Raises
    ------
    ValueError
        The bytes are no index, or a part of it is missing.
    """
    lengths: defaultdict[str, int] = defaultdict(int)
    for entry in read_index(index).values():
        lengths[entry.shard] = max(lengths[entry.shard], entry.offset + entry.size)
    return dict(lengths)


def read_index(index: bytes) -> dict[str, TensorEntry]:
    """Read from an index where every tensor lies.

    Parameters
    ----------
    index
        The bytes of a ``.index`` file.

    Returns
    -------
    dict
        For each tensor its name, as the graph had it, and its place.

    Raises
    ------
    ValueError
        The bytes are no index, a part of it is missing, or it names no tensors.
    """
    try:
        return _read_index(index)
    except (IndexError, struct.error) as error:
        raise ValueError("the index breaks off") from error


def _read_index(index: bytes) -> dict[str, TensorEntry]:
    table = _table(index)
    key, header = next(table, (b"?", b""))
    n_shards = _numbers(header).get(_HEADER_NUM_SHARDS, 0)
    if key or n_shards < 1:
        raise ValueError("the index has no header")
    if _numbers(header).get(_HEADER_ENDIANNESS, 0):
        raise ValueError("the index is of a checkpoint with the highest byte first")
    entries = {name.decode(): _entry(value, n_shards) for name, value in table}
    if not entries:
        raise ValueError("the index names no tensors")
    return entries


def _entry(message: bytes, n_shards: int) -> TensorEntry:
    numbers = _numbers(message)
    shard = numbers.get(_ENTRY_SHARD_ID, 0)
    if shard >= n_shards:
        raise ValueError("the index names shards that there are not")
    return TensorEntry(
        dtype=numbers.get(_ENTRY_DTYPE, 0),
        shape=_shape(message),
        shard=f"data-{shard:05d}-of-{n_shards:05d}",
        offset=numbers.get(_ENTRY_OFFSET, 0),
        size=numbers.get(_ENTRY_SIZE, 0),
        checksum=numbers.get(_ENTRY_CRC32C, 0),
    )


def _shape(message: bytes) -> tuple[int, ...]:
    """Read a tensor's shape, a TensorShapeProto of a Dim for each axis, out of its entry."""
    return tuple(
        _numbers(axis).get(_DIM_SIZE, 0)
        for number, shape in _fields(message)
        if number == _ENTRY_SHAPE and isinstance(shape, bytes)
        for field, axis in _fields(shape)
        if field == _SHAPE_DIM and isinstance(axis, bytes)
    )


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give all keys and values of a table in order."""
    if len(data) < _FOOTER_LENGTH or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("the file does not end as an index does")
    footer = data[-_FOOTER_LENGTH:]
    _, at = _varint(footer, 0)  # the metaindex block's offset and size are of no interest
    _, at = _varint(footer, at)
    for _, handle in _block(data, footer[at:]):
        yield from _block(data, handle)


def _block(data: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the keys and values of the block that a handle (offset, size) points to."""
    start, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    block = data[start : start + size]
    if len(block) < size or data[start + size] != _UNCOMPRESSED:
        raise ValueError("a block of the index is missing or compressed")
    (n_restarts,) = struct.unpack("<I", block[-4:])
    end, at, key = size - 4 * (n_restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + length]
        at += length


def _numbers(message: bytes) -> dict[int, int]:
    """Read the whole-number fields of a protocol buffer message."""
    return {number: value for number, value in _fields(message) if isinstance(value, int)}


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give the fields of a protocol buffer message in order: whole numbers, or bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            value, at = _varint(message, at)
            yield number, value
        elif wire_type == _LENGTH_DELIMITED:
            length, at = _varint(message, at)
            yield number, message[at : at + length]
            at += length
        elif wire_type in (_FIXED32, _FIXED64):
            length = 4 if wire_type == _FIXED32 else 8
            yield number, int.from_bytes(message[at : at + length], "little")
            at += length
        else:
            raise ValueError("an entry of the index cannot be read")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a whole number, seven bits a byte, lowest first; return it and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
