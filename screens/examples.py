"""What the bot says in the screens: made by the bot's own functions, of two songs of the composer.

Everything but the songs in the library is real: a merge of this very machine.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import soundfile

from bot import library_panel, settings_panel
from bot.cards import PICTURE, result_embed, result_file_name
from bot.config import MIB, read_config
from bot.jobs import JobState
from bot.library import LibraryPage
from bot.orders import Mashup
from bot.policy import Policies
from bot.render import job_status
from bot.song_table import LibrarySong
from bot.views import progress_view, remix_view
from composer import compose
from pipeline.aside import Aside
from pipeline.merge import merge
from pipeline.pairing import SongSketch
from pipeline.recipe import Recipe
from pipeline.separate.choose import make_separator
from pipeline.separate.weights import RELEASE_URL, ModelSource
from pipeline.types import SAMPLE_RATE, Key, Progress, Stage
from screens.chat import Attached, Message

if TYPE_CHECKING:
    from pathlib import Path

    import discord

    from pipeline.types import MergeResult

GUILD, ADA, BEN = 1, 2, 3
_ID = "0" * 12
_PEOPLE = {ADA: "@ada", BEN: "@ben"}


def make_mashup(folder: Path) -> MergeResult:
    """Compose the two songs of `make demo` and merge them, with a picture.

    Parameters
    ----------
    folder
        Where everything goes.
    """
    voice = _compose(folder, seed=12, bpm=96.0, tonic=9)
    band = _compose(folder, seed=3, bpm=104.0, tonic=11)
    separator = make_separator("builtin", ModelSource(directory=folder, location=RELEASE_URL))
    with Aside() as aside:
        return merge(voice, band, Recipe(), folder, separator=separator, picture=True, aside=aside)


def _compose(folder: Path, *, seed: int, bpm: float, tonic: int) -> Path:
    song = compose(seed, duration_s=45.0, bpm=bpm, key=Key(tonic=tonic, mode="minor"))
    path = folder / f"{song.title}.wav"
    soundfile.write(path, song.mixture.T, SAMPLE_RATE, "PCM_16")
    return path


def answer(result: MergeResult) -> Message:
    """Return what the bot answers to /merge in the end."""
    mashup = Mashup.of(result, Recipe(), id=_ID, owner=ADA, guild_id=GUILD, made_at=0.0)
    assert result.picture is not None
    return Message(
        command="/merge",
        embeds=[_card(result_embed(result))],
        components=remix_view(mashup).to_components(),
        files=[
            Attached(
                name=result_file_name(result), path=result.path, length_s=result.plan.length_s
            ),
            Attached(name=PICTURE, path=result.picture),
        ],
        names=_names(),
    )


def progress() -> Message:
    """Return what it says on the way."""
    text = job_status(JobState.RUNNING, 1, Progress(stage=Stage.WARP, fraction=0.62), 4.0)
    return Message(command="/merge", content=text, components=progress_view(_ID).to_components())


def settings() -> Message:
    """Return the panel of /settings, open at one that has a menu."""
    policies = Policies(read_config({"DISCORD_TOKEN": "none"}))
    # Of the server, the panel of such a setting needs nothing but its id.
    guild = cast("discord.Guild", SimpleNamespace(id=GUILD))
    embed, view = settings_panel.panel(policies, guild, "arrange")
    return Message(
        command="/settings panel",
        embeds=[_card(embed)],
        components=view.to_components(),
        private=True,
    )


async def library() -> Message:
    """Return what /library shows."""
    now = time.time()
    songs = tuple(kept.as_song(now) for kept in _SONGS)
    size = sum(song.bytes for song in songs)
    page = LibraryPage(songs=songs, number=1, pages=1, count=len(songs), bytes=size)

    async def page_of(*_: object) -> LibraryPage:
        return page

    quota = read_config({"DISCORD_TOKEN": "none"}).library_bytes
    shelf = SimpleNamespace(require=lambda guild_id: guild_id, page=page_of, quota_bytes=quota)
    interaction = SimpleNamespace(
        client=SimpleNamespace(library=shelf),
        guild_id=GUILD,
        user=SimpleNamespace(id=ADA),
        permissions=SimpleNamespace(manage_guild=False),
    )
    embed, view = await library_panel.panel(cast("Any", interaction), 1)
    used = {
        f"<t:{int(song.used_at)}:R>": kept.used for song, kept in zip(songs, _SONGS, strict=True)
    }
    return Message(
        command="/library",
        embeds=[_card(embed)],
        components=view.to_components(),
        names={**_names(), **used},
        private=True,
    )


class _Kept(NamedTuple):
    title: str
    duration_s: float
    bpm: float
    key: Key
    size_mib: float
    added_by: int
    used_ago_s: float
    used: str

    def as_song(self, now: float) -> LibrarySong:
        sketch = SongSketch(
            duration_s=self.duration_s,
            bpm=self.bpm,
            beats_per_bar=4,
            beat_confidence=1.0,
            key=self.key,
            tuning=0.0,
            sung_share=0.5,
        )
        return LibrarySong(
            guild_id=GUILD,
            id=self.title,
            name=f"{self.title}.mp3",
            title=self.title,
            audio=self.title,
            bytes=round(self.size_mib * MIB),
            added_by=self.added_by,
            added_at=now - self.used_ago_s,
            used_at=now - self.used_ago_s,
            sketch=sketch,
        )


_A_MINOR, _B_MINOR = Key(tonic=9, mode="minor"), Key(tonic=11, mode="minor")
_F_MAJOR, _D_MINOR = Key(tonic=5, mode="major"), Key(tonic=2, mode="minor")
_SONGS = (
    _Kept("Crunchy Teapot", 192.0, 96.0, _A_MINOR, 7.4, ADA, 300.0, "5 minutes ago"),
    _Kept("Haunted Umbrella", 178.0, 104.0, _B_MINOR, 6.9, BEN, 301.0, "5 minutes ago"),
    _Kept("Velvet Walrus", 221.0, 124.0, _F_MAJOR, 8.5, ADA, 7200.0, "2 hours ago"),
    _Kept("Midnight Accordion", 204.0, 88.0, _D_MINOR, 31.2, BEN, 86_400.0, "a day ago"),
)


def _card(embed: discord.Embed) -> dict[str, Any]:
    return cast("dict[str, Any]", embed.to_dict())


def _names() -> dict[str, str]:
    return {f"<@{user}>": name for user, name in _PEOPLE.items()}
