"""What a worker is asked to do, and the function that does it; this side knows no Discord."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.types import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.recipe import Recipe
    from pipeline.separate import Separator
    from pipeline.types import MergeResult, OnFraction, OnProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeTask:
    """One merge, as it crosses the process boundary.

    Attributes
    ----------
    vocals, backing
        The two song files.
    vocals_name, backing_name
        What the user called them; titles and errors say these.
    recipe
        How they are merged.
    out_dir
        Where the result goes.
    max_bytes
        Largest result that can be delivered.
    longest_s
        Longest song that is taken, in seconds.
    """

    vocals: Path
    backing: Path
    vocals_name: str
    backing_name: str
    recipe: Recipe
    out_dir: Path
    max_bytes: int
    longest_s: float


class SeparatorShelf:
    """Keeps separators warm, one for each choice.

    Parameters
    ----------
    make
        Makes a separator for a choice, telling the share of a download that is done.
    has_weights
        Says whether Spleeter's weights are there; asked before every merge that leaves the
        choice to us, because another worker, or the admin, may have brought them.
    """

    def __init__(
        self, make: Callable[[str, OnFraction], Separator], has_weights: Callable[[], bool]
    ) -> None:
        self._make = make
        self._has_weights = has_weights
        self._kept: dict[str, Separator] = {}
        self._stood_in_without_weights = False

    def get(self, choice: str, on_fraction: OnFraction) -> Separator:
        """Return the kept separator, or a new one when there is none or a better one is there."""
        if choice == "auto" and "spleeter" in self._kept:
            choice = "spleeter"  # one network in memory is enough
        kept = self._kept.get(choice)
        outdated = choice == "auto" and self._stood_in_without_weights and self._has_weights()
        if kept is not None and not outdated:
            return kept
        if choice == "auto":
            self._kept.pop("auto", None)
            self._stood_in_without_weights = not self._has_weights()
        separator = self._make(choice, on_fraction)
        self._kept["spleeter" if separator.name == "spleeter" else choice] = separator
        return separator


def make_merger(
    model_dir: Path, model_location: str, separator: str, log_level: str
) -> Callable[[MergeTask, OnProgress], MergeResult]:
    """Return the function that merges; called once in each worker.

    Parameters
    ----------
    model_dir, model_location
        Where Spleeter's weights lie and come from.
    separator
        What a recipe's "auto" means.
    log_level
        How much the worker logs.
    """
    # The pipeline's heavy parts are imported here, in the worker, and nowhere else in the bot.
    from pipeline.merge import merge  # noqa: PLC0415 - see above
    from pipeline.separate.choose import make_separator  # noqa: PLC0415 - see above
    from pipeline.separate.weights import (  # noqa: PLC0415 - see above
        ModelSource,
        find_weights,
    )

    logging.basicConfig(level=log_level)
    source = ModelSource(directory=model_dir)
    if model_location:
        source = ModelSource(directory=model_dir, location=model_location)
    shelf = SeparatorShelf(
        lambda choice, on_fraction: make_separator(choice, source, on_fraction=on_fraction),
        lambda: find_weights(source) is not None,
    )

    def work(task: MergeTask, on_progress: OnProgress) -> MergeResult:
        asked = task.recipe.separator
        chosen = shelf.get(
            separator if asked == "auto" else asked,
            lambda _: on_progress(Progress(stage=Stage.FETCH, fraction=0.0)),
        )
        return merge(
            task.vocals,
            task.backing,
            task.recipe,
            task.out_dir,
            separator=chosen,
            vocals_name=task.vocals_name,
            backing_name=task.backing_name,
            max_bytes=task.max_bytes,
            longest_s=task.longest_s,
            on_progress=on_progress,
        )

    return work
