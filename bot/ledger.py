"""What the bot has promised and done: jobs, mash-ups with buttons, past runs and own faults."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from bot.orders import Address, Answer, Errand, Mashup, Way
from pipeline.errors import RecipeError
from pipeline.facts import from_facts, to_facts

if TYPE_CHECKING:
    from bot.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")

HOUR_S = 3600.0
MASHUPS_LIVE_S = 30 * 24 * HOUR_S
"""How long the buttons of a mash-up are remembered at most, in seconds."""

_FAULTS_KEPT = 50


class Step(StrEnum):
    """How far a job had come when it was last written down."""

    ACCEPTED = "accepted"
    READY = "ready"  # its songs are in its folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A job as it was written down.

    Attributes
    ----------
    id
        The job's id, which is its folder's name as well.
    step
        How far it had come.
    address
        Where its answer goes.
    errand
        What is to be done; None where an older version of the bot wrote what this one cannot read.
    accepted_at
        When, in seconds since 1970.
    answer
        What the person is to be told, and may have been told; None until that was known.
    way
        How they were told last, or were about to be.
    """

    id: str
    step: Step
    address: Address
    errand: Errand | None
    accepted_at: float
    answer: Answer | None = None
    way: Way = Way.REPLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A failure of our own.

    Attributes
    ----------
    reference
        The code that the person was told.
    at
        When, in seconds since 1970.
    kind
        The error's class.
    sentence
        What it says; without names of files, links or tokens.
    """

    reference: str
    at: float
    kind: str
    sentence: str


class Ledger:
    """Reads and writes the tables `jobs`, `mashups`, `accepted` and `faults`.

    Parameters
    ----------
    store
        The open database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def accept(self, entry: Entry) -> None:
        """Write a job down, before anybody is told that it was accepted."""
        guild_id, owner = entry.address.guild_id, entry.address.user_id
        async with self._store.transaction() as change:
            await change.write(
                "INSERT INTO jobs (id, owner, guild_id, accepted_at, state, address, errand) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(entry.id, owner, guild_id, entry.accepted_at, entry.step),
                    *(_dump(entry.address), _dump(entry.errand)),
                ),
            )
            if not entry.address.in_place:  # a message more for everybody to see
                await change.write(
                    "INSERT INTO accepted (owner, guild_id, at, job) VALUES (?, ?, ?, ?)",
                    (owner, guild_id, entry.accepted_at, entry.id),
                )

    async def redirect(self, job_id: str, address: Address) -> None:
        """Write down where the answer to a job goes from now on."""
        await self._store.write(
            "UPDATE jobs SET address = ? WHERE id = ?", (_dump(address), job_id)
        )

    async def ready(self, job_id: str, errand: Errand) -> None:
        """Write down that a job's songs are in its folder."""
        await self._store.write(
            "UPDATE jobs SET state = ?, errand = ? WHERE id = ?",
            (Step.READY, _dump(errand), job_id),
        )

    async def decide(self, job_id: str, answer: Answer) -> None:
        """Write down what a person is to be told, before they are told.

        An order that ends in a sentence counts for no limit by the hour.
        """
        async with self._store.transaction() as change:
            await change.write("UPDATE jobs SET answer = ? WHERE id = ?", (_dump(answer), job_id))
            if answer.result is None:
                await change.write("DELETE FROM accepted WHERE job = ?", (job_id,))

    async def take(self, job_id: str, way: Way) -> None:
        """Write down how a person is about to be told."""
        await self._store.write("UPDATE jobs SET way = ? WHERE id = ?", (way, job_id))

    async def close(self, job_id: str) -> None:
        """Forget a job that was answered."""
        await self._store.write("DELETE FROM jobs WHERE id = ?", (job_id,))

    async def open_jobs(self) -> list[Entry]:
        """Return all jobs that have not been answered, in the order of their acceptance.

        Those whose address nobody can read any more are left out: there is no way to answer them.
        """
        rows = await self._store.read("SELECT * FROM jobs ORDER BY accepted_at, id")
        return [
            Entry(
                id=row["id"],
                step=Step(row["state"]),
                address=address,
                errand=_load(Errand, row["errand"]),
                accepted_at=row["accepted_at"],
                answer=_load(Answer, row["answer"]) if row["answer"] else None,
                way=Way(row["way"]),
            )
            for row in rows
            if (address := _load(Address, row["address"])) is not None
        ]

    async def accepted_since(self, owner: int, guild_id: int | None, since: float) -> list[float]:
        """Return when a person's merges were accepted in one server, oldest first.

        Those that ended in a sentence are left out.
        """
        rows = await self._store.read(
            "SELECT at FROM accepted WHERE owner = ? AND guild_id IS ? AND at > ? ORDER BY at",
            (owner, guild_id, since),
        )
        return [row["at"] for row in rows]

    async def keep_mashup(self, mashup: Mashup) -> None:
        """Remember a mash-up for its buttons."""
        await self._store.write(
            "INSERT OR REPLACE INTO mashups (id, owner, guild_id, made_at, facts) "
            "VALUES (?, ?, ?, ?, ?)",
            (mashup.id, mashup.owner, mashup.guild_id, mashup.made_at, _dump(mashup)),
        )

    async def mashup(self, mashup_id: str) -> Mashup | None:
        """Return what is remembered of a mash-up."""
        rows = await self._store.read("SELECT facts FROM mashups WHERE id = ?", (mashup_id,))
        return _load(Mashup, rows[0]["facts"]) if rows else None

    async def drop_mashup(self, mashup_id: str) -> None:
        """Forget a mash-up: its buttons have ended."""
        await self._store.write("DELETE FROM mashups WHERE id = ?", (mashup_id,))

    async def expire(self, at: float) -> None:
        """Forget mash-ups whose buttons have ended, and orders that no limit counts any more.

        Parameters
        ----------
        at
            The time, in seconds since 1970.
        """
        await self._store.write("DELETE FROM mashups WHERE made_at < ?", (at - MASHUPS_LIVE_S,))
        await self._store.write("DELETE FROM accepted WHERE at < ?", (at - HOUR_S,))

    async def note_fault(self, fault: Fault) -> None:
        """Keep one of the last failures for whoever runs the bot."""
        async with self._store.transaction() as change:
            await change.write(
                "INSERT OR REPLACE INTO faults (reference, at, kind, sentence) VALUES (?, ?, ?, ?)",
                (fault.reference, fault.at, fault.kind, fault.sentence),
            )
            await change.write(
                "DELETE FROM faults WHERE reference NOT IN "
                "(SELECT reference FROM faults ORDER BY at DESC LIMIT ?)",
                (_FAULTS_KEPT,),
            )

    async def faults(self, limit: int) -> list[Fault]:
        """Return the last failures, newest first."""
        rows = await self._store.read("SELECT * FROM faults ORDER BY at DESC LIMIT ?", (limit,))
        return [Fault(**dict(row)) for row in rows]


def now() -> float:
    """Return the time in seconds since 1970."""
    return time.time()


def _load(kind: type[T], text: str) -> T | None:
    """Read a value back; None when an older version of the bot wrote it with other fields."""
    try:
        return from_facts(kind, json.loads(text))
    except (ValueError, RecipeError) as error:
        log.warning("a written %s cannot be read any more: %s", kind.__name__, error)
        return None


def _dump(value: object) -> str:
    return json.dumps(to_facts(value))
