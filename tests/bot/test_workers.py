from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot.serving import OutOfMemoryError, WorkerStartError
from bot.workers import TooSlowError, Worker, WorkerDiedError
from pipeline.errors import NoVoiceError, StageError
from pipeline.types import Progress, Stage
from tests.bot.processes import is_alive, wait_until
from tests.bot.works import Wish, make_deeds, make_nothing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LONG_S = 30.0
ROOT = Path(__file__).resolve().parents[2]
# A bot that is busy: its worker, and a program that the worker started, are in the middle of it.
BUSY_BOT = """
import asyncio, sys
from pathlib import Path
from bot.workers import Worker
from tests.bot.processes import is_alive, wait_until
from tests.bot.works import Wish, make_deeds
asyncio.run(Worker(make_deeds).run(Wish("ignore with a child", Path(sys.argv[1])), deadline_s=60))
"""


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[Worker[Wish, Any]]:
    one: Worker[Wish, Any] = Worker(make_deeds, grace_s=1.0)
    yield one
    await one.stop()


async def test_stays_warm_and_delivers_errors_as_they_were(worker: Worker[Wish, Any]) -> None:
    assert worker.pid is None
    pid, served = await worker.run(Wish("pid"), deadline_s=LONG_S)
    assert (pid, served) == (worker.pid, 1)
    assert pid != os.getpid()

    with pytest.raises(NoVoiceError) as refused:
        await worker.run(Wish("refuse", "a.mp3 has no voice."), deadline_s=LONG_S)
    assert str(refused.value) == "a.mp3 has no voice. Try another song."
    assert refused.value.hint == "Try another song."

    with pytest.raises(StageError) as broken:
        await worker.run(Wish("break", "of sticks"), deadline_s=LONG_S)
    assert (broken.value.stage, broken.value.cause) == (Stage.WARP, "of sticks")
    assert "ZeroDivisionError: division by zero" in broken.value.__notes__[0]

    for shortage in ("no memory", "no memory in a stage"):
        with pytest.raises(OutOfMemoryError, match="need more memory than there is"):
            await worker.run(Wish(shortage), deadline_s=LONG_S)

    assert len(await worker.run(Wish("big", 3_000_000), deadline_s=LONG_S)) == 3_000_000
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (pid, 7)


async def test_a_flood_of_prints_goes_nowhere(
    worker: Worker[Wish, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    assert await worker.run(Wish("flood", 2000), deadline_s=LONG_S) == 2000
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("deed", "error"),
    [
        ("crash", WorkerDiedError),
        ("bug", WorkerDiedError),
        ("die of the kernel", WorkerDiedError),
    ],
)
async def test_is_replaced_when_it_dies(
    worker: Worker[Wish, Any], deed: str, error: type[Exception]
) -> None:
    await worker.start()
    pid = worker.pid
    with pytest.raises(error):
        await worker.run(Wish(deed), deadline_s=LONG_S)
    new_pid, served = await worker.run(Wish("pid"), deadline_s=LONG_S)
    assert new_pid != pid
    assert served == 1


async def test_a_crash_says_what_the_process_ended_with(worker: Worker[Wish, Any]) -> None:
    with pytest.raises(WorkerDiedError) as died:
        await worker.run(Wish("crash"), deadline_s=LONG_S)
    assert died.value.exit_code == 3


async def test_stops_at_once_when_it_listens(worker: Worker[Wish, Any]) -> None:
    assert not worker.is_alive()
    await worker.start()
    assert worker.is_alive()
    was_busy = worker.is_busy
    assert not was_busy
    pid = worker.pid
    running = asyncio.create_task(worker.run(Wish("listen", 0.25), deadline_s=LONG_S))
    await wait_until(lambda: worker.progress is not None)
    assert worker.is_busy
    assert worker.progress == Progress(stage=Stage.SEPARATE, fraction=0.25)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (pid, 2)
    assert worker.progress is None


async def test_is_killed_when_it_does_not_listen(worker: Worker[Wish, Any], tmp_path: Path) -> None:
    told = tmp_path / "pid"
    running = asyncio.create_task(worker.run(Wish("ignore", told), deadline_s=LONG_S))
    await wait_until(lambda: told.exists() and bool(told.read_text()))
    pid = int(told.read_text())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_alive(pid)
    assert (await worker.run(Wish("pid"), deadline_s=LONG_S))[0] != pid


async def test_is_called_off_at_its_deadline(worker: Worker[Wish, Any]) -> None:
    await worker.start()
    pid, _ = await worker.run(Wish("pid"), deadline_s=LONG_S)
    with pytest.raises(TooSlowError, match="longer than 1 min"):
        await worker.run(Wish("listen", 0.5), deadline_s=0.1)
    assert (await worker.run(Wish("pid"), deadline_s=LONG_S))[0] == pid


async def test_a_signal_to_the_whole_group_leaves_it_to_the_bot(
    worker: Worker[Wish, Any],
) -> None:
    pid, _ = await worker.run(Wish("pid"), deadline_s=LONG_S)
    os.kill(pid, signal.SIGTERM)
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (pid, 2)
    assert os.getpgid(pid) == pid  # so the terminal's Ctrl-C does not reach it


async def test_a_worker_that_died_while_idle_is_replaced(worker: Worker[Wish, Any]) -> None:
    pid, _ = await worker.run(Wish("pid"), deadline_s=LONG_S)
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert not worker.is_alive()
    new_pid, served = await worker.run(Wish("pid"), deadline_s=LONG_S)
    assert new_pid != pid
    assert served == 1


async def test_stopping_ends_the_process(worker: Worker[Wish, Any]) -> None:
    pid, _ = await worker.run(Wish("pid"), deadline_s=LONG_S)
    await worker.stop()
    assert worker.pid is None
    assert not is_alive(pid)
    await worker.stop()


def rehearsing(deed: str, value: Any = None) -> Worker[Wish, Any]:
    return Worker(make_deeds, rehearsal=Wish(deed, value), grace_s=1.0)


async def test_rehearses_ahead_of_the_first_task(caplog: pytest.LogCaptureFixture) -> None:
    worker = rehearsing("pid")
    await worker.start()
    assert worker.progress is None
    pid = worker.pid
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (pid, 2)
    await worker.stop()
    assert caplog.records == []


async def test_a_task_calls_the_rehearsal_off(caplog: pytest.LogCaptureFixture) -> None:
    worker = rehearsing("listen", 0.5)
    starting = asyncio.create_task(worker.start())
    await wait_until(lambda: worker.pid is not None)
    pid = worker.pid
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (pid, 2)
    await starting
    await worker.stop()
    assert caplog.records == []


@pytest.mark.parametrize("waits", [False, True])
async def test_a_worker_that_dies_of_its_rehearsal_is_replaced(
    caplog: pytest.LogCaptureFixture, *, waits: bool
) -> None:
    worker = rehearsing("crash")
    starting = asyncio.create_task(worker.start())
    await (asyncio.sleep(0) if waits else starting)
    _, served = await worker.run(Wish("pid"), deadline_s=LONG_S)
    assert served == 1
    await worker.stop()
    [record] = caplog.records
    assert record.getMessage() == "a worker could not warm up: its process ended with 3"
    assert record.exc_info is None


async def test_a_worker_that_has_a_task_does_not_rehearse() -> None:
    worker = rehearsing("crash")
    running = asyncio.create_task(worker.run(Wish("pid"), deadline_s=LONG_S))
    await asyncio.sleep(0)
    await worker.start()
    assert await running == (worker.pid, 1)
    await worker.start()
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (worker.pid, 2)
    await worker.stop()


async def test_a_failed_rehearsal_leaves_the_worker_alive(caplog: pytest.LogCaptureFixture) -> None:
    worker = rehearsing("refuse", "The network is damaged.")
    await worker.start()
    assert await worker.run(Wish("pid"), deadline_s=LONG_S) == (worker.pid, 2)
    await worker.stop()
    [record] = caplog.records
    assert record.getMessage().startswith("a worker could not warm up: The network is damaged.")


async def test_what_a_worker_lacks_is_said_in_one_sentence(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    worker: Worker[Wish, Any] = Worker(make_nothing, rehearsal=Wish("pid"))
    await worker.start()
    [record] = caplog.records
    assert record.getMessage() == (
        "a worker could not warm up: A worker cannot start: No module named 'magic'."
    )
    with pytest.raises(WorkerStartError, match="No module named 'magic'"):
        await worker.run(Wish("pid"), deadline_s=LONG_S)
    await worker.stop()
    assert len(caplog.records) == 1
    assert capfd.readouterr().err == ""


async def test_a_worker_that_died_at_work_is_replaced_ahead_of_the_next_task() -> None:
    worker = rehearsing("pid")
    await worker.start()
    pid = worker.pid
    with pytest.raises(WorkerDiedError):
        await worker.run(Wish("crash"), deadline_s=LONG_S)
    await wait_until(lambda: worker.pid is not None)
    assert worker.pid != pid
    await worker.stop()


async def test_stopping_does_not_wait_for_the_rehearsal(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    told = tmp_path / "pid"
    worker = rehearsing("ignore", told)
    starting = asyncio.create_task(worker.start())
    await wait_until(lambda: told.exists() and bool(told.read_text()))
    pid = int(told.read_text())
    async with asyncio.timeout(10):
        await worker.stop()
    assert not is_alive(pid)
    assert worker.pid is None
    with pytest.raises(asyncio.CancelledError):
        await starting
    with pytest.raises(WorkerDiedError):
        await worker.run(Wish("pid"), deadline_s=LONG_S)
    assert worker.pid is None
    assert caplog.records == []


async def test_a_task_that_waits_for_a_rehearsal_has_its_deadline(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    worker = rehearsing("ignore", told)
    starting = asyncio.create_task(worker.start())
    await wait_until(lambda: told.exists() and bool(told.read_text()))
    with pytest.raises(TooSlowError):
        await worker.run(Wish("pid"), deadline_s=0.2)
    with pytest.raises(asyncio.CancelledError):
        await starting
    await worker.stop()


async def test_nobody_outlives_a_bot_that_was_killed(tmp_path: Path) -> None:
    told = tmp_path / "worker"
    bot = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BUSY_BOT, told, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    await wait_until(lambda: told.exists() and bool(told.read_text()))
    family = [int(path.read_text()) for path in (told, tmp_path / "child")]
    assert all(map(is_alive, family))
    bot.kill()
    await bot.wait()
    await wait_until(lambda: not any(map(is_alive, family)))


async def test_what_a_worker_started_dies_with_it(tmp_path: Path) -> None:
    told = tmp_path / "worker"
    worker: Worker[Wish, Any] = Worker(make_deeds)
    running = asyncio.create_task(worker.run(Wish("ignore with a child", told), deadline_s=LONG_S))
    await wait_until(lambda: told.exists() and bool(told.read_text()))
    child = int((tmp_path / "child").read_text())
    os.kill(int(told.read_text()), signal.SIGKILL)
    await wait_until(lambda: not is_alive(child))
    await worker.stop()
    with pytest.raises(WorkerDiedError):
        await running
