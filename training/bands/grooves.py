"""What the drummer of an excerpt plays: a groove of its style, varied, with fills and rests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.bands.notes import Stroke

if TYPE_CHECKING:
    import numpy as np

    from training.bands.styles import Style
    from training.bands.timeline import Timeline

_VELOCITIES = {"X": 116, "x": 96, "o": 48}
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
