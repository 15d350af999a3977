from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.release_server import Release, serve
from tests.tiny_spleeter import make_tiny_model, pack_release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("spleeter") / "2stems")


@pytest.fixture(scope="session")
def tiny_release(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_release(tiny_model, tmp_path_factory.mktemp("release") / "v1.4.0")


@pytest.fixture
def release(tiny_release: Path) -> Iterator[Release]:
    with serve(tiny_release) as running:
        yield running
