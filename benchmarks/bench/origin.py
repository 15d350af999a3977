"""The project that this one grew from, in processes that stay warm; all here runs inside of them.

Spleeter takes the songs apart, librosa does the rest; see `benchmarks.listen.origin`.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

from benchmarks.bench.tasks import Answer, MergeTask, StepsTask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.types import OnProgress, Stems


def make_steps() -> Callable[[StepsTask, OnProgress], Answer]:
    """Return what merges stems that lie on disk; imports librosa."""
    import soundfile  # noqa: PLC0415 - in this process alone

    import benchmarks.listen.origin  # noqa: F401, PLC0415 - librosa is loaded before the clock runs
    from pipeline.types import Stems  # noqa: PLC0415 - as above

    def read(folder: Path) -> Stems:
        stems = {
            name: soundfile.read(folder / f"{name}.wav", dtype="float32", always_2d=True)[0].T
            for name in ("vocals", "accompaniment")
        }
        return Stems(**stems)

    def work(task: StepsTask, _: OnProgress) -> Answer:
        start = time.perf_counter()
        _steps(read(task.vocals), read(task.backing), task.out_dir)
        return Answer(parts={"librosa steps": time.perf_counter() - start})

    return work


def make_separator_merger(config: Path) -> Callable[[MergeTask, OnProgress], Answer]:
    """Return what merges with Spleeter's `Separator`, made once; imports TensorFlow and librosa."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # it has something to say about every song
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from spleeter.separator import Separator  # noqa: PLC0415 - in this process alone

    import benchmarks.listen.origin  # noqa: F401, PLC0415 - as above
    from pipeline.codec import decode  # noqa: PLC0415 - as above
    from pipeline.types import Stems  # noqa: PLC0415 - as above

    separator = Separator(str(config), multiprocess=False)

    def separate(path: Path) -> Stems:
        found = separator.separate(decode(path).samples.T)
        return Stems(vocals=found["vocals"].T, accompaniment=found["accompaniment"].T)

    def work(task: MergeTask, _: OnProgress) -> Answer:
        start = time.perf_counter()
        stems = separate(task.pair.vocals), separate(task.pair.backing)
        separated = time.perf_counter()
        _steps(*stems, task.out_dir)
        done = time.perf_counter()
        return Answer(
            parts={"read and separate": separated - start, "librosa steps": done - separated}
        )

    return work


def _steps(vocals: Stems, backing: Stems, out_dir: Path) -> None:
    from benchmarks.listen.origin import merge_like_origin  # noqa: PLC0415 - loads librosa
    from pipeline.codec import encode  # noqa: PLC0415 - as above

    encode(merge_like_origin(vocals, backing).mix, out_dir / "mashup.mp3", title="The origin's")
