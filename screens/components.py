"""What can be pressed under a message: rows of buttons, and menus to choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from screens.blocks import Block, flow, padded, panel, polygon, row, widened
from screens.emoji import emoji
from screens.palette import BUTTONS, CHAT, EDGE, FIELD, MUTED, TEXT
from screens.text import Style, label

if TYPE_CHECKING:
    from collections.abc import Mapping

_BUTTON, _MENUS = 2, (3, 5, 6, 7, 8)
_MENU_WIDTH = 400
_GAP = 6


def action_row(component: Mapping[str, Any], width: float) -> Block:
    """Return one row of components as Discord's interface describes it.

    Parameters
    ----------
    component
        An action row: https://discord.com/developers/docs/components/reference#action-row.
    width
        In points; buttons that do not fit go into another line.

    Raises
    ------
    ValueError
        There is something else in it than buttons and menus.
    """
    blocks = []
    for part in component["components"]:
        if part["type"] == _BUTTON:
            blocks.append(_button(part))
        elif part["type"] in _MENUS:
            blocks.append(_menu(part))
        else:
            raise ValueError(f"components of type {part['type']} cannot be drawn")
    return flow(blocks, width, _GAP)


def _button(button: Mapping[str, Any]) -> Block:
    fill, colour = BUTTONS[button["style"]]
    if button.get("disabled"):
        fill, colour = _faded(fill), _faded(colour)
    parts = []
    drawn = emoji((button.get("emoji") or {}).get("name") or "", 17)
    if drawn is not None:
        parts.append(drawn)
    if button.get("label"):
        parts.append(label(button["label"], Style(size=13, colour=colour)))
    return panel(padded(row(parts, 6), 12, 7), fill, 8)


def _menu(menu: Mapping[str, Any]) -> Block:
    """Return a menu as it looks before somebody opens it."""
    chosen = [option for option in menu.get("options", ()) if option.get("default")]
    inner = _MENU_WIDTH - 2 * 12 - 24
    if chosen:
        words = ", ".join(option["label"] for option in chosen)
        shown = label(words, Style(size=14, colour=TEXT), inner)
    else:
        words = menu.get("placeholder") or "Make a selection"
        shown = label(words, Style(size=14, colour=MUTED), inner)
    arrow = polygon([(1, 3), (7, 9), (13, 3), (11.5, 1.5), (7, 6), (2.5, 1.5)], 14, 11, MUTED)
    return panel(padded(row([widened(shown, inner), arrow], 10), 12, 9), FIELD, 8, edge=EDGE)


def _faded(colour: str) -> str:
    """Return a colour half of the way to the ground."""
    mixed = [
        (int(colour[at : at + 2], 16) + int(CHAT[at : at + 2], 16)) // 2 for at in range(1, 7, 2)
    ]
    return "#" + "".join(f"{level:02x}" for level in mixed)
