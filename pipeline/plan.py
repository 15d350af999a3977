"""Two songs' facts and a recipe to a plan. Arithmetic only: no audio, no files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline import reasons
from pipeline.errors import RecipeError
from pipeline.fit import Choices, rank_fits, takes
from pipeline.grids import (
    Array,
    apply_warp,
    downbeat_indices,
    interpolate,
    position_at,
    simplify,
    time_at,
)
from pipeline.meeting import (
    UNHEARD,
    VOICE_BEATS_PER_BACKING_BEAT,
    choose_shift,
    gentlest,
    pace_octaves,
    retuning,
    shift_costs,
)
from pipeline.types import BeatGrid, Fit, LayerPlan, Plan, WarpMap

if TYPE_CHECKING:
    from pipeline.features import BeatFeatures
    from pipeline.recipe import Recipe
    from pipeline.types import SongFacts

WARP_TOLERANCE_S = 0.004
"""Beats this close to a straight line share one stretch ratio; a flam is heard from 20 ms on."""

PHRASE_BARS = 4

_MOST_TAKES = 8
_PHRASE_S = 1.0
_OFF_PHRASE = 0.08  # what a fit must gain to start on a bar that is no phrase's first
_FAR_PER_BAR = 0.006  # ... and for each bar away from where the form wants the voice


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """How the two grids meet: voice beat `i` falls on backing beat ``start + i / pace``."""

    pace: float
    start: float


def make_plan(
    vocals: SongFacts,
    backing: SongFacts,
    recipe: Recipe,
    features: tuple[BeatFeatures, BeatFeatures] | None = None,
) -> Plan:
    """Decide how two songs are brought together.

    Parameters
    ----------
    vocals, backing
        What was found out about the two songs. Where the backing's own voice enters, its
        arrangement expects one.
    recipe
        What the user asked for.
    features
        What the voice of the one and the accompaniment of the other do on each beat. Without
        them the fit follows from tempo, key and form alone.

    Returns
    -------
    Plan
        The backing starts at 0 s; the mash-up ends when either layer runs out.

    Raises
    ------
    RecipeError
        There is no such take or bar, or nothing that is sung would be heard: the nudge moves it
        out of the mash-up, or the backing has not even room for a pickup.
    """
    if len(vocals.grid.beats_s) < 2 or len(backing.grid.beats_s) < 2:
        _refuse_beyond(1, vocals, backing, recipe)
        plan = _plan_without_beats(vocals, backing)
        semitones = choose_shift(vocals.key, backing.key, recipe.key)
    else:
        fits = _find_fits(vocals, backing, recipe, features)
        _refuse_beyond(len(fits), vocals, backing, recipe)
        fit = fits[recipe.take - 1]
        plan = replace(_plan_on_beats(vocals, backing, recipe, fit, fits[0]), takes=fits)
        semitones = fit.semitones
    retuned = retuning(vocals.tuning, backing.tuning, recipe.key)
    return replace(
        plan,
        vocals=replace(plan.vocals, semitones=semitones + retuned),
        reasons=(
            *plan.reasons,
            reasons.shift(vocals, backing, recipe.key, semitones),
            *reasons.retuning(retuned),
            *reasons.take(recipe.take, len(plan.takes)),
        ),
    )


def score_roles(
    vocals: SongFacts,
    backing: SongFacts,
    recipe: Recipe,
    features: tuple[BeatFeatures, BeatFeatures] | None,
) -> float:
    """Return the score of the best fit with these roles; -inf where there are no beats."""
    if features is None:
        return float("-inf")
    return _find_fits(vocals, backing, recipe, features)[0].score


def _refuse_beyond(count: int, vocals: SongFacts, backing: SongFacts, recipe: Recipe) -> None:
    if recipe.take > count:
        raise RecipeError(
            f"There is no take {recipe.take} of {vocals.title} over {backing.title}.",
            hint="There is only one." if count == 1 else f"Choose a take from 1 to {count}.",
        )


def _find_fits(
    vocals: SongFacts,
    backing: SongFacts,
    recipe: Recipe,
    features: tuple[BeatFeatures, BeatFeatures] | None,
) -> tuple[Fit, ...]:
    """Rank the ways to lay the voice over the backing; the recipe may leave few or one.

    Where it names a bar, the best of those that enter there is the first.
    """
    paces = pace_octaves(vocals.grid.bpm, backing.grid.bpm, recipe.pace)
    plainest = gentlest(paces)
    plain = Fit(
        pace=plainest,
        start=_wanted_beat(backing, recipe.entry)
        if recipe.entry
        else _entry_beat(vocals, backing, VOICE_BEATS_PER_BACKING_BEAT[plainest]),
        semitones=choose_shift(vocals.key, backing.key, recipe.key),
    )
    first_sung = _sung_downbeat(vocals)
    if features is None or first_sung >= len(vocals.grid.beats_s):
        return (plain,)
    starts = _entry_costs(backing.grid, plain.start)
    # Stretching twice as far as need be is never worth it, whatever the notes say.
    near = {name: octaves for name, octaves in paces.items() if octaves < paces[plainest] + 0.5}
    shifts = shift_costs(vocals.key, backing.key, recipe.key)
    choices = Choices(paces=near, starts=starts, shifts=shifts)
    ranked = rank_fits(*features, first_sung, choices)
    if recipe.entry:
        first = next((fit for fit in ranked if fit.start == plain.start), plain)
        ranked = (first, *(fit for fit in ranked if fit is not first))
    return takes(ranked, _MOST_TAKES, 2 * backing.grid.beats_per_bar) or (plain,)


def _wanted_beat(backing: SongFacts, bar: int) -> int:
    """Index of the backing's downbeat that begins a bar, counted from 1."""
    bars = downbeat_indices(backing.grid)
    if bar > len(bars):
        raise RecipeError(
            f"{backing.title} has no bar {bar} for the voice to enter on.",
            hint=f"Choose an entry from 1 to {len(bars)}, or 0 for the best.",
        )
    return int(bars[bar - 1])


def _entry_costs(grid: BeatGrid, wanted: int) -> dict[int, float]:
    """Bars on which the voice may enter, and how much the fit must gain for each.

    From the first bar with room for the voice's pickup, which `wanted` has, to the middle of the
    song; a phrase's first bar is better than another, and so is one near to where it is wanted.
    """
    bars = downbeat_indices(grid)
    phrase = set(bars[::PHRASE_BARS].tolist())
    room = min(wanted, 2 * grid.beats_per_bar)
    return {
        int(bar): (0.0 if int(bar) in phrase else _OFF_PHRASE)
        + _FAR_PER_BAR * abs(int(bar) - wanted) / grid.beats_per_bar
        for bar in bars
        if room <= bar <= max(wanted, len(grid.beats_s) // 2)
    }


def _heard(layer: LayerPlan, source_s: float) -> float:
    return float(apply_warp(layer.warp, np.asarray([source_s]))[0])


def _plan_on_beats(
    vocals: SongFacts, backing: SongFacts, recipe: Recipe, fit: Fit, best: Fit
) -> Plan:
    first_sung = _sung_downbeat(vocals)

    def match(start: int) -> _Match:
        pace = VOICE_BEATS_PER_BACKING_BEAT[fit.pace]
        return _Match(pace=pace, start=start - first_sung / pace)

    of_beats, of_voice = _target_times(
        vocals, backing, match(fit.start + recipe.nudge), recipe.tempo
    )
    _, of_best = _target_times(vocals, backing, match(best.start), recipe.tempo)

    backing_layer = _layer(backing, of_beats)
    voice_layer = _shifted(_layer(vocals, of_best), vocals, of_voice) or _layer(vocals, of_voice)
    bpm = backing.grid.bpm * backing_layer.stretch
    outro = 2 * backing.grid.beats_per_bar * 60.0 / bpm
    voice_end = _heard(voice_layer, vocals.sung[-1][1] if vocals.sung else vocals.duration_s)
    backing_end = _heard(backing_layer, backing.duration_s)
    length = min(backing_end, voice_end + outro)
    if voice_end <= 0 or (vocals.sung and _heard(voice_layer, _first_phrase_s(vocals)) >= length):
        raise _nothing_heard(vocals, backing, recipe)
    enters = max(0.0, _heard(voice_layer, time_at(vocals.grid, np.asarray([first_sung]))[0]))
    return Plan(
        vocals=voice_layer,
        backing=backing_layer,
        length_s=length,
        fade_out_s=outro if voice_end + outro < backing_end else 0.05,
        bpm=bpm,
        voice_enters_s=enters,
        reasons=(
            reasons.tempo(vocals, backing, bpm, voice_layer, backing_layer),
            *reasons.pace(fit.pace),
            reasons.entry(enters, recipe.nudge),
        ),
        warnings=(
            *reasons.stretch_warnings(voice_layer, backing_layer),
            *reasons.length_warnings(vocals, backing, voice_end, backing_end),
        ),
    )


def _shifted(layer: LayerPlan, song: SongFacts, target_s: Array) -> LayerPlan | None:
    """Return a layer as a whole at another moment, if its beats fall on other output times so.

    A voice that is only moved sounds the same, and need not be stretched again.
    """
    beats = np.asarray(song.grid.beats_s)
    away = target_s - apply_warp(layer.warp, beats)
    shift = float(away.max() + away.min()) / 2.0
    if np.abs(away - shift).max() > 2.0 * WARP_TOLERANCE_S:
        return None
    moved = tuple(time_s + shift for time_s in layer.warp.target_s)
    return replace(layer, warp=replace(layer.warp, target_s=moved))


def _nothing_heard(vocals: SongFacts, backing: SongFacts, recipe: Recipe) -> RecipeError:
    what = f"nothing that is sung in {vocals.title} would be heard over {backing.title}."
    if recipe.nudge:
        hint = "Choose another nudge, or a longer backing."
        return RecipeError(f"With a nudge of {recipe.nudge} {what}", hint=hint)
    if recipe.entry:
        hint = "Choose an earlier bar, or a longer backing."
        return RecipeError(f"With an entry on bar {recipe.entry} {what}", hint=hint)
    return RecipeError(f"N{what[1:]}", hint="Choose a longer backing.")


def _plan_without_beats(vocals: SongFacts, backing: SongFacts) -> Plan:
    """Lay one song over the other as they are: there is no pulse to align."""
    enters = _first_phrase_s(vocals) if vocals.sung else 0.0
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


def _first_phrase_s(song: SongFacts) -> float:
    """When the first passage begins that is long enough to be a phrase, and no shout or residue."""
    phrases = [start for start, end in song.sung if end - start >= _PHRASE_S]
    return phrases[0] if phrases else song.sung[0][0]


def _sung_downbeat(song: SongFacts) -> int:
    """Index of the downbeat on which the singing starts; a pickup belongs to the next bar.

    It may lie beyond the grid, whose bars are taken to go on.
    """
    grid, downbeats = song.grid, downbeat_indices(song.grid)
    if not song.sung:
        return int(downbeats[0])
    start = position_at(grid, np.asarray([_first_phrase_s(song)]))[0]
    # Up to two and a half beats before a downbeat are heard as leading into it.
    pickup = 0.625 * grid.beats_per_bar
    earliest = start - grid.beats_per_bar + pickup
    beyond = int(np.ceil((earliest - downbeats[-1]) / grid.beats_per_bar))
    if beyond > 0:
        return int(downbeats[-1]) + beyond * grid.beats_per_bar
    return int(downbeats[np.argmax(downbeats >= earliest)])


def _entry_beat(vocals: SongFacts, backing: SongFacts, pace: float) -> int:
    """Index of the backing's downbeat on which the voice enters.

    Where the backing's own voice enters, if that lies in its first third, else after an intro of
    one phrase; always late enough for the voice's own pickup, and on a phrase's start unless the
    backing is too short for that.
    """
    grid = backing.grid
    bars = downbeat_indices(grid)
    first_sung = _sung_downbeat(vocals)
    sung_at = (
        position_at(vocals.grid, np.asarray([_first_phrase_s(vocals)]))[0]
        if vocals.sung
        else first_sung
    )
    start, third, half = position_at(grid, np.asarray([0, 1 / 3, 1 / 2]) * backing.duration_s)
    roomy = bars[bars - (first_sung - sung_at) / pace >= start]
    phrases = np.intersect1d(roomy, bars[::PHRASE_BARS])
    choices = (phrases[phrases <= third], phrases[phrases <= half], roomy[:1], bars[:1])
    early = next(choice for choice in choices if len(choice))
    intro = bars[min(PHRASE_BARS, len(bars) - 1)]
    wanted = _sung_downbeat(backing) if backing.sung else intro
    return int(early[np.argmin(np.abs(early - wanted))])


def _target_times(
    vocals: SongFacts, backing: SongFacts, match: _Match, tempo: str
) -> tuple[Array, Array]:
    """Output times of every backing beat and of every voice beat, in seconds."""
    voice_at = match.start + np.arange(len(vocals.grid.beats_s)) / match.pace
    if tempo == "vocals":
        voice = np.asarray(vocals.grid.beats_s)
        backing_at = (np.arange(len(backing.grid.beats_s)) - match.start) * match.pace
        beats = time_at(vocals.grid, backing_at)
        # The backing's own beginning stays the beginning of the output.
        shift = interpolate(np.zeros(1), np.asarray(backing.grid.beats_s), beats)[0]
        return beats - shift, voice - shift
    ratio = vocals.grid.bpm / match.pace / backing.grid.bpm
    faster = 1.0 if tempo == "backing" or abs(ratio - 1) <= UNHEARD else float(np.sqrt(ratio))
    return np.asarray(backing.grid.beats_s) / faster, time_at(backing.grid, voice_at) / faster


def _layer(song: SongFacts, target_s: Array) -> LayerPlan:
    """Warp of a whole song, from the output times of its beats."""
    beats = np.asarray(song.grid.beats_s)
    ends = np.asarray([0.0, song.duration_s])
    beyond = (ends < beats[0] - 0.05) | (ends > beats[-1] + 0.05)
    source = np.concatenate([ends[:1][beyond[:1]], beats, ends[1:][beyond[1:]]])
    warp = simplify(source, interpolate(source, beats, target_s), WARP_TOLERANCE_S)
    stretch = float(np.median(np.diff(beats) / np.diff(target_s)))
    return LayerPlan(warp=warp, stretch=stretch)
