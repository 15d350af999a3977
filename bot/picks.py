"""First songs that wait for a second one, for a quarter of an hour at most.

Discord's address of an attachment expires, so a pick is fetched when it is made. Its folder
is called by the pick's id; the table `picks` says whose it is, and both survive a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from bot.files import delete, delete_orphans
from bot.picked import Pick
from pipeline.errors import UserError
from pipeline.names import clean_name

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from bot.orders import Offer
    from bot.picked import Role
    from bot.store import Store

log = logging.getLogger(__name__)

KEPT_S = 900.0
"""How long a pick waits, in seconds."""

MOST_PICKS = 100
"""How many songs may wait at a time, of all people together: the disk has an end."""

OUTSIDE = 0
"""What the table has for a server's id outside of servers."""


class StillFetchingError(UserError):
    """A pick has not been fetched yet."""


class TooManyPicksError(UserError):
    """There is no room for another song that waits."""


class Picks:
    """All that wait, one for each person and server.

    Parameters
    ----------
    folder
        Where their files lie; made when the first one comes.
    clock
        Says what time it is, in seconds since 1970.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = folder
        self._clock = clock
        self._fetching: dict[tuple[int, int], str] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._choices: OrderedDict[str, tuple[float, tuple[Offer, ...]]] = OrderedDict()

    async def load(self, store: Store) -> None:
        """Take up what an earlier run left, and delete what has no use any more."""
        self._store = store
        for pick in await self._all():
            if not pick.file.exists():
                await self._forget(pick)
        await self.expire()
        waiting = [pick.id for pick in await self._all()]
        orphans = await asyncio.to_thread(delete_orphans, self._folder, waiting)
        if orphans:
            log.info("deleted %d picked songs of an earlier run", orphans)
        self._watch()

    async def close(self) -> None:
        """Stop watching the time; what waits is there for the next run."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait({self._sweeper})

    async def waiting(self, user_id: int, guild_id: int | None) -> Pick | None:
        """Return somebody's pick in a server, or None where nothing waits.

        Raises
        ------
        StillFetchingError
            One is being fetched at this moment.
        """
        scope = (user_id, guild_id or OUTSIDE)
        self._refuse_two_at_once(scope)
        found = await self._where("user_id = ? AND scope = ?", *scope)
        return next((pick for pick in found if self._is_fresh(pick)), None)

    def _refuse_two_at_once(self, scope: tuple[int, int]) -> None:
        name = self._fetching.get(scope)
        if name is not None:
            raise StillFetchingError(
                f"I am still fetching {clean_name(name)}.", hint="Try again in a moment."
            )

    async def keep(
        self, offer: Offer, role: Role, *, user_id: int, guild_id: int | None, limit_bytes: int
    ) -> Pick:
        """Fetch a song and let it wait; whatever the person had waiting there before is deleted.

        Parameters
        ----------
        offer
            The song.
        role
            What it is to give.
        user_id, guild_id
            Who picks it, and where; None outside of servers.
        limit_bytes
            Most bytes that it may have.

        Raises
        ------
        UserError
            Why it cannot wait.
        """
        scope = (user_id, guild_id or OUTSIDE)
        self._refuse_two_at_once(scope)
        offer.check(limit_bytes)
        async with self._folder_for(scope, offer.name) as folder:
            pick = Pick(
                id=folder.name,
                user_id=user_id,
                guild_id=guild_id,
                role=role,
                name=offer.name,
                file=await offer.fetch(folder, role, limit_bytes),
                picked_at=self._clock(),
            )
            before = await self._where("user_id = ? AND scope = ?", *scope)
            await self._note(pick)
        for old in before:
            await delete(self._folder / old.id)
        self._watch()
        return pick

    @contextlib.asynccontextmanager
    async def _folder_for(self, scope: tuple[int, int], name: str) -> AsyncIterator[Path]:
        """Make a folder for a song; it goes again, with all it holds, if the block fails."""
        folder = self._folder / secrets.token_hex(8)
        self._fetching[scope] = name
        done = False
        try:
            if len(await self._all()) + len(self._fetching) > MOST_PICKS:
                raise TooManyPicksError(
                    "Too many songs wait for a second one right now.",
                    hint="Use /merge with both songs, or try again in a quarter of an hour.",
                )
            await asyncio.to_thread(_make, folder)
            yield folder
            done = True
        finally:
            del self._fetching[scope]
            if not done:
                await delete(folder)

    def offer_choice(self, offers: Sequence[Offer]) -> str:
        """Remember some songs, of which one is to be chosen, under an id of 12 digits."""
        list_id = secrets.token_hex(6)
        self._choices[list_id] = (self._clock(), tuple(offers))
        while len(self._choices) > MOST_PICKS:
            self._choices.popitem(last=False)
        return list_id

    def choice(self, list_id: str) -> tuple[Offer, ...] | None:
        """Return such songs, or None after a restart and when they have been there for long."""
        found = self._choices.get(list_id)
        return found[1] if found and self._clock() < found[0] + KEPT_S else None

    async def drop(self, pick_id: str) -> Pick | None:
        """Delete a pick and return it, or None if it does not wait any more."""
        found = await self._where("id = ?", pick_id)
        for pick in found:
            await self._forget(pick)
        return next((pick for pick in found if self._is_fresh(pick)), None)

    async def expire(self) -> int:
        """Delete what has waited for too long; return how many it was."""
        stale = [pick for pick in await self._all() if not self._is_fresh(pick)]
        for pick in stale:
            await self._forget(pick)
        return len(stale)

    async def of_person(self, user_id: int) -> list[Pick]:
        """Return what somebody has waiting anywhere."""
        return await self._where("user_id = ?", user_id)

    async def remove_of_person(self, user_id: int) -> int:
        """Delete what somebody has waiting anywhere; return how many songs it was."""
        theirs = await self.of_person(user_id)
        for pick in theirs:
            await self._forget(pick)
        return len(theirs)

    def _is_fresh(self, pick: Pick) -> bool:
        return self._clock() < pick.picked_at + KEPT_S

    async def _forget(self, pick: Pick) -> None:
        await self._store.write("DELETE FROM picks WHERE id = ?", (pick.id,))
        await delete(self._folder / pick.id)

    async def _note(self, pick: Pick) -> None:
        await self._store.write(
            "REPLACE INTO picks (id, user_id, scope, role, name, file, picked_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                pick.id,
                pick.user_id,
                pick.guild_id or OUTSIDE,
                pick.role,
                pick.name,
                pick.file.name,
                pick.picked_at,
            ),
        )

    async def _all(self) -> list[Pick]:
        return await self._where("TRUE")

    async def _where(self, condition: str, *values: object) -> list[Pick]:
        """Return the picks of which something is so, the oldest first."""
        sql = f"SELECT * FROM picks WHERE {condition} ORDER BY picked_at, rowid"  # noqa: S608 - the conditions are written in this class
        rows = await self._store.read(sql, values)
        return [self._from(row) for row in rows]

    def _from(self, row: sqlite3.Row) -> Pick:
        return Pick(
            id=row["id"],
            user_id=row["user_id"],
            guild_id=row["scope"] or None,
            role=row["role"],
            name=row["name"],
            file=self._folder / row["id"] / row["file"],
            picked_at=row["picked_at"],
        )

    def _watch(self) -> None:
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.create_task(self._sweep())

    async def _sweep(self) -> None:
        """Delete each pick when its time has come, and end when nothing waits."""
        while waiting := await self._all():
            first = min(pick.picked_at for pick in waiting)
            await asyncio.sleep(max(0.0, first + KEPT_S - self._clock()))
            await self.expire()


def _make(folder: Path) -> None:
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # nobody else's to read
    folder.mkdir()
