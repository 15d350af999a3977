"""The bot's one database: SQLite in a file that only this user can read, brought up to date here.

Who writes what is up to the modules that own a table: `bot.ledger` jobs, mash-ups and faults,
`bot.estimates` runs, `bot.policy` settings, `bot.library` songs and `bot.picks` picks. Times are
seconds since 1970.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiosqlite

from bot.backup import RESTORE
from bot.config import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE settings (  -- what a server's admins changed
        guild_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,  -- as JSON
        PRIMARY KEY (guild_id, name)
    ) WITHOUT ROWID;

    CREATE TABLE jobs (  -- what was accepted and has not been answered yet
        id TEXT PRIMARY KEY,
        owner INTEGER NOT NULL,
        guild_id INTEGER,
        accepted_at REAL NOT NULL,
        state TEXT NOT NULL,  -- a bot.ledger.Step
        address TEXT NOT NULL,  -- where the answer goes, as JSON
        errand TEXT NOT NULL  -- what is to be done, as JSON
    );

    CREATE TABLE mashups (  -- answers whose buttons may still be pressed
        id TEXT PRIMARY KEY,
        owner INTEGER NOT NULL,
        guild_id INTEGER,
        made_at REAL NOT NULL,
        facts TEXT NOT NULL  -- the songs, the recipe and what the buttons need, as JSON
    );
    CREATE INDEX mashups_by_owner ON mashups (owner);

    CREATE TABLE songs (  -- a server's library
        guild_id INTEGER NOT NULL,
        id TEXT NOT NULL,  -- SHA-256 of the file, and its name in the server's folder
        name TEXT NOT NULL,  -- what the user called the file
        title TEXT NOT NULL,
        audio TEXT NOT NULL,  -- fingerprint of what is heard; the cache knows the song by it
        bytes INTEGER NOT NULL,
        added_by INTEGER NOT NULL,
        added_at REAL NOT NULL,
        used_at REAL NOT NULL,
        sketch TEXT,  -- tempo, key and so on as JSON; NULL when nothing is known
        PRIMARY KEY (guild_id, id)
    );
    CREATE INDEX songs_by_person ON songs (added_by);

    CREATE TABLE surprises (  -- pairs that /surprise picked lately, so that it picks others
        guild_id INTEGER NOT NULL,
        vocals TEXT NOT NULL,  -- ids of songs
        backing TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (guild_id, vocals, backing)
    );

    CREATE TABLE picks (  -- first songs that wait for a second one
        id TEXT NOT NULL UNIQUE,  -- its folder's name
        user_id INTEGER NOT NULL,
        scope INTEGER NOT NULL,  -- the server, or 0 outside
        role TEXT NOT NULL,
        name TEXT NOT NULL,
        file TEXT NOT NULL,
        picked_at REAL NOT NULL,
        PRIMARY KEY (user_id, scope)
    );

    CREATE TABLE accepted (  -- when somebody's merge was accepted, for limits by the hour
        owner INTEGER NOT NULL,
        guild_id INTEGER,
        at REAL NOT NULL
    );
    CREATE INDEX accepted_by_owner ON accepted (owner, at);

    CREATE TABLE runs (  -- how long merges took, for estimates; nobody's name is on them
        kind TEXT NOT NULL,
        seconds REAL NOT NULL,
        ended_at REAL NOT NULL
    );

    CREATE TABLE faults (  -- our own failures, by the code that people were told
        reference TEXT PRIMARY KEY,
        at REAL NOT NULL,
        kind TEXT NOT NULL,  -- the error's class
        sentence TEXT NOT NULL
    );
    """,
    """
    ALTER TABLE jobs ADD COLUMN answer TEXT NOT NULL DEFAULT '';  -- as JSON; '' until it is known
    ALTER TABLE jobs ADD COLUMN way TEXT NOT NULL DEFAULT 'reply';  -- a bot.orders.Way
    """,
    """
    ALTER TABLE accepted ADD COLUMN job TEXT NOT NULL DEFAULT '';  -- its id
    """,
)
"""Each brings the database from one version to the next; what has been released stays as it is."""


class Store:
    """An open database; made by `Store.open`."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> Store:
        """Open the database, made if it is not there, and bring it up to date.

        Raises
        ------
        ConfigError
            The file is damaged, belongs to a newer version of the bot, or cannot be written.
        """
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = await aiosqlite.connect(path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError((f"The database {path} cannot be opened: {error}.",)) from error
        store = cls(connection)
        try:
            await store._prepare(path)
        except sqlite3.DatabaseError as error:
            await connection.close()
            steps = RESTORE.format(name=path.name)
            raise ConfigError(
                (f"The database {path} cannot be used ({error}). If it is damaged: {steps}.",)
            ) from error
        except ConfigError:
            await connection.close()
            raise
        return store

    async def _prepare(self, path: Path) -> None:
        self._connection.row_factory = sqlite3.Row
        await self.read("PRAGMA journal_mode = WAL")
        await self.read("PRAGMA synchronous = FULL")  # accepted means written
        await self.read("PRAGMA secure_delete = ON")  # forgotten means overwritten
        # The system keeps the file in memory as it is; SQLite's own copy would fill for days.
        await self.read("PRAGMA cache_size = -256")  # KiB
        # The whole check: an eighth of a second for 50 000 mash-ups, indexes included.
        [verdict] = await self.read("PRAGMA integrity_check(1)")
        if verdict[0] != "ok":
            raise sqlite3.DatabaseError(verdict[0])
        [(version,)] = await self.read("PRAGMA user_version")
        if version > len(MIGRATIONS):
            raise ConfigError(
                (f"The database {path} was written by a newer version of the bot: update it.",)
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            await self._connection.executescript(
                f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;"
            )

    async def read(self, sql: str, parameters: Iterable[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return list(await self._connection.execute_fetchall(sql, tuple(parameters)))

    async def write(self, sql: str, parameters: Iterable[Any] = ()) -> int:
        """Change something, on disk when this returns; return how many rows it was."""
        async with self._writing:
            return await self._change(sql, parameters)

    async def _change(self, sql: str, parameters: Iterable[Any]) -> int:
        async with self._connection.execute(sql, tuple(parameters)) as cursor:
            return cursor.rowcount

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Change several things together or, if the block raises, none of them."""
        async with self._writing:
            await self._change("BEGIN IMMEDIATE", ())
            try:
                yield Transaction(self)
                await self._change("COMMIT", ())
            finally:
                if self._connection.in_transaction:  # the block raised, or the disk is full
                    await self._change("ROLLBACK", ())

    async def close(self) -> None:
        """Close the file; what was written stays."""
        async with self._writing:
            await self._connection.close()


class Transaction:
    """What may be done inside `Store.transaction`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def write(self, sql: str, parameters: Iterable[Any] = ()) -> int:
        """Change something; return how many rows it was."""
        return await self._store._change(sql, parameters)  # noqa: SLF001 - its own other half
