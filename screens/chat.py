"""A message of the bot as a chat shows it: words, files, cards and what can be pressed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from screens.blocks import (
    Block,
    disc,
    padded,
    panel,
    picture,
    polygon,
    render,
    row,
    space,
    stack,
    widened,
)
from screens.components import action_row
from screens.palette import (
    BADGE,
    CARD,
    CHAT,
    EDGE,
    FIELD,
    HEADING,
    LINK,
    MUTED,
    PLAYER,
    TEXT,
    TRACK,
)
from screens.text import Style, label, paragraph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WIDTH = 672
"""Points from the left edge of a screen to its right one."""

_MARGIN = 16
_GUTTER = 72  # where words begin, to the right of the picture of whoever speaks
_CONTENT = WIDTH - _GUTTER - _MARGIN
_CARD = 516
_PLAYER = 400

_BODY = Style(size=14.5, colour=TEXT)
_SMALL = Style(size=11.5, colour=MUTED)
_STRONG = Style(size=15, colour=HEADING, bold=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """A file under a message.

    Attributes
    ----------
    name
        What it is called.
    path
        Where it is: it is looked at for its size, and shown if a card has it as its picture.
    length_s
        How long it plays, in seconds; None if it is no sound.
    """

    name: str
    path: Path
    length_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What the bot says, in the form in which it is sent.

    Attributes
    ----------
    command
        What it answers, e.g. "/merge"; "" if nothing.
    person
        Who asked.
    content
        Its words.
    embeds, components
        As `discord.Embed.to_dict` and `discord.ui.View.to_components` give them.
    files
        What is attached.
    names
        What stands for mentions and times; see `screens.text.paragraph`.
    private
        Whether only the person who asked can see it.
    """

    command: str = ""
    person: str = "ada"
    content: str = ""
    embeds: Sequence[Mapping[str, Any]] = ()
    components: Sequence[Mapping[str, Any]] = ()
    files: Sequence[Attached] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    private: bool = False


def draw(message: Message) -> Image.Image:
    """Draw a message as a picture of 1320 pixels in width, and as high as it needs."""
    told = stack([_author(), *_parts(message)], 6)
    avatar = panel(_centred(label("♫", Style(size=21, colour="#ffffff")), 40, 40), "#8e44ad", 20)
    body = row([avatar, widened(told, _CONTENT)], _GUTTER - _MARGIN - 40, "top")
    lines = [_asked(message), body] if message.command else [body]
    block = padded(stack(lines, 6), _MARGIN, 14, 0, 16)
    return render(widened(block, WIDTH), CHAT)


def _parts(message: Message) -> list[Block]:
    """Return what stands below the bot's name, from above."""
    shown = {embed["image"]["url"] for embed in message.embeds if "image" in embed}
    files = {f"attachment://{file.name}": file for file in message.files}
    parts = [paragraph(message.content, _BODY, _CONTENT, message.names)] if message.content else []
    parts += [_file(file) for url, file in files.items() if url not in shown]
    parts += [_card(embed, files, message.names) for embed in message.embeds]
    parts += [action_row(found, _CONTENT) for found in message.components]
    if message.private:
        parts.append(label("Only you can see this • Dismiss message", _SMALL))
    return parts


def _asked(message: Message) -> Block:
    """Return the line above an answer: who used which command."""
    corner = [(0.0, 0.0), (24.0, 0.0), (24.0, 2.0), (2.0, 2.0), (2.0, 11.0), (0.0, 11.0)]
    elbow = padded(polygon(corner, 24, 11, EDGE), 20, 10, 2, 0)
    face = panel(
        _centred(label(message.person[:1].upper(), Style(size=9, colour="#ffffff")), 16, 16),
        "#3f8f6b",
        8,
    )
    name = label(message.person, Style(size=12.5, colour=TEXT, bold=True))
    used = label("used", Style(size=12.5, colour=MUTED))
    command = label(message.command, Style(size=12.5, colour=LINK))
    return row([elbow, face, name, used, command], 5)


def _author() -> Block:
    name = label("vocal", Style(size=15, colour=HEADING, bold=True))
    badge = panel(
        padded(label("APP", Style(size=9.5, colour="#ffffff", bold=True)), 4, 1), BADGE, 3
    )
    return row([name, badge, label("Today at 21:04", _SMALL)], 6)


def _card(
    embed: Mapping[str, Any], files: Mapping[str, Attached], names: Mapping[str, str]
) -> Block:
    """Return an embed, as wide as its words and its picture need."""
    inner = _CARD - 16 - 12
    parts: list[Block] = []
    if "author" in embed:
        parts.append(label(embed["author"]["name"], Style(size=12.5, colour=HEADING), inner))
    if "title" in embed:
        parts.append(paragraph(embed["title"], _STRONG, inner, names))
    if "description" in embed:
        words = Style(size=13, colour=TEXT)
        parts.append(paragraph(embed["description"], words, inner, names))
    parts += _fields(embed.get("fields", ()), inner, names)
    if "image" in embed:
        parts.append(_picture(files[embed["image"]["url"]].path, inner))
    if "footer" in embed:
        parts.append(paragraph(embed["footer"]["text"], _SMALL, inner))
    block = padded(stack(parts, 8), 16, 12, 12, 14)
    return panel(block, CARD, 5, edge=None, stripe=f"#{embed.get('color', 0x4E5058):06x}")


def _fields(
    fields: Sequence[Mapping[str, Any]], width: float, names: Mapping[str, str]
) -> list[Block]:
    """Return a card's fields: up to three of those that may stand beside each other in a row."""
    lines: list[list[Mapping[str, Any]]] = []
    for found in fields:
        beside = found.get("inline") and lines and lines[-1][0].get("inline")
        if beside and len(lines[-1]) < 3:
            lines[-1].append(found)
        else:
            lines.append([found])
    blocks = []
    for line in lines:
        each = (width - 12 * (len(line) - 1)) / len(line)
        head, words = Style(size=13, colour=HEADING, bold=True), Style(size=13, colour=TEXT)
        cells = [
            stack([paragraph(f["name"], head, each), paragraph(f["value"], words, each, names)], 2)
            for f in line
        ]
        blocks.append(row([widened(cell, each) for cell in cells], 12, "top"))
    return blocks


def _picture(path: Path, width: float) -> Block:
    with Image.open(path) as opened:
        return picture(opened, width, 5)


def _file(file: Attached) -> Block:
    """Return an attached file: its name and size, and a player if it is a sound."""
    icon = panel(_centred(label("♪", Style(size=19, colour="#ffffff")), 30, 38), "#7982f0", 4)
    name = label(file.name, Style(size=14, colour=LINK), _PLAYER - 80)
    size = label(_size(file.path.stat().st_size), _SMALL)
    parts = [row([icon, stack([name, size], 1)], 10)]
    if file.length_s is not None:
        parts.append(_player(file.length_s))
    block = padded(widened(stack(parts, 10), _PLAYER - 32), 16, 14)
    return panel(block, FIELD, 8, edge=EDGE)


def _player(length_s: float) -> Block:
    minutes, seconds = divmod(round(length_s), 60)
    play = polygon([(2, 1), (13, 8), (2, 15)], 14, 16, TEXT)
    time = label(f"0:00 / {minutes}:{seconds:02}", Style(size=12, colour=TEXT))
    speaker = polygon([(0, 5), (4, 5), (9, 1), (9, 15), (4, 11), (0, 11)], 12, 16, TEXT)
    rest = _PLAYER - 32 - 24 - play.width - time.width - speaker.width - 3 * 10
    knob = row([disc(10, "#ffffff"), panel(space(rest - 10, 5), TRACK, 2.5)], 0)
    return panel(padded(row([play, time, knob, speaker], 10), 12, 8), PLAYER, 6)


def _centred(block: Block, width: float, height: float) -> Block:
    left, top = (width - block.width) / 2, (height - block.height) / 2
    return padded(block, left, top, left, top)


def _size(count: int) -> str:
    return f"{count / 2**20:.2f} MB" if count >= 2**20 else f"{count / 1024:.0f} KB"
