"""Whose turn it is: round-robin between servers, inside a server between its people.

The server whose turn is oldest comes first. A turn is as old as the server's last one or, if it
had nothing waiting then, as the arrival of what it waits with now; so nobody saves up turns while
away, and who waits is never passed twice by the same neighbour. Inside a server the same rule
holds for its people, and one person's items keep their order.

Of what waits at one moment it follows that between two turns of a server every other server has
one at most, that between two turns of a person every other person of that server has one at most,
and that shares under equal demand differ by one at most.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

Item = TypeVar("Item", bound="Hashable")
_Line: TypeAlias = "deque[Item]"


class Turns(Generic[Item]):
    """What waits, in the order of a rotation: the first of the first person of the first server."""

    def __init__(self) -> None:
        self._servers: OrderedDict[Hashable, OrderedDict[Hashable, _Line[Item]]] = OrderedDict()
        self._homes: dict[Item, tuple[Hashable, Hashable]] = {}
        self._order: tuple[Item, ...] | None = ()  # None when it has to be worked out again

    def __len__(self) -> int:
        return len(self._homes)

    def __contains__(self, item: Item) -> bool:
        return item in self._homes

    def join(self, item: Item, server: Hashable, person: Hashable) -> None:
        """Let something wait; whoever waited with nothing takes the last place of the rotation."""
        people = self._servers.setdefault(server, OrderedDict())
        people.setdefault(person, deque()).append(item)
        self._homes[item] = (server, person)
        self._order = None

    def leave(self, item: Item) -> None:
        """Let something wait no longer, if it does."""
        home = self._homes.pop(item, None)
        if home is None:
            return
        server, person = home
        self._servers[server][person].remove(item)
        self._forget_the_idle(server, person)
        self._order = None

    @property
    def first(self) -> Item:
        """Whose turn it is; there must be something waiting."""
        people = next(iter(self._servers.values()))
        return next(iter(people.values()))[0]

    def take(self) -> Item:
        """Return whose turn it is, which has had it then; there must be something waiting."""
        item = self.first
        server, person = self._homes.pop(item)
        people = self._servers[server]
        people[person].popleft()
        people.move_to_end(person)
        self._servers.move_to_end(server)
        self._forget_the_idle(server, person)
        self._order = None
        return item

    def _forget_the_idle(self, server: Hashable, person: Hashable) -> None:
        people = self._servers[server]
        if not people[person]:
            del people[person]
        if not people:
            del self._servers[server]

    @property
    def order(self) -> tuple[Item, ...]:
        """All that wait, in the order of their turns if nobody else comes."""
        if self._order is None:
            self._order = self._foresee()
        return self._order

    def _foresee(self) -> tuple[Item, ...]:
        copy: Turns[Item] = Turns()
        for server, people in self._servers.items():
            for person, line in people.items():
                for item in line:
                    copy.join(item, server, person)
        return tuple(copy.take() for _ in range(len(self)))
