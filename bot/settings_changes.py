"""Who may change a server's settings, what its channels and roles allow, and who hears of it."""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any, cast

import discord

from bot.messages import UNREACHABLE
from bot.setting_kinds import IdSetting, SettingError
from bot.settings_words import changed_text, changes_text
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.client import VocalClient
    from bot.policy import Change
    from bot.setting_kinds import Setting, Stored

log = logging.getLogger(__name__)

AUDIT = "audit_channel"

_WRITABLE = (discord.ChannelType.text, discord.ChannelType.news)
_PLACES = (
    *_WRITABLE,
    discord.ChannelType.voice,
    discord.ChannelType.stage_voice,
    discord.ChannelType.forum,
)
_NOBODY = discord.AllowedMentions.none()


class NotAdminError(UserError):
    """Somebody wants to see or change settings who may not."""


def require_admin(interaction: discord.Interaction[Any]) -> discord.Guild:
    """Return the server whose settings somebody may change.

    Discord hides the command from others by default, which a server's admins may override.

    Raises
    ------
    NotAdminError
        They may not, or there is no server.
    """
    if interaction.guild is None:
        raise NotAdminError("Settings belong to a server.", hint="Use /settings in one.")
    allowed = interaction.permissions
    if not (allowed.manage_guild or allowed.administrator):
        raise NotAdminError(
            "Settings are for those who may manage this server.",
            hint="Ask somebody who has the permission Manage Server.",
        )
    return interaction.guild


def channel_types(setting: IdSetting) -> tuple[discord.ChannelType, ...]:
    """Return the kinds of channels among which people choose; threads may be named besides."""
    return _WRITABLE if setting.name == AUDIT else _PLACES


def find(
    guild: discord.Guild, setting: IdSetting, number: int
) -> discord.Role | discord.abc.GuildChannel | discord.Thread | None:
    """Return the channel or role of a server that a setting may name."""
    if setting.noun == "role":
        return guild.get_role(number)
    channel = guild.get_channel_or_thread(number)
    possible = isinstance(channel, discord.Thread) or (
        channel is not None and channel.type in channel_types(setting)
    )
    return channel if possible else None


def check_places(
    guild: discord.Guild, settings: Mapping[str, Setting], values: Mapping[str, Stored]
) -> None:
    """Refuse channels and roles that a server does not have, or in which the bot cannot write.

    Raises
    ------
    SettingError
        Names them all, in one sentence.
    """
    problems: list[str] = []
    for name, value in values.items():
        setting = settings[name]
        if isinstance(setting, IdSetting) and isinstance(value, tuple):
            problems.extend(_unknown(guild, setting, value))
    for number in cast("tuple[int, ...]", () if problems else values.get(AUDIT, ())):
        _, problem = _writable(guild, number)
        problems.extend([f"{AUDIT} stays as it is: {problem}"] if problem else [])
    if problems:
        raise SettingError(f"{'; '.join(problems)}.")


def _unknown(guild: discord.Guild, setting: IdSetting, ids: tuple[int, ...]) -> list[str]:
    return [
        f"{setting.name} cannot be {number}: this server has no such {setting.noun} for it"
        for number in ids
        if find(guild, setting, number) is None
    ]


def _writable(
    guild: discord.Guild, channel_id: int
) -> tuple[discord.TextChannel | discord.Thread | None, str]:
    """Return a channel in which the bot can write, or None and why it cannot."""
    channel = guild.get_channel_or_thread(channel_id)
    if not isinstance(channel, discord.TextChannel | discord.Thread):
        return None, "its channel is gone"
    allowed = channel.permissions_for(guild.me)
    sending = "send_messages_in_threads" if isinstance(channel, discord.Thread) else "send_messages"
    missing = [
        flag.replace("_", " ").title()
        for flag in ("view_channel", sending)
        if not getattr(allowed, flag)
    ]
    if missing:
        return None, f"in {channel.mention} I lack the permission {' and '.join(missing)}"
    return channel, ""


async def change(interaction: discord.Interaction[VocalClient], name: str, raw: object) -> str:
    """Change one setting for an admin, and return what to tell them.

    Raises
    ------
    UserError
        They may not, or the setting does not take this value.
    """
    guild = require_admin(interaction)
    policies = interaction.client.policies
    value = policies.check(name, raw)
    check_places(guild, policies.settings, {name: value})
    done = await policies.set(guild.id, name, value)
    told = changed_text(policies.settings[name], done)
    return await written_down(interaction, guild, (done,), told)


async def written_down(
    interaction: discord.Interaction[VocalClient],
    guild: discord.Guild,
    changes: Sequence[Change],
    told: str,
) -> str:
    """Write changes in the audit channel, and return what to tell the admin.

    Where the audit channel itself is changed, both of them hear of it.

    Parameters
    ----------
    interaction
        Who changed them.
    guild
        Where.
    changes
        What; those that changed nothing are left out.
    told
        What the admin is told anyway.
    """
    policies = interaction.client.policies
    real = [one for one in changes if one.before != one.after]
    if not real:
        return told
    present = policies.of(guild.id).audit_channel
    earlier = [cast("tuple[int, ...]", one.before) for one in real if one.name == AUDIT]
    heading = f"{interaction.user.mention} changed the settings:"
    text = changes_text(heading, policies.settings, real)
    for number in itertools.chain(*earlier):
        await _write(guild, number, text)
    if present is None:
        return told
    problem = await _write(guild, present, text)
    return f"{told}\nThe audit channel does not say so: {problem}." if problem else told


async def _write(guild: discord.Guild, channel_id: int, text: str) -> str:
    """Write in a channel; return why that was not possible, or ""."""
    channel, problem = _writable(guild, channel_id)
    if channel is not None:
        try:
            await channel.send(text, allowed_mentions=_NOBODY)
        except UNREACHABLE as unsent:
            log.warning("server %d: Discord refused an audit line: %s", guild.id, unsent)
            return "Discord refused it"
    else:
        log.warning("server %d: an audit line was not written: %s", guild.id, problem)
    return problem
