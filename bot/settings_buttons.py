"""The buttons under the pages of settings, and the one that resets them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import discord

from bot.items import Button, PersistentItem, view_of
from bot.settings_changes import require_admin, written_down
from bot.settings_words import changes_text, page_embed, pages_of

if TYPE_CHECKING:
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
    view = view_of(
        Page.of("Back", (index - 1) % len(pages)), Page.of("Next", (index + 1) % len(pages))
    )
    embed = page_embed(pages[index], policies.changed(guild_id), index + 1, len(pages))
    return embed, view


class Page(PersistentItem[Button], template=r"settings:page:(?P<to>\d{1,3})"):
    """Turns to a page of settings."""

    @classmethod
    def of(cls, label: str, to: int) -> Self:
        """Return the button of a page."""
        return cls(discord.ui.Button(label=label, custom_id=f"settings:page:{to}"))

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Turn the page."""
        guild = require_admin(interaction)
        embed, view = page_of(interaction.client.policies, guild.id, int(self.part("to")))
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
    names = ", ".join(f"`{name}`" for name in changed)
    await interaction.response.send_message(
        f"This brings back the defaults of {names}. /settings export keeps what is there now.",
        view=view_of(ResetAll.of()),
        ephemeral=True,
    )


ALL_DEFAULT = "All settings are at their defaults already."


class ResetAll(PersistentItem[Button], template=r"settings:reset-all"):
    """Brings all settings of a server back to their defaults."""

    @classmethod
    def of(cls) -> Self:
        """Return the button."""
        button: Button = discord.ui.Button(
            label="Reset them all",
            style=discord.ButtonStyle.danger,
            custom_id="settings:reset-all",
        )
        return cls(button)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Reset them, and say what that changed."""
        guild = require_admin(interaction)
        await interaction.response.defer()
        policies = interaction.client.policies
        changes = await policies.reset(guild.id, None)
        heading = "All settings are at their defaults from now on:" if changes else ALL_DEFAULT
        told = changes_text(heading, policies.settings, changes)
        told = await written_down(interaction, guild, changes, told)
        await interaction.edit_original_response(content=told, view=None)
