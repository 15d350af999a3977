from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot import shelf
from bot.config import read_config
from bot.files import MIB, FileTooBigError, safe_suffix
from bot.library import DAY_S, Library, LibraryOffError
from bot.library_offers import LibraryOffer, SongGoneError, SongUnclearError, offer_from_library
from bot.policy import Policies
from bot.shelf import Shelf
from bot.song_table import PAIRS_REMEMBERED
from bot.store import Store
from pipeline.pairing import SongSketch
from pipeline.types import Key, KnownSong

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.song_table import LibrarySong

HERE, THERE = 111, 222
ALICE, BOB = 1, 2
QUOTA = 1000
START = 1_800_000_000.0
SKETCH = SongSketch(
    duration_s=185.25,
    bpm=119.5,
    beats_per_bar=4,
    beat_confidence=0.8,
    key=Key(tonic=9, mode="minor", confidence=0.7),
    tuning=-0.125,
    sung_share=0.5,
)


class World:
    """A library with a clock that the test turns, and the people who bring songs."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.config = read_config({"DISCORD_TOKEN": "token", "DATA_DIR": str(folder)})
        self.jobs = folder / "job"
        self.jobs.mkdir()
        self.folder = folder / "library"
        self.store = store
        self.now = START
        self.policies = Policies(self.config)
        self.library = self.new_library()

    def new_library(self, quota_bytes: int = QUOTA) -> Library:
        return Library(self.folder, self.policies, quota_bytes=quota_bytes, clock=lambda: self.now)

    async def add(
        self,
        content: bytes,
        name: str = "song.mp3",
        *,
        guild: int = HERE,
        by: int = ALICE,
        title: str | None = None,
        sketch: SongSketch | None = None,
    ) -> LibrarySong | None:
        self.now += 1
        path = self.jobs / "vocals.mp3"
        path.write_bytes(content)
        title = title or Path(name).stem
        known = KnownSong(audio=f"heard {content[:20]!r}", name=name, title=title)
        song = await self.library.add(
            guild, path, name=name, known=known, sketch=sketch, added_by=by
        )
        assert path.read_bytes() == content, "the job's file is gone"
        path.unlink()
        return song

    async def added(self, content: bytes, name: str = "song.mp3", **more: Any) -> LibrarySong:
        song = await self.add(content, name, **more)
        assert song is not None
        return song

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.folder).as_posix(): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    async def titles(self, guild: int = HERE) -> list[str]:
        return [song.title for song in await self.library.all(guild)]


@pytest_asyncio.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = await Store.open(tmp_path / "vocal.sqlite3")
    one = World(tmp_path, store)
    await one.policies.load(store)
    await one.library.load(store)
    yield one
    await store.close()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def test_a_song_is_kept_with_all_that_is_known_of_it(world: World) -> None:
    song = await world.added(b"la la", "My Song.MP3", title="My Song", sketch=SKETCH)
    assert song.id == sha256(b"la la")
    assert (song.name, song.title, song.bytes) == ("My Song.MP3", "My Song", 5)
    assert (song.added_by, song.added_at, song.used_at) == (ALICE, world.now, world.now)
    assert song.known == KnownSong(audio="heard b'la la'", name="My Song.MP3", title="My Song")
    assert world.files() == {f"{HERE}/{song.id}.mp3": b"la la"}
    again = world.new_library()
    await again.load(world.store)
    assert await again.get(HERE, song.id) == song
    assert song.sketch == SKETCH


async def test_nobody_else_can_read_the_files(world: World) -> None:
    await world.added(b"la")
    assert [path.stat().st_mode & 0o777 for path in (world.folder, world.folder / str(HERE))] == [
        0o700,
        0o700,
    ]


async def test_the_same_bytes_are_one_song_of_who_brought_them_first(world: World) -> None:
    first = await world.added(b"la", "first.mp3", by=ALICE)
    other = await world.added(b"lo", "other.mp3")
    second = await world.added(b"la", "second.ogg", by=BOB, sketch=SKETCH)
    assert (second.name, second.title, second.added_by) == ("first.mp3", "first", ALICE)
    assert (second.added_at, second.used_at) == (first.added_at, world.now)
    assert second.sketch == SKETCH
    assert await world.library.all(HERE) == [second, other]
    assert sorted(world.files().values()) == [b"la", b"lo"]
    third = await world.added(b"la")
    assert third.sketch == SKETCH  # what was known stays known


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.mp3", ".mp3"),
        ("A.FLAC", ".flac"),
        ("no suffix", ""),
        ("../../etc/passwd", ""),
        ("a.mp3/../../b", ""),
        ("a.m p3", ""),
        ("a.éàü", ""),
        ("a.longsuffix", ""),
        ("song.", ""),
    ],
)
async def test_nothing_of_a_name_but_a_safe_suffix_reaches_a_path(
    world: World, name: str, suffix: str
) -> None:
    assert safe_suffix(name) == suffix
    await world.added(b"la", name, title="t")
    assert list(world.files()) == [f"{HERE}/{sha256(b'la')}{suffix}"]


@pytest.mark.parametrize(
    ("song_id", "verdict"),
    [
        ("0" * 64, nullcontext()),
        ("0" * 63, pytest.raises(ValueError, match="no song's id")),
        ("A" * 64, pytest.raises(ValueError, match="no song's id")),
        ("../" + "0" * 61, pytest.raises(ValueError, match="no song's id")),
        ("0" * 64 + "\n", pytest.raises(ValueError, match="no song's id")),
    ],
)
def test_an_id_is_checked_before_it_touches_a_path(
    tmp_path: Path, song_id: str, verdict: Any
) -> None:
    with verdict:
        assert Shelf(tmp_path).path(HERE, song_id, "a.mp3").parent == tmp_path / str(HERE)


async def test_one_servers_songs_never_reach_another(world: World) -> None:
    song = await world.added(b"secret", "secret.mp3")
    library = world.library
    assert await library.get(THERE, song.id) is None
    assert await library.find(THERE, "secret") == []
    assert await library.all(THERE) == []
    assert (await library.page(THERE, 1)).count == 0
    assert await library.remove(THERE, song.id) is None
    assert await library.remove_guild(THERE) == 0
    for typed in (song.id, "secret", "secret.mp3", f"../{HERE}/{song.id}"):
        with pytest.raises((SongGoneError, SongUnclearError)):
            await offer_from_library(library, THERE, typed)
    # The same bytes there are another song, and what happens to it leaves this one alone.
    twin = await world.added(b"secret", "twin.mp3", guild=THERE, by=BOB)
    assert (twin.name, twin.added_by) == ("twin.mp3", BOB)
    await library.remove(THERE, twin.id)
    assert await library.get(HERE, song.id) == song
    assert world.files() == {f"{HERE}/{song.id}.mp3": b"secret"}


async def test_songs_are_found_by_a_part_of_title_or_name_used_last_first(world: World) -> None:
    await world.added(b"1", "01_track.mp3", title="Straße")
    await world.added(b"2", "02_track.mp3", title="Café")
    await world.added(b"3", "chorus.mp3", title="%_'\"")
    library = world.library

    async def found(text: str, **more: int) -> list[str]:
        return [song.title for song in await library.find(HERE, text, **more)]

    assert await found("") == ["%_'\"", "Café", "Straße"]
    assert await found("", limit=2) == ["%_'\"", "Café"]
    assert await found("STRASSE") == ["Straße"]
    assert await found(" cafe\N{COMBINING ACUTE ACCENT}") == ["Café"]
    assert await found("TRACK") == ["Café", "Straße"]
    assert await found("%") == ["%_'\""]
    assert await found("nothing") == []


async def test_pages_are_cut_and_a_page_that_is_not_there_is_the_nearest(world: World) -> None:
    empty = await world.library.page(HERE, 3, size=2)
    assert (empty.songs, empty.number, empty.pages, empty.count, empty.bytes) == ((), 1, 1, 0, 0)
    for number in range(5):
        await world.added(b"x" * (number + 1), f"{number}.mp3")
    shown = {}
    for number in (-1, 1, 2, 3, 9):
        page = await world.library.page(HERE, number, size=2)
        shown[number] = (page.number, [song.title for song in page.songs])
        assert (page.pages, page.count, page.bytes) == (3, 5, 15)
    assert shown == {
        -1: (1, ["4", "3"]),
        1: (1, ["4", "3"]),
        2: (2, ["2", "1"]),
        3: (3, ["0"]),
        9: (3, ["0"]),
    }


async def test_the_quota_lets_go_of_what_was_not_used_for_longest(
    world: World, tmp_path: Path
) -> None:
    oldest = await world.added(b"a" * 400, "a.mp3")
    await world.added(b"b" * 400, "b.mp3")
    await world.added(b"c" * 1000, "elsewhere.mp3", guild=THERE)  # has a quota of its own
    world.now += 1
    await LibraryOffer(world.library, oldest).fetch(tmp_path, "vocals", MIB)
    await world.added(b"d" * 400, "d.mp3")
    assert await world.titles() == ["d", "a"]
    assert await world.titles(THERE) == ["elsewhere"]
    assert {content[:1] for content in world.files().values()} == {b"a", b"c", b"d"}


async def test_a_song_larger_than_the_quota_is_not_kept(world: World) -> None:
    await world.added(b"a" * 10)
    assert await world.add(b"b" * (QUOTA + 1)) is None
    assert await world.titles() == ["song"]
    assert len(world.files()) == 1


async def test_where_the_library_is_off_nothing_is_kept_or_handed_out(
    world: World, tmp_path: Path
) -> None:
    song = await world.added(b"a", "a.mp3")
    elsewhere = await world.added(b"b", "b.mp3", guild=THERE)
    await world.policies.set(HERE, "library", "off")
    assert await world.add(b"c") is None
    with pytest.raises(LibraryOffError, match="turned off in this server"):
        await LibraryOffer(world.library, song).fetch(tmp_path, "vocals", MIB)
    with pytest.raises(LibraryOffError, match="turned off in this server"):
        await offer_from_library(world.library, HERE, song.id)
    assert await world.library.expire(world.now) == 1
    assert await world.library.all(HERE) == []
    assert await world.library.all(THERE) == [elsewhere]
    assert list(world.files().values()) == [b"b"]


async def test_a_quota_of_nothing_keeps_no_library(world: World) -> None:
    await world.added(b"a", "a.mp3")
    world.library = world.new_library(0)
    await world.library.load(world.store)
    assert await world.add(b"c") is None
    with pytest.raises(LibraryOffError, match="This bot keeps no library"):
        await offer_from_library(world.library, HERE, "a")
    assert await world.library.expire(world.now) == 1
    assert world.files() == {}


async def test_a_smaller_quota_counts_from_the_next_expiry(world: World) -> None:
    await world.added(b"a" * 300, "a.mp3")
    await world.added(b"b" * 300, "b.mp3")
    for quota_bytes, left in ((500, ["b"]), (100, [])):
        world.library = world.new_library(quota_bytes)
        await world.library.load(world.store)
        assert await world.library.expire(world.now) == 1
        assert await world.titles() == left


async def test_outside_of_servers_there_is_no_library(world: World) -> None:
    with pytest.raises(LibraryOffError, match="Only servers"):
        await offer_from_library(world.library, None, "a")


async def test_songs_that_nobody_uses_expire(world: World, tmp_path: Path) -> None:
    await world.policies.set(HERE, "library_days", 2)
    used = await world.added(b"a", "used.mp3")
    await world.added(b"b", "unused.mp3")
    await world.added(b"c", "elsewhere.mp3", guild=THERE)
    unused_since = world.now - 1
    world.now += 1000
    await LibraryOffer(world.library, used).fetch(tmp_path, "vocals", MIB)
    assert await world.library.expire(unused_since + 2 * DAY_S) == 0
    assert await world.library.expire(unused_since + 2 * DAY_S + 1) == 1
    assert await world.titles() == ["used"]
    assert await world.titles(THERE) == ["elsewhere"]
    assert sorted(world.files().values()) == [b"a", b"c"]


async def test_a_removed_song_leaves_neither_row_nor_file(world: World) -> None:
    song = await world.added(b"a", "a.mp3")
    other = await world.added(b"b", "b.mp3")
    await world.library.remember_pick(song, other)
    assert await world.library.remove(HERE, song.id) == song
    assert await world.library.remove(HERE, song.id) is None
    assert await world.library.remove(HERE, "no id") is None
    assert await world.titles() == ["b"]
    assert list(world.files().values()) == [b"b"]
    assert await world.library.picked_lately(HERE) == set()


async def test_a_server_that_is_left_leaves_nothing(world: World) -> None:
    await world.added(b"a")
    await world.added(b"b")
    await world.added(b"c", guild=THERE)
    assert await world.library.remove_guild(HERE) == 2
    assert list(world.files().values()) == [b"c"]


async def test_what_a_person_brought_can_be_found_and_forgotten(world: World) -> None:
    mine = [
        await world.added(b"a", by=ALICE),
        await world.added(b"b", by=ALICE, guild=THERE),
    ]
    await world.added(b"c", by=BOB)
    assert await world.library.of_person(ALICE) == mine
    assert await world.library.remove_of_person(ALICE) == mine
    assert await world.library.of_person(ALICE) == []
    assert list(world.files().values()) == [b"c"]


async def test_what_all_libraries_come_to(world: World) -> None:
    usage = await world.library.usage()
    assert (usage.songs, usage.bytes, usage.guilds) == (0, 0, 0)
    await world.added(b"aa")
    await world.added(b"b")
    await world.added(b"c", guild=THERE)
    usage = await world.library.usage()
    assert (usage.songs, usage.bytes, usage.guilds) == (3, 4, 2)


# After a crash


async def test_the_start_deletes_files_without_rows(world: World) -> None:
    kept = await world.added(b"a")
    orphans = [
        world.folder / str(HERE) / f"{sha256(b'orphan')}.mp3",
        world.folder / str(HERE) / "0123456789abcdef.part",
        world.folder / str(THERE) / f"{kept.id}.mp3",
        world.folder / "stray",
    ]
    for path in orphans:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"orphan")
    again = world.new_library()
    await again.load(world.store)
    assert world.files() == {f"{HERE}/{kept.id}.mp3": b"a"}
    assert await again.all(HERE) == [kept]


@pytest.mark.parametrize("left", [None, b"cut sho", b""])
async def test_the_start_deletes_rows_whose_file_is_not_whole(
    world: World, left: bytes | None
) -> None:
    kept = await world.added(b"a")
    lost = await world.added(b"cut short")
    path = world.folder / str(HERE) / f"{lost.id}.mp3"
    path.unlink()
    if left is not None:
        path.write_bytes(left)
    again = world.new_library()
    await again.load(world.store)
    assert await again.all(HERE) == [kept]
    assert list(world.files().values()) == [b"a"]


async def test_a_song_comes_file_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def crash(*_: object) -> None:
        assert len(world.files()) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("bot.song_table.SongTable.put", crash)
    with pytest.raises(KeyboardInterrupt):
        await world.add(b"a")
    await world.library.sweep()
    assert world.files() == {}


async def test_a_song_goes_row_first(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    song = await world.added(b"a")

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Shelf, "delete", crash)
        with pytest.raises(KeyboardInterrupt):
            await world.library.remove(HERE, song.id)
    assert await world.library.all(HERE) == []
    assert len(world.files()) == 1
    await world.library.sweep()
    assert world.files() == {}


async def test_a_sketch_of_another_version_says_nothing(world: World) -> None:
    song = await world.added(b"a", sketch=SKETCH)
    for text in ('{"bpm": 120}', "not json"):
        await world.store.write("UPDATE songs SET sketch = ?", (text,))
        read = await world.library.get(HERE, song.id)
        assert read is not None
        assert read.sketch is None


# Disks


async def test_a_disk_without_links_gets_copies(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_links)
    song = await world.added(b"a")
    assert world.files() == {f"{HERE}/{song.id}.mp3": b"a"}
    path = await LibraryOffer(world.library, song).fetch(tmp_path, "backing", MIB)
    assert path.read_bytes() == b"a"
    assert list(world.files()) == [f"{HERE}/{song.id}.mp3"]


async def test_a_full_disk_keeps_no_song_and_stops_no_merge(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_source: object, target: Path) -> None:
        target.write_bytes(b"h")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", full)
        patched.setattr(shutil, "copyfile", full)
        assert await world.add(b"half") is None
    assert "No space left on device" in caplog.text
    assert world.files() == {}
    assert await world.library.all(HERE) == []


async def test_a_file_that_cannot_be_deleted_goes_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    song = await world.added(b"a")

    def locked(*_: object, **__: object) -> None:
        raise PermissionError("busy")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", locked)
        assert await world.library.remove(HERE, song.id) == song
    assert "stays until the next start" in caplog.text
    await world.library.sweep()
    assert world.files() == {}


def test_sharing_a_file_with_itself_leaves_one(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"a")
    for _ in range(2):
        shelf.share(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    assert target.read_bytes() == b"a"


# Offers


async def test_an_offer_puts_the_file_into_the_jobs_folder(world: World, tmp_path: Path) -> None:
    song = await world.added(b"a", "Song.OGG")
    world.now += 100
    offer = LibraryOffer(world.library, song)
    assert (offer.name, offer.known) == ("Song.OGG", song.known)
    path = await offer.fetch(tmp_path, "vocals", MIB)
    assert path == tmp_path / "vocals.ogg"
    assert path.read_bytes() == b"a"
    path.unlink()  # as a job does with all it was given
    [kept] = await world.library.all(HERE)
    assert kept.used_at == world.now
    assert list(world.files().values()) == [b"a"]


async def test_an_offer_of_more_bytes_than_are_taken_is_refused(
    world: World, tmp_path: Path
) -> None:
    offer = LibraryOffer(world.library, await world.added(b"abc", "big.mp3"))
    offer.check(3)
    with pytest.raises(FileTooBigError, match=r"big\.mp3 is larger than"):
        offer.check(2)
    with pytest.raises(FileTooBigError):
        await offer.fetch(tmp_path, "vocals", 2)


async def test_a_song_that_went_in_between_is_a_sentence(world: World, tmp_path: Path) -> None:
    offer = LibraryOffer(world.library, await world.added(b"abc", "gone.mp3"))
    await world.library.remove(HERE, offer.song.id)
    with pytest.raises(SongGoneError, match="gone is no longer in this server's library"):
        await offer.fetch(tmp_path, "vocals", MIB)
    with pytest.raises(SongGoneError, match="This song is no longer"):
        await offer_from_library(world.library, HERE, offer.song.id)


async def test_a_song_whose_file_somebody_deleted_leaves_the_list(
    world: World, tmp_path: Path
) -> None:
    offer = LibraryOffer(world.library, await world.added(b"abc", "gone.mp3"))
    (world.folder / str(HERE) / f"{offer.song.id}.mp3").unlink()
    with pytest.raises(SongGoneError):
        await offer.fetch(tmp_path, "vocals", MIB)
    assert await world.library.all(HERE) == []


async def test_a_missing_jobs_folder_costs_no_song(world: World, tmp_path: Path) -> None:
    offer = LibraryOffer(world.library, await world.added(b"abc"))
    with pytest.raises(FileNotFoundError):
        await offer.fetch(tmp_path / "nowhere", "vocals", MIB)
    assert len(await world.library.all(HERE)) == 1


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Hello", "Hello"),
        (" hello ", "Hello"),
        ("HELLO.MP3", "Hello"),
        ("again", "Hello again"),
        ("other.ogg", "Something"),
    ],
)
async def test_a_typed_title_means_the_song_that_alone_has_it(
    world: World, typed: str, meant: str
) -> None:
    await world.added(b"1", "hello.mp3", title="Hello")
    await world.added(b"2", "x.mp3", title="Hello again")
    await world.added(b"3", "other.ogg", title="Something")
    offer = await offer_from_library(world.library, HERE, typed)
    assert offer.song.title == meant


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("nope", "nope is no song of this server's library."),
        ("  ", "That is no song of this server's library."),
        ("twin", "twin could be 2 songs of this server's library: Twin, Twin."),
        (
            "t",
            "t could be 5 songs of this server's library: Tune 2, Tune 1, Tune 0 and 2 more.",
        ),
    ],
)
async def test_what_is_unclear_is_asked_back(world: World, typed: str, sentence: str) -> None:
    for number in range(2):
        await world.added(f"twin {number}".encode(), f"{number}.mp3", title="Twin")
    for number in range(3):
        await world.added(f"tune {number}".encode(), f"{number}.mp3", title=f"Tune {number}")
    with pytest.raises(SongUnclearError) as caught:
        await offer_from_library(world.library, HERE, typed)
    assert str(caught.value).startswith(sentence)


# Surprises


async def test_only_the_last_pairs_are_remembered(world: World) -> None:
    songs = [await world.added(bytes([number])) for number in range(PAIRS_REMEMBERED + 3)]
    for song in songs[1:]:
        world.now += 1
        await world.library.remember_pick(songs[0], song)
    lately = await world.library.picked_lately(HERE)
    assert lately == {(songs[0].id, song.id) for song in songs[-PAIRS_REMEMBERED:]}
    assert await world.library.picked_lately(THERE) == set()
    rows = await world.store.read("SELECT * FROM surprises")
    assert len(rows) == PAIRS_REMEMBERED
