"""The pipeline in a process like the bot's workers; the functions here run inside of it."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.bench.tasks import Answer, MergeTask, SeparateTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.separate.model import Precision
    from pipeline.types import OnProgress

LARGEST_BYTES = 10 * 2**20
"""What Discord takes at least, and the bot asks for."""

_CACHE_BYTES = 4 * 2**30


def make_merger(model_dir: Path) -> Callable[[MergeTask, OnProgress], Answer]:
    """Return what merges as the bot's worker does; imports the pipeline."""
    from pipeline.aside import Aside  # noqa: PLC0415 - in this process alone
    from pipeline.cache import Cache  # noqa: PLC0415 - as above
    from pipeline.merge import merge  # noqa: PLC0415 - as above
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415 - as above

    separator, aside = SpleeterSeparator(model_dir), Aside()

    def work(task: MergeTask, on_progress: OnProgress) -> Answer:
        result = merge(
            task.pair.vocals,
            task.pair.backing,
            task.recipe,
            task.out_dir,
            separator=separator,
            format=task.format,
            max_bytes=LARGEST_BYTES if task.format == "mp3" else None,
            cache=Cache(task.cache_dir, _CACHE_BYTES) if task.cache_dir else None,
            aside=aside,
            on_progress=on_progress,
        )
        return Answer(parts={str(k): v for k, v in result.seconds_by_stage.items()})

    return work


def make_separator(
    model_dir: Path, precision: Precision
) -> Callable[[SeparateTask, OnProgress], Answer]:
    """Return what takes two songs apart as a merge does; reading them is not counted."""
    from pipeline.codec import decode  # noqa: PLC0415 - in this process alone
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415 - as above
    from pipeline.stages import side_by_side  # noqa: PLC0415 - as above
    from pipeline.tapes import on_disk  # noqa: PLC0415 - as above

    separator = SpleeterSeparator(model_dir, precision=precision)

    def work(task: SeparateTask, _: OnProgress) -> Answer:
        blank = on_disk(task.out_dir)
        songs = [decode(path, blank=blank) for path in (task.pair.vocals, task.pair.backing)]
        start = time.perf_counter()
        side_by_side(
            lambda _: None, *(partial(separator.separate, song, blank=blank) for song in songs)
        )
        return Answer(parts={"separate": time.perf_counter() - start})

    return work
