"""The pipeline in a process like the bot's workers; the functions here run inside of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.bench.tasks import Answer, MergeTask, SeparateTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.types import OnProgress, Song

LARGEST_BYTES = 10 * 2**20
"""What Discord takes at least, and the bot asks for."""


def make_merger(model_dir: Path) -> Callable[[MergeTask, OnProgress], Answer]:
    """Return what merges as the bot's worker does; imports the pipeline."""
    from pipeline.merge import merge  # noqa: PLC0415 - in this process alone
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415 - as above

    separator = SpleeterSeparator(model_dir)

    def work(task: MergeTask, on_progress: OnProgress) -> Answer:
        result = merge(
            task.pair.vocals,
            task.pair.backing,
            task.recipe,
            task.out_dir,
            separator=separator,
            format=task.format,
            max_bytes=LARGEST_BYTES if task.format == "mp3" else None,
            on_progress=on_progress,
        )
        return Answer(parts={str(k): v for k, v in result.seconds_by_stage.items()})

    return work


def make_separator(model_dir: Path) -> Callable[[SeparateTask, OnProgress], Answer]:
    """Return what takes two songs apart, one after the other; reading them is not counted."""
    from pipeline.codec import decode  # noqa: PLC0415 - in this process alone
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415 - as above

    separator = SpleeterSeparator(model_dir)

    def seconds_for(song: Song) -> float:
        start = time.perf_counter()
        separator.separate(song, lambda _: None)
        return time.perf_counter() - start

    def work(task: SeparateTask, _: OnProgress) -> Answer:
        songs = (decode(path) for path in (task.pair.vocals, task.pair.backing))
        return Answer(parts={"separate": sum(seconds_for(song) for song in songs)})

    return work
