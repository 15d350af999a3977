"""What the log may say: ids and reference codes; no token, no link, no name of anybody's song.

The project's own lines are written that way. Libraries are kept from saying everything that passes
through them, which their DEBUG lines do, and what a failure quotes is gone over once more.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"

OURS = ("bot", "pipeline", "composer")
"""Whose DEBUG lines are shown at LOG_LEVEL=DEBUG."""

_LINK = re.compile(r"\b(?:https?|wss?)://[^\s'\"<>)\]]+", re.IGNORECASE)
# What follows an id in the paths of Discord's REST API.
_PATH = re.compile(r"(/(?:webhooks|interactions)/\d+)/[\w.~%-]+")
# Also the bot's own, whoever quotes it: a user's id in base64, a time, and a signature.
_TOKEN = re.compile(r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}")


class DiscreetFormatter(logging.Formatter):
    """Takes links and tokens out of whatever is logged, tracebacks included.

    Parameters
    ----------
    secrets
        Texts that no line may have.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(FORMAT)
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without what is nobody's business."""
        return discreet(super().format(record), self._secrets)


def discreet(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without secrets, tokens and links.

    Parameters
    ----------
    text
        Whatever was to be logged.
    secrets
        Texts that it may not have.
    """
    for secret in secrets:
        text = text.replace(secret, "<secret>")
    text = _LINK.sub("<link>", text)
    text = _PATH.sub(r"\1/<token>", text)
    return _TOKEN.sub("<token>", text)


def set_up(level: str, secrets: Iterable[str] = ()) -> None:
    """Send this process's log to standard error.

    Parameters
    ----------
    level
        One of `bot.config.LOG_LEVELS`. Libraries say nothing below INFO: at DEBUG, discord.py and
        aiosqlite quote requests and statements, with the tokens and titles in them.
    secrets
        Texts that no line may have.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(DiscreetFormatter(secrets))
    chosen = logging.getLevelNamesMapping()[level]
    logging.basicConfig(level=max(chosen, logging.INFO), handlers=[handler])
    for name in OURS:
        logging.getLogger(name).setLevel(chosen)
