"""What tests of settings share: an admin, and what admins do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord

from bot.config import read_config
from bot.setting_kinds import IdSetting, OptionSetting, Setting
from bot.settings_table import settings_of
from pipeline.errors import UserError

if TYPE_CHECKING:
    from bot.setting_kinds import Stored
    from tests.bot.conftest import Scene

CONFIG = read_config({"DISCORD_TOKEN": "token"})
SETTINGS = settings_of(CONFIG)


def unlike_the_default(setting: Setting) -> Stored:
    """Return some other value that a setting may have."""
    if isinstance(setting, IdSetting):
        return (123456789012345678, 5)[: setting.most]
    assert isinstance(setting, OptionSetting)
    option = setting.option
    if option.choices:
        return next(word for word in reversed(option.choices) if word != setting.default)
    assert option.minimum is not None
    assert option.maximum is not None
    ends = (option.kind(option.minimum), option.kind(option.maximum))
    return next(end for end in ends if end != setting.default)


def add_admin(scene: Scene) -> Any:
    """Return somebody who has a role, "keys", that may manage the server."""
    keys = scene.guild.create_role("keys", permissions=discord.Permissions(manage_guild=True))
    return scene.guild.add_member(scene.env.create_user("carol"), roles=[keys])


async def use(scene: Scene, who: Any, command: str, **options: Any) -> Any:
    """Have somebody use a subcommand; nobody else may see the answer."""
    result = await who.slash(scene.channel, f"settings {command}", **options)
    assert result.ephemeral
    return result


async def said(scene: Scene, who: Any, command: str, **options: Any) -> str:
    answer = (await use(scene, who, command, **options)).response.content
    assert isinstance(answer, str)
    return answer


async def refused(scene: Scene, who: Any, command: str, **options: Any) -> str:
    """Have somebody use a subcommand that is refused; return the sentence as it is read."""
    answer = (await said(scene, who, command, **options)).replace("\\", "")
    cause = scene.env.errors[-1].__cause__
    assert isinstance(cause, UserError)
    assert answer.replace("\u200b", "") == str(cause)
    return answer


def let_everybody_through(scene: Scene) -> None:
    """Have Discord offer the command to anybody anywhere, as a server's admins can make it."""
    root = scene.env.backend.find_command("settings", None, type=1)
    assert root is not None
    root.update(default_member_permissions=None, contexts=[0, 1, 2], integration_types=[0, 1])


def value_in(scene: Scene, setting: Setting) -> Any:
    """Return another value that a setting may have in the scene."""
    if not isinstance(setting, IdSetting):
        return unlike_the_default(setting)
    make: Any = scene.guild.create_role
    if setting.noun == "channel":
        make = scene.guild.create_text_channel
    return tuple(make(f"{setting.name}-{number}").id for number in range(min(2, setting.most)))
