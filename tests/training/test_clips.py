from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from training.clips import read_clip, render_missing, stored_seeds, write_clip

if TYPE_CHECKING:
    from pathlib import Path

    from training.clips import Audio, Facts


def numbered(seed: int) -> tuple[Audio, Facts]:
    if seed == 13:
        raise ValueError("unlucky")
    return np.full((2, 8), seed / 100, dtype=np.float32), {"seed": seed}


def test_a_clip_comes_back_as_it_was_written_but_for_rounding(tmp_path: Path) -> None:
    audio = np.random.default_rng(1).uniform(-1, 1, (4, 2, 100)).astype(np.float32)
    write_clip(tmp_path / "new", 7, audio, {"seed": 7, "chords": [[0.0, 1.5, [0, 4, 7]]]})
    back, facts = read_clip(tmp_path / "new", 7)
    assert back.dtype == np.float32
    assert facts == {"seed": 7, "chords": [[0.0, 1.5, [0, 4, 7]]]}
    np.testing.assert_allclose(back, audio, atol=0.5 / 26_000 + 1e-6)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "000007.json",
        "000007.npy",
    ]


def test_samples_are_sixteen_bits_with_room_above_full_scale(tmp_path: Path) -> None:
    write_clip(tmp_path, 0, np.array([[1.0, -1.25, 2.0, -2.0]], dtype=np.float32), {})
    stored = np.load(tmp_path / "000000.npy")
    assert stored.dtype == np.int16
    assert stored.tolist() == [[26_000, -32_500, 32_767, -32_767]]


def test_a_clip_exists_once_its_facts_do(tmp_path: Path) -> None:
    write_clip(tmp_path, 3, np.zeros((2, 4), dtype=np.float32), {})
    (tmp_path / "000003.json").unlink()
    assert stored_seeds(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        read_clip(tmp_path, 3)


def test_no_directory_holds_no_clips(tmp_path: Path) -> None:
    assert stored_seeds(tmp_path / "none") == []


@pytest.mark.parametrize("processes", [1, 2])
def test_only_what_is_missing_is_rendered(tmp_path: Path, processes: int) -> None:
    write_clip(tmp_path, 1, np.ones((2, 8), dtype=np.float32), {"seed": "kept"})
    assert render_missing(tmp_path, range(4), numbered, processes=processes) == 3
    assert stored_seeds(tmp_path) == [0, 1, 2, 3]
    assert read_clip(tmp_path, 1)[1] == {"seed": "kept"}
    assert read_clip(tmp_path, 3)[0][0, 0] == pytest.approx(0.03)
    assert render_missing(tmp_path, range(4), numbered, processes=processes) == 0


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failure_is_not_swallowed(tmp_path: Path, processes: int) -> None:
    with pytest.raises(ValueError, match="unlucky"):
        render_missing(tmp_path, [12, 13], numbered, processes=processes)
    assert stored_seeds(tmp_path) == [12]
