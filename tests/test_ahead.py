"""Blocks are worked on ahead, and come out in order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from pipeline.ahead import in_order

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_results_come_in_order_though_they_are_ready_in_another() -> None:
    later = threading.Event()

    def act(item: int) -> int:
        if item == 0:
            assert later.wait(10.0)
        else:
            later.set()
        return item * item

    assert list(in_order(act, range(20))) == [(item, item * item) for item in range(20)]


def test_no_more_than_a_few_items_are_made_ahead() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    results = in_order(str, items())
    next(results)
    assert len(made) == 4


def test_nothing_comes_of_nothing() -> None:
    assert list(in_order(str, [])) == []


def test_an_error_comes_out_where_the_result_would() -> None:
    results = in_order(lambda item: 1 // item, [2, 1, 0, 3])
    assert [next(results), next(results)] == [(2, 0), (1, 1)]
    with pytest.raises(ZeroDivisionError):
        next(results)
