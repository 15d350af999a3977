"""The desk that takes an order for a merge, follows it and hands the mash-up over."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot import render
from bot.excerpts import ExcerptError, cut_excerpt, span_of
from bot.files import MIB, Fetch, check_attachment, download, job_directory
from bot.replies import Message, Reply, ResultTooLargeError
from bot.tasks import MergeTask
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    import discord

    from bot.config import Config
    from bot.jobs import Job, JobQueue
    from pipeline.recipe import Recipe
    from pipeline.types import MergeResult

log = logging.getLogger(__name__)

ROOM_FOR_THE_CARD = 64 * 1024
"""Bytes of an upload that are kept free for the embed and the form around the file."""

EXCERPT_BYTES = 4 * MIB
"""Most bytes of an excerpt: any server takes them, and a minute of the best quality needs less."""

_NEEDED = {"attach_files": "Attach Files", "embed_links": "Embed Links"}


class MissingPermissionError(UserError):
    """The bot may not do in this channel what a merge needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asked for.

    Attributes
    ----------
    vocals, backing
        The two attachments; they may be the same.
    recipe
        How they are to be merged.
    """

    vocals: discord.Attachment
    backing: discord.Attachment
    recipe: Recipe


class MergeDesk:
    """Takes orders.

    Parameters
    ----------
    config
        Limits and places.
    queue
        Where jobs wait for a worker.
    fetch
        How attachments are read.
    edit_every_s
        How often the reply may be edited, in seconds.
    """

    def __init__(
        self,
        config: Config,
        queue: JobQueue[MergeTask, MergeResult],
        fetch: Fetch,
        *,
        edit_every_s: float = 1.2,
    ) -> None:
        self._config = config
        self._queue = queue
        self.fetch = fetch
        self._edit_every_s = edit_every_s
        self._jobs_dir = config.data_dir.absolute() / "jobs"

    async def merge(self, interaction: discord.Interaction[Any], order: Order) -> None:
        """Carry out an order from the first refusal to the mash-up in the reply.

        Raises
        ------
        PipelineError
            Why there is no mash-up.
        """
        check_permissions(interaction)
        for attachment in (order.vocals, order.backing):
            check_attachment(attachment, self._config.max_upload_bytes)
        job = self._queue.admit(interaction.user.id)
        try:
            reply = await Reply.open(interaction)
            async with job_directory(self._jobs_dir, job.id) as folder:
                max_bytes = interaction.filesize_limit - ROOM_FOR_THE_CARD
                result = await self._follow(job, reply, self._work(job, order, folder, max_bytes))
                await _hand_over(reply, result, folder, max_bytes)
        finally:
            self._queue.release(job)

    async def _work(self, job: Job, order: Order, folder: Path, max_bytes: int) -> MergeResult:
        limit_bytes = self._config.max_upload_bytes
        vocals = await download(order.vocals, folder, "vocals", self.fetch, limit_bytes)
        backing = await download(order.backing, folder, "backing", self.fetch, limit_bytes)
        task = MergeTask(
            vocals=vocals,
            backing=backing,
            vocals_name=order.vocals.filename,
            backing_name=order.backing.filename,
            recipe=order.recipe,
            out_dir=folder,
            max_bytes=max_bytes,
            longest_s=self._config.max_song_s,
        )
        return await self._queue.run(job, task)

    async def _follow(
        self, job: Job, reply: Reply, work: Coroutine[Any, Any, MergeResult]
    ) -> MergeResult:
        """Show how the work goes until it ends."""
        task = job.start(work)
        try:
            while not task.done():
                status = render.job_status(job.state, self._queue.place_of(job), job.progress)
                await reply.show(status)
                await asyncio.wait({task}, timeout=self._edit_every_s)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled() and job.called_off is not None:
            raise job.called_off
        return task.result()


async def _hand_over(reply: Reply, result: MergeResult, folder: Path, max_bytes: int) -> None:
    """Deliver the mash-up, or an excerpt where Discord takes less than it had said."""
    whole = Message(
        embed=render.result_embed(result),
        file=result.path,
        file_name=render.result_file_name(result),
    )
    try:
        await reply.finish(whole)
    except ResultTooLargeError as refusal:
        target = folder / "excerpt.mp3"
        try:
            await cut_excerpt(result, target, min(max_bytes, EXCERPT_BYTES))
        except ExcerptError as error:
            log.warning("a mash-up was refused, and no excerpt can be offered: %s", error)
            raise refusal from error
        part = Message(
            text=render.excerpt_text(result, *span_of(result)),
            embed=whole.embed,
            file=target,
            file_name=render.excerpt_file_name(result),
        )
        await reply.finish(part)


def check_permissions(interaction: discord.Interaction[Any]) -> None:
    """Refuse where the bot could not deliver.

    Raises
    ------
    MissingPermissionError
        Names the permission that is missing.
    """
    if interaction.guild_id is None:
        return
    allowed = interaction.app_permissions
    missing = [name for flag, name in _NEEDED.items() if not getattr(allowed, flag)]
    if missing:
        raise MissingPermissionError(
            f"In this channel I lack the permission {' and '.join(missing)}.",
            hint="Ask an admin for it, or use another channel.",
        )
