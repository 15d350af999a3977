"""Words as a chat shows them: markdown, wrapped to a width, in letters that the font has."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.font_manager import get_font
from PIL import ImageDraw, ImageFont

from screens.blocks import SCALE, Block, panel, row, stack
from screens.palette import CODE, EDGE, LINK, MENTION, MENTION_GROUND

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

_FONTS = Path(mpl.get_data_path(), "fonts", "ttf")
_LINE = 1.375  # heights of a letter from one line to the next
_INSET = 1.0  # points between the ground of some letters and the edge of their line
_MARKS = re.compile(
    r"\\(?P<escaped>[^\w\s]|_)"
    r"|(?P<code>`+)(?P<inside>.+?)(?P=code)"
    r"|(?P<mention><(?:@[!&]?|\#|/[\w -]+:|t:)\d+(?::[tTdDfFR])?>)"
    r"|\[(?P<link>[^\]]+)\]\(<?https?://[^)]+\)"
    r"|(?P<bold>\*\*)"
    r"|(?P<italic>\*|(?<!\w)_|_(?!\w))"
)
_WORDS = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How letters look; sizes are in points, a ground is the colour of what lies under them."""

    size: float
    colour: str
    bold: bool = False
    italic: bool = False
    mono: bool = False
    ground: str | None = None

    @property
    def font(self) -> ImageFont.FreeTypeFont:
        """The font file in its size."""
        return _font(self._file, round(self.size * SCALE))

    @property
    def _file(self) -> str:
        slant = "Oblique" if self.italic else ""
        ending = f"Bold{slant}" if self.bold else slant
        return f"DejaVuSans{'Mono' if self.mono else ''}{'-' if ending else ''}{ending}.ttf"

    def drawable(self, text: str) -> str:
        """Return a text without what the font lacks: colour emoji, and scripts of the East."""
        known = get_font(str(_FONTS / self._file)).get_charmap()
        kept = "".join(
            char for char in text if ord(char) in known and char != "\N{VARIATION SELECTOR-16}"
        )
        return kept if kept == text else re.sub(r" {2,}", " ", kept)

    def width_of(self, text: str) -> float:
        """Return the width of a text in points."""
        return float(self.font.getlength(text)) / SCALE


@functools.cache
def _font(file: str, pixels: int) -> ImageFont.FreeTypeFont:
    # Not the layout engine that only some machines have: pictures must not differ.
    return ImageFont.truetype(str(_FONTS / file), pixels, layout_engine=ImageFont.Layout.BASIC)


@dataclass(frozen=True, slots=True)
class Run:
    """Some letters in one style."""

    text: str
    style: Style


def paragraph(
    text: str, style: Style, width: float, names: Mapping[str, str] | None = None
) -> Block:
    """Return a markdown text, wrapped to a width.

    Parameters
    ----------
    text
        What the bot says.
    style
        Of the letters that no mark changes.
    width
        In points; no letter stands beyond it.
    names
        What stands for mentions and times, by how they are written: ``{"<@12>": "@ada"}``.
    """
    lines = [
        _line(part)
        for line in text.split("\n")
        for part in _wrapped(_runs(line, style, names or {}), style, width)
    ]
    return stack(lines)


def label(text: str, style: Style, width: float = 1e9) -> Block:
    """Return one line as it is written; what does not fit gives way to an ellipsis."""
    shown = style.drawable(text)
    while style.width_of(shown) > width and shown != "…":
        shown = f"{shown.rstrip('…')[:-1].rstrip()}…"
    return _line([Run(shown, style)])


def _runs(line: str, style: Style, names: Mapping[str, str]) -> list[Run]:
    """Divide one line of markdown by its styles."""
    runs: list[Run] = []
    at, now = 0, style
    for match in _MARKS.finditer(line):
        runs.append(Run(line[at : match.start()], now))
        at = match.end()
        if match["bold"]:
            now = replace(now, bold=not now.bold)
        elif match["italic"]:
            now = replace(now, italic=not now.italic)
        elif match["escaped"]:
            runs.append(Run(match["escaped"], now))
        elif match["link"]:
            runs.append(Run(match["link"], replace(now, colour=LINK)))
        elif match["mention"]:
            is_time = match["mention"].startswith("<t:")
            mention = replace(now, colour=MENTION, ground=MENTION_GROUND)
            shown = replace(now, ground=EDGE) if is_time else mention
            runs.append(Run(names[match["mention"]], shown))
        else:
            code = replace(now, mono=True, ground=CODE, size=0.875 * now.size)
            runs.append(Run(match["inside"], code))
    runs.append(Run(line[at:], now))
    return [Run(text, run.style) for run in runs if (text := run.style.drawable(run.text))]


def _wrapped(runs: Sequence[Run], style: Style, width: float) -> list[list[Run]]:
    """Divide a line where it is full; an empty one keeps its height."""
    lines: list[list[Run]] = [[]]
    used = 0.0
    for run in runs:
        pieces = [run.text] if run.style.ground else _WORDS.findall(run.text)
        for piece in (part for whole in pieces for part in _fitting(whole, run.style, width)):
            taken = run.style.width_of(piece.rstrip())
            if used and used + taken > width:
                lines.append([])
                used = 0.0
            lines[-1].append(Run(piece, run.style))
            used += run.style.width_of(piece)
    return [line or [Run("", style)] for line in lines]


def _fitting(word: str, style: Style, width: float) -> list[str]:
    """Break what is wider than a line."""
    parts = [""]
    for char in word:
        if parts[-1] and style.width_of((parts[-1] + char).rstrip()) > width:
            parts.append("")
        parts[-1] += char
    return parts


def _line(runs: Sequence[Run]) -> Block:
    """Put runs beside each other on one base line."""
    largest = max((run.style for run in runs), key=lambda style: style.size)
    height = largest.size * _LINE
    ascent, descent = largest.font.getmetrics()
    base = (height * SCALE - ascent - descent) / 2 + ascent
    blocks = []
    for run in runs:
        if run.style.ground:  # which must not touch that of the next line
            letters = _letters(run, height - 2 * _INSET, base - _INSET * SCALE)
            blocks.append(panel(letters, run.style.ground, 3))
        else:
            blocks.append(_letters(run, height, base))
    return row(blocks)


def _letters(run: Run, height: float, base: float) -> Block:
    style = run.style

    def paint(image: Image.Image, x: float, y: float) -> None:
        corner = (round(x * SCALE), round(y * SCALE + base))
        ImageDraw.Draw(image).text(corner, run.text, style.colour, style.font, anchor="ls")

    return Block(width=style.width_of(run.text), height=height, paint=paint)
