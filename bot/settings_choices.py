"""What Discord suggests while an admin types the name or the value of a setting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot.render import clip
from bot.setting_kinds import IdSetting, OptionSetting
from bot.settings_changes import NotAdminError, channel_types, require_admin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.setting_kinds import Setting, Stored

ALL = "all"
MOST = 25
LONGEST = 100

Choices = list[app_commands.Choice[str]]


async def suggest_names(interaction: discord.Interaction[Any], current: str) -> Choices:
    """Suggest settings."""
    if _guild_of(interaction) is None:
        return []
    return _fitting(_named(interaction.client.policies.settings.values()), current)


async def suggest_changed(interaction: discord.Interaction[Any], current: str) -> Choices:
    """Suggest settings that are not at their default, and all of them together."""
    guild = _guild_of(interaction)
    if guild is None:
        return []
    policies = interaction.client.policies
    changed = [policies.settings[name] for name in policies.changed(guild.id)]
    return _fitting([(f"{ALL}: everything in this server", ALL), *_named(changed)], current)


async def suggest_values(interaction: discord.Interaction[Any], current: str) -> Choices:
    """Suggest values for the setting that has been named already."""
    guild = _guild_of(interaction)
    policies = interaction.client.policies
    setting = policies.settings.get(getattr(interaction.namespace, "name", None))
    if guild is None or setting is None:
        return []
    if isinstance(setting, IdSetting):
        return _fitting(_places(guild, setting), current)
    assert isinstance(setting, OptionSetting)
    if setting.option.choices:
        meant = ((f"{word}: {text}", word) for word, text in setting.option.choices.items())
        return _fitting(meant, current)
    return _fitting(_numbers(setting, policies.value(guild.id, setting.name)), current)


def _guild_of(interaction: discord.Interaction[Any]) -> discord.Guild | None:
    """Return the server, or None for somebody who may not change its settings."""
    try:
        return require_admin(interaction)
    except NotAdminError:
        return None


def _named(settings: Iterable[Setting]) -> Iterable[tuple[str, str]]:
    return ((f"{setting.name}: {setting.help}", setting.name) for setting in settings)


def _numbers(setting: OptionSetting, value: Stored) -> list[tuple[str, str]]:
    option = setting.option
    told = {
        "now": value,
        "default": option.default,
        "least": option.minimum,
        "most": option.maximum,
    }
    return [
        (f"{setting.shown(number)} ({word})", f"{number:g}")
        for word, number in told.items()
        if isinstance(number, int | float)
    ]


def _places(guild: discord.Guild, setting: IdSetting) -> list[tuple[str, str]]:
    found: Iterable[discord.abc.GuildChannel | discord.Role]
    if setting.noun == "role":
        found = (role for role in reversed(guild.roles) if not role.is_default())
    else:
        found = (one for one in guild.channels if one.type in channel_types(setting))
    sign = "@" if setting.noun == "role" else "#"
    return [(setting.empty, setting.empty), *((f"{sign}{one.name}", str(one.id)) for one in found)]


def _fitting(pairs: Iterable[tuple[str, str]], current: str) -> Choices:
    """Return the choices in which what was typed so far occurs, no value twice."""
    typed = current.strip().lower()
    kept: dict[str, str] = {}
    for name, value in pairs:
        if typed in name.lower():
            kept.setdefault(value, name)
    return [
        app_commands.Choice(name=clip(name, LONGEST), value=value)
        for value, name in list(kept.items())[:MOST]
    ]
