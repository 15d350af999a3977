"""Who may have something merged where, and how often, in words that an admin can act on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import discord

from bot.ledger import HOUR_S
from pipeline.errors import UserError

if TYPE_CHECKING:
    from bot.ledger import Ledger
    from bot.policy import Policy

_NEEDED = {"attach_files": "Attach Files", "embed_links": "Embed Links"}


class MissingPermissionError(UserError):
    """The bot may not do in this channel what a merge needs."""


class NotHereError(UserError):
    """The server's admins want merges elsewhere, or by others."""


class TooOftenError(UserError):
    """Somebody had as many merges as one person may have in an hour."""


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


def check_place(interaction: discord.Interaction[Any], policy: Policy) -> None:
    """Refuse in channels, and to people, that the server's admins did not choose.

    Raises
    ------
    NotHereError
        Says where, or who may.
    """
    if interaction.guild is None:
        return
    if policy.channels and not _places(interaction) & set(policy.channels):
        named = " or ".join(f"<#{number}>" for number in policy.channels[:3])
        raise NotHereError("Merges are not for this channel.", hint=f"Go to {named}.")
    member = interaction.user
    roles = {role.id for role in member.roles} if isinstance(member, discord.Member) else set()
    if policy.roles and not roles & set(policy.roles):
        known = [interaction.guild.get_role(number) for number in policy.roles[:3]]
        named = " or ".join(role.name for role in known if role) or "certain roles"
        raise NotHereError(f"In this server, merges are for {named}.", hint="Ask an admin.")


def _places(interaction: discord.Interaction[Any]) -> set[int]:
    """Return the channel and, of a thread, the one that it belongs to."""
    parent = getattr(interaction.channel, "parent_id", None)
    return {number for number in (interaction.channel_id, parent) if number is not None}


async def check_hour(
    ledger: Ledger, owner: int, guild_id: int | None, limit: int, now: float
) -> None:
    """Refuse who had as many merges in the last hour as one person may have; 0 is no limit.

    Raises
    ------
    TooOftenError
        Says when to try again.
    """
    if not limit:
        return
    times = await ledger.accepted_since(owner, guild_id, now - HOUR_S)
    if len(times) < limit:
        return
    minutes = max(1, math.ceil((times[-limit] + HOUR_S - now) / 60.0))
    raise TooOftenError(
        f"You have asked for {limit} mash-up{'' if limit == 1 else 's'} within an hour, "
        "which is what one person may here.",
        hint=f"Try again in {minutes} min.",
    )
