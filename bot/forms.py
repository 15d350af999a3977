"""/mash: a form with two uploads, for those who hate options.

No form is kept in memory: whatever Discord sends of one is enough to answer it, after a restart
of the bot, too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import discord
from discord import app_commands

from bot import settings_panel
from bot.admission import check_permissions, check_place
from bot.answers import answer_error
from bot.commands import ANYWHERE, BY_ANYBODY
from bot.render import clip
from pipeline.recipe import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.client import VocalClient
    from bot.picked import Role
    from pipeline.recipe import Option, Value

Select: TypeAlias = "discord.ui.Select[discord.ui.View]"

FORM = "mash"
"""The command's name and the form's `custom_id`."""

SONGS: dict[Role, tuple[str, str]] = {
    "vocals": ("Vocals", "the song whose voice is heard: an audio or video file"),
    "backing": ("Backing", "the song whose accompaniment is heard: an audio or video file"),
}
"""What the form says of the two uploads."""

ASKED = ("arrange", "key", "tempo")
"""The options that the form asks for; Discord gives a form room for five questions."""

_LONGEST_LABEL = 45
_LONGEST_TEXT = 100


def add_forms(tree: app_commands.CommandTree[Any]) -> None:
    """Put /mash on the tree."""

    @app_commands.command(name=FORM, description="Merge two songs with a form")
    async def show_form(interaction: discord.Interaction[Any]) -> None:
        client: VocalClient = interaction.client
        policy = client.policies.of(interaction.guild_id)
        check_permissions(interaction)
        check_place(interaction, policy)
        await interaction.response.send_modal(MashForm(policy.recipe))

    show_form.allowed_installs = BY_ANYBODY
    show_form.allowed_contexts = ANYWHERE
    tree.add_command(show_form)


async def answer_form(interaction: discord.Interaction[Any]) -> None:
    """Answer a submitted form; any other interaction is left to others."""
    data = cast("dict[str, Any]", interaction.data)
    if interaction.type is not discord.InteractionType.modal_submit:
        return
    form: discord.ui.Modal | None = None
    if data["custom_id"] == FORM:
        form = MashForm({})
    elif data["custom_id"].startswith(settings_panel.FORM):
        form = settings_panel.NumberForm(data["custom_id"].removeprefix(settings_panel.FORM))
    if form is not None:
        # discord.py does this for the forms that it keeps in memory, which ours are not.
        await form._dispatch_submit(  # noqa: SLF001 - see above
            interaction, data["components"], data.get("resolved", {})
        )


class MashForm(discord.ui.Modal):
    """The form; each question has a fixed `custom_id`, by which any copy understands an answer.

    Parameters
    ----------
    defaults
        What is chosen already, as far as it is not the recipe's own default.
    """

    def __init__(self, defaults: Mapping[str, Value]) -> None:
        super().__init__(title="Merge two songs", custom_id=FORM, timeout=None)
        self._files: dict[Role, discord.ui.FileUpload[Any]] = {}
        for role, (label, text) in SONGS.items():
            upload = discord.ui.FileUpload[Any](
                custom_id=role, required=True, min_values=1, max_values=1
            )
            self._files[role] = upload
            self.add_item(discord.ui.Label(text=label, description=text, component=upload))
        self._selects: dict[str, Select] = {}
        for option in OPTIONS:
            if option.name in ASKED:
                select = _select(option, defaults.get(option.name, option.default))
                self._selects[option.name] = select
                self.add_item(_label(option, select))
        self.stop()  # discord.py then keeps nothing of it

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        """Merge the two songs."""
        client: VocalClient = interaction.client
        client.serve(asyncio.current_task())
        vocals, backing = (self._files[role].values[0] for role in SONGS)
        # What the form showed is what the person gets, whatever the server's defaults have become.
        chosen = {name: select.values[0] for name, select in self._selects.items()}
        desk = client.desk
        await desk.merge(interaction, desk.attached(vocals), desk.attached(backing), chosen)

    async def on_error(  # type: ignore[override]  # a Modal's own differs from any view's
        self, interaction: discord.Interaction[Any], error: Exception, /
    ) -> None:
        """Answer an error as for a command."""
        await answer_error(interaction, error)


def _select(option: Option, chosen: Value) -> Select:
    return discord.ui.Select(
        custom_id=option.name,
        required=True,
        options=[
            discord.SelectOption(
                label=clip(meaning if _is_number(value) else value, _LONGEST_TEXT),
                description=None if _is_number(value) else clip(meaning, _LONGEST_TEXT),
                value=value,
                default=value == chosen,
            )
            for value, meaning in option.choices.items()
        ],
    )


def _is_number(value: str) -> bool:
    """Return whether a choice is a number, whose meaning says it better."""
    return value.lstrip("-").isdecimal()


def _label(option: Option, select: Select) -> discord.ui.Label[Any]:
    return discord.ui.Label(
        text=clip(option.name.capitalize(), _LONGEST_LABEL),
        description=clip(option.help, _LONGEST_TEXT),
        component=select,
    )
