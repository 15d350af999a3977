"""Rectangles that know their size and how to paint themselves, put beside and above each other.

Lengths are in points, of which each has two pixels, so that pictures are crisp on fine screens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Paint: TypeAlias = "Callable[[Image.Image, float, float], None]"

SCALE = 2
"""Pixels of a point."""

_SMOOTH = 4  # edges are drawn so many times larger, and then shrunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A rectangle of a picture.

    Attributes
    ----------
    width, height
        In points.
    paint
        Paints it onto an opaque image, its upper left corner at a point.
    """

    width: float
    height: float
    paint: Paint


def space(width: float, height: float) -> Block:
    """Return a block with nothing on it."""
    return Block(width=width, height=height, paint=lambda _image, _x, _y: None)


def stack(blocks: Sequence[Block], gap: float = 0.0) -> Block:
    """Put blocks below each other."""

    def paint(image: Image.Image, x: float, y: float) -> None:
        for block in blocks:
            block.paint(image, x, y)
            y += block.height + gap

    return Block(
        width=max((block.width for block in blocks), default=0.0),
        height=sum(block.height for block in blocks) + gap * max(0, len(blocks) - 1),
        paint=paint,
    )


def row(
    blocks: Sequence[Block], gap: float = 0.0, align: Literal["top", "middle"] = "middle"
) -> Block:
    """Put blocks beside each other."""
    height = max((block.height for block in blocks), default=0.0)

    def paint(image: Image.Image, x: float, y: float) -> None:
        for block in blocks:
            block.paint(image, x, y + (height - block.height) / 2 * (align == "middle"))
            x += block.width + gap

    return Block(
        width=sum(block.width for block in blocks) + gap * max(0, len(blocks) - 1),
        height=height,
        paint=paint,
    )


def flow(blocks: Sequence[Block], width: float, gap: float) -> Block:
    """Put blocks beside each other, and into another line where they have no more room."""
    lines: list[list[Block]] = [[]]
    for block in blocks:
        if lines[-1] and row([*lines[-1], block], gap).width > width:
            lines.append([])
        lines[-1].append(block)
    return stack([row(line, gap) for line in lines], gap)


def padded(
    block: Block, left: float, top: float, right: float | None = None, bottom: float | None = None
) -> Block:
    """Leave room around a block; what is not said on the right and below is as left and above."""

    def paint(image: Image.Image, x: float, y: float) -> None:
        block.paint(image, x + left, y + top)

    return Block(
        width=block.width + left + (left if right is None else right),
        height=block.height + top + (top if bottom is None else bottom),
        paint=paint,
    )


def widened(block: Block, width: float, *, right: bool = False) -> Block:
    """Give a block at least this width, at its left or its right end."""
    lacking = max(0.0, width - block.width)
    return padded(block, lacking if right else 0.0, 0.0, 0.0 if right else lacking, 0.0)


def panel(
    block: Block,
    fill: str,
    radius: float,
    *,
    edge: str | None = None,
    stripe: str | None = None,
) -> Block:
    """Put a block on a ground with round corners, with a line around it or a stripe on its left."""
    width, height = block.width, block.height

    def paint(image: Image.Image, x: float, y: float) -> None:
        if edge:
            _round(image, (x, y, width, height), radius, edge)
            _round(image, (x + 1, y + 1, width - 2, height - 2), radius - 1, fill)
        else:
            _round(image, (x, y, width, height), radius, fill, stripe=stripe)
        block.paint(image, x, y)

    return Block(width=width, height=height, paint=paint)


def disc(diameter: float, fill: str) -> Block:
    """Return a filled circle."""
    return panel(space(diameter, diameter), fill, diameter / 2)


def polygon(points: Sequence[tuple[float, float]], width: float, height: float, fill: str) -> Block:
    """Return a filled polygon in a box; its corners are in points from the box's upper left."""
    shape = [(x / width, y / height) for x, y in points]

    def paint(image: Image.Image, x: float, y: float) -> None:
        size = _pixels(width), _pixels(height)
        mask = Image.new("L", (size[0] * _SMOOTH, size[1] * _SMOOTH))
        ImageDraw.Draw(mask).polygon([(a * mask.width, b * mask.height) for a, b in shape], 255)
        image.paste(fill, (_pixels(x), _pixels(y)), mask.resize(size, Image.Resampling.BOX))

    return Block(width=width, height=height, paint=paint)


def picture(content: Image.Image, width: float, radius: float) -> Block:
    """Return an image of a width, in its own proportions, with round corners."""
    height = round(content.height * width / content.width)
    size = _pixels(width), _pixels(height)
    resized = content.convert("RGBA").resize(size, Image.Resampling.LANCZOS)

    def paint(image: Image.Image, x: float, y: float) -> None:
        corner = (_pixels(x), _pixels(y))
        ground = image.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
        flat = Image.alpha_composite(ground.convert("RGBA"), resized).convert("RGB")
        image.paste(flat, corner, _mask(size, radius))

    return Block(width=width, height=height, paint=paint)


def render(block: Block, ground: str) -> Image.Image:
    """Paint a block as a picture of its own."""
    image = Image.new("RGB", (_pixels(block.width), _pixels(block.height)), ground)
    block.paint(image, 0.0, 0.0)
    return image


def _pixels(points: float) -> int:
    return round(points * SCALE)


def _mask(size: tuple[int, int], radius: float) -> Image.Image:
    mask = Image.new("L", (size[0] * _SMOOTH, size[1] * _SMOOTH))
    box = (0, 0, mask.width - 1, mask.height - 1)
    ImageDraw.Draw(mask).rounded_rectangle(box, radius * SCALE * _SMOOTH, 255)
    return mask.resize(size, Image.Resampling.BOX)


def _round(
    image: Image.Image,
    box: tuple[float, float, float, float],
    radius: float,
    fill: str,
    *,
    stripe: str | None = None,
) -> None:
    x, y, width, height = box
    corner, size = (_pixels(x), _pixels(y)), (_pixels(width), _pixels(height))
    ground = Image.new("RGB", size, fill)
    if stripe:
        ground.paste(stripe, (0, 0, _pixels(4), size[1]))
    image.paste(ground, corner, _mask(size, radius))
