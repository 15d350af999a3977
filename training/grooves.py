"""Styles, and what their drummers play.

A pattern is a string over one bar: X is an accent, x a stroke, o a soft one. Its length says what
it counts: 16 sixteenths in 4/4, 12 sixteenths in 3/4, 12 eighths in 12/8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.notes import Stroke

if TYPE_CHECKING:
    import numpy as np

    from training.timeline import Timeline

_VELOCITIES = {"X": 116, "x": 96, "o": 48}


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
        Smallest and largest delay of the off-beats, as in `training.timeline.Timeline`.
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
_PERCUSSION = ("tambourine", "shaker", "conga", "cowbell", "claves", "clap", "rim", "triangle")
_LAYERS = ("x...x...x...x...", "..x...x...x...x.", "x.xxx.xxx.xxx.xx", "....x.......x...")
_TRIPLE_LAYERS = ("x...x...x...", "xoxoxoxoxoxo", "....x.......")
_FILLS = (
    (("snare", 0.0), ("snare", 0.25), ("high tom", 0.5), ("low tom", 0.75)),
    (("snare", 0.0), ("snare", 0.25), ("snare", 0.5), ("snare", 0.75)),
    (("high tom", 0.0), ("high tom", 0.25), ("mid tom", 0.5), ("low tom", 0.75)),
    (("kick", 0.0), ("snare", 0.5), ("snare", 0.75)),
    (("snare", 0.0), ("low tom", 0.5)),
)


def draw_style(rng: np.random.Generator) -> Style:
    """Return a style, the usual ones more often."""
    weights = [style.weight for style in STYLES]
    shares = [weight / sum(weights) for weight in weights]
    return STYLES[int(rng.choice(len(STYLES), p=shares))]


def play_drums(
    rng: np.random.Generator, style: Style, timeline: Timeline, *, machine: bool
) -> tuple[Stroke, ...]:
    """Return what the drummer of an excerpt plays; nothing in a style without drums.

    Parameters
    ----------
    rng
        Where groove, variations, fills and unevenness are drawn from.
    style, timeline
        What is played, and when its beats are.
    machine
        Whether all strokes are on time and equally strong.
    """
    if not style.grooves:
        return ()
    groove = _vary(rng, style)
    hurried = rng.normal(0, 0.008)  # the whole kit lies before or behind the beat
    loose = 0.0 if machine else float(rng.uniform(0.002, 0.009))
    every = int(rng.choice([2, 4, 4, 8]))
    phase = int(rng.integers(every))
    fill = _FILLS[int(rng.integers(len(_FILLS)))]
    strokes = []
    for bar in range(timeline.beats // style.beats_per_bar):
        start = bar * style.beats_per_bar
        fills = (bar + phase) % every == every - 1 and rng.random() < 0.6
        places = _bar_places(groove, style.beats_per_bar, fill if fills else ())
        if (bar + phase) % every == 0 and rng.random() < 0.5:
            places.append((0.0, "crash", 104))
        if style.name == "trap":
            places += _rolls(rng)
        for at, drum, velocity in places:
            if start + at < timeline.first or rng.random() < 0.03:
                continue
            time = timeline.seconds(start + at) + 0.3 * hurried * (not machine)
            hit = velocity + (0 if machine else rng.normal(0, 8))
            strokes.append(
                Stroke(
                    at_s=max(0.0, time + rng.normal(0, 1) * loose),
                    drum=drum,
                    velocity=int(min(127, max(12, hit))),
                )
            )
    return _with_rests(rng, strokes, timeline)


def _vary(rng: np.random.Generator, style: Style) -> dict[str, str]:
    """Return one of the style's grooves with a few strokes moved and perhaps a drum more."""
    groove = dict(style.grooves[int(rng.integers(len(style.grooves)))])
    if "kick" in groove and rng.random() < 0.4:
        kick = list(groove["kick"])
        place = int(rng.integers(1, len(kick)))
        kick[place] = "x" if kick[place] == "." else "."
        groove["kick"] = "".join(kick)
    if rng.random() < 0.15:
        groove.pop(str(rng.choice(list(groove))))
    if rng.random() < 0.35:
        layers = _LAYERS if style.beats_per_bar == 4 else _TRIPLE_LAYERS
        if style.name != "six-eight":
            groove.setdefault(str(rng.choice(_PERCUSSION)), str(rng.choice(layers)))
    if "snare" in groove and rng.random() < 0.2:
        groove["clap"] = groove["snare"]
    return groove


def _bar_places(
    groove: dict[str, str], beats_per_bar: int, fill: tuple[tuple[str, float], ...]
) -> list[tuple[float, str, int]]:
    places = []
    last = beats_per_bar - 1
    for drum, pattern in groove.items():
        step = beats_per_bar / len(pattern)
        for index, mark in enumerate(pattern):
            if mark != "." and not (fill and index * step >= last and drum != "kick"):
                places.append((index * step, drum, _VELOCITIES[mark]))
    return places + [(last + at, drum, 104) for drum, at in fill]


def _rolls(rng: np.random.Generator) -> list[tuple[float, str, int]]:
    """Return a roll of the hi-hat, the mark of trap, somewhere in the bar; or none."""
    if rng.random() < 0.5:
        return []
    start = float(rng.choice([0.5, 1.5, 2.5, 3.0, 3.5]))
    count = int(rng.choice([3, 4, 6, 8]))
    return [(start + 0.5 * n / count, "hat", 60 + 5 * n) for n in range(count)]


def _with_rests(
    rng: np.random.Generator, strokes: list[Stroke], timeline: Timeline
) -> tuple[Stroke, ...]:
    """Leave the drums out before or after some bar, now and then, as songs do."""
    if rng.random() > 0.16:
        return tuple(strokes)
    bars = timeline.beats // timeline.beats_per_bar
    turn = timeline.seconds(float(rng.integers(1, max(2, bars)) * timeline.beats_per_bar))
    late = rng.random() < 0.5
    return tuple(stroke for stroke in strokes if (stroke.at_s >= turn - 0.02) == late)
