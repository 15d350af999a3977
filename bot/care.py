"""/health for whoever runs the bot; /privacy and /forget for everybody."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands

from bot.commands import ANYWHERE, BY_ANYBODY
from bot.erasure import Eraser
from bot.health import examine, health_embed
from bot.items import Button, PersistentItem, view_of
from bot.messages import UNREACHABLE
from bot.privacy import forget_answer, forget_question, privacy_embed
from pipeline.errors import UserError

if TYPE_CHECKING:
    from bot.client import VocalClient

log = logging.getLogger(__name__)

_NOBODY = discord.AllowedMentions.none()


class NotTheOwnerError(UserError):
    """Only whoever runs the bot may see this."""


class NotYourDataError(UserError):
    """The button deletes what belongs to somebody else."""


def add_care(tree: app_commands.CommandTree[VocalClient], client: VocalClient) -> None:
    """Put /health, /privacy and /forget on the tree."""
    for command in (_health_command(client), _privacy_command(client), _forget_command(client)):
        command.allowed_installs = BY_ANYBODY
        command.allowed_contexts = ANYWHERE
        tree.add_command(command)


class Owners:
    """Who runs the bot: the application's owner or, where a team owns it, the team."""

    def __init__(self) -> None:
        self._ids: frozenset[int] | None = None

    async def require(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Refuse anybody else; Discord is asked once who it is.

        Raises
        ------
        NotTheOwnerError
            It is somebody else.
        """
        if self._ids is None:
            self._ids = owner_ids(await interaction.client.application_info())
        if interaction.user.id not in self._ids:
            raise NotTheOwnerError(
                "Only whoever runs this bot can see how it is doing.",
                hint="/queue says how far your merges are.",
            )


def owner_ids(info: discord.AppInfo) -> frozenset[int]:
    """Return the ids of the people who run an application; who was only invited is none of them."""
    if info.team is None:
        return frozenset((info.owner.id,))
    accepted = discord.TeamMembershipState.accepted
    return frozenset(
        member.id for member in info.team.members if member.membership_state is accepted
    )


def _health_command(client: VocalClient) -> app_commands.Command[Any, ..., None]:
    owners = Owners()
    started_at = time.time()

    @app_commands.command(name="health", description="How the bot is doing, for whoever runs it")
    async def health(interaction: discord.Interaction[VocalClient]) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        await owners.require(interaction)
        embed = health_embed(await examine(client, started_at))
        await _whisper(interaction, embed=embed)

    return health


def _privacy_command(client: VocalClient) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(name="privacy", description="What I keep, where and how long")
    async def privacy(interaction: discord.Interaction[VocalClient]) -> None:
        guild_id = interaction.guild_id
        embed = privacy_embed(
            client.config, client.policies.of(guild_id), in_server=guild_id is not None
        )
        await interaction.response.send_message(
            embed=embed, ephemeral=True, allowed_mentions=_NOBODY
        )

    return privacy


def _forget_command(client: VocalClient) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(name="forget", description="Delete all that I keep of you")
    async def forget(interaction: discord.Interaction[VocalClient]) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        traces = await Eraser(client).look(interaction.user.id)
        if traces.are_none:
            await _whisper(interaction, forget_question(traces))
            return
        view = view_of(ForgetButton.of(interaction.user.id))
        await _whisper(interaction, forget_question(traces), view=view)

    return forget


async def _whisper(
    interaction: discord.Interaction[VocalClient],
    text: str = "",
    **extras: Any,  # noqa: ANN401 - as discord.py takes them
) -> None:
    """Answer a person alone, after the request was acknowledged."""
    await interaction.followup.send(text, ephemeral=True, allowed_mentions=_NOBODY, **extras)


class ForgetButton(PersistentItem[Button], template=r"forget:(?P<person>[0-9]{1,20})"):
    """Deletes what is kept of a person, if it is that person who presses it."""

    @classmethod
    def of(cls, user_id: int) -> Self:
        """Return somebody's button."""
        button: Button = discord.ui.Button(
            label="Delete all of it",
            style=discord.ButtonStyle.danger,
            custom_id=f"forget:{user_id}",
        )
        return cls(button)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Delete everything, look again, and say what is left."""
        user_id = int(self.part("person"))
        if interaction.user.id != user_id:
            raise NotYourDataError(
                "This button belongs to somebody else.", hint="Use /forget for what is yours."
            )
        await interaction.response.edit_message(
            content="Deleting what I keep of you…", view=None, allowed_mentions=_NOBODY
        )
        erasure = await Eraser(interaction.client).erase(user_id)
        try:
            await interaction.edit_original_response(
                content=forget_answer(erasure), allowed_mentions=_NOBODY
            )
        except UNREACHABLE as error:
            log.warning("somebody was forgotten and could not be told: %s", error)


DYNAMIC_ITEMS: tuple[type[PersistentItem[Any]], ...] = (ForgetButton,)
"""What the client registers, so that the button answers after a restart, too."""
