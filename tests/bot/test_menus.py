from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import discord

from bot.client import VocalClient
from bot.menus import MENUS, dropped_text, got_text
from bot.picked import Pick
from bot.picks import KEPT_S
from tests.bot.conftest import BETWEEN_EDITS_S, fetch_from

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from bot.picked import Role
    from tests.bot.conftest import Scene

CALLBACK = "/interactions/*/callback"
MIB = 1024 * 1024
VOCALS, BACKING = MENUS["vocals"], MENUS["backing"]


async def send(
    scene: Scene, *files: tuple[str, bytes], who: Any = None, channel: Any = None
) -> Any:
    """Have somebody send files, and return the message."""
    return await (who or scene.bob).send(channel or scene.channel, "listen!", attachments=files)


async def use(
    scene: Scene, menu: str, *files: tuple[str, bytes], who: Any = None, channel: Any = None
) -> Any:
    """Have somebody use a menu on a new message with files."""
    message = await send(scene, *files, channel=channel)
    person = who or scene.alice
    return await person.context_menu(channel or scene.channel, menu, message)


def picked_files(scene: Scene) -> list[bytes]:
    """Return what waits on the disk."""
    folder = scene.client.config.data_dir / "picks"
    return sorted(path.read_bytes() for path in folder.rglob("*.*"))


def custom_ids(message: Any) -> list[str]:
    return [part["custom_id"] for row in message.components for part in row["components"]]


async def another_client(scene: Scene) -> VocalClient:
    return VocalClient(
        scene.client.config,
        workers=[scene.hands],
        fetch=fetch_from(deque([scene.env])),
        edit_every_s=BETWEEN_EDITS_S,
    )


def a_pick(role: Role, name: str, folder: Path) -> Pick:
    return Pick(
        id="0" * 16,
        user_id=1,
        guild_id=None,
        role=role,
        name=name,
        file=folder / "x",
        picked_at=0.0,
    )


def test_words(tmp_path: Path) -> None:
    voice = a_pick("vocals", "rapper.mp3", tmp_path)
    assert got_text(voice, None) == (
        "Got **rapper.mp3** for the voice. Now right-click (or hold down) a message with the other "
        "song → Apps → **Use as backing**, within 15 minutes."
    )
    band = a_pick("backing", "a_b*c*@everyone.mp3", tmp_path)
    text = got_text(band, a_pick("backing", "../../old.mp3", tmp_path))
    assert text.startswith(
        "Got **a\\_b\\*c\\*@\u200beveryone.mp3** for the backing instead of **old.mp3**. Now "
    )
    assert "**Use as vocals**" in text
    assert dropped_text(voice) == "Dropped **rapper.mp3**: nothing of it is kept."
    assert dropped_text(None) == "This song was not waiting any more."


async def test_two_menus_and_a_merge(scene: Scene) -> None:
    first = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    assert first.ephemeral
    assert first.response.content.startswith("Got **rapper.mp3** for the voice. Now right-click")
    assert picked_files(scene) == [b"voice"]
    second = await use(scene, BACKING, ("diva.ogg", b"band"))
    assert not second.ephemeral
    [file] = second.response.attachments
    assert file.filename == "rapper x diva.mp3"
    assert scene.hands.seen == [(b"voice", b"band")]
    assert picked_files(scene) == []
    assert scene.files() == []
    assert await scene.client.picks.waiting(scene.alice.id, scene.guild.id) is None


async def test_the_backing_may_come_first(scene: Scene) -> None:
    first = await use(scene, BACKING, ("diva.ogg", b"band"))
    assert "Got **diva.ogg** for the backing." in first.response.content
    second = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    assert scene.hands.seen == [(b"voice", b"band")]
    assert second.response.attachments[0].filename == "rapper x diva.mp3"


async def test_one_message_may_give_both(scene: Scene) -> None:
    message = await send(scene, ("self.wav", b"song"))
    await scene.alice.context_menu(scene.channel, VOCALS, message)
    await scene.alice.context_menu(scene.channel, BACKING, message)
    assert scene.hands.seen == [(b"song", b"song")]


async def test_acknowledges_before_the_first_byte_is_fetched(scene: Scene) -> None:
    acknowledged: list[Any] = []
    fetch = scene.client.desk.fetch

    async def watched(url: str) -> Any:
        acknowledged.extend(scene.sent("POST", CALLBACK))
        async for piece in fetch(url):
            yield piece

    scene.client.desk.fetch = watched
    await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    assert acknowledged == [{"type": 5, "data": {"flags": 64}}]


async def test_while_the_first_song_is_fetched(scene: Scene) -> None:
    gate, fetch = asyncio.Event(), scene.client.desk.fetch

    async def slowly(url: str) -> Any:
        await scene.env.external_wait(gate.wait(), reason="the CDN is slow")
        async for piece in fetch(url):
            yield piece

    scene.client.desk.fetch = slowly
    first = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    early = await use(scene, BACKING, ("diva.ogg", b"band"))
    assert early.ephemeral
    assert early.response.content == "I am still fetching rapper.mp3. Try again in a moment."
    gate.set()
    await scene.env.settle()
    assert "Got **rapper.mp3**" in first.response.content
    await use(scene, BACKING, ("diva.ogg", b"band"))
    assert scene.hands.seen == [(b"voice", b"band")]
    assert len(scene.env.errors) == 1


async def test_the_same_role_again_replaces_the_song(scene: Scene) -> None:
    await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    again = await use(scene, VOCALS, ("singer.mp3", b"other"))
    assert again.ephemeral
    assert again.response.content.startswith(
        "Got **singer.mp3** for the voice instead of **rapper.mp3**."
    )
    assert picked_files(scene) == [b"other"]
    await use(scene, BACKING, ("diva.ogg", b"band"))
    assert scene.hands.seen == [(b"other", b"band")]


async def test_everybody_has_a_song_of_their_own_waiting(scene: Scene) -> None:
    await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    bobs = await use(scene, BACKING, ("diva.ogg", b"band"), who=scene.bob)
    assert bobs.ephemeral
    assert picked_files(scene) == [b"band", b"voice"]
    assert scene.hands.tasks == []


async def test_a_message_without_a_song(scene: Scene) -> None:
    for files in ([], [("cover.png", b"x")], [("notes.txt", b"x"), ("paper.pdf", b"x")]):
        answer = await use(scene, VOCALS, *files)
        assert answer.ephemeral
        assert answer.response.content == (
            "There is no song in this message. Choose one with an audio or video file, or use "
            "/mash to upload two songs."
        )
    assert len(scene.env.errors) == 3


async def test_a_video_and_what_is_not_a_song_beside_it(scene: Scene) -> None:
    answer = await use(scene, VOCALS, ("cover.png", b"x"), ("clip.mp4", b"film"))
    assert "Got **clip.mp4** for the voice." in answer.response.content
    assert picked_files(scene) == [b"film"]


async def test_a_forwarded_message(scene: Scene) -> None:
    elsewhere = scene.guild.create_text_channel("elsewhere")
    message = await send(scene, ("rapper.mp3", b"voice"), channel=elsewhere)
    forwarded = await scene.bob.forward(message, scene.channel)
    answer: Any = await scene.alice.context_menu(scene.channel, VOCALS, forwarded)
    assert "Got **rapper.mp3**" in answer.response.content
    assert picked_files(scene) == [b"voice"]


async def test_several_songs_are_asked_for(scene: Scene) -> None:
    names = [f"song {n}.mp3" for n in range(9)]
    answer = await use(scene, VOCALS, *((name, name.encode()) for name in names), ("c.png", b""))
    assert answer.ephemeral
    assert answer.response.content == (
        "There are several songs in this message. Which one gives the voice?"
    )
    [row] = answer.response.components
    [select] = row["components"]
    assert [option["label"] for option in select["options"]] == names
    chosen: Any = await scene.alice.select(answer.response, ["7"])
    assert chosen.acknowledged
    assert answer.response.content.startswith("Got **song 7.mp3** for the voice.")
    assert [id_.split(":")[0] for id_ in custom_ids(answer.response)] == ["pick-drop"]
    assert picked_files(scene) == [b"song 7.mp3"]


async def test_a_list_may_give_the_second_song(scene: Scene) -> None:
    await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    asked = await use(scene, BACKING, ("diva.ogg", b"band"), ("choir.ogg", b"choir"))
    answer: Any = await scene.alice.select(asked.response, ["1"])
    assert not answer.ephemeral
    assert answer.response.attachments[0].filename == "rapper x choir.mp3"
    assert scene.hands.seen == [(b"voice", b"choir")]
    assert picked_files(scene) == []


async def test_a_list_ends_politely(scene: Scene) -> None:
    asked = await use(scene, VOCALS, ("a.mp3", b"a"), ("b.mp3", b"b"))
    await scene.restart(await another_client(scene))
    answer: Any = await scene.alice.select(asked.response, ["0"])
    assert answer.ephemeral
    assert answer.response.content == (
        "This list has ended. Open Use as vocals on the message again."
    )
    assert picked_files(scene) == []


async def test_a_pick_survives_a_restart(scene: Scene) -> None:
    first = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    await scene.restart(await another_client(scene))
    await use(scene, BACKING, ("diva.ogg", b"band"))
    assert scene.hands.seen == [(b"voice", b"band")]
    late: Any = await scene.alice.click(first.response, label="Drop it")
    assert late.response.content == "This song was not waiting any more."
    assert custom_ids(late.response) == []


async def test_a_pick_can_be_dropped(scene: Scene) -> None:
    first = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    await scene.restart(await another_client(scene))
    await scene.alice.click(first.response, label="Drop it")
    assert first.response.content == "Dropped **rapper.mp3**: nothing of it is kept."
    assert custom_ids(first.response) == []
    assert picked_files(scene) == []
    other = await use(scene, BACKING, ("diva.ogg", b"band"))
    assert other.ephemeral
    assert scene.hands.tasks == []


async def test_after_a_quarter_of_an_hour_it_is_a_first_pick_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    clock = scene.client.picks._clock
    monkeypatch.setattr(scene.client.picks, "_clock", lambda: clock() + KEPT_S)
    answer = await use(scene, BACKING, ("diva.ogg", b"band"))
    assert answer.response.content.startswith("Got **diva.ogg** for the backing. Now")
    assert picked_files(scene) == [b"band"]


async def test_unfit_files_are_refused_at_once(scene: Scene) -> None:
    await scene.client.policies.set(scene.guild.id, "max_upload_mb", 1)
    for file, sentence in (
        (("long.wav", bytes(MIB + 1)), "long.wav is larger than the 1 MiB that this bot takes."),
        (("void.mp3", b""), "void.mp3 is empty. Attach the song itself."),
    ):
        answer = await use(scene, VOCALS, file)
        assert answer.ephemeral
        assert sentence in answer.response.content
    assert [callback["type"] for callback in scene.sent("POST", CALLBACK)] == [4, 4]
    assert picked_files(scene) == []
    assert len(scene.env.errors) == 2


async def test_a_first_song_that_is_not_handed_over(scene: Scene) -> None:
    kept = scene.client.desk.fetch
    scene.client.desk.fetch = breaks_off
    answer = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    assert answer.ephemeral
    assert answer.response.content == (
        "Discord did not hand rapper.mp3 over. Please attach it again."
    )
    assert picked_files(scene) == []
    scene.client.desk.fetch = kept
    again = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    assert "Got **rapper.mp3**" in again.response.content
    assert len(scene.env.errors) == 1


async def breaks_off(_url: str) -> Any:
    yield b"vo"
    raise TimeoutError


async def test_a_second_song_that_is_not_handed_over_costs_nothing(scene: Scene) -> None:
    await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    kept = scene.client.desk.fetch
    scene.client.desk.fetch = breaks_off
    answer = await use(scene, BACKING, ("diva.ogg", b"band"))
    assert "Discord did not hand diva.ogg over." in answer.response.content
    assert picked_files(scene) == [b"voice"]
    scene.client.desk.fetch = kept
    await use(scene, BACKING, ("diva.ogg", b"band"))
    assert scene.hands.seen == [(b"voice", b"band")]
    assert picked_files(scene) == []


async def test_a_start_that_is_refused_costs_nothing(scene: Scene) -> None:
    scene.hands.gate.clear()
    for _ in range(2):
        await scene.merge()
    first = await use(scene, VOCALS, ("rapper.mp3", b"voice"))
    assert first.ephemeral
    refused = await use(scene, BACKING, ("diva.ogg", b"band"))
    assert refused.ephemeral
    assert "You already have 2 merges in the works." in refused.response.content
    assert picked_files(scene) == [b"voice"]
    scene.hands.gate.set()
    await scene.env.settle()
    await use(scene, BACKING, ("diva.ogg", b"band"))
    assert scene.hands.seen[-1] == (b"voice", b"band")
    assert len(scene.env.errors) == 1


async def test_where_merges_are_not_wanted_no_song_is_taken(scene: Scene) -> None:
    there = scene.guild.create_text_channel("mash-ups-only")
    await scene.client.policies.set(scene.guild.id, "allowed_channels", [there.id])
    for files in ([("a.mp3", b"a")], [("a.mp3", b"a"), ("b.mp3", b"b")]):
        answer = await use(scene, VOCALS, *files)
        assert answer.ephemeral
        assert answer.response.content == (f"Merges are not for this channel. Go to <#{there.id}>.")
    assert picked_files(scene) == []
    answer = await use(scene, VOCALS, ("a.mp3", b"a"), channel=there)
    assert "Got **a.mp3**" in answer.response.content
    assert len(scene.env.errors) == 2


async def test_works_in_a_thread(scene: Scene) -> None:
    channel = scene.client.get_channel(scene.channel.id)
    assert isinstance(channel, discord.TextChannel)
    await channel.create_thread(name="songs", type=discord.ChannelType.public_thread)
    [thread] = scene.channel.threads
    await use(scene, VOCALS, ("rapper.mp3", b"voice"), channel=thread)
    answer = await use(scene, BACKING, ("diva.ogg", b"band"), channel=thread)
    assert len(answer.response.attachments) == 1


async def test_menus_are_there_for_every_way_in(scene: Scene) -> None:
    [commands] = scene.sent("PUT", "/applications/*/commands")
    found = {command["name"]: command for command in commands if command.get("type") == 3}
    assert set(found) == {"Use as vocals", "Use as backing"}
    for command in found.values():
        assert sorted(command["integration_types"]) == [0, 1]
        assert sorted(command["contexts"]) == [0, 1, 2]
