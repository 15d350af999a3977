"""What a person may have left with the bot, in every place where it keeps something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.ledger import Entry, Step
from bot.orders import Address, Errand, Mashup, OrderedSong, new_id
from pipeline.forgetting import name_songs
from pipeline.recipe import Recipe
from pipeline.types import KnownSong

if TYPE_CHECKING:
    from pathlib import Path

    from bot.client import VocalClient

NOW = 1_800_000_000.0


def song_of(person: str, what: str) -> KnownSong:
    """Return one of somebody's songs; its title has their name in it."""
    return KnownSong(
        audio=f"heard {person} {what}", name=f"{person} {what}.mp3", title=f"{person}'s {what}"
    )


def keep_piece(client: VocalClient, *songs: KnownSong) -> Path:
    """Put an entry into the cache that was made from some songs."""
    entry = client.config.cache_dir / "entries" / new_id()
    entry.mkdir(parents=True)
    name_songs(entry, [song.audio for song in songs])
    (entry / "1.raw").write_bytes(bytes(5000))
    return entry


async def keep_song(client: VocalClient, user_id: int, guild_id: int, song: KnownSong) -> None:
    """Put a song into a server's library."""
    folder = client.config.data_dir / "brought"
    folder.mkdir(exist_ok=True)
    path = folder / "song.mp3"
    path.write_bytes(f"{song.audio} {guild_id}".encode())
    kept = await client.library.add(
        guild_id, path, name=song.name, known=song, sketch=None, added_by=user_id
    )
    assert kept is not None
    path.unlink()


async def keep_mashup(client: VocalClient, user_id: int, vocals: KnownSong) -> Mashup:
    """Remember a mash-up of a song of theirs over one that has no place elsewhere."""
    backing = song_of(vocals.title, "backing")
    mashup = Mashup(
        id=new_id(),
        owner=user_id,
        guild_id=901,
        made_at=NOW,
        vocals=vocals,
        backing=backing,
        recipe=Recipe(),
    )
    await client.ledger.keep_mashup(mashup)
    return mashup


async def keep_job(client: VocalClient, user_id: int, song: KnownSong) -> Path:
    """Write a merge down that was accepted, with its folder; nothing works at it."""
    address = Address(
        application_id=1,
        token="t",
        opened_at=NOW,
        user_id=user_id,
        guild_id=901,
        channel_id=902,
        message_id=None,
        max_bytes=1000,
    )
    ordered = OrderedSong(name=song.name, known=song)
    errand = Errand(vocals=ordered, backing=OrderedSong(name="b.mp3"), recipe=Recipe())
    entry = Entry(id=new_id(), step=Step.READY, address=address, errand=errand, accepted_at=NOW)
    await client.ledger.accept(entry)
    folder = client.config.data_dir / "jobs" / entry.id
    folder.mkdir(parents=True)
    (folder / "vocals.mp3").write_bytes(b"voice")
    return folder


class Offered:
    """A song that is offered as a pick."""

    def __init__(self, name: str) -> None:
        self.name = name

    def check(self, limit_bytes: int) -> None:
        assert limit_bytes

    async def fetch(self, folder: Path, role: str, limit_bytes: int) -> Path:
        assert limit_bytes
        path = folder / f"{role}.mp3"
        path.write_bytes(b"picked")
        return path


async def leave_everything(client: VocalClient, user_id: int, person: str) -> None:
    """Leave 2 songs, a pick, a mash-up, a job with its note, and 4 pieces in the cache."""
    first, second, waiting = (song_of(person, what) for what in ("first", "second", "third"))
    await keep_song(client, user_id, 901, first)
    await keep_song(client, user_id, 777, second)
    await client.picks.keep(
        Offered(waiting.name), "vocals", user_id=user_id, guild_id=901, limit_bytes=10**6
    )
    mashup = await keep_mashup(client, user_id, first)
    await keep_job(client, user_id, waiting)
    for songs in ((first,), (second, first), (mashup.backing,), (waiting,)):
        keep_piece(client, *songs)
