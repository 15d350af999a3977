"""How the bot is doing, for whoever runs it: what there is to see, and how it is said."""

from __future__ import annotations

import asyncio
import math
import shutil
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import discord

from bot.cards import COLOUR, LONGEST_FIELD
from bot.jobs import JobState
from bot.privacy import count_words, size_words
from bot.render import clip, plain
from bot.workers import Worker
from pipeline.forgetting import Usage, usage
from pipeline.separate.weights import ModelSource, find_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.client import VocalClient
    from bot.config import Config
    from bot.ledger import Fault
    from bot.song_table import LibraryUsage

FAULTS_SHOWN = 5
KINDS = ("merge", "remix")
"""The kinds of jobs whose usual length is told."""

_LONGEST_SENTENCE = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHealth:
    """One worker.

    Attributes
    ----------
    pid
        Its process, or None while it has none.
    alive, busy
        Whether the process runs, and whether it has a task.
    """

    pid: int | None
    alive: bool
    busy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskHealth:
    """What is on the disk.

    Attributes
    ----------
    free_bytes
        Room that is left where the bot's directory is.
    cache
        The cache's entries.
    has_weights
        Whether Spleeter's weights are there, whole.
    """

    free_bytes: int
    cache: Usage
    has_weights: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What there is to see.

    Attributes
    ----------
    version
        The bot's.
    started_at
        When this run began, in seconds since 1970.
    servers
        How many the bot is in.
    latency_s
        How long Discord takes to answer a heartbeat, in seconds; not finite when nobody knows.
    workers
        Each of them.
    running, waiting, accepted, limit
        Jobs: at work, in line, in all, and at most.
    usual_s
        How long jobs of each kind take, in seconds; only kinds of which there were any.
    disk
        What is on it.
    cache_limit_bytes
        The most that the cache may take up.
    library
        What all libraries come to.
    database_bytes
        Size of the database.
    faults
        The last failures of our own, newest first.
    """

    version: str
    started_at: float
    servers: int
    latency_s: float
    workers: tuple[WorkerHealth, ...]
    running: int
    waiting: int
    accepted: int
    limit: int
    usual_s: Mapping[str, float]
    disk: DiskHealth
    cache_limit_bytes: int
    library: LibraryUsage
    database_bytes: int
    faults: tuple[Fault, ...]


async def examine(client: VocalClient, started_at: float) -> Health:
    """Look at everything; the disk and the processes in a thread."""
    config, jobs = client.config, client.queue.jobs
    usual = {kind: client.estimates.usual_s(kind) for kind in KINDS}
    [(database_bytes,)] = await client.store.read(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    )
    return Health(
        version=_version(),
        started_at=started_at,
        servers=len(client.guilds),
        latency_s=client.latency,
        workers=await asyncio.to_thread(look_at_workers, client.workers),
        running=sum(job.state is JobState.RUNNING for job in jobs),
        waiting=len(client.queue.waiting),
        accepted=len(jobs),
        limit=config.queue_limit,
        usual_s={kind: seconds for kind, seconds in usual.items() if seconds is not None},
        disk=await asyncio.to_thread(look_at_disk, config),
        cache_limit_bytes=config.cache_bytes,
        library=await client.library.usage(),
        database_bytes=database_bytes,
        faults=tuple(await client.ledger.faults(FAULTS_SHOWN)),
    )


def look_at_workers(workers: Sequence[object]) -> tuple[WorkerHealth, ...]:
    """Look at the processes; what does jobs without one of its own is not listed."""
    return tuple(
        WorkerHealth(pid=worker.pid, alive=worker.is_alive(), busy=worker.is_busy)
        for worker in workers
        if isinstance(worker, Worker)
    )


def look_at_disk(config: Config) -> DiskHealth:
    """Look at the files, without reading more of them than their sizes."""
    source = ModelSource(directory=config.model_dir.absolute())
    if config.model_location:
        source = replace(source, location=config.model_location)
    return DiskHealth(
        free_bytes=shutil.disk_usage(config.data_dir).free,
        cache=usage(config.cache_dir.absolute()),
        has_weights=find_weights(source) is not None,
    )


def _version() -> str:
    try:
        return version("vocal")
    except PackageNotFoundError:
        return "of a folder that was not installed"


def health_embed(health: Health) -> discord.Embed:
    """Say how the bot is doing; no file names, no tokens, nobody's songs."""
    line = f"Up since <t:{health.started_at:.0f}:R>, in {count_words(health.servers, 'server')}"
    if math.isfinite(health.latency_s):
        line += f", {1000 * health.latency_s:.0f} ms from Discord"
    embed = discord.Embed(title=f"vocal {health.version}", description=f"{line}.", colour=COLOUR)
    for name, text in _parts(health).items():
        embed.add_field(name=name, value=clip(text, LONGEST_FIELD), inline=False)
    return embed


def _parts(health: Health) -> dict[str, str]:
    disk, library = health.disk, health.library
    usual = [f"{kind} {seconds:.0f} s" for kind, seconds in health.usual_s.items()]
    weights = "here and whole" if disk.has_weights else "not here"
    return {
        "Workers": "\n".join(map(_worker_line, health.workers)) or "None has a process of its own.",
        "Queue": (
            f"{health.running} running, {health.waiting} waiting; {health.accepted} of "
            f"{health.limit} places taken.\nUsual length: {', '.join(usual) or 'not known yet'}."
        ),
        "Disk": (
            f"{size_words(disk.free_bytes)} free. Cache: "
            f"{count_words(disk.cache.entries, 'entry', 'entries')}, "
            f"{size_words(disk.cache.bytes)} of {size_words(health.cache_limit_bytes)}. "
            f"Libraries: {count_words(library.songs, 'song')} in "
            f"{count_words(library.guilds, 'server')}, {size_words(library.bytes)}. "
            f"Database: {size_words(health.database_bytes)}."
        ),
        "Spleeter's weights": f"They are {weights}.",
        "Last failures": "\n".join(map(_fault_line, health.faults)) or "None.",
    }


def _worker_line(worker: WorkerHealth) -> str:
    if worker.pid is None:
        return "• not started"
    if not worker.alive:
        return f"• process {worker.pid} has died; the next job starts another"
    return f"• process {worker.pid}: {'busy' if worker.busy else 'idle'}"


def _fault_line(fault: Fault) -> str:
    said = f": {plain(clip(fault.sentence, _LONGEST_SENTENCE))}" if fault.sentence else ""
    return f"• `{fault.reference}` <t:{fault.at:.0f}:R> {plain(fault.kind)}{said}"
