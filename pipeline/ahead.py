"""Work on one block after the other, the next ones while the last one is put where it belongs."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = 2  # what is worked on here leaves Python's lock to others most of the time
_MOST_AHEAD = 3  # blocks in memory


def in_order(
    act: Callable[[Item], Result], items: Iterable[Item]
) -> Generator[tuple[Item, Result], None, None]:
    """Do something with each item, in two threads, and yield items and results in order.

    Parameters
    ----------
    act
        What to do; what it raises comes out where its result would.
    items
        They are made in the caller's thread, up to three ahead.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        ahead: deque[tuple[Item, Future[Result]]] = deque()
        for item in items:
            ahead.append((item, pool.submit(act, item)))
            if len(ahead) > _MOST_AHEAD:
                first, future = ahead.popleft()
                yield first, future.result()
        for first, future in ahead:
            yield first, future.result()
