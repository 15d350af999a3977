from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import discord

from bot.client import VocalClient
from bot.forms import ASKED, FORM, SONGS, MashForm
from pipeline.recipe import OPTIONS
from tests.bot.conftest import BETWEEN_EDITS_S, fetch_from

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import pytest

    from tests.bot.conftest import Scene

MIB = 1024 * 1024
TWO_SONGS = {"vocals": ("rapper.mp3", b"voice"), "backing": ("diva.ogg", b"band")}


async def fill_in(scene: Scene, **values: Any) -> Any:
    """Have somebody open the form and send it with two small files and what is chosen already."""
    shown = await scene.alice.slash(scene.channel, FORM)
    return await scene.alice.submit_modal(shown, {**chosen_in(shown), **TWO_SONGS, **values})


def questions(shown: Any) -> dict[str, dict[str, Any]]:
    return {part["component"]["custom_id"]: part for part in shown.modal["components"]}


def chosen_in(shown: Any) -> dict[str, list[str]]:
    """Return what is chosen in the selects of a form."""
    return {
        name: [option["value"] for option in part["component"]["options"] if option.get("default")]
        for name, part in questions(shown).items()
        if "options" in part["component"]
    }


async def test_the_form_asks_for_two_files_and_little_more(scene: Scene) -> None:
    shown: Any = await scene.alice.slash(scene.channel, FORM)
    assert scene.client._connection._view_store._modals == {}  # nothing is kept of it
    assert shown.modal["title"] == "Merge two songs"
    asked = questions(shown)
    assert list(asked) == [*SONGS, "tempo", "key", "arrange"]
    for role in SONGS:
        upload = asked[role]["component"]
        assert upload["type"] == 19
        assert upload["required"]
        assert (upload["min_values"], upload["max_values"]) == (1, 1)
    assert chosen_in(shown) == {"tempo": ["auto"], "key": ["match"], "arrange": ["full"]}


async def test_options_are_those_of_the_recipe(scene: Scene) -> None:
    asked = questions(await scene.alice.slash(scene.channel, FORM))
    options = {option.name: option for option in OPTIONS if option.name in ASKED}
    assert len(options) == len(ASKED)
    for name, option in options.items():
        assert asked[name]["description"] == option.help
        given = asked[name]["component"]["options"]
        assert [one["value"] for one in given] == list(option.choices)
    up = next(one for one in asked["key"]["component"]["options"] if one["value"] == "2")
    assert up["label"] == "+2 semitones"
    assert "description" not in up
    keep = next(one for one in asked["key"]["component"]["options"] if one["value"] == "keep")
    assert (keep["label"], keep["description"]) == ("keep", "leave it as it was sung")


async def test_a_form_makes_a_mash_up(scene: Scene) -> None:
    answer = await fill_in(scene, key=["-2"], arrange=["highlight"])
    assert not answer.ephemeral
    assert answer.response.attachments[0].filename == "rapper x diva.mp3"
    assert scene.hands.seen == [(b"voice", b"band")]
    [task] = scene.hands.tasks
    assert (task.recipe.key, task.recipe.arrange, task.recipe.tempo) == ("-2", "highlight", "auto")
    assert scene.files() == []


async def test_a_servers_defaults_are_chosen_already(scene: Scene) -> None:
    await scene.client.policies.set(scene.guild.id, "key", "keep")
    await scene.client.policies.set(scene.guild.id, "duck", 3.0)
    shown = await scene.alice.slash(scene.channel, FORM)
    assert chosen_in(shown) == {"tempo": ["auto"], "key": ["keep"], "arrange": ["full"]}
    # What the form showed is what the person gets.
    await scene.client.policies.set(scene.guild.id, "key", "3")
    await scene.alice.submit_modal(shown, {**chosen_in(shown), **TWO_SONGS})
    [task] = scene.hands.tasks
    assert (task.recipe.key, task.recipe.duck) == ("keep", 3.0)


async def test_a_form_may_be_sent_after_a_restart(scene: Scene) -> None:
    shown = await scene.alice.slash(scene.channel, FORM)
    client = VocalClient(
        scene.client.config,
        workers=[scene.hands],
        fetch=fetch_from(deque([scene.env])),
        edit_every_s=BETWEEN_EDITS_S,
    )
    await scene.restart(client)
    values = {**chosen_in(shown), **TWO_SONGS, "key": ["keep"]}
    answer: Any = await scene.alice.submit_modal(shown, values)
    assert len(answer.response.attachments) == 1
    assert scene.hands.tasks[0].recipe.key == "keep"


async def test_two_people_fill_in_forms_at_once(scene: Scene) -> None:
    alices: Any = await scene.alice.slash(scene.channel, FORM)
    bobs = await scene.bob.slash(scene.channel, FORM)
    again: Any = await scene.alice.slash(scene.channel, FORM)  # the first one was closed
    await scene.bob.submit_modal(bobs, {**chosen_in(bobs), **TWO_SONGS, "vocals": ("b.mp3", b"B")})
    await scene.alice.submit_modal(
        again, {**chosen_in(again), **TWO_SONGS, "vocals": ("a.mp3", b"A")}
    )
    assert alices.modal["custom_id"] == again.modal["custom_id"]
    assert scene.hands.seen == [(b"B", b"band"), (b"A", b"band")]


async def test_what_is_clearly_no_song_is_refused_unread(scene: Scene) -> None:
    asked: list[str] = []

    async def note(url: str) -> AsyncIterator[bytes]:
        asked.append(url)
        yield b"x"

    scene.client.desk.fetch = note
    for name in ("cover.png", "paper.pdf", "tune.mid"):
        answer = await fill_in(scene, backing=(name, b"x"))
        assert answer.ephemeral
        assert answer.response.content == (f"{name} is no song. Attach an audio file, or a video.")
    assert asked == []
    assert scene.hands.tasks == []
    assert scene.files() == []


async def test_what_may_be_a_song_is_taken(scene: Scene) -> None:
    answer = await fill_in(scene, vocals=("mystery", b"v"), backing=("clip.MP4", b"film"))
    assert len(answer.response.attachments) == 1


async def test_unfit_files_are_refused_at_once(scene: Scene) -> None:
    await scene.client.policies.set(scene.guild.id, "max_upload_mb", 1)
    for file, sentence in (
        (("long.wav", bytes(MIB + 1)), "long.wav is larger than the 1 MiB that this bot takes."),
        (("void.mp3", b""), "void.mp3 is empty. Attach the song itself."),
    ):
        answer = await fill_in(scene, vocals=file)
        assert answer.ephemeral
        assert sentence in answer.response.content
    assert scene.hands.tasks == []


async def test_a_bad_value_is_refused_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Discord lets nobody choose such a value; only a form of another version could hold it.
    monkeypatch.setattr(discord.ui.Select, "values", ["sideways"])
    answer = await fill_in(scene)
    assert answer.ephemeral
    assert answer.response.content.startswith("tempo cannot be sideways. Choose one of auto, ")


async def test_limits_are_told_in_private(scene: Scene) -> None:
    scene.hands.gate.clear()
    for _ in range(2):
        await fill_in(scene)
    answer = await fill_in(scene)
    assert answer.ephemeral
    assert "You already have 2 merges in the works." in answer.response.content
    scene.hands.gate.set()
    await scene.env.settle()


async def test_our_own_fault_has_a_code(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: Any, _attachment: Any) -> Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("bot.desk.MergeDesk.attached", fail)
    answer = await fill_in(scene)
    assert answer.ephemeral
    assert answer.response.content.startswith("Something went wrong on our side. Whoever runs this")
    assert "secret" not in answer.response.content


async def test_no_form_is_shown_where_it_would_be_refused(scene: Scene) -> None:
    there = scene.guild.create_text_channel("mash-ups-only")
    await scene.client.policies.set(scene.guild.id, "allowed_channels", [there.id])
    answer: Any = await scene.alice.slash(scene.channel, FORM)
    assert answer.modal is None
    assert answer.response.content == f"Merges are not for this channel. Go to <#{there.id}>."
    strict = scene.guild.create_text_channel(
        "strict",
        overwrites={scene.guild.default_role: discord.PermissionOverwrite(attach_files=False)},
    )
    answer = await scene.alice.slash(strict, FORM)
    assert answer.modal is None
    assert "I lack the permission Attach Files." in answer.response.content
    assert len(scene.env.errors) == 2


async def test_works_in_a_direct_message(scene: Scene) -> None:
    dora = scene.env.create_user("dora")
    shown = await dora.slash(FORM)
    answer = await dora.submit_modal(shown, {**chosen_in(shown), **TWO_SONGS})
    assert len(answer.response.attachments) == 1


async def test_the_command_is_there_for_every_way_in(scene: Scene) -> None:
    [commands] = scene.sent("PUT", "/applications/*/commands")
    [command] = [command for command in commands if command["name"] == FORM]
    assert sorted(command["integration_types"]) == [0, 1]
    assert sorted(command["contexts"]) == [0, 1, 2]


async def test_words_fit_into_a_form() -> None:
    for part in MashForm({}).to_dict()["components"]:
        assert 1 <= len(part["label"]) <= 45
        assert 1 <= len(part["description"]) <= 100
        options = part["component"].get("options", [])
        assert len(options) <= 25
        assert all(len(one.get("description", "")) <= 100 for one in options)
