"""What the simulated Discord leaves out: HTTP itself, multipart uploads, retries, a refused file.

The real discord.py talks to a small server on the loopback that answers as Discord's REST API.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from aiohttp import web

from bot.client import VocalClient
from bot.workers import Worker
from tests.bot.loopback import (
    ALICE,
    APP,
    BAND,
    CHANNEL,
    VOICE,
    Discord,
    a_merge,
    as_json,
    running_discord,
)
from tests.bot.works import make_glue
from tests.discord_schema import check_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from bot.config import Config


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
    async with VocalClient(config, workers=[Worker(make_glue)]) as one:
        await one.login("token")
        yield one


async def merge(client: VocalClient, discord: Discord) -> None:
    """Deliver the event and wait until the bot has dealt with it."""
    event: Any = a_merge(discord.url)
    client._connection.parse_interaction_create(event)
    async with asyncio.timeout(30):
        await asyncio.sleep(0.05)
        await asyncio.gather(*client.served)


async def test_a_merge_over_http(client: VocalClient, discord_server: Discord) -> None:
    await merge(client, discord_server)
    [upload] = discord_server.uploads
    assert upload.name == "voice x band.mp3"
    assert upload.data == VOICE + BAND
    assert upload.payload["embeds"][0]["title"] == "voice x band"
    asked = [(method, path) for method, path, _ in discord_server.requests]
    assert asked[:4] == [
        ("GET", "/users/@me"),
        ("GET", "/oauth2/applications/@me"),
        ("PUT", f"/applications/{APP}/commands"),
        ("POST", "/interactions/9/interaction-token/callback"),
    ]


async def test_the_whole_file_is_sent_again_after_a_server_error(
    client: VocalClient, discord_server: Discord
) -> None:
    discord_server.refusals.append(web.Response(status=502))
    await merge(client, discord_server)
    assert [upload.data for upload in discord_server.uploads] == [VOICE + BAND] * 2


async def test_a_file_that_is_too_large_becomes_a_sentence(
    client: VocalClient, discord_server: Discord
) -> None:
    discord_server.refusals.append(
        as_json({"code": 40005, "message": "Request entity too large"}, status=413)
    )
    await merge(client, discord_server)
    assert len(discord_server.uploads) == 1
    method, path, body = discord_server.requests[-1]
    assert (method, path) == ("PATCH", f"/webhooks/{APP}/interaction-token/messages/@original")
    assert body["content"].startswith("The mash-up is larger than what Discord takes here.")


async def test_a_dead_token_sends_the_file_to_the_channel(
    client: VocalClient, discord_server: Discord
) -> None:
    discord_server.refusals.append(
        as_json({"code": 50027, "message": "Invalid Webhook Token"}, status=401)
    )
    await merge(client, discord_server)
    assert [upload.data for upload in discord_server.uploads] == [VOICE + BAND] * 2
    method, path, body = discord_server.requests[-1]
    assert (method, path) == ("POST", f"/channels/{CHANNEL}/messages")
    assert body["content"] == f"<@{ALICE}> Your mash-up is ready."
