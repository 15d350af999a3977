"""What the workers do here in place of merging: sleep, and hand both songs back in one file."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.tasks import Rehearsal
from pipeline.errors import Cancelled
from pipeline.names import title_of
from pipeline.types import KnownSong, Progress, Stage
from tests.bot.works import result

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.tasks import MergerSettings, MergeTask
    from pipeline.types import MergeResult, OnProgress

_STEPS = 10


def make_sleeper(
    seconds: float, _settings: MergerSettings
) -> Callable[[MergeTask | Rehearsal, OnProgress], MergeResult]:
    """Return what takes so many seconds over a merge; called in each worker."""

    def sleep(task: MergeTask | Rehearsal, on_progress: OnProgress) -> MergeResult:
        if isinstance(task, Rehearsal):
            raise Cancelled  # there is nothing to get ready
        for step in range(_STEPS):
            on_progress(Progress(stage=Stage.SEPARATE, fraction=step / _STEPS))
            time.sleep(seconds / _STEPS)
        return _together(task)

    return sleep


def _together(task: MergeTask) -> MergeResult:
    assert isinstance(task.vocals, Path)
    assert isinstance(task.backing, Path)
    out = task.out_dir / "mashup.mp3"
    out.write_bytes(task.vocals.read_bytes() + task.backing.read_bytes())
    names = (task.vocals_name, task.backing_name)
    songs = tuple(KnownSong(audio=name, name=name, title=title_of(name)) for name in names)
    vocals_title, backing_title = (song.title for song in songs)
    merged = result(out, vocals_title=vocals_title, backing_title=backing_title)
    return replace(merged, songs=songs)
