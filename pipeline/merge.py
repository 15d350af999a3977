"""The conductor: two songs in, one mash-up out. Stages know nothing of each other.

decode -> separate -> track beats on the full mixes -> find keys -> plan -> warp -> level -> mix
-> encode, and then measure the file as it is delivered.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np

from pipeline.beats import track_beats
from pipeline.codec import LONGEST_S, decode, encode
from pipeline.errors import Cancelled, NoBackingError, NoVoiceError, PipelineError, StageError
from pipeline.key import find_key
from pipeline.loudness import (
    CEILING_DBTP,
    find_sung,
    integrated_lufs,
    true_peak_dbtp,
    vocals_to_backing_lu,
)
from pipeline.mix import Layers, fade, level, master
from pipeline.names import clean_name
from pipeline.plan import make_plan, warp_grid
from pipeline.types import Loudness, MergeResult, Progress, SongFacts, Stage
from pipeline.warp import warp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pipeline.recipe import Recipe
    from pipeline.separate import Separator
    from pipeline.types import BeatGrid, Key, OnFraction, OnProgress, Signal, Song, Stems

_SHARES: Mapping[Stage, float] = {
    Stage.DECODE: 0.05,
    Stage.SEPARATE: 0.44,
    Stage.BEATS: 0.08,
    Stage.KEYS: 0.05,
    Stage.PLAN: 0.01,
    Stage.WARP: 0.15,
    Stage.LEVEL: 0.02,
    Stage.MIX: 0.10,
    Stage.ENCODE: 0.10,
}
"""Share of the whole that each stage takes, roughly; only the progress bar depends on it."""

ARTIST = "vocal"
"""Tag that every mash-up carries."""

_LOSSLESS = ("wav", "flac")
_LOSSY_CEILING_DBTP = CEILING_DBTP - 0.5  # encoders raise true peaks by about as much
_RESIDUE_DB = 25.0  # a stem this far below its song holds nothing that was played or sung


class Conductor:
    """Keeps the time of each stage, tells the listener, and gives failures one form.

    Parameters
    ----------
    on_progress
        Told the stage and the share of the whole that is done, which never falls.
    shares
        Share of the whole that each stage takes, roughly; they sum to 1.

    Attributes
    ----------
    seconds
        Time that each finished stage took, in seconds.
    """

    def __init__(self, on_progress: OnProgress, shares: Mapping[Stage, float]) -> None:
        self.seconds: dict[str, float] = {}
        self._on_progress = on_progress
        self._shares = shares
        self._done = 0.0
        self._told = 0.0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[OnFraction]:
        """Run one stage; yields what it tells its own progress to.

        Raises
        ------
        StageError
            The stage failed in a way that the user cannot mend.
        """
        share = self._shares[stage]

        def on_fraction(fraction: float) -> None:
            done = self._done + share * min(1.0, max(0.0, fraction))
            self._told = max(self._told, min(1.0, round(done, 6)))
            self._on_progress(Progress(stage=stage, fraction=self._told))

        began = time.perf_counter()
        try:
            on_fraction(0.0)
            yield on_fraction
            on_fraction(1.0)
        except (PipelineError, Cancelled):
            raise
        except Exception as error:  # the one place where a stage's failure is wrapped
            raise StageError(stage.value, f"{type(error).__name__}: {error}") from error
        self._done += share
        self.seconds[stage.name.lower()] = time.perf_counter() - began


def merge(
    vocal_song: Path,
    backing_song: Path,
    recipe: Recipe,
    out_dir: Path,
    *,
    separator: Separator,
    vocals_name: str | None = None,
    backing_name: str | None = None,
    format: str = "mp3",  # noqa: A002 - the word that users know; the built-in is not needed here
    max_bytes: int | None = None,
    longest_s: float = LONGEST_S,
    stems: bool = False,
    on_progress: OnProgress = lambda _: None,
) -> MergeResult:
    """Sing one song over another.

    Parameters
    ----------
    vocal_song, backing_song
        The audio files that give the voice and the accompaniment.
    recipe
        Every option.
    out_dir
        An existing folder for ``mashup.<format>`` and, with `stems`, ``vocals.wav`` and
        ``backing.wav``.
    separator
        Takes the songs apart; kept by the caller from merge to merge.
    vocals_name, backing_name
        What the user calls the files, for messages and titles.
    format
        One of `pipeline.codec.FORMATS`.
    max_bytes
        Most bytes that the mash-up may have.
    longest_s
        Seconds that a song may last.
    stems
        Write the two aligned layers too.
    on_progress
        Told the stage and the share of the whole that is done.

    Returns
    -------
    MergeResult
        With the levels as measured on the finished file.

    Raises
    ------
    UserError
        Something about the songs or the place for the result that the user can mend.
    StageError
        A stage failed.
    Cancelled
        `on_progress` called it off.
    """
    names = (vocals_name or vocal_song.name, backing_name or backing_song.name)
    conductor = Conductor(on_progress, _SHARES)
    with conductor.stage(Stage.DECODE) as on_fraction:
        first, second = _halves(on_fraction)
        voice_song = decode(vocal_song, name=names[0], longest_s=longest_s, on_fraction=first)
        beat_song = decode(backing_song, name=names[1], longest_s=longest_s, on_fraction=second)
    with conductor.stage(Stage.SEPARATE) as on_fraction:
        voice_stems, beat_stems = _separate(voice_song, beat_song, separator, on_fraction)
        _demand_layers(voice_stems.vocals, beat_stems.accompaniment, (voice_song, beat_song), names)
        sung = find_sung(voice_stems.vocals)
        backing_sung = (
            () if _is_residue(beat_stems.vocals, beat_song) else find_sung(beat_stems.vocals)
        )
    with conductor.stage(Stage.BEATS) as on_fraction:
        voice_grid = track_beats(voice_song.samples)
        on_fraction(0.5)
        beat_grid = track_beats(beat_song.samples)
    with conductor.stage(Stage.KEYS) as on_fraction:
        voice_facts = _facts(voice_song, voice_grid, find_key(voice_song.samples))
        on_fraction(0.5)
        beat_facts = _facts(beat_song, beat_grid, find_key(beat_song.samples))
    with conductor.stage(Stage.PLAN):
        plan = make_plan(voice_facts, beat_facts, recipe, sung=sung, backing_sung=backing_sung)
        title = f"{voice_song.title} x {beat_song.title}"
    with conductor.stage(Stage.WARP) as on_fraction:
        first, second = _halves(on_fraction)
        voice = warp(voice_stems.vocals, plan.vocals, plan.length_s, first, keep_formants=True)
        beat = warp(beat_stems.accompaniment, plan.backing, plan.length_s, second)
        del voice_song, beat_song, voice_stems, beat_stems  # half of all memory in use
    with conductor.stage(Stage.LEVEL):
        layers = level(fade(Layers(vocals=voice, backing=beat), plan), recipe.balance)
    with conductor.stage(Stage.MIX):
        ceiling = CEILING_DBTP if format in _LOSSLESS else _LOSSY_CEILING_DBTP
        layers = master(layers, ceiling)
    with ExitStack() as undo:
        with conductor.stage(Stage.ENCODE) as on_fraction:
            path = out_dir / f"mashup.{format}"
            undo.callback(path.unlink, missing_ok=True)
            layers, loudness = _deliver(layers, path, title, ceiling, max_bytes)
            on_fraction(0.8)
            written = _write_stems(layers, out_dir, title, undo) if stems else {}
        undo.pop_all()
    return MergeResult(
        path=path,
        vocals=voice_facts,
        backing=beat_facts,
        plan=plan,
        grids={
            "vocals": warp_grid(voice_grid, plan.vocals, plan.length_s),
            "backing": warp_grid(beat_grid, plan.backing, plan.length_s),
        },
        loudness=loudness,
        separator=separator.name,
        seconds_by_stage=conductor.seconds,
        notes=(*((separator.note,) if separator.note else ()), *plan.warnings),
        stems=written,
    )


def _halves(on_fraction: OnFraction) -> tuple[OnFraction, OnFraction]:
    """Split a stage's progress between two songs."""
    return (lambda f: on_fraction(f / 2)), (lambda f: on_fraction(0.5 + f / 2))


def _separate(
    voice_song: Song, beat_song: Song, separator: Separator, on_fraction: OnFraction
) -> tuple[Stems, Stems]:
    first, second = _halves(on_fraction)
    voice_stems = separator.separate(voice_song, first)
    if np.array_equal(voice_song.samples, beat_song.samples):  # a song over itself
        return voice_stems, voice_stems
    return voice_stems, separator.separate(beat_song, second)


def _is_residue(stem: Signal, song: Song) -> bool:
    return bool(np.std(stem) < 10.0 ** (-_RESIDUE_DB / 20.0) * np.std(song.samples))


def _demand_layers(
    voice: Signal, backing: Signal, songs: tuple[Song, Song], names: tuple[str, str]
) -> None:
    """Refuse a song that has nothing to give; levelling would blow its residue up."""
    if _is_residue(voice, songs[0]):
        raise NoVoiceError(
            f"No voice was found in {clean_name(names[0])}.",
            hint="Send a song in which somebody sings or raps.",
        )
    if _is_residue(backing, songs[1]):
        raise NoBackingError(
            f"Nothing but a voice was found in {clean_name(names[1])}.",
            hint="Send a song with instruments.",
        )


def _facts(song: Song, grid: BeatGrid, key: Key | None) -> SongFacts:
    return SongFacts(title=song.title, duration_s=song.duration_s, grid=grid, key=key)


def _deliver(
    layers: Layers, path: Path, title: str, ceiling_dbtp: float, max_bytes: int | None
) -> tuple[Layers, Loudness]:
    """Write the mix and measure what was written.

    Encoders raise peaks, the more the fewer bits they have; then the ceiling comes down by as
    much, and not the whole mix, which would end up too quiet.
    """
    while True:
        encode(layers.mix, path, title=title, artist=ARTIST, max_bytes=max_bytes)
        heard = decode(path, shortest_s=0.0, longest_s=float("inf")).samples
        peak = true_peak_dbtp(heard)
        if peak <= CEILING_DBTP:
            break
        ceiling_dbtp -= peak - CEILING_DBTP + 0.05
        layers = master(layers, ceiling_dbtp)
    return layers, Loudness(
        integrated_lufs=integrated_lufs(heard),
        true_peak_dbtp=peak,
        vocals_to_backing_lu=vocals_to_backing_lu(layers.vocals, layers.backing),
    )


def _write_stems(layers: Layers, out_dir: Path, title: str, undo: ExitStack) -> dict[str, Path]:
    written: dict[str, Path] = {}
    for name, samples in (("vocals", layers.vocals), ("backing", layers.backing)):
        path = out_dir / f"{name}.wav"
        undo.callback(path.unlink, missing_ok=True)
        written[name] = encode(samples, path, title=f"{title} ({name})", artist=ARTIST)
    return written
