"""What all buttons and lists share that answer after a restart of the bot, too."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar, cast

import discord

from bot.answers import guarded

if TYPE_CHECKING:
    import re

    from bot.client import VocalClient

Button: TypeAlias = "discord.ui.Button[discord.ui.View]"
Select: TypeAlias = "discord.ui.Select[discord.ui.View]"

ItemT = TypeVar("ItemT", bound="discord.ui.Item[Any]")

_NEVER = r"(?!)"  # discord.py wants a template of every class, and nothing is a bare one of these


class PersistentItem(discord.ui.DynamicItem[ItemT], ABC, template=_NEVER):
    """A button or a list that knows no more than its `custom_id` says.

    A subclass gives the template of its `custom_id`, and its `answer`.

    Parameters
    ----------
    item
        What is seen and used; its `custom_id` is one of the template's.
    """

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        item: discord.ui.Item[Any],
        _match: re.Match[str],
        /,
    ) -> Self:
        """Return what was used, which comes as the bot had sent it."""
        return cls(cast("ItemT", item))

    def part(self, name: str) -> str:
        """Return what the `custom_id` says in a group of the template."""
        match = self.template.fullmatch(self.custom_id)
        assert match is not None  # discord.py hands over no other
        return match[name]

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Answer whoever used it, also when that fails."""
        await self._answer(interaction)

    @guarded
    async def _answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        await self.answer(interaction)

    @abstractmethod
    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Do what it is there for; an error becomes the answer, as for a command."""


def view_of(*items: PersistentItem[Any]) -> discord.ui.View:
    """Return a view that is stopped already: the items answer by themselves.

    discord.py then keeps nothing in memory for each message.
    """
    view = discord.ui.View(timeout=None)
    for item in items:
        view.add_item(item)
    view.stop()
    return view
