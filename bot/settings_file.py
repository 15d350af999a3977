"""A server's settings as a file that people can read, change and take elsewhere."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NoReturn

import aiohttp

from bot.setting_kinds import SettingError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import discord

    from bot.files import Fetch
    from pipeline.facts import Json

log = logging.getLogger(__name__)

LARGEST_FILE_BYTES = 64 * 1024


async def fetch_settings_file(attachment: discord.Attachment, fetch: Fetch) -> bytes:
    """Return what an attachment holds.

    Raises
    ------
    SettingError
        It is too large, or Discord did not hand it over.
    """
    _check_size(attachment.size)
    blob = bytearray()
    try:
        async for piece in fetch(attachment.url):
            blob += piece
            _check_size(len(blob))
    except (aiohttp.ClientError, TimeoutError) as error:
        log.warning("attachment %s was not handed over: %s", attachment.id, error)
        raise SettingError(
            "Discord did not hand the file over.", hint="Please attach it again."
        ) from error
    return bytes(blob)


def _check_size(size: int) -> None:
    if size > LARGEST_FILE_BYTES:
        raise SettingError(
            f"The file is larger than {LARGEST_FILE_BYTES // 1024} KiB.", hint=_EXPORT_FIRST
        )


def read_settings_file(blob: bytes) -> dict[str, object]:
    """Return what a file of settings says: names and values, neither of them checked yet.

    Parameters
    ----------
    blob
        The file, no larger than `LARGEST_FILE_BYTES`; it may be hostile.

    Raises
    ------
    SettingError
        It is no such file.
    """
    try:
        data = json.loads(
            blob.decode("utf-8-sig"),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:  # too deep a nest is the latter
        raise SettingError("The file is no JSON that I can read.", hint=_EXPORT_FIRST) from error
    if not isinstance(data, dict):
        raise SettingError("The file holds no settings by name.", hint=_EXPORT_FIRST)
    return data


_EXPORT_FIRST = "Start from the file that /settings export gives you."


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise SettingError(f"The file says {quoted(name)} twice.", hint="Leave one of them.")
        found[name] = value
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise SettingError(f"The file says {word}, which is no number.", hint="Write a number.")


def write_settings_file(data: Mapping[str, Json]) -> bytes:
    """Return settings as a file that people can read, and `read_settings_file` too."""
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()
