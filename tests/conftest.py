from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bot.usage import pytest_sessionfinish, pytest_terminal_summary, pytest_testnodedown
from tests.pair import Pair, write_pair

__all__ = ["pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]

ROOT = Path(__file__).parents[1]

# Read when numba is imported. Two processes that compile librosa's functions into one cache at the
# same time can both crash, so each of pytest-xdist's workers has a cache of its own. The bot's
# workers take it, too, and do not compile anew for each test.
cache = ROOT / ".pytest_cache" / f"numba-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache))


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
