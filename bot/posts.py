"""Answers as new messages: each is seen once, however often it has to be sent."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import discord

from bot.messages import UNREACHABLE, understanding

if TYPE_CHECKING:
    from bot.messages import Message
    from bot.orders import Address

log = logging.getLogger(__name__)

_LOOKED_THROUGH = 50  # messages of a channel
_CLOCKS_DIFFER_S = 60.0
_NOBODY = discord.AllowedMentions.none()
_READY = "Your mash-up is ready."


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """An answer as a new message.

    Attributes
    ----------
    client
        The connection to Discord.
    address
        Whom it answers, and where.
    message
        What it says.
    nonce
        What Discord knows it by, as `bot.replies.Reply.be_known_by` has it; None if it need not.
    unsure
        Whether an earlier attempt to send it may have got through.
    """

    client: discord.Client
    address: Address
    message: Message
    nonce: str | None
    unsure: bool

    async def to_channel(self) -> None:
        """Send it where the person asked, in reply to the answer that was begun there.

        Raises
        ------
        discord.HTTPException, aiohttp.ClientError, OSError
            It may not have got through.
        """
        address = self.address
        assert address.channel_id is not None, "asked for by whoever chose this way"
        reference = None
        if address.message_id is not None:
            reference = discord.MessageReference(
                message_id=address.message_id,
                channel_id=address.channel_id,
                fail_if_not_exists=False,
            )
        person = discord.Object(address.user_id)
        await self._send_once(
            self.client.get_partial_messageable(address.channel_id, guild_id=address.guild_id),
            content=f"<@{address.user_id}> {self.message.text or _READY}",
            reference=reference,
            allowed_mentions=discord.AllowedMentions(
                everyone=False, roles=False, users=[person], replied_user=False
            ),
        )

    async def to_person(self) -> None:
        """Send it as a direct message, which says why it comes there.

        Raises
        ------
        discord.HTTPException, aiohttp.ClientError, OSError
            It may not have got through.
        """
        channel = await self.client.create_dm(discord.Object(self.address.user_id))
        content = self.message.text or _READY
        if self.address.guild_id is not None and self.address.channel_id is not None:
            content = (
                f"In <#{self.address.channel_id}> I could not write; an admin can give me Send "
                f"Messages there. {content}"
            )
        await self._send_once(channel, content=content, allowed_mentions=_NOBODY)

    async def _send_once(
        self,
        channel: discord.abc.Messageable,
        *,
        content: str,
        allowed_mentions: discord.AllowedMentions,
        reference: discord.MessageReference | None = None,
    ) -> None:
        """Send it, unless an attempt of which nobody heard has got through."""
        if self.unsure and await self._is_there(channel, content, reference):
            return
        extras = self.message.extras(reference)
        if self.nonce is not None:
            extras["nonce"] = self.nonce
        await channel.send(content, allowed_mentions=allowed_mentions, **extras)

    async def _is_there(
        self,
        channel: discord.abc.Messageable,
        content: str,
        reference: discord.MessageReference | None,
    ) -> bool:
        """Look for a message that may have got through; Discord forgets nonces after minutes."""
        since = datetime.fromtimestamp(self.address.opened_at - _CLOCKS_DIFFER_S, UTC)
        names = [name for _, name in self.message.files]
        to = reference.message_id if reference is not None else None
        try:
            with understanding():
                newest = channel.history(after=since, limit=_LOOKED_THROUGH, oldest_first=False)
                async for found in newest:
                    if (
                        found.content == content
                        and [file.filename for file in found.attachments] == names
                        and (found.reference.message_id if found.reference else None) == to
                    ):
                        return True
        except UNREACHABLE as error:  # it may not read there: better twice than never
            log.info("an earlier answer cannot be looked for: %s", error)
        return False
