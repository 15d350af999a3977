"""/settings for admins: every setting of the server, shown, changed, reset, taken in and out."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import settings_panel
from bot.settings_buttons import Page, ResetAll, ask_reset_all, page_of
from bot.settings_changes import change, check_places, require_admin, written_down
from bot.settings_choices import ALL, suggest_changed, suggest_names, suggest_values
from bot.settings_file import fetch_settings_file, read_settings_file, write_settings_file
from bot.settings_words import changes_text, exported_text, setting_embed

if TYPE_CHECKING:
    from bot.client import VocalClient

DYNAMIC_ITEMS: tuple[type[discord.ui.DynamicItem[Any]], ...] = (
    *settings_panel.DYNAMIC_ITEMS,
    Page,
    ResetAll,
)
"""All that may be pressed after a restart."""

FILE_NAME = "vocal-settings.json"


def add_settings(tree: app_commands.CommandTree[VocalClient]) -> None:
    """Put /settings on the tree."""
    tree.add_command(SettingsCommands())


class SettingsCommands(app_commands.Group):
    """The commands; each checks again that an admin uses it."""

    def __init__(self) -> None:
        super().__init__(
            name="settings",
            description="See and change what holds for mash-ups in this server",
            default_permissions=discord.Permissions(manage_guild=True),
            allowed_contexts=app_commands.AppCommandContext(
                guild=True, dm_channel=False, private_channel=False
            ),
            allowed_installs=app_commands.AppInstallationType(guild=True, user=False),
        )

    @app_commands.command(description="See all settings, or one of them")
    @app_commands.describe(name="which one; all of them if you leave it out")
    @app_commands.autocomplete(name=suggest_names)
    async def show(self, interaction: discord.Interaction[Any], name: str | None = None) -> None:
        """Show settings."""
        guild = require_admin(interaction)
        policies = interaction.client.policies
        if name is None:
            embed, view = page_of(policies, guild.id, 0)
            await interaction.response.send_message(embed=embed, view=view, ephemeral=True)
        else:
            setting = policies.setting(name)
            embed = setting_embed(setting, policies.value(guild.id, name))
            await interaction.response.send_message(embed=embed, ephemeral=True)

    @app_commands.command(name="set", description="Change a setting; it counts from then on")
    @app_commands.describe(
        name="which one",
        value="a word or a number; for channels and roles mentions or ids, as many as you need",
    )
    @app_commands.autocomplete(name=suggest_names, value=suggest_values)
    async def set_(self, interaction: discord.Interaction[Any], name: str, value: str) -> None:
        """Change a setting."""
        require_admin(interaction)
        await interaction.response.defer(ephemeral=True)
        await interaction.edit_original_response(content=await change(interaction, name, value))

    @app_commands.command(description="Bring a setting, or all of them, back to the default")
    @app_commands.describe(name="which one; all of them if you leave it out")
    @app_commands.autocomplete(name=suggest_changed)
    async def reset(self, interaction: discord.Interaction[Any], name: str = ALL) -> None:
        """Reset settings; all of them only after a second press."""
        guild = require_admin(interaction)
        if name == ALL:
            await ask_reset_all(interaction, guild)
            return
        await interaction.response.defer(ephemeral=True)
        await interaction.edit_original_response(content=await change(interaction, name, None))

    @app_commands.command(description="Get what was changed in this server as a file")
    async def export(self, interaction: discord.Interaction[Any]) -> None:
        """Hand the settings over as a file."""
        guild = require_admin(interaction)
        data = interaction.client.policies.export(guild.id)
        file = discord.File(io.BytesIO(write_settings_file(data)), filename=FILE_NAME)
        await interaction.response.send_message(exported_text(len(data)), file=file, ephemeral=True)

    @app_commands.command(name="import", description="Change settings as a file says")
    @app_commands.describe(file="as /settings export gives it; what it does not name stays")
    async def import_(
        self, interaction: discord.Interaction[Any], file: discord.Attachment
    ) -> None:
        """Take settings over from a file, all of them or none."""
        guild = require_admin(interaction)
        await interaction.response.defer(ephemeral=True)
        policies = interaction.client.policies
        data = read_settings_file(await fetch_settings_file(file, interaction.client.desk.fetch))
        check_places(guild, policies.settings, policies.check_all(data))
        changes = await policies.import_(guild.id, data)
        heading = "From now on:" if changes else "All is as the file says already."
        told = changes_text(heading, policies.settings, changes)
        told = await written_down(interaction, guild, changes, told)
        await interaction.edit_original_response(content=told)

    @app_commands.command(description="Change settings with menus")
    async def panel(self, interaction: discord.Interaction[Any]) -> None:
        """Open the panel."""
        guild = require_admin(interaction)
        embed, view = settings_panel.panel(interaction.client.policies, guild, None)
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)
