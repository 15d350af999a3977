"""What is done every hour, whether anybody comes by or not: what was kept for long enough goes."""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from typing import TYPE_CHECKING

from bot.ledger import HOUR_S, now
from pipeline.forgetting import forget_unused

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bot.client import VocalClient

log = logging.getLogger(__name__)


async def do_chores(client: VocalClient) -> None:
    """Do them at once and then every hour, for as long as the bot runs."""
    while True:
        at = now()
        await _try("libraries", client.library.expire(at))
        await _try("records", client.ledger.expire(at))
        await _try("cache", _expire_pieces(client, at))
        await asyncio.sleep(HOUR_S)


async def _try(what: str, chore: Awaitable[object]) -> None:
    try:
        await chore
    except (OSError, sqlite3.Error) as error:  # a full disk, say: an hour later it may do
        log.warning("the %s are not tidied up: %s", what, error)


async def _expire_pieces(client: VocalClient, at: float) -> None:
    """Delete pieces of songs that nobody used for long, and all of them where none are kept."""
    config = client.config
    used_before = at - config.cache_s if config.cache_bytes else math.inf
    gone = await asyncio.to_thread(forget_unused, config.cache_dir.absolute(), used_before)
    if gone.entries:
        log.info("%d pieces of songs were kept for long enough", gone.entries)
