"""What the buttons ask for, and what does it in a process like the bot's workers.

That process imports this module, so that nothing heavy may be loaded with it: a worker sets numpy
up before it comes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.bench.ours import LARGEST_BYTES
from benchmarks.bench.tasks import Answer
from pipeline.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.types import KnownSong, OnProgress

_CACHE_BYTES = 4 * 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """What one button asks for.

    Attributes
    ----------
    recipe
        Options of the next mash-up.
    swap
        Whether the songs change their roles.
    stems
        Whether the layers are wanted as files.
    """

    recipe: Recipe = field(default_factory=Recipe)
    swap: bool = False
    stems: bool = False


BUTTONS: dict[str, Button] = {
    "voice louder": Button(recipe=Recipe(balance=3.0)),
    "voice quieter": Button(recipe=Recipe(balance=-1.0)),
    "a beat later": Button(recipe=Recipe(nudge=1)),
    "a beat earlier": Button(recipe=Recipe(nudge=-1)),
    "a bar later": Button(recipe=Recipe(nudge=4)),
    "a bar earlier": Button(recipe=Recipe(nudge=-4)),
    "another take": Button(recipe=Recipe(take=2)),
    "highlight": Button(recipe=Recipe(arrange="highlight")),
    "stems": Button(stems=True),
    "key up": Button(recipe=Recipe(key="1")),
    "key down": Button(recipe=Recipe(key="-1")),
    "half time": Button(recipe=Recipe(pace="half")),
    "double time": Button(recipe=Recipe(pace="double")),
    "no cleaning": Button(recipe=Recipe(denoise=0.0)),
    "more cleaning": Button(recipe=Recipe(denoise=1.0)),
    "swap roles": Button(swap=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RemixTask:
    """One merge as the bot asks for it; small enough to cross a process boundary."""

    songs: tuple[Path | KnownSong, Path | KnownSong]
    out_dir: Path
    cache_dir: Path
    button: Button


@dataclass(frozen=True, slots=True, kw_only=True)
class Remixed(Answer):
    """What it took, and what finds the songs again."""

    songs: tuple[KnownSong, ...]


def make_remixer(model_dir: Path) -> Callable[[RemixTask, OnProgress], Remixed]:
    """Return what merges as the bot's worker does; imports the pipeline."""
    from pipeline.aside import Aside  # noqa: PLC0415 - in this process alone
    from pipeline.cache import Cache  # noqa: PLC0415 - as above
    from pipeline.merge import merge  # noqa: PLC0415 - as above
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415 - as above

    separator, aside = SpleeterSeparator(model_dir), Aside()

    def work(task: RemixTask, on_progress: OnProgress) -> Remixed:
        result = merge(
            task.songs[0],
            task.songs[1],
            task.button.recipe,
            task.out_dir,
            separator=separator,
            max_bytes=LARGEST_BYTES,
            stems=task.button.stems,
            stems_format="mp3",
            picture=True,
            cache=Cache(task.cache_dir, _CACHE_BYTES),
            aside=aside,
            on_progress=on_progress,
        )
        return Remixed(parts=dict(result.seconds_by_stage), songs=result.songs)

    return work
