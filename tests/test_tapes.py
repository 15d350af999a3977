"""Signals on disk behave like any other, and take memory only while they are worked on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.tapes import (
    Moved,
    blocks,
    cut,
    file_of,
    head,
    in_memory,
    mapped,
    on_disk,
    release,
    stretches,
)

if TYPE_CHECKING:
    from pipeline.types import Signal

LENGTH = 3_000_000


def _ramp(length: int) -> Signal:
    return np.arange(2 * length, dtype=np.float32).reshape(2, length)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return 4096 * pages


@pytest.mark.parametrize("length", [0, 1, 1000])
def test_a_new_signal_is_silent(tmp_path: Path, length: int) -> None:
    for blank in (in_memory, on_disk(tmp_path)):
        signal = blank(length)
        assert signal.shape == (2, length)
        assert signal.dtype == np.float32
        assert not signal.any()


def test_a_signal_on_disk_leaves_no_file(tmp_path: Path) -> None:
    signal = on_disk(tmp_path)(1000)
    signal[:] = 1.0
    assert not list(tmp_path.iterdir())


def test_releasing_keeps_what_was_written_and_frees_the_memory(tmp_path: Path) -> None:
    signal = on_disk(tmp_path)(LENGTH)
    signal[:] = _ramp(LENGTH)
    before = _resident_bytes()
    release(signal[:, 100:200])  # a part of it stands for the whole
    assert _resident_bytes() < before - 6 * LENGTH
    assert np.array_equal(signal, _ramp(LENGTH))


def test_another_array_can_show_the_same_file(tmp_path: Path) -> None:
    signal = on_disk(tmp_path)(1000)
    signal[:] = _ramp(1000)
    file = file_of(signal)
    assert file is not None
    again = mapped(file, 1000)
    again[:, 500:] = 0.0
    assert np.array_equal(signal[:, :500], _ramp(1000)[:, :500])
    assert not signal[:, 500:].any()
    assert file_of(signal[:, 1:]) is None
    assert file_of(in_memory(1000)) is None
    del signal
    with pytest.raises(OSError, match="Bad file"):
        mapped(file, 1000)


def test_releasing_a_signal_in_memory_changes_nothing() -> None:
    signal = _ramp(100)
    release(signal, signal[:, 10:])
    assert np.array_equal(signal, _ramp(100))


def test_a_file_shown_read_only_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "signal.f32"
    path.write_bytes(_ramp(10).tobytes())
    with path.open("rb") as file:
        signal = mapped(file.fileno(), 10, writable=False)
    assert np.array_equal(signal, _ramp(10))
    with pytest.raises(ValueError, match="read-only"):
        signal[:] = 0.0


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (0, 3, [0, 1, 2]),
        (-2, 1, [0, 0, 0]),
        (3, 6, [3, 0, 0]),
        (7, 9, [0, 0]),
        (-9, -7, [0, 0]),
        (2, 2, []),
    ],
)
def test_a_cut_is_silent_outside_the_signal(start: int, stop: int, expected: list[float]) -> None:
    assert cut(_ramp(4), start, stop)[0].tolist() == expected


@pytest.mark.parametrize("size", [1, 3, 10, 11, 100])
def test_stretches_cover_signals_once_and_in_order(size: int) -> None:
    first, second = _ramp(10), -_ramp(10)
    parts = list(stretches(first, second, size=size))
    joined = [np.concatenate([copies[k] for _, copies in parts], axis=1) for k in (0, 1)]
    assert np.array_equal(joined[0], first)
    assert np.array_equal(joined[1], second)
    assert [part.start for part, _ in parts] == list(range(0, 10, size))


def test_stretches_bring_their_surroundings() -> None:
    (part, (copy,)), (last, (end,)) = stretches(_ramp(4), size=2, margin=3)
    assert (part, last) == (slice(0, 2), slice(2, 4))
    assert copy[0].tolist() == [0, 0, 0, 0, 1, 2, 3, 0]
    assert end[0].tolist() == [0, 0, 1, 2, 3, 0, 0, 0]


def test_stretches_of_nothing_are_none() -> None:
    assert not list(stretches(in_memory(0)))


@pytest.mark.parametrize("length", [0, 1, 100, 250])
def test_blocks_are_the_whole(tmp_path: Path, length: int) -> None:
    signal = on_disk(tmp_path)(length)
    signal[:] = _ramp(length)
    read = [block.copy() for block in blocks(signal, 100)]
    assert [block.shape[1] for block in read] == [100] * (length // 100) + [length % 100][
        : length % 100
    ]
    assert np.array_equal(np.hstack([_ramp(0), *read]), _ramp(length))


@pytest.mark.parametrize("start", [-3, 0, 2, 9, 20])
def test_a_moved_signal_is_silent_where_it_has_nothing(start: int) -> None:
    signal = np.arange(1, 21, dtype=np.float32).reshape(2, 10)
    moved = Moved(sound=signal, start=start, length=12)
    expected = cut(signal, start, start + 12)
    assert moved.shape == (2, 12)
    assert np.array_equal(moved[:, :], expected)
    assert np.array_equal(moved[:, 2:5], expected[:, 2:5])
    assert moved[:, 5:3].shape == (2, 0)
    assert np.array_equal(head(moved, 4)[:, :], expected[:, :4])
    assert head(moved, 99).shape == (2, 12)


def test_a_moved_signal_on_disk_can_be_let_go_of(tmp_path: Path) -> None:
    tape = on_disk(tmp_path)(100)
    tape[:] = 1.0
    moved = Moved(sound=tape, start=-50, length=100)
    release(moved)
    assert moved[:, :].sum() == 100.0
