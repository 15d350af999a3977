"""The desk that takes orders, and sees to it that each is answered, across restarts of the bot.

An order is written down before anybody is told that it was accepted, and crossed out once it is
answered. What a stopped bot leaves written down, the next one finishes or answers. The work itself
is `bot.making`'s.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

from bot.admission import check_hour, check_permissions, check_place
from bot.answers import tell
from bot.endings import PAUSES_S, Endings, Work, is_written
from bot.files import AttachedSong
from bot.jobs import GoingDownError, JobState
from bot.ledger import Entry, Step, now
from bot.library_offers import LibraryOffer
from bot.making import Maker, is_at_home
from bot.orders import Errand, Mashup, OrderedSong
from bot.replies import Reply
from bot.room import check_room
from bot.views import remix_view
from pipeline.errors import UserError
from pipeline.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import discord

    from bot.client import VocalClient
    from bot.files import Fetch
    from bot.orders import Offer
    from pipeline.recipe import Value

log = logging.getLogger(__name__)

_UNREADABLE = Errand(vocals=OrderedSong(name=""), backing=OrderedSong(name=""), recipe=Recipe())
"""Stands for what an older version of the bot wrote: its person is only told that it has ended."""


class StoppedTooSoonError(UserError):
    """The bot ended before the songs of an order were there."""


class MergeDesk:
    """Takes orders.

    Parameters
    ----------
    client
        The bot, with its queue, its records and its settings.
    fetch
        How attachments are read.
    edit_every_s
        How often a reply may be edited, in seconds.
    pauses_s
        How long to wait between attempts to answer, in seconds.
    """

    def __init__(
        self,
        client: VocalClient,
        fetch: Fetch,
        *,
        edit_every_s: float = 1.2,
        pauses_s: tuple[float, ...] = PAUSES_S,
    ) -> None:
        self._client = client
        self._endings = Endings(client, pauses_s)
        self._maker = Maker(client, self._endings, edit_every_s)
        self._jobs_dir = client.config.data_dir.absolute() / "jobs"
        self.fetch = fetch

    def stop(self) -> None:
        """Leave to the next start what waits for Discord to come back."""
        self._endings.stop()

    def attached(self, attachment: discord.Attachment) -> AttachedSong:
        """Return an attachment as a song that is offered."""
        return AttachedSong(attachment, self.fetch)

    async def merge(
        self,
        interaction: discord.Interaction[VocalClient],
        vocals: Offer,
        backing: Offer,
        options: Mapping[str, Value],
    ) -> None:
        """Merge two songs, from the first refusal to the mash-up in the reply.

        Parameters
        ----------
        interaction
            What is answered; not acknowledged yet.
        vocals, backing
            The songs.
        options
            What the person set of the recipe; the server's defaults stand for the rest.

        Raises
        ------
        UserError
            Why the order is not accepted; from then on, the desk itself answers.
        """
        policy = self._client.policies.of(interaction.guild_id)
        check_permissions(interaction)
        check_place(interaction, policy)
        recipe = Recipe(**{**policy.recipe, **options})  # type: ignore[arg-type]  # it checks them
        for offer in (vocals, backing):
            offer.check(policy.max_upload_bytes)
        owner, guild_id = interaction.user.id, interaction.guild_id
        await check_hour(self._client.ledger, owner, guild_id, policy.merges_per_hour, now())
        errand = Errand(
            vocals=_ordered(vocals),
            backing=_ordered(backing),
            recipe=recipe,
            picture=policy.picture,
            keep=policy.library and is_at_home(self._client, guild_id),
        )
        await self._take(interaction, Reply.to(interaction), errand, (vocals, backing))

    async def remix(
        self,
        interaction: discord.Interaction[VocalClient],
        mashup: Mashup,
        recipe: Recipe,
        *,
        swap: bool = False,
        stems: bool = False,
        words: str = "",
    ) -> bool:
        """Change a mash-up: its owner's in its place, for others as an answer of their own.

        Parameters
        ----------
        interaction
            What is answered; not acknowledged yet.
        mashup
            What is changed.
        recipe
            How it is merged from now on.
        swap
            Exchange the two songs.
        stems
            Hand over the two layers as files instead.
        words
            What the change is, for the card.

        Returns
        -------
        bool
            Whether the mash-up is still known; if not, its buttons have ended.

        Raises
        ------
        UserError
            Why the order is not accepted; from then on, the desk itself answers.
        """
        policy = self._client.policies.of(interaction.guild_id)
        check_permissions(interaction)
        check_place(interaction, policy)
        mine = interaction.user.id == mashup.owner and not stems
        owner, guild_id = interaction.user.id, interaction.guild_id
        if not mine:
            await check_hour(self._client.ledger, owner, guild_id, policy.merges_per_hour, now())
        songs = (mashup.backing, mashup.vocals) if swap else (mashup.vocals, mashup.backing)
        vocals, backing = (OrderedSong(name=song.name, known=song) for song in songs)
        errand = Errand(
            vocals=vocals,
            backing=backing,
            recipe=recipe,
            stems=stems,
            picture=policy.picture and not stems,
            remix_of=mashup.id,
            words=words,
        )
        reply = Reply.to(interaction, before=remix_view(mashup) if mine else None)
        work = await self._take(interaction, reply, errand, ())
        return work.kept

    async def _take(
        self,
        interaction: discord.Interaction[VocalClient],
        reply: Reply,
        errand: Errand,
        offers: tuple[Offer, ...],
    ) -> Work:
        """Admit an order, write it down, acknowledge it and carry it out."""
        address, client = reply.address, self._client
        await check_room(client.config.data_dir, client.config.min_free_bytes)
        policy = client.policies.of(address.guild_id)
        job = client.queue.admit(
            address.user_id,
            address.guild_id,
            kind=errand.kind,
            limit_per_user=policy.merges_at_once,
            free_in_s=lambda jobs: client.estimates.first_end_s(client.queue, jobs),
        )
        try:
            work = Work(job=job, reply=reply, errand=errand, folder=self._jobs_dir / job.id)
            reply.be_known_by(job.id, functools.partial(self._endings.note_way, job.id))
            await client.ledger.accept(
                Entry(
                    id=job.id,
                    step=Step.ACCEPTED,
                    address=address,
                    errand=errand,
                    accepted_at=now(),
                )
            )
            doing = self._begin(work, interaction, offers)
            await self._endings.see_through(work, doing, functools.partial(tell, interaction))
        finally:
            client.queue.release(job)
        return work

    async def _begin(
        self, work: Work, interaction: discord.Interaction[VocalClient], offers: tuple[Offer, ...]
    ) -> None:
        """Acknowledge an order and carry it out."""
        address = work.reply.address
        await work.reply.open(interaction)
        if work.reply.address != address:
            redirecting = self._client.ledger.redirect(work.job.id, work.reply.address)
            await is_written(redirecting, "the message that an answer goes to")
        await asyncio.to_thread(work.folder.mkdir, parents=True)
        await self._maker.carry_out(work, offers)

    async def resume(self) -> None:
        """Go on with what the bot before had accepted: each order is finished, or answered."""
        for entry in await self._client.ledger.open_jobs():
            self._client.serve(asyncio.create_task(self._resume(entry)))

    async def open_folders(self) -> set[str]:
        """Return the names of the folders that orders of the bot before still need."""
        return {entry.id for entry in await self._client.ledger.open_jobs()}

    async def _resume(self, entry: Entry) -> None:
        address, errand, client = entry.address, entry.errand, self._client
        try:
            kind = errand.kind if errand is not None else "merge"
            job = client.queue.readmit(address.user_id, address.guild_id, entry.id, kind=kind)
        except GoingDownError:  # once more: the next start will do it
            return
        try:
            before = None
            if address.in_place and errand is not None and errand.remix_of:
                mashup = await client.ledger.mashup(errand.remix_of)
                before = remix_view(mashup) if mashup is not None else None
            reply = Reply(client, address, before=before)
            reply.be_known_by(
                entry.id,
                functools.partial(self._endings.note_way, entry.id),
                way=entry.way if entry.answer is not None else None,
            )
            work = Work(
                job=job,
                reply=reply,
                errand=errand or _UNREADABLE,
                folder=self._jobs_dir / entry.id,
                ready=_is_ready(entry, self._jobs_dir / entry.id),
            )
            await self._endings.see_through(work, self._go_on(work, entry), reply.refuse)
        finally:
            client.queue.release(job)

    async def _go_on(self, work: Work, entry: Entry) -> None:
        """Do what is left of an order: all of it, or only to tell what came of it."""
        answer = entry.answer
        log.info("job %s goes on", entry.id)
        if answer is not None:
            work.job.state = JobState.ENDED  # there is nothing left to cancel
        if answer is not None and answer.sentence:
            sentence = answer.sentence
            await self._endings.until_told(work, lambda: work.reply.refuse(sentence))
        elif answer is not None and answer.result is not None:
            if not answer.result.path.is_file():
                return  # its files go when it was told, and its record could not be crossed out
            await self._maker.hand_over(work, answer.result, answer.mashup)
        elif not work.ready:
            raise StoppedTooSoonError(
                "The bot was restarted before your songs were there.",
                hint="Please merge them again, with /merge.",
            )
        else:
            await self._maker.carry_out(work, ())


def _ordered(offer: Offer) -> OrderedSong:
    return OrderedSong(name=offer.name, from_library=isinstance(offer, LibraryOffer))


def _is_ready(entry: Entry, folder: Path) -> bool:
    """Return whether everything is there that a written order needs."""
    if entry.errand is None or entry.step is not Step.READY:
        return False
    songs = (entry.errand.vocals, entry.errand.backing)
    return all(song.known or (song.file and (folder / song.file).is_file()) for song in songs)
