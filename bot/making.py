"""What becomes of an order: its songs are fetched, merged, handed over and kept.

`bot.desk` takes orders and sees to it that each is answered, whatever happens here.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot import delivery, render
from bot.endings import Endings, Work, is_written
from bot.jobs import CalledOffError
from bot.ledger import now
from bot.orders import TOKEN_LIVES_S, Answer, Mashup, OrderedSong, were_swapped
from bot.tasks import MergeTask
from bot.views import progress_view
from pipeline.pairing import SongSketch

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from bot.client import VocalClient
    from bot.orders import Offer
    from pipeline.types import KnownSong, MergeResult, SongFacts

log = logging.getLogger(__name__)

_GUESTS_STAY_S = TOKEN_LIVES_S - 60.0


class Maker:
    """Carries orders out.

    Parameters
    ----------
    client
        The bot, with its queue, its records and its libraries.
    endings
        Brings orders to their end.
    edit_every_s
        How often a reply may be edited, in seconds.
    """

    def __init__(self, client: VocalClient, endings: Endings, edit_every_s: float) -> None:
        self._client = client
        self._endings = endings
        self._edit_every_s = edit_every_s

    async def carry_out(self, work: Work, offers: tuple[Offer, ...]) -> None:
        """Get the songs, have them merged, and hand the mash-up over."""
        client, reply = self._client, work.reply
        result = await self._follow(work, self._have_it_made(work, offers))
        if work.job.began_at is not None:
            seconds = time.monotonic() - work.job.began_at
            await is_written(client.estimates.record(work.errand.kind, seconds), "a run")
        mashup = _mashup_of(work, result)
        if mashup is not None and not reply.address.in_place:
            # Whose it is of which songs: /forget needs it without buttons, too.
            is_kept = await is_written(client.ledger.keep_mashup(mashup), "a mash-up")
            mashup = mashup if is_kept else None
        has_buttons = client.policies.of(reply.address.guild_id).remix
        answer = Answer(result=result, mashup=mashup if has_buttons else None)
        await self._endings.decide(work, answer)
        await self.hand_over(work, result, answer.mashup)

    async def hand_over(self, work: Work, result: MergeResult, mashup: Mashup | None) -> None:
        """Deliver a mash-up, and keep its songs."""
        errand, guild_id = work.errand, work.reply.address.guild_id
        await self._endings.until_told(
            work, lambda: delivery.hand_over(work.reply, result, errand, work.folder, mashup)
        )
        if mashup is not None and work.reply.address.in_place and not work.later:
            # Until it can be heard, the next press starts from what there was.
            await is_written(self._client.ledger.keep_mashup(mashup), "a mash-up")
        if (
            errand.keep
            and guild_id is not None
            and is_at_home(self._client, guild_id)
            and not work.later
        ):
            try:
                await self._keep_songs(work, result, guild_id)
            except (OSError, sqlite3.Error) as error:  # no reason to take the mash-up back
                log.warning("the songs of job %s are not kept: %s", work.job.id, error)

    async def _have_it_made(self, work: Work, offers: tuple[Offer, ...]) -> MergeResult:
        ledger, errand = self._client.ledger, work.errand
        policy = self._client.policies.of(work.reply.address.guild_id)
        if offers:
            files = [
                await offer.fetch(work.folder, role, policy.max_upload_bytes)
                for offer, role in zip(offers, ("vocals", "backing"), strict=True)
            ]
            errand = work.errand = replace(
                errand,
                vocals=replace(errand.vocals, file=files[0].name),
                backing=replace(errand.backing, file=files[1].name),
            )
        if not work.ready:
            work.ready = await is_written(ledger.ready(work.job.id, errand), "that songs are there")
        task = MergeTask(
            vocals=_source(errand.vocals, work.folder),
            backing=_source(errand.backing, work.folder),
            vocals_name=errand.vocals.name,
            backing_name=errand.backing.name,
            recipe=errand.recipe,
            out_dir=work.folder,
            max_bytes=work.reply.address.max_bytes,
            longest_s=policy.max_song_s,
            stems=errand.stems,
            picture=errand.picture,
        )
        return await self._client.queue.run(work.job, task)

    async def _follow(self, work: Work, doing: Coroutine[Any, Any, MergeResult]) -> MergeResult:
        """Show how the work goes until it ends."""
        job, queue = work.job, self._client.queue
        view = progress_view(job.id)
        task = job.start(doing)
        try:
            while not task.done():
                ends_in_s = self._client.estimates.ends_in_s(queue, job)
                status = render.job_status(job.state, queue.place_of(job), job.progress, ends_in_s)
                await work.reply.show(status, view)
                address = work.reply.address
                if address.guest and now() > address.opened_at + _GUESTS_STAY_S:
                    job.call_off(_too_long_for_guests())
                await asyncio.wait({task}, timeout=self._edit_every_s)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled() and job.called_off is not None:
            raise job.called_off
        return task.result()

    async def _keep_songs(self, work: Work, result: MergeResult, guild_id: int) -> None:
        """Put both songs into the server's library."""
        errand = work.errand
        for ordered, known, facts in zip(
            (errand.vocals, errand.backing), result.songs, _facts(result), strict=True
        ):
            if ordered.file is not None and not ordered.from_library:
                await self._client.library.add(
                    guild_id,
                    work.folder / ordered.file,
                    name=ordered.name,
                    known=known,
                    sketch=SongSketch.of(facts),
                    added_by=work.reply.address.user_id,
                )


def is_at_home(client: VocalClient, guild_id: int | None) -> bool:
    """Return whether the bot is a member of the server, not just a guest of one person."""
    return guild_id is not None and client.get_guild(guild_id) is not None


def _too_long_for_guests() -> CalledOffError:
    return CalledOffError(
        "Where I am not a member I can answer for 15 minutes only, and this merge is not done.",
        hint="Try again when there is less to do, or have me invited to the server.",
    )


def _mashup_of(work: Work, result: MergeResult) -> Mashup | None:
    """Return what the buttons under an answer need; there are none under layers as files."""
    errand, address = work.errand, work.reply.address
    if errand.stems:
        return None
    in_place = errand.remix_of if address.in_place else None
    return Mashup.of(
        result,
        errand.recipe,
        owner=address.user_id,
        guild_id=address.guild_id,
        made_at=now(),
        id=in_place or work.job.id,
    )


def _source(song: OrderedSong, folder: Path) -> Path | KnownSong:
    """Return a song's file, or what the cache knows it by."""
    if song.file is not None:
        return folder / song.file
    if song.known is None:
        raise ValueError("an ordered song has a file or is known")
    return song.known


def _facts(result: MergeResult) -> tuple[SongFacts, SongFacts]:
    """Return what was found out about the songs in the order in which they were given."""
    facts = (result.vocals, result.backing)
    return facts[::-1] if were_swapped(result) else facts
