"""A Discord on the loopback: as much of REST v10, the CDN and the gateway as the tests need."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BOT, APP, ALICE, CHANNEL, MESSAGE, DIRECT = "1", "2", "3", "4", "5", "6"
IDENTIFY = 2
VOICE, BAND = b"v" * 300_000, b"b" * 200_000


@dataclass
class Upload:
    """One multipart request, taken apart."""

    payload: Any
    name: str
    data: bytes


@dataclass
class Discord:
    """The server's side: what it was asked, and what it has been told to answer."""

    url: str = ""
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    refusals: list[web.Response] = field(default_factory=list)
    closed: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    """Methods and patterns of paths that are refused, with the status and Discord's own code."""
    events: list[dict[str, Any]] = field(default_factory=list)
    cdn_opens: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    edited: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: asyncio.Event = field(default_factory=asyncio.Event)
    songs: dict[str, bytes] = field(default_factory=lambda: {"voice.mp3": VOICE, "band.wav": BAND})
    socket: web.WebSocketResponse | None = None
    sent: int = 0
    close_code: int | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """Take any request of the REST API."""
        path = request.path.removeprefix("/api/v10")
        body = await self._body(request)
        self.requests.append((request.method, path, body))
        if request.method == "PATCH":
            self.edited.set()
        if self.uploads and request.content_type == "multipart/form-data" and self.refusals:
            return self.refusals.pop(0)
        for (method, pattern), (status, code) in self.closed.items():
            if request.method == method and fnmatch(path, pattern):
                return as_json({"code": code, "message": "refused"}, status=status)
        if path.endswith("/callback"):
            self.answered.set()
            return as_json(
                {
                    "interaction": {
                        "id": "9",
                        "type": 2,
                        "response_message_id": MESSAGE,
                        "response_message_loading": True,
                        "response_message_ephemeral": False,
                    }
                }
            )
        return as_json([] if path.endswith("/commands") else FIXED.get(path, A_MESSAGE))

    async def _body(self, request: web.Request) -> Any:
        if request.content_type != "multipart/form-data":
            text = await request.text()
            return json.loads(text) if text else None
        form = await request.post()
        payload = json.loads(str(form["payload_json"]))
        file = form["files[0]"]
        assert isinstance(file, web.FileField)
        self.uploads.append(Upload(payload, file.filename, file.file.read()))
        self.delivered.set()
        return payload

    async def gateway(self, request: web.Request) -> web.WebSocketResponse:
        """Greet a bot that connects, hand it the events, and note how it leaves."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 45_000}})
        async for message in socket:
            if message.type is WSMsgType.TEXT and json.loads(message.data)["op"] == IDENTIFY:
                await socket.send_json({"op": 0, "s": 1, "t": "READY", "d": self.ready()})
                self.socket, self.sent = socket, 1
                for event in self.events:
                    await self.send(event)
        self.close_code = socket.close_code
        return socket

    async def send(self, event: dict[str, Any]) -> None:
        """Tell the bot that somebody used it."""
        assert self.socket is not None
        self.sent += 1
        message = {"op": 0, "s": self.sent, "t": "INTERACTION_CREATE", "d": event}
        await self.socket.send_json(message)

    def ready(self) -> dict[str, Any]:
        """Return what a bot in no server is told at first."""
        return {
            "v": 10,
            "user": a_user(BOT, bot=True),
            "guilds": [],
            "session_id": "session",
            "resume_gateway_url": self.url.replace("http", "ws"),
            "application": {"id": APP, "flags": 0},
        }

    async def attachment(self, request: web.Request) -> web.Response:
        """Hand an attachment over, as the CDN does, once the test lets it."""
        await self.cdn_opens.wait()
        return web.Response(body=self.songs[request.match_info["name"]])


Some = TypeVar("Some", bound=Discord)


def as_json(value: Any, *, status: int = 200) -> web.Response:
    # discord.py compares the whole header: a charset would make it plain text.
    return web.Response(
        body=json.dumps(value).encode(), status=status, content_type="application/json"
    )


def a_user(number: str, *, bot: bool = False) -> dict[str, Any]:
    return {
        "id": number,
        "username": f"user{number}",
        "discriminator": "0",
        "avatar": None,
        "global_name": None,
        "bot": bot,
    }


AN_APPLICATION = {
    "id": APP,
    "name": "vocal",
    "description": "",
    "icon": None,
    "bot_public": True,
    "bot_require_code_grant": False,
    "owner": a_user(ALICE),
    "verify_key": "",
    "team": None,
    "flags": 0,
}
FIXED = {
    "/users/@me": a_user(BOT, bot=True),
    "/oauth2/applications/@me": AN_APPLICATION,
    "/users/@me/channels": {"id": DIRECT, "type": 1, "recipients": [a_user(ALICE)]},
}
"""What is answered the same whenever it is asked."""
A_MESSAGE = {
    "id": MESSAGE,
    "channel_id": CHANNEL,
    "author": a_user(BOT, bot=True),
    "content": "",
    "timestamp": "2026-01-01T00:00:00+00:00",
    "edited_timestamp": None,
    "tts": False,
    "mention_everyone": False,
    "mentions": [],
    "mention_roles": [],
    "attachments": [],
    "embeds": [],
    "pinned": False,
    "type": 0,
}


def a_queue(url: str) -> dict[str, Any]:
    """Return the event that Discord sends when somebody uses /queue in a direct message."""
    return a_merge(url) | {"data": {"id": "8", "name": "queue", "type": 1, "options": []}}


def a_merge(url: str) -> dict[str, Any]:
    """Return the event that Discord sends when somebody uses /merge in a direct message."""
    songs = {
        number: {
            "id": number,
            "filename": name,
            "size": len(data),
            "url": f"{url}/cdn/{name}",
            "proxy_url": f"{url}/cdn/{name}",
        }
        for number, name, data in (("11", "voice.mp3", VOICE), ("12", "band.wav", BAND))
    }
    return {
        "id": "9",
        "application_id": APP,
        "type": 2,
        "token": "interaction-token",
        "version": 1,
        "channel_id": CHANNEL,
        "channel": {"id": CHANNEL, "type": 1, "recipients": [a_user(ALICE)]},
        "user": a_user(ALICE),
        "locale": "en-US",
        "entitlements": [],
        "authorizing_integration_owners": {},
        "app_permissions": "0",
        "attachment_size_limit": 10 * 1024**2,
        "data": {
            "id": "8",
            "name": "merge",
            "type": 1,
            "options": [
                {"name": "vocals", "type": 11, "value": "11"},
                {"name": "backing", "type": 11, "value": "12"},
            ],
            "resolved": {"attachments": songs},
        },
    }


def a_press(sent: dict[str, Any], action: str) -> dict[str, Any]:
    """Return the event of a press on one of the buttons under a mash-up that the bot has sent."""
    [pressed] = [
        button["custom_id"]
        for row in sent["components"]
        for button in row["components"]
        if f":{action}:" in button["custom_id"]
    ]
    message = A_MESSAGE | {"components": sent["components"]}
    event = a_queue("") | {"id": "10", "token": "press-token", "type": 3, "message": message}
    return event | {"data": {"custom_id": pressed, "component_type": 2}}


@asynccontextmanager
async def running_discord() -> AsyncIterator[Discord]:
    """Run the server on a free port."""
    async with running(Discord()) as discord:
        yield discord


@asynccontextmanager
async def running(discord: Some) -> AsyncIterator[Some]:
    """Run a server of any kind on a free port."""
    app = web.Application(client_max_size=64 * 1024**2)
    app.router.add_get("/cdn/{name}", discord.attachment)
    app.router.add_get("/", discord.gateway)
    app.router.add_route("*", "/api/v10/{rest:.*}", discord.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    discord.url = f"http://{host}:{port}"
    try:
        yield discord
    finally:
        await runner.cleanup()
