"""``python -m bot``: read the settings, set up logging, run until told to stop.

``python -m bot backup FILE`` copies the database instead, whether or not a bot runs on it.

A spawned worker imports this module again, so Discord is imported inside the function that
needs it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from bot import logs
from bot.backup import BackupError, back_up
from bot.config import ConfigError, read_config

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BAD_CONFIG = 2


def main(arguments: Sequence[str] = ()) -> int:
    """Run the bot, or copy its database.

    Parameters
    ----------
    arguments
        Those of the command line; none run the bot.

    Returns
    -------
    int
        0 after a clean stop, 1 when Discord cannot be reached or there is no backup, 2 when a
        setting is wrong.
    """
    asked = _parser().parse_args(arguments)
    in_file = {name: value or "" for name, value in dotenv_values(".env").items()}
    variables = {**in_file, **os.environ}
    return _back_up(variables, asked.target) if asked.command == "backup" else _run(variables)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot", description="Run the bot; see .env.example for its settings."
    )
    commands = parser.add_subparsers(dest="command", metavar="[backup]")
    backup = commands.add_parser(
        "backup", help="copy the database, also while the bot runs", description=back_up.__doc__
    )
    backup.add_argument("target", type=Path, help="the file to write; it must not be there yet")
    return parser


def _back_up(variables: Mapping[str, str], target: Path) -> int:
    from bot.client import DATABASE  # noqa: PLC0415 - see this module's docstring

    token = variables.get("DISCORD_TOKEN", "").strip() or "none"  # a backup needs no token
    try:
        config = read_config({**variables, "DISCORD_TOKEN": token})
        size = back_up(config.data_dir / DATABASE, target)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    except BackupError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{target}: {size} bytes, checked. Keep it to yourself: it has titles and ids in it.")
    return 0


def _run(variables: Mapping[str, str]) -> int:
    try:
        config = read_config(variables)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    logs.set_up(config.log_level, [config.token])
    os.umask(0o077)  # what the bot and its workers write is nobody else's to read

    from aiohttp import ClientError  # noqa: PLC0415 - see this module's docstring
    from discord import DiscordException, LoginFailure  # noqa: PLC0415 - see this module's docstring

    from bot.client import VocalClient, serve  # noqa: PLC0415 - see this module's docstring

    try:
        asyncio.run(serve(VocalClient(config), config.token))
    except LoginFailure:
        print(
            "Discord does not accept DISCORD_TOKEN: reset the token on your application's Bot "
            "page and put the new one into .env.",
            file=sys.stderr,
        )
        return BAD_CONFIG
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    except (ClientError, DiscordException) as error:
        print(f"Discord cannot be reached ({error}): check the connection.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
