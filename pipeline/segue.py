"""One song turns into another without a pause: a few bars in which both tempos and sounds meet.

The first song plays at its own tempo up to the transition, the second goes on at its own after it;
in between, every beat is shared and lasts a little less, or a little more, than the one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.arrange import assemble
from pipeline.beats import track_beats
from pipeline.codec import LONGEST_S, decode
from pipeline.delivery import deliver
from pipeline.errors import RecipeError
from pipeline.grids import downbeat_indices, simplify, time_at
from pipeline.layers import layer_of
from pipeline.loudness import integrated_lufs
from pipeline.mix import Premaster, fade_out
from pipeline.names import clock
from pipeline.stages import Conductor, side_by_side
from pipeline.tapes import on_disk
from pipeline.types import SAMPLE_RATE, LayerPlan, Section, SongFacts, Stage, WarpMap
from pipeline.warp import warp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.grids import Array
    from pipeline.layers import Layer, Layers
    from pipeline.tapes import Blank
    from pipeline.types import BeatGrid, Loudness, OnFraction, OnProgress, Role, Song

PHRASE_BARS = 4
_TOLERANCE_S = 0.002  # finer than a merge's: within the transition every beat has its own tempo
_LOUDEST_CHANGE_DB = 12.0

_SHARES: Mapping[Stage, float] = {
    Stage.DECODE: 0.08,
    Stage.BEATS: 0.17,
    Stage.PLAN: 0.01,
    Stage.WARP: 0.2,
    Stage.MIX: 0.44,
    Stage.ENCODE: 0.1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Where one song turns into the other.

    Attributes
    ----------
    first, second
        Warp of each song into the output.
    start_s, end_s
        The transition, in seconds of the output.
    beats_s
        Beats of the transition, both ends included.
    length_s
        Length of the output.
    """

    first: LayerPlan
    second: LayerPlan
    start_s: float
    end_s: float
    beats_s: tuple[float, ...]
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SegueResult:
    """A finished segue.

    Attributes
    ----------
    path
        The audio file.
    turn
        What was decided.
    reasons
        Sentences for the user.
    loudness
        Measured on the file.
    """

    path: Path
    turn: Turn
    reasons: tuple[str, ...]
    loudness: Loudness


def segue(
    first_song: Path,
    second_song: Path,
    out_dir: Path,
    *,
    bars: int = 4,
    format: str = "mp3",  # noqa: A002 - the word that users know; the built-in is not needed here
    on_progress: OnProgress = lambda _: None,
) -> SegueResult:
    """Turn one song into another.

    Parameters
    ----------
    first_song, second_song
        The audio files.
    out_dir
        An existing folder for ``segue.<format>``.
    bars
        How many bars of the first song the transition takes.
    format
        One of `pipeline.codec.FORMATS`.
    on_progress
        Told the stage and the share of the whole that is done.

    Raises
    ------
    UserError
        Something about the songs that the user can mend.
    StageError
        A stage failed.
    """
    conductor = Conductor(on_progress, _SHARES)
    blank = on_disk(out_dir)
    with conductor.stage(Stage.DECODE) as on_fraction:
        first, second = side_by_side(
            on_fraction,
            lambda tell: decode(first_song, longest_s=LONGEST_S, on_fraction=tell, blank=blank),
            lambda tell: decode(second_song, longest_s=LONGEST_S, on_fraction=tell, blank=blank),
        )
    with conductor.stage(Stage.BEATS) as on_fraction:
        grids = side_by_side(
            on_fraction,
            lambda tell: track_beats(first.samples, on_fraction=tell),
            lambda tell: track_beats(second.samples, on_fraction=tell),
        )
    with conductor.stage(Stage.PLAN):
        turn = plan_turn(_facts(first, grids[0]), _facts(second, grids[1]), bars)
    with conductor.stage(Stage.WARP) as on_fraction:
        outgoing, incoming = side_by_side(
            on_fraction,
            lambda tell: warp(first.samples, turn.first, turn.end_s, tell, blank=blank),
            lambda tell: warp(second.samples, turn.second, turn.length_s, tell, blank=blank),
        )
    with conductor.stage(Stage.MIX) as on_fraction:
        gain_db = integrated_lufs(first.samples) - integrated_lufs(second.samples)
        louder = float(10.0 ** (np.clip(gain_db, *_bounds()) / 20.0))
        songs: dict[Role, Layer] = {
            "vocals": layer_of(outgoing),
            "backing": layer_of(incoming) * louder,
        }
        joined = _join(songs, turn, on_fraction, blank)
        draft = Premaster(fade_out(joined, 0.05))
    with conductor.stage(Stage.ENCODE):
        path = out_dir / f"segue.{format}"
        _, loudness = deliver(draft, path, f"{first.title} > {second.title}")
    return SegueResult(
        path=path, turn=turn, reasons=_reasons(first, second, grids, turn), loudness=loudness
    )


def _join(songs: Mapping[Role, Layer], turn: Turn, on_fraction: OnFraction, blank: Blank) -> Layers:
    """Turn the song in the vocals' role into the one in the backing's, with nobody singing."""
    length = round(turn.length_s * SAMPLE_RATE)
    nobody = layer_of(np.broadcast_to(np.float32(0.0), (2, length)))
    sections = (
        Section(start_s=0.0, end_s=turn.end_s, band="vocals"),
        Section(
            start_s=turn.end_s,
            end_s=turn.length_s,
            band="backing",
            morph_s=turn.end_s - turn.start_s,
        ),
    )
    return assemble({"vocals": nobody}, songs, sections, turn.beats_s, on_fraction, blank=blank)


def plan_turn(first: SongFacts, second: SongFacts, bars: int) -> Turn:
    """Decide where the songs meet: on the last phrase of the one and the first bar of the other.

    Parameters
    ----------
    first, second
        What was found out about the songs.
    bars
        How many bars of the first song the transition takes.

    Raises
    ------
    RecipeError
        A song has no beat, or not enough bars.
    """
    count = bars * first.grid.beats_per_bar
    entry = _first_downbeat(second)
    leave = _last_phrase(first, count)
    pace = _pace(first.grid, second.grid)
    steps = np.arange(count + 1)
    if len(second.grid.beats_s) - 1 - entry < count * pace:
        raise _too_short(second, bars)
    ours = time_at(first.grid, (leave + steps).astype(float))
    theirs = time_at(second.grid, entry + steps * pace)
    share = (steps[:-1] + 0.5) / count
    lengths = np.diff(ours) ** (1 - share) * np.diff(theirs) ** share
    beats = ours[0] + np.concatenate([[0.0], np.cumsum(lengths)])
    tail = second.duration_s - theirs[-1]
    return Turn(
        first=_stretch(np.append(0.0, ours), np.append(0.0, beats)),
        second=_stretch(np.append(theirs, second.duration_s), np.append(beats, beats[-1] + tail)),
        start_s=float(beats[0]),
        end_s=float(beats[-1]),
        beats_s=tuple(beats.tolist()),
        length_s=float(beats[-1] + tail),
    )


def _stretch(source_s: Array, target_s: Array) -> LayerPlan:
    rising = np.concatenate([[True], np.diff(source_s) > 1e-6])
    warp_map: WarpMap = simplify(source_s[rising], target_s[rising], _TOLERANCE_S)
    return LayerPlan(warp=warp_map)


def _first_downbeat(song: SongFacts) -> int:
    downbeats = downbeat_indices(song.grid)
    if not len(downbeats):
        raise RecipeError(
            f"No beat was found in {song.title}.", hint="Choose a song with a steady beat."
        )
    return int(downbeats[0])


def _last_phrase(song: SongFacts, count: int) -> int:
    """Index of the last downbeat of a phrase, or of a bar in a short song, with room to turn."""
    first = _first_downbeat(song)
    downbeats = downbeat_indices(song.grid)
    room = downbeats[downbeats + count < len(song.grid.beats_s)]
    if not len(room):
        raise _too_short(song, count // song.grid.beats_per_bar)
    phrases = room[(room - first) % (PHRASE_BARS * song.grid.beats_per_bar) == 0]
    late = phrases[phrases > room[-1] / 2]
    return int((late if len(late) else room)[-1])


def _too_short(song: SongFacts, bars: int) -> RecipeError:
    return RecipeError(
        f"{song.title} has not enough bars for a transition of {bars}.", hint="Choose fewer bars."
    )


def _pace(first: BeatGrid, second: BeatGrid) -> float:
    """Beats of the second song on one of the first: the one of 1/2, 1, 2 that stretches least."""
    return min((1.0, 0.5, 2.0), key=lambda pace: abs(np.log2(second.bpm / first.bpm / pace)))


def _facts(song: Song, grid: BeatGrid) -> SongFacts:
    return SongFacts(title=song.title, duration_s=song.duration_s, grid=grid, key=None)


def _bounds() -> tuple[float, float]:
    return -_LOUDEST_CHANGE_DB, _LOUDEST_CHANGE_DB


def _reasons(first: Song, second: Song, grids: tuple[BeatGrid, ...], turn: Turn) -> tuple[str, ...]:
    when = f"from {clock(turn.start_s)} to {clock(turn.end_s)}"
    return (
        f"{first.title} turns into {second.title} {when}.",
        f"The tempo goes from {grids[0].bpm:.0f} to {grids[1].bpm:.0f} BPM.",
    )
