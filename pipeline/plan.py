"""Two songs' facts and a recipe to a plan. Arithmetic only: no audio, no files.

Positions on a beat grid are counted in beats and may be fractional; beyond its ends a grid goes on
at the pace of its first and last beats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline import reasons
from pipeline.errors import RecipeError
from pipeline.key import SURE
from pipeline.types import BeatGrid, LayerPlan, Plan, WarpMap

if TYPE_CHECKING:
    from pipeline.recipe import Recipe
    from pipeline.types import Key, SongFacts, Spans

Array: TypeAlias = npt.NDArray[np.float64]

VOICE_BEATS_PER_BACKING_BEAT = {"half": 0.5, "same": 1.0, "double": 2.0}

UNHEARD = 0.04
"""A voice may be stretched by this share alone; above it both layers share the stretch."""

WARP_TOLERANCE_S = 0.004
"""Beats this close to a straight line share one stretch ratio; a flam is heard from 20 ms on."""

PHRASE_BARS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """How the two grids meet: voice beat `i` falls on backing beat ``start + i / pace``."""

    pace: float
    start: float


def make_plan(
    vocals: SongFacts, backing: SongFacts, recipe: Recipe, *, sung: Spans, backing_sung: Spans
) -> Plan:
    """Decide how two songs are brought together.

    Parameters
    ----------
    vocals, backing
        What was found out about the two songs.
    recipe
        What the user asked for.
    sung
        When the voice sounds in the vocal song: (start, end) in seconds, rising.
    backing_sung
        The same for the backing's own voice, whose first entry shows where its arrangement
        expects one; may be empty.

    Returns
    -------
    Plan
        The backing starts at 0 s; the mash-up ends when either layer runs out.

    Raises
    ------
    RecipeError
        Nothing that is sung would be heard: the nudge moves it out of the mash-up, or the backing
        has not even room for a pickup.
    """
    if len(vocals.grid.beats_s) < 2 or len(backing.grid.beats_s) < 2:
        plan = _plan_without_beats(vocals, backing, sung)
    else:
        plan = _plan_on_beats(vocals, backing, recipe, sung, backing_sung)
    semitones, why = choose_shift(vocals.key, backing.key, recipe.key)
    return replace(
        plan,
        vocals=replace(plan.vocals, semitones=float(semitones)),
        reasons=(*plan.reasons, why),
    )


def apply_warp(warp: WarpMap, source_s: Array) -> Array:
    """Map times in a stem to times in the output, both in seconds; shape is kept."""
    return _interpolate(source_s, warp.source_s, warp.target_s, edge=1)


def _heard(layer: LayerPlan, source_s: float) -> float:
    return float(apply_warp(layer.warp, np.asarray([source_s]))[0])


def warp_grid(grid: BeatGrid, layer: LayerPlan, length_s: float) -> BeatGrid:
    """Where a song's beats are heard in the output; beats outside it are dropped."""

    def heard(times_s: tuple[float, ...]) -> tuple[float, ...]:
        mapped = apply_warp(layer.warp, np.asarray(times_s))
        return tuple(mapped[(mapped >= 0) & (mapped < length_s)].tolist())

    return replace(
        grid,
        beats_s=heard(grid.beats_s),
        downbeats_s=heard(grid.downbeats_s),
        bpm=grid.bpm * layer.stretch,
    )


def choose_shift(voice: Key | None, backing: Key | None, wish: str) -> tuple[int, str]:
    """Semitones to move the voice by, in -6..6, and the sentence that says why.

    Keys are compared on the circle of fifths, on which neighbours share six of seven notes: a
    voice four semitones off moves by one, into the neighbouring key, not by four.
    """
    if wish == "keep":
        return 0, "The vocals keep their pitch, as asked."
    if wish != "match":
        return int(wish), f"The vocals are shifted {reasons.semitones(int(wish))}, as asked."
    if voice is None or backing is None or min(voice.confidence, backing.confidence) < SURE:
        return 0, "The keys are not clear enough to shift the vocals by."
    apart = voice.semitones_to(backing)
    # Each semitone of shift costs more than one fifth of distance gains from there on.
    shift = min(range(-3, 4), key=lambda s: (fifths_apart(apart - s) + 0.6 * abs(s), abs(s), s))
    keys = f"{voice} over {backing}"
    if fifths_apart(apart - shift) == 0:
        return shift, (
            f"The vocals are shifted {reasons.semitones(shift)}: {keys}."
            if shift
            else f"The keys fit as they are: {keys}."
        )
    neighbour = "a neighbouring key, which shares all notes but one"
    if shift == 0:
        return 0, f"The vocals keep their pitch: {keys} is {neighbour}."
    return shift, f"The vocals are shifted {reasons.semitones(shift)} into {neighbour}: {keys}."


def fifths_apart(semitones: int) -> int:
    """Count the steps on the circle of fifths, 0 to 6, between keys `semitones` apart."""
    steps = (semitones * 7) % 12
    return min(steps, 12 - steps)


def _plan_on_beats(
    vocals: SongFacts, backing: SongFacts, recipe: Recipe, sung: Spans, backing_sung: Spans
) -> Plan:
    pace_name = recipe.pace if recipe.pace != "auto" else _gentlest_pace(vocals, backing)
    pace = VOICE_BEATS_PER_BACKING_BEAT[pace_name]
    first_sung = _sung_downbeat(vocals.grid, sung)
    entry = _entry_beat(vocals, backing, pace, sung, backing_sung)
    match = _Match(pace=pace, start=entry + recipe.nudge - first_sung / pace)
    of_beats, of_voice = _target_times(vocals, backing, match, recipe.tempo)

    backing_layer = _layer(backing, of_beats)
    voice_layer = _layer(vocals, of_voice)
    bpm = backing.grid.bpm * backing_layer.stretch
    outro = 2 * backing.grid.beats_per_bar * 60.0 / bpm
    voice_end = _heard(voice_layer, sung[-1][1] if sung else vocals.duration_s)
    backing_end = _heard(backing_layer, backing.duration_s)
    length = min(backing_end, voice_end + outro)
    if voice_end <= 0 or (sung and _heard(voice_layer, sung[0][0]) >= length):
        raise RecipeError(
            f"With a nudge of {recipe.nudge} nothing that is sung in {vocals.title} would be heard "
            f"over {backing.title}.",
            hint="Choose another nudge, or a longer backing.",
        )
    enters = max(0.0, _heard(voice_layer, _at(vocals.grid, np.asarray([first_sung]))[0]))
    return Plan(
        vocals=voice_layer,
        backing=backing_layer,
        length_s=length,
        fade_out_s=outro if voice_end + outro < backing_end else 0.05,
        bpm=bpm,
        voice_enters_s=enters,
        reasons=(
            reasons.tempo(vocals, backing, bpm, voice_layer, backing_layer),
            *reasons.pace(pace_name),
            reasons.entry(enters, recipe.nudge),
        ),
        warnings=(
            *reasons.stretch_warnings(voice_layer, backing_layer),
            *reasons.length_warnings(vocals, backing, voice_end, backing_end),
        ),
    )


def _plan_without_beats(vocals: SongFacts, backing: SongFacts, sung: Spans) -> Plan:
    """Lay one song over the other as they are: there is no pulse to align."""
    enters = sung[0][0] if sung else 0.0
    length = min(vocals.duration_s, backing.duration_s)
    as_it_is = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0)))
    lost = vocals if len(vocals.grid.beats_s) < 2 else backing
    return Plan(
        vocals=as_it_is,
        backing=as_it_is,
        length_s=length,
        bpm=backing.grid.bpm or vocals.grid.bpm,
        voice_enters_s=enters,
        reasons=("Both songs keep their own tempo.",),
        warnings=(f"No beat was found in {lost.title}, so the songs are not aligned.",),
    )


def _gentlest_pace(vocals: SongFacts, backing: SongFacts) -> str:
    """Pace that needs the least stretching; a tie goes to the plain one."""
    ratio = vocals.grid.bpm / backing.grid.bpm
    return min(
        ("same", "half", "double"),
        key=lambda name: round(abs(np.log2(ratio / VOICE_BEATS_PER_BACKING_BEAT[name])), 3),
    )


def _sung_downbeat(grid: BeatGrid, sung: Spans) -> int:
    """Index of the downbeat on which the singing starts; a pickup belongs to the next bar.

    It may lie beyond the grid, whose bars are taken to go on.
    """
    downbeats = _downbeat_indices(grid)
    if not sung:
        return int(downbeats[0])
    start = _position(grid, np.asarray([sung[0][0]]))[0]
    # Up to two and a half beats before a downbeat are heard as leading into it.
    pickup = 0.625 * grid.beats_per_bar
    earliest = start - grid.beats_per_bar + pickup
    beyond = int(np.ceil((earliest - downbeats[-1]) / grid.beats_per_bar))
    if beyond > 0:
        return int(downbeats[-1]) + beyond * grid.beats_per_bar
    return int(downbeats[np.argmax(downbeats >= earliest)])


def _entry_beat(
    vocals: SongFacts, backing: SongFacts, pace: float, sung: Spans, backing_sung: Spans
) -> int:
    """Index of the backing's downbeat on which the voice enters.

    Where the backing's own voice enters, if that lies in its first third, else after an intro of
    one phrase; always late enough for the voice's own pickup, and on a phrase's start unless the
    backing is too short for that.
    """
    grid = backing.grid
    bars = _downbeat_indices(grid)
    first_sung = _sung_downbeat(vocals.grid, sung)
    sung_at = _position(vocals.grid, np.asarray([sung[0][0]]))[0] if sung else first_sung
    start, third, half = _position(grid, np.asarray([0, 1 / 3, 1 / 2]) * backing.duration_s)
    roomy = bars[bars - (first_sung - sung_at) / pace >= start]
    phrases = np.intersect1d(roomy, bars[::PHRASE_BARS])
    choices = (phrases[phrases <= third], phrases[phrases <= half], roomy[:1], bars[:1])
    early = next(choice for choice in choices if len(choice))
    intro = bars[min(PHRASE_BARS, len(bars) - 1)]
    wanted = _sung_downbeat(grid, backing_sung) if backing_sung else intro
    return int(early[np.argmin(np.abs(early - wanted))])


def _target_times(
    vocals: SongFacts, backing: SongFacts, match: _Match, tempo: str
) -> tuple[Array, Array]:
    """Output times of every backing beat and of every voice beat, in seconds."""
    voice_at = match.start + np.arange(len(vocals.grid.beats_s)) / match.pace
    if tempo == "vocals":
        voice = np.asarray(vocals.grid.beats_s)
        backing_at = (np.arange(len(backing.grid.beats_s)) - match.start) * match.pace
        beats = _at(vocals.grid, backing_at)
        # The backing's own beginning stays the beginning of the output.
        shift = _interpolate(np.zeros(1), np.asarray(backing.grid.beats_s), beats)[0]
        return beats - shift, voice - shift
    ratio = vocals.grid.bpm / match.pace / backing.grid.bpm
    faster = 1.0 if tempo == "backing" or abs(ratio - 1) <= UNHEARD else float(np.sqrt(ratio))
    return np.asarray(backing.grid.beats_s) / faster, _at(backing.grid, voice_at) / faster


def _layer(song: SongFacts, target_s: Array) -> LayerPlan:
    """Warp of a whole song, from the output times of its beats."""
    beats = np.asarray(song.grid.beats_s)
    ends = np.asarray([0.0, song.duration_s])
    beyond = (ends < beats[0] - 0.05) | (ends > beats[-1] + 0.05)
    source = np.concatenate([ends[:1][beyond[:1]], beats, ends[1:][beyond[1:]]])
    warp = simplify(source, _interpolate(source, beats, target_s), WARP_TOLERANCE_S)
    stretch = float(np.median(np.diff(beats) / np.diff(target_s)))
    return LayerPlan(warp=warp, stretch=stretch)


def simplify(source_s: Array, target_s: Array, tolerance_s: float) -> WarpMap:
    """Drop anchors that a straight line between the others meets within a tolerance.

    Ramer, Douglas & Peucker's algorithm: a stem is then stretched in few long pieces instead of
    one piece a beat, and a song played to a click in a single one.
    """
    keep = {0, len(source_s) - 1}
    open_parts = [(0, len(source_s) - 1)]
    while open_parts:
        low, high = open_parts.pop()
        part = slice(low, high + 1)
        line = np.interp(source_s[part], source_s[[low, high]], target_s[[low, high]])
        away = np.abs(target_s[part] - line)
        worst = low + int(away.argmax())
        if away[worst - low] > tolerance_s:
            keep.add(worst)
            open_parts += [(low, worst), (worst, high)]
    index = sorted(keep)
    return WarpMap(
        source_s=tuple(source_s[index].tolist()), target_s=tuple(target_s[index].tolist())
    )


def _downbeat_indices(grid: BeatGrid) -> npt.NDArray[np.int64]:
    return np.searchsorted(np.asarray(grid.beats_s), np.asarray(grid.downbeats_s) - 1e-6)


def _at(grid: BeatGrid, position: Array) -> Array:
    """Return the times in seconds of fractional positions on a grid."""
    return _interpolate(position, np.arange(len(grid.beats_s), dtype=float), grid.beats_s)


def _position(grid: BeatGrid, time_s: Array) -> Array:
    """Return the fractional positions on a grid of times in seconds."""
    return _interpolate(time_s, grid.beats_s, np.arange(len(grid.beats_s), dtype=float))


def _interpolate(
    x: Array, known_x: npt.ArrayLike, known_y: npt.ArrayLike, *, edge: int = 8
) -> Array:
    """Linear interpolation that goes on beyond both ends with the slope of the outer `edge` steps.

    Several steps, because one odd beat must not set the pace of all that lies outside.
    """
    xs, ys = np.asarray(known_x, dtype=float), np.asarray(known_y, dtype=float)
    edge = min(len(xs) - 1, edge)
    first = (ys[edge] - ys[0]) / (xs[edge] - xs[0])
    last = (ys[-1] - ys[-1 - edge]) / (xs[-1] - xs[-1 - edge])
    below, above = np.minimum(0.0, x - xs[0]), np.maximum(0.0, x - xs[-1])
    return np.asarray(np.interp(x, xs, ys) + below * first + above * last)
