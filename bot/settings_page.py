"""All settings as a page of the documentation: ``python -m bot.settings_page > docs/settings.md``.

The limits on it are those of a bot whose own are as they come.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bot.config import read_config
from bot.setting_kinds import Group, OptionSetting
from bot.settings_table import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.setting_kinds import Setting

_HEAD = """\
# Settings of a server

Whoever may manage a server changes these with `/settings`: `set` and `reset` for one of them,
`panel` for menus, `show` for what holds now, `export` and `import` for all of them as a file.
A change counts at once, and is written down in `audit_channel` where one is set.

The limits are those of a bot whose own (`MAX_SONG_MINUTES`, `MAX_UPLOAD_MB`, `JOBS_PER_USER` in
`.env`) are as they come; a server can only be stricter than the bot. This page is generated.
"""


def settings_page(settings: Iterable[Setting]) -> str:
    """Return the page, in Markdown."""
    settings = tuple(settings)
    parts = [_HEAD]
    for group in Group:
        rows = [_row(setting) for setting in settings if setting.group is group]
        heading = "| Setting | Meaning | Allowed | Default |\n| --- | --- | --- | --- |"
        parts.append("\n".join([f"## {group.value}\n", heading, *rows, ""]))
    return "\n".join(parts)


def _row(setting: Setting) -> str:
    allowed = setting.allowed()
    if isinstance(setting, OptionSetting) and setting.option.choices:
        meant = setting.option.choices.items()
        allowed = "<br>".join(f"`{word}`: {meaning}" for word, meaning in meant)
    default = setting.shown(setting.default)
    return f"| `{setting.name}` | {setting.help} | {allowed} | {default} |"


if __name__ == "__main__":
    sys.stdout.write(settings_page(settings_of(read_config({"DISCORD_TOKEN": "-"}))))
