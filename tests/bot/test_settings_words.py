from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.policy import Change
from bot.setting_kinds import Group, IdSetting, OptionSetting, Setting
from bot.settings_page import settings_page
from bot.settings_words import changed_text, changes_text, exported_text, pages_of, sentence
from tests.bot.admins import SETTINGS, unlike_the_default

BY_NAME = {setting.name: setting for setting in SETTINGS}
DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


@pytest.mark.parametrize(
    ("name", "before", "after", "text"),
    [
        ("denoise", 0.8, 0.5, "`denoise` is 0.5 from now on; it was 0.8."),
        ("denoise", 0.8, 0.8, "`denoise` is 0.8 already."),
        ("balance", 0.0, -1.5, "`balance` is -1.5 LU from now on; it was 0 LU."),
        (
            "max_song_minutes",
            15,
            1,
            "`max_song_minutes` is 1 minute from now on; it was 15 minutes.",
        ),
        ("library", "on", "off", "`library` is off from now on; it was on."),
        ("audit_channel", (), (5,), "`audit_channel` is <#5> from now on; it was none."),
        ("allowed_roles", (4, 5), (), "`allowed_roles` is all from now on; it was <@&4> <@&5>."),
    ],
)
def test_a_change_is_said_in_a_sentence(name: str, before: float, after: float, text: str) -> None:
    change = Change(name=name, before=before, after=after)
    assert changed_text(BY_NAME[name], change) == text


def test_many_changes_leave_room_in_a_message() -> None:
    changes = [
        Change(
            name=setting.name,
            before=setting.default,
            after=tuple(range(2**62, 2**62 + 25))
            if isinstance(setting, IdSetting) and setting.most > 1
            else unlike_the_default(setting),
        )
        for setting in reversed(SETTINGS * 3)
    ]
    text = changes_text("Changed:", BY_NAME, changes)
    lines = text.splitlines()
    assert len(text) <= 1700
    assert lines[0] == "Changed:"
    assert lines[-1] == f"- and {len(changes) - (len(lines) - 2)} more"


def test_few_changes_are_all_there() -> None:
    change = Change(name="take", before=1, after=2)
    assert changes_text("Changed:", BY_NAME, [change]) == "Changed:\n- `take`: 1 → 2"


@pytest.mark.parametrize(
    ("count", "start"),
    [
        (0, "Nothing has been changed here yet."),
        (1, "The one setting that was changed here."),
        (3, "The 3 settings that were changed here."),
    ],
)
def test_a_file_is_told_by_what_it_holds(count: int, start: str) -> None:
    assert exported_text(count).startswith(f"{start} /settings import takes this file")


def test_pages_keep_groups_apart_and_lose_nothing() -> None:
    pages = pages_of(BY_NAME)
    assert [setting for page in pages for setting in page] == list(SETTINGS)
    assert all(len({setting.group for setting in page}) == 1 for page in pages)
    assert {page[0].group for page in pages} == set(Group)
    assert max(map(len, pages)) <= 7


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_fits_where_discord_shows_it(setting: Setting) -> None:
    assert re.fullmatch("[a-z_]{1,32}", setting.name)  # the buttons' custom_id takes no other
    assert 10 < len(sentence(setting.help)) <= 100  # below a choice of a menu
    if isinstance(setting, OptionSetting) and not setting.option.choices:
        assert len(setting.allowed()) <= 100  # below the field of a form
    assert len(setting.allowed()) <= 300  # among the others of a page


def test_the_documentation_says_what_holds() -> None:
    regenerate = "regenerate it: python -m bot.settings_page > docs/settings.md"
    assert DOCS.read_text(encoding="utf-8") == settings_page(SETTINGS), regenerate
