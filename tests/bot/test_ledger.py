from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest_asyncio

from bot.ledger import HOUR_S, MASHUPS_LIVE_S, Entry, Fault, Ledger, Step
from bot.orders import Address, Answer, Errand, Mashup, OrderedSong, new_id
from bot.store import Store
from pipeline.recipe import Recipe
from pipeline.types import KnownSong
from tests.bot import works

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NOON = 1_800_000_000.0
ADDRESS = Address(
    application_id=2**62,
    token="a token",
    opened_at=NOON,
    user_id=7,
    guild_id=8,
    channel_id=9,
    message_id=None,
    max_bytes=10_000_000,
)
RAPPER = KnownSong(audio="a" * 64, name="rapper.mp3", title="Rapper")
DIVA = KnownSong(audio="b" * 64, name="diva.ogg", title="Diva")
ERRAND = Errand(
    vocals=OrderedSong(name="rapper.mp3"),
    backing=OrderedSong(name="diva.ogg"),
    recipe=Recipe(balance=2.5, key="-3"),
    keep=True,
)
JOB = Entry(id="0" * 12, step=Step.ACCEPTED, address=ADDRESS, errand=ERRAND, accepted_at=NOON)
MASHUP = Mashup(
    id="1" * 12,
    owner=7,
    guild_id=8,
    made_at=NOON,
    vocals=RAPPER,
    backing=DIVA,
    recipe=Recipe(nudge=-4),
    beats_per_bar=3,
)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "vocal.sqlite3")
    yield store
    await store.close()


def test_ids_are_ids() -> None:
    assert re.fullmatch("[0-9a-f]{12}", new_id())
    assert new_id() != new_id()


async def test_a_job_is_read_back_as_it_was_written(store: Store) -> None:
    ledger = Ledger(store)
    await ledger.accept(JOB)
    assert await ledger.open_jobs() == [JOB]
    there = replace(ADDRESS, message_id=11)
    await ledger.redirect(JOB.id, there)
    fetched = replace(ERRAND, vocals=OrderedSong(name="rapper.mp3", file="vocals.mp3"))
    await ledger.ready(JOB.id, fetched)
    [entry] = await ledger.open_jobs()
    assert entry == replace(JOB, step=Step.READY, address=there, errand=fetched)
    await ledger.close(JOB.id)
    assert await ledger.open_jobs() == []


async def test_jobs_come_in_the_order_of_their_acceptance(store: Store) -> None:
    ledger = Ledger(store)
    for number, at in ((3, NOON + 2), (2, NOON), (1, NOON + 1)):
        await ledger.accept(replace(JOB, id=f"{number:012}", accepted_at=at))
    assert [entry.id[-1] for entry in await ledger.open_jobs()] == ["2", "1", "3"]


async def test_what_an_older_version_wrote_is_no_errand_but_still_an_address(store: Store) -> None:
    ledger = Ledger(store)
    await ledger.accept(JOB)
    await store.write("UPDATE jobs SET errand = json_set(errand, '$.recipe.loops', 4)")
    [entry] = await ledger.open_jobs()
    assert entry.errand is None
    assert entry.address == ADDRESS


async def test_a_job_without_an_address_cannot_be_answered(store: Store) -> None:
    ledger = Ledger(store)
    await ledger.accept(JOB)
    await store.write("UPDATE jobs SET address = '{}'")
    assert await ledger.open_jobs() == []


async def test_a_value_that_is_no_longer_allowed_is_no_errand(store: Store) -> None:
    ledger = Ledger(store)
    await ledger.accept(JOB)
    await store.write("UPDATE jobs SET errand = json_set(errand, '$.recipe.balance', 99.5)")
    [entry] = await ledger.open_jobs()
    assert entry.errand is None


async def test_merges_are_counted_by_person_server_and_hour(store: Store, tmp_path: Path) -> None:
    ledger = Ledger(store)
    others = replace(JOB, id="2" * 12, address=replace(ADDRESS, user_id=70))
    alone = replace(JOB, id="3" * 12, address=replace(ADDRESS, guild_id=None))
    remix = replace(JOB, id="4" * 12, address=replace(ADDRESS, in_place=True))
    for entry in (JOB, others, alone, remix):
        await ledger.accept(entry)
    assert await ledger.accepted_since(7, 8, NOON - HOUR_S) == [NOON]
    assert await ledger.accepted_since(7, None, NOON - HOUR_S) == [NOON]
    assert await ledger.accepted_since(7, 8, NOON) == []
    await ledger.decide(JOB.id, Answer(result=works.result(tmp_path / "a.mp3")))
    await ledger.decide(alone.id, Answer(sentence="The song is silent."))
    assert await ledger.accepted_since(7, 8, NOON - HOUR_S) == [NOON]
    assert await ledger.accepted_since(7, None, NOON - HOUR_S) == []
    await ledger.expire(NOON + HOUR_S)
    assert await ledger.accepted_since(7, 8, 0.0) == [NOON]
    await ledger.expire(NOON + HOUR_S + 1.0)
    assert await store.read("SELECT * FROM accepted") == []


async def test_mashups_are_remembered_for_their_buttons(store: Store) -> None:
    ledger = Ledger(store)
    await ledger.keep_mashup(MASHUP)
    assert await ledger.mashup(MASHUP.id) == MASHUP
    changed = replace(MASHUP, recipe=Recipe(nudge=4))
    await ledger.keep_mashup(changed)
    assert await ledger.mashup(MASHUP.id) == changed
    await ledger.drop_mashup(MASHUP.id)
    assert await ledger.mashup(MASHUP.id) is None


async def test_old_mashups_and_unreadable_ones_are_gone(store: Store) -> None:
    ledger = Ledger(store)
    await ledger.keep_mashup(MASHUP)
    late = replace(MASHUP, id="2" * 12, made_at=NOON + 1.0)
    await ledger.keep_mashup(late)
    await ledger.expire(NOON + MASHUPS_LIVE_S)
    assert await ledger.mashup(MASHUP.id) == MASHUP
    await ledger.expire(NOON + MASHUPS_LIVE_S + 1.0)
    assert await ledger.mashup(MASHUP.id) is None
    assert await ledger.mashup(late.id) == late
    await store.write("UPDATE mashups SET facts = '{}'")
    assert await ledger.mashup(late.id) is None


async def test_the_last_faults_are_kept(store: Store) -> None:
    ledger = Ledger(store)
    for number in range(60):
        fault = Fault(reference=f"{number:06}", at=NOON + number, kind="StageError", sentence="")
        await ledger.note_fault(fault)
    found = await ledger.faults(100)
    assert len(found) == 50
    assert (found[0].reference, found[-1].reference) == ("000059", "000010")
