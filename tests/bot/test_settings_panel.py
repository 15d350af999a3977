from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from bot.client import VocalClient
from bot.setting_kinds import Group, OptionSetting
from tests.bot.admins import SETTINGS, add_admin, said, use, value_in
from tests.bot.conftest import ObedientWorker, Scene, fetch_from

if TYPE_CHECKING:
    from collections import deque

    from simcord.env import Env

    from bot.config import Config
    from bot.setting_kinds import Setting

BUTTON, WORDS, ROLES, CHANNELS = 2, 3, 6, 8  # Discord's numbers of components


@pytest.fixture
def again(config: Config, envs: deque[Env]) -> VocalClient:
    return VocalClient(config, workers=[ObedientWorker()], fetch=fetch_from(envs))


@pytest.fixture
def admin(scene: Scene) -> Any:
    return add_admin(scene)


def part_of(setting: Setting) -> str:
    return "merge" if setting.group is Group.MERGE else "server"


async def open_at(scene: Scene, admin: Any, name: str) -> Any:
    """Open the panel and choose a setting; return the message."""
    opened = await use(scene, admin, "panel")
    [setting] = [setting for setting in SETTINGS if setting.name == name]
    menu = f"settings:choose:{part_of(setting)}"
    return (await admin.select(opened.response, [name], custom_id=menu)).response


def components(message: Any) -> list[dict[str, Any]]:
    return [part for row in message.components for part in row["components"]]


def chosen(part: dict[str, Any]) -> list[Any]:
    """Return what a menu shows as chosen."""
    defaults = [str(found["id"]) for found in part.get("default_values", ())]
    return defaults or [one["value"] for one in part.get("options", ()) if one.get("default")]


async def test_the_panel_opens_with_what_was_changed(scene: Scene, admin: Any) -> None:
    opened = await use(scene, admin, "panel")
    assert opened.response.embeds[0].description == "All are at their defaults."
    assert [part["custom_id"] for part in components(opened.response)] == [
        "settings:choose:merge",
        "settings:choose:server",
    ]
    offered = [one["value"] for part in components(opened.response) for one in part["options"]]
    assert offered == [setting.name for setting in SETTINGS]
    await said(scene, admin, "set", name="denoise", value="0.5")
    opened = await use(scene, admin, "panel")
    assert opened.response.embeds[0].description == "Not at their defaults:\n**denoise**: 0.5"


async def test_every_setting_shows_its_value_and_something_that_changes_it(
    scene: Scene, admin: Any
) -> None:
    message = (await use(scene, admin, "panel")).response
    for setting in SETTINGS:
        value = value_in(scene, setting)
        await scene.client.policies.set(scene.guild.id, setting.name, value)
        menu = f"settings:choose:{part_of(setting)}"
        message = (await admin.select(message, [setting.name], custom_id=menu)).response
        assert message.embeds[0].fields[0].value == f"**{setting.shown(value)}**"
        *choosers, control, back = components(message)
        assert [name for part in choosers for name in chosen(part)] == [setting.name]
        assert back["label"] == "Back to the default"
        if isinstance(setting, OptionSetting) and setting.option.choices:
            expected = [] if setting.is_switch else [value]
            assert (control["type"], chosen(control)) == (
                BUTTON if setting.is_switch else WORDS,
                expected,
            )
        elif isinstance(setting, OptionSetting):
            assert (control["type"], control["label"]) == (BUTTON, "Change…")
        else:
            kind = ROLES if setting.name == "allowed_roles" else CHANNELS
            assert (control["type"], chosen(control)) == (kind, [str(one) for one in value])


async def test_a_word_is_chosen(scene: Scene, admin: Any) -> None:
    message = await open_at(scene, admin, "pace")
    done = await admin.select(message, ["half"], custom_id="settings:put:pace")
    assert done.response.content == "`pace` is half from now on; it was auto."
    assert done.response.embeds[0].fields[0].value == "**half**"
    assert scene.client.policies.of(scene.guild.id).recipe == {"pace": "half"}


async def test_a_switch_is_turned_and_turned_back(scene: Scene, admin: Any) -> None:
    message = await open_at(scene, admin, "library")
    off = await admin.click(message, label="Turn off")
    assert scene.client.policies.of(scene.guild.id).library is False
    assert off.response.content == "`library` is off from now on; it was on."
    on = await admin.click(off.response, label="Turn on")
    assert scene.client.policies.of(scene.guild.id).library is True
    assert on.response.content == "`library` is on from now on; it was off."


async def test_a_number_is_asked_for(scene: Scene, admin: Any) -> None:
    message = await open_at(scene, admin, "library_days")
    form = await admin.click(message, label="Change…")
    [field] = form.modal["components"]
    assert field["description"] == "It takes a whole number from 1 to 365 days."
    assert field["component"]["value"] == "30 days"
    assert form.modal["custom_id"] == "settings:number:library_days"
    assert scene.client._connection._view_store._modals == {}  # nothing is kept of it
    field_id = field["component"]["custom_id"]
    done = await admin.submit_modal(form, {field_id: "7"})
    assert scene.client.policies.of(scene.guild.id).library_days == 7
    assert done.response.content == "`library_days` is 7 days from now on; it was 30 days."
    form = await admin.click(message, label="Change…")
    field_id = form.modal["components"][0]["component"]["custom_id"]
    refused = await admin.submit_modal(form, {field_id: "many"})
    [answer] = refused.followups
    assert answer.ephemeral
    assert answer.content == (
        "library\\_days cannot be many. It takes a whole number from 1 to 365 days."
    )
    assert scene.client.policies.of(scene.guild.id).library_days == 7


async def test_channels_and_roles_are_chosen_and_taken_away(scene: Scene, admin: Any) -> None:
    role = scene.guild.create_role("dj")
    message = await open_at(scene, admin, "allowed_channels")
    menu = "settings:put:allowed_channels"
    done = await admin.select(message, [scene.channel], custom_id=menu)
    assert scene.client.policies.of(scene.guild.id).channels == (scene.channel.id,)
    await admin.select(done.response, [], custom_id=menu)
    assert scene.client.policies.of(scene.guild.id).channels == ()
    message = await open_at(scene, admin, "allowed_roles")
    await admin.select(message, [role], custom_id="settings:put:allowed_roles")
    assert scene.client.policies.of(scene.guild.id).roles == (role.id,)


async def test_what_was_deleted_is_not_in_the_menu(scene: Scene, admin: Any) -> None:
    role = scene.guild.create_role("dj")
    await said(scene, admin, "set", name="allowed_roles", value=role.mention)
    scene.env.backend.delete_role(scene.guild.id, role.id)
    message = await open_at(scene, admin, "allowed_roles")
    assert chosen(components(message)[2]) == []
    assert f"<@&{role.id}>" in message.embeds[0].fields[0].value


async def test_a_setting_goes_back_to_its_default(scene: Scene, admin: Any) -> None:
    message = await open_at(scene, admin, "take")
    assert components(message)[-1]["disabled"]
    await said(scene, admin, "set", name="take", value="3")
    message = await open_at(scene, admin, "take")
    done = await admin.click(message, label="Back to the default")
    assert done.response.content == "`take` is 1 from now on; it was 3."
    assert components(done.response)[-1]["disabled"]
    assert scene.client.policies.changed(scene.guild.id) == {}


async def test_changes_of_the_panel_are_written_down_too(scene: Scene, admin: Any) -> None:
    log_channel = scene.guild.create_text_channel("log")
    message = await open_at(scene, admin, "audit_channel")
    await admin.select(message, [log_channel], custom_id="settings:put:audit_channel")
    message = await open_at(scene, admin, "library")
    await admin.click(message, label="Turn off")
    last = log_channel.last_message
    assert last is not None
    assert last.content == f"{admin.mention} changed the settings:\n- `library`: on → off"


async def test_the_panel_and_the_pages_work_after_a_restart(
    scene: Scene, admin: Any, again: VocalClient
) -> None:
    pages = (await use(scene, admin, "show")).response
    message = await open_at(scene, admin, "pace")
    days = await admin.click(await open_at(scene, admin, "library_days"), label="Change…")
    await scene.restart(again)
    await admin.submit_modal(days, {"number": "7"})
    turned = await admin.click(pages, label="Next")
    assert turned.response.embeds[0].footer.text.startswith("Page 2 of ")
    await admin.select(message, ["half"], custom_id="settings:put:pace")
    menu = "settings:choose:merge"
    message = (await admin.select(message, ["denoise"], custom_id=menu)).response
    form = await admin.click(message, label="Change…")
    field_id = form.modal["components"][0]["component"]["custom_id"]
    await admin.submit_modal(form, {field_id: "0.5"})
    menu = "settings:choose:server"
    message = (await admin.select(message, ["remix"], custom_id=menu)).response
    await admin.click(message, label="Turn off")
    assert dict(again.policies.changed(scene.guild.id)) == {
        "pace": "half",
        "library_days": 7,
        "denoise": 0.5,
        "remix": "off",
    }


async def test_each_press_is_checked_anew(scene: Scene, admin: Any) -> None:
    pages = (await use(scene, admin, "show")).response
    await said(scene, admin, "set", name="denoise", value="0.5")
    asked = (await use(scene, admin, "reset")).response
    message = await open_at(scene, admin, "denoise")
    words = await open_at(scene, admin, "pace")
    form = await admin.click(message, label="Change…")
    field_id = form.modal["components"][0]["component"]["custom_id"]
    [keys] = [role for role in scene.guild.roles.values() if role.name == "keys"]
    scene.env.backend.delete_role(scene.guild.id, keys.id)
    for result in (
        await admin.click(pages, label="Next"),
        await admin.click(asked, label="Reset them all"),
        await admin.click(message, label="Back to the default"),
        await admin.click(message, label="Change…"),
        await admin.submit_modal(form, {field_id: "0.1"}),
        await admin.select(message, ["take"], custom_id="settings:choose:merge"),
        await admin.select(words, ["half"], custom_id="settings:put:pace"),
    ):
        assert result.ephemeral
        assert result.response.content.startswith("Settings are for those who may manage")
    assert dict(scene.client.policies.changed(scene.guild.id)) == {"denoise": 0.5}


async def test_a_setting_that_is_no_more_ends_politely(
    scene: Scene, admin: Any, again: VocalClient
) -> None:
    message = await open_at(scene, admin, "denoise")
    kept = {name: one for name, one in again.policies.settings.items() if name != "denoise"}
    again.policies.settings = MappingProxyType(kept)
    await scene.restart(again)
    result = await admin.click(message, label="Change…")
    assert result.ephemeral
    assert result.response.content.startswith("denoise is no setting.")
