"""What is kept of a whole merge: the aligned layers of two songs, and finished mash-ups."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.cache import make_key
from pipeline.layers import Layer, layer_of
from pipeline.types import MergeResult, Plan, Role, SongFacts

if TYPE_CHECKING:
    from pipeline.cache import Cache, Pending
    from pipeline.recipe import Recipe
    from pipeline.sources import SongFile

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
        """Where the aligned layers are kept."""
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
    plan
        What was decided.
    notes
        Sentences for the user.
    """

    vocals: SongFacts
    backing: SongFacts
    plan: Plan
    notes: tuple[str, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _AlignedFacts:
    alignment: Alignment
    powers: dict[str, tuple[float, ...]]


def recall_aligned(cache: Cache, order: Order) -> Aligned | None:
    """Find aligned layers in the cache."""
    entry = cache.load(order.aligned_key, _AlignedFacts)
    if entry is None:
        return None
    layers = {
        name: layer_of(signal, np.asarray(entry.facts.powers[name]))
        for name, signal in entry.signals.items()
    }
    return Aligned(
        alignment=entry.facts.alignment,
        voices=_of_kind("voice", layers),
        bands=_of_kind("band", layers),
    )


def keep_aligned(coming: Pending, aligned: Aligned) -> None:
    """Keep aligned layers in the cache, in the place where they were made."""
    layers = {f"voice-{role}": layer for role, layer in aligned.voices.items()}
    layers |= {f"band-{role}": layer for role, layer in aligned.bands.items()}
    powers = {name: tuple(layer.raw_power.tolist()) for name, layer in layers.items()}
    coming.commit(
        _AlignedFacts(alignment=aligned.alignment, powers=powers),
        {name: layer.samples for name, layer in layers.items()},
    )


def _of_kind(kind: str, layers: dict[str, Layer]) -> dict[Role, Layer]:
    roles: tuple[Role, ...] = ("vocals", "backing")
    return {role: layers[f"{kind}-{role}"] for role in roles if f"{kind}-{role}" in layers}


def recall_result(cache: Cache, order: Order, out_dir: Path) -> MergeResult | None:
    """Find a finished mash-up in the cache, and copy its files into a folder.

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
    return replace(result, **made)


def keep_result(cache: Cache, order: Order, result: MergeResult) -> None:
    """Keep a finished mash-up in the cache."""
    files = [path for path in (result.path, result.picture) if path is not None]
    kept = replace(
        result,
        path=Path(result.path.name),
        picture=None if result.picture is None else Path(result.picture.name),
    )
    with cache.pending(order.result_key, of=order.audio) as coming:
        for path in files:
            coming.add_file(path.name, path)
        coming.commit(kept)
