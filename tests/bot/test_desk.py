"""Remixes at the desk, and orders that outlive the bot: stopped, killed, and started again."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.client import VocalClient
from bot.ledger import Ledger, now
from bot.replies import Reply
from bot.store import Store
from pipeline.errors import NotKeptError, NoVoiceError
from pipeline.types import Progress, Stage
from tests.bot import works
from tests.bot.conftest import BETWEEN_EDITS_S, ObedientWorker, fetch_from

if TYPE_CHECKING:
    from collections import deque

    from simcord.env import Env

    from bot.config import Config
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult
    from tests.bot.conftest import Scene

MESSAGES = "/channels/*/messages"
RESTARTING = "The bot is being restarted: your merge goes on by itself in a minute."


def buttons(message: Any) -> dict[str, str]:
    """Return the labels and ids of a message's buttons."""
    return {
        button["label"]: button["custom_id"]
        for row in message.components
        for button in row["components"]
    }


def press(answer: Any, action: str) -> str:
    """Return the id of a mash-up's button."""
    [found] = [name for name in buttons(answer.response).values() if f":{action}:" in name]
    return found


@pytest.fixture
def reborn(config: Config, envs: deque[Env], hands: ObedientWorker) -> Any:
    """Start the next bot in the same world, after this one was stopped or killed."""

    def make() -> VocalClient:
        return VocalClient(
            config, workers=[hands], fetch=fetch_from(envs), edit_every_s=BETWEEN_EDITS_S
        )

    return make


async def kill(scene: Scene) -> None:
    """End the bot as SIGKILL does: nothing is told, written or cleaned up any more."""
    folder = scene.client.config.data_dir
    as_it_was = folder.with_name("as it was")
    await asyncio.to_thread(shutil.copytree, folder, as_it_was)
    with pytest.MonkeyPatch.context() as silent:
        for told in ("show", "refuse", "finish"):
            silent.setattr(Reply, told, nothing)
        await scene.client.close()
    await asyncio.to_thread(shutil.rmtree, folder)
    as_it_was.rename(folder)


async def nothing(*_: Any) -> None:
    """Do nothing."""


async def test_a_merge_leaves_nothing_open_and_a_mashup_to_change(scene: Scene) -> None:
    await scene.merge(balance=2.5)
    assert await scene.client.ledger.open_jobs() == []
    [mashup] = await scene.mashups_of(scene.alice.id)
    assert mashup.recipe.balance == 2.5
    assert (mashup.vocals.name, mashup.backing.name) == ("rapper.mp3", "diva.mp3")
    assert mashup.guild_id == scene.guild.id


async def test_the_owner_changes_a_mashup_in_its_place(scene: Scene) -> None:
    answer = await scene.merge()
    before = answer.response.id
    await scene.alice.click(answer.response, custom_id=press(answer, "louder"))
    assert scene.hands.tasks[-1].recipe.balance == 3.0
    assert answer.response.id == before
    assert len(answer.response.attachments) == 1
    assert [message.id for message in scene.channel.history()] == [before]
    [mashup] = await scene.mashups_of(scene.alice.id)
    assert mashup.recipe.balance == 3.0
    assert scene.files() == []


async def test_a_mashup_can_be_heard_while_it_is_changed(scene: Scene) -> None:
    answer = await scene.merge()
    scene.hands.gate.clear()
    await scene.alice.click(answer.response, custom_id=press(answer, "louder"))
    scene.hands.progress = Progress(stage=Stage.MIX, fraction=0.5)
    await scene.env.advance_time(60)
    assert "Mixing the layers" in answer.response.content
    assert list(buttons(answer.response)) == ["Cancel"]
    assert len(answer.response.attachments) == 1
    scene.hands.gate.set()
    await scene.env.settle()
    assert answer.response.content == ""
    assert len(buttons(answer.response)) > 5


async def test_a_failed_change_leaves_the_mashup_as_it_was(scene: Scene) -> None:
    answer = await scene.merge()
    shown = buttons(answer.response)

    def fail(_task: MergeTask) -> MergeResult:
        raise NoVoiceError("rapper.mp3 has no voice.")

    scene.hands.work = fail
    pressed = await scene.alice.click(answer.response, custom_id=press(answer, "louder"))
    assert answer.response.content == ""
    assert buttons(answer.response) == shown
    assert len(answer.response.attachments) == 1
    [whisper] = pressed.followups
    assert whisper.content == "rapper.mp3 has no voice."
    assert whisper.ephemeral
    [mashup] = await scene.mashups_of(scene.alice.id)
    assert mashup.recipe.balance == 1.0


async def test_pieces_that_are_gone_end_the_buttons_politely(scene: Scene) -> None:
    answer = await scene.merge()

    def fail(_task: MergeTask) -> MergeResult:
        raise NotKeptError("The pieces of rapper.mp3 are no longer kept.", hint="Merge again.")

    scene.hands.work = fail
    pressed = await scene.alice.click(answer.response, custom_id=press(answer, "louder"))
    [whisper] = pressed.followups
    assert whisper.content.startswith("The pieces of rapper.mp3 are no longer kept.")
    assert whisper.ephemeral
    assert answer.response.components == []
    assert len(answer.response.attachments) == 1
    assert await scene.mashups_of(scene.alice.id) == []


async def test_others_get_a_copy_of_their_own(scene: Scene) -> None:
    answer = await scene.merge()
    pressed = await scene.bob.click(answer.response, custom_id=press(answer, "louder"))
    copy = pressed.response
    assert copy is not None
    assert copy.id != answer.response.id
    assert len(copy.attachments) == 1
    [theirs] = await scene.mashups_of(scene.bob.id)
    assert theirs.recipe.balance == 3.0
    [mine] = await scene.mashups_of(scene.alice.id)
    assert mine.recipe.balance == 1.0


async def test_a_change_in_its_place_is_no_merge_of_the_hour_but_a_copy_is(scene: Scene) -> None:
    await scene.client.policies.set(scene.guild.id, "merges_per_hour", "1")
    answer = await scene.merge()
    await scene.alice.click(answer.response, custom_id=press(answer, "louder"))
    assert len(scene.hands.tasks) == 2
    stems = await scene.alice.click(answer.response, custom_id=press(answer, "stems"))
    assert stems.ephemeral
    assert len(scene.hands.tasks) == 2
    refused = await scene.merge()
    assert refused.ephemeral
    assert refused.response.content.startswith(
        "You have asked for 1 mash-up within an hour, which is what one person may here. Try again"
    )
    copy = await scene.bob.click(answer.response, custom_id=press(answer, "louder"))
    assert not copy.ephemeral
    others = await scene.merge(scene.bob)
    assert others.ephemeral
    assert len(scene.env.errors) == 2


async def test_what_brings_no_mashup_is_no_merge_of_the_hour(scene: Scene) -> None:
    await scene.client.policies.set(scene.guild.id, "merges_per_hour", "1")
    work = scene.hands.work

    def find_no_voice(_task: MergeTask) -> MergeResult:
        raise NoVoiceError("No voice was found in this song.", hint="Try another one.")

    scene.hands.work = find_no_voice
    refused = await scene.merge()
    assert refused.response.content.startswith("No voice was found")
    scene.hands.work = work
    answer = await scene.merge()
    assert answer.response.attachments
    limited = await scene.merge()
    assert limited.response.content.startswith("You have asked for 1 mash-up within an hour")
    assert len(scene.hands.tasks) == 2
    assert len(scene.env.errors) == 1


async def test_a_change_that_cannot_be_delivered_is_none(scene: Scene) -> None:
    answer = await scene.merge()
    scene.hands.gate.clear()
    await scene.alice.click(answer.response, custom_id=press(answer, "louder"))
    scene.env.inject_error("PATCH", "/webhooks/*/messages/*", status=413, code=40005)
    scene.hands.gate.set()
    await scene.env.settle()
    [mashup] = await scene.mashups_of(scene.alice.id)
    assert mashup.recipe.balance == 1.0
    assert len(buttons(answer.response)) > 5


async def test_a_guest_is_told_before_the_token_dies(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discord.Interaction, "is_user_integration", lambda _: True)
    monkeypatch.setattr(discord.Interaction, "is_guild_integration", lambda _: False)
    scene.hands.gate.clear()
    answer = await scene.merge()
    later = now() + 14.5 * 60
    monkeypatch.setattr("bot.making.now", lambda: later)
    await scene.env.advance_time(60)
    assert answer.response.content.startswith(
        "Where I am not a member I can answer for 15 minutes only"
    )
    assert scene.files() == []


async def test_a_server_that_was_left_meanwhile_gets_no_songs(scene: Scene) -> None:
    scene.hands.gate.clear()
    await scene.merge()
    guild = scene.client.get_guild(scene.guild.id)
    assert guild is not None
    scene.client._connection._remove_guild(guild)
    scene.hands.gate.set()
    await scene.env.settle()
    assert await scene.client.library.all(scene.guild.id) == []


@pytest.mark.parametrize("end", ["stopped", "killed"])
async def test_merges_go_on_after_a_restart(scene: Scene, reborn: Any, end: str) -> None:
    scene.hands.gate.clear()
    running = await scene.merge()
    waiting = await scene.merge(scene.bob)
    assert len(await scene.client.ledger.open_jobs()) == 2
    if end == "stopped":
        await scene.client.close()
        assert running.response.content == waiting.response.content == RESTARTING
    else:
        await kill(scene)
    assert len([path for path in scene.files() if path.is_file()]) == 4
    scene.hands.gate.set()
    await scene.restart(reborn())
    await scene.env.settle()
    for answer in (running, waiting):
        assert answer.response.content == ""
        assert await answer.response.attachments[0].read() == b"voiceband"
        assert len(buttons(answer.response)) > 5
    assert scene.files() == []
    assert await scene.client.ledger.open_jobs() == []
    await scene.alice.click(running.response, custom_id=press(running, "louder"))
    assert scene.hands.tasks[-1].recipe.balance == 3.0


async def test_a_merge_without_its_songs_is_answered_after_a_restart(
    scene: Scene, reborn: Any
) -> None:
    arrives = asyncio.Event()

    async def never(_url: str) -> Any:
        yield b"vo"
        await scene.env.external_wait(arrives.wait(), reason="the download stalls")

    scene.client.desk.fetch = never
    answer = await scene.merge()
    await kill(scene)
    await scene.restart(reborn())
    await scene.env.settle()
    assert answer.response.content == (
        "The bot was restarted before your songs were there. Please merge them again, with /merge."
    )
    assert scene.files() == []
    assert await scene.client.ledger.open_jobs() == []


async def test_a_long_restart_is_answered_in_the_channel(scene: Scene, reborn: Any) -> None:
    scene.hands.gate.clear()
    answer = await scene.merge()
    original = answer.response.id
    await kill(scene)
    await scene.env.advance_time(16 * 60)
    scene.hands.gate.set()
    await scene.restart(reborn())
    await scene.env.settle()
    late = scene.channel.last_message
    assert late is not None
    assert late.id != original
    assert late.content == f"{scene.alice.mention} Your mash-up is ready."
    assert await late.attachments[0].read() == b"voiceband"


async def test_a_change_goes_on_after_a_restart(scene: Scene, reborn: Any) -> None:
    answer = await scene.merge()
    scene.hands.gate.clear()
    await scene.alice.click(answer.response, custom_id=press(answer, "louder"))
    await kill(scene)
    scene.hands.gate.set()
    await scene.restart(reborn())
    await scene.env.settle()
    assert answer.response.content == ""
    [mashup] = await scene.mashups_of(scene.alice.id)
    assert mashup.recipe.balance == 3.0
    assert len(buttons(answer.response)) > 5


async def test_what_an_older_version_accepted_is_answered(scene: Scene, reborn: Any) -> None:
    scene.hands.gate.clear()
    answer = await scene.merge()
    await scene.client.store.write("UPDATE jobs SET errand = '{}'")
    await kill(scene)
    await scene.restart(reborn())
    await scene.env.settle()
    assert "Please merge them again" in answer.response.content
    assert scene.files() == []


async def test_nobody_there_any_more_ends_quietly(
    scene: Scene, reborn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    scene.hands.gate.clear()
    await scene.merge()
    await kill(scene)
    for method, place in (
        ("PATCH", "/webhooks/*/messages/*"),
        ("POST", MESSAGES),
        ("POST", "/users/@me/channels"),
    ):
        scene.env.inject_error(method, place, status=404, code=10003, times=9)
    scene.hands.gate.set()
    await scene.restart(reborn())
    await scene.env.settle()
    assert "nobody could be told" in caplog.text
    assert await scene.client.ledger.open_jobs() == []
    assert scene.files() == []


async def test_the_picture_goes_with_the_card(scene: Scene) -> None:
    def drawn(task: MergeTask) -> MergeResult:
        result = works.glue(task, print)
        picture = task.out_dir / "card.png"
        picture.write_bytes(b"a picture")
        return replace(result, picture=picture)

    scene.hands.work = drawn
    answer = await scene.merge()
    assert scene.hands.tasks[0].picture
    assert [file.filename for file in answer.response.attachments] == [
        "rapper x diva.mp3",
        "card.png",
    ]
    assert answer.response.embeds[0].image.url == "attachment://card.png"
    await scene.client.policies.set(scene.guild.id, "picture", "off")
    await scene.merge()
    assert not scene.hands.tasks[1].picture


async def test_admins_say_where_and_for_whom(scene: Scene) -> None:
    elsewhere = scene.guild.create_text_channel("elsewhere")
    guild_id = scene.guild.id
    await scene.client.policies.set(guild_id, "allowed_channels", str(elsewhere.id))
    refused = await scene.merge()
    assert refused.ephemeral
    assert refused.response.content == (
        f"Merges are not for this channel. Go to <#{elsewhere.id}>."
    )
    await scene.client.policies.reset(guild_id, "allowed_channels")
    role = scene.guild.create_role("DJs")
    await scene.client.policies.set(guild_id, "allowed_roles", str(role.id))
    refused = await scene.merge()
    assert refused.ephemeral
    assert refused.response.content == ("In this server, merges are for DJs. Ask an admin.")
    assert len(scene.env.errors) == 2


async def test_the_servers_defaults_stand_for_what_nobody_said(scene: Scene) -> None:
    await scene.client.policies.set(scene.guild.id, "balance", "4")
    await scene.client.policies.set(scene.guild.id, "tempo", "vocals")
    await scene.merge(tempo="backing")
    recipe = scene.hands.tasks[0].recipe
    assert (recipe.balance, recipe.tempo) == (4.0, "backing")


async def test_nothing_secret_stays_in_the_records(scene: Scene, config: Config) -> None:
    await scene.merge()
    await scene.client.close()
    store = await Store.open(config.data_dir / "vocal.sqlite3")
    assert await Ledger(store).open_jobs() == []
    await store.close()
    left = b"".join(path.read_bytes() for path in config.data_dir.glob("vocal.sqlite3*"))
    assert b"simcord_interaction" not in left
