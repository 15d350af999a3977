"""The dark sheet that every picture is drawn on: its colours, panels and text, and its file.

One point is one pixel, and rows count from the top. Nothing of the user's matplotlib settings
shows, and the same drawing gives the same bytes.
"""

from __future__ import annotations

import io
import tempfile
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.patches import FancyBboxPatch
from matplotlib.transforms import IdentityTransform

from pipeline.errors import OutputError
from pipeline.names import clean_name, clean_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.text import Text

WIDTH, HEIGHT = 1200, 675
"""Size of every picture in pixels: 16 to 9, which chats show whole."""

LEFT, RIGHT = 152, 1164
"""First column of every panel and the one after its last, in pixels."""

MARGIN = 36
"""Column at which lines of text begin, in pixels."""

BACKGROUND = "#12141f"
PANEL = "#1a1d2c"
TEXT = "#f4f5fb"
MUTED = "#b3b8cc"

_CORNER = 30  # radius in pixels
_TITLE_SIZES = (40, 36, 32, 28)  # pixels; at a third of the last, letters can still be told apart
_LONGEST_TITLE = 200  # characters; what fits is shorter
_FONTS = Path(mpl.get_data_path(), "fonts", "ttf")
_PLAIN, _BOLD = str(_FONTS / "DejaVuSans.ttf"), str(_FONTS / "DejaVuSans-Bold.ttf")


def drawable(text: str, otherwise: str) -> str:
    """Return a title with nothing in it that the title's font would draw as an empty box.

    Symbols that the font lacks are left out, words that it lacks become "…". So do words written
    from right to left, whose letters would stand in the wrong order and unjoined.

    Parameters
    ----------
    text
        Anything, e.g. a tag of an audio file.
    otherwise
        What to write when no letter or digit is left.
    """
    known = get_font(_BOLD).get_charmap()
    kept = ""
    for char in clean_text(text, longest=_LONGEST_TITLE):
        leftward = unicodedata.bidirectional(char) in {"R", "AL", "AN"}
        if ord(char) in known and not leftward:
            kept += char
        elif unicodedata.category(char)[0] in "LN" and not kept.endswith("…"):
            kept += "…"
    kept = " ".join(kept.split())
    while "… …" in kept:
        kept = kept.replace("… …", "…")
    return kept if any(char.isalnum() for char in kept) else otherwise


class Sheet:
    """An empty sheet with round corners, which looks the same on light and dark pages."""

    def __init__(self) -> None:
        self._figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, facecolor="none")
        self._canvas = FigureCanvasAgg(self._figure)
        shape = f"round,pad=0,rounding_size={_CORNER}"
        ground = FancyBboxPatch((0, 0), WIDTH, HEIGHT, boxstyle=shape, linewidth=0, zorder=-1)
        ground.set(facecolor=BACKGROUND, transform=IdentityTransform())
        self.add(ground)

    def add(self, artist: Artist) -> None:
        """Draw something above the panels; its own transform says where."""
        self._figure.add_artist(artist)

    def panel(self, rows: tuple[int, int], length_s: float) -> Axes:
        """Return axes over a range of rows, with time in seconds from left to right."""
        top, bottom = rows
        box = (LEFT / WIDTH, 1 - bottom / HEIGHT, (RIGHT - LEFT) / WIDTH, (bottom - top) / HEIGHT)
        axes = self._figure.add_axes(box, facecolor=PANEL, xlim=(0.0, length_s))
        axes.set_autoscale_on(False)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
        axes.set_yticks([])
        return axes

    def write(
        self,
        words: str,
        x: float,
        row: float,
        *,
        size: int,
        colour: str,
        bold: bool = False,
        align: Literal["left", "center", "right"] = "left",
    ) -> Text:
        """Write one line beside a column, its middle on a row; sizes are in pixels."""
        return self._figure.text(
            x,
            HEIGHT - row,
            words,
            color=colour,
            ha=align,
            va="center_baseline",
            parse_math=False,
            transform=IdentityTransform(),
            fontproperties=FontProperties(fname=_BOLD if bold else _PLAIN, size=size),
        )

    def write_title(self, title: str, x: float, row: float, *, colour: str, end: float) -> None:
        """Write a title as large as fits before the column `end`, at last with an ellipsis."""
        text = self.write(title, x, row, size=_TITLE_SIZES[0], colour=colour, bold=True)
        for size in _TITLE_SIZES[1:]:
            if text.get_window_extent().x1 <= end:
                return
            text.set_fontsize(size)
        shown = title
        while text.get_window_extent().x1 > end:
            shown = shown[:-1].rstrip(" …")
            text.set_text(f"{shown}…")

    def save(self, path: Path) -> Path:
        """Write the sheet as PNG, whole or not at all.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        image = io.BytesIO()
        # Without the name of the program that wrote it, which would change with its version.
        self._canvas.print_png(  # type: ignore[no-untyped-call]  # matplotlib types not all of it
            image, metadata={"Software": None}, pil_kwargs={"compress_level": 6}
        )
        try:
            # Inside the target's folder, so that the last step is a rename.
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".drawing-") as scratch:
                whole = Path(scratch, "whole.png")
                whole.write_bytes(image.getvalue())
                return whole.replace(path)
        except OSError as error:
            raise OutputError(
                f"{clean_name(path.name)} cannot be written: {error.strerror or error}.",
                hint="Choose another place.",
            ) from error
