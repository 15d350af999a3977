from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot.workers import OutOfMemoryError, TooSlowError, Worker, WorkerDiedError
from pipeline.errors import NoVoiceError, StageError
from pipeline.types import Progress, Stage
from tests.bot.works import Wish, make_deeds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

LONG_S = 30.0


@pytest_asyncio.fixture
async def worker() -> AsyncIterator[Worker[Wish, Any]]:
    one: Worker[Wish, Any] = Worker(make_deeds, grace_s=1.0)
    yield one
    await one.stop()


async def wait_until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not there():  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


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
        ("die of the kernel", OutOfMemoryError),
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
    await worker.start()
    pid = worker.pid
    running = asyncio.create_task(worker.run(Wish("listen", 0.25), deadline_s=LONG_S))
    await wait_until(lambda: worker.progress is not None)
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
    new_pid, served = await worker.run(Wish("pid"), deadline_s=LONG_S)
    assert new_pid != pid
    assert served == 1


async def test_stopping_ends_the_process(worker: Worker[Wish, Any]) -> None:
    pid, _ = await worker.run(Wish("pid"), deadline_s=LONG_S)
    await worker.stop()
    assert worker.pid is None
    assert not is_alive(pid)
    await worker.stop()
