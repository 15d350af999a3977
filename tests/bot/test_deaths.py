"""What becomes of a task whose process dies, hangs or takes too much; all with real processes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bot import deaths
from bot.confinement import Limits
from bot.deaths import StuckError, TooSlowError, WorkerDiedError, obituary
from bot.jobs import JobQueue
from bot.serving import OutOfMemoryError, Setup, TooLargeError
from bot.workers import Worker, allowed_s
from pipeline.types import Progress, Stage
from tests.bot.processes import is_alive, wait_until
from tests.bot.works import Wish, make_deeds

pytestmark = pytest.mark.slow

LONG_S = 30.0
MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[2]
TIGHT = Limits(memory_bytes=100 * MIB, cpu_s=1.0, file_bytes=MIB, open_files=64)
# A bot to which what dead workers leave falls, as it does to the first process of a container.
FIRST_PROCESS = """
import asyncio, ctypes, sys
from pathlib import Path
from bot.workers import Worker, WorkerDiedError
from tests.bot.test_deaths import children
from tests.bot.works import Wish, make_deeds

async def main():
    worker = Worker(make_deeds, clean_up=lambda wish: [p.rmdir() for p in wish.value.iterdir()])
    try:
        await worker.run(Wish("leave and crash", Path(sys.argv[1])), deadline_s=30)
    except WorkerDiedError:
        print(*children())

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
asyncio.run(main())
"""


def keep_the_song(wish: Wish) -> None:
    """Clear a job's folder, as a worker of the bot has it done."""
    if isinstance(wish.value, Path):
        for path in wish.value.iterdir():
            if path.name != "song":
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def worker_with(**options: Any) -> Worker[Wish, Any]:
    return Worker(make_deeds, grace_s=1.0, **options)


def confined(limits: Limits) -> Worker[Wish, Any]:
    return worker_with(setup=Setup(limits=limits))


def children() -> set[int]:
    """Return the processes that this one has started, the dead that nobody took leave of, too."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            facts = path.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(facts[1]) == os.getpid():
            found.add(int(path.parent.name))
    return found


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_task_is_tried_once_more_from_a_clean_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "song").touch()
    (tmp_path / "left-over").touch()  # of a bot that was killed
    worker = worker_with(clean_up=keep_the_song)
    await worker.start()
    first = worker.pid
    running = asyncio.create_task(worker.run(Wish("crash once", tmp_path), deadline_s=LONG_S))
    await wait_until((tmp_path / "again").exists)
    assert worker.progress == Progress(stage=Stage.WARP, fraction=0.5)  # it does not jump back
    (tmp_path / "go on").touch()
    await wait_until(lambda: worker.progress == Progress(stage=Stage.MIX, fraction=0.8))
    (tmp_path / "end").touch()
    second = await running
    assert second != first
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (second, 2)
    await worker.stop()
    [record] = caplog.records
    assert record.getMessage() == "a task is tried once more: its process ended with 3"


@pytest.mark.parametrize(
    ("deed", "sentence"),
    [
        ("crash", "The process that worked on your songs died."),
        ("bug", "The process that worked on your songs died."),
        ("die of the kernel", "The system ended the process that worked on your songs."),
    ],
)
async def test_what_kills_two_processes_is_not_tried_a_third_time(
    deed: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    queue: JobQueue[Wish, Any] = JobQueue(
        [worker_with()], limit=3, limit_per_user=3, deadline_s=LONG_S
    )
    [worker] = queue._free
    jobs = [queue.admit(owner) for owner in (1, 2)]
    failing, next_one = (
        asyncio.create_task(queue.run(job, wish))
        for job, wish in zip(jobs, (Wish(deed), Wish("pid")), strict=True)
    )
    with pytest.raises(WorkerDiedError) as died:
        await failing
    assert str(died.value) == sentence
    pid, served = await next_one  # the next job has a process of its own
    assert served == 1
    await worker.stop()
    assert not is_alive(pid)
    assert len([record for record in caplog.records if "tried once more" in record.msg]) == 1


async def test_an_answer_that_is_none_ends_the_worker(tmp_path: Path) -> None:
    worker = worker_with()
    pid, _ = await worker.run(Wish("pid"), deadline_s=LONG_S)
    with pytest.raises(WorkerDiedError):
        await worker.run(Wish("trick", tmp_path / "canary"), deadline_s=LONG_S)
    assert not is_alive(pid)
    assert not (tmp_path / "canary").exists()
    assert (await worker.run(Wish("pid"), deadline_s=LONG_S))[1] == 1
    await worker.stop()


async def test_a_kill_is_told_as_a_lack_of_memory_where_the_kernel_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kills = iter(range(10))
    monkeypatch.setattr("bot.workers.kills_for_memory", lambda: next(kills))
    worker = worker_with()
    with pytest.raises(OutOfMemoryError, match="The machine ran out of memory"):
        await worker.run(Wish("die of the kernel"), deadline_s=LONG_S)
    await worker.stop()


def test_the_kernels_count_of_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts = tmp_path / "vmstat"
    monkeypatch.setattr(deaths, "_COUNTS", counts)
    assert deaths.kills_for_memory() == 0
    counts.write_text("nr_free_pages 12\noom_kill 3\n", encoding="ascii")
    assert deaths.kills_for_memory() == 3
    counts.write_text("nr_free_pages 12\n", encoding="ascii")
    assert deaths.kills_for_memory() == 0


def test_a_lack_of_memory_elsewhere_explains_no_crash() -> None:
    assert isinstance(obituary(-11, memory_ran_out=True), WorkerDiedError)


async def test_a_task_that_gives_no_sign_of_life_is_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = tmp_path / "pid"
    worker = worker_with(stuck_after_s=2.0)  # in which the second process has to start
    await worker.start()
    first = worker.pid
    with pytest.raises(StuckError, match="This merge got stuck and was ended"):
        await worker.run(Wish("ignore", told), deadline_s=LONG_S)
    second = int(told.read_text())
    assert second != first
    assert not is_alive(second)
    assert (await worker.run(Wish("pid"), deadline_s=LONG_S))[1] == 1
    await worker.stop()
    [record] = caplog.records
    assert record.getMessage() == "a task is tried once more: This merge got stuck and was ended."


async def test_a_task_that_tells_how_far_it_is_is_not_stuck() -> None:
    worker = worker_with(stuck_after_s=0.5)
    await worker.run(Wish("pid"), deadline_s=LONG_S)  # it has started by now
    with pytest.raises(TooSlowError):
        await worker.run(Wish("listen", 0.5), deadline_s=1.5)
    await worker.stop()


@pytest.mark.parametrize(
    ("longest_s", "size", "allowed"),
    [
        (1200.0, 0.0, 300.0),
        (1200.0, 0.2, 480.0),  # two songs of three minutes, where fifteen are allowed
        (1200.0, 1.0, 1200.0),
        (60.0, 0.0, 60.0),
        (60.0, 1.0, 60.0),
    ],
)
def test_the_time_that_a_task_has(longest_s: float, size: float, allowed: float) -> None:
    assert allowed_s(longest_s, size) == pytest.approx(allowed)


async def test_a_small_task_has_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.workers.LEAST_S", 0.5)
    worker = worker_with(stuck_after_s=LONG_S)
    with pytest.raises(TooSlowError):
        async with asyncio.timeout(LONG_S):
            await worker.run(Wish("size", 0.0), deadline_s=10 * LONG_S)
    await worker.stop()


async def test_a_hung_rehearsal_does_not_keep_tasks_waiting(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    worker = worker_with(rehearsal=Wish("ignore", told), stuck_after_s=2.0)
    starting = asyncio.create_task(worker.start())
    await wait_until(lambda: told.exists() and bool(told.read_text()))
    assert (await worker.run(Wish("pid"), deadline_s=LONG_S))[1] == 1
    with pytest.raises(asyncio.CancelledError):
        await starting
    await worker.stop()


async def test_memory_is_limited() -> None:
    worker = confined(TIGHT)
    pid, _ = await worker.run(Wish("pid"), deadline_s=LONG_S)
    with pytest.raises(OutOfMemoryError, match="more memory than there is"):
        await worker.run(Wish("hoard", 200 * MIB), deadline_s=LONG_S)
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (pid, 3)  # nobody died of it
    await worker.stop()


async def test_files_are_limited(tmp_path: Path) -> None:
    worker = confined(TIGHT)
    for deed in ("write", "write in a stage"):
        path = tmp_path / deed
        assert await worker.run(Wish(deed, (path, MIB)), deadline_s=LONG_S) == MIB
        with pytest.raises(TooLargeError, match="need more room than one merge may have"):
            await worker.run(Wish(deed, (path, MIB + 1)), deadline_s=LONG_S)
        assert path.stat().st_size <= MIB
    await worker.stop()


async def test_processor_time_is_limited_for_each_task(caplog: pytest.LogCaptureFixture) -> None:
    worker = confined(TIGHT)
    spent = [await worker.run(Wish("spin for", 0.8), deadline_s=LONG_S) for _ in range(3)]
    assert spent[-1] > 2.4  # more than one task may have, in one process
    with pytest.raises(TooSlowError, match="need more computing time than one merge may have"):
        await worker.run(Wish("spin"), deadline_s=LONG_S)
    assert (await worker.run(Wish("pid"), deadline_s=LONG_S))[1] == 1
    await worker.stop()
    assert caplog.records == []  # it was not tried again


async def test_a_worker_keeps_no_core_and_gives_way() -> None:
    worker = confined(TIGHT)
    state = await worker.run(Wish("state"), deadline_s=LONG_S)
    await worker.stop()
    assert (state["core"], state["files"]) == ("(0, 0)", "(64, 64)")
    assert int(state["nice"]) == min(19, os.nice(0) + 5)
    assert state["oom"] == "500"


async def test_no_process_and_no_file_is_left_of_thirty_deaths(tmp_path: Path) -> None:
    scratch, job = tmp_path / "scratch", tmp_path / "job"
    job.mkdir()
    (job / "song").write_bytes(b"song")
    worker = worker_with(setup=Setup(scratch=scratch), clean_up=keep_the_song)
    before: tuple[set[int], int] | None = None
    for _ in range(15):  # each dies twice
        with pytest.raises(WorkerDiedError):
            await worker.run(Wish("leave and crash", job), deadline_s=LONG_S)
        assert [path.name for path in job.iterdir()] == ["song"]
        assert not scratch.exists()
        before = before or (children(), open_files())
        assert (children(), open_files()) == before
    await worker.stop()


def test_the_first_process_of_a_container_keeps_no_zombies(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PROCESS, tmp_path],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    # Python's own watcher of shared resources is the one that may be there.
    assert [pid for pid in done.stdout.split() if _name(int(pid)) == "sleep"] == []
    assert len(done.stdout.split()) <= 1


def _name(pid: int) -> str:
    path = Path(f"/proc/{pid}/comm")
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""
