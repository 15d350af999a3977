from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pair import Pair, write_pair

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two songs of 10 and 11 s; never write to their folder."""
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="session")
def small_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two songs of 5 s, for what must be done often."""
    return write_pair(
        tmp_path_factory.mktemp("small"),
        seeds=(3, 4),
        durations_s=(5.0, 5.2),
        bpms=(176.0, 172.0),
        intro_bars=0,
    )


@pytest.fixture
def temp_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go during the test; empty at its start."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    return folder
