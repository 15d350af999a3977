from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.client import VocalClient
from bot.setting_kinds import Group, Setting
from bot.settings import FILE_NAME
from bot.settings_file import LARGEST_FILE_BYTES
from tests.bot.admins import (
    SETTINGS,
    add_admin,
    let_everybody_through,
    refused,
    said,
    use,
    value_in,
)
from tests.bot.conftest import ObedientWorker, Scene, fetch_from
from tests.discord_schema import embed_length

if TYPE_CHECKING:
    from collections import deque

    from simcord.env import Env

    from bot.config import Config


@pytest.fixture
def again(config: Config, envs: deque[Env]) -> VocalClient:
    return VocalClient(config, workers=[ObedientWorker()], fetch=fetch_from(envs))


@pytest.fixture
def admin(scene: Scene) -> Any:
    return add_admin(scene)


def exported(result: Any) -> tuple[str, bytes]:
    [file] = result.response.attachments
    return file.filename, result._env.backend.cdn.get(file.url)


@pytest.mark.parametrize("group", Group)
async def test_every_setting_goes_all_the_way_round(group: Group, scene: Scene, admin: Any) -> None:
    for setting in SETTINGS:
        if setting.group is group:
            await go_round(scene, admin, setting)


async def go_round(scene: Scene, admin: Any, setting: Setting) -> None:
    policies, guild, name = scene.client.policies, scene.guild.id, setting.name
    value = value_in(scene, setting)
    shown, was = setting.shown(value), setting.shown(setting.default)

    answer = await said(scene, admin, "set", name=name, value=shown)

    assert answer == f"`{name}` is {shown} from now on; it was {was}."
    assert policies.value(guild, name) == value
    [embed] = (await use(scene, admin, "show", name=name)).response.embeds
    assert embed.title == name
    assert embed.fields[0].value == f"**{shown}**"
    assert embed.fields[1].value == was
    file = exported(await use(scene, admin, "export"))
    assert file[0] == FILE_NAME
    assert json.loads(file[1]) == {name: setting.to_json(value)}
    answer = await said(scene, admin, "reset", name=name)
    assert answer == f"`{name}` is {was} from now on; it was {shown}."
    assert policies.changed(guild) == {}
    [embed] = (await use(scene, admin, "show", name=name)).response.embeds
    assert embed.fields[0].value == f"**{was}** (default)"
    answer = await said(scene, admin, "import", file=file)
    assert answer == f"From now on:\n- `{name}`: {was} → {shown}"
    assert dict(policies.changed(guild)) == {name: value}
    await policies.reset(guild, None)


async def test_a_change_counts_for_the_next_merge(scene: Scene, admin: Any) -> None:
    await said(scene, admin, "set", name="pace", value="half")
    await said(scene, admin, "set", name="denoise", value="0.5")
    await scene.merge(denoise=0.25)
    recipe = scene.hands.tasks[-1].recipe
    assert (recipe.pace, recipe.denoise) == ("half", 0.25)
    elsewhere = scene.guild.create_text_channel("elsewhere")
    await said(scene, admin, "set", name="allowed_channels", value=elsewhere.mention)
    answer = await scene.merge()
    assert answer.ephemeral
    assert len(scene.hands.tasks) == 1
    assert len(scene.env.errors) == 1


async def test_the_pages_show_every_setting_once_and_turn(scene: Scene, admin: Any) -> None:
    await said(scene, admin, "set", name="denoise", value="0.5")
    shown = await use(scene, admin, "show")
    met: list[str] = []
    texts: dict[str, str] = {}
    while not met or shown.response.embeds[0].fields[0].name != met[0]:
        [embed] = shown.response.embeds
        assert embed_length(embed.to_dict()) <= 6000
        met += [field.name for field in embed.fields]
        texts |= {field.name: field.value for field in embed.fields}
        shown = await admin.click(shown.response, label="Next")
    assert met == [setting.name for setting in SETTINGS]
    assert texts["denoise"].startswith("**0.5**\nClean the voice")
    assert texts["take"].startswith("**1** (default)\n")
    assert texts["take"].endswith("\nIt takes a whole number from 1 to 8.")
    before = await admin.click(shown.response, label="Back")
    assert before.response.embeds[0].fields[-1].name == met[-1]


async def test_the_pages_fit_where_all_that_can_be_listed_is(scene: Scene, admin: Any) -> None:
    roles = [scene.guild.create_role(f"r{number}").id for number in range(25)]
    places = [scene.guild.create_text_channel(f"c{number}").id for number in range(25)]
    for name, ids in (("allowed_roles", roles), ("allowed_channels", places)):
        await said(scene, admin, "set", name=name, value=" ".join(map(str, ids)))
    [embed] = (await use(scene, admin, "show", name="allowed_roles")).response.embeds
    assert f"<@&{roles[-1]}>" in embed.fields[0].value
    opened = await use(scene, admin, "panel")
    assert f"<#{places[-1]}>" in opened.response.embeds[0].description


COMMANDS: dict[str, dict[str, Any]] = {
    "show": {},
    "set": {"name": "denoise", "value": "0.5"},
    "reset": {"name": "denoise"},
    "export": {},
    "import": {"file": ("x.json", b'{"denoise": 0.5}')},
    "panel": {},
}


async def test_nobody_else_is_served_even_where_discord_lets_them_through(scene: Scene) -> None:
    let_everybody_through(scene)
    for command, options in COMMANDS.items():
        assert await refused(scene, scene.bob, command, **options) == (
            "Settings are for those who may manage this server. "
            "Ask somebody who has the permission Manage Server."
        )
    assert scene.client.policies.changed(scene.guild.id) == {}


async def test_outside_of_servers_there_are_no_settings(scene: Scene, admin: Any) -> None:
    let_everybody_through(scene)
    for command, options in COMMANDS.items():
        result = await admin.user.slash(f"settings {command}", **options)
        assert result.response.content == "Settings belong to a server. Use /settings in one."
        assert result.ephemeral
    assert len(scene.env.errors) == len(COMMANDS)


async def test_every_subcommand_is_tested_for_who_may_use_it(scene: Scene, admin: Any) -> None:
    offered = admin.available_commands(scene.channel)
    assert {name for name in offered if name.startswith("settings ")} == {
        f"settings {command}" for command in COMMANDS
    }


async def test_discord_offers_the_command_to_managers_of_servers_alone(
    scene: Scene, admin: Any
) -> None:
    assert "settings show" in admin.available_commands(scene.channel)
    assert not any("settings" in name for name in scene.bob.available_commands(scene.channel))
    assert not any("settings" in name for name in scene.bob.user.available_commands())


async def test_a_bad_value_is_refused_in_a_sentence(scene: Scene, admin: Any) -> None:
    for name, value, sentence in (
        ("flavour", "1", "flavour is no setting."),
        ("denoise", "2", "denoise cannot be 2. It takes a number from 0 to 1."),
        ("audit_channel", "77", "audit_channel cannot be 77: this server has no such channel"),
        ("allowed_roles", "77", "allowed_roles cannot be 77: this server has no such role"),
        ("tempo", "@everyone", "tempo cannot be @\u200beveryone."),
    ):
        assert sentence in await refused(scene, admin, "set", name=name, value=value)
    assert scene.client.policies.changed(scene.guild.id) == {}


async def test_what_does_not_exist_is_neither_shown_nor_reset(scene: Scene, admin: Any) -> None:
    for command in ("show", "reset"):
        answer = await refused(scene, admin, command, name="flavour")
        assert answer.startswith("flavour is no setting.")


async def test_categories_are_no_places(scene: Scene, admin: Any) -> None:
    category = scene.guild.create_category("all of it")
    answer = await refused(scene, admin, "set", name="allowed_channels", value=str(category.id))
    assert "this server has no such channel" in answer
    forum = scene.guild.create_forum_channel("ideas")
    await said(scene, admin, "set", name="allowed_channels", value=forum.mention)
    assert scene.client.policies.of(scene.guild.id).channels == (forum.id,)
    answer = await refused(scene, admin, "set", name="audit_channel", value=forum.mention)
    assert "this server has no such channel" in answer


async def test_a_value_that_holds_already_is_said_so_and_not_written_down(
    scene: Scene, admin: Any
) -> None:
    log_channel = scene.guild.create_text_channel("log")
    await said(scene, admin, "set", name="audit_channel", value=log_channel.mention)
    answer = await said(scene, admin, "set", name="denoise", value="0.8")
    assert answer == "`denoise` is 0.8 already."
    assert len(log_channel.history()) == 1


async def test_a_change_is_written_in_the_audit_channel_and_pings_nobody(
    scene: Scene, admin: Any
) -> None:
    log_channel = scene.guild.create_text_channel("log")
    await said(scene, admin, "set", name="audit_channel", value=str(log_channel.id))
    await said(scene, admin, "set", name="denoise", value="0.5")
    await said(scene, admin, "import", file=("x.json", b'{"take": 2, "library": "off"}'))
    assert [message.content for message in log_channel.history()][-3:] == [
        f"{admin.mention} changed the settings:\n- `audit_channel`: none → {log_channel.mention}",
        f"{admin.mention} changed the settings:\n- `denoise`: 0.8 → 0.5",
        f"{admin.mention} changed the settings:\n- `take`: 1 → 2\n- `library`: on → off",
    ]
    for sent in scene.sent("POST", f"/channels/{log_channel.id}/messages"):
        assert sent["allowed_mentions"] == {"parse": []}


async def test_both_channels_hear_when_the_log_moves_or_ends(scene: Scene, admin: Any) -> None:
    old, new = (scene.guild.create_text_channel(name) for name in ("old", "new"))
    for place in (old, new):
        await said(scene, admin, "set", name="audit_channel", value=place.mention)
    await said(scene, admin, "set", name="audit_channel", value="none")
    last = old.last_message
    assert last is not None
    assert last.content.endswith(f"{old.mention} → {new.mention}")
    assert [message.content[-len("none") :] for message in new.history()] == [
        new.mention[-4:],
        "none",
    ]


def forbid(scene: Scene, *flags: str) -> Any:
    everyone = scene.guild.default_role
    closed = discord.PermissionOverwrite(**dict.fromkeys(flags, False))
    bot = scene.guild.me
    assert bot is not None
    return scene.guild.create_text_channel("closed", overwrites={everyone: closed, bot: closed})


async def test_an_audit_channel_in_which_the_bot_may_not_write_is_refused_at_once(
    scene: Scene, admin: Any
) -> None:
    closed = forbid(scene, "send_messages")
    answer = await refused(scene, admin, "set", name="audit_channel", value=closed.mention)
    assert answer == (
        f"audit_channel stays as it is: in {closed.mention} I lack the permission Send Messages."
    )
    file = ("x.json", json.dumps({"denoise": 0.5, "audit_channel": str(closed.id)}).encode())
    assert "I lack the permission" in await refused(scene, admin, "import", file=file)
    assert scene.client.policies.changed(scene.guild.id) == {}


@pytest.mark.parametrize("trouble", ["gone", "closed", "refused"])
async def test_a_change_counts_also_where_it_cannot_be_written_down(
    trouble: str,
    scene: Scene,
    admin: Any,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = forbid(scene, "view_channel") if trouble == "closed" else None
    place = place or scene.guild.create_text_channel("log")
    number = 77 if trouble == "gone" else place.id
    await scene.client.policies.set(scene.guild.id, "audit_channel", number)
    if trouble == "refused":
        monkeypatch.setattr(discord.TextChannel, "send", _refuse)
    with caplog.at_level(logging.WARNING):
        answer = await said(scene, admin, "set", name="denoise", value="0.5")
    expected = {
        "gone": "its channel is gone",
        "closed": f"in {place.mention} I lack the permission View Channel and Send Messages",
        "refused": "Discord refused it",
    }[trouble]
    assert answer.splitlines()[1] == f"The audit channel does not say so: {expected}."
    assert scene.client.policies.value(scene.guild.id, "denoise") == 0.5
    assert "audit line" in caplog.text


async def _refuse(*_: Any, **__: Any) -> None:
    raise OSError("no way through")


async def test_a_bad_file_changes_nothing(scene: Scene, admin: Any) -> None:
    for blob, sentence in (
        (b"not json", "The file is no JSON that I can read."),
        (b'{"denoise": 7, "flavour": 1}', "denoise cannot be 7. It takes a number from 0 to 1;"),
        (b'{"denoise": 0.5, "allowed_roles": ["77"]}', "this server has no such role for it."),
        (b" " * (LARGEST_FILE_BYTES + 1), "The file is larger than 64 KiB."),
    ):
        assert sentence in await refused(scene, admin, "import", file=("x.json", blob))
    assert scene.client.policies.changed(scene.guild.id) == {}


async def test_a_file_that_changes_nothing_is_said_so(scene: Scene, admin: Any) -> None:
    answer = await said(scene, admin, "import", file=("x.json", b'{"denoise": 0.8}'))
    assert answer == "All is as the file says already."


@pytest.mark.parametrize("size", [None, LARGEST_FILE_BYTES + 1])
async def test_a_file_that_is_not_what_discord_announced_is_refused(
    size: int | None, scene: Scene, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fetch(_: str) -> Any:
        if size is None:
            raise TimeoutError
        yield b" " * size

    monkeypatch.setattr(scene.client.desk, "fetch", fetch)
    answer = await refused(scene, admin, "import", file=("x.json", b"{}"))
    expected = "Discord did not hand the file over." if size is None else "larger than 64 KiB."
    assert expected in answer


async def test_everything_is_reset_only_after_a_second_press(
    scene: Scene, admin: Any, again: VocalClient
) -> None:
    answer = await said(scene, admin, "reset")
    assert answer == "All settings are at their defaults already."
    await said(scene, admin, "import", file=("x.json", b'{"take": 2, "library": "off"}'))
    asked = await use(scene, admin, "reset", name="all")
    assert "defaults of `take`, `library`" in asked.response.content
    assert len(scene.client.policies.changed(scene.guild.id)) == 2
    await scene.restart(again)
    done = await admin.click(asked.response, label="Reset them all")
    assert done.response.content == (
        "All settings are at their defaults from now on:\n- `take`: 2 → 1\n- `library`: off → on"
    )
    assert done.response.components == []
    assert scene.client.policies.changed(scene.guild.id) == {}


async def suggested(
    scene: Scene, who: Any, command: str, option: str, typed: str, **filled: str
) -> list[str]:
    found = await who.autocomplete(scene.channel, f"settings {command}", option, typed, **filled)
    return [choice["value"] for choice in found]


class TestSuggestions:
    async def test_of_names(self, scene: Scene, admin: Any) -> None:
        async def names(command: str, typed: str) -> list[str]:
            return await suggested(scene, admin, command, "name", typed)

        assert await names("show", "") == [setting.name for setting in SETTINGS][:25]
        assert await names("set", "NOISE") == ["denoise", "denoise_method"]
        assert await names("set", "buttons") == ["remix"]
        assert await names("reset", "") == ["all"]
        await scene.client.policies.set(scene.guild.id, "take", 2)
        assert await names("reset", "") == ["all", "take"]

    async def test_of_values(self, scene: Scene, admin: Any) -> None:
        await scene.client.policies.set(scene.guild.id, "denoise", 0.5)
        channel = str(scene.channel.id)
        [keys] = [str(role.id) for role in scene.guild.roles.values() if role.name == "keys"]
        for name, typed, expected in (
            ("pace", "", ["auto", "same", "half", "double"]),
            ("pace", "half time", ["half"]),
            ("library", "", ["on", "off"]),
            ("denoise", "", ["0.5", "0.8", "0", "1"]),
            ("allowed_channels", "mash", [channel]),
            ("allowed_channels", "al", ["all"]),
            ("allowed_roles", "@key", [keys]),
            ("audit_channel", "none", ["none"]),
            ("flavour", "", []),
        ):
            assert await suggested(scene, admin, "set", "value", typed, name=name) == expected
        assert await suggested(scene, admin, "set", "value", "") == []

    async def test_go_to_admins_alone(self, scene: Scene) -> None:
        let_everybody_through(scene)
        for command, option in (("show", "name"), ("reset", "name"), ("set", "value")):
            filled = {"name": "pace"} if option == "value" else {}
            assert await suggested(scene, scene.bob, command, option, "", **filled) == []
