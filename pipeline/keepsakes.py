"""What is kept of a whole merge: what was decided about two songs, and finished mash-ups."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cache import make_key
from pipeline.gains import knots
from pipeline.parts import Part
from pipeline.types import SAMPLE_RATE, MergeResult, Plan, SongFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.cache import Cache
    from pipeline.gains import Gain
    from pipeline.layers import Layer
    from pipeline.parts import Slot
    from pipeline.recipe import Recipe
    from pipeline.sources import SongFile
    from pipeline.types import LayerPlan, Role

_AFTER_WARPING = ("balance", "level", "duck")
"""Options that change nothing of the aligned layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a merge is asked for, as far as its outcome depends on it.

    Titles are part of it, because the outcome speaks of the songs by them.

    Attributes
    ----------
    vocals, backing
        The two songs.
    engine
        Identity of what takes them apart.
    recipe
        Every option.
    longest_s
        Seconds that a song may last.
    form
        Format, size and extras of the result.
    """

    vocals: SongFile
    backing: SongFile
    engine: str
    recipe: Recipe
    longest_s: float
    form: tuple[object, ...]

    @property
    def audio(self) -> tuple[str, str]:
        """Fingerprints of the two songs."""
        return self.vocals.audio, self.backing.audio

    @property
    def aligned_key(self) -> str:
        """Where the decisions on the aligned layers are kept."""
        shaping = {
            field.name: getattr(self.recipe, field.name)
            for field in fields(self.recipe)
            if field.name not in _AFTER_WARPING
        }
        return make_key("aligned", *self._songs(), shaping)

    @property
    def result_key(self) -> str:
        """Where the finished mash-up is kept."""
        return make_key("mash-up", *self._songs(), self.recipe, self.form)

    def _songs(self) -> tuple[object, ...]:
        names = (part for song in (self.vocals, self.backing) for part in (song.audio, song.title))
        return (*names, self.engine, self.longest_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What was decided on the way to the aligned layers.

    Attributes
    ----------
    vocals, backing
        What was found out about the songs in these roles.
    swapped
        Whether they are the other way round than they were given.
    plan
        What was decided.
    notes
        Sentences for the user.
    """

    vocals: SongFacts
    backing: SongFacts
    swapped: bool
    plan: Plan
    notes: tuple[str, ...]

    def parts(self, order: Order) -> dict[Slot, Part]:
        """Return the stems that are heard in any section, as they are heard."""
        audio = order.audio[::-1] if self.swapped else order.audio
        facts, plan = (self.vocals, self.backing), self.plan
        songs: dict[Role, tuple[str, SongFacts]] = {
            "vocals": (audio[0], facts[0]),
            "backing": (audio[1], facts[1]),
        }
        layers: dict[Role, LayerPlan] = {"vocals": plan.vocals, "backing": plan.backing}
        heard: set[Slot] = {("voice", section.voice) for section in plan.sections}
        heard |= {("band", section.band) for section in plan.sections}
        return {
            (kind, role): Part.of(
                songs[role][0],
                order.engine,
                kind,
                (order.recipe.denoise, order.recipe.denoise_method),
                layer=layers[role],
                duration_s=songs[role][1].duration_s,
                length_s=plan.length_s,
            )
            for kind, role in sorted(heard)
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aligned:
    """Cleaned and warped layers, before their levels are set.

    Attributes
    ----------
    alignment
        How they came about.
    voices, bands
        The layers that are heard, by the song that they come from.
    """

    alignment: Alignment
    voices: dict[Role, Layer]
    bands: dict[Role, Layer]

    @classmethod
    def of(cls, alignment: Alignment, layers: Mapping[Slot, Layer]) -> Aligned:
        """Sort the layers by their kind."""
        return cls(
            alignment=alignment,
            voices={role: layer for (kind, role), layer in layers.items() if kind == "voice"},
            bands={role: layer for (kind, role), layer in layers.items() if kind == "band"},
        )


def recall_aligned(cache: Cache, order: Order) -> Aligned | None:
    """Find what was decided and all its layers in the cache."""
    entry = cache.load(order.aligned_key, Alignment)
    if entry is None:
        return None
    layers: dict[Slot, Layer] = {}
    for slot, part in entry.facts.parts(order).items():
        layer = part.recall(cache)
        if layer is None:
            return None
        layers[slot] = layer
    return Aligned.of(entry.facts, layers)


def keep_alignment(cache: Cache, order: Order, alignment: Alignment) -> None:
    """Keep what was decided."""
    with cache.pending(order.aligned_key, of=order.audio) as coming:
        coming.commit(alignment)


def recall_result(cache: Cache, order: Order, out_dir: Path) -> tuple[MergeResult, Gain] | None:
    """Find a finished mash-up in the cache, and copy its files into a folder.

    Returns
    -------
    tuple or None
        As it was kept.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    entry = cache.load(order.result_key, MergeResult)
    if entry is None:
        return None
    result = entry.facts
    made: dict[str, Any] = {"path": out_dir / result.path}
    if result.picture is not None:
        made["picture"] = out_dir / result.picture
    for path in made.values():
        entry.copy(path.name, path)
    gain = entry.signals["gain"].reshape(-1)[: knots(round(result.plan.length_s * SAMPLE_RATE))]
    return replace(result, **made), gain


def keep_result(cache: Cache, order: Order, result: MergeResult, gain: Gain) -> None:
    """Keep a finished mash-up in the cache, and the gain that made it of its balanced layers.

    Its layers as files are not kept: they are written anew where somebody wants them.
    """
    files = [path for path in (result.path, result.picture) if path is not None]
    kept = replace(
        result,
        path=Path(result.path.name),
        picture=None if result.picture is None else Path(result.picture.name),
        stems={},
    )
    with cache.pending(order.result_key, of=order.audio) as coming:
        for path in files:
            coming.add_file(path.name, path)
        # Laid out in two rows, as signals are.
        coming.commit(kept, {"gain": np.resize(gain, (2, -(-len(gain) // 2)))})
