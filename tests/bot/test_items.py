from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.items import Button, PersistentItem, view_of

if TYPE_CHECKING:
    from tests.bot.conftest import Scene


class Bell(PersistentItem[Button], template=r"bell:(?P<house>[a-z]+):(?P<floor>[0-9]+)"):
    async def answer(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.response.send_message(f"{self.part('house')}, {self.part('floor')}")


def bell(custom_id: str) -> Bell:
    return Bell(discord.ui.Button(label="Ring", custom_id=custom_id))


def test_an_item_knows_what_its_id_says() -> None:
    ringing = bell("bell:north:12")
    assert (ringing.part("house"), ringing.part("floor")) == ("north", "12")


async def test_it_comes_back_as_it_was_seen() -> None:
    seen = bell("bell:north:12").item
    match = Bell.__discord_ui_compiled_template__.fullmatch("bell:north:12")
    assert match is not None
    interaction: Any = None  # nothing is asked of it
    back = await Bell.from_custom_id(interaction, seen, match)
    assert type(back) is Bell
    assert back.item is seen


def test_an_item_has_an_answer() -> None:
    class Mute(PersistentItem[Button], template="mute"):
        pass

    with pytest.raises(TypeError, match="abstract method answer"):
        Mute(discord.ui.Button(custom_id="mute"))  # type: ignore[abstract]  # what is tested


async def test_a_view_keeps_its_items_in_order_and_nothing_in_memory() -> None:
    items = [bell("bell:north:1"), bell("bell:south:2")]
    view = view_of(*items)
    assert view.children == items
    assert view.timeout is None
    assert view.is_finished()


async def test_all_that_the_client_registers_answers_its_errors(scene: Scene) -> None:
    registered = scene.client._connection._view_store._dynamic_items.values()
    assert len(registered) > 5
    assert [kind for kind in registered if not issubclass(kind, PersistentItem)] == []
    assert [kind for kind in registered if kind.callback is not PersistentItem.callback] == []
