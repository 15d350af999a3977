"""The bot as people run it: a process of its own, on a Discord on the loopback."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile as sf

from composer import compose
from pipeline.types import SAMPLE_RATE
from tests.bot.loopback import APP, MESSAGE, a_merge, a_press, a_queue, running_discord
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

pytestmark = pytest.mark.slow

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
        assert (method, path) == ("PATCH", f"/webhooks/{APP}/interaction-token/messages/{MESSAGE}")
        assert body["content"] == "The bot is being restarted. Please try again in a minute."
        assert list((tmp_path / "data" / "jobs").iterdir()) == []
        assert b"Traceback" not in log
        assert b"told to stop" in log
    assert discord.close_code in {1000, 4000}  # a close frame, where a broken connection has 1006
    for method, path, body in discord.requests:
        check_request(method, path, body)


def a_song(seed: int) -> bytes:
    file = io.BytesIO()
    song = compose(seed, duration_s=5.0, bpm=170.0 + seed, intro_bars=0)
    sf.write(file, song.mixture.T, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def steps_of_jobs(folder: Path) -> list[str]:
    """Return how far the bot's jobs have come, as it has written down."""
    records = folder / "data" / "vocal.sqlite3"
    if not records.exists():
        return []
    with closing(sqlite3.connect(f"file:{records}?mode=ro", uri=True)) as database:
        try:
            return [row[0] for row in database.execute("SELECT state FROM jobs")]
        except sqlite3.OperationalError:  # it is being made
            return []


async def test_a_killed_bot_goes_on_and_its_buttons_work(tmp_path: Path) -> None:
    async with running_discord() as discord:
        discord.songs = {"voice.mp3": a_song(3), "band.wav": a_song(4)}
        discord.cdn_opens.set()
        discord.events.append(a_merge(discord.url))
        bot = await start_bot(discord, tmp_path)
        await wait_until(lambda: steps_of_jobs(tmp_path) == ["ready"])
        bot.kill()
        await bot.communicate()
        assert discord.uploads == []
        await wait_until(lambda: not family(tmp_path))

        discord.events.clear()
        bot = await start_bot(discord, tmp_path)
        async with asyncio.timeout(60):
            await discord.delivered.wait()
            await wait_until(lambda: steps_of_jobs(tmp_path) == [])
            discord.delivered.clear()
            await discord.send(a_press(discord.uploads[0].payload, "louder"))
            await discord.delivered.wait()
            await wait_until(lambda: steps_of_jobs(tmp_path) == [])
        bot.terminate()
        _, log = await bot.communicate()
    assert bot.returncode == 0, log.decode()
    assert b"Traceback" not in log
    first, second = discord.uploads
    assert first.name == second.name == "voice x band.mp3"
    assert first.data != second.data
    assert "voice 2 LU louder" in str(second.payload["embeds"])
    assert list((tmp_path / "data" / "jobs").iterdir()) == []
    assert family(tmp_path) == []
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
