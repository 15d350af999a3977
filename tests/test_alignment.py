"""How well the two layers of a mash-up coincide, on 30 pairs out of a few composed songs.

``pytest -s`` prints the table; ``python -m benchmarks.alignment`` takes 60 longer songs.
"""

from __future__ import annotations

import numpy as np
import pytest
from rich.console import Console

from benchmarks.alignment import Pair, merge_pair, table_of

pytestmark = pytest.mark.slow

SONGS = 12
LENGTH_S = 32.0
PAIRS = [(n % SONGS, (n + step) % SONGS) for step in (1, 5, 3) for n in range(SONGS)][:30]

LONG_PAIR = (1, 3)  # both wander, by 3 and 2 %


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    made = [merge_pair(voice, backing, SONGS, LENGTH_S) for voice, backing in PAIRS]
    Console(width=130).print(table_of(made))
    return made


def test_beats_of_the_layers_coincide(pairs: list[Pair]) -> None:
    away = np.abs(np.concatenate([pair.offsets_s for pair in pairs]))
    assert len(away) > 20 * len(pairs)
    assert np.median(away) <= 0.012
    assert np.percentile(away, 95) <= 0.035


def test_layers_do_not_drift_apart() -> None:
    # Over half a minute an error of 3 ms here and there would pass for a drift.
    pair = merge_pair(*LONG_PAIR, SONGS, 70.0)
    Console(width=130).print(table_of([pair]))
    assert abs(pair.drift_ms_per_minute) <= 5.0


def test_bars_of_the_layers_coincide(pairs: list[Pair]) -> None:
    bars = np.concatenate([pair.shared_bars for pair in pairs if pair.both_in_four])
    assert bars.mean() >= 0.95
