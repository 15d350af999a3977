"""Emoji are drawn where the bot uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.remix import ACTIONS
from screens.blocks import render
from screens.emoji import emoji

if TYPE_CHECKING:
    from bot.remix import Action


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_every_button_has_its_picture(action: Action) -> None:
    drawn = emoji(action.emoji, 17)
    assert drawn is not None
    assert (drawn.width, drawn.height) == (17, 17)
    seen = render(drawn, "#000000").getcolors(maxcolors=10_000)
    assert seen is not None
    assert sum(count for count, colour in seen if colour != (0, 0, 0)) > 150


def test_drawings_differ() -> None:
    drawn = [emoji(action.emoji, 17) for action in ACTIONS.values()]
    pictures = {render(one, "#000000").tobytes() for one in drawn if one is not None}
    assert len(pictures) == len({action.emoji for action in ACTIONS.values()})


def test_what_nobody_has_drawn_is_left_out() -> None:
    assert emoji("🦖", 17) is None
    assert emoji("", 17) is None
