from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.lengths import OVERDUE, about, left, soon


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "a few seconds"),
        (4.9, "a few seconds"),
        (5.0, "about 5 s"),
        (7.5, "about 10 s"),
        (17.4, "about 15 s"),
        (17.5, "about 20 s"),
        (41.0, "about 40 s"),
        (54.9, "about 50 s"),
        (55.0, "about 1 min"),
        (89.0, "about 1 min"),
        (90.0, "about 2 min"),
        (170.0, "about 3 min"),
        (600.0, "about 10 min"),
        (751.0, "about 15 min"),
        (3300.0, "about 55 min"),
        (3500.0, "about 1 h"),
        (5400.0, "about 1.5 h"),
        (7300.0, "about 2 h"),
        (36000.0, "about 10 h"),
    ],
)
def test_about(seconds: float, expected: str) -> None:
    assert about(seconds) == expected


@given(st.floats(0, 1e6))
def test_no_length_is_said_by_more_than_half_wrong(seconds: float) -> None:
    words = about(seconds)
    if words == "a few seconds":
        assert seconds < 5
        return
    _, number, unit = words.split()
    said = float(number) * {"s": 1, "min": 60, "h": 3600}[unit]
    assert said / 1.5 <= seconds <= said * 1.5


@pytest.mark.parametrize(
    ("seconds", "expected_left", "expected_soon"),
    [
        (None, "", ""),
        (OVERDUE, "a little longer than usual", "in a moment"),
        (1.0, "a few seconds left", "in a moment"),
        (41.0, "about 40 s left", "in about 40 s"),
        (130.0, "about 2 min left", "in about 2 min"),
    ],
)
def test_left_and_soon(seconds: float | None, expected_left: str, expected_soon: str) -> None:
    assert (left(seconds), soon(seconds)) == (expected_left, expected_soon)
