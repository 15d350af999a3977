"""What other users of the machine may read of what the bot writes: nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.bot.loopback import a_merge, running_discord
from tests.bot.processes import wait_until
from tests.bot.test_process import start_bot, steps_of_jobs

if TYPE_CHECKING:
    from pathlib import Path


def modes(folder: Path) -> dict[str, int]:
    """Return the rights of all files and folders, the folder's own included."""
    paths = [folder, *folder.rglob("*")]
    return {str(path.relative_to(folder)): path.stat().st_mode & 0o777 for path in paths}


async def test_songs_and_records_are_for_the_bots_user_alone(tmp_path: Path) -> None:
    async with running_discord() as discord:
        discord.events.append(a_merge(discord.url))
        bot = await start_bot(discord, tmp_path)
        async with asyncio.timeout(30):
            await discord.edited.wait()  # the songs are being fetched
        await wait_until(lambda: steps_of_jobs(tmp_path) == ["accepted"])
        await wait_until(lambda: any(tmp_path.glob("data/jobs/*/vocals.mp3")))
        found = modes(tmp_path / "data")
        bot.terminate()
        await bot.communicate()
    assert bot.returncode == 0
    jobs = [name for name in found if name.startswith("jobs/") and name.endswith(".mp3")]
    assert len(jobs) == 1
    assert {".", "vocal.sqlite3", "vocal.sqlite3-wal", "lock"} <= found.keys()
    assert [name for name, mode in found.items() if mode & 0o077] == []
