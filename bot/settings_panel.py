"""The panel of /settings: choose a setting in a menu, then what it is to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import discord

from bot.answers import guarded
from bot.items import Button, PersistentItem, Select, view_of
from bot.render import clip
from bot.setting_kinds import OFF, ON, Group, IdSetting, OptionSetting
from bot.settings_changes import change, channel_types, find, require_admin
from bot.settings_words import overview_embed, sentence, setting_embed

if TYPE_CHECKING:
    from bot.client import VocalClient
    from bot.policy import Policies
    from bot.setting_kinds import Setting, Stored

LONGEST_TEXT = 100
"""Characters in the description of a choice, and in that of a form's field."""

LONGEST_TITLE = 45
FORM = "settings:number:"
"""What the `custom_id` of a form begins with that asks for a number; the setting's name follows."""

_PARTS = {"merge": "Defaults of a merge…", "server": "This server…"}


def panel(
    policies: Policies, guild: discord.Guild, name: str | None
) -> tuple[discord.Embed, discord.ui.View]:
    """Return the panel of a server, open at one of the settings or at none.

    Raises
    ------
    SettingError
        There is no such setting any more.
    """
    items: list[PersistentItem[Any]] = [Choose(_chooser(policies, part, name)) for part in _PARTS]
    if name is None:
        embed = overview_embed(policies.settings, policies.changed(guild.id))
    else:
        setting, value = policies.setting(name), policies.value(guild.id, name)
        embed = setting_embed(setting, value)
        items.append(_control(setting, value, guild))
        items.append(Press(_button(setting, "reset", off=value == setting.default)))
    return embed, view_of(*items)


def _chooser(policies: Policies, part: str, name: str | None) -> Select:
    options = [
        discord.SelectOption(
            label=setting.name,
            description=clip(sentence(setting.help), LONGEST_TEXT),
            default=setting.name == name,
        )
        for setting in policies.settings.values()
        if (setting.group is Group.MERGE) == (part == "merge")
    ]
    return discord.ui.Select(
        placeholder=_PARTS[part], custom_id=f"settings:choose:{part}", options=options
    )


def _control(setting: Setting, value: Stored, guild: discord.Guild) -> PersistentItem[Any]:
    """Return what changes a setting: a menu where there is something to choose, or a button."""
    if isinstance(setting, IdSetting):
        return Put(_id_menu(setting, cast("tuple[int, ...]", value), guild))
    assert isinstance(setting, OptionSetting)
    if setting.is_switch:
        return Press(_button(setting, OFF if value == ON else ON))
    if setting.option.choices:
        return Put(_word_menu(setting, value))
    return Press(_button(setting, "edit"))


def _button(setting: Setting, what: str, *, off: bool = False) -> Button:
    return discord.ui.Button(
        label=_LABELS[what],
        style=discord.ButtonStyle.secondary if what == "reset" else discord.ButtonStyle.primary,
        custom_id=f"settings:press:{setting.name}:{what}",
        disabled=off,
    )


_LABELS = {
    ON: "Turn on",
    OFF: "Turn off",
    "edit": "Change…",
    "reset": "Back to the default",
}


def _word_menu(setting: OptionSetting, value: Stored) -> Select:
    options = [
        discord.SelectOption(
            label=word, description=clip(meaning, LONGEST_TEXT), default=word == value
        )
        for word, meaning in setting.option.choices.items()
    ]
    return discord.ui.Select(custom_id=f"settings:put:{setting.name}", options=options)


def _id_menu(
    setting: IdSetting, value: tuple[int, ...], guild: discord.Guild
) -> discord.ui.RoleSelect[Any] | discord.ui.ChannelSelect[Any]:
    shared: dict[str, Any] = {
        "custom_id": f"settings:put:{setting.name}",
        "placeholder": setting.empty,
        "min_values": 0,
        "max_values": setting.most,
    }
    # What was deleted must not be among them: Discord would refuse the menu.
    present = [found for number in value if (found := find(guild, setting, number))]
    if setting.noun == "role":
        return discord.ui.RoleSelect(**shared, default_values=present)
    kinds = list(channel_types(setting))
    return discord.ui.ChannelSelect(**shared, channel_types=kinds, default_values=present)


async def _show(
    interaction: discord.Interaction[VocalClient], guild: discord.Guild, name: str, told: str
) -> None:
    """Bring the panel up to date, with a word on what has just happened."""
    embed, view = panel(interaction.client.policies, guild, name)
    await interaction.edit_original_response(content=told or None, embed=embed, view=view)


async def _put(interaction: discord.Interaction[VocalClient], name: str, raw: object) -> None:
    guild = require_admin(interaction)
    await interaction.response.defer()
    await _show(interaction, guild, name, await change(interaction, name, raw))


class Choose(PersistentItem[Select], template=r"settings:choose:[a-z]+"):
    """The menu of settings: opens the panel at one of them."""

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Show the setting."""
        guild = require_admin(interaction)
        await interaction.response.defer()
        await _show(interaction, guild, self.item.values[0], "")


class Put(PersistentItem[Any], template=r"settings:put:(?P<name>[a-z_]{1,32})"):
    """The menu of what a setting may be: changes it.

    Parameters
    ----------
    item
        A menu of words, of channels or of roles.
    """

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Change the setting."""
        name = self.part("name")
        chosen = self.item.values
        words = isinstance(self.item, discord.ui.Select)
        await _put(interaction, name, chosen[0] if words else [found.id for found in chosen])


class Press(
    PersistentItem[Button],
    template=r"settings:press:(?P<name>[a-z_]{1,32}):(?P<what>on|off|edit|reset)",
):
    """A button that turns a setting on or off, resets it, or asks for its number."""

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Change the setting, or open the form that does."""
        name, what = self.part("name"), self.part("what")
        if what != "edit":
            await _put(interaction, name, None if what == "reset" else what)
            return
        guild = require_admin(interaction)
        policies = interaction.client.policies
        form = NumberForm.of(policies.setting(name), policies.value(guild.id, name))
        await interaction.response.send_modal(form)


class NumberForm(discord.ui.Modal):
    """Asks for the number that a setting is to be; none is kept until it is sent, if it ever is.

    Parameters
    ----------
    name
        The setting's, as its `custom_id` has it.
    described
        What it takes.
    value
        What it is now, as people write it.
    """

    def __init__(self, name: str, described: str = "", value: str = "") -> None:
        super().__init__(title=clip(name, LONGEST_TITLE), custom_id=FORM + name, timeout=None)
        self._name = name
        self.number: discord.ui.TextInput[NumberForm] = discord.ui.TextInput(
            custom_id="number", default=value, max_length=LONGEST_TEXT
        )
        self.add_item(
            discord.ui.Label(text="New value", description=described, component=self.number)
        )
        self.stop()  # discord.py then keeps nothing of it

    @classmethod
    def of(cls, setting: Setting, value: Stored) -> NumberForm:
        """Return the form of a setting."""
        described = clip(setting.allowed(), LONGEST_TEXT)
        return cls(setting.name, described, setting.shown(value))

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Change the setting."""
        await self._submit(interaction)

    @guarded
    async def _submit(self, interaction: discord.Interaction[VocalClient]) -> None:
        await _put(interaction, self._name, self.number.value)


DYNAMIC_ITEMS: tuple[type[PersistentItem[Any]], ...] = (Choose, Put, Press)
"""What answers in a panel, also after a restart."""
