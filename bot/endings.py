"""How an order ends: its person is told, then it is crossed out, then its files go.

In this order, so that a bot that is killed in between tells them again rather than never; what is
told is written down first, so that it is the same, and `bot.replies` sees to it that they read it
once.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot import render
from bot.answers import answered
from bot.files import delete
from bot.jobs import GoingDownError
from bot.messages import UNREACHABLE, GarbledAnswerError, may_pass
from bot.orders import Answer
from pipeline.errors import NotKeptError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path

    from bot.client import VocalClient
    from bot.jobs import Job
    from bot.orders import Errand, Way
    from bot.replies import Reply

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 5.0, 20.0, 60.0, 180.0, *[600.0] * 144)
"""How long to wait between attempts to answer while Discord is down, in seconds: for a day."""

_GARBLED_AT_MOST = 3  # attempts: what nobody ever understands may be our own doing


@dataclass(slots=True, kw_only=True)
class Work:
    """One order on its way.

    Attributes
    ----------
    job
        Its place in the queue.
    reply
        Where its answer goes.
    errand
        What is to be done.
    folder
        Where its files lie.
    ready
        Whether the songs are there, so that a restarted bot can go on with it.
    later
        Whether it is left to the bot after a restart.
    kept
        Whether the mash-up that it changes is still known.
    """

    job: Job
    reply: Reply
    errand: Errand
    folder: Path
    ready: bool = False
    later: bool = False
    kept: bool = True


class Endings:
    """Brings orders to their end.

    Parameters
    ----------
    client
        The bot, with its records.
    pauses_s
        How long to wait between attempts to answer, in seconds.
    """

    def __init__(self, client: VocalClient, pauses_s: tuple[float, ...] = PAUSES_S) -> None:
        self._client = client
        self._pauses_s = pauses_s
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Leave to the next start what waits for Discord to come back."""
        self._stopping.set()

    async def see_through(
        self,
        work: Work,
        doing: Coroutine[Any, Any, None],
        tell: Callable[[str], Awaitable[None]],
    ) -> None:
        """Answer an order whichever way it ends; only then cross it out and delete its files.

        Where the bot is going down and can go on later, both stay, and the person is told.

        Parameters
        ----------
        work
            The order.
        doing
            Does it, and answers it if all goes well.
        tell
            Says a sentence in place of the mash-up.
        """

        async def refuse(sentence: str) -> None:
            await self.decide(work, Answer(sentence=sentence))
            await self.until_told(work, lambda: tell(sentence))

        await answered(self._unless_going_down(work, doing), refuse, self._client.ledger)
        if not work.later:
            await self._cross_out(work)

    async def _unless_going_down(self, work: Work, doing: Coroutine[Any, Any, None]) -> None:
        try:
            await doing
        except GoingDownError:
            if not work.ready:
                raise
            work.later = True
            await work.reply.show(render.RESTARTING)
        except NotKeptError:
            if work.errand.remix_of is not None:
                await self._client.ledger.drop_mashup(work.errand.remix_of)
                work.reply.expire()
                work.kept = False
            raise

    async def until_told(self, work: Work, telling: Callable[[], Awaitable[None]]) -> None:
        """Answer somebody, again and again while Discord is down.

        Raises
        ------
        discord.HTTPException, aiohttp.ClientError, OSError
            They cannot be told.
        """
        garbled = 0
        for pause_s in self._pauses_s:
            try:
                await telling()
            except UNREACHABLE as error:
                garbled += isinstance(error, GarbledAnswerError)
                if not may_pass(error) or garbled >= _GARBLED_AT_MOST:
                    raise
                log.warning("job %s is answered again in %g s: %s", work.job.id, pause_s, error)
            else:
                return
            if await self._stops_within(pause_s):
                work.later = True
                return
        await telling()

    async def _stops_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._stopping.wait()
        except TimeoutError:
            return False

    async def decide(self, work: Work, answer: Answer) -> None:
        """Write down what a person will be told, so that a restarted bot tells them the same."""
        await is_written(self._client.ledger.decide(work.job.id, answer), "an answer")

    async def note_way(self, job_id: str, way: Way) -> None:
        """Write down how a person is about to be told."""
        await is_written(self._client.ledger.take(job_id, way), "the way of an answer")

    async def _cross_out(self, work: Work) -> None:
        """Cross out an order that was answered, then delete its files."""
        is_closed = await self._is_closed(work.job.id)
        await delete(work.folder)
        if not is_closed:
            await self._cross_out_later(work.job.id)

    async def _cross_out_later(self, job_id: str) -> None:
        """Cross out an order as soon as the disk lets us; till then a restart answers it again."""
        for pause_s in self._pauses_s:
            if await self._stops_within(pause_s) or await self._is_closed(job_id):
                return

    async def _is_closed(self, job_id: str) -> bool:
        return await is_written(self._client.ledger.close(job_id), "that a job was answered")


async def is_written(writing: Awaitable[object], what: str) -> bool:
    """Return whether something could be written down; a job goes on without: its answer counts."""
    try:
        await writing
    except sqlite3.Error:
        log.exception("%s was not written down", what)
        return False
    return True
