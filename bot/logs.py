"""What the log may say: ids and reference codes; no token, no link, no name of anybody's song.

The project's own lines are written that way. Libraries are kept from saying everything that passes
through them, which their DEBUG lines do, and all that is written to standard error, a log line or
the traceback of a dying process, is gone over once more.
"""

from __future__ import annotations

import io
import logging
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

FORMAT = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"

OURS = ("bot", "pipeline", "composer")
"""Whose DEBUG lines are shown at LOG_LEVEL=DEBUG."""

_LINK = re.compile(r"\b(?:https?|wss?)://[^\s'\"<>)\]]+", re.IGNORECASE)
# What follows an id in the paths of Discord's REST API.
_PATH = re.compile(r"(/(?:webhooks|interactions)/\d+)/[\w.~%-]+")
# Also the bot's own, whoever quotes it: a user's id in base64, a time, and a signature.
_TOKEN = re.compile(r"\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}")


class DiscreetStream(io.TextIOBase):
    """Takes links and tokens out of whatever is written, and hands it on.

    Parameters
    ----------
    stream
        Gets what is left.
    secrets
        Texts that must not pass.
    """

    def __init__(self, stream: TextIO, secrets: Iterable[str] = ()) -> None:
        self._stream = stream
        self._secrets = tuple(secret for secret in secrets if secret)

    def write(self, text: str, /) -> int:
        """Write a text, or what may be seen of it."""
        self._stream.write(discreet(text, self._secrets))
        return len(text)

    def flush(self) -> None:
        """Let it be seen now."""
        self._stream.flush()

    def fileno(self) -> int:
        """Return the file that it ends in; what others write there is theirs."""
        return self._stream.fileno()


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
    """Send this process's log to standard error, and keep that discreet.

    Parameters
    ----------
    level
        One of `bot.config.LOG_LEVELS`. Libraries say nothing below INFO: at DEBUG, discord.py and
        aiosqlite quote requests and statements, with the tokens and titles in them.
    secrets
        Texts that no line may have.
    """
    # typing.TextIO is what the interpreter's own streams are; this is one as far as they are used.
    sys.stderr = DiscreetStream(sys.stderr, secrets)  # type: ignore[assignment]
    chosen = logging.getLevelNamesMapping()[level]
    logging.basicConfig(level=max(chosen, logging.INFO), format=FORMAT)
    for name in OURS:
        logging.getLogger(name).setLevel(chosen)
