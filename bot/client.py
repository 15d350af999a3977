"""The wiring: one client, its command tree, its workers, and how they start and stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
import logging
import signal
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TextIO

import aiofiles
import aiohttp
import discord
from discord import app_commands

from bot import care, library_commands, menus, settings, views
from bot.answers import answer_error
from bot.care import add_care
from bot.chores import do_chores
from bot.commands import add_commands
from bot.config import ConfigError
from bot.confinement import Limits
from bot.desk import MergeDesk
from bot.estimates import Estimates
from bot.files import claim, delete_orphans, http_fetch
from bot.forms import add_forms, answer_form
from bot.jobs import JobQueue
from bot.ledger import Ledger
from bot.library import Library
from bot.library_commands import add_library_commands
from bot.menus import add_menus
from bot.picks import Picks
from bot.policy import Policies
from bot.reach import confine
from bot.serving import Setup
from bot.settings import add_settings
from bot.store import Store
from bot.tasks import (
    MergerSettings,
    Rehearsal,
    clean_up,
    largest_file,
    make_merger,
)
from bot.workers import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bot.config import Config
    from bot.files import Fetch
    from bot.jobs import Runner
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult

log = logging.getLogger(__name__)

DATABASE = "vocal.sqlite3"
"""The file in the bot's directory with all its records."""

REHEARSALS = "rehearsals"
"""The folder in the bot's directory for what workers do ahead of their first job."""

_SEEN_AT_MOST = 1000
_FIRST = "came first"

COMPILED = "compiled"
"""The folder in the bot's directory for what workers' libraries compile and find out once."""

GOODBYE_S = 10.0
"""How long a stopping bot takes to tell the people who wait, in seconds."""


class Tree(app_commands.CommandTree["VocalClient"]):
    """The commands, and the one place where an error becomes an answer."""

    async def interaction_check(self, interaction: discord.Interaction[VocalClient], /) -> bool:
        """Remember who is being served, so that a stopping bot can wait for their answers.

        What comes a second time is not served again.
        """
        if not self.client.is_new(interaction):
            return False
        self.client.serve(asyncio.current_task())
        return True

    async def on_error(
        self, interaction: discord.Interaction[VocalClient], error: app_commands.AppCommandError, /
    ) -> None:
        """Answer an error in one sentence; the log has the rest under a reference code."""
        await answer_error(interaction, error)


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
        self._served: set[asyncio.Task[Any]] = set()
        self._seen: dict[int, None] = {}
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
        self._chores: asyncio.Task[None] | None = None
        self._store: Store | None = None
        self.policies = Policies(config)
        self.estimates = Estimates()
        self.library = Library(
            config.data_dir.absolute() / "library",
            self.policies,
            quota_bytes=config.library_bytes,
        )
        self.picks = Picks(config.data_dir.absolute() / "picks")
        self.desk = MergeDesk(self, fetch or self._fetch, edit_every_s=edit_every_s)
        add_commands(self.tree, self)
        add_menus(self.tree)
        add_forms(self.tree)
        add_library_commands(self.tree, self)
        add_settings(self.tree)
        add_care(self.tree, self)

    async def _fetch(self, url: str) -> AsyncIterator[bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        async for piece in http_fetch(self._session)(url):
            yield piece

    @property
    def store(self) -> Store:
        """The database; open from `setup_hook` on."""
        if self._store is None:
            raise RuntimeError("the database is opened when the bot starts")
        return self._store

    @property
    def ledger(self) -> Ledger:
        """What the bot has promised and done."""
        return Ledger(self.store)

    def serve(self, task: asyncio.Task[Any] | None) -> None:
        """Remember a task that answers somebody, so that a stopping bot can wait for it."""
        if task is not None:
            self._served.add(task)
            task.add_done_callback(self._served.discard)

    def is_new(self, interaction: discord.Interaction[Any]) -> bool:
        """Return whether an interaction came for the first time.

        Discord may send one again when the bot resumes its session after a broken connection.
        """
        if interaction.extras.get(_FIRST):
            return True
        if interaction.id in self._seen:
            log.info("an interaction came twice and is answered once")
            return False
        self._seen[interaction.id] = None
        if len(self._seen) > _SEEN_AT_MOST:
            del self._seen[next(iter(self._seen))]
        interaction.extras[_FIRST] = True
        return True

    async def setup_hook(self) -> None:
        """Open the books, clear away what a killed run left, and go on with what it had accepted.

        Raises
        ------
        ConfigError
            The data directory cannot be used, or the commands cannot be registered.
        """
        self._claim = await asyncio.to_thread(claim, self.config.data_dir)
        self._store = await Store.open(self.config.data_dir / DATABASE)
        await self.policies.load(self._store)
        await self.estimates.load(self._store)
        await self.library.load(self._store)
        await self.picks.load(self._store)
        still_needed = await self.desk.open_folders()
        jobs = self.config.data_dir / "jobs"
        orphans = await asyncio.to_thread(delete_orphans, jobs, still_needed)
        if orphans:
            log.info("deleted the files of %d jobs of an earlier run", orphans)
        await asyncio.to_thread(delete_orphans, self.config.data_dir / REHEARSALS)
        for module in (menus, views, care, settings, library_commands):
            self.add_dynamic_items(*module.DYNAMIC_ITEMS)
        self._chores = asyncio.create_task(do_chores(self))
        self._warming = asyncio.create_task(self._warm_up())
        await self.sync_if_changed()
        await self.desk.resume()

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

    async def on_interaction(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Answer a form that was sent; all else is answered by whatever it was made with."""
        if interaction.type is not discord.InteractionType.modal_submit or self.is_new(interaction):
            await answer_form(interaction)

    async def on_ready(self) -> None:
        """Say that the bot is there."""
        log.info("ready as %s in %d servers", self.user, len(self.guilds))

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """Keep no songs and no settings of a server that the bot has left."""
        await self.library.remove_guild(guild.id)
        await self.policies.reset(guild.id, None)

    async def close(self) -> None:
        """Take no more orders, tell the people who wait, end the workers, and leave."""
        if self._stopping is None:
            self._stopping = asyncio.create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        self.queue.close()
        self.desk.stop()
        served = self._served - {asyncio.current_task()}
        if served:
            await asyncio.wait(served, timeout=GOODBYE_S)
        for background in (self._warming, self._chores):
            if background is not None:
                background.cancel()
        for worker in self.workers:
            await worker.stop()
        await self.picks.close()
        if self._session is not None:
            await self._session.close()
        if self._store is not None:
            await self._store.close()
        if self._claim is not None:  # else the directory is another bot's
            await asyncio.to_thread(delete_orphans, self.config.data_dir / REHEARSALS)
            self._claim.close()
        await super().close()


def _merging_workers(config: Config) -> list[Worker[MergeTask | Rehearsal, MergeResult]]:
    data_dir = config.data_dir.absolute()
    settings = MergerSettings(
        model_dir=config.model_dir.absolute(),
        model_location=config.model_location,
        separator=config.separator,
        cache_dir=config.cache_dir.absolute(),
        cache_bytes=config.cache_bytes,
        log_level=config.log_level,
        longest_s=config.max_song_s,
        folders=(data_dir / "jobs", data_dir / REHEARSALS),
    )
    limits = Limits(
        memory_bytes=config.worker_memory_bytes,
        cpu_s=2 * config.job_timeout_s,  # as if two cores were busy all the time
        file_bytes=largest_file(config.max_song_s),
    )
    workers = []
    for number in range(config.workers):
        scratch = data_dir / REHEARSALS / str(number)
        # Processes that compile into one folder at the same time can crash.
        own = replace(settings, compiled_dir=data_dir / COMPILED / str(number))
        worker: Worker[MergeTask | Rehearsal, MergeResult] = Worker(
            functools.partial(make_merger, own),
            rehearsal=Rehearsal(folder=scratch),
            setup=Setup(limits=limits, confine=functools.partial(confine, own), scratch=scratch),
            clean_up=clean_up,
        )
        workers.append(worker)
    return workers


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
