"""What /library shows: a page of songs, with controls that outlive a restart of the bot.

Only the person who asked sees it. Nothing is remembered of it: each press looks at the library,
and at what the person may do, as they are then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import discord

from bot.items import Button, PersistentItem, Select, view_of
from bot.library_text import LONGEST_CHOICE, choice_names, library_embed, removed_text, size_text
from bot.render import clip
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.client import VocalClient
    from bot.library import Library, LibraryPage
    from bot.song_table import LibrarySong

PAGE_SONGS = 10
"""Songs on a page; Discord's lists take up to 25."""


class NotYourSongError(UserError):
    """Somebody else may remove this song."""


async def panel(
    interaction: discord.Interaction[VocalClient], number: int
) -> tuple[discord.Embed, discord.ui.View]:
    """Return a page of the server's library, with the controls for who looks at it.

    Parameters
    ----------
    interaction
        Who looks, and where.
    number
        Which page, from 1; the nearest one when it is not there.

    Raises
    ------
    LibraryOffError
        There is no library here.
    """
    library = interaction.client.library
    page = await library.page(library.require(interaction.guild_id), number, PAGE_SONGS)
    items: list[PersistentItem[Any]] = []
    theirs = [song for song in page.songs if may_remove(interaction, song)]
    if theirs:
        items.append(RemoveSelect.of(theirs, page.number))
    if page.pages > 1:
        items += (PageButton.of(way, page) for way in ("previous", "next"))
    return library_embed(page, library.quota_bytes), view_of(*items)


def may_remove(interaction: discord.Interaction[Any], song: LibrarySong) -> bool:
    """Return whether a person may remove a song: their own, or any if they manage the server."""
    return interaction.user.id == song.added_by or interaction.permissions.manage_guild


class PageButton(
    PersistentItem[Button], template=r"library:(?P<way>previous|next):(?P<page>[0-9]{1,6})"
):
    """Turns to another page."""

    @classmethod
    def of(cls, way: str, page: LibraryPage) -> Self:
        """Return a page's button for one of the two ways."""
        number = page.number + (1 if way == "next" else -1)
        button: Button = discord.ui.Button(
            label=way.capitalize(),
            custom_id=f"library:{way}:{number}",
            disabled=not 1 <= number <= page.pages,
        )
        return cls(button)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Turn the page."""
        embed, view = await panel(interaction, int(self.part("page")))
        await interaction.response.edit_message(content=None, embed=embed, view=view)


class RemoveSelect(PersistentItem[Select], template=r"library:remove:(?P<page>[0-9]{1,6})"):
    """Removes songs: one's own, or any for who manages the server."""

    @classmethod
    def of(cls, songs: Sequence[LibrarySong], number: int) -> Self:
        """Return the list of the songs of a page that somebody may remove."""
        options = [
            discord.SelectOption(
                label=name,
                value=song.id,
                description=clip(f"{size_text(song.bytes)}, {song.name}", LONGEST_CHOICE),
            )
            for song, name in zip(songs, choice_names(songs), strict=True)
        ]
        select: Select = discord.ui.Select(
            custom_id=f"library:remove:{number}",
            placeholder="Remove songs…",
            max_values=len(options),
            options=options,
        )
        return cls(select)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Remove what was chosen, and show what is left."""
        library = interaction.client.library
        songs = await _chosen(interaction, library, self.item.values)
        await interaction.response.defer()
        removed = [await library.remove(song.guild_id, song.id) for song in songs]
        embed, view = await panel(interaction, int(self.part("page")))
        await interaction.edit_original_response(
            content=removed_text([song for song in removed if song is not None]),
            embed=embed,
            view=view,
            allowed_mentions=discord.AllowedMentions.none(),
        )


async def _chosen(
    interaction: discord.Interaction[VocalClient], library: Library, values: Sequence[str]
) -> list[LibrarySong]:
    """Return those of the chosen songs that are still there.

    Raises
    ------
    LibraryOffError, NotYourSongError
        There is no library any more, or the person may not remove all of them.
    """
    guild_id = library.require(interaction.guild_id)
    found = [await library.get(guild_id, value) for value in values]
    songs = [song for song in found if song is not None]
    if not all(may_remove(interaction, song) for song in songs):
        raise NotYourSongError(
            "You can remove the songs that you added.",
            hint="Others take the permission Manage Server.",
        )
    return songs


DYNAMIC_ITEMS: tuple[type[PersistentItem[Any]], ...] = (PageButton, RemoveSelect)
"""What the client registers, so that the controls answer after a restart, too."""
