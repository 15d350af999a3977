from __future__ import annotations

import pytest

from composer import Composition, compose


@pytest.fixture(scope="session")
def songs() -> list[Composition]:
    """Ten short songs as their seeds would have them, half of them with a wandering tempo."""
    return [
        compose(seed, duration_s=16.0, intro_bars=1, drift=0.02 * (seed % 2)) for seed in range(10)
    ]
