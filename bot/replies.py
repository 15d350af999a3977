"""One answer to one request: edited while it can be, sent another way when it cannot.

A reply needs nothing but an `Address` and the client, so that a bot that was restarted can go on
with the answers of the one before.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from bot.orders import Address
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

log = logging.getLogger(__name__)

ALREADY_ACKNOWLEDGED = 40060
TOO_LARGE = 40005
ROOM_FOR_THE_CARD = 64 * 1024
"""Bytes of an upload that are kept free for the card and the form around a file."""

UNREACHABLE = (discord.HTTPException, aiohttp.ClientError, OSError)
"""What it may raise to tell Discord something."""

_HTTP_TOO_LARGE = 413
_GONE = (401, 404)  # the token has died after 15 minutes, or somebody deleted the reply
_NOBODY = discord.AllowedMentions.none()


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
    files
        What to attach: each a file and its name for people.
    view
        Buttons, or None.
    """

    text: str = ""
    embed: discord.Embed | None = None
    files: tuple[tuple[Path, str], ...] = ()
    view: discord.ui.View | None = None

    def new_files(self) -> list[discord.File]:
        """Open the files afresh: discord.py closes them with each attempt to send them."""
        return [discord.File(path, filename=name) for path, name in self.files]


class Reply:
    """The answer to somebody who waits.

    Parameters
    ----------
    client
        The connection to Discord.
    address
        Where the answer goes.
    before
        The buttons of a message that is changed in place; they come back when that fails.

    Attributes
    ----------
    address
        Where the answer goes.
    """

    def __init__(
        self, client: discord.Client, address: Address, *, before: discord.ui.View | None = None
    ) -> None:
        self._client = client
        self._before = before
        self._shown = ""
        self._editable = True
        self.address = address

    @classmethod
    def to(
        cls,
        interaction: discord.Interaction[Any],
        *,
        before: discord.ui.View | None = None,
    ) -> Reply:
        """Return the reply to an interaction; with `before`, in the message that it came from.

        It is not acknowledged yet.
        """
        in_place = before is not None and interaction.message is not None
        address = Address(
            application_id=interaction.application_id,
            token=interaction.token,
            opened_at=interaction.created_at.timestamp(),
            user_id=interaction.user.id,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id,
            message_id=interaction.message.id if in_place and interaction.message else None,
            max_bytes=interaction.filesize_limit - ROOM_FOR_THE_CARD,
            in_place=in_place,
        )
        reply = cls(interaction.client, address, before=before)
        interaction.extras["reply"] = reply
        return reply

    async def open(self, interaction: discord.Interaction[Any]) -> None:
        """Acknowledge the request, so that there are 15 minutes for the answer."""
        try:
            callback = await interaction.response.defer(thinking=not self.address.in_place)
        except discord.HTTPException as error:
            # The library repeats a request whose answer was lost; the first one counted.
            if error.code != ALREADY_ACKNOWLEDGED:
                raise
            message_id = await _answer_of(interaction)
        else:
            message_id = callback.message_id if callback is not None else None
        if not self.address.in_place:
            self.address = replace(self.address, message_id=message_id)

    async def show(self, text: str, view: discord.ui.View | None = None) -> None:
        """Edit the answer if the text is new; progress is not worth an error."""
        if text == self._shown or not self._can_edit:
            return
        try:
            await self._edit(content=text, view=view)
        except UNREACHABLE as error:
            self._editable = getattr(error, "status", None) not in _GONE
            log.info("progress could not be shown: %s", error)
        else:
            self._shown = text

    async def refuse(self, sentence: str) -> None:
        """Say no in place of the progress; a message that was to be changed stays as it was.

        Raises
        ------
        discord.HTTPException, aiohttp.ClientError, OSError
            Nobody could be told.
        """
        if not self.address.in_place:
            await self.finish(Message(text=sentence))
            return
        await self.restore(self._before)
        try:
            await self._webhook().send(sentence, ephemeral=True, allowed_mentions=_NOBODY)
        except UNREACHABLE as error:
            log.info("a refusal goes another way: %s", error)
            await self._first_that_works(
                Message(text=sentence), [self._to_channel, self._to_person]
            )

    def expire(self) -> None:
        """Give a message that was to be changed no buttons back: they have ended."""
        self._before = None

    async def restore(self, view: discord.ui.View | None) -> None:
        """Take the progress out of a message that was to be changed, and give it these buttons."""
        try:
            if self._can_edit:
                await self._edit(content=None, view=view)
                return
        except UNREACHABLE as error:
            log.info("a message is restored another way: %s", error)
        await self._tidy(content=None, view=view)

    async def finish(self, message: Message) -> None:
        """Deliver the answer: as an edit, else as a message in the channel, else as a DM.

        Raises
        ------
        ResultTooLargeError
            A file is larger than what Discord takes here.
        discord.HTTPException, aiohttp.ClientError, OSError
            None of the ways worked.
        """
        ways: list[Callable[[Message], Awaitable[None]]] = [self._to_channel, self._to_person]
        if self._can_edit:
            ways.insert(0, self._in_the_answer)
        await self._first_that_works(message, ways)

    async def _first_that_works(
        self, message: Message, ways: list[Callable[[Message], Awaitable[None]]]
    ) -> None:
        for is_last, way in zip([*([False] * (len(ways) - 1)), True], ways, strict=True):
            try:
                await way(message)
            except UNREACHABLE as error:
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

    async def _in_the_answer(self, message: Message) -> None:
        await self._edit(
            content=message.text or None,
            embed=message.embed,
            attachments=message.new_files(),
            view=message.view,
        )
        self._shown = message.text

    @property
    def _can_edit(self) -> bool:
        return self._editable and self.address.message_id is not None

    async def _edit(self, **changes: Any) -> None:  # noqa: ANN401 - as discord.py takes them
        assert self.address.message_id is not None, "asked for by _can_edit"
        await self._webhook().edit_message(
            self.address.message_id, allowed_mentions=_NOBODY, **changes
        )

    def _webhook(self) -> discord.Webhook:
        address = self.address
        webhook = discord.Webhook.partial(
            address.application_id, address.token, client=self._client
        )
        webhook.type = discord.WebhookType.application  # others may not whisper
        return webhook

    async def _to_channel(self, message: Message) -> None:
        address = self.address
        if address.channel_id is None:
            await self._to_person(message)
            return
        channel = self._client.get_partial_messageable(
            address.channel_id, guild_id=address.guild_id
        )
        reference = None
        if address.message_id is not None:
            reference = discord.MessageReference(
                message_id=address.message_id,
                channel_id=address.channel_id,
                fail_if_not_exists=False,
            )
        person = discord.Object(address.user_id)
        await channel.send(
            f"<@{address.user_id}> {message.text or 'Your mash-up is ready.'}",
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, users=[person], replied_user=False
            ),
            **_extras(message, reference),
        )
        if address.in_place:
            await self._tidy(content=None, view=self._before)
        elif self._shown:
            await self._tidy(content="This took a while: the answer is further down.", view=None)

    async def _tidy(self, **changes: Any) -> None:  # noqa: ANN401 - as discord.py takes them
        """Edit the message as one of the bot's own, once the token has died."""
        address = self.address
        if address.channel_id is None or address.message_id is None:
            return
        channel = self._client.get_partial_messageable(
            address.channel_id, guild_id=address.guild_id
        )
        try:
            await channel.get_partial_message(address.message_id).edit(
                allowed_mentions=_NOBODY, **changes
            )
        except UNREACHABLE as error:
            log.info("an old message stays as it is: %s", error)

    async def _to_person(self, message: Message) -> None:
        channel = await self._client.create_dm(discord.Object(self.address.user_id))
        await channel.send(
            message.text or "Your mash-up is ready.", allowed_mentions=_NOBODY, **_extras(message)
        )


async def _answer_of(interaction: discord.Interaction[Any]) -> int | None:
    """Ask Discord for the message that an interaction was answered with."""
    try:
        return (await interaction.original_response()).id
    except (*UNREACHABLE, discord.ClientException) as error:
        log.info("the answer to be edited is unknown: %s", error)
        return None


def _extras(message: Message, reference: discord.MessageReference | None = None) -> dict[str, Any]:
    """Return the parts of a message that `send` takes only when they are there."""
    extras: dict[str, Any] = {} if reference is None else {"reference": reference}
    if message.embed is not None:
        extras["embed"] = message.embed
    if message.files:
        extras["files"] = message.new_files()
    if message.view is not None:
        extras["view"] = message.view
    return extras


def _is_too_large(error: BaseException) -> bool:
    return isinstance(error, discord.HTTPException) and (
        error.status == _HTTP_TOO_LARGE or error.code == TOO_LARGE
    )
