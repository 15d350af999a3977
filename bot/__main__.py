"""``python -m bot``: read the settings, set up logging, run until told to stop.

A spawned worker imports this module again, so Discord is imported inside the function that
needs it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from dotenv import dotenv_values

from bot.config import ConfigError, read_config

BAD_CONFIG = 2


def main() -> int:
    """Run the bot.

    Returns
    -------
    int
        0 after a clean stop, 1 when Discord cannot be reached, 2 when a setting is wrong.
    """
    in_file = {name: value or "" for name, value in dotenv_values(".env").items()}
    try:
        config = read_config({**in_file, **os.environ})
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIG
    logging.basicConfig(
        level=config.log_level, format="%(asctime)s %(levelname)-8s %(name)s: %(message)s"
    )

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
    sys.exit(main())
