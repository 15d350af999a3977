"""Tell a whole TensorFlow checkpoint from a broken one, without TensorFlow.

A checkpoint "model" is an index, ``model.index``, and its tensors, cut into shards named
``model.data-00000-of-00001``. The index is a sorted table of key and value as LevelDB keeps it
(https://github.com/google/leveldb/blob/main/doc/table_format.md), uncompressed; the empty key
holds a BundleHeaderProto, every other key a BundleEntryProto (tensorflow/core/protobuf/
tensor_bundle.proto), which says where in which shard a tensor lies.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FOOTER_LENGTH = 48
_MAGIC = 0xDB4775248B80FB57
_UNCOMPRESSED = 0

# Field numbers of the two messages, and the wire types of protocol buffers.
_HEADER_NUM_SHARDS = 1
_ENTRY_SHARD_ID, _ENTRY_OFFSET, _ENTRY_SIZE = 3, 4, 5
_VARINT, _FIXED64, _LENGTH_DELIMITED, _FIXED32 = 0, 1, 2, 5


def is_whole(prefix: Path) -> bool:
    """Say whether a checkpoint's index can be read and every shard is as long as it says.

    What lies inside the shards is not looked at: every tensor carries its own checksum, which
    TensorFlow verifies when it reads it.

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
    try:
        return _shard_lengths(index)
    except (IndexError, struct.error) as error:
        raise ValueError("the index breaks off") from error


def _shard_lengths(index: bytes) -> dict[str, int]:
    entries = _table(index)
    key, header = next(entries, (b"?", b""))
    n_shards = _fields(header).get(_HEADER_NUM_SHARDS, 0)
    if key or n_shards < 1:
        raise ValueError("the index has no header")
    ends: defaultdict[int, int] = defaultdict(int)
    for _, value in entries:
        entry = _fields(value)
        shard = entry.get(_ENTRY_SHARD_ID, 0)
        end = entry.get(_ENTRY_OFFSET, 0) + entry.get(_ENTRY_SIZE, 0)
        ends[shard] = max(ends[shard], end)
    if not ends or max(ends) >= n_shards:
        raise ValueError("the index names no tensors, or shards that there are not")
    return {f"data-{shard:05d}-of-{n_shards:05d}": ends[shard] for shard in range(n_shards)}


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


def _fields(message: bytes) -> dict[int, int]:
    """Read the whole-number fields of a protocol buffer message; skip the others."""
    fields: dict[int, int] = {}
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == _VARINT:
            fields[number], at = _varint(message, at)
        elif wire_type == _LENGTH_DELIMITED:
            length, at = _varint(message, at)
            at += length
        elif wire_type in (_FIXED32, _FIXED64):
            at += 4 if wire_type == _FIXED32 else 8
        else:
            raise ValueError("an entry of the index cannot be read")
    return fields


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
