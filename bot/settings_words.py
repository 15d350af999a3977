"""What admins read about settings: pure functions from values to text and cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from bot.cards import COLOUR, LONGEST_FIELD
from bot.render import clip
from bot.setting_kinds import Group, OptionSetting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.policy import Change
    from bot.setting_kinds import Setting, Stored

_MOST_ON_A_PAGE = 7
_LONGEST_VALUE = 300
_LONGEST_LIST = 1700  # of a message's 2000: a sentence may follow
_LONGEST_OVERVIEW = 4000  # of an embed's description, which takes 4096


def sentence(text: str) -> str:
    """Return a line of help as a sentence."""
    return f"{text[0].upper()}{text[1:]}."


def now_text(setting: Setting, value: Stored) -> str:
    """Return what a setting is, and whether that is its default."""
    mark = " (default)" if value == setting.default else ""
    return f"**{setting.shown(value)}**{mark}"


def pages_of(settings: Mapping[str, Setting]) -> tuple[tuple[Setting, ...], ...]:
    """Return all settings in pages, none of which mixes groups or is too long for a card."""
    pages: list[tuple[Setting, ...]] = []
    for group in Group:
        together = tuple(setting for setting in settings.values() if setting.group is group)
        count = -(-len(together) // _MOST_ON_A_PAGE)
        size = -(-len(together) // count)
        pages.extend(together[start : start + size] for start in range(0, len(together), size))
    return tuple(pages)


def page_embed(
    page: Sequence[Setting], values: Mapping[str, Stored], number: int, count: int
) -> discord.Embed:
    """Return one page of settings with what they are in a server.

    Parameters
    ----------
    page
        The settings on it.
    values
        What is not at its default.
    number, count
        Which page it is, from 1, and of how many.
    """
    embed = discord.Embed(title=page[0].group.value, colour=COLOUR)
    for setting in page:
        value = values.get(setting.name, setting.default)
        text = f"{now_text(setting, value)}\n{sentence(setting.help)}\n{setting.allowed()}"
        embed.add_field(name=setting.name, value=clip(text, LONGEST_FIELD), inline=False)
    embed.set_footer(text=f"Page {number} of {count}")
    return embed


def setting_embed(setting: Setting, value: Stored) -> discord.Embed:
    """Return all there is to say about one setting and what it is in a server."""
    embed = discord.Embed(title=setting.name, description=sentence(setting.help), colour=COLOUR)
    embed.add_field(name="Now", value=clip(now_text(setting, value), LONGEST_FIELD))
    if value != setting.default:
        embed.add_field(name="Default", value=setting.shown(setting.default))
    embed.add_field(name="Allowed", value=clip(_allowed_text(setting), LONGEST_FIELD), inline=False)
    return embed


def _allowed_text(setting: Setting) -> str:
    choices = setting.option.choices if isinstance(setting, OptionSetting) else {}
    if not choices:
        return setting.allowed()
    return "\n".join(f"**{word}**: {meaning}" for word, meaning in choices.items())


def overview_embed(settings: Mapping[str, Setting], values: Mapping[str, Stored]) -> discord.Embed:
    """Return what a server has changed, in short."""
    lines = [f"**{name}**: {settings[name].shown(value)}" for name, value in values.items()]
    text = "\n".join(["Not at their defaults:", *lines]) if lines else "All are at their defaults."
    embed = discord.Embed(
        title="Settings of this server", description=clip(text, _LONGEST_OVERVIEW)
    )
    embed.colour = discord.Colour(COLOUR)
    embed.set_footer(text="Choose one below to see and change it.")
    return embed


def changed_text(setting: Setting, change: Change) -> str:
    """Say what a change did."""
    after = setting.shown(change.after)
    if change.before == change.after:
        return f"`{setting.name}` is {after} already."
    return f"`{setting.name}` is {after} from now on; it was {setting.shown(change.before)}."


def changes_text(heading: str, settings: Mapping[str, Setting], changes: Sequence[Change]) -> str:
    """List changes under a heading, as many as a message holds with a sentence more."""
    text = heading
    for index, change in enumerate(changes):
        shown = settings[change.name].shown
        before, after = (clip(shown(v), _LONGEST_VALUE) for v in (change.before, change.after))
        line = f"\n- `{change.name}`: {before} → {after}"
        more = f"\n- and {len(changes) - index} more"
        if len(text) + len(line) + len(more) > _LONGEST_LIST:
            return text + more
        text += line
    return text


def exported_text(count: int) -> str:
    """Say what a file with so many settings holds, and what it is good for."""
    held = {0: "Nothing has been changed here yet", 1: "The one setting that was changed here"}
    return (
        f"{held.get(count, f'The {count} settings that were changed here')}. "
        "/settings import takes this file, here or in another server."
    )
