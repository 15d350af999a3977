"""The bot as people run it: a process of its own, on a Discord on the loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bot.loopback import APP, a_merge, a_queue, running_discord
from tests.bot.processes import (
    MARK,
    family,
    has_worker,
    loaded_libraries,
    resident_mb,
    wait_until,
)
from tests.discord_schema import check_request

if TYPE_CHECKING:
    from tests.bot.loopback import Discord

ROOT = Path(__file__).resolve().parents[2]
# Only the two addresses of Discord differ from `python -m bot`.
RUN = """
import sys
import discord, yarl
discord.http.Route.BASE = sys.argv[1] + "/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sys.argv[1].replace("http", "ws"))
from bot.__main__ import main
sys.exit(main())
"""
HEAVY = (
    "tensorflow",
    "openvino",
    "onnx",
    "numba",
    "llvmlite",
    "numpy",
    "scipy",
    "libav",
    "sndfile",
)
IDLE_MB = 120


async def start_bot(discord: Discord, folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        RUN,
        discord.url,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DISCORD_TOKEN": "token",
            MARK: str(folder),
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_sigterm_in_the_middle_of_a_merge(tmp_path: Path) -> None:
    async with running_discord() as discord:
        discord.events.append(a_merge(discord.url))
        bot = await start_bot(discord, tmp_path)
        async with asyncio.timeout(30):
            await discord.edited.wait()
        assert len(list((tmp_path / "data" / "jobs").iterdir())) == 1
        bot.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            _, log = await bot.communicate()
        assert bot.returncode == 0, log.decode()
        method, path, body = discord.requests[-1]
        assert (method, path) == ("PATCH", f"/webhooks/{APP}/interaction-token/messages/@original")
        assert body["content"] == "The bot is being restarted. Please try again in a minute."
        assert list((tmp_path / "data" / "jobs").iterdir()) == []
        assert b"Traceback" not in log
        assert b"told to stop" in log
    assert discord.close_code in {1000, 4000}  # a close frame, where a broken connection has 1006
    for method, path, body in discord.requests:
        check_request(method, path, body)


async def test_the_first_answer_waits_for_nothing_heavy(tmp_path: Path) -> None:
    async with running_discord() as discord:
        discord.events.append(a_queue(discord.url))
        bot = await start_bot(discord, tmp_path)
        async with asyncio.timeout(30):
            await discord.answered.wait()
        await wait_until(lambda: has_worker(tmp_path))
        libraries, memory_mb = loaded_libraries(bot.pid), resident_mb(bot.pid)
        bot.terminate()
        _, log = await bot.communicate()
    assert bot.returncode == 0, log.decode()
    assert [name for name in HEAVY if name in libraries] == []
    assert "libssl" in libraries  # the probe itself works
    assert memory_mb < IDLE_MB
    assert family(tmp_path) == []
    assert b"warm up" not in log  # nothing is wrong with the worker that was on its way
    assert list((tmp_path / "data" / "rehearsals").glob("*")) == []


async def test_nothing_is_left_of_a_bot_that_was_killed(tmp_path: Path) -> None:
    async with running_discord() as discord:
        bot = await start_bot(discord, tmp_path)
        await wait_until(lambda: has_worker(tmp_path))
        bot.kill()
        await bot.communicate()
        await wait_until(lambda: not family(tmp_path))
