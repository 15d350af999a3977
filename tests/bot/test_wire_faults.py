"""Discord's bad days, one by one, over real HTTP: each is retried or answered, once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
import yarl

from bot.client import VocalClient
from bot.desk import MergeDesk
from pipeline.errors import NoVoiceError
from tests.bot import works
from tests.bot.faulty import LONGEST_PAUSE_S, FaultyDiscord, Hurried, Way, numbered
from tests.bot.loopback import ALICE, APP, CHANNEL, DIRECT, MESSAGE, a_merge, running
from tests.bot.processes import wait_until
from tests.discord_schema import check_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.config import Config
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult, Progress

CALLBACK = "/interactions/*/callback"
REPLY = f"/webhooks/{APP}/interaction-token/messages/*"
IN_CHANNEL, IN_PERSON = f"/channels/{CHANNEL}/messages", f"/channels/{DIRECT}/messages"
SONG = "voice x band.mp3"


class Hands:
    """Stands in for a worker: works once the gate is open."""

    progress: Progress | None = None

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.tasks: list[MergeTask] = []
        self.work: Callable[[MergeTask], MergeResult] = lambda task: works.glue(task, print)

    async def start(self) -> None:
        """Be ready."""

    async def run(self, task: MergeTask, *, deadline_s: float) -> MergeResult:
        self.tasks.append(task)
        async with asyncio.timeout(deadline_s):
            await self.gate.wait()
        return self.work(task)

    async def stop(self) -> None:
        """Have nothing to end."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Hurried:
    one = Hurried()
    for module in ("http", "client", "webhook.async_"):
        monkeypatch.setattr(f"discord.{module}.asyncio", one)
    monkeypatch.setattr("discord.backoff.random.Random.uniform", lambda *_: LONGEST_PAUSE_S)
    return one


@pytest_asyncio.fixture
async def bad(monkeypatch: pytest.MonkeyPatch, hurried: Hurried) -> AsyncIterator[FaultyDiscord]:
    async with running(FaultyDiscord()) as server:
        server.cdn_opens.set()
        monkeypatch.setattr("discord.http.Route.BASE", f"{server.url}/api/v10")
        gateway = yarl.URL(server.url.replace("http", "ws"))
        monkeypatch.setattr("discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY", gateway)
        yield server
        server.stalled.set()
    for method, path, body in without_repeats(server.requests):
        check_request(method, path, body)
    assert [message.told[1:] for message in server.shown.values() if message.told[1:]] == []


def without_repeats(requests: list[tuple[str, str, Any]]) -> list[tuple[str, str, Any]]:
    return [one for n, one in enumerate(requests) if one not in requests[:n]]


@pytest.fixture
def hands() -> Hands:
    return Hands()


@asynccontextmanager
async def a_bot(config: Config, hands: Hands) -> AsyncIterator[VocalClient]:
    async with VocalClient(config, workers=[hands], edit_every_s=0.03) as one:
        one.desk = MergeDesk(one, one._fetch, edit_every_s=0.03, pauses_s=(0.01,) * 5)
        await one.login("token")
        yield one


@pytest_asyncio.fixture
async def client(config: Config, bad: FaultyDiscord, hands: Hands) -> AsyncIterator[VocalClient]:
    async with a_bot(config, hands) as one:
        yield one


async def begin(client: VocalClient, bad: FaultyDiscord, number: int | None = None) -> None:
    event: Any = a_merge(bad.url)
    client._connection.parse_interaction_create(
        event if number is None else numbered(event, number)  # type: ignore[arg-type]
    )
    await asyncio.sleep(0.02)


async def end(client: VocalClient) -> None:
    """Wait until the bot has dealt with everything, and see that nothing is left behind."""
    async with asyncio.timeout(20):
        while client._served:
            await asyncio.gather(*client._served)
    assert await client.ledger.open_jobs() == []
    jobs = client.config.data_dir / "jobs"
    assert not jobs.exists() or list(jobs.iterdir()) == []
    assert client.queue.jobs == ()


async def merge(client: VocalClient, bad: FaultyDiscord) -> None:
    await begin(client, bad)
    await end(client)


def asked(bad: FaultyDiscord, method: str, end_of_path: str) -> int:
    return sum(one == method and path.endswith(end_of_path) for one, path, _ in bad.requests)


@pytest.mark.parametrize("is_global", [False, True], ids=["one route", "all routes"])
@pytest.mark.parametrize(
    ("method", "pattern", "files"),
    [
        ("POST", CALLBACK, None),
        ("PATCH", REPLY, False),
        ("PATCH", REPLY, True),
    ],
    ids=["acknowledgement", "progress", "upload"],
)
async def test_429_waits_for_as_long_as_it_is_told(
    client: VocalClient,
    bad: FaultyDiscord,
    hurried: Hurried,
    *,
    method: str,
    pattern: str,
    files: bool | None,
    is_global: bool,
) -> None:
    bad.fail(method, pattern, files=files, is_global=is_global, retry_after_s=0.04)
    await merge(client, bad)
    assert bad.answers == [SONG]
    assert 0.04 in hurried.pauses_s


async def test_429_in_a_channel(client: VocalClient, bad: FaultyDiscord, hurried: Hurried) -> None:
    bad.dead["interaction-token"] = (401, 50027)
    bad.fail("POST", IN_CHANNEL, is_global=True, retry_after_s=0.04)
    await merge(client, bad)
    assert bad.answers == [SONG]
    assert 0.04 in hurried.pauses_s


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("times", [1, 7], ids=["once", "beyond the library's patience"])
async def test_5xx_on_the_upload_is_tried_again(
    client: VocalClient, bad: FaultyDiscord, status: int, times: int
) -> None:
    bad.fail("PATCH", REPLY, files=True, status=status, times=times)
    await merge(client, bad)
    assert bad.answers == [SONG]
    assert asked(bad, "POST", "/messages") == 0  # elsewhere it might be seen twice


async def test_5xx_on_progress_spoils_nothing(
    client: VocalClient, bad: FaultyDiscord, hands: Hands
) -> None:
    hands.gate.clear()
    bad.fail("PATCH", REPLY, files=False, times=7, status=503)
    await begin(client, bad)
    hands.gate.set()
    await end(client)
    assert bad.answers == [SONG]


async def test_5xx_for_good_is_left_to_the_next_start(
    config: Config, client: VocalClient, bad: FaultyDiscord, hands: Hands
) -> None:
    bad.fail("PATCH", REPLY, files=True, times=-1, status=503)
    client.desk = MergeDesk(client, client._fetch, edit_every_s=0.03, pauses_s=(60.0,))
    await begin(client, bad)
    await wait_until(lambda: asked(bad, "PATCH", f"/messages/{MESSAGE}") >= 5)
    await client.close()
    assert bad.answers == []
    bad.faults.clear()
    async with a_bot(config, hands) as reborn:
        await end(reborn)
    assert bad.answers == [SONG]
    assert len(hands.tasks) == 1  # the mash-up itself was not made again


async def test_5xx_on_the_acknowledgement_for_good_is_answered_in_the_channel(
    client: VocalClient, bad: FaultyDiscord
) -> None:
    bad.fail("POST", CALLBACK, times=-1)
    await merge(client, bad)
    [said] = bad.answers
    assert said.startswith(f"<@{ALICE}> Something went wrong on our side.")


CUTS = [Way.CUT_BEFORE, Way.CUT_AFTER, Way.GARBLED]


@pytest.mark.parametrize("way", CUTS)
@pytest.mark.parametrize("times", [1, 2])
async def test_an_acknowledgement_of_which_nobody_heard(
    client: VocalClient, bad: FaultyDiscord, way: Way, times: int
) -> None:
    bad.fail("POST", CALLBACK, way, times=times)
    await merge(client, bad)
    assert bad.answers == [SONG]
    assert list(bad.shown) == [MESSAGE]


@pytest.mark.parametrize("way", CUTS)
async def test_an_upload_of_which_nobody_heard(
    client: VocalClient, bad: FaultyDiscord, way: Way
) -> None:
    bad.fail("PATCH", REPLY, way, files=True)
    await merge(client, bad)
    assert bad.answers == [SONG]
    assert list(bad.shown) == [MESSAGE]


@pytest.mark.parametrize("way", CUTS)
@pytest.mark.parametrize("nonces_live", [True, False])
async def test_a_message_of_which_nobody_heard(
    client: VocalClient, bad: FaultyDiscord, way: Way, *, nonces_live: bool
) -> None:
    bad.nonces_live = nonces_live
    bad.dead["interaction-token"] = (401, 50027)
    bad.fail("POST", IN_CHANNEL, way)
    await merge(client, bad)
    assert bad.answers == [SONG]


@pytest.mark.parametrize("way", CUTS)
async def test_a_direct_message_of_which_nobody_heard(
    client: VocalClient, bad: FaultyDiscord, way: Way
) -> None:
    bad.dead["interaction-token"] = (401, 50027)
    bad.closed["POST", IN_CHANNEL] = (403, 50001)
    bad.fail("POST", IN_PERSON, way)
    await merge(client, bad)
    assert bad.answers == [SONG]


@pytest.mark.parametrize("way", CUTS)
async def test_progress_of_which_nobody_heard(
    client: VocalClient, bad: FaultyDiscord, hands: Hands, way: Way
) -> None:
    hands.gate.clear()
    bad.fail("PATCH", REPLY, way, files=False)
    await begin(client, bad)
    hands.gate.set()
    await end(client)
    assert bad.answers == [SONG]


async def test_an_upload_of_which_nobody_heard_and_a_token_that_dies_then(
    client: VocalClient, bad: FaultyDiscord
) -> None:
    def die() -> bool:
        if not bad.uploads:
            return False
        bad.dead["interaction-token"] = (401, 50027)
        return True

    bad.fail("PATCH", REPLY, Way.CUT_AFTER, files=True)
    await begin(client, bad)
    await wait_until(die)
    await end(client)
    assert bad.answers == [SONG]  # where it may be seen already, and not below it


EXPIRED = pytest.mark.parametrize(("status", "code"), [(401, 50027), (404, 10015)])


@EXPIRED
async def test_a_token_that_expires_before_progress(
    client: VocalClient, bad: FaultyDiscord, hands: Hands, status: int, code: int
) -> None:
    hands.gate.clear()
    bad.dead["interaction-token"] = (status, code)
    await begin(client, bad)
    hands.gate.set()
    await end(client)
    assert bad.answers == [SONG]
    assert asked(bad, "PATCH", REPLY.removesuffix("*") + MESSAGE) == 1  # one failure is enough
    assert bad.shown[MESSAGE].content == "This took a while: the answer is further down."


@EXPIRED
async def test_a_token_that_expires_before_delivery(
    client: VocalClient, bad: FaultyDiscord, hands: Hands, status: int, code: int
) -> None:
    hands.gate.clear()
    await begin(client, bad)
    bad.dead["interaction-token"] = (status, code)
    hands.gate.set()
    await end(client)
    assert bad.answers == [SONG]
    assert len(bad.shown) == 2


@EXPIRED
async def test_a_token_that_expires_before_a_refusal(
    client: VocalClient, bad: FaultyDiscord, hands: Hands, status: int, code: int
) -> None:
    def refuse(_task: MergeTask) -> MergeResult:
        raise NoVoiceError("voice.mp3 has no voice.", hint="Try another.")

    hands.gate.clear()
    hands.work = refuse
    await begin(client, bad)
    bad.dead["interaction-token"] = (status, code)
    hands.gate.set()
    await end(client)
    assert bad.answers == [f"<@{ALICE}> voice.mp3 has no voice. Try another."]


@pytest.mark.parametrize(("status", "code"), [(413, 40005), (413, 0), (400, 40005)])
async def test_413_is_answered_in_the_reply(
    client: VocalClient, bad: FaultyDiscord, status: int, code: int
) -> None:
    bad.fail("PATCH", REPLY, files=True, times=-1, status=status, code=code)
    await merge(client, bad)
    assert bad.answers == ["The mash-up is larger than what Discord takes here. Try shorter songs."]


@pytest.mark.parametrize("code", [50001, 50013])
async def test_a_channel_that_is_closed_to_the_bot(
    client: VocalClient, bad: FaultyDiscord, code: int
) -> None:
    bad.dead["interaction-token"] = (401, 50027)
    bad.closed["POST", IN_CHANNEL] = (403, code)
    await merge(client, bad)
    assert [(one.channel, one.answer) for one in bad.shown.values() if one.answer] == [
        (DIRECT, SONG)
    ]


@pytest.mark.parametrize("code", [50001, 50013, 50007])
async def test_where_every_way_is_closed_nothing_is_left_behind(
    client: VocalClient, bad: FaultyDiscord, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    bad.dead["interaction-token"] = (401, 50027)
    bad.closed["POST", "/channels/*"] = (403, code)
    await merge(client, bad)
    assert bad.answers == []
    assert "nobody could be told" in caplog.text


async def test_the_cdn_has_lost_a_song(client: VocalClient, bad: FaultyDiscord) -> None:
    del bad.songs["band.wav"]
    await merge(client, bad)
    assert bad.answers == ["Discord did not hand band.wav over. Please attach it again."]


async def test_the_cdn_stalls(
    client: VocalClient, bad: FaultyDiscord, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad.cdn_opens.clear()
    monkeypatch.setattr("bot.files._TIMEOUT", aiohttp.ClientTimeout(sock_read=0.1))
    await merge(client, bad)
    assert bad.answers == ["Discord did not hand voice.mp3 over. Please attach it again."]


@asynccontextmanager
async def connected(client: VocalClient, bad: FaultyDiscord) -> AsyncIterator[None]:
    """Keep a connection to the gateway."""
    client._connection.guild_ready_timeout = 0.01  # there are no servers to wait for
    running = asyncio.create_task(client.connect())
    async with asyncio.timeout(5):
        await client.wait_until_ready()
    try:
        yield
    finally:
        await client.close()
        await asyncio.wait({running})
    assert [path for _, path, _ in bad.requests if path.endswith("/callback")] != []


async def break_it(bad: FaultyDiscord, how: str) -> None:
    match how:
        case "told to reconnect":
            await bad.ask_to_reconnect()
        case "cut":
            bad.cut_gateway()
        case "invalid for now":
            bad.invalid = True
            bad.cut_gateway()
        case "invalid for good":
            bad.invalid = False
            bad.cut_gateway()


HOWS = ["told to reconnect", "cut", "invalid for now"]


@pytest.mark.parametrize("how", HOWS)
async def test_a_broken_gateway_loses_no_interaction(
    client: VocalClient, bad: FaultyDiscord, how: str
) -> None:
    async with connected(client, bad):
        await bad.send(numbered(a_merge(bad.url), 1))
        # A person may have two merges in the works, and this one is so for a moment more.
        await wait_until(lambda: len(bad.answers) == 1 and not client.queue.jobs)
        await break_it(bad, how)
        bad.socket = None
        await bad.send(numbered(a_merge(bad.url), 2))  # nobody is there to hear it
        await wait_until(lambda: bad.resumes == 1)
        await bad.send(numbered(a_merge(bad.url), 3))
        await wait_until(lambda: len(bad.answers) == 3)
        await end(client)
    assert bad.answers == [SONG] * 3
    assert bad.sessions == 1
    assert asked(bad, "POST", "/callback") == 3


async def test_a_session_that_cannot_be_resumed_is_begun_anew(
    client: VocalClient, bad: FaultyDiscord, hands: Hands
) -> None:
    async with connected(client, bad):
        hands.gate.clear()
        await bad.send(numbered(a_merge(bad.url), 1))
        await wait_until(lambda: bool(hands.tasks))
        await break_it(bad, "invalid for good")
        await wait_until(lambda: bad.sessions == 2)
        hands.gate.set()
        await bad.send(numbered(a_merge(bad.url), 2))
        await wait_until(lambda: len(bad.answers) == 2)
        await end(client)
    assert bad.answers == [SONG] * 2


async def test_an_interaction_that_comes_twice_is_answered_once(
    client: VocalClient, bad: FaultyDiscord, hands: Hands
) -> None:
    async with connected(client, bad):
        await bad.send(numbered(a_merge(bad.url), 1))
        await bad.repeat()
        await wait_until(lambda: len(bad.answers) == 1)
        await bad.repeat()
        await bad.send(numbered(a_merge(bad.url), 2))
        await wait_until(lambda: len(bad.answers) == 2)
        await end(client)
    assert asked(bad, "POST", "/callback") == 2
    assert len(hands.tasks) == 2
