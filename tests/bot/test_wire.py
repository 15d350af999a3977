"""What the simulated Discord leaves out: HTTP itself, multipart uploads, retries, a refused file.

The real discord.py talks to a small server on the loopback that answers as Discord's REST API.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web

from bot.client import VocalClient
from bot.workers import Worker
from pipeline.codec import decode
from pipeline.types import SAMPLE_RATE
from tests.audio_files import pitch_and_level
from tests.bot.loopback import (
    ALICE,
    APP,
    BAND,
    CHANNEL,
    MESSAGE,
    VOICE,
    Discord,
    a_merge,
    as_json,
    running_discord,
)
from tests.bot.works import HIGH_HZ, LOW_HZ, make_glue, make_sound
from tests.discord_schema import check_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from bot.config import Config


@pytest_asyncio.fixture
async def discord_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Discord]:
    async with running_discord() as discord:
        discord.cdn_opens.set()
        monkeypatch.setattr("discord.http.Route.BASE", f"{discord.url}/api/v10")
        yield discord
    for method, path, body in discord.requests:
        check_request(method, path, body)


@asynccontextmanager
async def logged_in(config: Config, make_work: Callable[[], Any]) -> AsyncIterator[VocalClient]:
    async with VocalClient(config, workers=[Worker(make_work)]) as one:
        await one.login("token")
        yield one


@pytest_asyncio.fixture
async def client(config: Config, discord_server: Discord) -> AsyncIterator[VocalClient]:
    async with logged_in(config, make_glue) as one:
        yield one


@pytest_asyncio.fixture
async def musical_client(config: Config, discord_server: Discord) -> AsyncIterator[VocalClient]:
    """A bot whose mash-ups are 70 s of sound."""
    async with logged_in(config, make_sound) as one:
        yield one


async def merge(client: VocalClient, discord: Discord) -> None:
    """Deliver the event and wait until the bot has dealt with it."""
    event: Any = a_merge(discord.url)
    client._connection.parse_interaction_create(event)
    async with asyncio.timeout(30):
        await asyncio.sleep(0.05)
        await asyncio.gather(*client._served)


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


ORIGINAL = f"/webhooks/{APP}/interaction-token/messages/{MESSAGE}"
TIDIED = ("PATCH", f"/channels/{CHANNEL}/messages/{MESSAGE}")
TOO_LARGE = "The mash-up is larger than what Discord takes here. Try shorter songs."


def jobs_dir(client: VocalClient) -> Path:
    return client.config.data_dir / "jobs"


def too_large() -> web.Response:
    return as_json({"code": 40005, "message": "Request entity too large"}, status=413)


async def test_a_file_that_is_too_large_becomes_an_excerpt(
    musical_client: VocalClient, discord_server: Discord, tmp_path: Path
) -> None:
    discord_server.refusals.append(too_large())
    await merge(musical_client, discord_server)
    refused, upload = discord_server.uploads
    assert (refused.name, len(refused.data)) == ("rapper x diva.wav", 44 + 70 * 16_000)
    assert upload.name == "rapper x diva (excerpt).mp3"
    assert upload.payload["content"] == (
        "Discord refused the whole file here (1:10) because of its size, so this is an excerpt of "
        "1:00 from 0:06 on; press the button for its highlight, or use a server with a higher "
        "upload limit."
    )
    assert upload.payload["embeds"] == refused.payload["embeds"]
    assert discord_server.requests[-1][:2] == ("PATCH", ORIGINAL)
    heard = tmp_path / "heard.mp3"
    heard.write_bytes(upload.data)
    song = decode(heard)
    assert song.title == "rapper x diva (excerpt)"
    assert song.duration_s == pytest.approx(60.0, abs=0.05)
    # The tone changes at 8 s of the mash-up; two bars before the voice it is 6 s.
    before, after = np.split(song.samples[0, : 4 * SAMPLE_RATE], 2)
    assert pitch_and_level(before[:-2205], SAMPLE_RATE)[0] == pytest.approx(LOW_HZ, abs=2.0)
    assert pitch_and_level(after[2205:], SAMPLE_RATE)[0] == pytest.approx(HIGH_HZ, abs=2.0)
    assert list(jobs_dir(musical_client).iterdir()) == []


async def test_an_excerpt_that_is_too_large_becomes_a_sentence(
    musical_client: VocalClient, discord_server: Discord
) -> None:
    discord_server.refusals += [too_large(), too_large()]
    await merge(musical_client, discord_server)
    assert [upload.name for upload in discord_server.uploads] == [
        "rapper x diva.wav",
        "rapper x diva (excerpt).mp3",
    ]
    method, path, body = discord_server.requests[-1]
    assert (method, path, body["content"]) == ("PATCH", ORIGINAL, TOO_LARGE)
    assert list(jobs_dir(musical_client).iterdir()) == []


async def test_where_no_excerpt_can_be_cut_a_sentence_comes_at_once(
    client: VocalClient, discord_server: Discord, caplog: pytest.LogCaptureFixture
) -> None:
    discord_server.refusals.append(too_large())
    await merge(client, discord_server)
    assert len(discord_server.uploads) == 1
    method, path, body = discord_server.requests[-1]
    assert (method, path, body["content"]) == ("PATCH", ORIGINAL, TOO_LARGE)
    assert "no excerpt can be offered: mashup.mp3 " in caplog.text
    assert list(jobs_dir(client).iterdir()) == []


async def test_a_dead_token_sends_the_excerpt_to_the_channel(
    musical_client: VocalClient, discord_server: Discord
) -> None:
    dead = {"code": 50027, "message": "Invalid Webhook Token"}
    discord_server.refusals += [as_json(dead, status=401), too_large()]
    await merge(musical_client, discord_server)
    *_, (method, path, body), (*tidied, news) = discord_server.requests
    assert tuple(tidied) == TIDIED
    assert news["content"] == "This took a while: the answer is further down."
    assert (method, path) == ("POST", f"/channels/{CHANNEL}/messages")
    assert discord_server.uploads[-1].name == "rapper x diva (excerpt).mp3"
    assert body["content"].startswith(f"<@{ALICE}> Discord refused the whole file here")


async def test_a_dead_token_sends_the_file_to_the_channel(
    client: VocalClient, discord_server: Discord
) -> None:
    discord_server.refusals.append(
        as_json({"code": 50027, "message": "Invalid Webhook Token"}, status=401)
    )
    await merge(client, discord_server)
    assert [upload.data for upload in discord_server.uploads] == [VOICE + BAND] * 2
    *_, (method, path, body), (*tidied, news) = discord_server.requests
    assert tuple(tidied) == TIDIED
    assert news["content"] == "This took a while: the answer is further down."
    assert (method, path) == ("POST", f"/channels/{CHANNEL}/messages")
    assert body["content"] == f"<@{ALICE}> Your mash-up is ready."
