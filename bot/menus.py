"""Message -> Apps -> "Use as vocals" / "Use as backing": the second pick starts the merge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands

from bot.admission import check_place
from bot.commands import ANYWHERE, BY_ANYBODY
from bot.items import Button, PersistentItem, Select, view_of
from bot.looks import Looks, looks_of
from bot.picked import PickedOffer, Together
from bot.picks import KEPT_S
from bot.render import clip, plain
from bot.room import check_room
from pipeline.errors import UserError
from pipeline.names import clean_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.client import VocalClient
    from bot.orders import Offer
    from bot.picked import Pick, Role

MENUS: dict[Role, str] = {"vocals": "Use as vocals", "backing": "Use as backing"}
"""What the two menus are called, which Discord shows as it is."""

MOST_OPTIONS = 25
"""How many choices a select may have."""

_GIVES: dict[Role, str] = {"vocals": "voice", "backing": "backing"}
_OTHER: dict[Role, Role] = {"vocals": "backing", "backing": "vocals"}
_LONGEST_LABEL = 100


class NoSongError(UserError):
    """There is nothing to hear in the message."""


class StaleListError(UserError):
    """Nobody knows any more what the list had to choose from."""


def got_text(pick: Pick, before: Pick | None) -> str:
    """Say that a song waits, and how to go on.

    Parameters
    ----------
    pick
        The song.
    before
        The one of the same role that it replaces, if any.
    """
    instead = f" instead of {_bold(before.name)}" if before is not None else ""
    return (
        f"Got {_bold(pick.name)} for the {_GIVES[pick.role]}{instead}. Now right-click (or hold "
        "down) a message with the other song → Apps → "
        f"**{MENUS[_OTHER[pick.role]]}**, within {KEPT_S / 60:.0f} minutes."
    )


def choose_text(role: Role) -> str:
    """Ask which of several songs is meant."""
    return f"There are several songs in this message. Which one gives the {_GIVES[role]}?"


def dropped_text(pick: Pick | None) -> str:
    """Say that a song does not wait any more; None where it had gone before."""
    if pick is None:
        return "This song was not waiting any more."
    return f"Dropped {_bold(pick.name)}: nothing of it is kept."


def _bold(name: str) -> str:
    return f"**{plain(clean_name(name))}**"


def songs_of(message: discord.Message) -> list[discord.Attachment]:
    """Return what looks like a song in a message, and in one that was forwarded with it."""
    attachments = [*message.attachments]
    for snapshot in message.message_snapshots:
        attachments += snapshot.attachments
    return [
        attachment
        for attachment in attachments
        if looks_of(attachment.filename, attachment.content_type) is Looks.SONG
    ]


def add_menus(tree: app_commands.CommandTree[Any]) -> None:
    """Put both menus on the tree."""
    for role, name in MENUS.items():
        tree.add_command(_menu(role, name))


def _menu(role: Role, name: str) -> app_commands.ContextMenu:
    async def use(interaction: discord.Interaction[Any], message: discord.Message) -> None:
        await _use(interaction, role, message)

    return app_commands.ContextMenu(
        name=name,
        callback=use,
        allowed_installs=BY_ANYBODY,
        allowed_contexts=ANYWHERE,
    )


async def _use(
    interaction: discord.Interaction[VocalClient], role: Role, message: discord.Message
) -> None:
    desk, picks = interaction.client.desk, interaction.client.picks
    songs = [desk.attached(attachment) for attachment in songs_of(message)]
    if not songs:
        raise NoSongError(
            "There is no song in this message.",
            hint="Choose one with an audio or video file, or use /mash to upload two songs.",
        )
    if len(songs) == 1:
        await _pick(interaction, role, songs[0])
        return
    check_place(interaction, interaction.client.policies.of(interaction.guild_id))
    select = SongSelect.of(role, picks.offer_choice(songs), songs)
    await interaction.response.send_message(choose_text(role), view=view_of(select), ephemeral=True)


async def _pick(interaction: discord.Interaction[VocalClient], role: Role, song: Offer) -> None:
    """Start a merge with the song that waits, or let this one wait."""
    client, user_id, guild_id = interaction.client, interaction.user.id, interaction.guild_id
    policy = client.policies.of(guild_id)
    check_place(interaction, policy)
    before = await client.picks.waiting(user_id, guild_id)
    if before is not None and before.role != role:
        together = Together(before, client.picks.drop)
        songs = {before.role: together.with_(PickedOffer(before)), role: together.with_(song)}
        await client.desk.merge(interaction, songs["vocals"], songs["backing"], {})
        return
    song.check(policy.max_upload_bytes)
    await check_room(client.config.data_dir, client.config.min_free_bytes)
    if interaction.type is discord.InteractionType.component:
        await interaction.response.defer()  # the list turns into the answer
    else:
        await interaction.response.defer(ephemeral=True, thinking=True)
    pick = await client.picks.keep(
        song, role, user_id=user_id, guild_id=guild_id, limit_bytes=policy.max_upload_bytes
    )
    await interaction.edit_original_response(
        content=got_text(pick, before), view=view_of(DropButton.of(pick.id))
    )


class SongSelect(
    PersistentItem[Select],
    template=r"pick:(?P<role>vocals|backing):(?P<list>[0-9a-f]{12})",
):
    """Asks which of a message's songs is meant.

    Only the bot's memory has the songs' addresses, which expire: after a restart the list says
    how to get another.
    """

    @classmethod
    def of(cls, role: Role, list_id: str, songs: Sequence[Offer]) -> Self:
        """Return the list of some songs."""
        options = [
            discord.SelectOption(label=clip(clean_name(song.name), _LONGEST_LABEL), value=str(n))
            for n, song in enumerate(songs[:MOST_OPTIONS])
        ]
        select: Select = discord.ui.Select(
            custom_id=f"pick:{role}:{list_id}", placeholder="Choose a song", options=options
        )
        return cls(select)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Take the chosen song."""
        role: Role = "vocals" if self.part("role") == "vocals" else "backing"
        songs = interaction.client.picks.choice(self.part("list"))
        if songs is None:
            raise StaleListError(
                "This list has ended.",
                hint=f"Open {MENUS[role]} on the message again.",
            )
        await _pick(interaction, role, songs[int(self.item.values[0])])


class DropButton(PersistentItem[Button], template=r"pick-drop:(?P<pick>[0-9a-f]{16})"):
    """Lets a song go that waits. Only whoever picked it sees the button."""

    @classmethod
    def of(cls, pick_id: str) -> Self:
        """Return the button of a pick."""
        button: Button = discord.ui.Button(
            label="Drop it",
            style=discord.ButtonStyle.secondary,
            custom_id=f"pick-drop:{pick_id}",
        )
        return cls(button)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Delete the song."""
        pick = await interaction.client.picks.drop(self.part("pick"))
        await interaction.response.edit_message(content=dropped_text(pick), view=None)


DYNAMIC_ITEMS: tuple[type[PersistentItem[Any]], ...] = (SongSelect, DropButton)
"""What the client registers, so that lists and buttons answer after a restart, too."""
