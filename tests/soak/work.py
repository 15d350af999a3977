"""What the soak's worker does in place of merging: quickly, and now and then badly."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.tasks import Rehearsal
from pipeline.errors import Cancelled, NotKeptError, NoVoiceError, StageError
from pipeline.names import title_of
from pipeline.types import KnownSong, Progress, Stage
from tests.bot import works

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.tasks import MergeTask
    from pipeline.types import MergeResult, OnProgress

LONG_S, LOOK_EVERY_S = 0.6, 0.02
REFUSED, BROKEN, DEADLY, LONG = b"refused ", b"broken ", b"deadly ", b"long "
"""What a song begins with that is to end in another way than a mash-up, or to take a while."""


def make_quick_work(_settings: object) -> Callable[[MergeTask | Rehearsal, OnProgress], Any]:
    """Return what the worker does; stands in for `bot.tasks.make_merger`."""
    return quick


def quick(task: MergeTask | Rehearsal, on_progress: OnProgress) -> MergeResult:
    """Glue two songs together, or do what the first of them begins with."""
    if isinstance(task, Rehearsal):
        raise Cancelled
    on_progress(Progress(stage=Stage.SEPARATE, fraction=0.5))
    song = works.content(task.vocals)
    if song.startswith(REFUSED):
        raise NoVoiceError("No voice was found in this song.", hint="Try another one.")
    if song.startswith(BROKEN):
        raise StageError(Stage.WARP, "The soak broke this one on purpose.")
    if song.startswith(DEADLY):
        os._exit(3)
    if song.startswith(LONG):
        _wait(on_progress)
    if isinstance(task.vocals, KnownSong) and task.vocals.audio.startswith("0"):
        raise NotKeptError("What this mash-up was made of is no longer kept.")
    songs = tuple(
        _known(source, name)
        for source, name in (
            (task.vocals, task.vocals_name),
            (task.backing, task.backing_name),
        )
    )
    return replace(works.glue(task, on_progress), songs=songs)


def _wait(on_progress: OnProgress) -> None:
    for step in range(round(LONG_S / LOOK_EVERY_S)):
        on_progress(Progress(stage=Stage.SEPARATE, fraction=step * LOOK_EVERY_S / LONG_S))
        time.sleep(LOOK_EVERY_S)


def _known(source: Path | KnownSong, name: str) -> KnownSong:
    if isinstance(source, KnownSong):
        return source
    audio = hashlib.sha256(source.read_bytes()).hexdigest()
    return KnownSong(audio=audio, name=name, title=title_of(name))
