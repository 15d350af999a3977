"""What /library shows: a page of songs, with controls that outlive a restart of the bot.

Only the person who asked sees it. Nothing is remembered of it: each press looks at the library,
and at what the person may do, as they are then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeAlias

import discord

from bot.answers import guarded
from bot.library_text import LONGEST_CHOICE, choice_names, library_embed, removed_text, size_text
from bot.render import clip
from pipeline.errors import UserError

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from bot.client import VocalClient
    from bot.library import Library, LibraryPage
    from bot.song_table import LibrarySong

Button: TypeAlias = "discord.ui.Button[discord.ui.View]"
Select: TypeAlias = "discord.ui.Select[discord.ui.View]"

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
    view = discord.ui.View(timeout=None)
    theirs = [song for song in page.songs if may_remove(interaction, song)]
    if theirs:
        view.add_item(RemoveSelect.of(theirs, page.number))
    if page.pages > 1:
        view.add_item(PageButton.of("previous", page))
        view.add_item(PageButton.of("next", page))
    view.stop()  # the items answer by themselves
    return library_embed(page, library.quota_bytes), view


def may_remove(interaction: discord.Interaction[Any], song: LibrarySong) -> bool:
    """Return whether a person may remove a song: their own, or any if they manage the server."""
    return interaction.user.id == song.added_by or interaction.permissions.manage_guild


class PageButton(
    discord.ui.DynamicItem[Button], template=r"library:(?P<way>previous|next):(?P<page>[0-9]{1,6})"
):
    """Turns to another page."""

    def __init__(self, button: Button, number: int) -> None:
        super().__init__(button)
        self._number = number

    @classmethod
    def of(cls, way: str, page: LibraryPage) -> Self:
        """Return a page's button for one of the two ways."""
        number = page.number + (1 if way == "next" else -1)
        button: Button = discord.ui.Button(
            label=way.capitalize(),
            custom_id=f"library:{way}:{number}",
            disabled=not 1 <= number <= page.pages,
        )
        return cls(button, number)

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        item: discord.ui.Item[Any],
        match: re.Match[str],
        /,
    ) -> Self:
        """Return the button that was pressed, by its `custom_id` alone."""
        assert isinstance(item, discord.ui.Button)
        return cls(item, int(match["page"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Turn the page."""
        await self._press(interaction)

    @guarded
    async def _press(self, interaction: discord.Interaction[VocalClient]) -> None:
        embed, view = await panel(interaction, self._number)
        await interaction.response.edit_message(content=None, embed=embed, view=view)


class RemoveSelect(discord.ui.DynamicItem[Select], template=r"library:remove:(?P<page>[0-9]{1,6})"):
    """Removes songs: one's own, or any for who manages the server."""

    def __init__(self, select: Select, number: int) -> None:
        super().__init__(select)
        self._number = number

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
        return cls(select, number)

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        item: discord.ui.Item[Any],
        match: re.Match[str],
        /,
    ) -> Self:
        """Return the list that was used, by its `custom_id` alone."""
        assert isinstance(item, discord.ui.Select)
        return cls(item, int(match["page"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Remove what was chosen, and show what is left."""
        await self._choose(interaction)

    @guarded
    async def _choose(self, interaction: discord.Interaction[VocalClient]) -> None:
        library = interaction.client.library
        songs = await _chosen(interaction, library, self.item.values)
        await interaction.response.defer()
        removed = [await library.remove(song.guild_id, song.id) for song in songs]
        embed, view = await panel(interaction, self._number)
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


DYNAMIC_ITEMS: tuple[type[discord.ui.DynamicItem[Any]], ...] = (PageButton, RemoveSelect)
"""What the client registers, so that the controls answer after a restart, too."""
