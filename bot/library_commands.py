"""/library, /surprise, and the list of songs that opens while somebody types in /merge."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot.admission import NotHereError, check_place
from bot.library_offers import LibraryOffer
from bot.library_panel import DYNAMIC_ITEMS, panel
from bot.library_text import choice_names
from pipeline.errors import UserError
from pipeline.pairing import choose_pair

if TYPE_CHECKING:
    from bot.client import VocalClient
    from bot.library import Library
    from bot.policy import Policy
    from bot.song_table import LibrarySong

__all__ = ["DYNAMIC_ITEMS", "add_library_commands", "suggest"]

log = logging.getLogger(__name__)

MOST_CHOICES = 25
SUGGEST_WITHIN_S = 2.0
"""Discord waits 3 s for suggestions; an empty list is better than a late one."""

_IN_SERVERS = app_commands.AppCommandContext(guild=True, dm_channel=False, private_channel=False)
_BY_SERVERS = app_commands.AppInstallationType(guild=True, user=False)
_dice = random.SystemRandom()


class SurpriseOffError(UserError):
    """The server's admins want no surprises."""


class NoPairError(UserError):
    """There are no two songs for a surprise."""


def add_library_commands(tree: app_commands.CommandTree[VocalClient], client: VocalClient) -> None:
    """Put /library and /surprise on the tree."""
    for command in (_library_command(), _surprise_command(client)):
        command.allowed_installs = _BY_SERVERS
        command.allowed_contexts = _IN_SERVERS
        tree.add_command(command)


def _library_command() -> app_commands.Command[Any, ..., None]:
    @app_commands.command(
        name="library", description="See the songs that this server keeps, and remove yours"
    )
    async def show_library(interaction: discord.Interaction[Any]) -> None:
        embed, view = await panel(interaction, 1)
        await interaction.response.send_message(
            embed=embed,
            view=view,
            ephemeral=True,
            allowed_mentions=discord.AllowedMentions.none(),
        )

    return show_library


def _surprise_command(client: VocalClient) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(
        name="surprise",
        description="Merge two songs of this server's library that go well together",
    )
    async def surprise(interaction: discord.Interaction[Any]) -> None:
        policy = client.policies.of(interaction.guild_id)
        guild_id = client.library.require(interaction.guild_id)
        if not policy.surprise:
            raise SurpriseOffError(
                "Surprises are turned off in this server.", hint="Use /merge with two songs."
            )
        check_place(interaction, policy)
        vocals, backing = await _draw(client.library, guild_id, policy)
        await client.library.remember_pick(vocals, backing)
        await client.desk.merge(
            interaction,
            LibraryOffer(client.library, vocals),
            LibraryOffer(client.library, backing),
            {},
        )

    return surprise


async def _draw(library: Library, guild_id: int, policy: Policy) -> tuple[LibrarySong, LibrarySong]:
    """Choose the song that sings and the song that plays.

    Raises
    ------
    NoPairError
        Says what is missing.
    """
    songs = await library.all(guild_id)
    if len(songs) < 2:
        count = "one song" if songs else "no songs"
        raise NoPairError(
            f"A surprise needs two songs, and this server's library has {count}.",
            hint="Merge songs with /merge: they are kept.",
        )
    sketched = [
        (song, song.sketch)
        for song in songs
        if song.sketch is not None
        and song.bytes <= policy.max_upload_bytes
        and song.sketch.duration_s <= policy.max_song_s
    ]
    place = {song.id: number for number, (song, _) in enumerate(sketched)}
    lately = await library.picked_lately(guild_id)
    avoid = {(place[v], place[b]) for v, b in lately if v in place and b in place}
    pair = choose_pair([sketch for _, sketch in sketched], _dice, avoid)
    if pair is None:
        raise NoPairError(
            "No two songs of this server's library go well together.",
            hint="Merge more songs with /merge: they are kept.",
        )
    return sketched[pair[0]][0], sketched[pair[1]][0]


async def suggest(
    interaction: discord.Interaction[Any], current: str
) -> list[app_commands.Choice[str]]:
    """Return the songs of the server's library that what was typed so far may mean.

    Parameters
    ----------
    interaction
        Who types, and where.
    current
        What is there so far.

    Returns
    -------
    list
        At most 25 choices, whose values are songs' ids; none where there is no library, where
        merges are not allowed, and where the answer would come too late.
    """
    client: VocalClient = interaction.client
    guild_id = interaction.guild_id
    if guild_id is None or not client.library.is_on(guild_id):
        return []
    try:
        check_place(interaction, client.policies.of(guild_id))
        async with asyncio.timeout(SUGGEST_WITHIN_S):
            songs = await client.library.find(guild_id, current, MOST_CHOICES)
    except NotHereError:
        return []
    except (sqlite3.Error, ValueError, TimeoutError) as error:  # ValueError: a closed database
        log.warning("no songs could be suggested: %s", error)
        return []
    return [
        app_commands.Choice(name=name, value=song.id)
        for name, song in zip(choice_names(songs), songs, strict=True)
    ]
