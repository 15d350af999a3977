"""From aligned layers to what is handed over: the second half of the conductor."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pipeline.arrange import assemble
from pipeline.codec import LOSSLESS, encode
from pipeline.delivery import ARTIST, deliver
from pipeline.dynamics import duck, level_frames
from pipeline.grids import warp_grid
from pipeline.layers import Layers
from pipeline.loudness import TARGET_LUFS
from pipeline.mix import Premaster, enter, even, fade_out, level
from pipeline.stages import side_by_side
from pipeline.tags import MOST_COVER_BYTES, Tags, make_cover, spare_bytes, write_tags
from pipeline.types import Loudness, MergeResult, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.aside import Aside
    from pipeline.gains import Gain
    from pipeline.keepsakes import Aligned, Alignment
    from pipeline.layers import Layer
    from pipeline.recipe import Recipe
    from pipeline.sources import Desk
    from pipeline.stages import Conductor
    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Role

_AS_EXPECTED = Loudness(integrated_lufs=TARGET_LUFS, true_peak_dbtp=0.0, vocals_to_backing_lu=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be made of the aligned layers; see `pipeline.merge.merge`."""

    path: Path
    max_bytes: int | None
    stems_format: str | None
    picture: bool

    @property
    def bytes_of_sound(self) -> int | None:
        """Most bytes for all but the tags and the cover."""
        if self.max_bytes is None:
            return None
        return self.max_bytes - spare_bytes(self.path, self.max_bytes, cover=self.picture)


def finish(
    aligned: Aligned, wanted: Wanted, desk: Desk, conductor: Conductor
) -> tuple[MergeResult, Gain]:
    """Set the levels, put the passages together, write the file and what goes with it.

    Returns
    -------
    tuple
        The result, and the gain that made the finished mix of the balanced layers.
    """
    alignment, path = aligned.alignment, wanted.path
    result = _described(alignment, path)
    tags = Tags.of_mashup(alignment.vocals.title, alignment.backing.title, ARTIST)
    with conductor.stage(Stage.LEVEL):
        heard = _level(aligned, desk.recipe)
    with conductor.stage(Stage.MIX) as on_fraction:
        draft = Premaster(_mixed(*heard, result, desk, on_fraction))
    # The one who draws comes to an end before anything is undone.
    with ExitStack() as undo, ThreadPoolExecutor(1) as pool:
        card = _Card(path.parent / "card.png", desk.aside, desk.blank, pool)
        gains: list[Gain] = []

        def on_mastered(layers: Layers, gain: Gain) -> None:
            gains.append(gain)
            if wanted.picture and len(gains) == 1:
                undo.callback(card.path.unlink, missing_ok=True)
                card.begin(replace(result, loudness=_AS_EXPECTED), layers)

        with conductor.stage(Stage.ENCODE) as on_fraction:
            undo.callback(path.unlink, missing_ok=True)
            layers, loudness = deliver(
                draft,
                path,
                tags.title,
                wanted.bytes_of_sound,
                on_mastered=on_mastered,
                on_fraction=lambda done: on_fraction(0.8 * done),
            )
            on_fraction(0.8)
            written = _write_stems(layers, wanted, tags.title, undo)
            if not wanted.picture:  # they are written once
                write_tags(path, tags, max_bytes=wanted.max_bytes)
        result = replace(result, loudness=loudness, stems=written)
        if wanted.picture:
            with conductor.stage(Stage.DRAW):
                picture, cover = card.finish(result, layers)
                write_tags(path, tags, picture=picture, cover=cover, max_bytes=wanted.max_bytes)
                result = replace(result, picture=picture)
        undo.pop_all()
    return result, gains[-1]


def add_stems(
    finished: tuple[MergeResult, Gain],
    aligned: Aligned,
    wanted: Wanted,
    desk: Desk,
    conductor: Conductor,
) -> MergeResult:
    """Write the layers of a mash-up that was finished before.

    Parameters
    ----------
    finished
        As `finish` returned it.
    aligned, wanted, desk, conductor
        As for `finish`.
    """
    result, gain = finished
    tags = Tags.of_mashup(result.vocals.title, result.backing.title, ARTIST)
    with conductor.stage(Stage.LEVEL):
        heard = _level(aligned, desk.recipe)
    with conductor.stage(Stage.MIX) as on_fraction:
        layers = _mixed(*heard, result, desk, on_fraction) * gain
    with ExitStack() as undo:
        with conductor.stage(Stage.ENCODE):
            written = _write_stems(layers, wanted, tags.title, undo)
        undo.pop_all()
    return replace(result, stems=written)


def _described(alignment: Alignment, path: Path) -> MergeResult:
    """Say what is known of a mash-up before it is heard."""
    plan = alignment.plan
    return MergeResult(
        path=path,
        vocals=alignment.vocals,
        backing=alignment.backing,
        plan=plan,
        grids={
            "vocals": warp_grid(alignment.vocals.grid, plan.vocals, plan.length_s),
            "backing": warp_grid(alignment.backing.grid, plan.backing, plan.length_s),
        },
        loudness=_AS_EXPECTED,
        separator="",
        seconds_by_stage={},
        notes=alignment.notes,
    )


def _level(aligned: Aligned, recipe: Recipe) -> tuple[dict[Role, Layer], dict[Role, Layer]]:
    """Set each voice against the band that it is heard over first."""
    voices, bands, plan = aligned.voices, even(aligned.bands), aligned.alignment.plan
    if "vocals" in voices:
        voices = {**voices, "vocals": enter(voices["vocals"], plan)}
    hold = level_frames if recipe.level == "frame" else level
    over = {
        role: next(section.band for section in plan.sections if section.voice == role)
        for role in voices
    }
    return {r: hold(v, bands[over[r]], recipe.balance) for r, v in voices.items()}, bands


def _mixed(
    voices: dict[Role, Layer],
    bands: dict[Role, Layer],
    result: MergeResult,
    desk: Desk,
    on_fraction: OnFraction,
) -> Layers:
    """Put the passages together, duck the backing, and set the balance of what is left."""
    plan, recipe = result.plan, desk.recipe
    beats_s = result.grids["backing"].beats_s
    layers = assemble(voices, bands, plan.sections, beats_s, on_fraction, blank=desk.blank)
    layers = fade_out(layers, plan.fade_out_s)
    backing = layers.backing
    if recipe.duck:
        backing = duck(backing, layers.vocals, recipe.duck, blank=desk.blank)
    return Layers(vocals=level(layers.vocals, backing, recipe.balance), backing=backing)


def _write_stems(layers: Layers, wanted: Wanted, title: str, undo: ExitStack) -> dict[str, Path]:
    """Write both layers side by side, if they are wanted."""
    if wanted.stems_format is None:
        return {}
    max_bytes = None if wanted.stems_format in LOSSLESS else wanted.max_bytes
    parts = {"vocals": layers.vocals, "backing": layers.backing}
    targets = {name: wanted.path.parent / f"{name}.{wanted.stems_format}" for name in parts}
    for path in targets.values():
        undo.callback(path.unlink, missing_ok=True)

    def write(name: str, _: OnFraction) -> Path:
        words = f"{title} ({name})"
        return encode(parts[name], targets[name], title=words, artist=ARTIST, max_bytes=max_bytes)

    side_by_side(lambda _: None, *(partial(write, name) for name in parts))
    return targets


class _Card:
    """The picture of a mash-up and its cover, made while the file is written.

    The second process draws.

    Parameters
    ----------
    path
        Where it is drawn.
    aside
        The second process; without one it is drawn here when all is known.
    blank
        Makes room for what the second process is told.
    pool
        Waits for it.
    """

    def __init__(
        self, path: Path, aside: Aside | None, blank: Blank, pool: ThreadPoolExecutor
    ) -> None:
        self.path = path
        self._aside = aside
        self._blank = blank
        self._pool = pool
        self._begun: tuple[MergeResult, Future[bytes | None]] | None = None

    def begin(self, expected: MergeResult, layers: Layers) -> None:
        """Draw what is expected to come out."""
        if self._aside:
            drawing = self._pool.submit(self._draw, self._aside, expected, layers)
            self._begun = expected, drawing

    def _draw(self, aside: Aside, expected: MergeResult, layers: Layers) -> bytes | None:
        aside.draw(expected, layers, self.path, blank=self._blank)
        return make_cover(self.path, MOST_COVER_BYTES)

    def finish(self, result: MergeResult, layers: Layers) -> tuple[Path, bytes | None]:
        """Return the picture when it is there, and the cover if it has been made of it.

        What came out otherwise than expected is drawn anew.
        """
        if self._begun:
            expected, drawing = self._begun
            cover = drawing.result()
            # Of all that is measured on the file, the card says this alone.
            if round(expected.loudness.integrated_lufs) == _rounded(result.loudness):
                return self.path, cover
        from pipeline.picture import draw_card  # noqa: PLC0415 - matplotlib, if need be

        return draw_card(result, layers, self.path), None


def _rounded(loudness: Loudness) -> float:
    lufs = loudness.integrated_lufs
    return round(lufs) if abs(lufs) < float("inf") else lufs
