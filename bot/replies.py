"""One answer to one command: edited while it can be, sent another way when it cannot."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

log = logging.getLogger(__name__)

ALREADY_ACKNOWLEDGED = 40060
TOO_LARGE = 40005
_HTTP_TOO_LARGE = 413
_GONE = (401, 404)  # the token has died after 15 minutes, or somebody deleted the reply
_UNREACHABLE = (discord.HTTPException, aiohttp.ClientError, OSError)


class ResultTooLargeError(UserError):
    """Discord takes no file of this size here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be said.

    Attributes
    ----------
    text
        The content, or "".
    embed
        A card, or None.
    file, file_name
        A file to attach and its name for people, or None.
    """

    text: str = ""
    embed: discord.Embed | None = None
    file: Path | None = None
    file_name: str = ""

    def new_file(self) -> discord.File | None:
        """Open the file afresh: discord.py closes it with each attempt to send it."""
        return discord.File(self.file, filename=self.file_name) if self.file is not None else None


class Reply:
    """The visible answer to an interaction that takes its time.

    Parameters
    ----------
    interaction
        The command that is answered.

    Attributes
    ----------
    message_id
        The message that the answer is, once Discord has said so.
    """

    def __init__(self, interaction: discord.Interaction[Any]) -> None:
        self._interaction = interaction
        self._shown = ""
        self._editable = True
        self.message_id: int | None = None

    @classmethod
    async def open(cls, interaction: discord.Interaction[Any]) -> Reply:
        """Acknowledge a command, so that there are 15 minutes for the answer."""
        reply = cls.to(interaction)
        try:
            callback = await interaction.response.defer(thinking=True)
        except discord.HTTPException as error:
            # The library repeats a request whose answer was lost; the first one counted.
            if error.code != ALREADY_ACKNOWLEDGED:
                raise
        else:
            reply.message_id = callback.message_id if callback is not None else None
        return reply

    @classmethod
    def to(cls, interaction: discord.Interaction[Any]) -> Reply:
        """Return the one reply that belongs to a command."""
        reply = interaction.extras.setdefault("reply", cls(interaction))
        if not isinstance(reply, cls):
            raise TypeError("extras['reply'] holds something else")
        return reply

    async def show(self, text: str) -> None:
        """Edit the answer if the text is new; progress is not worth an error."""
        if text == self._shown or not self._editable:
            return
        try:
            await self._edit(Message(text=text))
        except _UNREACHABLE as error:
            self._editable = getattr(error, "status", None) not in _GONE
            log.info("progress could not be shown: %s", error)

    async def refuse(self, sentence: str) -> None:
        """Say no: to the person alone if nothing was said yet, else in place of the progress."""
        if not self._interaction.response.is_done():
            try:
                await self._interaction.response.send_message(
                    sentence, ephemeral=True, allowed_mentions=discord.AllowedMentions.none()
                )
            except _UNREACHABLE as error:
                self._editable = False  # the command was never acknowledged
                log.info("a refusal goes another way: %s", error)
            else:
                return
        await self.finish(Message(text=sentence))

    async def finish(self, message: Message) -> None:
        """Deliver the answer: as an edit, else as a message in the channel, else as a DM.

        Raises
        ------
        ResultTooLargeError
            The file is larger than what Discord takes here.
        discord.HTTPException, aiohttp.ClientError, OSError
            None of the ways worked.
        """
        ways: list[Callable[[Message], Awaitable[None]]] = [self._to_channel, self._to_person]
        if self._editable:
            ways.insert(0, self._edit)
        for is_last, way in zip([*([False] * (len(ways) - 1)), True], ways, strict=True):
            try:
                await way(message)
            except _UNREACHABLE as error:
                if _is_too_large(error):
                    raise ResultTooLargeError(
                        "The mash-up is larger than what Discord takes here.",
                        hint="Try shorter songs.",
                    ) from error
                if is_last:
                    raise
                log.info("an answer goes another way: %s", error)
            else:
                return

    async def _edit(self, message: Message) -> None:
        file = message.new_file()
        edited = await self._interaction.edit_original_response(
            content=message.text or None,
            embed=message.embed,
            attachments=[file] if file is not None else [],
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.message_id = edited.id
        self._shown = message.text

    async def _to_channel(self, message: Message) -> None:
        channel_id = self._interaction.channel_id
        if channel_id is None:
            await self._to_person(message)
            return
        channel = self._interaction.client.get_partial_messageable(
            channel_id, guild_id=self._interaction.guild_id
        )
        reference = None
        if self.message_id is not None:
            reference = discord.MessageReference(
                message_id=self.message_id, channel_id=channel_id, fail_if_not_exists=False
            )
        user = self._interaction.user
        await channel.send(
            f"{user.mention} {message.text or 'Your mash-up is ready.'}",
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, users=[user], replied_user=False
            ),
            **_extras(message),
            **({"reference": reference} if reference is not None else {}),
        )

    async def _to_person(self, message: Message) -> None:
        await self._interaction.user.send(
            message.text or "Your mash-up is ready.",
            allowed_mentions=discord.AllowedMentions.none(),
            **_extras(message),
        )


def _extras(message: Message) -> dict[str, Any]:
    """Return the parts of a message that `send` takes only when they are there."""
    extras: dict[str, Any] = {}
    if message.embed is not None:
        extras["embed"] = message.embed
    if message.file is not None:
        extras["file"] = message.new_file()
    return extras


def _is_too_large(error: BaseException) -> bool:
    return isinstance(error, discord.HTTPException) and (
        error.status == _HTTP_TOO_LARGE or error.code == TOO_LARGE
    )
