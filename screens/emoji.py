"""Small drawings in place of the emoji that no font of ours has: those that the bot uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from PIL import Image, ImageDraw

from screens.blocks import SCALE, Block

if TYPE_CHECKING:
    from collections.abc import Sequence

    # What to draw, in a square of 24 by 24, and its colour; a line's points come with its width.
    Shape: TypeAlias = (
        tuple[Literal["fill", "oval"], Sequence[float], str]
        | tuple[Literal["line", "arc"], Sequence[float], str, float]
    )

_SMOOTH = 8
_GRID = 24
_PALE, _GREY, _DARK = "#e1e8ed", "#8899a6", "#292f33"
_BLUE, _SKY, _GOLD = "#3b88c3", "#55acee", "#ffcc4d"

_TILE: tuple[Shape, ...] = (
    ("fill", (2, 4, 22, 4, 22, 20, 2, 20), _BLUE),
    ("fill", (4, 2, 20, 2, 20, 22, 4, 22), _BLUE),
    *(("oval", (x, y, x + 4, y + 4), _BLUE) for x in (2, 18) for y in (2, 18)),
)
_SPEAKER: tuple[Shape, ...] = (
    ("fill", (2, 9, 6, 9, 6, 15, 2, 15), _GREY),
    ("fill", (6, 9, 12, 4, 12, 20, 6, 15), _PALE),
)
_WAVES: tuple[Shape, ...] = tuple(
    ("arc", (12 - r, 12 - r, 12 + r, 12 + r, -45, 45), _SKY, 1.8) for r in (5, 8, 11)
)

_STARS = ((10, 11.5, 9), (18.5, 5, 4.5), (18.5, 19, 4))


def _star(x: float, y: float, radius: float) -> tuple[float, ...]:
    """Return a star of four rays, seen from its middle."""
    rays = [(0, -1), (0.25, -0.25), (1, 0), (0.25, 0.25)]
    rays += [(-a, -b) for a, b in rays]
    return tuple(number for a, b in rays for number in (x + a * radius, y + b * radius))


_DRAWINGS: dict[str, tuple[Shape, ...]] = {
    "🔉": (*_SPEAKER, *_WAVES[:1]),
    "🔊": (*_SPEAKER, *_WAVES),
    "🧽": (
        ("fill", (2, 10, 15, 4, 22, 9, 22, 15, 9, 21, 2, 16), "#f2b93b"),
        ("fill", (2, 10, 15, 4, 22, 9, 9, 15), _GOLD),
        *(("oval", (x, y, x + 2.4, y + 1.8), "#c98f1d") for x, y in ((7, 9), (13, 7), (12, 11))),
        *(("oval", (x, y, x + 2, y + 2), "#c98f1d") for x, y in ((4, 14), (12, 17), (18, 14))),
    ),
    "⏪": (
        *_TILE,
        ("fill", (12, 6, 12, 18, 4.5, 12), "#ffffff"),
        ("fill", (19.5, 6, 19.5, 18, 12, 12), "#ffffff"),
    ),
    "◀": (*_TILE, ("fill", (16, 5.5, 16, 18.5, 6, 12), "#ffffff")),
    "▶": (*_TILE, ("fill", (8, 5.5, 8, 18.5, 18, 12), "#ffffff")),
    "⏩": (
        *_TILE,
        ("fill", (4.5, 6, 4.5, 18, 12, 12), "#ffffff"),
        ("fill", (12, 6, 12, 18, 19.5, 12), "#ffffff"),
    ),
    "⬇": (*_TILE, ("fill", (10, 5, 14, 5, 14, 12, 18, 12, 12, 19, 6, 12, 10, 12), "#ffffff")),
    "⬆": (*_TILE, ("fill", (10, 19, 14, 19, 14, 12, 18, 12, 12, 5, 6, 12, 10, 12), "#ffffff")),
    "🎹": (
        ("fill", (2, 4, 22, 4, 22, 20, 2, 20), _DARK),
        ("fill", (3.5, 8, 20.5, 8, 20.5, 18.5, 3.5, 18.5), "#ffffff"),
        *(("line", (x, 8, x, 18.5), _GREY, 0.7) for x in (7.8, 12, 16.2)),
        *(("fill", (x, 8, x + 2.6, 8, x + 2.6, 14, x, 14), _DARK) for x in (6.5, 10.7, 14.9)),
    ),
    "🐢": (
        ("oval", (16.5, 7, 23, 13.5), "#77b255"),
        ("oval", (20, 9, 21.4, 10.4), _DARK),
        ("fill", (4, 15, 9, 15, 8, 21, 4.5, 21), "#5c913b"),
        ("fill", (13, 15, 18, 15, 17.5, 21, 14, 21), "#5c913b"),
        ("fill", (1, 17, 5, 14, 6, 17), "#77b255"),
        ("arc", (2.5, 4.5, 18.5, 28, 180, 360), "#3e721d", 12),
        ("line", (7, 9, 9.5, 14, 7, 16), "#5c913b", 1),
        ("line", (14, 9, 11.5, 14, 14, 16), "#5c913b", 1),
    ),
    "🐇": (
        ("oval", (3, 11, 17, 22), "#b9a59a"),
        ("oval", (12, 7, 22, 16), "#b9a59a"),
        ("fill", (13, 9, 9, 1, 12, 1, 16, 8), "#b9a59a"),
        ("fill", (15, 8, 14, 0.5, 17, 1, 18.5, 8), "#d8c8bf"),
        ("oval", (17.5, 9.6, 19.3, 11.4), _DARK),
        ("oval", (1, 15, 6, 20), "#ffffff"),
        ("fill", (13, 18, 20, 20, 20, 22, 8, 22), "#d8c8bf"),
    ),
    "🔀": (
        *_TILE,
        ("line", (4, 8, 8, 8, 13, 16, 17, 16), "#ffffff", 2),
        ("line", (4, 16, 8, 16, 13, 8, 17, 8), "#ffffff", 2),
        ("fill", (16, 4.7, 20.5, 8, 16, 11.3), "#ffffff"),
        ("fill", (16, 12.7, 20.5, 16, 16, 19.3), "#ffffff"),
    ),
    "🎲": (
        ("fill", (12, 1.5, 21.5, 6.5, 12, 12, 2.5, 6.5), "#f5f8fa"),
        ("fill", (2.5, 6.5, 12, 12, 12, 22.5, 2.5, 17), _PALE),
        ("fill", (21.5, 6.5, 12, 12, 12, 22.5, 21.5, 17), "#ccd6dd"),
        ("oval", (10.2, 5, 13.8, 7.8), "#dd2e44"),
        *(("oval", (x, y, x + 2.4, y + 3), _DARK) for x, y in ((4, 10), (8.3, 16), (13.5, 16))),
        *(("oval", (x, y, x + 2.4, y + 3), _DARK) for x, y in ((15.6, 12.8), (17.7, 9.7))),
    ),
    "✨": (
        *(("fill", _star(x, y, radius), _GOLD) for x, y, radius in _STARS),
    ),
    "📂": (
        ("fill", (2, 4, 9, 4, 11, 7, 20, 7, 20, 20, 2, 20), "#226699"),
        ("fill", (6, 10, 23, 10, 20, 20.5, 2, 20.5), _SKY),
    ),
}  # fmt: skip


def emoji(name: str, size: float) -> Block | None:
    """Return a drawing of an emoji, None where there is none.

    Parameters
    ----------
    name
        The emoji, with or without the selector that asks for colours.
    size
        Its width and height in points.
    """
    shapes = _DRAWINGS.get(name.removesuffix("\N{VARIATION SELECTOR-16}"))
    if shapes is None:
        return None
    pixels = round(size * SCALE)
    drawn = _draw(shapes, pixels)

    def paint(image: Image.Image, x: float, y: float) -> None:
        image.paste(drawn, (round(x * SCALE), round(y * SCALE)), drawn)

    return Block(width=size, height=size, paint=paint)


def _draw(shapes: Sequence[Shape], pixels: int) -> Image.Image:
    large = Image.new("RGBA", (pixels * _SMOOTH, pixels * _SMOOTH))
    canvas = ImageDraw.Draw(large)
    unit = large.width / _GRID
    for kind, numbers, colour, *width in shapes:
        points = [number * unit for number in numbers]
        thick = round(width[0] * unit) if width else 0
        if kind == "fill":
            canvas.polygon(points, colour)
        elif kind == "oval":
            canvas.ellipse(points, colour)
        elif kind == "line":
            canvas.line(points, colour, thick, joint="curve")
        else:
            canvas.arc(points[:4], numbers[4], numbers[5], colour, thick)
    # Straight alpha must not fade to black at the edges.
    return large.convert("RGBa").resize((pixels, pixels), Image.Resampling.BOX).convert("RGBA")
