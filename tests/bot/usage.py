"""What the bot offers, and what of it tests have used: a whole run fails where something is left.

Every process of the tests keeps its own notes; pytest-xdist brings them together at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
from discord import app_commands

from bot.items import PersistentItem
from bot.remix import ACTIONS
from bot.settings_table import settings_of
from bot.views import RemixButton

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.client import VocalClient

_NOTES = "offered and used"

offered: set[str] = set()
used: set[str] = set()


def note_offers(client: VocalClient) -> None:
    """Note all that people can use: commands, completions, settings, buttons, lists, forms."""
    offered.update(_commands(client), _components(), ("form mash", "form settings"))
    offered.update(f"setting {setting.name}" for setting in settings_of(client.config))


def _commands(client: VocalClient) -> Iterator[str]:
    for command in client.tree.get_commands():
        parts = command.walk_commands() if isinstance(command, app_commands.Group) else (command,)
        for part in parts:
            yield f"command {part.qualified_name}"
            if isinstance(part, app_commands.Command):
                for option in part.parameters:
                    if option.autocomplete:
                        yield f"completion {part.qualified_name} {option.name}"


def _components() -> Iterator[str]:
    yield from (f"button {action}" for action in ACTIONS)
    yield from (f"component {kind.__name__}" for kind in _kinds() if kind is not RemixButton)


def _kinds(root: type[PersistentItem[Any]] = PersistentItem) -> Iterator[type[PersistentItem[Any]]]:
    for kind in root.__subclasses__():
        if kind.__module__.startswith("bot."):
            yield kind
            yield from _kinds(kind)


def note_use(interaction: discord.Interaction[Any]) -> None:
    """Note what somebody has used."""
    data: Any = interaction.data
    match interaction.type:
        case discord.InteractionType.application_command:
            name, options = _full_name(data)
            used.add(f"command {name}")
            if name == "settings set":
                used.update(f"setting {one['value']}" for one in options if one["name"] == "name")
        case discord.InteractionType.autocomplete:
            name, options = _full_name(data)
            used.update(f"completion {name} {one['name']}" for one in options if one.get("focused"))
        case discord.InteractionType.component:
            used.update(_used_component(data["custom_id"]))
        case discord.InteractionType.modal_submit:
            used.add(f"form {data['custom_id'].split(':')[0]}")


def _full_name(data: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return a command's name, with that of its part, and the options that it was given."""
    names, options = [data["name"]], data.get("options", [])
    while options and options[0]["type"] in (1, 2):
        names.append(options[0]["name"])
        options = options[0].get("options", [])
    return " ".join(names), options


def _used_component(custom_id: str) -> Iterator[str]:
    for kind in _kinds():
        if found := kind.__discord_ui_compiled_template__.fullmatch(custom_id):
            is_remix = kind is RemixButton
            yield f"button {found['action']}" if is_remix else f"component {kind.__name__}"


def _left(config: pytest.Config) -> list[str]:
    """Return what no test has used, if all tests have run."""
    option = config.option
    chosen = option.keyword or option.markexpr or option.deselect or option.ignore or option.lf
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    if chosen or not whole or option.collectonly:
        return []
    return sorted(offered - used) if offered else ["anything at all"]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the notes of a process of the tests."""
    theirs = getattr(node, "workeroutput", {}).get(_NOTES, {})
    offered.update(theirs.get("offered", ()))
    used.update(theirs.get("used", ()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the notes over, or judge by them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_NOTES] = {"offered": sorted(offered), "used": sorted(used)}
    elif session.exitstatus == pytest.ExitCode.OK and _left(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say what no test has used."""
    for name in _left(config):
        terminalreporter.write_line(f"The bot offers what no test has used: {name}", red=True)
