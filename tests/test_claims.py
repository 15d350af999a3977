"""A folder is its owner's until it is given up or its process is gone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipeline.claims import claim, sweep

if TYPE_CHECKING:
    from pathlib import Path


def test_a_claimed_folder_is_left_alone_until_it_is_given_up(tmp_path: Path) -> None:
    folder, descriptor = claim(tmp_path)
    (folder / "file").touch()
    sweep(folder)
    assert (folder / "file").exists()
    assert folder.stat().st_mode & 0o077 == 0
    os.close(descriptor)
    sweep(folder)
    assert not folder.exists()


def test_two_claims_are_two_folders(tmp_path: Path) -> None:
    (first, one), (second, other) = claim(tmp_path), claim(tmp_path)
    assert first != second
    os.close(one)
    sweep(second)
    assert second.exists()
    os.close(other)


def test_what_was_moved_away_is_not_swept(tmp_path: Path) -> None:
    folder, descriptor = claim(tmp_path)
    kept = folder.rename(tmp_path / "kept")
    os.close(descriptor)
    sweep(folder)
    assert kept.exists()


def test_what_is_no_folder_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sweep(tmp_path / "file")
    assert (tmp_path / "file").exists()


def test_no_folder_in_what_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        claim(tmp_path / "absent")
