"""What matching does to the chroma and the levels of whole merges, on two composed pairs.

``python -m benchmarks.fit`` takes 16 pairs of longer songs: how often the chroma rises shows there.
"""

from __future__ import annotations

import pytest
from rich.console import Console

from benchmarks.fit import Fitted, fit_pair, song, table_of
from pipeline.recipe import Recipe

PAIRS = ((1, 4), (4, 2))  # 1 is the quietest song, 4 the loudest
LENGTH_S = 18.0


@pytest.fixture(scope="module")
def fitted() -> list[Fitted]:
    made = [fit_pair(song(a, LENGTH_S), song(b, LENGTH_S), Recipe()) for a, b in PAIRS]
    Console(width=140).print(table_of(made))
    return made


@pytest.mark.slow
def test_the_layers_never_agree_less_than_as_they_were_sung(fitted: list[Fitted]) -> None:
    assert min(pair.matched - pair.before for pair in fitted) >= -0.02


def test_shifted_voices_agree_better_than_as_they_were_sung(fitted: list[Fitted]) -> None:
    shifted = [pair for pair in fitted if pair.semitones]
    assert shifted
    assert all(pair.matched > pair.placed for pair in shifted)
    assert all(pair.fifths <= 1 for pair in shifted)


def test_the_voice_is_as_far_above_the_backing_as_it_should_be(fitted: list[Fitted]) -> None:
    assert [pair.balance_lu for pair in fitted] == pytest.approx([1.0] * len(fitted), abs=1.0)


def test_what_is_delivered_is_loud_enough_and_never_clips(fitted: list[Fitted]) -> None:
    assert [pair.lufs for pair in fitted] == pytest.approx([-14.0] * len(fitted), abs=0.5)
    assert max(pair.peak_dbtp for pair in fitted) <= -1.0
    assert sum(pair.clipped for pair in fitted) == 0
