"""The benchmark of the buttons says what it measured."""

from __future__ import annotations

import pytest

from benchmarks.remix.__main__ import FULL, rows, verdict
from benchmarks.remix.buttons import BUTTONS
from pipeline.recipe import Recipe
from tests.test_laws import HEAVY, loaded_by

SECONDS = {FULL: [10.0, 8.0, 9.0], "quick": [1.0, 1.2, 1.125], "slow": [4.5, 4.5, 5.0]}


def test_rows_give_medians_and_shares() -> None:
    assert list(rows(SECONDS)) == [
        (FULL, "9.00", "8.00 to 10.00", ""),
        ("quick", "1.12", "1.00 to 1.20", "1/8.0"),
        ("slow", "4.50", "4.50 to 5.00", "1/2.0"),
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            ("quick", "slow"),
            "1 of 2 buttons answer within 1/8 of the whole merge. Not so: slow.",
        ),
        (("quick",), "1 of 1 buttons answer within 1/8 of the whole merge."),
    ],
)
def test_the_verdict_names_who_is_late(names: tuple[str, ...], words: str) -> None:
    assert verdict({name: SECONDS[name] for name in (FULL, *names)}) == words


def test_every_button_asks_for_something_else() -> None:
    kinds = [(button.recipe, button.swap, button.stems) for button in BUTTONS.values()]
    assert len(set(kinds)) == len(kinds)
    assert (Recipe(), False, False) not in kinds


@pytest.mark.parametrize("module", ["benchmarks.bench.ours", "benchmarks.remix.buttons"])
def test_a_worker_sets_numpy_up_before_it_comes(module: str) -> None:
    assert loaded_by(f"import {module}", HEAVY) == ""
