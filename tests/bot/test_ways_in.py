"""Every way in where the simulated Discord does not reach, over HTTP: other people's servers,
groups and direct messages, where a bot can answer through the interaction's token alone."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot.client import VocalClient
from tests.bot import events, works
from tests.bot.loopback import APP, BAND, VOICE, Discord, running_discord
from tests.discord_schema import check_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.config import Config
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult

    Place = Callable[[dict[str, Any]], dict[str, Any]]

VOCALS, BACKING = ("voice.mp3", VOICE), ("band.wav", BAND)
CALLBACK = "/interactions/9/interaction-token/callback"
ORIGINAL = f"/webhooks/{APP}/interaction-token/messages/"
everywhere = pytest.mark.parametrize("place", events.PLACES, ids=lambda place: place.__name__)


class Glue:
    """Stands in for a worker's process."""

    progress = None

    async def start(self) -> None: ...

    async def run(self, task: MergeTask, *, deadline_s: float) -> MergeResult:
        assert deadline_s > 0
        return works.glue(task, print)

    async def stop(self) -> None: ...


@pytest_asyncio.fixture
async def discord_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Discord]:
    async with running_discord() as discord:
        discord.cdn_opens.set()
        monkeypatch.setattr("discord.http.Route.BASE", f"{discord.url}/api/v10")
        yield discord
    for method, path, body in discord.requests:
        check_request(method, path, body)


@pytest_asyncio.fixture
async def client(config: Config, discord_server: Discord) -> AsyncIterator[VocalClient]:
    async with VocalClient(config, workers=[Glue()]) as one:
        await one.login("token")
        discord_server.requests.clear()
        yield one


async def deliver(client: VocalClient, discord: Discord, event: Any) -> None:
    """Deliver an event and wait until the bot has dealt with it."""
    discord.answered.clear()
    client._connection.parse_interaction_create(event)
    async with asyncio.timeout(30):
        await discord.answered.wait()
        while client._served:
            await asyncio.gather(*client._served)


def asked(discord: Discord) -> list[tuple[str, str]]:
    return [(method, path) for method, path, _ in discord.requests]


def only_through_the_token(discord: Discord) -> bool:
    return all(path.startswith(("/interactions/", "/webhooks/")) for _, path in asked(discord))


@everywhere
async def test_merge(client: VocalClient, discord_server: Discord, place: Place) -> None:
    await deliver(
        client, discord_server, place(events.command(discord_server.url, VOCALS, BACKING))
    )
    assert asked(discord_server)[0] == ("POST", CALLBACK)
    assert only_through_the_token(discord_server)
    [upload] = discord_server.uploads
    assert upload.data == VOICE + BAND
    assert (await client.library.usage()).songs == 0  # a server without the bot has no library


@everywhere
async def test_menus(client: VocalClient, discord_server: Discord, place: Place) -> None:
    url = discord_server.url
    first = events.menu(url, "Use as backing", BACKING) | {"id": "10"}
    await deliver(client, discord_server, place(first))
    (_, _, acknowledged), (_, _, answer) = discord_server.requests
    assert acknowledged == {"type": 5, "data": {"flags": 64}}
    assert answer["content"].startswith("Got **band.wav** for the backing.")
    discord_server.requests.clear()
    await deliver(client, discord_server, place(events.menu(url, "Use as vocals", VOCALS)))
    assert discord_server.requests[0] == ("POST", CALLBACK, {"type": 5})
    assert only_through_the_token(discord_server)
    [upload] = discord_server.uploads
    assert upload.data == VOICE + BAND


async def test_a_song_waits_in_one_place(client: VocalClient, discord_server: Discord) -> None:
    url = discord_server.url
    first = events.menu(url, "Use as backing", BACKING)
    second = events.menu(url, "Use as vocals", VOCALS) | {"id": "10"}
    await deliver(client, discord_server, events.in_a_group(first))
    await deliver(client, discord_server, events.in_a_server_without_the_bot(second))
    assert discord_server.uploads == []
    assert len(await client.picks.of_person(3)) == 2


@everywhere
async def test_forms(client: VocalClient, discord_server: Discord, place: Place) -> None:
    files = {"vocals": VOCALS, "backing": BACKING}
    chosen = {"tempo": "vocals", "key": "keep", "arrange": "full"}
    await deliver(
        client, discord_server, place(events.form(discord_server.url, "mash", files, chosen))
    )
    assert discord_server.requests[0] == ("POST", CALLBACK, {"type": 5})
    assert only_through_the_token(discord_server)
    [upload] = discord_server.uploads
    assert upload.data == VOICE + BAND


async def test_a_refusal(client: VocalClient, discord_server: Discord) -> None:
    event = events.menu(discord_server.url, "Use as vocals", ("cover.png", b"x"))
    await deliver(client, discord_server, events.in_a_group(event))
    [(_, path, body)] = discord_server.requests
    assert path == CALLBACK
    assert body["data"]["flags"] == 64
    assert body["data"]["content"].startswith("There is no song in this message.")


async def test_where_nobody_can_be_told_it_ends_quietly(
    client: VocalClient, discord_server: Discord, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    discord_server.closed = {
        ("PATCH", ORIGINAL + "*"): (401, 50027),  # the token has died
        ("POST", "/channels/4/messages"): (403, 50001),  # the bot is not there
        ("PATCH", "/channels/4/messages/*"): (403, 50001),
        ("POST", "/channels/6/messages"): (403, 50007),  # and has no server with the person
    }
    event = events.command(discord_server.url, VOCALS, BACKING)
    await deliver(client, discord_server, events.in_a_server_without_the_bot(event))
    assert ("POST", "/channels/4/messages") in asked(discord_server)
    assert ("POST", "/channels/6/messages") in asked(discord_server)
    assert "nobody could be told" in caplog.text
    assert client.queue.jobs == ()
    assert list((client.config.data_dir / "jobs").iterdir()) == []
