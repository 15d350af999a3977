"""The conductor: two songs in, one mash-up out. Stages know nothing of each other.

decode -> separate -> track beats on the full mixes -> find keys -> plan -> clean and warp -> level
-> mix -> encode, and then measure the file as it is delivered. Up to the plan the two songs are
worked on side by side, then voices and bands are. What was worked out before comes out of the
cache: the stems of a song, stretched stems, what was decided, or the very mash-up.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pipeline.cache import Cache
from pipeline.casting import cast_songs, plan_mashup
from pipeline.codec import LONGEST_S
from pipeline.denoise import denoise
from pipeline.finishing import Wanted, add_stems, finish
from pipeline.keepsakes import (
    Aligned,
    Alignment,
    Order,
    keep_alignment,
    keep_result,
    recall_aligned,
    recall_result,
)
from pipeline.sources import Desk, SongFile
from pipeline.stages import Conductor, shares, side_by_side
from pipeline.tapes import on_disk
from pipeline.types import KnownSong, MergeResult, Stage
from pipeline.warp import render_in_order, warp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeline.aside import Aside
    from pipeline.casting import Cast, Source
    from pipeline.layers import Layer
    from pipeline.parts import Part, Slot
    from pipeline.recipe import Recipe
    from pipeline.separate import Separator
    from pipeline.sources import Recording
    from pipeline.tapes import Blank
    from pipeline.types import LayerPlan, OnFraction, OnProgress, Role, Signal

_SHARES: Mapping[Stage, float] = {
    Stage.DECODE: 0.05,
    Stage.SEPARATE: 0.35,
    Stage.BEATS: 0.10,
    Stage.KEYS: 0.07,
    Stage.PLAN: 0.02,
    Stage.WARP: 0.22,
    Stage.LEVEL: 0.01,
    Stage.MIX: 0.06,
    Stage.ENCODE: 0.10,
    Stage.DRAW: 0.02,
}
"""Share of the whole that each stage takes, roughly; only the progress bar depends on it."""

_SHARES_UNDRAWN: Mapping[Stage, float] = {
    stage: share / (1.0 - _SHARES[Stage.DRAW])
    for stage, share in _SHARES.items()
    if stage is not Stage.DRAW
}


def merge(
    vocal_song: Path | KnownSong,
    backing_song: Path | KnownSong,
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
    stems_format: str = "wav",
    picture: bool = False,
    cache: Cache | None = None,
    aside: Aside | None = None,
    on_progress: OnProgress = lambda _: None,
    on_length: Callable[[float], None] = lambda _: None,
) -> MergeResult:
    """Sing one song over another.

    Parameters
    ----------
    vocal_song, backing_song
        The audio files that give the voice and the accompaniment, or `MergeResult.songs` of an
        earlier merge, of which everything must come from the cache.
    recipe
        Every option.
    out_dir
        An existing folder for ``mashup.<format>`` and, where asked for, ``card.png``,
        ``vocals.<stems_format>`` and ``backing.<stems_format>``. While the merge runs, its signals
        lie on the same disk: about 3 MB for every second of the longer one.
    separator
        Takes the songs apart; kept by the caller from merge to merge.
    vocals_name, backing_name
        What the user calls the files, for messages and titles; a song of an earlier merge keeps
        its title.
    format
        One of `pipeline.codec.FORMATS`.
    max_bytes
        Most bytes that the mash-up may have, and each of the layers in a lossy format.
    longest_s
        Seconds that a song may last.
    stems, picture
        Write the two aligned layers too, and a card to look at.
    stems_format
        One of `pipeline.codec.FORMATS`, for the layers.
    cache
        Where to keep what was worked out, and to look for it; None keeps nothing.
    aside
        A second process to warp the bands in while this one warps the voices; None does one after
        the other here.
    on_progress
        Told the stage and the share of the whole that is done, by any thread, one at a time.
    on_length
        Told how long the songs are together, in seconds, as soon as they were read; not at all
        where they need not be.

    Returns
    -------
    MergeResult
        With the levels as measured on the finished file.

    Raises
    ------
    NotKeptError
        A song was given without a file, and the cache has too little of it.
    UserError
        Something about the songs or the place for the result that the user can mend.
    StageError
        A stage failed.
    Cancelled
        `on_progress` called it off.
    """
    conductor = Conductor(on_progress, _SHARES if picture else _SHARES_UNDRAWN)
    desk = Desk(
        separator=separator,
        cache=cache or Cache(None, 0),
        blank=on_disk(out_dir),
        aside=aside,
        recipe=recipe,
        longest_s=longest_s,
    )
    wanted = Wanted(
        path=out_dir / f"mashup.{format}",
        max_bytes=max_bytes,
        stems_format=stems_format if stems else None,
        picture=picture,
    )
    with conductor.stage(Stage.DECODE) as on_fraction:
        files = SongFile.of(vocal_song, vocals_name), SongFile.of(backing_song, backing_name)
        order = Order(
            vocals=files[0],
            backing=files[1],
            engine=separator.identity,
            recipe=recipe,
            longest_s=longest_s,
            form=(format, max_bytes, picture),
        )
        finished = recall_result(desk.cache, order, out_dir)
        complete = finished is not None and not stems
        aligned = None if complete else recall_aligned(desk.cache, order)
        recordings = () if complete or aligned else _read(files, desk, on_fraction)
        if recordings:
            on_length(sum(recording.length_s for recording in recordings))
    if finished is not None and not stems:
        result, _ = finished
    else:
        if aligned is None:
            sources = _take_in(recordings, files, desk, conductor)
            del recordings  # with it goes the room that the songs take up on disk
            aligned = _align(sources, order, desk, conductor)
            del sources  # and that of their stems
        if finished is None:
            result, gain = finish(aligned, wanted, desk, conductor)
            keep_result(desk.cache, order, result, gain)
        else:
            result = add_stems(finished, aligned, wanted, desk, conductor)
    return replace(
        result,
        separator=separator.name,
        seconds_by_stage=conductor.seconds,
        notes=(separator.note, *result.notes) if separator.note else result.notes,
        songs=tuple(file.known for file in files),
    )


def _read(
    files: tuple[SongFile, SongFile], desk: Desk, on_fraction: OnFraction
) -> tuple[Recording, ...]:
    """Read both songs side by side; a song over itself once."""
    songs = files if files[0].audio != files[1].audio else files[:1]
    return side_by_side(on_fraction, *(partial(desk.read, song) for song in songs))


def _take_in(
    recordings: tuple[Recording, ...],
    files: tuple[SongFile, SongFile],
    desk: Desk,
    conductor: Conductor,
) -> tuple[Source, Source]:
    """Take the songs as far as the plan needs them, side by side."""
    roles: list[tuple[Role, ...]] = [("vocals",), ("backing",)]
    if desk.recipe.roles == "auto" or len(recordings) == 1:
        roles = [("vocals", "backing")] * len(recordings)
    with conductor.stage(Stage.SEPARATE) as on_fraction:
        stems = side_by_side(on_fraction, *(partial(desk.separate, song) for song in recordings))
    with conductor.stage(Stage.BEATS) as on_fraction:
        known = side_by_side(on_fraction, *(partial(desk.find_beats, song) for song in recordings))
    with conductor.stage(Stage.KEYS) as on_fraction:
        parts = zip(recordings, stems, known, roles, strict=True)
        sources = side_by_side(
            on_fraction, *(partial(desk.listen, song.file, *rest) for song, *rest in parts)
        )
    if len(sources) == 1:  # the same song under another name
        return sources[0], sources[0].called(files[1].name, files[1].title)
    return sources[0], sources[1]


def _align(
    sources: tuple[Source, Source],
    order: Order,
    desk: Desk,
    conductor: Conductor,
) -> Aligned:
    """Decide who sings what when, and bring the layers together."""
    with conductor.stage(Stage.PLAN):
        cast, notes = cast_songs(*sources, desk.recipe)
        plan = plan_mashup(cast, desk.recipe)
        alignment = Alignment(
            vocals=cast["vocals"].facts,
            backing=cast["backing"].facts,
            swapped=cast["vocals"] is not sources[0],
            plan=plan,
            notes=(*notes, *plan.warnings),
        )
    with conductor.stage(Stage.WARP) as on_fraction:
        layers = _bring_together(cast, alignment.parts(order), desk, on_fraction)
        keep_alignment(desk.cache, order, alignment)
    return Aligned.of(alignment, layers)


def _bring_together(
    cast: Cast, parts: Mapping[Slot, Part], desk: Desk, on_fraction: OnFraction
) -> dict[Slot, Layer]:
    """Find the stems that are heard as they are heard, or clean and stretch them.

    Voices are stretched here and bands aside. A voice has more done to it, so the other process
    helps with it when it has finished its own, and with a band when there is nothing else to do.
    """
    layers = {slot: layer for slot, part in parts.items() if (layer := part.recall(desk.cache))}
    voices = [slot for slot in parts if slot not in layers and slot[0] == "voice"]
    bands = [slot for slot in parts if slot not in layers and slot[0] == "band"]
    aside = desk.aside
    render = aside.share(desk.blank) if aside else render_in_order
    stretch_band: Callable[..., Signal] = partial(warp, render=render)
    if aside and voices:
        stretch_band = aside.warp

    def make_voice(slot: Slot, tell: OnFraction) -> Layer:
        stems, part = cast[slot[1]].stems, parts[slot]
        cleaning, warping = shares(tell, 2)
        amount, method = part.cleaning or (0.0, "mask")
        clean = denoise(
            stems.vocals,
            stems.accompaniment,
            amount,
            "threshold" if method == "threshold" else "mask",
            cleaning,
            blank=desk.blank,
        )

        def stretch(layer: LayerPlan, length_s: float, blank: Blank) -> Signal:
            return warp(
                clean, layer, length_s, warping, keep_formants=True, blank=blank, render=render
            )

        return part.make(desk.cache, desk.blank, stretch)

    def make_band(slot: Slot, tell: OnFraction) -> Layer:
        stem = cast[slot[1]].stems.accompaniment

        def stretch(layer: LayerPlan, length_s: float, blank: Blank) -> Signal:
            return stretch_band(stem, layer, length_s, tell, blank=blank)

        return parts[slot].make(desk.cache, desk.blank, stretch)

    acts = [partial(_one_by_one, voices, make_voice), partial(_one_by_one, bands, make_band)]
    if aside:
        made = side_by_side(on_fraction, *acts)
    else:  # the stretcher of the one would keep the other waiting
        first, second = shares(on_fraction, 2)
        made = acts[0](first), acts[1](second)
    return {**layers, **made[0], **made[1]}


def _one_by_one(
    slots: Sequence[Slot], act: Callable[[Slot, OnFraction], Layer], on_fraction: OnFraction
) -> dict[Slot, Layer]:
    parts = shares(on_fraction, len(slots))
    return {slot: act(slot, part) for slot, part in zip(slots, parts, strict=True)}
