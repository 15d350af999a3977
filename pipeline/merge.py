"""The conductor: two songs in, one mash-up out. Stages know nothing of each other.

decode -> separate -> track beats on the full mixes -> find keys -> plan -> clean -> warp -> level
-> mix -> encode, and then measure the file as it is delivered.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.arrange import assemble
from pipeline.beats import track_beats
from pipeline.codec import LONGEST_S, decode, encode
from pipeline.delivery import ARTIST, ceiling_for, deliver
from pipeline.denoise import denoise
from pipeline.dynamics import duck, level_frames
from pipeline.errors import NoBackingError, NoVoiceError
from pipeline.features import beat_features
from pipeline.form import arrange
from pipeline.grids import warp_grid
from pipeline.key import find_key, find_tuning
from pipeline.mix import Layers, enter, even, fade_out, level, master
from pipeline.names import clean_name
from pipeline.plan import make_plan, score_roles
from pipeline.singing import find_sung
from pipeline.stages import Conductor, halves, shares
from pipeline.types import MergeResult, SongFacts, Stage
from pipeline.warp import warp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.features import BeatFeatures
    from pipeline.recipe import Recipe
    from pipeline.separate import Separator
    from pipeline.types import BeatGrid, OnFraction, OnProgress, Plan, Role, Signal, Song, Stems

_SHARES: Mapping[Stage, float] = {
    Stage.DECODE: 0.05,
    Stage.SEPARATE: 0.42,
    Stage.BEATS: 0.08,
    Stage.KEYS: 0.05,
    Stage.PLAN: 0.02,
    Stage.CLEAN: 0.04,
    Stage.WARP: 0.13,
    Stage.LEVEL: 0.02,
    Stage.MIX: 0.09,
    Stage.ENCODE: 0.08,
    Stage.DRAW: 0.02,
}
"""Share of the whole that each stage takes, roughly; only the progress bar depends on it."""

_SHARES_UNDRAWN: Mapping[Stage, float] = {
    stage: share / (1.0 - _SHARES[Stage.DRAW])
    for stage, share in _SHARES.items()
    if stage is not Stage.DRAW
}

_RESIDUE_DB = 25.0  # a stem this far below its song holds nothing that was played or sung


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
    picture: bool = False,
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
        An existing folder for ``mashup.<format>`` and, where asked for, ``vocals.wav``,
        ``backing.wav`` and ``card.png``.
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
    stems, picture
        Write the two aligned layers too, and a card to look at.
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
    conductor = Conductor(on_progress, _SHARES if picture else _SHARES_UNDRAWN)
    with conductor.stage(Stage.DECODE) as on_fraction:
        first, second = halves(on_fraction)
        song_a = decode(vocal_song, name=names[0], longest_s=longest_s, on_fraction=first)
        song_b = decode(backing_song, name=names[1], longest_s=longest_s, on_fraction=second)
    with conductor.stage(Stage.SEPARATE) as on_fraction:
        stems_a, stems_b = _separate(song_a, song_b, separator, on_fraction)
    with conductor.stage(Stage.BEATS) as on_fraction:
        grid_a = track_beats(song_a.samples, recipe.beats)
        on_fraction(0.5)
        grid_b = track_beats(song_b.samples, recipe.beats)
    with conductor.stage(Stage.KEYS) as on_fraction:
        source_a = _listen(song_a, stems_a, grid_a, names[0])
        on_fraction(0.5)
        source_b = _listen(song_b, stems_b, grid_b, names[1])
        del song_a, song_b, stems_a, stems_b
    with conductor.stage(Stage.PLAN):
        cast, notes = _cast(source_a, source_b, recipe)
        plan = _decide(cast, recipe)
        vocal_facts, backing_facts = cast["vocals"].facts, cast["backing"].facts
        title = f"{vocal_facts.title} x {backing_facts.title}"
    voices, bands = _prepare(cast, plan, recipe, conductor)
    del source_a, source_b, cast  # with them go the stems, half of all memory in use
    with conductor.stage(Stage.LEVEL):
        voices, bands = _level(voices, bands, plan, recipe)
    with conductor.stage(Stage.MIX) as on_fraction:
        beats = warp_grid(backing_facts.grid, plan.backing, plan.length_s)
        layers = assemble(voices, bands, plan.sections, beats.beats_s, on_fraction)
        layers = _balance(fade_out(layers, plan.fade_out_s), recipe)
        layers = master(layers, ceiling_for(format))
    with ExitStack() as undo:
        with conductor.stage(Stage.ENCODE) as on_fraction:
            path = out_dir / f"mashup.{format}"
            undo.callback(path.unlink, missing_ok=True)
            layers, loudness = deliver(layers, path, title, max_bytes)
            on_fraction(0.8)
            written = _write_stems(layers, out_dir, title, undo) if stems else {}
        result = MergeResult(
            path=path,
            vocals=vocal_facts,
            backing=backing_facts,
            plan=plan,
            grids={
                "vocals": warp_grid(vocal_facts.grid, plan.vocals, plan.length_s),
                "backing": beats,
            },
            loudness=loudness,
            separator=separator.name,
            seconds_by_stage=conductor.seconds,
            notes=(*((separator.note,) if separator.note else ()), *notes, *plan.warnings),
            stems=written,
        )
        if picture:
            with conductor.stage(Stage.DRAW):
                result = replace(result, picture=_draw(result, layers, out_dir, undo))
        undo.pop_all()
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Source:
    """One of the two songs, as far as it is known."""

    name: str
    stems: Stems
    facts: SongFacts
    has_band: bool


_Cast: TypeAlias = "dict[Role, _Source]"
_Layer: TypeAlias = "dict[Role, Signal]"


def _separate(
    song_a: Song, song_b: Song, separator: Separator, on_fraction: OnFraction
) -> tuple[Stems, Stems]:
    first, second = halves(on_fraction)
    stems = separator.separate(song_a, first)
    if np.array_equal(song_a.samples, song_b.samples):  # a song over itself
        return stems, stems
    return stems, separator.separate(song_b, second)


def _listen(song: Song, stems: Stems, grid: BeatGrid, name: str) -> _Source:
    """Find out about one song what the plan has to know."""
    facts = SongFacts(
        title=song.title,
        duration_s=song.duration_s,
        grid=grid,
        key=find_key(song.samples),
        tuning=find_tuning(song.samples),
        sung=()
        if _is_residue(stems.vocals, song)
        else find_sung(stems.vocals, stems.accompaniment),
    )
    return _Source(
        name=name, stems=stems, facts=facts, has_band=not _is_residue(stems.accompaniment, song)
    )


def _is_residue(stem: Signal, song: Song) -> bool:
    return bool(np.std(stem) < 10.0 ** (-_RESIDUE_DB / 20.0) * np.std(song.samples))


def _cast(source_a: _Source, source_b: _Source, recipe: Recipe) -> tuple[_Cast, tuple[str, ...]]:
    """Give each song its role, and say so if the roles are not as given.

    Raises
    ------
    NoVoiceError, NoBackingError
        A song has nothing to give in its role; levelling would blow its residue up.
    """
    given: _Cast = {"vocals": source_a, "backing": source_b}
    other: _Cast = {"vocals": source_b, "backing": source_a}
    if recipe.roles == "auto" and _is_playable(other):
        swapped = f"The roles are swapped: {source_b.facts.title} sings"
        if not _is_playable(given):
            return other, (f"{swapped}, because it does not work the other way round.",)
        merits = [score_roles(*_on_paper(cast, recipe)) for cast in (given, other)]
        if merits[1] > merits[0]:
            return other, (f"{swapped}, because that fits better.",)
    if not given["vocals"].facts.sung:
        raise NoVoiceError(
            f"No voice was found in {clean_name(source_a.name)}.",
            hint="Send a song in which somebody sings or raps.",
        )
    if not given["backing"].has_band:
        raise NoBackingError(
            f"Nothing but a voice was found in {clean_name(source_b.name)}.",
            hint="Send a song with instruments.",
        )
    return given, ()


def _is_playable(cast: _Cast) -> bool:
    return bool(cast["vocals"].facts.sung) and cast["backing"].has_band


def _on_paper(
    cast: _Cast, recipe: Recipe
) -> tuple[SongFacts, SongFacts, Recipe, tuple[BeatFeatures, BeatFeatures] | None]:
    """All that the plan is made from; no features where a song has no beats to measure them on."""
    voice, band = cast["vocals"], cast["backing"]
    if min(len(voice.facts.grid.beats_s), len(band.facts.grid.beats_s)) < 2:
        return voice.facts, band.facts, recipe, None
    features = (
        beat_features(voice.stems.vocals, voice.facts.grid),
        beat_features(band.stems.accompaniment, band.facts.grid),
    )
    return voice.facts, band.facts, recipe, features


def _decide(cast: _Cast, recipe: Recipe) -> Plan:
    plan = make_plan(*_on_paper(cast, recipe))
    return arrange(plan, recipe.arrange, cast["vocals"].facts, cast["backing"].facts)


def _prepare(
    cast: _Cast, plan: Plan, recipe: Recipe, conductor: Conductor
) -> tuple[_Layer, _Layer]:
    """Clean and warp the stems that are heard in any section."""
    heard_voices = {section.voice for section in plan.sections}
    heard_bands = {section.band for section in plan.sections}
    with conductor.stage(Stage.CLEAN):
        voices = {
            role: denoise(
                source.stems.vocals,
                source.stems.accompaniment,
                recipe.denoise,
                "threshold" if recipe.denoise_method == "threshold" else "mask",
            )
            for role, source in cast.items()
            if role in heard_voices
        }
    stretches = {"vocals": plan.vocals, "backing": plan.backing}
    with conductor.stage(Stage.WARP) as on_fraction:
        parts = iter(shares(on_fraction, len(heard_voices) + len(heard_bands)))
        warped_voices = {
            role: warp(voice, stretches[role], plan.length_s, next(parts), keep_formants=True)
            for role, voice in voices.items()
        }
        warped_bands = {
            role: warp(source.stems.accompaniment, stretches[role], plan.length_s, next(parts))
            for role, source in cast.items()
            if role in heard_bands
        }
    if "vocals" in warped_voices:
        warped_voices["vocals"] = enter(warped_voices["vocals"], plan)
    return warped_voices, warped_bands


def _level(voices: _Layer, bands: _Layer, plan: Plan, recipe: Recipe) -> tuple[_Layer, _Layer]:
    """Set each voice against the band that it is heard over first."""
    bands = even(bands)
    levelled: _Layer = {}
    for role, voice in voices.items():
        band = bands[next(section.band for section in plan.sections if section.voice == role)]
        if recipe.level == "frame":
            levelled[role] = level_frames(voice, band, recipe.balance)
        else:
            levelled[role] = level(voice, band, recipe.balance)
    return levelled, bands


def _balance(layers: Layers, recipe: Recipe) -> Layers:
    """Duck the backing, and set the balance of what is left after cuts and fades."""
    backing = layers.backing
    if recipe.duck:
        backing = duck(backing, layers.vocals, recipe.duck)
    return Layers(vocals=level(layers.vocals, backing, recipe.balance), backing=backing)


def _write_stems(layers: Layers, out_dir: Path, title: str, undo: ExitStack) -> dict[str, Path]:
    written: dict[str, Path] = {}
    for name, samples in (("vocals", layers.vocals), ("backing", layers.backing)):
        path = out_dir / f"{name}.wav"
        undo.callback(path.unlink, missing_ok=True)
        written[name] = encode(samples, path, title=f"{title} ({name})", artist=ARTIST)
    return written


def _draw(result: MergeResult, layers: Layers, out_dir: Path, undo: ExitStack) -> Path:
    from pipeline.picture import draw_card  # noqa: PLC0415 - matplotlib, for those who want it

    path = out_dir / "card.png"
    undo.callback(path.unlink, missing_ok=True)
    return draw_card(result, layers, path)
