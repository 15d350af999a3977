"""Those who merge two songs, each in processes of its own, seen from outside."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.bench.memory import PeakWatch, give_way
from benchmarks.bench.network import ROOT, Network
from benchmarks.bench.origin import make_steps
from benchmarks.bench.results import Peak
from benchmarks.bench.tasks import Answer, MergeTask, StepsTask
from bot.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_S = 900.0
_ADAPTER = "benchmarks.bench.adapter.SoundFileAdapter"


class PeerFailedError(Exception):
    """Why a peer could not do its work."""


class Peer(Protocol):
    """Does one task after the other until it is closed."""

    def do(self, task: Any) -> Answer:  # noqa: ANN401 - merges, or whatever its work takes
        """Do a task; the parts say what took how long."""
        ...

    @property
    def peak(self) -> Peak:
        """The most memory it has held so far."""
        ...

    def close(self) -> None:
        """End its processes."""
        ...


class Warm:
    """A worker of the bot's kind that stays warm, with its memory watched.

    Parameters
    ----------
    make_work
        Called once in the new process; returns what does the tasks.
    """

    def __init__(self, make_work: Callable[[], Callable[[Any, Any], Answer]]) -> None:
        self._worker: Worker[Any, Answer] = Worker(make_work)
        self._loop = asyncio.Runner()
        self._loop.run(self._worker.start())
        pid = self._worker.pid
        assert pid is not None
        give_way(pid)
        self._watch = PeakWatch(pid)
        self._watch.__enter__()

    def do(self, task: Any) -> Answer:  # noqa: ANN401 - whatever its work takes
        """Do a task."""
        return self._loop.run(self._worker.run(task, deadline_s=DEADLINE_S))

    @property
    def peak(self) -> Peak:
        """The most memory that the process, and its family, have held so far."""
        return self._watch.peak

    def close(self) -> None:
        """End the process."""
        self._watch.__exit__(None, None, None)
        self._loop.run(self._worker.stop())
        self._loop.close()


class Stock:
    """Spleeter's command, a process for each song, and then the origin's steps in a warm one.

    Parameters
    ----------
    network
        What the command is given.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._steps = Warm(make_steps)
        self._peak = Peak(process_mb=0.0, tree_mb=0.0)

    def do(self, task: MergeTask) -> Answer:
        """Run the command on each song, then the steps; the parts are the command's and theirs."""
        stems = task.out_dir / "stems"
        start = time.perf_counter()
        for song in (task.pair.vocals, task.pair.backing):
            self._separate(song, stems)
        separated = time.perf_counter() - start
        answer = self._steps.do(
            StepsTask(
                vocals=stems / task.pair.vocals.stem,
                backing=stems / task.pair.backing.stem,
                out_dir=task.out_dir,
            )
        )
        shutil.rmtree(stems)
        return Answer(parts={"spleeter separate, twice": separated, **answer.parts})

    @property
    def peak(self) -> Peak:
        """The most memory that one run of the command has held so far."""
        return self._peak

    def close(self) -> None:
        """End the process of the steps."""
        self._steps.close()

    def _separate(self, song: Path, stems: Path) -> None:
        command = [str(Path(sys.executable).with_name("spleeter")), "separate"]
        command += ["-p", str(self._network.config), *_adapter(), "-o", str(stems), str(song)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        give_way(process.pid)
        with PeakWatch(process.pid) as watch:
            said, _ = process.communicate()
        self._peak = Peak(
            process_mb=max(self._peak.process_mb, watch.peak.process_mb),
            tree_mb=max(self._peak.tree_mb, watch.peak.tree_mb),
        )
        if process.returncode or not (stems / song.stem / "vocals.wav").exists():
            raise PeerFailedError(_last_line(said, process.returncode))


def _last_line(said: bytes, code: int) -> str:
    if code < 0:
        return f"the command was ended by signal {-code}"
    # What is published names no places on this machine.
    lines = said.decode(errors="replace").replace(f"{ROOT}/", "").strip().splitlines()
    return f"the command failed: {lines[-1] if lines else f'exit code {code}'}"


def _adapter() -> list[str]:
    return [] if has_ffmpeg() else ["-a", _ADAPTER]


def has_ffmpeg() -> bool:
    """Say whether Spleeter's command finds the two programs that it reads and writes with."""
    return bool(shutil.which("ffmpeg") and shutil.which("ffprobe"))
