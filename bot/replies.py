"""One answer to one request: edited while it can be, sent another way when it cannot.

A reply needs nothing but an `Address` and the client, so that a bot that was restarted can go on
with the answers of the one before.
"""

from __future__ import annotations

import itertools
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from bot.ledger import now
from bot.messages import (
    UNREACHABLE,
    Message,
    ResultTooLargeError,
    is_too_large,
    may_pass,
    understanding,
)
from bot.orders import Address, Way
from bot.posts import Post

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

ALREADY_ACKNOWLEDGED = 40060
UNKNOWN_INTERACTION = 10062
ROOM_FOR_THE_CARD = 64 * 1024
"""Bytes of an upload that are kept free for the card and the form around a file."""

_ACKNOWLEDGED_BY = 3  # attempts to acknowledge a request; there are 3 s for it
_GONE = (401, 404)  # the token has died after 15 minutes, or somebody deleted the reply
_NOBODY = discord.AllowedMentions.none()


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
        self._way = Way.REPLY
        self._unsure = False  # whether an attempt to answer may have got through
        self._nonce: str | None = None
        self._note: Callable[[Way], Awaitable[None]] | None = None
        self.address = address

    def be_known_by(
        self, nonce: str, note: Callable[[Way], Awaitable[None]], *, way: Way | None = None
    ) -> None:
        """Make sure that the answer is seen once, however often it has to be sent.

        Parameters
        ----------
        nonce
            What Discord knows new messages by: it drops a second one with the same, of at most
            25 characters, for some minutes. Beyond these, the last messages are looked through.
        note
            Writes down how the answer is about to be sent.
        way
            How it was sent before a restart, which may have got through; None if it was not.
        """
        self._nonce, self._note = nonce, note
        if way is not None:
            self._way, self._unsure = way, True

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
            opened_at=now(),
            user_id=interaction.user.id,
            guild_id=interaction.guild_id,
            channel_id=interaction.channel_id,
            message_id=interaction.message.id if in_place and interaction.message else None,
            max_bytes=interaction.filesize_limit - ROOM_FOR_THE_CARD,
            in_place=in_place,
            guest=(
                interaction.is_user_integration()
                and not interaction.is_guild_integration()
                and not interaction.context.dm_channel
            ),
        )
        reply = cls(interaction.client, address, before=before)
        interaction.extras["reply"] = reply
        return reply

    async def open(self, interaction: discord.Interaction[Any]) -> None:
        """Acknowledge the request, so that there are 15 minutes for the answer.

        An acknowledgement whose answer is lost is sent again; the first one counts.
        """
        message_id = None
        for attempt in range(1, _ACKNOWLEDGED_BY + 1):
            try:
                with understanding():
                    callback = await interaction.response.defer(thinking=not self.address.in_place)
            except (aiohttp.ClientError, OSError) as error:
                if attempt == _ACKNOWLEDGED_BY:
                    raise
                log.info("an acknowledgement is sent again: %s", error)
            except discord.InteractionResponded:  # by the one before, whose answer was garbled
                message_id = await self._answer()
                break
            except discord.HTTPException as error:
                repeated = attempt > 1 and error.code == UNKNOWN_INTERACTION
                if error.code != ALREADY_ACKNOWLEDGED and not repeated:
                    raise
                message_id = await self._answer()
                break
            else:
                message_id = callback.message_id if callback is not None else None
                break
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
            with understanding():
                await self._webhook().send(sentence, ephemeral=True, allowed_mentions=_NOBODY)
        except UNREACHABLE as error:
            log.info("a refusal goes another way: %s", error)
            await self._first_that_works(Message(text=sentence), Way.CHANNEL)

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

        Called again after a fault that may pass, it goes on the way that it was on: what may have
        got through is never sent another way, where it would be seen twice.

        Raises
        ------
        ResultTooLargeError
            A file is larger than what Discord takes here.
        discord.HTTPException, aiohttp.ClientError, OSError
            None of the ways worked; `may_pass` says whether to try again.
        """
        if self.address.message_id is None and not self.address.in_place and self._editable:
            self.address = replace(self.address, message_id=await self._answer())
        await self._first_that_works(message, self._way)

    async def _first_that_works(self, message: Message, first: Way) -> None:
        closed: BaseException | None = None
        for way in itertools.dropwhile(lambda one: one is not first, Way.__members__.values()):
            if not self._is_open(way):
                continue
            await self._take(way)
            try:
                with understanding():
                    await self._send(way, message)
            except UNREACHABLE as error:
                if is_too_large(error):
                    raise ResultTooLargeError(
                        "The mash-up is larger than what Discord takes here.",
                        hint="Try shorter songs.",
                    ) from error
                if may_pass(error):
                    self._unsure = True
                    raise
                closed = error
                log.info("an answer goes another way: %s", error)
            else:
                return
        assert closed is not None, "the last way is always open"
        raise closed

    def _is_open(self, way: Way) -> bool:
        match way:
            case Way.REPLY:
                return self._can_edit
            case Way.OWN:  # else people are told by a new message that it took a while
                return self._unsure and self._our_message() is not None
            case Way.CHANNEL:
                return self.address.channel_id is not None
        return True

    async def _take(self, way: Way) -> None:
        if way is not self._way:
            self._way = way
            if self._note is not None:
                await self._note(way)

    async def _send(self, way: Way, message: Message) -> None:
        match way:
            case Way.REPLY:
                await self._in_the_answer(message)
            case Way.OWN:
                await self._in_our_message(message)
            case Way.CHANNEL:
                await self._post(message).to_channel()
                await self._leave(hint="This took a while: the answer is further down.")
            case Way.PERSON:
                await self._post(message).to_person()
                await self._leave(hint=None)

    def _post(self, message: Message) -> Post:
        return Post(
            client=self._client,
            address=self.address,
            message=message,
            nonce=self._nonce,
            unsure=self._unsure,
        )

    async def _leave(self, *, hint: str | None) -> None:
        """Leave the message that people look at in order, now that the answer came elsewhere."""
        if self.address.in_place:
            await self._tidy(content=None, view=self._before)
        elif hint is not None:
            await self._tidy(content=hint, view=None)

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
        with understanding():
            await self._webhook().edit_message(
                self.address.message_id, allowed_mentions=_NOBODY, **changes
            )

    async def _in_our_message(self, message: Message) -> None:
        own = self._our_message()
        assert own is not None, "asked for by _is_open"
        await own.edit(
            content=message.text or None,
            embed=message.embed,
            attachments=message.new_files(),
            view=message.view,
            allowed_mentions=_NOBODY,
        )

    async def _answer(self) -> int | None:
        """Ask Discord for the message that the request was answered with, if there is one."""
        answer: Any = "@original"  # Discord's name for it, where a number is expected
        try:
            with understanding():
                return (await self._webhook().fetch_message(answer)).id
        except UNREACHABLE as error:
            log.info("the answer to be edited is unknown: %s", error)
            return None

    def _webhook(self) -> discord.Webhook:
        address = self.address
        webhook = discord.Webhook.partial(
            address.application_id, address.token, client=self._client
        )
        webhook.type = discord.WebhookType.application  # others may not whisper
        return webhook

    def _our_message(self) -> discord.PartialMessage | None:
        """Return the answer as a message of the bot's own, for when the token has died."""
        address = self.address
        if address.channel_id is None or address.message_id is None:
            return None
        channel = self._client.get_partial_messageable(
            address.channel_id, guild_id=address.guild_id
        )
        return channel.get_partial_message(address.message_id)

    async def _tidy(self, **changes: Any) -> None:  # noqa: ANN401 - as discord.py takes them
        """Edit the message as one of the bot's own, if that works."""
        own = self._our_message()
        if own is None:
            return
        try:
            with understanding():
                await own.edit(allowed_mentions=_NOBODY, **changes)
        except UNREACHABLE as error:
            log.info("an old message stays as it is: %s", error)
