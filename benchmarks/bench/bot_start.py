"""The bot as people run it, timed: a process of its own, on a Discord on the loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.bench.memory import held_kb, megabytes
from benchmarks.bench.network import ROOT
from benchmarks.bench.results import BotStart
from tests.bot.loopback import ALICE, APP, CHANNEL, a_user, running_discord

if TYPE_CHECKING:
    from benchmarks.bench.rounds import Tell
    from tests.bot.loopback import Discord

HEAVY = frozenset(
    {
        *("tensorflow", "keras", "spleeter", "onnx", "openvino"),
        *("librosa", "numba", "numpy", "scipy", "soundfile"),
    }
)
"""Modules that the bot's own process must not load."""

# Differs from `python -m bot` in the two addresses of Discord, and in that it writes down at its
# end what it had loaded.
_RUN = """
import atexit, pathlib, sys
url, list_of_modules = sys.argv[1:]
atexit.register(lambda: pathlib.Path(list_of_modules).write_text(" ".join(sys.modules)))
import discord, yarl
discord.http.Route.BASE = url + "/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws"))
from bot.__main__ import main
sys.exit(main())
"""

_LOOK_S = 0.002
_PATIENCE_S = 60.0
_SETTLE_S = 6.0  # its workers load in the background meanwhile


def measure_bot(runs: int, tell: Tell) -> BotStart:
    """Start the bot again and again; the first command waits for it when it connects."""
    found = []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            list_of_modules = Path(folder, "modules")
            answer_s, idle_mb = asyncio.run(_one_start(folder, list_of_modules))
            names = list_of_modules.read_text(encoding="utf-8").split()
        found.append((answer_s, idle_mb, {name.partition(".")[0] for name in names}))
        tell(f"bot: first command answered after {answer_s:.2f} s, {idle_mb:.0f} MB when idle")
    loaded = set[str]().union(*(modules for _, _, modules in found))
    return BotStart(
        answer_s=tuple(answer_s for answer_s, _, _ in found),
        idle_mb=tuple(idle_mb for _, idle_mb, _ in found),
        heavy=tuple(sorted(loaded & HEAVY)),
    )


async def _one_start(folder: str, list_of_modules: Path) -> tuple[float, float]:
    """Return seconds to the first answer, and MB when idle."""
    async with running_discord() as discord:
        discord.events.append(_a_queue_command())
        start = time.perf_counter()
        bot = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", _RUN, discord.url, str(list_of_modules)),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DISCORD_TOKEN": "token"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(_PATIENCE_S):
            while not _is_answered(discord):  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(_LOOK_S)
        answer_s = time.perf_counter() - start
        await asyncio.sleep(_SETTLE_S)
        idle_mb = megabytes(held_kb(bot.pid, "VmRSS"))
        bot.send_signal(signal.SIGTERM)
        async with asyncio.timeout(_PATIENCE_S):
            await bot.wait()
        return answer_s, idle_mb


def _is_answered(discord: Discord) -> bool:
    return any(path.endswith("/callback") for _, path, _ in discord.requests)


def _a_queue_command() -> dict[str, Any]:
    """Return the event that Discord sends when somebody uses /queue in a direct message."""
    return {
        "id": "9",
        "application_id": APP,
        "type": 2,
        "token": "interaction-token",
        "version": 1,
        "channel_id": CHANNEL,
        "channel": {"id": CHANNEL, "type": 1, "recipients": [a_user(ALICE)]},
        "user": a_user(ALICE),
        "locale": "en-US",
        "entitlements": [],
        "authorizing_integration_owners": {},
        "app_permissions": "0",
        "attachment_size_limit": 10 * 1024**2,
        "data": {"id": "8", "name": "queue", "type": 1, "options": []},
    }
