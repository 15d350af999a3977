"""What people ask for and where they wait: plain values that can be written down.

All of it survives a restart of the bot, and none of it can be pressed, sent or awaited.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

# Looked up at run time, when a written value is read.
from pipeline.recipe import Recipe  # noqa: TC001 - see above
from pipeline.types import KnownSong, MergeResult  # noqa: TC001 - see above

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.types import BeatGrid

TOKEN_LIVES_S = 15 * 60.0
"""How long an interaction may be answered through its token, in seconds."""


def new_id() -> str:
    """Return a name for a job or a mash-up: 12 hexadecimal digits, safe as a directory's name."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a person waits for an answer.

    Attributes
    ----------
    application_id, token
        What the answer is edited with, for 15 minutes; whoever has the token can answer.
    opened_at
        When the person asked, in seconds since 1970.
    user_id, guild_id, channel_id
        Who asked, and where; no server in direct messages.
    message_id
        The message that the answer is, if Discord has said so.
    max_bytes
        Largest file that may be attached there.
    in_place
        Whether the message was there before, with a mash-up in it that is being changed.
    guest
        Whether the bot was brought there by one person alone, and can answer through the token
        only.
    """

    application_id: int
    token: str
    opened_at: float
    user_id: int
    guild_id: int | None
    channel_id: int | None
    message_id: int | None
    max_bytes: int
    in_place: bool = False
    guest: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderedSong:
    """One of the two songs of a merge.

    Attributes
    ----------
    name
        What the user calls the file.
    file
        The file's name in the job's folder; None before it is there, and where `known` will do.
    known
        What an earlier merge knows it by; None if there was none.
    from_library
        Whether it came out of the server's library, and so need not be put there: if it is
        removed while it is merged, it stays removed.
    """

    name: str
    file: str | None = None
    known: KnownSong | None = None
    from_library: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is to be done.

    Attributes
    ----------
    vocals, backing
        The two songs.
    recipe
        How they are merged.
    stems
        Whether the two layers are wanted as files.
    picture
        Whether the answer gets a picture.
    remix_of
        The mash-up that is changed; None for a merge of two new songs.
    words
        What the change is, e.g. "voice 2 LU louder".
    keep
        Whether the songs go into the server's library.
    """

    vocals: OrderedSong
    backing: OrderedSong
    recipe: Recipe
    stems: bool = False
    picture: bool = True
    remix_of: str | None = None
    words: str = ""
    keep: bool = False

    @property
    def kind(self) -> str:
        """What past runs it is compared with: "merge" or "remix"."""
        return "merge" if self.remix_of is None else "remix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mashup:
    """An answer whose buttons may still be pressed.

    Attributes
    ----------
    id
        12 hexadecimal digits, in every button's `custom_id`.
    owner
        Who may change it.
    guild_id
        Where it was made; None in direct messages.
    made_at
        When, in seconds since 1970.
    vocals, backing
        The song that sings and the one that plays.
    recipe
        How they were merged; who sings has been decided.
    beats_per_bar
        Beats in a bar of the backing.
    takes
        How many fits there are to choose from; 0 where no beats were found to lay the songs on.
    semitones
        How far the voice was transposed, its tuning aside; positive is up.
    pace
        "same", "half" or "double": how its beats count against those of the backing.
    entry
        Bar of the backing on which it enters, from 1 and before any nudge; 0 where there are none.
    """

    id: str
    owner: int
    guild_id: int | None
    made_at: float
    vocals: KnownSong
    backing: KnownSong
    recipe: Recipe
    beats_per_bar: int = 4
    takes: int = 1
    semitones: int = 0
    pace: str = "same"
    entry: int = 0

    @classmethod
    def of(
        cls,
        result: MergeResult,
        recipe: Recipe,
        *,
        owner: int,
        guild_id: int | None,
        made_at: float,
        id: str,  # noqa: A002 - the field's name
    ) -> Mashup:
        """Return what is remembered of a finished mash-up."""
        vocals, backing = reversed(result.songs) if were_swapped(result) else result.songs
        takes = result.plan.takes
        fit = takes[recipe.take - 1] if takes else None
        return cls(
            id=id,
            owner=owner,
            guild_id=guild_id,
            made_at=made_at,
            vocals=vocals,
            backing=backing,
            recipe=replace(recipe, roles="given"),
            beats_per_bar=result.grids["backing"].beats_per_bar,
            takes=len(takes),
            semitones=fit.semitones if fit else round(result.plan.vocals.semitones),
            pace=fit.pace if fit else "same",
            entry=_bar_of(result.backing.grid, fit.start) if fit else 0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody is to be told at the end: a mash-up, or a sentence.

    Attributes
    ----------
    result
        What was made; None when it is a sentence.
    mashup
        What its buttons are about; None for an answer without buttons.
    sentence
        Why there is no mash-up, or "".
    """

    result: MergeResult | None = None
    mashup: Mashup | None = None
    sentence: str = ""


class Way(StrEnum):
    """How an answer reaches a person; each is tried when the one before is closed."""

    REPLY = "reply"  # an edit of the reply, with the interaction's token
    OWN = "own"  # an edit of the same message, as one of the bot's own
    CHANNEL = "channel"  # a new message in the channel
    PERSON = "person"  # a direct message


def _bar_of(grid: BeatGrid, beat: int) -> int:
    """Return the bar, from 1, that a beat of a grid belongs to."""
    return len(set(grid.downbeats_s).intersection(grid.beats_s[: beat + 1]))


def were_swapped(result: MergeResult) -> bool:
    """Return whether the second song sings, as the merge may have decided; titles tell."""
    return result.songs[0].title == result.backing.title != result.vocals.title


class Offer(Protocol):
    """A song that somebody offers."""

    @property
    def name(self) -> str:
        """What the user calls the file."""

    def check(self, limit_bytes: int) -> None:
        """Refuse it at once by what is known of it, before a byte is fetched.

        Raises
        ------
        UserError
            Names the song and what to do.
        """

    async def fetch(self, folder: Path, role: str, limit_bytes: int) -> Path:
        """Put its file into a job's folder, named after its role with a safe suffix.

        Raises
        ------
        UserError
            Names the song and what to do.
        """
