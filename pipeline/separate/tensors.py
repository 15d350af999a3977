"""Read the tensors of a TensorFlow checkpoint without TensorFlow, each against its checksum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import google_crc32c
import numpy as np

from pipeline.separate.checkpoint import TensorEntry, read_index

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.separate.model import ReadFile

Tensors: TypeAlias = "dict[str, npt.NDArray[Any]]"

# DataType numbers of tensorflow/core/framework/types.proto that a Spleeter checkpoint may hold:
# its weights are 32-bit, and the counter of training steps is a whole number.
_DTYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}

# LevelDB masks the checksums that it stores, so that they are no checksums of themselves.
_MASK_DELTA = 0xA282EAD8


def read_tensors(read: ReadFile, name: str) -> Tensors:
    """Read all tensors of a checkpoint that are numbers; some savers put text beside them.

    Parameters
    ----------
    read
        Returns the content of a file of the model by its name.
    name
        The checkpoint's name, e.g. "model" where its index is ``model.index``.

    Returns
    -------
    dict
        For each tensor its name and its values, read-only.

    Raises
    ------
    EOFError
        A file breaks off: the index cannot be read, or a shard is shorter than it says.
    OSError
        A file cannot be read.
    ValueError
        A tensor's checksum is wrong, or its size does not fit its shape.
    """
    try:
        entries = read_index(read(f"{name}.index"))
    except ValueError as error:
        raise EOFError(str(error)) from error
    shards = {shard: read(f"{name}.{shard}") for shard in {e.shard for e in entries.values()}}
    return {
        key: _tensor(key, entry, shards[entry.shard])
        for key, entry in entries.items()
        if entry.dtype in _DTYPES
    }


def _tensor(name: str, entry: TensorEntry, shard: bytes) -> npt.NDArray[Any]:
    code = _DTYPES[entry.dtype]
    content = shard[entry.offset : entry.offset + entry.size]
    if len(content) < entry.size:
        raise EOFError(f"{name} is not all there")
    if entry.size != math.prod(entry.shape) * np.dtype(code).itemsize:
        raise ValueError(f"{name} has another size than its shape says")
    if _masked(google_crc32c.value(content)) != entry.checksum:
        raise ValueError(f"the checksum of {name} is wrong")
    return np.frombuffer(content, dtype=code).reshape(entry.shape)


def _masked(checksum: int) -> int:
    rotated = (checksum >> 15) | (checksum << 17) & 0xFFFFFFFF
    return (rotated + _MASK_DELTA) & 0xFFFFFFFF
