"""What is said to people, and what may go wrong when Discord is asked to say it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import discord

from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOO_LARGE = 40005

UNREACHABLE = (discord.HTTPException, aiohttp.ClientError, OSError)
"""What it may raise to tell Discord something."""

_HTTP_TOO_LARGE = 413
_HTTP_TOO_MANY = 429
_HTTP_THEIR_FAULT = 500
_LOCAL = (FileNotFoundError, PermissionError)  # nothing was sent
_GARBLED = (KeyError, TypeError, ValueError, AttributeError)  # as discord.py meets them


class ResultTooLargeError(UserError):
    """Discord takes no file of this size here."""


class GarbledAnswerError(aiohttp.ClientError):
    """Discord answered what nobody understands; it may have done as it was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be said.

    Attributes
    ----------
    text
        The content, or "".
    embed
        A card, or None.
    files
        What to attach: each a file and its name for people.
    view
        Buttons, or None.
    """

    text: str = ""
    embed: discord.Embed | None = None
    files: tuple[tuple[Path, str], ...] = ()
    view: discord.ui.View | None = None

    def new_files(self) -> list[discord.File]:
        """Open the files afresh: discord.py closes them with each attempt to send them."""
        return [discord.File(path, filename=name) for path, name in self.files]

    def extras(self, reference: discord.MessageReference | None = None) -> dict[str, Any]:
        """Return the parts of a message that `send` takes only when they are there."""
        extras: dict[str, Any] = {} if reference is None else {"reference": reference}
        if self.embed is not None:
            extras["embed"] = self.embed
        if self.files:
            extras["files"] = self.new_files()
        if self.view is not None:
            extras["view"] = self.view
        return extras


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may work later, or may have worked unheard."""
    if isinstance(error, discord.HTTPException):
        return error.status >= _HTTP_THEIR_FAULT or error.status == _HTTP_TOO_MANY
    return not isinstance(error, _LOCAL)


@contextmanager
def understanding() -> Iterator[None]:
    """Turn what discord.py raises over an answer without sense into an error of the connection."""
    try:
        yield
    except _GARBLED as error:
        raise GarbledAnswerError(f"{type(error).__name__}: {error}") from error


def is_too_large(error: BaseException) -> bool:
    """Return whether Discord refused a file because of its size."""
    return isinstance(error, discord.HTTPException) and (
        error.status == _HTTP_TOO_LARGE or error.code == TOO_LARGE
    )
