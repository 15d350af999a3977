from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import aiohttp
import discord
import pytest
from discord import app_commands

from bot.client import VocalClient, serve
from bot.config import DAY_S, Config, ConfigError, read_config
from bot.jobs import CalledOffError
from bot.ledger import HOUR_S, MASHUPS_LIVE_S
from pipeline.recipe import OPTIONS
from tests.bot.processes import wait_until
from tests.bot.test_ledger import MASHUP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bot.conftest import ObedientWorker, Scene

COMMANDS = "/applications/*/commands"


NAMES = {
    "merge", "mash", "queue", "cancel", "library", "surprise", "settings", "health", "privacy",
    "forget", "Use as vocals", "Use as backing",
}  # fmt: skip
SONGS = ("vocals", "backing", "vocals_from", "backing_from")


async def test_every_command_is_registered(scene: Scene) -> None:
    [payload] = scene.sent("PUT", COMMANDS)
    assert {command["name"] for command in payload} == NAMES


async def test_commands_follow_the_recipe(scene: Scene) -> None:
    [payload] = scene.sent("PUT", COMMANDS)
    [merge] = [command for command in payload if command["name"] == "merge"]
    assert merge["integration_types"] == [0, 1]
    assert merge["contexts"] == [0, 1, 2]
    songs, options = merge["options"][: len(SONGS)], merge["options"][len(SONGS) :]
    assert [song["name"] for song in songs] == list(SONGS)
    assert [song.get("autocomplete", False) for song in songs] == [False, False, True, True]
    assert [option["name"] for option in options] == [option.name for option in OPTIONS]
    for sent, option in zip(options, OPTIONS, strict=True):
        assert not sent["required"]
        assert sent["description"].startswith(option.help[:90])
        assert [choice["value"] for choice in sent.get("choices", [])] == list(option.choices)
        if not option.choices:
            assert (sent["min_value"], sent["max_value"]) == (option.minimum, option.maximum)


def texts(value: Any) -> list[str]:
    """Return all that Discord counts of a command: names, descriptions and values of choices."""
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    if not isinstance(value, dict):
        return []
    own = [str(value[key]) for key in ("name", "description", "value") if value.get(key)]
    return own + [text for key in ("options", "choices") for text in texts(value.get(key))]


async def test_commands_keep_the_rules_that_the_schema_does_not_know(scene: Scene) -> None:
    [payload] = scene.sent("PUT", COMMANDS)
    assert len({(command["type"], command["name"]) for command in payload}) == len(payload)
    for command in payload:
        assert sum(map(len, texts(command))) <= 8000
        if command["type"] == 1:
            assert re.fullmatch(r"[a-z0-9_-]{1,32}", command["name"])
        for options in option_lists(command):
            names = [option["name"] for option in options]
            assert len(set(names)) == len(names) <= 25
            assert all(re.fullmatch(r"[a-z0-9_-]{1,32}", name) for name in names)
            needed = [bool(option.get("required")) for option in options]
            assert needed == sorted(needed, reverse=True)  # required ones come first


def option_lists(command: Any) -> list[Any]:
    """Return the options of a command and of all its subcommands."""
    options = command.get("options") or []
    return [options, *(found for option in options for found in option_lists(option))]


async def test_workers_get_ready_with_the_bot(scene: Scene) -> None:
    assert scene.hands.started


async def test_intents_ask_for_no_privilege(scene: Scene) -> None:
    intents = scene.client.intents
    privileged = ("message_content", "members", "presences")
    assert [name for name in privileged if getattr(intents, name)] == []


async def test_commands_are_registered_again_only_when_they_changed(
    scene: Scene, config: Config, hands: ObedientWorker
) -> None:
    await scene.restart(VocalClient(config, workers=[hands]))
    assert len(scene.sent("PUT", COMMANDS)) == 1

    changed = VocalClient(config, workers=[hands])

    @app_commands.command(name="new", description="one more")
    async def new(interaction: discord.Interaction[Any]) -> None:
        await interaction.response.send_message("here")

    changed.tree.add_command(new)
    await scene.restart(changed)
    assert [len(sent) for sent in scene.sent("PUT", COMMANDS)] == [len(NAMES), len(NAMES) + 1]


async def test_a_development_server_gets_commands_of_its_own(
    scene: Scene, config: Config, hands: ObedientWorker
) -> None:
    settings = {
        "DISCORD_TOKEN": "token",
        "DATA_DIR": str(config.data_dir),
        "DEV_GUILD_ID": str(scene.guild.id),
    }
    await scene.restart(VocalClient(read_config(settings), workers=[hands]))
    [payload] = scene.sent("PUT", f"/applications/*/guilds/{scene.guild.id}/commands")
    assert len(payload) == len(NAMES)


async def test_a_development_server_without_the_bot_is_named(
    scene: Scene, config: Config, hands: ObedientWorker
) -> None:
    settings = {"DISCORD_TOKEN": "t", "DATA_DIR": str(config.data_dir), "DEV_GUILD_ID": "7"}
    scene.env.inject_error("PUT", "/applications/*/guilds/7/commands", status=403, code=50001)
    uninvited = VocalClient(read_config(settings), workers=[hands])
    with pytest.raises(ConfigError, match="DEV_GUILD_ID"):
        await scene.restart(uninvited)
    await uninvited.close()


async def test_starting_deletes_what_a_killed_run_left(
    scene: Scene, config: Config, hands: ObedientWorker
) -> None:
    orphan = scene.jobs_dir / "abc123"
    orphan.mkdir(parents=True)
    (orphan / "vocals.mp3").write_bytes(b"left behind")
    await scene.restart(VocalClient(config, workers=[hands]))
    assert scene.files() == []


async def test_a_full_disk_does_not_end_the_chores(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def full(_now: float) -> int:
        nonlocal asked
        asked += 1
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(scene.client.library, "expire", full)
    await scene.env.advance_time(2 * 3600 + 60)
    assert asked == 2


def keep_a_piece(config: Config, *, used_s_ago: float) -> Path:
    """Put an entry into the cache; stands for what a merge has worked out."""
    entry = config.cache_dir.absolute() / "entries" / f"{used_s_ago:064.0f}"
    entry.mkdir(parents=True)
    used_at = time.time() - used_s_ago
    os.utime(entry, (used_at, used_at))
    return entry


@pytest.mark.parametrize("keeps", [True, False])
async def test_what_was_kept_for_long_enough_goes_whether_anybody_comes_by_or_not(
    scene: Scene, config: Config, hands: ObedientWorker, *, keeps: bool
) -> None:
    config = replace(config, cache_bytes=10**9 if keeps else 0, cache_s=5 * DAY_S)
    old, new = (keep_a_piece(config, used_s_ago=DAY_S * days) for days in (6, 4))
    await scene.client.store.write(
        "INSERT INTO accepted (owner, guild_id, at) VALUES (7, 8, ?)", (time.time() - HOUR_S - 1,)
    )
    mashup = replace(MASHUP, made_at=time.time() - MASHUPS_LIVE_S - 1)
    await scene.client.ledger.keep_mashup(mashup)
    client = VocalClient(config, workers=[hands])
    await scene.restart(client)
    await wait_until(lambda: not old.exists() and new.exists() == keeps)
    assert await client.store.read("SELECT * FROM accepted") == []
    assert await client.ledger.mashup(mashup.id) is None


async def test_stopping_tells_the_people_who_wait(scene: Scene) -> None:
    scene.hands.gate.clear()
    running = await scene.merge()
    waiting = await scene.merge(scene.bob)
    await scene.client.close()
    for answer in (running, waiting):
        assert answer.response.content == (
            "The bot is being restarted: your merge goes on by itself in a minute."
        )
    assert scene.hands.stopped
    assert scene.client.is_closed()
    with pytest.raises(CalledOffError, match="restarted"):
        scene.client.queue.admit(1)
    await scene.client.close()


class Deaf(VocalClient):
    """A client that is connected to nothing, or fails to connect."""

    failure: Exception | None = None
    started = False

    async def start(self, token: str, *, reconnect: bool = True) -> None:
        self.started = True
        if self.failure is not None:
            raise self.failure
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(60)


async def test_sigterm_stops_cleanly(config: Config, hands: ObedientWorker) -> None:
    client = Deaf(config, workers=[hands])
    async with asyncio.timeout(10):
        await serve(client, "token")
    assert client.started
    assert client.is_closed()
    assert hands.stopped


@pytest.mark.parametrize("failure", [discord.LoginFailure("bad"), aiohttp.ClientError("off")])
async def test_a_failed_start_says_why(
    config: Config, hands: ObedientWorker, failure: Exception
) -> None:
    client = Deaf(config, workers=[hands])
    client.failure = failure
    with pytest.raises(type(failure)):
        await serve(client, "token")
    assert hands.stopped
