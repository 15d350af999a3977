"""What a worker's process cannot get at, as it finds out itself. A canary lies in every place."""

from __future__ import annotations

import ctypes
import functools
import os
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot import confinement, landlock, reach
from bot.client import _merging_workers
from bot.config import read_config
from bot.reach import confine
from bot.serving import Setup
from bot.tasks import MergerSettings, largest_file
from bot.workers import Worker
from tests.bot.works import Wish, make_deeds

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG_S = 30.0


def has_landlock() -> bool:
    return int(ctypes.CDLL(None).syscall(444, None, 0, 1)) >= 1


def settings(home: Path, **others: Any) -> MergerSettings:
    facts: dict[str, Any] = {
        "model_dir": home / "models",
        "model_location": "",
        "separator": "auto",
        "cache_dir": home / "cache",
        "cache_bytes": 0,
        "log_level": "INFO",
        "folders": (home / "jobs",),
        "compiled_dir": home / "compiled",
    }
    return MergerSettings(**{**facts, **others})


async def found_by(setup: Setup, deed: str, value: Any = None) -> Any:
    worker: Worker[Wish, Any] = Worker(make_deeds, setup=setup)
    try:
        return await worker.run(Wish(deed, value), deadline_s=LONG_S)
    finally:
        await worker.stop()


def confined(home: Path, **others: Any) -> Setup:
    return Setup(confine=functools.partial(confine, settings(home, **others)))


@contextmanager
def canary_port() -> Iterator[tuple[tuple[str, int], list[object]]]:
    """Listen on the loopback; yields where, and who has come."""
    came: list[object] = []

    def listen() -> None:
        while True:
            try:
                guest, address = server.accept()
            except OSError:
                return
            came.append(address)
            guest.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = threading.Thread(target=listen)
        listener.start()
        try:
            yield server.getsockname(), came
            # Guests come in order: once this one has, nobody stands at the door any more.
            with socket.create_connection(server.getsockname()) as last:
                while last.getsockname() not in came:
                    time.sleep(0.001)
                came.remove(last.getsockname())
        finally:
            server.shutdown(socket.SHUT_RDWR)
            listener.join()


@pytest.mark.skipif(not has_landlock(), reason="this kernel has no Landlock, or it is off")
async def test_a_worker_reaches_its_own_folders_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "data"
    (home / "jobs" / "1").mkdir(parents=True)
    (home / "library").mkdir()
    canaries = [home / "vocal.sqlite3", home / "library" / "song", tmp_path / ".env"]
    for path in (*canaries, home / "jobs" / "1" / "song"):
        path.write_bytes(b"bird")
    monkeypatch.setenv("DISCORD_TOKEN", "the token")
    found = await found_by(
        confined(home),
        "reach",
        {
            **{f"read {path.name}": path for path in canaries},
            **{f"write {path.name}": path for path in canaries},
            "write new": tmp_path / "new",
            "list data": home,
            "read memory": Path(f"/proc/{os.getpid()}/environ"),
            "run cat": ["cat", str(tmp_path / ".env")],
            "read job": home / "jobs" / "1" / "song",
            "write job": home / "jobs" / "1" / "mashup",
            "write cache": home / "cache" / "entry",
            "write model": home / "models" / "weights",
            "read code": Path(reach.__file__),
            "run python": [sys.executable, "-c", "print(1)"],
        },
    )
    denied = {name: outcome for name, outcome in found.items() if outcome == "PermissionError"}
    assert set(denied) == {
        *(f"{verb} {path.name}" for path in canaries for verb in ("read", "write")),
        "write new",
        "list data",
        "read memory",
    }
    assert found["run cat"] == "CalledProcessError"  # what it starts is bound as well
    assert (found["read job"], found["write job"]) == ("b'bird'", "4")
    assert (found["write cache"], found["write model"]) == ("4", "4")
    assert found["read code"].startswith("b")
    assert found["run python"] == "b'1\\n'"
    assert all(path.read_bytes() == b"bird" for path in canaries)


async def test_the_token_is_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "the token")
    assert await found_by(Setup(), "environment", "DISCORD_TOKEN") == "the token"  # the probe works
    assert await found_by(confined(tmp_path), "environment", "DISCORD_TOKEN") is None


async def test_a_worker_gains_no_rights_and_shows_nobody_its_files(tmp_path: Path) -> None:
    state = await found_by(confined(tmp_path), "state")
    assert (state["NoNewPrivs"], state["umask"]) == ("1", "0o77")
    assert int(state["CapEff"], 16) & ~0b11111 == 0  # root's, over files
    assert int(state["CapPrm"], 16) & ~0b11111 == 0


async def test_without_weights_the_network_is_there_to_fetch_them(tmp_path: Path) -> None:
    with canary_port() as (address, came):
        found = await found_by(confined(tmp_path), "reach", {"connect": address})
    assert found == {"connect": "None"}
    assert len(came) == 1


async def test_a_worker_that_has_its_weights_leaves_the_network(
    tmp_path: Path,
) -> None:
    setup = Setup(confine=functools.partial(_with_weights, settings(tmp_path)))
    with canary_port() as (address, came):
        found = await found_by(setup, "reach", {"connect": address})
    if found["connect"] == "None":
        pytest.skip("this system does not let a process have a network of its own")
    assert found == {"connect": "OSError"}  # unreachable: there is not even a loopback
    assert came == []


def _with_weights(facts: MergerSettings) -> None:
    """Confine a worker that finds weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.separate.weights.find_weights", lambda source: source.model_dir)
        confine(facts)


@pytest.mark.parametrize("missing", ["landlock", "network"])
def test_what_the_system_does_not_allow_is_said_once(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reach, "keep_to_itself", lambda: None)
    monkeypatch.setattr(reach, "drop_capabilities", lambda: None)
    monkeypatch.setattr(reach, "leave_network", lambda: missing != "network")
    monkeypatch.setattr(reach, "restrict", lambda *_: missing != "landlock")
    monkeypatch.setattr("pipeline.separate.weights.find_weights", lambda source: source.model_dir)
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "DISCORD_TOKEN"):
        monkeypatch.setenv(name, "")
    with caplog.at_level("INFO"):
        confine(settings(tmp_path))
    [record] = caplog.records
    assert ("Landlock" in record.getMessage()) == (missing == "landlock")


def test_the_bots_workers_are_limited_and_confined(tmp_path: Path) -> None:
    config = read_config(
        {
            "DISCORD_TOKEN": "token",
            "DATA_DIR": str(tmp_path),
            "WORKERS": "2",
            "WORKER_MEMORY_MB": "2000",
            "JOB_TIMEOUT_MINUTES": "10",
            "MAX_SONG_MINUTES": "120",
        }
    )
    setups: list[Any] = [worker._setup for worker in _merging_workers(config)]
    assert len({setup.scratch for setup in setups}) == 2  # each empties its own
    assert len({setup.confine.args[0].compiled_dir for setup in setups}) == 2
    for setup in setups:
        assert setup.limits.memory_bytes == 2000 * 1024**2
        assert setup.limits.cpu_s == 1200.0
        assert setup.limits.file_bytes == largest_file(7200.0)
        assert setup.confine.func is confine
        [facts] = setup.confine.args
        assert facts.longest_s == 7200.0
        assert setup.scratch.parent in facts.folders
        assert tmp_path not in facts.folders  # where the database is


class OldKernel:
    """A C library on a kernel without what is asked for."""

    def syscall(self, *_: object) -> int:
        return -1

    def unshare(self, _flags: int) -> int:
        return -1


def test_an_old_kernel_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: OldKernel())
    assert landlock.restrict([], []) is False
    assert confinement.leave_network() is False
