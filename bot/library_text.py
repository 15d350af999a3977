"""What people read of a server's library: pure functions of values."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import discord

from bot.cards import COLOUR
from bot.files import MIB
from bot.render import clip, plain
from pipeline.names import clean_text, clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.library import LibraryPage
    from bot.song_table import LibrarySong

LONGEST_CHOICE = 100
"""Characters in the name of a choice, and in the label or description of an option."""

_LONGEST_TITLE = 60
_MOST_NAMED = 5
_EMPTY = (
    "It is empty. Songs that are merged here with /merge are kept, so that nobody has to attach "
    "them again."
)
_GIB = 1024 * MIB


def size_text(size: int) -> str:
    """Return a number of bytes as people write it: "3.4 MiB"."""
    if size >= _GIB:
        return f"{size / _GIB:.1f} GiB"
    return f"{max(size / MIB, 0.1):.1f} MiB"


def facts_text(song: LibrarySong) -> str:
    """Return what is known of how a song sounds: "3:05 · 120 BPM · A minor", or ""."""
    sketch = song.sketch
    if sketch is None:
        return ""
    tempo = f"{sketch.bpm:.0f} BPM" if sketch.bpm else ""
    key = str(sketch.key) if sketch.key is not None else ""
    return " · ".join(part for part in (clock(sketch.duration_s), tempo, key) if part)


def library_embed(page: LibraryPage, quota_bytes: int) -> discord.Embed:
    """Return a page of a library as a card.

    Parameters
    ----------
    page
        Which songs there are.
    quota_bytes
        The most that all of them may take up.
    """
    embed = discord.Embed(
        title="This server's library",
        description="\n".join(map(_entry, page.songs)) or _EMPTY,
        colour=COLOUR,
    )
    count = "1 song" if page.count == 1 else f"{page.count} songs"
    parts = [f"{count}, {size_text(page.bytes)} of {size_text(quota_bytes)}"]
    if page.pages > 1:
        parts.append(f"page {page.number} of {page.pages}")
    embed.set_footer(text=" · ".join(parts) if page.count else "")
    return embed


def _entry(song: LibrarySong) -> str:
    facts = " · ".join(part for part in (size_text(song.bytes), facts_text(song)) if part)
    used = f"<t:{int(song.used_at)}:R>"  # Discord writes it in the reader's words
    return f"**{_title(song)}** · {facts}\nadded by <@{song.added_by}>, used {used}"


def _title(song: LibrarySong) -> str:
    return plain(clip(clean_text(song.title), _LONGEST_TITLE))


def choice_names(songs: Sequence[LibrarySong]) -> list[str]:
    """Return each song's name in a list to choose from, no two alike.

    Each is a title with what is known of the sound, e.g. "Hello · 3:05 · 120 BPM · A minor".
    """
    seen: Counter[str] = Counter()
    names = []
    for song in songs:
        name = _choice_name(song)
        seen[name] += 1
        names.append(name if seen[name] == 1 else _choice_name(song, f"({seen[name]})"))
    return names


def _choice_name(song: LibrarySong, *marks: str) -> str:
    end = " ".join(("", "·", facts_text(song) or size_text(song.bytes), *marks))
    return clip(clean_text(song.title), LONGEST_CHOICE - len(end)) + end


def removed_text(removed: Sequence[LibrarySong]) -> str:
    """Say which songs were removed, and how large they were; none means that they had gone."""
    if not removed:
        return "What you chose had left the library already."
    size = size_text(sum(song.bytes for song in removed))
    names = [f"**{_title(song)}**" for song in removed[:_MOST_NAMED]]
    if len(removed) > _MOST_NAMED:
        names.append(f"{len(removed) - _MOST_NAMED} more")
    listed = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    return f"Removed {listed} from the library ({size})."
