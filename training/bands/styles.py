"""Styles: their metres and tempi, and what their drummers play.

A pattern is a string over one bar: X is an accent, x a stroke, o a soft one. Its length says what
it counts: 16 sixteenths in 4/4, 12 sixteenths in 3/4, 12 eighths in 12/8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A way to play.

    Attributes
    ----------
    name
        What a musician would call it.
    weight
        How often it is drawn.
    bpm
        Slowest and fastest tempo in beats per minute.
    beats_per_bar
        3 or 4; 12/8 has 4.
    swing, sixteenth_swing
        Smallest and largest delay of the off-beats, as in `training.bands.timeline.Timeline`.
    electronic
        How likely its drums are a machine's.
    grooves
        Each a bar: drum to pattern.
    """

    name: str
    weight: float
    bpm: tuple[float, float]
    grooves: tuple[dict[str, str], ...]
    beats_per_bar: int = 4
    swing: tuple[float, float] = (0.0, 0.0)
    sixteenth_swing: tuple[float, float] = (0.0, 0.0)
    electronic: float = 0.1


_EIGHTHS = "x.o.x.o.x.o.x.o."
_SIXTEENTHS = "xoxoxoxoxoxoxoxo"
_BACK = "....X.......X..."

STYLES = (
    Style(
        name="rock",
        weight=1.4,
        bpm=(90, 185),
        grooves=(
            {"kick": "X.......X.x.....", "snare": _BACK, "hat": _EIGHTHS},
            {"kick": "X.x.....X.....x.", "snare": _BACK, "ride": "x.x.x.x.x.x.x.x."},
            {"kick": "X.....x.x.x.....", "snare": _BACK, "open hat": "x...x...x...x..."},
            {"kick": "X.......X.......", "snare": "..X...X...X...X.", "hat": _EIGHTHS},
            {"kick": "X.x...x.X.x...x.", "snare": _BACK, "crash": "x...x...x...x..."},
        ),
    ),
    Style(
        name="pop",
        weight=1.3,
        bpm=(80, 130),
        electronic=0.5,
        grooves=(
            {"kick": "X.....x.X.......", "snare": _BACK, "hat": _EIGHTHS},
            {"kick": "X..x....X..x....", "clap": _BACK, "hat": _SIXTEENTHS},
            {"kick": "X.....x...x.....", "snare": _BACK, "shaker": _SIXTEENTHS},
            {"kick": "X...x...X...x...", "snare": _BACK, "tambourine": "..x...x...x...x."},
        ),
    ),
    Style(
        name="four-on-the-floor",
        weight=1.6,
        bpm=(110, 150),
        electronic=0.85,
        sixteenth_swing=(0, 0.15),
        grooves=(
            {"kick": "X...X...X...X...", "clap": _BACK, "open hat": "..x...x...x...x."},
            {
                "kick": "X...X...X...X...",
                "clap": _BACK,
                "hat": _SIXTEENTHS,
                "rim": "...x..x....x..x.",
            },
            {"kick": "X...X...X...X...", "open hat": "..x...x...x...x.", "hat": _SIXTEENTHS},
            {"kick": "X...X...X...X..x", "snare": _BACK, "hat": "x.xxx.xxx.xxx.xx"},
            {"kick": "X...X...X...X...", "hat": "..x...x...x...x.", "conga": "..x..xx...x..x.x"},
        ),
    ),
    Style(
        name="hip-hop",
        weight=1.3,
        bpm=(72, 108),
        electronic=0.5,
        sixteenth_swing=(0, 0.45),
        grooves=(
            {"kick": "X..x......x.....", "snare": _BACK, "hat": _EIGHTHS},
            {"kick": "X.....x..xx.....", "snare": _BACK, "hat": "x.xxx.x.x.xxx.x."},
            {"kick": "X.x....x..x....x", "clap": _BACK, "hat": _EIGHTHS},
            {"kick": "X......xX.......", "snare": "....X..o.o..X..o", "hat": _SIXTEENTHS},
        ),
    ),
    Style(
        name="trap",
        weight=1.2,
        bpm=(120, 170),
        electronic=1.0,
        grooves=(
            {"kick": "X.....x...x.....", "clap": "........X.......", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X..x......x..x..", "snare": "........X.......", "hat": "x.xxx.x.x.x.xxxx"},
            {"kick": "X.........x..x..", "clap": "........X.......", "hat": "x..x..x.x..x..x."},
        ),
    ),
    Style(
        name="funk",
        weight=1.0,
        bpm=(88, 122),
        sixteenth_swing=(0, 0.2),
        grooves=(
            {"kick": "X.x...x..x......", "snare": "....X..o.o..X..o", "hat": _SIXTEENTHS},
            {"kick": "X..x..x...x..x..", "snare": "....X..o....X.o.", "hat": "x.xxx.xox.xxx.xo"},
            {
                "kick": "X.x.......xx....",
                "snare": "....X..o.o..X...",
                "open hat": "......x.......x.",
            },
        ),
    ),
    Style(
        name="half-time",
        weight=0.8,
        bpm=(110, 165),
        electronic=0.35,
        grooves=(
            {"kick": "X.....x.........", "snare": "........X.......", "hat": _EIGHTHS},
            {"kick": "X.x.........x.x.", "snare": "........X.......", "ride": "x...x...x...x..."},
            {"kick": "X.......o.x.....", "snare": "........X.......", "crash": "x...x...x...x..."},
        ),
    ),
    Style(
        name="latin",
        weight=0.9,
        bpm=(85, 130),
        electronic=0.25,
        grooves=(
            {"kick": "X...x...X...x...", "snare": "...x..x....x..x.", "hat": _EIGHTHS},
            {"kick": "x.....x.x.....x.", "rim": "x..x..x...x..x..", "shaker": _SIXTEENTHS},
            {
                "conga": "..x.x.xx..x.x.xx",
                "claves": "x..x..x...x.x...",
                "cowbell": "x...x...x...x...",
            },
            {
                "kick": "X..x..x.X..x..x.",
                "timbale": "x.xx.x.xx.xx.x.x",
                "cowbell": "x.x.x.xxx.x.x.xx",
            },
        ),
    ),
    Style(
        name="reggae",
        weight=0.4,
        bpm=(68, 92),
        swing=(0, 0.25),
        grooves=(
            {"kick": "........X.......", "rim": "........X.......", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "X...X...X...X...", "rim": "........x.......", "hat": "..x...x...x...x."},
        ),
    ),
    Style(
        name="shuffle",
        weight=0.7,
        bpm=(95, 160),
        swing=(0.25, 0.36),
        grooves=(
            {"kick": "X.......X.....x.", "snare": _BACK, "ride": "x.x.x.x.x.x.x.x."},
            {"kick": "X...x...X...x...", "snare": _BACK, "hat": _EIGHTHS},
        ),
    ),
    Style(
        name="swing",
        weight=0.6,
        bpm=(100, 200),
        swing=(0.22, 0.36),
        electronic=0.0,
        grooves=(
            {
                "ride": "x...x.x.x...x.x.",
                "pedal hat": "....x.......x...",
                "kick": "o...o...o...o...",
            },
            {
                "ride": "x...x.x.x...x.x.",
                "pedal hat": "....x.......x...",
                "snare": "..o.......o.....",
            },
        ),
    ),
    Style(
        name="breakbeat",
        weight=0.9,
        bpm=(95, 178),
        electronic=0.3,
        grooves=(
            {"kick": "X.X.......XX....", "snare": "....X..o.o..X..o", "hat": _EIGHTHS},
            {"kick": "X.........X.....", "snare": "....X..o....X.o.", "ride": "x.x.x.x.x.x.x.x."},
            {"kick": "X..x......x.....", "snare": "....X..o.oo...X.", "hat": _EIGHTHS},
        ),
    ),
    Style(
        name="metal",
        weight=0.5,
        bpm=(100, 200),
        electronic=0.0,
        grooves=(
            {"kick": "xxxxxxxxxxxxxxxx", "snare": _BACK, "china": "x...x...x...x..."},
            {"kick": "X..XX..XX..XX..X", "snare": "........X.......", "crash": "x...x...x...x..."},
            {"kick": "X.x.X.x.X.x.X.x.", "snare": "..x...x...x...x.", "hat": "x.x.x.x.x.x.x.x."},
        ),
    ),
    Style(
        name="waltz",
        weight=0.8,
        bpm=(80, 185),
        beats_per_bar=3,
        electronic=0.15,
        grooves=(
            {"kick": "X...........", "snare": "....x...x...", "hat": "x...x...x..."},
            {"kick": "X.......x...", "rim": "....x...x...", "ride": "x...x.x.x..."},
            {"kick": "X.....x.....", "snare": "........X...", "hat": "x.x.x.x.x.x."},
        ),
    ),
    Style(
        name="six-eight",
        weight=0.9,
        bpm=(55, 95),
        electronic=0.15,
        grooves=(
            {"kick": "X.....X.....", "snare": "...X.....X..", "hat": "xooxooxooxoo"},
            {"kick": "X....xX.....", "snare": "...X.....X..", "ride": "xooxooxooxoo"},
            {"kick": "X.....x.x...", "rim": "...x.....x..", "shaker": "xxxxxxxxxxxx"},
        ),
    ),
    Style(
        name="ballad",
        weight=1.0,
        bpm=(55, 88),
        electronic=0.2,
        grooves=(
            {"kick": "x.......x.......", "rim": _BACK, "hat": _EIGHTHS},
            {"kick": "X.....x.X.......", "snare": _BACK, "ride": "x.o.x.o.x.o.x.o."},
            {"kick": "x.........x.....", "snare": "....x.......x...", "shaker": _SIXTEENTHS},
        ),
    ),
    Style(name="no drums", weight=0.8, bpm=(55, 140), grooves=()),
    Style(
        name="percussion",
        weight=0.4,
        bpm=(70, 140),
        electronic=0.1,
        grooves=(
            {"shaker": _SIXTEENTHS, "conga": "x..x..x...x.x.xx", "kick": "x.......x......."},
            {
                "tambourine": "....x.......x...",
                "kick": "x.......x.......",
                "claves": "x..x..x...x.x...",
            },
            {"clap": _BACK, "kick": "x.x.....x.x....."},
        ),
    ),
)


def draw_style(rng: np.random.Generator) -> Style:
    """Return a style, the usual ones more often."""
    weights = [style.weight for style in STYLES]
    shares = [weight / sum(weights) for weight in weights]
    return STYLES[int(rng.choice(len(STYLES), p=shares))]
