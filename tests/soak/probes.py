"""What a running bot takes up, looked at from outside and, by SIGUSR1, from inside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from bot.picks import MOST_PICKS
from bot.song_table import PAIRS_REMEMBERED
from tests.bot.processes import family, resident_mb, wait_until

KEPT_ON_PURPOSE = frozenset({"mashups", "accepted"})
"""Tables whose rows stay for longer than a soak: 30 days, and two hours."""

LIMITED = {"faults": 50, "runs": 40, "surprises": PAIRS_REMEMBERED, "picks": MOST_PICKS}
"""The most rows that some tables may have; `runs` has 20 for each of two kinds."""

AGAIN_S = 0.1


def count_rows(folder: Path) -> dict[str, int]:
    """Return how many rows each table has."""
    path = folder / "data" / "vocal.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        names = [
            row[0]
            for row in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        return {
            name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in names
        }


def has_work(folder: Path) -> bool:
    """Return whether the bot has written down an order that it has not answered."""
    return count_rows(folder)["jobs"] > 0


async def sample(pid: int, folder: Path) -> dict[str, float]:
    """Measure a bot as soon as it has nothing to do."""
    seen = await _inside(pid, folder)
    while seen["jobs"]:  # it is being tidied up after
        await asyncio.sleep(AGAIN_S)
        seen = await _inside(pid, folder)
    rows = count_rows(folder)
    too_many = {name: rows[name] for name, most in LIMITED.items() if rows[name] > most}
    if too_many:
        raise OverflowError(f"more rows than there may be: {too_many}")
    free = KEPT_ON_PURPOSE | LIMITED.keys()
    process = Path(f"/proc/{pid}")
    open_things = _handles(process)
    sockets = sum(name.startswith("socket:") for name in open_things)
    return {
        "memory_mb": resident_mb(pid),
        "handles": len(open_things) - sockets,
        "connections": sockets,
        "threads": len(list(process.joinpath("task").iterdir())),
        "processes": len(family(folder)),
        "rows": sum(count for name, count in rows.items() if name not in free),
        "files": sum(path.is_file() for path in (folder / "data").rglob("*")),
        **seen,
    }


def _handles(process: Path) -> list[str]:
    """Return what a process has open: files by their paths, all else by its kind."""
    names = []
    for handle in process.joinpath("fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed a moment ago
            names.append(str(handle.readlink()))
    return names


async def _inside(pid: int, folder: Path) -> dict[str, float]:
    answer = folder / "look.json"
    answer.unlink(missing_ok=True)
    os.kill(pid, signal.SIGUSR1)
    await wait_until(answer.exists)
    seen: dict[str, float] = json.loads(answer.read_text(encoding="ascii"))
    return seen
