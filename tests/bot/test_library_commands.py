from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.client import VocalClient
from bot.library_panel import PAGE_SONGS
from pipeline.pairing import SongSketch
from pipeline.types import Key, KnownSong
from tests.bot.conftest import BETWEEN_EDITS_S, fetch_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bot.song_table import LibrarySong
    from tests.bot.conftest import Scene

SKETCH = SongSketch(
    duration_s=185.2,
    bpm=120.0,
    beats_per_bar=4,
    beat_confidence=0.9,
    key=Key(tonic=9, mode="minor", confidence=0.9),
    tuning=0.0,
    sung_share=0.5,
)
MUTE = replace(SKETCH, sung_share=0.0, duration_s=61.0)
OFF = "The library is turned off in this server. Attach the song instead."


async def keep(
    scene: Scene,
    title: str,
    content: bytes | None = None,
    *,
    by: Any = None,
    guild_id: int | None = None,
    sketch: SongSketch | None = None,
) -> LibrarySong:
    """Put a song into the library as a merge does."""
    content = title.encode() if content is None else content
    song = await scene.client.library.add(
        guild_id or scene.guild.id,
        _written(scene.client.config.data_dir / "given.mp3", content),
        name=f"{title}.mp3",
        known=KnownSong(audio="a" * 64, name=f"{title}.mp3", title=title),
        sketch=sketch,
        added_by=(by or scene.alice).id,
    )
    assert song is not None
    return song


def _written(path: Path, content: bytes) -> Path:
    path.unlink(missing_ok=True)  # the library shares the bytes of the one before
    path.write_bytes(content)
    return path


async def titles(scene: Scene) -> set[str]:
    return {song.title for song in await scene.client.library.all(scene.guild.id)}


def controls(message: Any) -> dict[str, dict[str, Any]]:
    """Return a message's controls by what their ids begin with."""
    parts = [part for row in message.components for part in row["components"]]
    return {part["custom_id"].rsplit(":", 1)[0]: part for part in parts}


def removable(message: Any) -> list[str]:
    """Return the titles that the list for removing offers."""
    select = controls(message).get("library:remove", {"options": []})
    return [option["label"].split(" · ")[0] for option in select["options"]]


def shown(message: Any) -> str:
    [embed] = message.embeds
    return f"{embed.description}\n{embed.footer.text or ''}"


async def use(scene: Scene, who: Any, name: str, **options: Any) -> Any:
    return await who.slash(scene.channel, name, **options)


async def press(who: Any, message: Any, label: str) -> Any:
    return await who.click(message.message, label=label)


async def remove(who: Any, message: Any, songs: Sequence[LibrarySong]) -> Any:
    custom_id = controls(message)["library:remove"]["custom_id"]
    return await who.select(message.message, [song.id for song in songs], custom_id=custom_id)


def restarted(scene: Scene) -> VocalClient:
    return VocalClient(
        scene.client.config,
        workers=[scene.hands],
        fetch=fetch_from(deque([scene.env])),
        edit_every_s=BETWEEN_EDITS_S,
    )


def manager_role(scene: Scene) -> Any:
    return scene.guild.create_role("manager", permissions=discord.Permissions(manage_guild=True))


async def test_commands_are_for_servers_only(scene: Scene) -> None:
    [commands] = scene.sent("PUT", "/applications/*/commands")
    ours = {command["name"]: command for command in commands}
    for name in ("library", "surprise"):
        assert ours[name]["contexts"] == [0]
        assert ours[name]["integration_types"] == [0]
        assert ours[name]["options"] == []


# /library


async def test_an_empty_library(scene: Scene) -> None:
    answer = await use(scene, scene.alice, "library")
    assert answer.ephemeral
    assert "It is empty." in shown(answer.response)
    assert answer.response.components == []


async def test_a_library_shows_its_songs(scene: Scene) -> None:
    await keep(scene, "Hello", b"x" * 1_500_000, sketch=SKETCH)
    await keep(scene, "_wild_ @everyone", by=scene.bob)
    await keep(scene, "elsewhere", guild_id=scene.guild.id + 1)
    answer = await use(scene, scene.alice, "library")
    assert answer.ephemeral
    text = shown(answer.response)
    assert f"**\\_wild\\_ @\u200beveryone** · 0.1 MiB\nadded by <@{scene.bob.id}>, used <t:" in text
    assert f"**Hello** · 1.4 MiB · 3:05 · 120 BPM · A minor\nadded by <@{scene.alice.id}>" in text
    assert text.index("wild") < text.index("Hello")
    assert text.endswith("2 songs, 1.4 MiB of 2.0 GiB")
    assert "elsewhere" not in text
    assert removable(answer.response) == ["Hello"]


async def test_pages_turn(scene: Scene) -> None:
    for number in range(PAGE_SONGS + 2):
        await keep(scene, f"song {number:02}")
    answer = await use(scene, scene.bob, "library")
    assert removable(answer.response) == []
    first = controls(answer.response)
    assert [first[name].get("disabled", False) for name in first] == [True, False]
    assert "page 1 of 2" in shown(answer.response)
    turned = await press(scene.bob, answer.response, "Next")
    assert "page 2 of 2" in shown(turned.response)
    assert "song 01" in shown(turned.response)
    second = controls(turned.response)
    assert [second[name].get("disabled", False) for name in second] == [False, True]
    back = await press(scene.bob, turned.response, "Previous")
    assert "page 1 of 2" in shown(back.response)


async def test_a_page_that_has_emptied_turns_to_the_last(scene: Scene) -> None:
    for number in range(PAGE_SONGS + 1):
        await keep(scene, f"song {number:02}")
    answer = await use(scene, scene.bob, "library")
    [song] = await scene.client.library.find(scene.guild.id, "song 00")
    await scene.client.library.remove(scene.guild.id, song.id)
    turned = await press(scene.bob, answer.response, "Next")
    assert shown(turned.response).endswith(f"{PAGE_SONGS} songs, 0.1 MiB of 2.0 GiB")
    assert turned.response.components == []


async def test_people_remove_their_own_songs(scene: Scene) -> None:
    songs = [await keep(scene, title) for title in ("one", "two", "three")]
    await keep(scene, "theirs", by=scene.bob)
    answer = await use(scene, scene.alice, "library")
    assert removable(answer.response) == ["three", "two", "one"]
    after = await remove(scene.alice, answer.response, songs[:2])
    assert after.response.content == ("Removed **one** and **two** from the library (0.1 MiB).")
    assert after.response.id == answer.response.id
    assert removable(after.response) == ["three"]
    assert await titles(scene) == {"three", "theirs"}
    folder = scene.client.config.data_dir / "library" / str(scene.guild.id)
    assert {path.read_bytes() for path in folder.iterdir()} == {b"three", b"theirs"}
    turned = await remove(scene.alice, after.response, songs[2:])
    assert turned.response.components == []


async def test_who_manages_the_server_removes_any_song(scene: Scene) -> None:
    song = await keep(scene, "bad taste")
    boss = scene.guild.add_member(scene.env.create_user("boss"), roles=[manager_role(scene)])
    answer = await use(scene, boss, "library")
    assert removable(answer.response) == ["bad taste"]
    after = await remove(boss, answer.response, [song])
    assert after.response.content == "Removed **bad taste** from the library (0.1 MiB)."
    assert await titles(scene) == set()


async def test_rights_are_checked_again_at_the_press(scene: Scene) -> None:
    song = await keep(scene, "wanted")
    role = manager_role(scene)
    boss = scene.guild.add_member(scene.env.create_user("boss"), roles=[role])
    mine = await keep(scene, "mine", by=boss)
    answer = await use(scene, boss, "library")
    scene.env.backend.get_guild(scene.guild.id).members[boss.id].role_ids.remove(role.id)
    refused = await remove(boss, answer.response, [mine, song])
    assert refused.ephemeral
    assert refused.response.content == (
        "You can remove the songs that you added. Others take the permission Manage Server."
    )
    assert await titles(scene) == {"wanted", "mine"}


async def test_songs_that_went_in_between(scene: Scene) -> None:
    gone, there = [await keep(scene, title) for title in ("gone", "there")]
    one, other = [await use(scene, scene.alice, "library") for _ in range(2)]
    await scene.client.library.remove(scene.guild.id, gone.id)
    after = await remove(scene.alice, one.response, [gone, there])
    assert after.response.content == "Removed **there** from the library (0.1 MiB)."
    again = await remove(scene.alice, other.response, [there])
    assert again.response.content == "What you chose had left the library already."


async def test_controls_answer_after_a_restart(scene: Scene) -> None:
    songs = [await keep(scene, f"song {number:02}") for number in range(PAGE_SONGS + 1)]
    answer = await use(scene, scene.alice, "library")
    await scene.restart(restarted(scene))
    turned = await press(scene.alice, answer.response, "Next")
    assert removable(turned.response) == ["song 00"]
    after = await remove(scene.alice, turned.response, songs[:1])
    assert after.response.content == "Removed **song 00** from the library (0.1 MiB)."
    assert len(await titles(scene)) == PAGE_SONGS


async def test_where_the_library_is_off_everything_says_so(scene: Scene) -> None:
    songs = [await keep(scene, f"song {number:02}") for number in range(PAGE_SONGS + 1)]
    answer = await use(scene, scene.alice, "library")
    await scene.client.policies.set(scene.guild.id, "library", "off")
    for name in ("library", "surprise"):
        assert await scene.slash(scene.alice, name) == (OFF, True)
    pressed = await press(scene.alice, answer.response, "Next")
    assert (pressed.response.content, pressed.ephemeral) == (OFF, True)
    chosen = await remove(scene.alice, answer.response, songs[-1:])
    assert (chosen.response.content, chosen.ephemeral) == (OFF, True)
    merged = await use(
        scene, scene.alice, "merge", vocals_from=songs[0].id, backing_from=songs[1].id
    )
    assert (merged.response.content, merged.ephemeral) == (OFF, True)
    assert await suggestions(scene, "song") == []
    assert len(scene.env.errors) == 3


# What merges put there


async def test_what_is_merged_stays_in_the_library(scene: Scene) -> None:
    await scene.merge()
    answer = await use(scene, scene.alice, "library")
    assert removable(answer.response) == ["diva", "rapper"]
    assert f"added by <@{scene.alice.id}>" in shown(answer.response)
    # The next merge needs no files, and anybody may make it.
    await use(scene, scene.bob, "merge", vocals_from="diva", backing_from="rapper")
    assert scene.hands.seen[-1] == (b"band", b"voice")
    assert {song.added_by for song in await scene.client.library.all(scene.guild.id)} == {
        scene.alice.id
    }


async def test_a_song_that_is_removed_while_it_is_merged_stays_removed(scene: Scene) -> None:
    song = await keep(scene, "Hello", b"voice")
    scene.hands.gate.clear()
    answer = await use(
        scene, scene.bob, "merge", vocals_from=song.id, backing=("diva.ogg", b"band")
    )
    [removed] = await scene.client.library.remove_of_person(scene.alice.id)
    assert removed.id == song.id
    scene.hands.gate.set()
    await scene.env.settle()
    assert len(answer.response.attachments) == 1
    assert await titles(scene) == {"diva"}


async def test_a_server_that_never_invited_the_bot_gets_no_library(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Somebody who has the app for themselves may use it there; no admin there has agreed.
    monkeypatch.setattr(scene.client, "get_guild", lambda _guild_id: None)
    answer = await scene.merge()
    assert len(answer.response.attachments) == 1
    assert await titles(scene) == set()


async def test_a_server_that_the_bot_leaves_keeps_nothing(scene: Scene) -> None:
    await keep(scene, "Hello")
    await keep(scene, "elsewhere", guild_id=scene.guild.id + 1)
    await scene.client.policies.set(scene.guild.id, "library_days", 3)
    scene.env.backend.remove_guild(scene.guild.id)
    await scene.env.settle()
    assert await titles(scene) == set()
    assert scene.client.policies.changed(scene.guild.id) == {}
    assert (await scene.client.library.usage()).songs == 1


# What /merge suggests


async def suggestions(scene: Scene, typed: str, option: str = "vocals_from") -> list[Any]:
    choices: list[Any] = await scene.alice.autocomplete(scene.channel, "merge", option, typed)
    return choices


@pytest.mark.parametrize("option", ["vocals_from", "backing_from"])
async def test_songs_are_suggested_while_somebody_types(scene: Scene, option: str) -> None:
    hello = await keep(scene, "Hello", sketch=SKETCH)
    world = await keep(scene, "World")
    await keep(scene, "hello elsewhere", guild_id=scene.guild.id + 1)
    assert await suggestions(scene, "", option) == [
        {"name": "World · 0.1 MiB", "value": world.id},
        {"name": "Hello · 3:05 · 120 BPM · A minor", "value": hello.id},
    ]
    assert [choice["value"] for choice in await suggestions(scene, "hELL", option)] == [hello.id]
    assert await suggestions(scene, "nothing", option) == []


async def test_at_most_25_songs_are_suggested(scene: Scene) -> None:
    for number in range(27):
        await keep(scene, "same" * 40, str(number).encode(), sketch=SKETCH)
    choices = await suggestions(scene, "same")
    assert len(choices) == 25
    assert len({choice["name"] for choice in choices}) == 25
    assert all(len(choice["name"]) <= 100 for choice in choices)


async def test_nothing_is_suggested_where_merges_are_not_for_the_channel(scene: Scene) -> None:
    await keep(scene, "Hello")
    other = scene.guild.create_text_channel("elsewhere")
    await scene.client.policies.set(scene.guild.id, "allowed_channels", f"<#{other.id}>")
    assert await suggestions(scene, "") == []
    assert len(await scene.alice.autocomplete(other, "merge", "vocals_from", "")) == 1


async def test_nothing_is_suggested_outside_of_servers(scene: Scene) -> None:
    await keep(scene, "Hello")
    user = scene.env.create_user("carol")
    assert await user.autocomplete("merge", "vocals_from", "") == []


async def test_suggestions_that_fail_or_take_long_are_none(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep(scene, "Hello")

    async def broken(*_: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    async def closed(*_: object) -> None:
        raise ValueError("no active connection")

    async def slow(*_: object) -> None:
        await asyncio.sleep(10)

    for find in (broken, closed, slow):
        with monkeypatch.context() as patched:
            patched.setattr("bot.library_commands.SUGGEST_WITHIN_S", 0.01)
            patched.setattr(scene.client.library, "find", find)
            assert await suggestions(scene, "") == []


async def test_songs_of_the_library_are_merged(scene: Scene) -> None:
    hello = await keep(scene, "Hello", b"voice")
    await keep(scene, "World", b"band")
    answer = await use(scene, scene.alice, "merge", vocals_from=hello.id, backing_from="world")
    [file] = answer.response.attachments
    assert file.filename == "Hello x World.mp3"
    assert scene.hands.seen == [(b"voice", b"band")]
    assert scene.files() == []
    assert await titles(scene) == {"Hello", "World"}


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("0" * 64, "This song is no longer in this server's library."),
        ("nope", "nope is no song of this server's library."),
        ("hello", "hello could be 2 songs of this server's library: Hello 2, Hello 1."),
    ],
)
async def test_a_song_that_is_not_there_is_refused(scene: Scene, typed: str, sentence: str) -> None:
    for number in (1, 2):
        await keep(scene, f"Hello {number}")
    answer = await use(scene, scene.alice, "merge", vocals_from=typed, backing_from="Hello 1")
    assert answer.ephemeral
    assert answer.response.content.startswith(sentence)
    assert len(scene.env.errors) == 1


# /surprise


async def test_a_surprise_merges_two_songs_of_the_library(scene: Scene) -> None:
    await keep(scene, "Singer", b"voice", sketch=SKETCH)
    await keep(scene, "Drummer", b"band", sketch=MUTE)
    await keep(scene, "Unknown", b"?", sketch=None)
    answer = await use(scene, scene.bob, "surprise")
    assert not answer.ephemeral
    [file] = answer.response.attachments
    assert file.filename == "Singer x Drummer.mp3"
    assert scene.hands.seen == [(b"voice", b"band")]


async def test_the_next_surprise_is_another_one(scene: Scene) -> None:
    contents = [b"one", b"two", b"three"]
    for number, content in enumerate(contents):
        sketch = replace(SKETCH, duration_s=180.0 + 10 * number)
        await keep(scene, content.decode(), content, sketch=sketch)
    everything = {(a, b) for a in contents for b in contents if a != b}
    for _ in everything:
        await use(scene, scene.bob, "surprise")
    assert set(scene.hands.seen) == everything
    await use(scene, scene.bob, "surprise")  # all were picked lately: once more is better
    assert scene.hands.seen[-1] in everything


async def test_songs_beyond_the_servers_limits_are_no_surprise(scene: Scene) -> None:
    await keep(scene, "Singer", b"voice", sketch=SKETCH)
    await keep(scene, "Drummer", b"band", sketch=MUTE)
    await keep(scene, "Opera", b"o", sketch=replace(SKETCH, duration_s=600.0))
    await keep(scene, "Huge", b"h" * (1024 * 1024 + 1), sketch=replace(SKETCH, duration_s=170.0))
    await scene.client.policies.set(scene.guild.id, "max_song_minutes", 5)
    await scene.client.policies.set(scene.guild.id, "max_upload_mb", 1)
    for _ in range(3):
        await use(scene, scene.bob, "surprise")
    assert scene.hands.seen == [(b"voice", b"band")] * 3


@pytest.mark.parametrize(
    ("sketches", "sentence"),
    [
        ([], "A surprise needs two songs, and this server's library has no songs."),
        ([SKETCH], "A surprise needs two songs, and this server's library has one song."),
        ([MUTE, replace(MUTE, duration_s=90.0)], "No two songs of this server's library go well"),
        ([None, None], "No two songs of this server's library go well together."),
    ],
)
async def test_a_surprise_that_cannot_be_says_why(
    scene: Scene, sketches: list[SongSketch | None], sentence: str
) -> None:
    for number, sketch in enumerate(sketches):
        await keep(scene, str(number), sketch=sketch)
    text, ephemeral = await scene.slash(scene.alice, "surprise")
    assert ephemeral
    assert text.startswith(sentence)
    assert text.endswith("songs with /merge: they are kept.")
    assert len(scene.env.errors) == 1


async def test_surprises_can_be_turned_off(scene: Scene) -> None:
    await scene.client.policies.set(scene.guild.id, "surprise", "off")
    assert await scene.slash(scene.alice, "surprise") == (
        "Surprises are turned off in this server. Use /merge with two songs.",
        True,
    )
    assert len(scene.env.errors) == 1


async def test_a_surprise_keeps_to_the_channels_of_merges(scene: Scene) -> None:
    await keep(scene, "Singer", sketch=SKETCH)
    await keep(scene, "Drummer", sketch=MUTE)
    other = scene.guild.create_text_channel("elsewhere")
    await scene.client.policies.set(scene.guild.id, "allowed_channels", f"<#{other.id}>")
    text, ephemeral = await scene.slash(scene.alice, "surprise")
    assert ephemeral
    assert text.startswith("Merges are not for this channel.")
    assert len(scene.env.errors) == 1
    assert await scene.client.library.picked_lately(scene.guild.id) == set()
    assert scene.hands.seen == []
