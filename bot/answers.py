"""The one place where an error becomes an answer, whatever it was that failed."""

from __future__ import annotations

import asyncio
import functools
import logging
import secrets
import sqlite3
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec

import discord
from discord import app_commands

from bot import render
from bot.ledger import Fault, now
from bot.messages import UNREACHABLE
from bot.replies import Reply
from bot.room import no_room
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bot.client import VocalClient
    from bot.ledger import Ledger

log = logging.getLogger(__name__)

Rest = ParamSpec("Rest")


async def sentence_for(error: BaseException, ledger: Ledger | None) -> str:
    """Say an error in one sentence; one of our own is logged and noted under a reference code."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    full = no_room(cause)
    if full is not None:
        log.error("the disk is full: %s", cause)
        cause = full
    reference = secrets.token_hex(3).upper()
    sentence = render.error_sentence(cause, reference)
    if not render.is_ours(cause):
        log.info("refused: %s", type(cause).__name__)
        return sentence
    log.error("%s: a command failed", reference, exc_info=cause)
    if ledger is not None:
        fault = Fault(
            reference=reference,
            at=now(),
            kind=type(cause).__name__,
            # Of anything else nobody knows whether it speaks of songs or people.
            sentence=str(cause) if isinstance(cause, PipelineError) else "",
        )
        try:
            await ledger.note_fault(fault)
        except sqlite3.Error as unwritten:  # the person is told all the same
            log.warning("%s is in this log alone: %s", reference, unwritten)
    return sentence


async def answer_error(interaction: discord.Interaction[VocalClient], error: BaseException) -> None:
    """Answer an error in one sentence, to the person alone where that is still possible."""
    sentence = await sentence_for(error, interaction.client.ledger)
    try:
        await tell(interaction, sentence)
    except UNREACHABLE as unsent:
        log.warning("nobody could be told: %s", unsent)


async def tell(interaction: discord.Interaction[VocalClient], sentence: str) -> None:
    """Say why something is refused, to the person alone where that is still possible.

    Raises
    ------
    discord.HTTPException, aiohttp.ClientError, OSError
        Nobody could be told.
    """
    reply = interaction.extras.get("reply")
    if not interaction.response.is_done():
        try:
            await interaction.response.send_message(
                sentence, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
            )
        except UNREACHABLE as unsent:
            log.info("a refusal goes another way: %s", unsent)
        else:
            return
    if isinstance(reply, Reply):
        await reply.refuse(sentence)
    else:
        await interaction.followup.send(
            sentence, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
        )


async def answered(
    doing: Awaitable[None],
    tell: Callable[[str], Awaitable[None]],
    ledger: Ledger | None,
) -> None:
    """Wait for what answers somebody by itself; if it fails, tell them in one sentence."""
    try:
        await doing
    except Exception as error:  # noqa: BLE001 - nobody above would answer it
        sentence = await sentence_for(error, ledger)
        try:
            await tell(sentence)
        except UNREACHABLE as unsent:
            log.warning("nobody could be told: %s", unsent)


def guarded(
    callback: Callable[Concatenate[Any, discord.Interaction[VocalClient], Rest], Awaitable[None]],
) -> Callable[Concatenate[Any, discord.Interaction[VocalClient], Rest], Coroutine[Any, Any, None]]:
    """Let a method that answers a button, a select or a form answer its errors like a command.

    The tree does so for commands alone. The client remembers it as being served, too.
    """

    @functools.wraps(callback)
    async def served(
        self: Any,  # noqa: ANN401 - whatever has the method
        interaction: discord.Interaction[VocalClient],
        *args: Rest.args,
        **kwargs: Rest.kwargs,
    ) -> None:
        client = interaction.client
        if not client.is_new(interaction):
            return
        client.serve(asyncio.current_task())
        await answered(
            callback(self, interaction, *args, **kwargs),
            lambda sentence: tell(interaction, sentence),
            client.ledger,
        )

    return served  # type: ignore[return-value]  # functools.wraps knows of no names
