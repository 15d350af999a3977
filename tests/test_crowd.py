"""The figures of the crowd's benchmark, on crowds whose figures are known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.crowd.figures import (
    Press,
    first_come,
    jain,
    most_passed,
    overruns,
    percentile,
    seconds_in,
    shares,
    waits_s,
)
from benchmarks.crowd.rounds import BUSY_SERVER, Crowd


def crowd(answers: str) -> list[Press]:
    """Return presses of servers "a", "b" ... that all came at 0, one after the other answered."""
    return [
        Press(server=ord(letter), sent_at=0.0, acknowledged_at=0.5, answered_at=float(when))
        for when, letter in enumerate(answers, start=1)
    ]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1.0), (0.25, 1.0), (0.5, 2.0), (0.51, 3.0), (0.99, 4.0)]
)
def test_percentile(share: float, expected: float) -> None:
    assert percentile([4.0, 2.0, 3.0, 1.0], share) == expected


@pytest.mark.parametrize(
    ("parts", "expected"), [([2.0, 2.0], 1.0), ([1.0, 0.0, 0.0, 0.0], 0.25), ([3.0, 1.0], 0.8)]
)
def test_jain(parts: list[float], expected: float) -> None:
    assert jain(parts) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("abab", {"a": 2 / 1.5, "b": 2 / 2.5}),  # the last is due to "b" alone
        ("aabb", {"a": 2.0, "b": 2 / 3}),
        ("aaa", {"a": 1.0}),
    ],
)
def test_shares(answers: str, expected: dict[str, float]) -> None:
    found = shares(crowd(answers))
    assert {chr(server): share for server, share in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("answers", "expected"), [("", 0), ("aaa", 0), ("abab", 1), ("aaab", 3), ("abbbab", 2)]
)
def test_most_passed(answers: str, expected: int) -> None:
    assert most_passed(crowd(answers)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("In the queue: yours is number 2, ready in about 40 s.", 40.0),
        ("In the queue: yours is number 2, ready in about 4 min.", 240.0),
        ("In the queue: yours is number 9, ready in about 1.5 h.", 5400.0),
        ("In the queue: yours is number 1, ready in a moment.", None),
        ("Mixing the layers… about 40 s left", None),
    ],
)
def test_what_an_estimate_says(words: str, expected: float | None) -> None:
    assert seconds_in(words) == expected


def test_overruns_count_from_the_first_estimate() -> None:
    press = Press(server=1, sent_at=0.0, acknowledged_at=0.1, answered_at=32.0)
    said = replace(press, estimated_at=2.0, estimate="ready in about 20 s.")
    assert overruns([press, said]) == [1.5]


def test_first_come_gives_the_same_times_to_whoever_pressed_first() -> None:
    late = Press(server=1, sent_at=2.0, acknowledged_at=2.1, answered_at=3.0)
    early = Press(server=2, sent_at=1.0, acknowledged_at=1.1, answered_at=5.0)
    first, second = first_come([late, early])
    assert (first.server, first.answered_at) == (2, 3.0)
    assert (second.server, second.answered_at) == (1, 5.0)
    assert waits_s([first, second], {1, 2}) == (2.5, 3.0)
    assert waits_s([first, second], {1}) == (3.0, 3.0)


def test_everybody_presses_once_and_a_third_in_one_server() -> None:
    many = Crowd(people=200, servers=20, spread_s=60.0, work_s=0.5, rounds=1)
    presses = many.presses(0)
    servers = [server for _, server in presses]
    assert len(presses) == 200
    assert servers.count(BUSY_SERVER) == 66
    assert set(servers) == set(range(20))
    assert all(0.0 <= when_s <= 60.0 for when_s, _ in presses)
    assert many.presses(0) == presses != many.presses(1)
