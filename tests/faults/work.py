"""What the workers of the fault test do in place of merging: briefly, and now and then badly."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.tasks import Rehearsal
from pipeline.errors import Cancelled, NoVoiceError, StageError
from pipeline.types import Progress, Stage
from tests.bot import works
from tests.faults.disk import FULL, fill_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.tasks import MergerSettings, MergeTask
    from pipeline.types import MergeResult, OnProgress

WORK_S, STEPS = 0.3, 6
SPEECHLESS = b"speechless"
"""What a song begins with in which no voice is found."""


def make_brief_work(settings: MergerSettings) -> Callable[[MergeTask | Rehearsal, OnProgress], Any]:
    """Return what a worker does; stands in for `bot.tasks.make_merger`."""
    beside = settings.folders[0].parents[1]
    fill_files(beside / FULL)
    return brief


def brief(task: MergeTask | Rehearsal, on_progress: OnProgress) -> MergeResult:
    """Glue two songs together."""
    if isinstance(task, Rehearsal):
        raise Cancelled
    for step in range(STEPS):
        on_progress(Progress(stage=Stage.SEPARATE, fraction=step / STEPS))
        time.sleep(WORK_S / STEPS)
    assert isinstance(task.vocals, Path)
    if task.vocals.read_bytes().startswith(SPEECHLESS):
        raise NoVoiceError("No voice was found in this song.", hint="Try another one.")
    try:
        return works.glue(task, on_progress)
    except OSError as error:
        raise StageError(Stage.MIX, f"OSError: {error}") from error
