"""Rounds of many people on one bot, a process of its own on a Discord on the loopback."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench.memory import held_kb, megabytes
from benchmarks.bench.network import ROOT
from benchmarks.crowd.figures import Press
from benchmarks.crowd.loopback import running_crowd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.crowd.loopback import CrowdDiscord, Heard

BUSY_SERVER = 0
"""The server of a third of all people; the others share the rest."""

# Differs from `python -m bot` in the two addresses of Discord and in what its workers do.
_RUN = """
import functools, sys
url, seconds = sys.argv[1:]
import discord, yarl
discord.http.Route.BASE = url + "/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url.replace("http", "ws"))
import bot.client
from benchmarks.crowd.work import make_sleeper
bot.client.make_merger = functools.partial(make_sleeper, float(seconds))
from bot.__main__ import main
sys.exit(main())
"""

_LOOK_S = 0.05
_SETTLE_S = 3.0  # its worker starts in the background
_PATIENCE_S = 60.0  # without any new answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who presses.

    Attributes
    ----------
    people, servers
        How many there are.
    spread_s
        Within how many seconds all of them press once.
    work_s
        How long the one worker sleeps for each, in seconds.
    rounds
        How often this happens, each time with people who were not there before.
    """

    people: int
    servers: int
    spread_s: float
    work_s: float
    rounds: int

    @property
    def queue_limit(self) -> int:
        """How many jobs the bot has to take in for nobody to be refused."""
        return 2 * self.people

    def presses(self, number: int) -> list[tuple[float, int]]:
        """Return when people press in a round, in seconds from its start, and in which server."""
        chance = random.Random(number)  # noqa: S311 - nothing is secret
        rest = self.people - self.people // 3
        servers = [BUSY_SERVER] * (self.people // 3)
        servers += [1 + n % (self.servers - 1) for n in range(rest)]
        chance.shuffle(servers)
        times = sorted(chance.uniform(0.0, self.spread_s) for _ in servers)
        return list(zip(times, servers, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of one round.

    Attributes
    ----------
    presses
        All that were acknowledged and answered.
    lost
        What the reply says to those who were not.
    twice, wrong
        How many were acknowledged or answered more than once, and with other people's songs.
    edits
        When replies were edited, in seconds.
    memory_mb
        What the bot held after each quarter of the answers, and before the first.
    files_left
        How many files of jobs there were at the end.
    """

    presses: Sequence[Press]
    lost: Sequence[str]
    twice: int
    wrong: int
    edits: Sequence[float]
    memory_mb: Sequence[float]
    files_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of all rounds.

    Attributes
    ----------
    rounds
        Each by itself.
    elsewhere
        What the bot asked Discord for that had to do with no press.
    exit_code
        How the bot ended.
    complaints
        Lines of its log that are no plain information.
    """

    rounds: Sequence[Round]
    elsewhere: Sequence[str]
    exit_code: int
    complaints: Sequence[str]


class NoBotError(Exception):
    """The bot ended before it had connected; says what its log has."""


async def run(crowd: Crowd, folder: Path) -> Outcome:
    """Start a bot in an empty folder, let the crowd press, and stop it."""
    log = folder / "log"
    async with running_crowd(crowd.servers) as discord:
        with log.open("wb") as file:
            bot = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-c", _RUN, discord.url, str(crowd.work_s)),
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "DISCORD_TOKEN": "token",
                    "QUEUE_LIMIT": str(crowd.queue_limit),
                },
                stdout=asyncio.subprocess.DEVNULL,
                stderr=file,
            )
        try:
            ended, ready = (asyncio.ensure_future(on) for on in (bot.wait(), discord.ready.wait()))
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done():
                raise NoBotError(log.read_text(encoding="utf-8"))
            await asyncio.sleep(_SETTLE_S)
            jobs_dir = folder / "data" / "jobs"
            rounds = [
                await _one_round(crowd, number, discord, bot, jobs_dir)
                for number in range(crowd.rounds)
            ]
        finally:
            if bot.returncode is None:
                bot.send_signal(signal.SIGTERM)
            exit_code = await bot.wait()
    lines = log.read_text(encoding="utf-8").splitlines()
    return Outcome(
        rounds=rounds,
        elsewhere=discord.elsewhere,
        exit_code=exit_code,
        complaints=[line for line in lines if " INFO " not in line],
    )


async def _one_round(
    crowd: Crowd,
    number: int,
    discord: CrowdDiscord,
    bot: asyncio.subprocess.Process,
    jobs_dir: Path,
) -> Round:
    before, edits = discord.answers, len(discord.edits)
    first = number * crowd.people
    memory_mb = [_memory_mb(bot.pid)]
    async with asyncio.TaskGroup() as group:
        group.create_task(_press(discord, crowd.presses(number), first))
        for quarter in range(1, 5):
            await _until(bot, discord, before + quarter * crowd.people // 4)
            memory_mb.append(_memory_mb(bot.pid))
    await asyncio.sleep(1.0)  # what comes twice comes soon
    heard = [discord.heard[first + n] for n in range(crowd.people)]
    return Round(
        presses=[_press_of(one) for one in heard if one.acknowledged_at and one.answered_at],
        lost=[one.said for one in heard if not (one.acknowledged_at and one.answered_at)],
        twice=sum(max(len(one.acknowledged_at), len(one.answered_at)) > 1 for one in heard),
        wrong=sum(one.wrong for one in heard),
        edits=discord.edits[edits:],
        memory_mb=memory_mb,
        files_left=await asyncio.to_thread(_count_files, jobs_dir),
    )


async def _press(discord: CrowdDiscord, presses: Sequence[tuple[float, int]], first: int) -> None:
    start = time.perf_counter()
    for number, (when_s, server) in enumerate(presses, start=first):
        await asyncio.sleep(start + when_s - time.perf_counter())
        await discord.press(number, server)


async def _until(bot: asyncio.subprocess.Process, discord: CrowdDiscord, answers: int) -> None:
    """Wait for so many answers, for the bot's end, or until none has come for too long."""
    seen, since = discord.answers, time.perf_counter()
    while discord.answers < answers and time.perf_counter() - since < _PATIENCE_S:
        if bot.returncode is not None:
            return
        await asyncio.sleep(_LOOK_S)
        if discord.answers > seen:
            seen, since = discord.answers, time.perf_counter()


def _press_of(heard: Heard) -> Press:
    return Press(
        server=heard.server,
        sent_at=heard.sent_at,
        acknowledged_at=heard.acknowledged_at[0],
        answered_at=heard.answered_at[0],
        estimated_at=heard.estimated_at,
        estimate=heard.estimate,
    )


def _count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def _memory_mb(pid: int) -> float:
    return megabytes(held_kb(pid, "VmRSS"))
