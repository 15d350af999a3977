"""Everything that is kept of one person, found, deleted and looked for again.

What carries a person's id is found by it: merges in the works, songs in libraries, picks, mash-ups
with buttons and the times of merges. The cache has no ids: of it goes what was made from the songs
that these records name and, since a merge that failed leaves no record, what was made from songs
that no record of anybody names.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.files import delete
from bot.jobs import cancelled
from pipeline.forgetting import find, find_unknown, forget, forget_unknown

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from bot.client import VocalClient
    from bot.picked import Pick
    from bot.song_table import LibrarySong

log = logging.getLogger(__name__)

ID_COLUMNS = {
    "jobs": "owner",
    "songs": "added_by",
    "picks": "user_id",
    "mashups": "owner",
    "accepted": "owner",
}
"""The tables that say who somebody is, each with the column that does."""

PATIENCE_S = 15.0
"""How long to wait for merges that were called off, in seconds."""

_LOOK_AGAIN_S = 0.05

# The database looks through the records itself, whatever version of the bot wrote them: those of
# 30 days would fill the bot's memory. ?1 is whose they are, NULL for everybody's.
_NAMED_SONGS = """
    SELECT part.value
    FROM (SELECT owner, facts AS record FROM mashups UNION ALL SELECT owner, errand FROM jobs),
        json_tree(record) AS part
    WHERE part.key = 'audio' AND part.type = 'text' AND (?1 IS NULL OR owner = ?1)
    UNION SELECT audio FROM songs WHERE ?1 IS NULL OR added_by = ?1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What is kept of somebody.

    Attributes
    ----------
    jobs, songs, picks, mashups, orders
        Records: merges in the works, songs in libraries, songs that wait for a second one,
        mash-ups with buttons, and times at which a merge was asked for.
    pieces
        Entries of the cache that were made from their songs.
    unnamed
        Entries of the cache that were made from a song of which nobody knows whose it is.
    files
        Files and folders that belong to the records, as they are found on the disk.
    """

    jobs: int = 0
    songs: int = 0
    picks: int = 0
    mashups: int = 0
    orders: int = 0
    pieces: int = 0
    unnamed: int = 0
    files: int = 0

    @property
    def records(self) -> int:
        """How many records there are."""
        return self.jobs + self.songs + self.picks + self.mashups + self.orders

    @property
    def on_disk(self) -> int:
        """How many files of theirs there are, those of the cache included."""
        return self.files + self.pieces

    @property
    def are_none(self) -> bool:
        """Whether there is nothing to delete at all."""
        return not self.records and not self.on_disk and not self.unnamed


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What became of it.

    Attributes
    ----------
    before
        What there was.
    left
        What was still there afterwards.
    freed_bytes
        What the libraries' songs and the cache's entries took up.
    """

    before: Traces
    left: Traces
    freed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Belongings:
    """By which files are found, also when the records are gone.

    Attributes
    ----------
    jobs
        Ids of merges in the works.
    songs, picks
        In libraries, and waiting.
    audio
        Fingerprints of all their songs.
    """

    jobs: frozenset[str]
    songs: tuple[LibrarySong, ...]
    picks: tuple[Pick, ...]
    audio: frozenset[str]


class Eraser:
    """Looks for what is kept of people, and deletes it.

    Parameters
    ----------
    client
        The bot, with its records and folders.
    patience_s
        How long to wait for merges that were called off, in seconds.
    """

    def __init__(self, client: VocalClient, *, patience_s: float = PATIENCE_S) -> None:
        self._client = client
        self._patience_s = patience_s
        self._cache_dir = client.config.cache_dir.absolute()
        self._jobs_dir = client.config.data_dir.absolute() / "jobs"

    async def look(self, user_id: int) -> Traces:
        """Count what is kept of somebody."""
        return await self._count(user_id, await self._gather(user_id))

    async def erase(self, user_id: int) -> Erasure:
        """Delete what is kept of somebody in every server, and look again."""
        before = await self._gather(user_id)
        counted = await self._count(user_id, before)
        await self._call_off(user_id)
        # A merge that was all but done may have left something since.
        after = await self._gather(user_id)
        theirs = _both(before, after)
        for job_id in theirs.jobs:
            await delete(self._jobs_dir / job_id)
        removed = await self._client.library.remove_of_person(user_id)
        await self._client.picks.remove_of_person(user_id)
        await self._drop_records(user_id)
        freed = sum(song.bytes for song in removed)
        freed += (await asyncio.to_thread(forget, self._cache_dir, theirs.audio)).bytes
        known, in_use = await self._named(), self._in_use_since(user_id)
        freed += (await asyncio.to_thread(forget_unknown, self._cache_dir, known, in_use)).bytes
        left = await self._count(user_id, theirs)
        if not left.are_none:
            log.warning("something of a person is left after /forget: %s", left)
        return Erasure(before=counted, left=left, freed_bytes=freed)

    async def _call_off(self, user_id: int) -> None:
        queue = self._client.queue
        for job in queue.jobs_of(user_id):
            job.call_off(cancelled())
        waited_s = 0.0
        while queue.jobs_of(user_id) and waited_s < self._patience_s:
            await asyncio.sleep(_LOOK_AGAIN_S)
            waited_s += _LOOK_AGAIN_S

    async def _drop_records(self, user_id: int) -> None:
        """Delete all rows with a person's id, and what the journal remembers of them."""
        async with self._client.store.transaction() as change:
            for table, column in ID_COLUMNS.items():
                await change.write(f"DELETE FROM {table} WHERE {column} = ?", (user_id,))  # noqa: S608 - constants of this module
        await self._client.store.read("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _gather(self, user_id: int) -> _Belongings:
        client = self._client
        rows = await client.store.read("SELECT id FROM jobs WHERE owner = ?", (user_id,))
        running = (job.id for job in client.queue.jobs_of(user_id))
        return _Belongings(
            jobs=frozenset((*(row["id"] for row in rows), *running)),
            songs=tuple(await client.library.of_person(user_id)),
            picks=tuple(await client.picks.of_person(user_id)),
            audio=await self._named(user_id),
        )

    async def _named(self, user_id: int | None = None) -> frozenset[str]:
        """Return the fingerprints in one person's records; in everybody's with None."""
        rows = await self._client.store.read(_NAMED_SONGS, (user_id,))
        return frozenset(row[0] for row in rows)

    def _in_use_since(self, user_id: int) -> float:
        """Return since when other people's merges may need what is in the cache; never is inf."""
        others = [job for job in self._client.queue.jobs if job.owner != user_id]
        began_at = [job.began_at for job in others if job.began_at is not None]
        return time.time() - (time.monotonic() - min(began_at)) if began_at else math.inf

    async def _count(self, user_id: int, theirs: _Belongings) -> Traces:
        """Count the records by a person's id, and the files by what is known to be theirs."""
        counts = {
            table: (
                await self._client.store.read(
                    f"SELECT count(*) FROM {table} WHERE {column} = ?",  # noqa: S608 - as above
                    (user_id,),
                )
            )[0][0]
            for table, column in ID_COLUMNS.items()
        }
        running = {job.id for job in self._client.queue.jobs_of(user_id)}
        pieces = await asyncio.to_thread(find, self._cache_dir, theirs.audio)
        gone_too = await asyncio.to_thread(
            find_unknown,
            self._cache_dir,
            await self._named() - theirs.audio,
            self._in_use_since(user_id),
        )
        shelved = [await self._client.library.has_file(song) for song in theirs.songs]
        paths = [*(self._jobs_dir / job for job in theirs.jobs), *(p.file for p in theirs.picks)]
        return Traces(
            jobs=max(counts["jobs"], len(running)),
            songs=counts["songs"],
            picks=counts["picks"],
            mashups=counts["mashups"],
            orders=counts["accepted"],
            pieces=pieces,
            unnamed=max(0, gone_too - pieces),
            files=sum(shelved) + await asyncio.to_thread(_existing, paths),
        )


def _both(one: _Belongings, other: _Belongings) -> _Belongings:
    return _Belongings(
        jobs=one.jobs | other.jobs,
        songs=tuple(dict.fromkeys((*one.songs, *other.songs))),
        picks=tuple(dict.fromkeys((*one.picks, *other.picks))),
        audio=one.audio | other.audio,
    )


def _existing(paths: Collection[Path]) -> int:
    return sum(path.exists() for path in paths)
