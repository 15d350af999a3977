"""What workers do in these tests, in place of merging; each is imported by a spawned process."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
import wave
from array import array
from dataclasses import dataclass, replace
from math import pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import NoVoiceError, StageError
from pipeline.names import title_of
from pipeline.types import (
    BeatGrid,
    Key,
    KnownSong,
    LayerPlan,
    Loudness,
    MergeResult,
    Plan,
    Progress,
    SongFacts,
    Stage,
    WarpMap,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.serving import Teller
    from bot.tasks import MergeTask
    from pipeline.types import OnProgress


@dataclass(frozen=True)
class Wish:
    """What the test wants the worker to do, and with what."""

    deed: str
    value: Any = None


def make_deeds() -> Callable[[Wish, Teller], Any]:
    served = 0

    def work(wish: Wish, teller: Teller) -> Any:
        nonlocal served
        served += 1
        return DEEDS[wish.deed](wish.value, teller, served)

    return work


def make_nothing() -> Callable[[Wish, OnProgress], Any]:
    raise ImportError("No module named 'magic'")


def _pid(_value: Any, _on_progress: OnProgress, served: int) -> tuple[int, int]:
    return os.getpid(), served


def _refuse(value: str, _on_progress: OnProgress, _served: int) -> None:
    raise NoVoiceError(value, hint="Try another song.")


def _break(value: str, _on_progress: OnProgress, _served: int) -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        raise StageError(Stage.WARP, value) from error


def _flood(value: int, _on_progress: OnProgress, _served: int) -> int:
    for _ in range(value):
        print("x" * 1000)
    os.write(1, b"y" * 100_000)
    sys.stdout.flush()
    return value


def _crash(_value: Any, _on_progress: OnProgress, _served: int) -> None:
    os._exit(3)


def _crash_once(value: Path, on_progress: OnProgress, _served: int) -> int:
    """Crash half-way the first time; do it the second time, and wait there to be looked at."""
    (value / "left-over").touch(exist_ok=False)
    if not (value / "song").read_bytes():
        (value / "song").write_bytes(b"was tried")
        on_progress(Progress(stage=Stage.WARP, fraction=0.5))
        os._exit(3)
    on_progress(Progress(stage=Stage.DECODE, fraction=0.1))
    (value / "again").touch()
    while not (value / "go on").exists():
        time.sleep(0.01)
    on_progress(Progress(stage=Stage.MIX, fraction=0.8))
    while not (value / "end").exists():
        time.sleep(0.01)
    return os.getpid()


def _leave_and_crash(value: Path, _on_progress: OnProgress, _served: int) -> None:
    """Leave a file in every place, a child and an open pipe, and die."""
    (value / "left-over").mkdir()
    tempfile.mkdtemp()
    subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE)
    os._exit(3)


def _hoard(value: int, _on_progress: OnProgress, _served: int) -> int:
    return len(bytearray(value))


def _spin(_value: Any, _on_progress: OnProgress, _served: int) -> None:
    while True:
        pass


def _spin_for(value: float, _on_progress: OnProgress, _served: int) -> float:
    end = time.process_time() + value
    while time.process_time() < end:
        pass
    return time.process_time()


def _write(value: tuple[Path, int], _on_progress: OnProgress, _served: int) -> int:
    path, size = value
    with path.open("wb") as file:
        return file.write(b"z" * size)


def _write_in_a_stage(value: tuple[Path, int], on_progress: OnProgress, served: int) -> int:
    try:
        return _write(value, on_progress, served)
    except OSError as error:
        raise StageError(Stage.MIX, str(error)) from error


def _size(value: float, teller: Teller, _served: int) -> None:
    teller.size(value)
    _listen(0.0, teller, 0)


def _state(_value: Any, _on_progress: OnProgress, _served: int) -> dict[str, str]:
    """Return what the process may do, as the system has it."""
    mask = os.umask(0)
    os.umask(mask)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return {
        **dict(line.split(":\t", 1) for line in status.splitlines()),
        "core": str(resource.getrlimit(resource.RLIMIT_CORE)),
        "files": str(resource.getrlimit(resource.RLIMIT_NOFILE)),
        "umask": oct(mask),
        "nice": str(os.nice(0)),
        "oom": Path("/proc/self/oom_score_adj").read_text(encoding="ascii").strip(),
    }


def _reach(value: dict[str, Any], _on_progress: OnProgress, _served: int) -> dict[str, str]:
    """Try to get at files, other processes and the network; return what came of it."""
    return {name: _came_of(name.split()[0], thing) for name, thing in value.items()}


_TRIES: dict[str, Callable[[Any], object]] = {
    "read": lambda path: path.read_bytes()[:4],
    "write": lambda path: path.write_bytes(b"here"),
    "list": lambda path: len(list(path.iterdir())),
    "run": lambda words: subprocess.run(words, capture_output=True, check=True).stdout,
    "connect": lambda address: socket.create_connection(address, timeout=5).close(),
}


def _came_of(verb: str, thing: Any) -> str:
    try:
        return str(_TRIES[verb](thing))
    except (OSError, subprocess.CalledProcessError) as error:
        return type(error).__name__


class Trick:
    """An answer that makes whoever reads it open a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return open, (str(self._path), "w")


def _trick(value: Path, _on_progress: OnProgress, _served: int) -> Trick:
    return Trick(value)


def _environment(value: str, _on_progress: OnProgress, _served: int) -> str | None:
    return os.environ.get(value)


def _die_of_the_kernel(_value: Any, _on_progress: OnProgress, _served: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _bug(_value: Any, _on_progress: OnProgress, _served: int) -> None:
    raise ValueError("a bug outside the tree of errors")


def _no_memory(_value: Any, _on_progress: OnProgress, _served: int) -> None:
    raise MemoryError


def _no_memory_in_a_stage(_value: Any, _on_progress: OnProgress, _served: int) -> None:
    raise StageError(Stage.SEPARATE, "MemoryError") from MemoryError()


def _listen(value: float, on_progress: OnProgress, _served: int) -> None:
    while True:
        on_progress(Progress(stage=Stage.SEPARATE, fraction=value))
        time.sleep(0.01)


def _ignore(value: Path, on_progress: OnProgress, _served: int) -> None:
    on_progress(Progress(stage=Stage.MIX, fraction=0.75))
    value.write_text(str(os.getpid()), encoding="ascii")
    time.sleep(60)


def _ignore_with_a_child(value: Path, on_progress: OnProgress, served: int) -> None:
    child = subprocess.Popen(["sleep", "60"])
    value.with_name("child").write_text(str(child.pid), encoding="ascii")
    _ignore(value, on_progress, served)


def _big(value: int, _on_progress: OnProgress, _served: int) -> bytes:
    return b"z" * value


DEEDS: dict[str, Callable[[Any, Teller, int], Any]] = {
    "pid": _pid,
    "refuse": _refuse,
    "break": _break,
    "flood": _flood,
    "crash": _crash,
    "crash once": _crash_once,
    "leave and crash": _leave_and_crash,
    "die of the kernel": _die_of_the_kernel,
    "hoard": _hoard,
    "spin": _spin,
    "spin for": _spin_for,
    "write": _write,
    "write in a stage": _write_in_a_stage,
    "size": _size,
    "state": _state,
    "reach": _reach,
    "environment": _environment,
    "trick": _trick,
    "bug": _bug,
    "no memory": _no_memory,
    "no memory in a stage": _no_memory_in_a_stage,
    "listen": _listen,
    "ignore": _ignore,
    "ignore with a child": _ignore_with_a_child,
    "big": _big,
}


def result(
    path: Path,
    *,
    vocals_title: str = "rapper",
    backing_title: str = "diva",
    reasons: tuple[str, ...] = ("vocals sped up 3 %, down 2 semitones",),
    warnings: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> MergeResult:
    """Return what a merge might have come to."""
    layer = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0)))
    grid = BeatGrid(beats_s=(0.0, 0.5), downbeats_s=(0.0,), bpm=120.0, confidence=0.9)
    return MergeResult(
        path=path,
        vocals=SongFacts(
            title=vocals_title, duration_s=185.2, grid=grid, key=Key(tonic=9, mode="minor")
        ),
        backing=SongFacts(title=backing_title, duration_s=61.0, grid=BeatGrid(), key=None),
        plan=Plan(
            vocals=layer,
            backing=layer,
            length_s=59.6,
            bpm=123.4,
            voice_enters_s=3.9,
            reasons=reasons,
            warnings=warnings,
        ),
        grids={"vocals": grid, "backing": grid},
        loudness=Loudness(integrated_lufs=-14.0, true_peak_dbtp=-1.2, vocals_to_backing_lu=1.0),
        separator="built-in",
        seconds_by_stage={Stage.DECODE: 1.0, Stage.MIX: 2.4},
        notes=notes,
        songs=(
            KnownSong(audio="a" * 64, name=f"{vocals_title}.mp3", title=vocals_title),
            KnownSong(audio="b" * 64, name=f"{backing_title}.mp3", title=backing_title),
        ),
    )


def glue(task: MergeTask, _on_progress: OnProgress) -> MergeResult:
    """Merge in the simplest way there is: both files, one after the other."""
    out = task.out_dir / "mashup.mp3"
    out.write_bytes(b"".join(content(song) for song in (task.vocals, task.backing)))
    return result(
        out, vocals_title=title_of(task.vocals_name), backing_title=title_of(task.backing_name)
    )


def content(song: Path | KnownSong) -> bytes:
    """Return what stands for a song: its file's bytes, or what the cache knows it by."""
    return song.audio.encode() if isinstance(song, KnownSong) else song.read_bytes()


def make_glue() -> Callable[[MergeTask, OnProgress], MergeResult]:
    return glue


LONG_S, CHANGE_S = 70, 8
LOW_HZ, HIGH_HZ = 440, 880


def sound(task: MergeTask, _on_progress: OnProgress) -> MergeResult:
    """Merge into 70 s of a low tone that turns into a high one after 8 s, as a real audio file."""
    out = task.out_dir / "mashup.wav"
    low, high = (
        array("h", [round(10_000 * sin(2 * pi * hz * n / 8000)) for n in range(8000)]).tobytes()
        for hz in (LOW_HZ, HIGH_HZ)
    )
    with wave.open(str(out), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(low * CHANGE_S + high * (LONG_S - CHANGE_S))
    merged = result(out)
    plan = replace(merged.plan, length_s=float(LONG_S), bpm=120.0, voice_enters_s=10.0)
    return replace(merged, plan=plan)


def make_sound() -> Callable[[MergeTask, OnProgress], MergeResult]:
    return sound
