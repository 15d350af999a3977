from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from bot.config import MIB, Config
from bot.policy import Change, Policies, Policy
from bot.setting_kinds import Setting, SettingError
from bot.settings_file import read_settings_file, write_settings_file
from bot.store import Store
from pipeline.errors import RecipeError, UserError
from pipeline.recipe import OPTIONS, Recipe
from tests.bot.admins import CONFIG, SETTINGS, unlike_the_default

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


GUILD, ELSEWHERE = 1000, 2000


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "vocal.sqlite3")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def policies(store: Store) -> Policies:
    fresh = Policies(CONFIG)
    await fresh.load(store)
    return fresh


async def loaded(store: Store, config: Config = CONFIG) -> Policies:
    """Return what a bot knows that starts now."""
    fresh = Policies(config)
    await fresh.load(store)
    return fresh


def test_every_option_of_a_merge_is_a_setting_and_no_name_is_used_twice() -> None:
    names = [setting.name for setting in SETTINGS]
    assert names[: len(OPTIONS)] == [option.name for option in OPTIONS]
    assert len(set(names)) == len(names)


def test_by_default_a_server_has_what_the_bot_has(policies: Policies) -> None:
    expected = Policy(
        recipe={},
        channels=(),
        roles=(),
        max_song_s=CONFIG.max_song_s,
        max_upload_bytes=CONFIG.max_upload_bytes,
        merges_at_once=CONFIG.jobs_per_user,
        merges_per_hour=0,
        library_days=30,
        library=True,
        surprise=True,
        remix=True,
        picture=True,
        audit_channel=None,
    )
    assert policies.of(None) == policies.of(GUILD) == expected
    assert policies.export(GUILD) == {}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
async def test_every_setting_goes_all_the_way_round(
    setting: Setting, policies: Policies, store: Store
) -> None:
    name, value = setting.name, unlike_the_default(setting)
    before = policies.of(GUILD)

    change = await policies.set(GUILD, name, setting.shown(value))

    assert change == Change(name=name, before=setting.default, after=value)
    assert policies.value(GUILD, name) == value
    differing = policies.of(GUILD)
    assert differing != before
    assert policies.of(ELSEWHERE) == policies.of(None) == before
    assert (await loaded(store)).of(GUILD) == differing
    data = read_settings_file(write_settings_file(policies.export(GUILD)))
    assert list(data) == [name]
    assert await policies.import_(ELSEWHERE, data) == (change,)
    assert policies.of(ELSEWHERE) == differing
    back = Change(name=name, before=value, after=setting.default)
    assert await policies.reset(GUILD, name) == (back,)
    assert policies.of(GUILD) == before
    assert await policies.import_(ELSEWHERE, {name: None}) == (back,)
    assert await store.read("SELECT * FROM settings") == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_what_is_shown_and_what_files_hold_may_be_written_back(setting: Setting) -> None:
    for value in (setting.default, unlike_the_default(setting)):
        assert setting.check(setting.shown(value)) == value
        assert setting.check(json.loads(json.dumps(setting.to_json(value)))) == value


@pytest.mark.parametrize(
    ("name", "raw", "field", "expected"),
    [
        ("max_song_minutes", "7", "max_song_s", 420.0),
        ("max_song_minutes", "1 minute", "max_song_s", 60.0),
        ("max_upload_mb", "8 MiB", "max_upload_bytes", 8 * MIB),
        ("merges_at_once", 1, "merges_at_once", 1),
        ("merges_per_hour", 12.0, "merges_per_hour", 12),
        ("library_days", "7 days", "library_days", 7),
        ("library", "OFF", "library", False),
        ("surprise", False, "surprise", False),
        ("remix", "off", "remix", False),
        ("picture", "off", "picture", False),
        ("audit_channel", "<#77>", "audit_channel", 77),
        ("allowed_channels", "<#1>, <#2> 3 <#1>", "channels", (1, 2, 3)),
        ("allowed_roles", ["4", 5, "<@&6>"], "roles", (4, 5, 6)),
        ("denoise", "0.5", "recipe", {"denoise": 0.5}),
        ("key", "+2", "recipe", {"key": "2"}),
        ("key", -3, "recipe", {"key": "-3"}),
        ("balance", "-3 LU", "recipe", {"balance": -3.0}),
        ("pace", " Half ", "recipe", {"pace": "half"}),
    ],
)
async def test_what_people_write_is_understood(
    name: str, raw: object, field: str, expected: object, policies: Policies
) -> None:
    await policies.set(GUILD, name, raw)
    assert getattr(policies.of(GUILD), field) == expected


async def test_a_servers_defaults_make_a_recipe(policies: Policies) -> None:
    for setting in SETTINGS[: len(OPTIONS)]:
        await policies.set(GUILD, setting.name, unlike_the_default(setting))
    recipe = Recipe(**policies.of(GUILD).recipe)  # type: ignore[arg-type]  # each has its kind
    assert {name: getattr(recipe, name) for name in policies.of(GUILD).recipe} == dict(
        policies.changed(GUILD)
    )


@pytest.mark.parametrize(
    ("name", "raw", "sentence"),
    [
        ("flavour", "x", "flavour is no setting. /settings show lists them all."),
        ("denoise", "2", "denoise cannot be 2. It takes a number from 0 to 1."),
        ("denoise", "", "denoise cannot be empty. It takes a number from 0 to 1."),
        ("denoise", True, "denoise cannot be true. It takes a number from 0 to 1."),
        ("denoise", float("nan"), "denoise cannot be NaN. It takes a number from 0 to 1."),
        ("denoise", [0.5], "denoise cannot be a list. It takes a number from 0 to 1."),
        ("take", 1.5, "take cannot be 1.5. It takes a whole number from 1 to 8."),
        ("take", 10**400, "take cannot be a huge number. It takes a whole number from 1 to 8."),
        ("take", "9" * 5000, "take cannot be 99999"),
        ("pace", "warp", "pace cannot be warp. Choose one of auto, same, half, double."),
        ("pace", {"a": 1}, "pace cannot be an object. Choose one of auto, same, half, double."),
        ("library", "maybe", "library cannot be maybe. Choose one of on, off."),
        ("library", 1, "library cannot be 1. Choose one of on, off."),
        ("max_song_minutes", 16, "It takes a whole number from 1 to 15 minutes."),
        ("max_upload_mb", 101, "It takes a whole number from 1 to 100 MiB."),
        ("merges_at_once", 3, "It takes a whole number from 1 to 2."),
        ("audit_channel", "#general", "It takes one channel, or the word none."),
        ("audit_channel", "<@&5>", "audit_channel cannot be <@&5>."),
        ("audit_channel", "1 2", "audit_channel cannot be 2 channels."),
        ("audit_channel", 2**63, "audit_channel cannot be a huge number."),
        ("allowed_roles", "<#5>", "It takes up to 25 roles, or the word all."),
        ("allowed_roles", True, "allowed_roles cannot be true."),
        ("allowed_roles", [[1]], "allowed_roles cannot be a list."),
        ("allowed_roles", [True], "allowed_roles cannot be true."),
        ("allowed_roles", 0, "allowed_roles cannot be 0."),
        ("allowed_channels", " ".join(map(str, range(1, 27))), "cannot be 26 channels."),
    ],
)
async def test_a_bad_value_is_refused_in_a_sentence_and_changes_nothing(
    name: str, raw: Any, sentence: str, policies: Policies
) -> None:
    with pytest.raises((SettingError, RecipeError)) as caught:
        await policies.set(GUILD, name, raw)
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 250
    assert policies.changed(GUILD) == {}


def test_a_server_may_only_be_stricter_than_the_bot() -> None:
    odd = dataclasses.replace(CONFIG, max_song_s=90.0, max_upload_bytes=MIB // 2, jobs_per_user=1)
    policies = Policies(odd)
    assert policies.of(None).max_song_s == 60.0
    assert policies.of(None).max_upload_bytes == MIB // 2
    with pytest.raises(UserError, match="from 1 to 1 minutes"):
        policies.check("max_song_minutes", 2)


async def test_what_a_newer_version_no_longer_allows_is_ignored_and_logged(
    policies: Policies, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await policies.set(GUILD, "max_song_minutes", 12)
    await policies.set(GUILD, "library", "off")
    for name, text in (("tempo", '"swing"'), ("gone", "1"), ("key", "{not json")):
        await store.write("INSERT INTO settings VALUES (?, ?, ?)", (GUILD, name, text))
    with caplog.at_level(logging.WARNING):
        later = await loaded(store, dataclasses.replace(CONFIG, max_song_s=600.0))
    assert dict(later.changed(GUILD)) == {"library": "off"}
    assert later.of(GUILD).max_song_s == 600.0
    told = " ".join(caplog.messages)
    assert all(name in told for name in ("max_song_minutes", "tempo", "gone"))
    assert len(caplog.messages) == 4


async def test_an_import_is_all_or_nothing(policies: Policies) -> None:
    await policies.set(GUILD, "denoise", 0.5)
    data = {"take": 3, "flavour": 1, "denoise": 7, "library": "off"}
    with pytest.raises(SettingError) as caught:
        await policies.import_(GUILD, data)
    assert str(caught.value) == (
        "Nothing was changed: flavour is no setting. /settings show lists them all; "
        "denoise cannot be 7. It takes a number from 0 to 1."
    )
    assert dict(policies.changed(GUILD)) == {"denoise": 0.5}


async def test_of_many_problems_a_few_are_named(policies: Policies) -> None:
    with pytest.raises(SettingError, match=r"x4 is no setting.*; and 95 more\.$") as caught:
        await policies.import_(GUILD, {f"x{number}": number for number in range(100)})
    assert "x5" not in str(caught.value)


async def test_what_an_import_does_not_name_stays(policies: Policies) -> None:
    await policies.set(GUILD, "denoise", 0.5)
    changes = await policies.import_(GUILD, {"take": 3, "denoise": 0.5})
    assert [change.name for change in changes] == ["take"]
    assert dict(policies.changed(GUILD)) == {"denoise": 0.5, "take": 3}


async def test_a_failed_write_changes_nothing(policies: Policies, store: Store) -> None:
    await store.write(
        "CREATE TRIGGER full BEFORE INSERT ON settings WHEN NEW.name = 'take' "
        "BEGIN SELECT RAISE(ABORT, 'disk full'); END"
    )
    with pytest.raises(Exception, match="disk full"):
        await policies.import_(GUILD, {"denoise": 0.5, "take": 3})
    assert policies.changed(GUILD) == {}
    assert await store.read("SELECT * FROM settings") == []


async def test_changes_at_the_same_time_do_not_undo_each_other(
    policies: Policies, store: Store
) -> None:
    await asyncio.gather(
        *(policies.set(GUILD, s.name, unlike_the_default(s)) for s in SETTINGS),
        *(policies.set(ELSEWHERE, "take", take) for take in (2, 3, 4)),
    )
    assert set(policies.changed(GUILD)) == {setting.name for setting in SETTINGS}
    later = await loaded(store)
    for guild in (GUILD, ELSEWHERE):
        assert later.of(guild) == policies.of(guild)


async def test_everything_may_be_reset_at_once(policies: Policies, store: Store) -> None:
    await store.write("INSERT INTO settings VALUES (?, ?, ?)", (GUILD, "gone", "1"))
    await policies.import_(GUILD, {"take": 3, "library": False})
    await policies.set(ELSEWHERE, "take", 2)
    assert [change.name for change in await policies.reset(GUILD, None)] == ["take", "library"]
    assert policies.of(GUILD) == policies.of(None)
    assert policies.value(ELSEWHERE, "take") == 2
    assert [row["guild_id"] for row in await store.read("SELECT * FROM settings")] == [ELSEWHERE]
    with pytest.raises(SettingError):
        await policies.reset(GUILD, "flavour")


def nested(depth: int) -> bytes:
    return b'{"denoise": ' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    ("blob", "sentence"),
    [
        (b"", "The file is no JSON that I can read."),
        (b"\xff\xfe", "The file is no JSON that I can read."),
        (b"not json", "The file is no JSON that I can read."),
        pytest.param(nested(20_000), "The file is no JSON that I can read.", id="deep"),
        pytest.param(
            b'{"take": 1' + b"0" * 5000 + b"}", "The file is no JSON that I can read.", id="huge"
        ),
        (b"[1]", "The file holds no settings by name."),
        (b"null", "The file holds no settings by name."),
        (b'{"denoise": NaN}', "The file says NaN, which is no number."),
        (b'{"denoise": -Infinity}', "The file says -Infinity, which is no number."),
        (b'{"take": 1, "take": 2}', "The file says take twice."),
        (b'{"take": {"a": 1, "a": 2}}', "The file says a twice."),
    ],
)
def test_a_file_that_holds_no_settings_is_refused(blob: bytes, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings_file(blob)
    assert str(caught.value).startswith(sentence)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("blob", "sentence"),
    [
        (nested(800), "denoise cannot be a list"),
        (b'{"denoise": 1e999}', "denoise cannot be a huge number"),
        (b'{"take": 1' + b"0" * 4000 + b"}", "take cannot be a huge number"),
        (b'{"take": "' + b"x" * 60_000 + b'"}', "take cannot be xxx"),
        (b'{"' + b"x" * 60_000 + b'": 1}', "xxx"),
        (b'{"tempo": "\\u202e@everyone\\n"}', "tempo cannot be @everyone."),
    ],
    ids=["deep", "infinite", "huge", "long", "long name", "control characters"],
)
async def test_hostile_values_are_refused_plainly(
    blob: bytes, sentence: str, policies: Policies
) -> None:
    with pytest.raises(SettingError) as caught:
        await policies.import_(GUILD, read_settings_file(blob))
    assert sentence in str(caught.value)
    assert len(str(caught.value)) < 250


def test_a_file_may_begin_with_the_mark_that_windows_writes() -> None:
    assert read_settings_file(b'\xef\xbb\xbf{"take": 2}') == {"take": 2}
