"""Other processes as the tests see them, from outside."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MARK = "HOME_OF_THIS_BOT"
"""The variable that all processes of one bot find in their environment: its folder."""


async def wait_until(there: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not there():  # noqa: ASYNC110 - another process sets no event here
            await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # a zombie is dead, if not yet buried


def family(folder: Path) -> list[int]:
    """Return the living processes of the bot that has the folder as its mark."""
    mark = f"{MARK}={folder}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
        except OSError:  # it has just died, or is somebody else's
            continue
    return found


def has_worker(folder: Path) -> bool:
    """Say whether a worker of the bot has begun to run: it leads a group of its own then."""
    return bool(workers(folder))


def workers(folder: Path) -> list[int]:
    """Return the workers of the bot that have begun to run."""
    return [pid for pid in family(folder) if _is_worker(pid)]


def _is_worker(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid and b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def loaded_libraries(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    [line] = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024
