"""The buttons under the pages of settings, and the one that resets them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord

from bot.answers import guarded
from bot.settings_changes import require_admin, written_down
from bot.settings_words import changes_text, page_embed, pages_of

if TYPE_CHECKING:
    import re

    from bot.client import VocalClient
    from bot.policy import Policies


def page_of(policies: Policies, guild_id: int, index: int) -> tuple[discord.Embed, discord.ui.View]:
    """Return one page of a server's settings and the buttons to the others.

    Parameters
    ----------
    policies
        All servers' settings.
    guild_id
        Which server's.
    index
        Which page, from 0; after the last comes the first.
    """
    pages = pages_of(policies.settings)
    index %= len(pages)
    view = discord.ui.View(timeout=None)
    view.add_item(Page("Back", (index - 1) % len(pages)))
    view.add_item(Page("Next", (index + 1) % len(pages)))
    view.stop()
    embed = page_embed(pages[index], policies.changed(guild_id), index + 1, len(pages))
    return embed, view


class Page(
    discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"settings:page:(?P<to>\d{1,3})"
):
    """Turns to a page of settings."""

    def __init__(self, label: str, to: int) -> None:
        super().__init__(discord.ui.Button(label=label, custom_id=f"settings:page:{to}"))
        self._to = to

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        item: discord.ui.Item[Any],
        match: re.Match[str],
        /,
    ) -> Page:
        """Return the button that was pressed."""
        assert isinstance(item, discord.ui.Button)
        return cls(item.label or "", int(match["to"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Turn the page."""
        await self._press(interaction)

    @guarded
    async def _press(self, interaction: discord.Interaction[VocalClient]) -> None:
        guild = require_admin(interaction)
        embed, view = page_of(interaction.client.policies, guild.id, self._to)
        await interaction.response.edit_message(embed=embed, view=view)


async def ask_reset_all(
    interaction: discord.Interaction[VocalClient], guild: discord.Guild
) -> None:
    """Ask whether all settings are to go back to their defaults."""
    policies = interaction.client.policies
    changed = policies.changed(guild.id)
    if not changed:
        await interaction.response.send_message(ALL_DEFAULT, ephemeral=True)
        return
    view = discord.ui.View(timeout=None)
    view.add_item(ResetAll())
    view.stop()
    names = ", ".join(f"`{name}`" for name in changed)
    await interaction.response.send_message(
        f"This brings back the defaults of {names}. /settings export keeps what is there now.",
        view=view,
        ephemeral=True,
    )


ALL_DEFAULT = "All settings are at their defaults already."


class ResetAll(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"settings:reset-all"):
    """Brings all settings of a server back to their defaults."""

    def __init__(self) -> None:
        super().__init__(
            discord.ui.Button(
                label="Reset them all",
                style=discord.ButtonStyle.danger,
                custom_id="settings:reset-all",
            )
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        _item: discord.ui.Item[Any],
        _match: re.Match[str],
        /,
    ) -> ResetAll:
        """Return the button that was pressed."""
        return cls()

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Reset them, and say what that changed."""
        await self._press(interaction)

    @guarded
    async def _press(self, interaction: discord.Interaction[VocalClient]) -> None:
        guild = require_admin(interaction)
        await interaction.response.defer()
        policies = interaction.client.policies
        changes = await policies.reset(guild.id, None)
        heading = "All settings are at their defaults from now on:" if changes else ALL_DEFAULT
        told = changes_text(heading, policies.settings, changes)
        told = await written_down(interaction, guild, changes, told)
        await interaction.edit_original_response(content=told, view=None)
