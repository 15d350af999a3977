"""A bot that is killed at any step of an order: after a restart its person is answered, once."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest

from bot import endings
from bot.endings import Endings
from bot.ledger import Ledger
from bot.posts import Post
from bot.replies import Reply
from tests.bot.loopback import ALICE, MESSAGE
from tests.bot.test_wire_faults import (
    IN_CHANNEL,
    SONG,
    Hands,
    a_bot,
    bad,
    begin,
    end,
    hands,
    hurried,
)

if TYPE_CHECKING:
    from bot.config import Config
    from tests.bot.faulty import FaultyDiscord

__all__ = ["bad", "hands", "hurried"]  # fixtures

SENTENCE = (
    "The bot was restarted before your songs were there. Please merge them again, with /merge."
)
# What is killed, and what people then read when it is killed before and after it.
STEPS: list[tuple[Any, str, list[str], list[str]]] = [
    (Ledger, "accept", [], [f"<@{ALICE}> {SENTENCE}"]),
    (Reply, "open", [f"<@{ALICE}> {SENTENCE}"], [SENTENCE]),
    (Ledger, "ready", [SENTENCE], [SONG]),
    (Ledger, "keep_mashup", [SONG], [SONG]),
    (Ledger, "decide", [SONG], [SONG]),
    (Reply, "_send", [SONG], [SONG]),
    (Ledger, "close", [SONG], [SONG]),
    (endings, "delete", [SONG], [SONG]),
]
LATE_STEPS: list[tuple[Any, str]] = [
    (Ledger, "decide"),
    (Ledger, "take"),
    (Reply, "_send"),
    (Post, "_send_once"),
    (Reply, "_tidy"),
    (Ledger, "close"),
    (endings, "delete"),
]


class KilledError(BaseException):
    """Ends a job as a kill would: nothing above it may answer or tidy up."""


def kill_at(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, after: bool) -> list[str]:
    """Kill the bot once at a step; return a list that notes it."""
    killed: list[str] = []
    step = getattr(where, name)

    @functools.wraps(step)
    async def killing(*args: Any, **kwargs: Any) -> Any:
        done = await step(*args, **kwargs) if after or killed else None
        if not killed:
            killed.append(name)
            raise KilledError
        return done

    monkeypatch.setattr(where, name, killing)
    return killed


async def die(config: Config, bad: FaultyDiscord, hands: Hands, killed: list[str]) -> None:
    """Run a bot until it is killed."""
    async with a_bot(config, hands) as client:
        await begin(client, bad)
        while client._served:
            for task in tuple(client._served):
                with pytest.raises(KilledError):
                    await task
            await asyncio.sleep(0)  # to wait for what has ended already lets nobody else run
    assert len(killed) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("where", "name", "early", "late"), STEPS, ids=[one[1] for one in STEPS])
async def test_an_answer_in_the_reply(  # noqa: PLR0917 - fixtures
    config: Config,
    bad: FaultyDiscord,
    hands: Hands,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    early: list[str],
    late: list[str],
    *,
    after: bool,
) -> None:
    await die(config, bad, hands, kill_at(monkeypatch, where, name, after=after))
    async with a_bot(config, hands) as reborn:
        await end(reborn)
    assert bad.answers == (late if after else early)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("soon", [True, False], ids=["soon", "hours later"])
@pytest.mark.parametrize(("where", "name"), LATE_STEPS, ids=[one[1] for one in LATE_STEPS])
async def test_an_answer_in_the_channel(  # noqa: PLR0917 - fixtures
    config: Config,
    bad: FaultyDiscord,
    hands: Hands,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    *,
    soon: bool,
    after: bool,
) -> None:
    if soon:  # Discord still knows the nonce, which helps where the bot may not read
        bad.closed["GET", IN_CHANNEL] = (403, 50001)
    bad.nonces_live = soon
    bad.dead["interaction-token"] = (401, 50027)
    await die(config, bad, hands, kill_at(monkeypatch, where, name, after=after))
    async with a_bot(config, hands) as reborn:
        await end(reborn)
    assert bad.answers == [SONG]


async def test_a_token_that_dies_while_the_bot_is_down(
    config: Config, bad: FaultyDiscord, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    await die(config, bad, hands, kill_at(monkeypatch, Reply, "_send", after=True))
    bad.dead["interaction-token"] = (401, 50027)
    async with a_bot(config, hands) as reborn:
        await end(reborn)
    assert bad.answers == [SONG]
    assert list(bad.shown) == [MESSAGE]  # and not a second time below it


async def test_the_mashup_is_not_made_again(
    config: Config, bad: FaultyDiscord, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    await die(config, bad, hands, kill_at(monkeypatch, Endings, "until_told", after=False))
    async with a_bot(config, hands) as reborn:
        await end(reborn)
    assert bad.answers == [SONG]
    assert len(hands.tasks) == 1
