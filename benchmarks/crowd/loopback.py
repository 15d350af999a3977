"""A Discord on the loopback with many servers, which notes when who was answered."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web
from discord import Permissions
from discord.utils import time_snowflake

from benchmarks.crowd.figures import seconds_in
from tests.bot.loopback import A_MESSAGE, AN_APPLICATION, APP, BOT, a_user, as_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SONG_BYTES = 64 * 1024
HEARTBEAT, IDENTIFY, HEARTBEAT_ACK = 1, 2, 11
_HEARTBEAT_MS = 10_000
_FIRST_SERVER, _FIRST_PERSON = 5_000_000, 6_000_000
_FIRST_CHANNEL, _FIRST_REPLY = 7_000_000, 8_000_000
_MAY = str(
    Permissions(view_channel=True, send_messages=True, attach_files=True, embed_links=True).value
)


@dataclass
class Heard:
    """What the bot said to one press; times in seconds on `time.perf_counter`'s clock.

    Attributes
    ----------
    server
        Where it was pressed.
    sent_at
        When it was sent to the bot.
    acknowledged_at, answered_at
        When answers to the press, and mash-ups, arrived; one each, if all is well.
    said
        What the reply says at the moment.
    estimated_at, estimate
        When it first said how long it would take, and its words then.
    wrong
        Mash-ups of somebody else's songs.
    """

    server: int
    sent_at: float
    acknowledged_at: list[float] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    said: str = ""
    estimated_at: float | None = None
    estimate: str = ""
    wrong: int = 0


class CrowdDiscord:
    """The server's side.

    Parameters
    ----------
    servers
        How many there are.

    Attributes
    ----------
    url
        Where it is.
    heard
        What was said to each press, by its number.
    edits
        When the bot edited replies, in seconds on `time.perf_counter`'s clock.
    elsewhere
        What it asked for besides that has to do with no press: messages in channels.
    ready
        Set once a bot has connected.
    """

    def __init__(self, servers: int) -> None:
        self.url = ""
        self.heard: dict[int, Heard] = {}
        self.edits: list[float] = []
        self.elsewhere: list[str] = []
        self.ready = asyncio.Event()
        self._servers = servers
        self._socket: web.WebSocketResponse | None = None
        self._sequence = 0

    @property
    def answers(self) -> int:
        """How many presses were answered with a mash-up."""
        return sum(bool(heard.answered_at) for heard in self.heard.values())

    async def press(self, number: int, server: int) -> None:
        """Send the event of one person who uses /merge with two songs of their own."""
        event = self._a_merge(number, server)
        self.heard[number] = Heard(server=server, sent_at=time.perf_counter())
        await self._send("INTERACTION_CREATE", event)

    async def _send(self, kind: str, event: dict[str, Any]) -> None:
        if self._socket is None or self._socket.closed:
            return  # there is no bot; whoever pressed will count as lost
        self._sequence += 1
        await self._socket.send_json({"op": 0, "s": self._sequence, "t": kind, "d": event})

    async def gateway(self, request: web.Request) -> web.WebSocketResponse:
        """Greet a bot, show it its servers, and answer its heartbeats."""
        self._socket = socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": _HEARTBEAT_MS}})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            op = json.loads(message.data)["op"]
            if op == HEARTBEAT:
                await asyncio.sleep(0.02)  # discord.py measures nonsense if it comes at once
                await socket.send_json({"op": HEARTBEAT_ACK})
            elif op == IDENTIFY:
                await self._send("READY", self._everything())
                for server in range(self._servers):
                    await self._send("GUILD_CREATE", a_server(server))
                self.ready.set()
        return socket

    def _everything(self) -> dict[str, Any]:
        return {
            "v": 10,
            "user": a_user(BOT, bot=True),
            "guilds": [
                {"id": str(_FIRST_SERVER + server), "unavailable": True}
                for server in range(self._servers)
            ],
            "session_id": "session",
            "resume_gateway_url": self.url.replace("http", "ws"),
            "application": {"id": APP, "flags": 0},
        }

    async def song(self, request: web.Request) -> web.Response:
        """Hand a song over, as the CDN does."""
        number, role = request.match_info["number"], request.match_info["role"]
        return web.Response(body=a_song(int(number), role))

    async def rest(self, request: web.Request) -> web.Response:
        """Take a request of the REST API that has to do with no press."""
        path = request.path.removeprefix("/api/v10")
        if path == "/users/@me":
            return as_json(a_user(BOT, bot=True))
        if path == "/oauth2/applications/@me":
            return as_json(AN_APPLICATION)
        if path.endswith("/commands"):
            return as_json([])
        self.elsewhere.append(f"{request.method} {path}")
        return as_json(A_MESSAGE)

    async def acknowledge(self, request: web.Request) -> web.Response:
        """Take the first answer to a press."""
        arrived = time.perf_counter()
        number = int(request.match_info["number"])
        self.heard[number].acknowledged_at.append(arrived)
        body = await request.json()
        self.heard[number].said = (body.get("data") or {}).get("content", "")
        said = {
            "id": request.match_info["id"],
            "type": 2,
            "response_message_id": str(_FIRST_REPLY + number),
            "response_message_loading": True,
            "response_message_ephemeral": False,
        }
        return as_json({"interaction": said})

    async def edit(self, request: web.Request) -> web.Response:
        """Take a change of the reply to a press: progress, or the mash-up."""
        arrived = time.perf_counter()
        number = int(request.match_info["number"])
        heard = self.heard[number]
        reply = {**A_MESSAGE, "id": str(_FIRST_REPLY + number)}
        self.edits.append(arrived)
        if request.content_type != "multipart/form-data":
            heard.said = (await request.json()).get("content") or ""
            if heard.estimated_at is None and seconds_in(heard.said):
                heard.estimated_at, heard.estimate = arrived, heard.said
            return as_json(reply)
        form = await request.post()
        file = form["files[0]"]
        assert isinstance(file, web.FileField)
        heard.answered_at.append(arrived)
        if file.file.read() != a_song(number, "voice") + a_song(number, "band"):
            heard.wrong += 1
        return as_json(reply)

    def _a_merge(self, number: int, server: int) -> dict[str, Any]:
        person = {**a_user(str(_FIRST_PERSON + number), bot=False), "public_flags": 0}
        channel = str(_FIRST_CHANNEL + server)
        # The bot reads from the number when the event was made.
        snowflake = time_snowflake(datetime.now(UTC)) + number
        songs = {str(10 * number + n): self._attachment(10 * number + n) for n in (1, 2)}
        vocals, backing = songs
        return {
            "id": str(snowflake),
            "application_id": APP,
            "type": 2,
            "token": f"press-{number}",
            "version": 1,
            "guild_id": str(_FIRST_SERVER + server),
            "guild": {"id": str(_FIRST_SERVER + server), "locale": "en-US", "features": []},
            "channel_id": channel,
            "channel": {"id": channel, "type": 0, "name": "mash-ups", "permissions": _MAY},
            "member": _a_member(person),
            "locale": "en-US",
            "guild_locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {"0": str(_FIRST_SERVER + server)},
            "app_permissions": _MAY,
            "attachment_size_limit": 10 * 1024**2,
            "context": 0,
            "data": {
                "id": "8",
                "name": "merge",
                "type": 1,
                "options": [
                    {"name": "vocals", "type": 11, "value": vocals},
                    {"name": "backing", "type": 11, "value": backing},
                ],
                "resolved": {"attachments": songs},
            },
        }

    def _attachment(self, snowflake: int) -> dict[str, Any]:
        number, which = divmod(snowflake, 10)
        role = "voice" if which == 1 else "band"
        url = f"{self.url}/cdn/{number}/{role}.mp3"
        return {
            "id": str(snowflake),
            "filename": f"{role}{number}.mp3",
            "size": SONG_BYTES,
            "url": url,
            "proxy_url": url,
        }


def a_song(number: int, role: str) -> bytes:
    """Return what one person attached, which is nobody else's."""
    return f"{role} {number} ".encode().ljust(SONG_BYTES, b".")


def a_server(server: int) -> dict[str, Any]:
    """Return what a bot is told of a server that it is in."""
    number = str(_FIRST_SERVER + server)
    everyone = {
        "id": number,
        "name": "@everyone",
        "permissions": _MAY,
        "position": 0,
        "color": 0,
        "hoist": False,
        "managed": False,
        "mentionable": False,
    }
    channel = {
        "id": str(_FIRST_CHANNEL + server),
        "type": 0,
        "name": "mash-ups",
        "position": 0,
        "permission_overwrites": [],
    }
    return {
        "id": number,
        "name": f"server {server}",
        "owner_id": str(_FIRST_PERSON),
        "roles": [everyone],
        "channels": [channel],
        "members": [_a_member(a_user(BOT, bot=True))],
        "member_count": 2,
        "premium_tier": 0,
        "unavailable": False,
    }


def _a_member(person: dict[str, Any]) -> dict[str, Any]:
    return {
        "user": person,
        "roles": [],
        "joined_at": "2026-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "flags": 0,
        "permissions": _MAY,
    }


@asynccontextmanager
async def running_crowd(servers: int) -> AsyncIterator[CrowdDiscord]:
    """Run the server on a free port."""
    discord = CrowdDiscord(servers)
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_get("/cdn/{number}/{role}.mp3", discord.song)
    app.router.add_get("/", discord.gateway)
    app.router.add_post("/api/v10/interactions/{id}/press-{number}/callback", discord.acknowledge)
    app.router.add_patch(
        f"/api/v10/webhooks/{APP}/press-{{number}}/messages/{{reply}}", discord.edit
    )
    app.router.add_route("*", "/api/v10/{rest:.*}", discord.rest)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    discord.url = f"http://{host}:{port}"
    try:
        yield discord
    finally:
        await runner.cleanup()
