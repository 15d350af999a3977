"""A Discord with bad days: it remembers what people see, and fails as it is told.

Fault by fault, a request is refused, answered with nonsense, or cut off, before Discord has done
what was asked or after; the gateway drops its connections and lets bots resume them.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web
from discord.utils import time_snowflake

from tests.bot.loopback import A_MESSAGE, ALICE, CHANNEL, FIXED, MESSAGE, Discord, Upload, as_json

if TYPE_CHECKING:
    from collections.abc import Iterator

HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID_SESSION = 1, 2, 6, 7, 9
LONGEST_PAUSE_S = 0.05
FURTHER_DOWN = "This took a while: the answer is further down."
RESTARTING = "The bot is being restarted: your merge goes on by itself in a minute."


class Hurried:
    """`asyncio` for modules of the library that wait for seconds between their attempts.

    Attributes
    ----------
    pauses_s
        How long each of them wanted to wait.
    """

    def __init__(self) -> None:
        self.pauses_s: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        await asyncio.sleep(min(seconds, LONGEST_PAUSE_S))


class Way(StrEnum):
    """How a request fails."""

    REFUSED = "refused"  # with a status; nothing is done
    CUT_BEFORE = "cut before"  # the connection ends, nothing is done
    CUT_AFTER = "cut after"  # it is done, and nobody hears of it
    GARBLED = "garbled"  # it is done, and the answer is nonsense
    STALLED = "stalled"  # nothing is done until the test is over


@dataclass
class Fault:
    """Requests that fail.

    Attributes
    ----------
    method, pattern
        Which do: with this method, to paths of this pattern.
    way
        How.
    times
        How often; -1 for good.
    status, code, retry_after_s, is_global
        What a refusal says.
    files
        Whether only requests with files fail, or only those without; None for both.
    """

    method: str
    pattern: str
    way: Way = Way.REFUSED
    times: int = 1
    status: int = 500
    code: int = 0
    retry_after_s: float | None = None
    is_global: bool = False
    files: bool | None = None

    def takes(self, method: str, path: str, *, files: bool) -> bool:
        """Return whether this request fails, and count it."""
        here = method == self.method and fnmatch(path, self.pattern)
        if not here or not self.times or self.files not in {None, files}:
            return False
        self.times -= 1
        return True

    def refusal(self) -> web.Response:
        """Return what a refused request is answered with."""
        said: dict[str, Any] = {"code": self.code, "message": "refused"}
        if self.retry_after_s is None:
            return as_json(said, status=self.status)
        said |= {"retry_after": self.retry_after_s, "global": self.is_global}
        answer = as_json(said, status=429)
        # discord.py takes a 429 without `Via` for a ban of the whole machine.
        answer.headers["Via"] = "1.1 google"
        answer.headers["Retry-After"] = str(self.retry_after_s)
        return answer


@dataclass
class Shown:
    """A message as people see it.

    Attributes
    ----------
    number, channel
        Its id, and the channel's.
    token
        Of the interaction that it answers, or "".
    content, files, buttons, reference, nonce
        What it has; of files their names.
    told
        The answers that it has been, one after the other.
    """

    number: str
    channel: str
    token: str = ""
    content: str = ""
    files: list[str] = field(default_factory=list)
    buttons: int = 0
    reference: str | None = None
    nonce: str | None = None
    told: list[str] = field(default_factory=list)

    @property
    def answer(self) -> str:
        """What somebody is told here, without what says that the answer is to come."""
        if self.files:
            return " + ".join(self.files)
        waits = self.buttons or self.content in {"", FURTHER_DOWN, RESTARTING}
        return "" if waits else self.content

    def change(self, body: dict[str, Any], files: list[str]) -> None:
        """Take an edit."""
        if "content" in body:
            self.content = body["content"] or ""
        if "attachments" in body:
            self.files = files
        if "components" in body:
            self.buttons = sum(len(row["components"]) for row in body["components"])
        if self.answer and self.told[-1:] != [self.answer]:
            self.told.append(self.answer)

    def as_message(self) -> dict[str, Any]:
        """Return what Discord says of it."""
        files = [
            {"id": str(n), "filename": name, "size": 1, "url": "http://-", "proxy_url": "http://-"}
            for n, name in enumerate(self.files, start=1)
        ]
        said = A_MESSAGE | {"id": self.number, "channel_id": self.channel, "content": self.content}
        if self.reference is not None:
            said["message_reference"] = {"message_id": self.reference, "channel_id": self.channel}
        return said | {"attachments": files}


def _from_now_on() -> Iterator[int]:
    """Return ids for messages, which hold their time as Discord's do."""
    return itertools.count(time_snowflake(datetime.now(UTC)))


@dataclass
class FaultyDiscord(Discord):
    """The server's side, with a memory.

    Attributes
    ----------
    faults
        What fails next.
    shown
        All messages by their ids.
    dead
        Tokens that have expired, with the status and code that their requests are refused with.
    late
        Tokens of interactions that were not acknowledged within 3 s.
    channels
        Where interactions come from, by their tokens; `CHANNEL` for all others.
    nonces_live
        Whether Discord still remembers the nonces of messages.
    sessions, resumes
        How many sessions were begun, and how often one was resumed.
    stalled
        Set when the test is over, for what stalls.
    """

    faults: list[Fault] = field(default_factory=list)
    shown: dict[str, Shown] = field(default_factory=dict)
    dead: dict[str, tuple[int, int]] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    channels: dict[str, str] = field(default_factory=dict)
    nonces_live: bool = True
    sessions: int = 0
    resumes: int = 0
    stalled: asyncio.Event = field(default_factory=asyncio.Event)
    said: list[dict[str, Any]] = field(default_factory=list)
    invalid: bool | None = None
    """What the next attempt to resume is told: not now (False: never again); None resumes."""
    _numbers: Iterator[int] = field(default_factory=_from_now_on)

    @property
    def answers(self) -> list[str]:
        """What people were told in the end, message by message."""
        return [message.answer for message in self.shown.values() if message.answer]

    def fail(self, method: str, pattern: str, way: Way = Way.REFUSED, **more: Any) -> None:
        """Let requests fail."""
        self.faults.append(Fault(method, pattern, way, **more))

    async def answer(self, request: web.Request) -> web.Response:
        """Take any request of the REST API."""
        path = request.path.removeprefix("/api/v10")
        body, upload = await self._take_apart(request)
        self.requests.append((request.method, path, body))
        given = {"files": upload is not None}
        fault = next((one for one in self.faults if one.takes(request.method, path, **given)), None)
        match fault.way if fault else None:
            case Way.REFUSED if fault:
                return fault.refusal()
            case Way.STALLED:
                await self.stalled.wait()
            case Way.CUT_BEFORE:
                return _cut(request)
        said = self._do(request.method, path, body, upload)
        match fault.way if fault else None:
            case Way.CUT_AFTER:
                return _cut(request)
            case Way.GARBLED:
                return web.Response(text="<html>Bad day</html>", content_type="text/html")
        return said

    async def _take_apart(self, request: web.Request) -> tuple[Any, Upload | None]:
        if request.content_type != "multipart/form-data":
            text = await request.text()
            return (json.loads(text) if text else None), None
        form = await request.post()
        payload = json.loads(str(form["payload_json"]))
        file = form["files[0]"]
        assert isinstance(file, web.FileField)
        return payload, Upload(payload, file.filename, file.file.read())

    def _do(self, method: str, path: str, body: Any, upload: Upload | None) -> web.Response:
        names = [upload.name] if upload else []
        match method, path.strip("/").split("/"):
            case "POST", ["interactions", _, token, "callback"]:
                return self._acknowledge(token, body)
            case _, ["webhooks", _, token, *rest]:
                said = self._through_token(method, token, rest, body, names)
            case _, ["channels", channel, "messages", *rest]:
                said = self._in_channel(method, channel, rest, body, names)
            case _, ["users", "@me", "channels"] if str(body["recipient_id"]) != ALICE:
                return as_json({"id": direct(body["recipient_id"]), "type": 1, "recipients": []})
            case _, ["applications", _, "commands"]:
                return as_json([])
            case _:
                return as_json(FIXED.get(path, A_MESSAGE))
        if upload is not None and said.status == 200:
            self.uploads.append(upload)
            self.delivered.set()
        return said

    def reply_to(self, token: str) -> Shown | None:
        """Return the message that an interaction was answered with."""
        return next((message for message in self.shown.values() if message.token == token), None)

    def _acknowledge(self, token: str, body: Any) -> web.Response:
        if self.reply_to(token) is not None:
            return _refuse(400, 40060)
        if token in self.late:
            return _refuse(404, 10062)
        number = MESSAGE if token == "interaction-token" else str(next(self._numbers))
        where = self.channels.get(token, CHANNEL)
        message = self.shown[number] = Shown(number, where, token)
        message.change(body.get("data") or {}, [])
        self.answered.set()
        said = {
            "id": "9",
            "type": 2,
            "response_message_id": number,
            "response_message_loading": True,
            "response_message_ephemeral": False,
        }
        return as_json({"interaction": said})

    def _through_token(
        self, method: str, token: str, rest: list[str], body: Any, names: list[str]
    ) -> web.Response:
        if token in self.dead:
            return _refuse(*self.dead[token])
        if method == "POST":
            return self._add(self.channels.get(token, CHANNEL), body, names)
        message = self.reply_to(token)
        if message is None or rest[1] not in {message.number, "@original"}:
            return _refuse(404, 10008)
        return self._look_or_change(method, message, body, names)

    def _in_channel(
        self, method: str, channel: str, rest: list[str], body: Any, names: list[str]
    ) -> web.Response:
        for (closed, pattern), (status, code) in self.closed.items():
            if method == closed and fnmatch(f"/channels/{channel}/messages", pattern):
                return _refuse(status, code)
        if rest:
            message = self.shown.get(rest[0])
            return (
                self._look_or_change(method, message, body, names)
                if message is not None
                else _refuse(404, 10008)
            )
        if method == "GET":
            here = [one for one in self.shown.values() if one.channel == channel]
            return as_json([one.as_message() for one in reversed(here)])
        for message in self.shown.values():
            if self.nonces_live and body.get("enforce_nonce") and message.nonce == body["nonce"]:
                return as_json(message.as_message())
        return self._add(channel, body, names)

    def _add(self, channel: str, body: Any, names: list[str]) -> web.Response:
        message = Shown(str(next(self._numbers)), channel, nonce=body.get("nonce"))
        message.reference = (body.get("message_reference") or {}).get("message_id")
        message.change({"attachments": []} | body, names)
        self.shown[message.number] = message
        return as_json(message.as_message())

    def _look_or_change(
        self, method: str, message: Shown, body: Any, names: list[str]
    ) -> web.Response:
        if method == "PATCH":
            message.change(body, names)
            self.edited.set()
        return as_json(message.as_message())

    async def gateway(self, request: web.Request) -> web.WebSocketResponse:
        """Greet a bot, begin or resume its session, and note how it leaves."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"op": 10, "d": {"heartbeat_interval": 45_000}})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            sent = json.loads(message.data)
            if sent["op"] == HEARTBEAT:
                await socket.send_json({"op": 11})
            elif sent["op"] == IDENTIFY:
                await self._begin(socket)
            elif sent["op"] == RESUME:
                await self._resume(socket, sent["d"]["seq"])
        self.close_code = socket.close_code
        return socket

    async def _begin(self, socket: web.WebSocketResponse) -> None:
        self.socket, self.said = socket, []
        self.sessions += 1
        await self._dispatch("READY", self.ready())
        for event in self.events:
            await self.send(event)

    async def _resume(self, socket: web.WebSocketResponse, sequence: int) -> None:
        if self.invalid is not None:
            told, self.invalid = self.invalid, None
            await socket.send_json({"op": INVALID_SESSION, "d": told})
            return
        self.socket = socket
        self.resumes += 1
        for missed in self.said[sequence:]:
            await socket.send_json(missed)
        await self._dispatch("RESUMED", {})

    async def send(self, event: dict[str, Any]) -> None:
        """Tell the bot that somebody used it, now or when it has resumed its session."""
        await self._dispatch("INTERACTION_CREATE", event)

    async def _dispatch(self, kind: str, event: dict[str, Any]) -> None:
        message = {"op": 0, "s": len(self.said) + 1, "t": kind, "d": event}
        self.said.append(message)
        if self.socket is not None and not self.socket.closed:
            await self.socket.send_json(message)

    async def repeat(self) -> None:
        """Send the last event once more, as it may come after a session was resumed."""
        assert self.socket is not None
        await self.socket.send_json(self.said[-1])

    async def ask_to_reconnect(self) -> None:
        """Send op 7, as Discord does when it moves a bot to another machine."""
        assert self.socket is not None
        await self.socket.send_json({"op": RECONNECT, "d": None})

    def cut_gateway(self) -> None:
        """End the connection without a word."""
        assert self.socket is not None
        transport = self.socket._req.transport if self.socket._req else None
        assert transport is not None
        transport.abort()
        self.socket = None


def _refuse(status: int, code: int) -> web.Response:
    return as_json({"code": code, "message": "refused"}, status=status)


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def direct(person: str) -> str:
    """Return the channel of direct messages to a person."""
    return str(9_000_000 + int(person))


def numbered(event: dict[str, Any], number: int) -> dict[str, Any]:
    """Return an event as one of many: with an id and a token of its own."""
    return event | {"id": str(1000 + number), "token": f"token-{number}"}
