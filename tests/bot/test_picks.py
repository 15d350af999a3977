from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from bot.files import DownloadError, EmptyFileError, FileTooBigError
from bot.picked import PickedOffer, PickGoneError, Together
from bot.picks import KEPT_S, Picks, StillFetchingError, TooManyPicksError
from bot.store import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from bot.picked import Pick, Role

ALICE, BOB = 11, 12
HOME, AWAY = 901, 902
LIMIT = 1000


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class OfferedSong:
    """A song whose bytes are at hand, or which fails on the way."""

    name: str = "rapper.mp3"
    data: bytes = b"voice"
    fails: Exception | None = None
    gate: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def check(self, limit_bytes: int) -> None:
        if len(self.data) > limit_bytes:
            raise FileTooBigError(f"{self.name} is too big.")

    async def fetch(self, folder: Path, role: str, limit_bytes: int) -> Path:
        assert limit_bytes == LIMIT
        path = folder / f"{role}.mp3"
        path.write_bytes(self.data)
        self.begun.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.fails is not None:
            raise self.fails
        return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "picks"


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    one = await Store.open(tmp_path / "vocal.sqlite3")
    yield one
    await one.close()


@pytest_asyncio.fixture
async def picks(folder: Path, store: Store, clock: Clock) -> AsyncIterator[Picks]:
    one = Picks(folder, clock=clock)
    await one.load(store)
    yield one
    await one.close()


async def keep(
    picks: Picks,
    song: OfferedSong | None = None,
    role: Role = "vocals",
    *,
    user_id: int = ALICE,
    guild_id: int | None = HOME,
) -> Pick:
    offer = song or OfferedSong()
    return await picks.keep(offer, role, user_id=user_id, guild_id=guild_id, limit_bytes=LIMIT)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.*"))


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o777


def folders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_pick_waits_where_it_was_made(picks: Picks, folder: Path, clock: Clock) -> None:
    pick = await keep(picks)
    assert (pick.user_id, pick.guild_id, pick.role, pick.name) == (
        ALICE,
        HOME,
        "vocals",
        "rapper.mp3",
    )
    assert pick.picked_at == clock.now
    assert pick.file == folder / pick.id / "vocals.mp3"
    assert pick.file.read_bytes() == b"voice"
    assert mode(folder) == 0o700
    assert await picks.waiting(ALICE, HOME) == pick
    assert await picks.waiting(ALICE, AWAY) is None
    assert await picks.waiting(ALICE, None) is None
    assert await picks.waiting(BOB, HOME) is None


async def test_outside_of_servers_is_a_place_of_its_own(picks: Picks) -> None:
    pick = await keep(picks, guild_id=None)
    assert await picks.waiting(ALICE, None) == pick
    assert pick.guild_id is None
    assert await picks.waiting(ALICE, HOME) is None


async def test_the_newer_takes_the_place_of_the_older(picks: Picks, folder: Path) -> None:
    await keep(picks)
    others = await keep(picks, user_id=BOB)
    newer = await keep(picks, OfferedSong(name="diva.mp3", data=b"band"), "backing")
    assert await picks.waiting(ALICE, HOME) == newer
    assert files(folder) == sorted([others.file, newer.file])
    assert folders(folder) == sorted([others.id, newer.id])


@pytest.mark.parametrize(
    ("song", "error"),
    [
        (OfferedSong(data=bytes(LIMIT + 1)), FileTooBigError),
        (OfferedSong(fails=DownloadError("Discord did not hand it over.")), DownloadError),
        (OfferedSong(fails=EmptyFileError("empty")), EmptyFileError),
        (OfferedSong(fails=OSError(28, "No space left on device")), OSError),
    ],
)
async def test_what_cannot_be_fetched_leaves_the_older_in_place(
    picks: Picks, folder: Path, song: OfferedSong, error: type[Exception]
) -> None:
    older = await keep(picks)
    with pytest.raises(error):
        await keep(picks, song)
    assert await picks.waiting(ALICE, HOME) == older
    assert files(folder) == [older.file]
    assert folders(folder) == [older.id]


async def test_while_one_is_fetched_the_person_is_asked_to_wait(picks: Picks) -> None:
    song = OfferedSong(gate=asyncio.Event())
    first = asyncio.create_task(keep(picks, song))
    await song.begun.wait()
    with pytest.raises(StillFetchingError, match=r"still fetching rapper\.mp3\. Try again"):
        await picks.waiting(ALICE, HOME)
    with pytest.raises(StillFetchingError):
        await keep(picks)
    assert await picks.waiting(BOB, HOME) is None
    elsewhere = await keep(picks, guild_id=AWAY)
    assert song.gate is not None
    song.gate.set()
    assert await picks.waiting(ALICE, AWAY) == elsewhere
    assert await first == await picks.waiting(ALICE, HOME)


async def test_a_fetch_that_is_called_off_leaves_nothing(picks: Picks, folder: Path) -> None:
    song = OfferedSong(gate=asyncio.Event())
    task = asyncio.create_task(keep(picks, song))
    await song.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert folders(folder) == []
    assert await picks.waiting(ALICE, HOME) is None


async def test_the_disk_has_an_end(picks: Picks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.picks.MOST_PICKS", 2)
    await keep(picks)
    await keep(picks, guild_id=None)
    with pytest.raises(TooManyPicksError, match="Use /merge with both songs"):
        await keep(picks, user_id=BOB)
    assert await picks.waiting(BOB, HOME) is None


async def test_nothing_is_left_after_a_quarter_of_an_hour(
    picks: Picks, folder: Path, clock: Clock
) -> None:
    pick = await keep(picks)
    clock.now += KEPT_S - 1
    younger = await keep(picks, user_id=BOB)
    assert await picks.expire() == 0
    assert await picks.waiting(ALICE, HOME) == pick
    clock.now += 1
    assert await picks.waiting(ALICE, HOME) is None  # whether or not its file has gone
    assert await picks.expire() == 1
    assert files(folder) == [younger.file]
    assert await picks.of_person(ALICE) == []


async def test_the_time_is_watched(
    picks: Picks, folder: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    ended = asyncio.Event()

    async def pass_time(seconds: float) -> None:
        waits.append(seconds)
        clock.now += seconds

    delete = picks.expire

    async def expire() -> int:
        count = await delete()
        ended.set()
        return count

    monkeypatch.setattr("bot.picks.asyncio.sleep", pass_time)
    monkeypatch.setattr(picks, "expire", expire)
    await keep(picks)
    await ended.wait()
    assert waits == [KEPT_S]
    assert files(folder) == []


async def test_dropping(picks: Picks, folder: Path, clock: Clock) -> None:
    pick = await keep(picks)
    others = await keep(picks, user_id=BOB)
    assert await picks.drop(pick.id) == pick
    assert await picks.drop(pick.id) is None
    assert await picks.waiting(ALICE, HOME) is None
    assert files(folder) == [others.file]
    clock.now += KEPT_S
    assert await picks.drop(others.id) is None  # too late is too late, but the file goes
    assert files(folder) == []


async def test_a_person_is_forgotten(picks: Picks, folder: Path) -> None:
    theirs = [await keep(picks), await keep(picks, guild_id=None)]
    others = await keep(picks, user_id=BOB)
    assert await picks.of_person(ALICE) == theirs
    assert await picks.remove_of_person(ALICE) == 2
    assert await picks.remove_of_person(ALICE) == 0
    assert await picks.of_person(ALICE) == []
    assert files(folder) == [others.file]


async def test_a_restart_keeps_what_waits_and_clears_the_rest(
    picks: Picks, folder: Path, store: Store, clock: Clock
) -> None:
    await keep(picks, guild_id=None)
    clock.now += KEPT_S - 60
    kept = await keep(picks)
    lost = await keep(picks, user_id=BOB)
    lost.file.unlink()
    half = folder / "0123456789abcdef"  # killed while it was fetched
    half.mkdir()
    (half / "vocals.mp3").write_bytes(b"vo")
    await picks.close()
    clock.now += 60
    again = Picks(folder, clock=clock)
    await again.load(store)
    assert await again.waiting(ALICE, HOME) == kept
    assert await again.waiting(BOB, HOME) is None
    assert files(folder) == [kept.file]
    assert folders(folder) == [kept.id]
    await again.close()


async def test_choices_are_remembered_for_a_while(
    picks: Picks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.picks.MOST_PICKS", 2)
    songs = (OfferedSong(), OfferedSong(name="diva.mp3"))
    first, second = picks.offer_choice(songs), picks.offer_choice(songs[:1])
    assert picks.choice(first) == songs
    third = picks.offer_choice(songs)
    assert picks.choice(first) is None
    assert picks.choice(second) == songs[:1]
    clock.now += KEPT_S
    assert picks.choice(third) is None


async def test_a_pick_becomes_a_song_of_a_job(picks: Picks, tmp_path: Path) -> None:
    pick = await keep(picks)
    offer = PickedOffer(pick)
    assert offer.name == "rapper.mp3"
    offer.check(LIMIT)
    path = await offer.fetch(tmp_path, "backing", LIMIT)
    assert path == tmp_path / "backing.mp3"
    assert path.read_bytes() == b"voice"
    assert await picks.waiting(ALICE, HOME) == pick


async def test_a_pick_that_has_gone_is_no_song_any_more(picks: Picks, tmp_path: Path) -> None:
    offer = PickedOffer(await keep(picks))
    with pytest.raises(FileTooBigError, match="0 MiB that are allowed here"):
        offer.check(4)
    await picks.remove_of_person(ALICE)
    with pytest.raises(PickGoneError, match=r"rapper\.mp3 is not waiting any more\. Pick it again"):
        offer.check(LIMIT)
    with pytest.raises(PickGoneError):
        await offer.fetch(tmp_path, "vocals", LIMIT)


async def test_a_pick_waits_until_both_songs_are_there(picks: Picks, tmp_path: Path) -> None:
    pick = await keep(picks)
    together = Together(pick, picks.drop)
    vocals = together.with_(PickedOffer(pick))
    lost = together.with_(OfferedSong(fails=DownloadError("Discord did not hand it over.")))
    await vocals.fetch(tmp_path, "vocals", LIMIT)
    with pytest.raises(DownloadError):
        await lost.fetch(tmp_path, "backing", LIMIT)
    assert await picks.waiting(ALICE, HOME) == pick

    together = Together(pick, picks.drop)
    backing = together.with_(OfferedSong(name="diva.mp3", data=b"band"))
    vocals = together.with_(PickedOffer(pick))
    assert (vocals.name, backing.name) == ("rapper.mp3", "diva.mp3")
    with pytest.raises(FileTooBigError):
        backing.check(3)
    await backing.fetch(tmp_path, "backing", LIMIT)
    assert await picks.waiting(ALICE, HOME) == pick
    path = await vocals.fetch(tmp_path, "vocals", LIMIT)
    assert await picks.waiting(ALICE, HOME) is None
    assert path.read_bytes() == b"voice"
