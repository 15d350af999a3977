"""Somebody in another server tries every way to a server's songs that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from tests.bot.conftest import Scene

SECRETS = (b"voice", b"band")


class Elsewhere:
    """Another server with the bot in it, whose owner may do anything there."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.guild = scene.env.create_guild()
        self.channel = self.guild.create_text_channel("elsewhere")
        self.mallory = self.guild.add_member(scene.env.create_user("mallory"))

    async def merge(self, **options: Any) -> Any:
        return await self.mallory.slash(self.channel, "merge", **options)

    async def use(self, item: discord.ui.Item[Any], *chosen: str) -> Any:
        """Have a button or a list put up here that belongs to the first server, and use it."""
        view = discord.ui.View(timeout=None)
        view.add_item(item)
        view.stop()
        channel = self.scene.client.get_partial_messageable(self.channel.id)
        message = await channel.send(view=view)
        if chosen:
            return await self.mallory.select(message, list(chosen))
        return await self.mallory.click(message)

    def nothing_was_made(self, before: int) -> bool:
        return len(self.scene.hands.tasks) == before


@pytest_asyncio.fixture
async def elsewhere(scene: Scene) -> Elsewhere:
    """A first server with two songs in its library and one mash-up, and a second with nothing."""
    await scene.merge()
    assert len(await scene.client.library.all(scene.guild.id)) == 2
    assert scene.hands.seen == [SECRETS]
    return Elsewhere(scene)


async def songs_of(scene: Scene) -> list[Any]:
    return list(await scene.client.library.all(scene.guild.id))


@pytest.mark.parametrize("how", ["id", "title", "name"])
@pytest.mark.parametrize("option", ["vocals_from", "backing_from"])
async def test_no_name_and_no_id_of_a_song_works_elsewhere(
    elsewhere: Elsewhere, option: str, how: str
) -> None:
    other = "backing" if option == "vocals_from" else "vocals"
    for song in await songs_of(elsewhere.scene):
        own = {other: ("own.mp3", b"own")}
        answer = await elsewhere.merge(**own, **{option: getattr(song, how)})
        assert answer.ephemeral
        assert answer.response.attachments == []
        assert elsewhere.nothing_was_made(before=1)
    assert len(elsewhere.scene.env.errors) == 2


@pytest.mark.parametrize("option", ["vocals_from", "backing_from"])
async def test_nothing_is_suggested_elsewhere(elsewhere: Elsewhere, option: str) -> None:
    for typed in ("", "rap", (await songs_of(elsewhere.scene))[0].id):
        assert await elsewhere.mallory.autocomplete(elsewhere.channel, "merge", option, typed) == []
    here = elsewhere.scene
    assert len(await here.alice.autocomplete(here.channel, "merge", option, "")) == 2


async def test_neither_the_library_nor_a_surprise_shows_them(elsewhere: Elsewhere) -> None:
    for name in ("library", "surprise", "queue", "health", "forget", "privacy"):
        answer: Any = await elsewhere.mallory.slash(elsewhere.channel, name)
        said = f"{answer.response.content} {[e.to_dict() for e in answer.response.embeds]}".lower()
        assert "rapper" not in said
        assert "diva" not in said
    assert elsewhere.nothing_was_made(before=1)
    assert len(elsewhere.scene.env.errors) == 2  # no pair to surprise with, and no business of hers


@pytest.mark.parametrize("way", ["previous", "next"])
async def test_a_page_of_the_library_is_the_own_servers(elsewhere: Elsewhere, way: str) -> None:
    answer = await elsewhere.use(discord.ui.Button(label="x", custom_id=f"library:{way}:1"))
    said = f"{answer.response.content} {[e.to_dict() for e in answer.response.embeds]}".lower()
    assert "rapper" not in said
    assert "diva" not in said


async def test_nobody_elsewhere_removes_them(elsewhere: Elsewhere) -> None:
    songs = await songs_of(elsewhere.scene)
    options = [discord.SelectOption(label=song.title, value=song.id) for song in songs]
    item: Any = discord.ui.Select(custom_id="library:remove:1", options=options)
    await elsewhere.use(item, songs[0].id)
    assert await songs_of(elsewhere.scene) == songs


@pytest.mark.parametrize("action", ["louder", "swap", "stems", "highlight"])
async def test_no_button_of_a_mash_up_works_elsewhere(elsewhere: Elsewhere, action: str) -> None:
    scene = elsewhere.scene
    [mashup] = await scene.mashups_of(scene.alice.id)
    answer = await elsewhere.use(
        discord.ui.Button(label="x", custom_id=f"remix:{action}:{mashup.id}")
    )
    said = " ".join(one.content for one in (answer.response, *answer.followups))
    assert "The buttons of this mash-up have ended" in said
    assert elsewhere.nothing_was_made(before=1)
    assert await scene.mashups_of(scene.alice.id) == [mashup]


async def test_a_moderator_elsewhere_cancels_nothing(elsewhere: Elsewhere) -> None:
    scene = elsewhere.scene
    scene.hands.gate.clear()
    await scene.merge(vocals=("other.mp3", b"other"))
    [job] = scene.client.queue.jobs
    answer = await elsewhere.use(discord.ui.Button(label="x", custom_id=f"cancel:{job.id}"))
    assert answer.response.content.startswith("Only whoever started this merge")
    assert job.called_off is None
    scene.hands.gate.set()
    await scene.env.settle()


async def test_a_song_that_waits_in_one_server_is_not_waiting_in_another(
    elsewhere: Elsewhere,
) -> None:
    scene = elsewhere.scene
    alice_there = elsewhere.guild.add_member(scene.alice.user)
    await scene.client.picks.keep(
        _Offer(), "vocals", user_id=scene.alice.id, guild_id=scene.guild.id, limit_bytes=100
    )
    assert await scene.client.picks.waiting(alice_there.id, elsewhere.guild.id) is None
    assert await scene.client.picks.waiting(scene.alice.id, scene.guild.id) is not None


class _Offer:
    name = "waiting.mp3"

    def check(self, limit_bytes: int) -> None:
        assert limit_bytes

    async def fetch(self, folder: Any, role: str, limit_bytes: int) -> Any:
        path = folder / f"{role}.mp3"
        path.write_bytes(b"waits")
        return path


async def test_the_same_bytes_elsewhere_bring_nothing_but_themselves(elsewhere: Elsewhere) -> None:
    scene = elsewhere.scene
    answer = await elsewhere.merge(vocals=("mine.mp3", b"voice"), backing=("too.ogg", b"band"))
    assert scene.hands.seen[-1] == SECRETS  # their own files were read, and only these
    task = scene.hands.tasks[-1]
    assert (task.vocals_name, task.backing_name) == ("mine.mp3", "too.ogg")
    assert answer.response.attachments[0].filename == "mine x too.mp3"
    there = {song.title for song in await scene.client.library.all(elsewhere.guild.id)}
    here = {song.title for song in await songs_of(scene)}
    assert (there, here) == ({"mine", "too"}, {"rapper", "diva"})
