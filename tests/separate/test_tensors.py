from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.separate.checkpoint import read_index
from pipeline.separate.tensors import read_tensors

if TYPE_CHECKING:
    from pathlib import Path

INDEX, SHARD = "model.index", "model.data-00000-of-00001"


def files_of(model_dir: Path) -> dict[str, bytes]:
    return {name: (model_dir / name).read_bytes() for name in (INDEX, SHARD)}


def test_tensors_are_what_tensorflow_reads(tiny_model: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds

    reader = tf.train.load_checkpoint(str(tiny_model / "model"))
    tensors = read_tensors(files_of(tiny_model).__getitem__, "model")
    assert set(tensors) == set(reader.get_variable_to_shape_map())
    assert tensors["global_step"].dtype == np.int64
    for name, values in tensors.items():
        theirs = np.asarray(reader.get_tensor(name))
        assert values.dtype == theirs.dtype
        np.testing.assert_array_equal(values, theirs)


def test_an_altered_byte_of_any_tensor_is_noticed(tiny_model: Path) -> None:
    genuine = files_of(tiny_model)
    for name, entry in read_index(genuine[INDEX]).items():
        shard = bytearray(genuine[SHARD])
        shard[entry.offset + entry.size // 2] ^= 0x01
        files = {**genuine, SHARD: bytes(shard)}
        with pytest.raises(ValueError, match=f"the checksum of {name} is wrong"):
            read_tensors(files.__getitem__, "model")


def test_what_is_no_number_is_passed_over(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds

    # Its object-based savers add a description of the objects, which is text.
    tf.train.Checkpoint(weight=tf.Variable([1.0, 2.0])).write(str(tmp_path / "model"))
    tensors = read_tensors(files_of(tmp_path).__getitem__, "model")
    assert [values.tolist() for values in tensors.values()] == [[1.0, 2.0]]


@pytest.mark.parametrize("name", [INDEX, SHARD])
def test_a_file_that_breaks_off_is_noticed(tiny_model: Path, name: str) -> None:
    files = files_of(tiny_model)
    files[name] = files[name][:-1]
    with pytest.raises(EOFError):
        read_tensors(files.__getitem__, "model")


def test_the_index_says_where_each_tensor_lies(tiny_model: Path) -> None:
    entry = read_index((tiny_model / INDEX).read_bytes())["conv2d/kernel"]
    assert entry.shape == (5, 5, 2, 2)
    assert entry.size == 5 * 5 * 2 * 2 * 4
    assert entry.shard == SHARD.removeprefix("model.")
