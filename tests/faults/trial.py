"""One trial: so many people, a bot that is started again whenever it dies, and bad luck."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bot.faulty import FaultyDiscord, Way
from tests.bot.loopback import running
from tests.bot.processes import MARK, family, workers
from tests.faults.disk import FULL, NEARLY_FULL
from tests.faults.people import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DATABASE = Path("data") / "vocal.sqlite3"
WAYS_TO_THE_BOT = ("POST", "/interactions/*"), ("PATCH", "/webhooks/*"), ("POST", "/channels/*")
PATIENCE_S = 60.0
ALONE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What is tried.

    Attributes
    ----------
    seed
        The same seed makes the same bad luck, at about the same moments.
    people
        How many want a mash-up.
    spread_s
        Within how many seconds they press first.
    every_s
        How long good luck lasts at a time, in seconds, on average.
    """

    seed: int
    people: int
    spread_s: float
    every_s: float


@dataclass
class Outcome:
    """What came of it.

    Attributes
    ----------
    luck
        How often what went wrong.
    answers
        How many people were answered: with a mash-up, and with a sentence.
    complaints
        What is not as it must be.
    """

    luck: Counter[str]
    answers: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)


class Bot:
    """The bot's process, started again whenever it dies.

    Parameters
    ----------
    url
        Where its Discord is.
    folder
        Where it lives.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        self.ended_itself: list[int] = []

    async def keep_running(self) -> None:
        """Start it, again and again."""
        while True:
            with (self._folder / "log").open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    *("-m", "tests.faults.process", self._url),
                    cwd=self._folder,
                    env=os.environ | self._settings(),
                    stdout=log,
                    stderr=log,
                )
            code = await self._process.wait()
            if code != -signal.SIGKILL:
                self.ended_itself.append(code)
                return
            while family(self._folder):  # noqa: ASYNC110 - its workers die with it
                await asyncio.sleep(0.01)

    def _settings(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(ROOT),
            MARK: str(self._folder),
            "DISCORD_TOKEN": "token",
            "WORKERS": "2",
            "QUEUE_LIMIT": "1000",
            "MIN_FREE_MB": "1",
            "CACHE_MB": "0",
        }

    def kill(self) -> None:
        """Kill it as the system would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def kill_a_worker(self, chance: random.Random) -> None:
        """Kill one of its workers, whatever it does."""
        found = workers(self._folder)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)

    async def stop(self) -> int | None:
        """Stop it as a service manager would; return its exit code."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        return await self._process.wait()


class Luck:
    """What goes wrong, by chance.

    Parameters
    ----------
    discord, bot, folder
        Whom it hits.
    trial
        How often, and by which seed.
    """

    def __init__(self, discord: FaultyDiscord, bot: Bot, folder: Path, trial: Trial) -> None:
        self._discord, self._bot, self._folder = discord, bot, folder
        self._chance = random.Random(trial.seed)
        self._every_s = trial.every_s
        self.had: Counter[str] = Counter()
        self._misfortunes: dict[Callable[[], Coroutine[Any, Any, None]], int] = {
            self._killed_bot: 3,
            self._killed_worker: 3,
            self._full_disk: 2,
            self._nearly_full_disk: 1,
            self._rate_limit: 3,
            self._server_error: 3,
            self._cut_connection: 5,
            self._garbled_answer: 2,
            self._expired_token: 3,
            self._closed_channel: 2,
            self._cut_gateway: 2,
            self._reconnect: 1,
            self._forgotten_nonces: 1,
        }

    async def run(self) -> None:
        """Let things go wrong until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(self._chance.uniform(0.5, 1.5) * self._every_s)
                weights = list(self._misfortunes.values())
                [misfortune] = self._chance.choices(list(self._misfortunes), weights)
                self.had[misfortune.__name__.strip("_").replace("_", " ")] += 1
                await misfortune()
        finally:
            self._mend()

    def _mend(self) -> None:
        for flag in (FULL, NEARLY_FULL):
            (self._folder / flag).unlink(missing_ok=True)
        self._discord.faults.clear()
        self._discord.closed.clear()

    async def _killed_bot(self) -> None:
        self._bot.kill()

    async def _killed_worker(self) -> None:
        self._bot.kill_a_worker(self._chance)

    async def _full_disk(self) -> None:
        await self._for_a_moment(FULL)

    async def _nearly_full_disk(self) -> None:
        await self._for_a_moment(NEARLY_FULL)

    async def _for_a_moment(self, flag: Path) -> None:
        (self._folder / flag).touch()
        await asyncio.sleep(self._chance.uniform(0.2, 0.8))
        (self._folder / flag).unlink()

    def _fail(self, way: Way, times: int, **more: Any) -> None:
        method, pattern = self._chance.choice(WAYS_TO_THE_BOT)
        files = self._chance.choice((None, True, False))
        self._discord.fail(method, pattern, way, times=times, files=files, **more)

    async def _rate_limit(self) -> None:
        self._fail(Way.REFUSED, self._chance.randint(1, 3), retry_after_s=0.1)

    async def _server_error(self) -> None:
        self._fail(Way.REFUSED, self._chance.randint(1, 8), status=502)

    async def _cut_connection(self) -> None:
        self._fail(self._chance.choice((Way.CUT_BEFORE, Way.CUT_AFTER)), 1)

    async def _garbled_answer(self) -> None:
        self._fail(Way.GARBLED, 1)

    async def _expired_token(self) -> None:
        waiting = [one.token for one in self._discord.shown.values() if one.token]
        if waiting:
            why = self._chance.choice(((401, 50027), (404, 10015)))
            self._discord.dead[self._chance.choice(waiting[-10:])] = why

    async def _closed_channel(self) -> None:
        code = self._chance.choice((50001, 50013))
        self._discord.closed["POST", "/channels/5*"] = (403, code)
        await asyncio.sleep(self._chance.uniform(0.2, 1.0))
        self._discord.closed.clear()

    async def _cut_gateway(self) -> None:
        if self._discord.socket is not None and not self._discord.socket.closed:
            self._discord.invalid = self._chance.choice((None, None, True))
            self._discord.cut_gateway()

    async def _reconnect(self) -> None:
        if self._discord.socket is not None and not self._discord.socket.closed:
            await self._discord.ask_to_reconnect()

    async def _forgotten_nonces(self) -> None:
        self._discord.nonces_live = not self._discord.nonces_live


async def run(trial: Trial, folder: Path) -> Outcome:
    """Try it in an empty folder."""
    chance = random.Random(trial.seed + 1)
    people = [Person(number) for number in range(trial.people)]
    async with running(FaultyDiscord()) as discord:
        discord.cdn_opens.set()
        bot = Bot(discord.url, folder)
        luck = Luck(discord, bot, folder, trial)
        outcome = Outcome(luck.had)
        keeping = asyncio.create_task(bot.keep_running())
        presses = [
            asyncio.create_task(_press(person, discord, chance.uniform(0.0, trial.spread_s)))
            for person in people
        ]
        misfortune = asyncio.create_task(luck.run())
        try:
            await _until_answered(people, discord, folder, trial, misfortune)
        except TimeoutError:
            outcome.complaints.append(f"Jobs are open after {PATIENCE_S:g} s without any news.")
        finally:
            for task in (misfortune, *presses):
                task.cancel()
            await asyncio.wait({misfortune, *presses})
            code = await bot.stop()
            keeping.cancel()
            await _until_alone(folder)
    _judge(people, discord, outcome)
    if code or any(bot.ended_itself):
        outcome.complaints.append(f"The bot ended with {code}, and by itself {bot.ended_itself}.")
    outcome.complaints += left_behind(folder)
    return outcome


async def _until_alone(folder: Path) -> None:
    """Give what the bot had started the moment that it takes to end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ALONE_S):
            while family(folder):  # noqa: ASYNC110 - they are processes
                await asyncio.sleep(0.02)


async def _press(person: Person, discord: FaultyDiscord, after_s: float) -> None:
    await asyncio.sleep(after_s)
    await person.press_until_heard(discord)


async def _until_answered(
    people: list[Person],
    discord: FaultyDiscord,
    folder: Path,
    trial: Trial,
    misfortune: asyncio.Task[None],
) -> None:
    """Wait until everybody was answered; bad luck ends when nearly everybody was."""
    answered = 0
    nearly = 0.9 * trial.people
    while True:
        async with asyncio.timeout(PATIENCE_S):
            while (now := sum(one.has_all(discord) for one in people)) == answered:
                if answered == trial.people and not open_jobs(folder):
                    return
                await asyncio.sleep(0.05)
        answered = now
        if answered >= nearly:
            misfortune.cancel()


def open_jobs(folder: Path) -> int:
    """Return how many jobs the bot has not answered, by its own records."""
    with closing(sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)) as database:
        [(jobs,)] = database.execute("SELECT count(*) FROM jobs")
    return int(jobs)


def _judge(people: list[Person], discord: FaultyDiscord, outcome: Outcome) -> None:
    for person in people:
        complaint = person.complaint(discord)
        if complaint:
            outcome.complaints.append(complaint)
        if not person.has_all(discord):
            outcome.complaints.append(f"{person.number} was never answered.")
    for message in discord.shown.values():
        if message.answer:
            outcome.answers["a mash-up" if message.files else message.answer] += 1


def left_behind(folder: Path) -> list[str]:
    """Say what a bot has left that answered everybody and was stopped."""
    jobs = [path for path in (folder / "data" / "jobs").rglob("*") if path.is_file()]
    jobs += [path for path in (folder / "data" / "rehearsals").rglob("*") if path.is_file()]
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        [(verdict,)] = database.execute("PRAGMA integrity_check")
    left = [f"{len(jobs)} files were left: {jobs[:3]}."] if jobs else []
    left += [f"The database is damaged: {verdict}."] if verdict != "ok" else []
    left += [f"{open_jobs(folder)} jobs are open."] if open_jobs(folder) else []
    left += [f"Processes live on: {family(folder)}."] if family(folder) else []
    return left
