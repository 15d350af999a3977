"""A Discord that answers back, with the bot in it and a worker that obeys the test."""

from __future__ import annotations

import asyncio
from collections import deque
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio

from bot.client import VocalClient
from bot.config import Config, read_config
from bot.jobs import JobQueue
from tests.bot import usage, works
from tests.discord_schema import check_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import discord
    from simcord.env import Env

    from bot.orders import Mashup
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult, Progress

BETWEEN_EDITS_S = 60.0  # longer than the Discord that answers back waits for things to settle


class Scene:
    """What the tests share: the bot, its world, and the hands that do its work."""

    def __init__(self, env: Env, client: VocalClient, hands: ObedientWorker | None = None) -> None:
        self.env = env
        self.client = client
        self.hands = hands or ObedientWorker()
        self.guild = env.create_guild()
        self.channel = self.guild.create_text_channel("mash-ups")
        self.alice = self.guild.add_member(env.create_user("alice"))
        self.bob = self.guild.add_member(env.create_user("bob"))
        self.jobs_dir = client.config.data_dir / "jobs"

    def sent(self, method: str, pattern: str) -> list[Any]:
        """Return the bodies of the bot's requests of one kind, in order."""
        return [
            request.json
            for request in self.env.http_requests
            if request.method == method and fnmatch(request.path, pattern)
        ]

    async def mashups_of(self, who: int) -> list[Mashup]:
        """Return all mash-ups that somebody may change."""
        rows = await self.client.store.read("SELECT id FROM mashups WHERE owner = ?", (who,))
        found = [await self.client.ledger.mashup(row["id"]) for row in rows]
        return [mashup for mashup in found if mashup is not None]

    async def restart(self, client: VocalClient) -> None:
        """Stop the bot and start another in the same world."""
        await self.client.close()
        await self.env.restart_bot(client)
        self.client = client

    async def slash(self, who: Any, name: str) -> tuple[str, bool]:
        """Have somebody use a command; return what was said and whether only they saw it."""
        answer = await who.slash(self.channel, name)
        return answer.response.content, answer.ephemeral

    def files(self) -> list[Path]:
        """Return everything on disk that belongs to a job."""
        return sorted(self.jobs_dir.rglob("*")) if self.jobs_dir.exists() else []

    async def merge(self, who: Any = None, **options: Any) -> Any:
        """Have somebody use /merge with two small files."""
        songs = {"vocals": ("rapper.mp3", b"voice"), "backing": ("diva.ogg", b"band")}
        return await (who or self.alice).slash(self.channel, "merge", **{**songs, **options})


class ObedientWorker:
    """Stands in for a worker's process: works until the test opens the gate."""

    def __init__(self) -> None:
        self.env: Env | None = None
        self.progress: Progress | None = None
        self.tasks: list[MergeTask] = []
        self.seen: list[tuple[bytes, bytes]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.work: Callable[[MergeTask], MergeResult] = lambda task: works.glue(task, print)
        self.started = self.stopped = False

    async def start(self) -> None:
        self.started = True

    async def run(self, task: MergeTask, *, deadline_s: float) -> MergeResult:
        assert self.env is not None
        self.tasks.append(task)
        self.seen.append((works.content(task.vocals), works.content(task.backing)))
        if not self.gate.is_set():
            await self.env.external_wait(self.gate.wait(), reason="the worker is working")
        return self.work(task)

    async def stop(self) -> None:
        self.stopped = True


class PatientQueue(JobQueue[Any, Any]):
    """A queue whose waiting jobs do not keep the simulated Discord from settling."""

    env: Env

    async def _wait(self, turn: asyncio.Future[Any]) -> Any:
        if turn.done():
            return turn.result()
        return await self.env.external_wait(turn, reason="another job runs")


def check_requests(env: Env) -> None:
    """Hold all that the bot sent to Discord's schema, and to its own promise to ping nobody."""
    for request in env.http_requests:
        check_request(request.method, request.path, request.json)
        if isinstance(request.json, dict):
            message = request.json.get("data") or request.json
            if message.get("content"):
                allowed = message["allowed_mentions"]
                assert allowed["parse"] == []
                assert len(allowed.get("users", ())) <= 1


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return read_config({"DISCORD_TOKEN": "token", "DATA_DIR": str(tmp_path / "data")})


def fetch_from(envs: deque[Env]) -> Callable[[str], AsyncIterator[bytes]]:
    """Return a fetch that reads what the simulated Discord has been given."""

    async def fetch(url: str) -> AsyncIterator[bytes]:
        blob = envs[0].backend.cdn.get(url)
        if blob is None:
            raise aiohttp.ClientError("404")
        for start in range(0, len(blob), 65536):
            yield blob[start : start + 65536]

    return fetch


@pytest.fixture
def envs() -> deque[Env]:
    return deque()


@pytest.fixture
def hands() -> ObedientWorker:
    return ObedientWorker()


@pytest.fixture
def simcord_bot(
    config: Config,
    envs: deque[Env],
    hands: ObedientWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> VocalClient:
    monkeypatch.setattr("bot.client.JobQueue", PatientQueue)
    answer = VocalClient.on_interaction

    async def noted(self: VocalClient, interaction: discord.Interaction[VocalClient]) -> None:
        usage.note_use(interaction)
        await answer(self, interaction)

    monkeypatch.setattr(VocalClient, "on_interaction", noted)
    client = VocalClient(
        config, workers=[hands], fetch=fetch_from(envs), edit_every_s=BETWEEN_EDITS_S
    )
    usage.note_offers(client)
    return client


@pytest_asyncio.fixture
async def scene(
    simcord_env: Env, simcord_bot: VocalClient, envs: deque[Env], hands: ObedientWorker
) -> AsyncIterator[Scene]:
    envs.append(simcord_env)
    hands.env = PatientQueue.env = simcord_env
    one = Scene(simcord_env, simcord_bot, hands)
    yield one
    await one.client.close()
    check_requests(simcord_env)
