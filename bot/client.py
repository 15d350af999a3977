"""The wiring: one client, its command tree, its workers, and how they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import secrets
import signal
from typing import TYPE_CHECKING, Any, TextIO

import aiofiles
import aiohttp
import discord
from discord import app_commands

from bot import render
from bot.commands import add_commands
from bot.config import ConfigError
from bot.desk import MergeDesk
from bot.files import claim, delete_orphans, http_fetch
from bot.jobs import JobQueue
from bot.replies import Reply
from bot.tasks import MergerSettings, Rehearsal, make_merger
from bot.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.config import Config
    from bot.files import Fetch
    from bot.jobs import Runner
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult

log = logging.getLogger(__name__)

REHEARSALS = "rehearsals"
"""The folder in the bot's directory for what workers do ahead of their first job."""

GOODBYE_S = 10.0
"""How long a stopping bot takes to tell the people who wait, in seconds."""


class Tree(app_commands.CommandTree["VocalClient"]):
    """The commands, and the one place where an error becomes an answer."""

    async def interaction_check(self, _interaction: discord.Interaction[VocalClient], /) -> bool:
        """Remember who is being served, so that a stopping bot can wait for their answers."""
        task = asyncio.current_task()
        if task is not None:
            self.client.served.add(task)
            task.add_done_callback(self.client.served.discard)
        return True

    async def on_error(
        self, interaction: discord.Interaction[VocalClient], error: app_commands.AppCommandError, /
    ) -> None:
        """Answer an error in one sentence; the log has the rest under a reference code."""
        cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
        reference = secrets.token_hex(3).upper()
        if render.is_ours(cause):
            log.error("%s: a command failed", reference, exc_info=cause)
        else:
            log.info("refused: %s", cause)
        try:
            await Reply.to(interaction).refuse(render.error_sentence(cause, reference))
        except (discord.HTTPException, aiohttp.ClientError, OSError) as unsent:
            log.warning("%s: nobody could be told: %s", reference, unsent)


class VocalClient(discord.Client):
    """The bot.

    Parameters
    ----------
    config
        Its settings.
    workers
        What jobs run on; spawned processes that merge, unless a test says otherwise.
    fetch
        How attachments are read; over HTTP, unless a test says otherwise.
    edit_every_s
        How often a reply may be edited, in seconds.
    """

    def __init__(
        self,
        config: Config,
        *,
        workers: Sequence[Runner[MergeTask, MergeResult]] | None = None,
        fetch: Fetch | None = None,
        edit_every_s: float = 1.2,
    ) -> None:
        # discord.py warns of missing voice libraries; this bot never joins a voice channel.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        # Slash commands need no privileged intent; `guilds` keeps the cache of servers.
        super().__init__(
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            max_messages=None,
        )
        self.config = config
        self.tree = Tree(self)
        self.served: set[asyncio.Task[Any]] = set()
        self.workers = _merging_workers(config) if workers is None else workers
        self.queue: JobQueue[MergeTask, MergeResult] = JobQueue(
            self.workers,
            limit=config.queue_limit,
            limit_per_user=config.jobs_per_user,
            deadline_s=config.job_timeout_s,
        )
        self._claim: TextIO | None = None
        self._session: aiohttp.ClientSession | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._warming: asyncio.Task[None] | None = None
        self.desk = MergeDesk(config, self.queue, fetch or self._fetch, edit_every_s=edit_every_s)
        add_commands(self.tree, self.desk, self.queue)

    async def _fetch(self, url: str) -> AsyncIterator[bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        async for piece in http_fetch(self._session)(url):
            yield piece

    async def setup_hook(self) -> None:
        """Clear away what a killed run left, start the workers, and register the commands."""
        self._claim = await asyncio.to_thread(claim, self.config.data_dir)
        orphans = await asyncio.to_thread(delete_orphans, self.config.data_dir / "jobs")
        if orphans:
            log.info("deleted the files of %d jobs of an earlier run", orphans)
        await asyncio.to_thread(delete_orphans, self.config.data_dir / REHEARSALS)
        self._warming = asyncio.create_task(self._warm_up())
        await self.sync_if_changed()

    async def _warm_up(self) -> None:
        """Get the workers ready one after the other, which leaves the bot a core to answer on."""
        for worker in self.workers:
            await worker.start()
        log.info("the workers have warmed up")

    async def sync_if_changed(self) -> bool:
        """Register the commands with Discord unless it has these very ones already.

        Returns
        -------
        bool
            Whether they were registered; Discord allows 200 such creations a day.

        Raises
        ------
        ConfigError
            The bot has not been invited to the development server.
        """
        guild = None
        if self.config.dev_guild_id is not None:
            guild = discord.Object(self.config.dev_guild_id)
            self.tree.copy_global_to(guild=guild)
        commands = [command.to_dict(self.tree) for command in self.tree.get_commands(guild=guild)]
        everything = [self.application_id, self.config.dev_guild_id, commands]
        digest = hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
        path = self.config.data_dir / "commands.sha256"
        with contextlib.suppress(FileNotFoundError):
            async with aiofiles.open(path, encoding="ascii") as file:
                if await file.read() == digest:
                    return False
        try:
            await self.tree.sync(guild=guild)
        except discord.Forbidden as error:
            where = "in the server DEV_GUILD_ID" if guild is not None else "at all"
            invite = "invite it again with the scope applications.commands."
            raise ConfigError((f"The bot may not register commands {where}: {invite}",)) from error
        async with aiofiles.open(path, "w", encoding="ascii") as file:
            await file.write(digest)
        log.info("registered %d commands", len(commands))
        return True

    async def on_ready(self) -> None:
        """Say that the bot is there."""
        log.info("ready as %s in %d servers", self.user, len(self.guilds))

    async def close(self) -> None:
        """Take no more orders, tell the people who wait, end the workers, and leave."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self.queue.close()
        served = self.served - {asyncio.current_task()}
        if served:
            await asyncio.wait(served, timeout=GOODBYE_S)
        if self._warming is not None:
            self._warming.cancel()
        for worker in self.workers:
            await worker.stop()
        if self._session is not None:
            await self._session.close()
        if self._claim is not None:  # else the directory is another bot's
            await asyncio.to_thread(delete_orphans, self.config.data_dir / REHEARSALS)
            self._claim.close()
        await super().close()


def _merging_workers(config: Config) -> list[Worker[MergeTask | Rehearsal, MergeResult]]:
    settings = MergerSettings(
        model_dir=config.model_dir.absolute(),
        model_location=config.model_location,
        separator=config.separator,
        cache_dir=config.cache_dir.absolute(),
        cache_bytes=config.cache_bytes,
        log_level=config.log_level,
    )
    rehearsal = Rehearsal(folder=config.data_dir.absolute() / REHEARSALS)
    make_work = functools.partial(make_merger, settings)
    return [Worker(make_work, rehearsal=rehearsal) for _ in range(config.workers)]


async def serve(client: VocalClient, token: str) -> None:
    """Run a bot until it is told to stop by SIGTERM or SIGINT.

    Raises
    ------
    discord.LoginFailure
        Discord does not accept the token.
    aiohttp.ClientError
        Discord cannot be reached.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    async with client:
        running = asyncio.create_task(client.start(token))
        told = asyncio.create_task(stop.wait())
        await asyncio.wait({running, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if stop.is_set():
            log.info("told to stop")
        await client.close()
        if stop.is_set():
            running.cancel()
            await asyncio.wait({running})
    if not running.cancelled():
        running.result()
