"""Fair turns, as laws that hold for every order of arrivals and departures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.turns import Turns

Item: TypeAlias = tuple[int, int, int]  # server, person, number

TAKE = None
Act: TypeAlias = tuple[int, int] | int | None
"""Somebody of a server comes, the n-th that waits goes away, or the next one is taken."""

ACTS: st.SearchStrategy[list[Act]] = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just(0), st.just(0)),  # somebody who wants everything
        st.integers(0, 20),
        st.just(TAKE),
    ),
    max_size=80,
)


@dataclass
class Wait:
    """What was taken while something waited, and how many of its person's were ahead of it."""

    item: Item
    ahead: int
    taken: list[Item] = field(default_factory=list)

    def of_server(self, server: int) -> int:
        return sum(item[0] == server for item in self.taken)

    def of_person(self, server: int, person: int) -> int:
        return sum(item[:2] == (server, person) for item in self.taken)


def play(acts: list[Act]) -> tuple[list[Wait], list[Wait]]:
    """Return the waits that ended with a turn, and those that go on."""
    turns: Turns[Item] = Turns()
    waits: dict[Item, Wait] = {}
    ended = []
    for number, act in enumerate(acts):
        if isinstance(act, tuple):
            item = (*act, number)
            turns.join(item, act[0], act)
            waits[item] = Wait(item, sum(other[:2] == act for other in waits))
        elif isinstance(act, int):
            for item in list(waits)[act : act + 1]:
                turns.leave(item)
                del waits[item]
        elif waits:
            assert turns.first == turns.order[0]
            item = turns.take()
            ended.append(waits.pop(item))
            for wait in waits.values():
                wait.taken.append(item)
        assert len(turns) == len(waits)
        assert set(turns.order) == set(waits)
    return ended, list(waits.values())


@settings(deadline=None)
@given(ACTS)
def test_no_server_has_more_turns_than_another_that_waits(acts: list[Act]) -> None:
    ended, waiting = play(acts)
    for wait in [*ended, *waiting]:
        own = wait.of_server(wait.item[0])
        for server in {item[0] for item in wait.taken} - {wait.item[0]}:
            assert wait.of_server(server) <= own + 1


@settings(deadline=None)
@given(ACTS)
def test_nobody_has_more_turns_than_a_neighbour_that_waits(acts: list[Act]) -> None:
    ended, waiting = play(acts)
    for wait in [*ended, *waiting]:
        server, person, _ = wait.item
        own = wait.of_person(server, person)
        for other in {item[1] for item in wait.taken if item[0] == server} - {person}:
            assert wait.of_person(server, other) <= own + 1


@settings(deadline=None)
@given(ACTS)
def test_how_long_anything_waits_is_bounded_by_who_waits_with_it(acts: list[Act]) -> None:
    for wait in play(acts)[0]:
        server, _, _ = wait.item
        people = {item[1] for item in wait.taken if item[0] == server} | {wait.item[1]}
        servers = {item[0] for item in wait.taken} | {server}
        of_its_server = (wait.ahead + 1) * len(people) - 1
        assert wait.of_server(server) <= of_its_server
        assert len(wait.taken) <= (of_its_server + 1) * len(servers) - 1


@settings(deadline=None)
@given(ACTS)
def test_what_one_person_asked_for_keeps_its_order(acts: list[Act]) -> None:
    ended, _ = play(acts)
    for one, next_one in pairwise(sorted((wait.item[:2], n) for n, wait in enumerate(ended))):
        if one[0] == next_one[0]:
            assert ended[one[1]].item[2] < ended[next_one[1]].item[2]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30))
def test_the_order_is_foreseen(comers: list[tuple[int, int]]) -> None:
    turns: Turns[Item] = Turns()
    for number, (server, person) in enumerate(comers):
        turns.join((server, person, number), server, person)
    foreseen = turns.order
    assert tuple(turns.take() for _ in comers) == foreseen


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(0, 80))
def test_equal_demand_has_equal_shares(servers: int, people: int, each: int, taken: int) -> None:
    turns: Turns[Item] = Turns()
    for server in range(servers):
        for person in range(people):
            for number in range(each):
                turns.join((server, person, number), server, person)
    had = [turns.take() for _ in range(min(taken, len(turns)))]
    by_server = Counter(dict.fromkeys(range(servers), 0))
    by_person = Counter({(s, p): 0 for s in range(servers) for p in range(people)})
    by_server.update(item[0] for item in had)
    by_person.update(item[:2] for item in had)
    assert max(by_server.values()) - min(by_server.values()) <= 1
    for server in range(servers):
        shares = [by_person[server, person] for person in range(people)]
        assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("comers", "expected"),
    [
        ("", ""),
        ("Aa1 Aa2 Aa3", "Aa1 Aa2 Aa3"),
        # One person's many wait for another server's one.
        ("Aa1 Aa2 Aa3 Bb1", "Aa1 Bb1 Aa2 Aa3"),
        # People of one server share its turns, however many they are.
        ("Aa1 Ab1 Ac1 Ba1 Ba2", "Aa1 Ba1 Ab1 Ba2 Ac1"),
        # Inside a server, one person's many wait for a neighbour's one.
        ("Aa1 Aa2 Aa3 Ab1", "Aa1 Ab1 Aa2 Aa3"),
    ],
)
def test_known_orders(comers: str, expected: str) -> None:
    turns: Turns[str] = Turns()
    for name in comers.split():
        turns.join(name, name[0], name[1])
    assert " ".join(turns.order) == expected


def test_nobody_saves_up_turns_while_away() -> None:
    turns: Turns[str] = Turns()
    for name in ("Aa1", "Aa2", "Aa3"):
        turns.join(name, "A", "a")
    assert turns.take() == "Aa1"
    turns.join("Bb1", "B", "b")
    turns.join("Bb2", "B", "b")
    assert turns.order == ("Aa2", "Bb1", "Aa3", "Bb2")


def test_who_goes_away_with_all_comes_back_last() -> None:
    turns: Turns[str] = Turns()
    for name in ("Aa1", "Bb1"):
        turns.join(name, name[0], name[1])
    turns.leave("Aa1")
    turns.leave("Aa1")  # once is enough
    assert "Aa1" not in turns
    turns.join("Aa2", "A", "a")
    assert turns.order == ("Bb1", "Aa2")
