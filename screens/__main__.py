"""Draw the screens of the README: ``python -m screens [FOLDER]``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from screens import examples
from screens.chat import draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.types import MergeResult

_DOCS = Path(__file__).parents[1] / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Merge two songs, draw what the bot says of it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m screens", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=_DOCS, help="where the files go")
    folder: Path = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screens-") as scratch:
        result = examples.make_mashup(Path(scratch))
        for path in asyncio.run(_draw_all(result, folder)):
            print(path)
    return 0


async def _draw_all(result: MergeResult, folder: Path) -> list[Path]:
    """Draw every screen; discord.py makes views in a running event loop only."""
    messages = {
        "answer": examples.answer(result),
        "progress": examples.progress(),
        "settings": examples.settings(),
        "library": await examples.library(),
    }
    paths = []
    for name, message in messages.items():
        paths.append(folder / f"{name}.png")
        _few_colours(draw(message)).save(paths[-1], optimize=True)
    return paths


def _few_colours(image: Image.Image) -> Image.Image:
    """Return a picture of 256 colours, which has a third of the size and looks the same.

    Rare colours count as much as frequent ones, or small drawings would turn grey; then each is
    moved to the middle of what it stands for, which keeps the large surfaces exact.
    """
    return image.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)


if __name__ == "__main__":
    sys.exit(main())
