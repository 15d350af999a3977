from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.health import (
    DiskHealth,
    Health,
    WorkerHealth,
    health_embed,
    look_at_disk,
    look_at_workers,
)
from bot.ledger import Fault
from bot.song_table import LibraryUsage
from bot.workers import Worker
from pipeline.forgetting import Usage
from pipeline.separate.weights import RELEASE_URL, ModelSource
from tests.bot.works import Wish, make_deeds

if TYPE_CHECKING:
    from pathlib import Path

    import discord

    from bot.config import Config

MIB, GIB = 1 << 20, 1 << 30
QUIET = Health(
    version="0.1.0",
    started_at=1_800_000_000.4,
    servers=1,
    latency_s=0.0416,
    workers=(WorkerHealth(pid=None, alive=False, busy=False),),
    running=0,
    waiting=0,
    accepted=0,
    limit=20,
    usual_s={},
    disk=DiskHealth(free_bytes=12 * GIB, cache=Usage(entries=0, bytes=0), has_weights=False),
    cache_limit_bytes=4 * GIB,
    library=LibraryUsage(songs=0, bytes=0, guilds=0),
    database_bytes=40960,
    faults=(),
)


def fields(embed: discord.Embed) -> dict[str, str]:
    return {str(field.name): str(field.value) for field in embed.fields}


def test_a_bot_that_has_just_begun() -> None:
    embed = health_embed(QUIET)
    assert embed.title == "vocal 0.1.0"
    assert embed.description == "Up since <t:1800000000:R>, in 1 server, 42 ms from Discord."
    assert fields(embed) == {
        "Workers": "• not started",
        "Queue": "0 running, 0 waiting; 0 of 20 places taken.\nUsual length: not known yet.",
        "Disk": "12.0 GiB free. Cache: 0 entries, 0 KiB of 4.0 GiB. "
        "Libraries: 0 songs in 0 servers, 0 KiB. Database: 40 KiB.",
        "Spleeter's weights": "They are not here.",
        "Last failures": "None.",
    }


def test_a_busy_bot() -> None:
    busy = replace(
        QUIET,
        servers=3,
        latency_s=float("nan"),
        workers=(
            WorkerHealth(pid=12, alive=True, busy=True),
            WorkerHealth(pid=13, alive=True, busy=False),
            WorkerHealth(pid=14, alive=False, busy=False),
        ),
        running=1,
        waiting=2,
        accepted=4,
        usual_s={"merge": 41.4, "remix": 3.6},
        disk=DiskHealth(
            free_bytes=GIB // 2, cache=Usage(entries=1, bytes=370 * MIB), has_weights=True
        ),
        library=LibraryUsage(songs=1, bytes=3 * MIB, guilds=1),
        faults=(
            Fault(reference="AB12CD", at=1.8e9, kind="StageError", sentence="It *broke* @here"),
            Fault(reference="00FF11", at=1.7e9, kind="KeyError", sentence=""),
        ),
    )
    embed = health_embed(busy)
    said = fields(embed)
    assert embed.description == "Up since <t:1800000000:R>, in 3 servers."
    assert said["Workers"].splitlines() == [
        "• process 12: busy",
        "• process 13: idle",
        "• process 14 has died; the next job starts another",
    ]
    assert said["Queue"] == (
        "1 running, 2 waiting; 4 of 20 places taken.\nUsual length: merge 41 s, remix 4 s."
    )
    assert said["Disk"].startswith("512 MiB free. Cache: 1 entry, 370 MiB of 4.0 GiB. ")
    assert "Libraries: 1 song in 1 server, 3 MiB." in said["Disk"]
    assert said["Spleeter's weights"] == "They are here and whole."
    assert said["Last failures"].splitlines() == [
        "• `AB12CD` <t:1800000000:R> StageError: It \\*broke\\* @\u200bhere",
        "• `00FF11` <t:1700000000:R> KeyError",
    ]


def test_no_field_is_longer_than_discord_takes() -> None:
    faults = (Fault(reference="AB12CD", at=1.8e9, kind="E", sentence="*" * 4000),) * 5
    workers = (WorkerHealth(pid=1234567, alive=True, busy=False),) * 100
    embed = health_embed(replace(QUIET, faults=faults, workers=workers))
    assert max(map(len, fields(embed).values())) <= 1024
    assert len(embed) <= 6000


async def test_workers_are_looked_at_where_they_have_a_process() -> None:
    worker: Worker[Wish, Any] = Worker(make_deeds)
    assert look_at_workers([object(), worker]) == (WorkerHealth(pid=None, alive=False, busy=False),)
    await worker.start()
    assert look_at_workers([worker]) == (WorkerHealth(pid=worker.pid, alive=True, busy=False),)
    await worker.stop()


@pytest.mark.parametrize("elsewhere", [False, True])
def test_the_disk_is_looked_at(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, elsewhere: bool
) -> None:
    entry = config.cache_dir / "entries" / "key"
    entry.mkdir(parents=True)
    (entry / "1.raw").write_bytes(bytes(4097))
    asked: list[ModelSource] = []

    def find(source: ModelSource) -> Path | None:
        asked.append(source)
        return source.model_dir if elsewhere else None

    monkeypatch.setattr("bot.health.find_weights", find)
    found = look_at_disk(replace(config, model_location=str(tmp_path) if elsewhere else ""))
    assert found.cache == Usage(entries=1, bytes=3 * 4096)
    assert found.has_weights == elsewhere
    assert asked[0].directory == config.model_dir.absolute()
    assert asked[0].location == (str(tmp_path) if elsewhere else RELEASE_URL)
    assert found.free_bytes > 0


def test_weights_that_are_not_there_are_not_found(config: Config) -> None:
    config.data_dir.mkdir()
    assert not look_at_disk(config).has_weights
