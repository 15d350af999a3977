"""What goes with a finished mash-up: the card, the words and the names of the files. Pure."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import discord

from bot.render import LONGEST_CONTENT, clip, plain
from pipeline.names import clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.types import MergeResult, SongFacts

PICTURE = "card.png"
"""What the picture's file is called, so that the card can show it."""

COLOUR = 0x8E44AD

# https://discord.com/developers/docs/resources/message#embed-object-embed-limits: the longest
# title, name of a field and value of a field. All together have at most 6000 characters.
LONGEST_TITLE = 256
LONGEST_FIELD = 1024
# A phone shows about 40 characters a line.
_MOST_SENTENCES = 6
_LONGEST_SENTENCE = 240
_LONGEST_FILE_NAME = 90

_SEPARATORS = {
    "spleeter": "Spleeter",
    "built-in": "the built-in network",
}


def result_embed(
    result: MergeResult, *, words: str = "", asked_by: int | None = None
) -> discord.Embed:
    """Return the card that goes with a mash-up: what was decided, and what to mind.

    It shows the picture, if there is one, which has to be attached under the name `PICTURE`.

    Parameters
    ----------
    result
        The mash-up.
    words
        What was changed, if this is a remix: "voice 2 LU louder".
    asked_by
        The id of the person it was made for, where the message does not show that by itself.
    """
    embed = discord.Embed(
        title=clip(f"{plain(result.vocals.title)} x {plain(result.backing.title)}", LONGEST_TITLE),
        description="\n".join((*_whose(words, asked_by), *_bullets(result.plan.reasons))) or None,
        colour=COLOUR,
    )
    for role, song in (("Vocals", result.vocals), ("Backing", result.backing)):
        name = clip(f"{role}: {plain(song.title)}", LONGEST_TITLE)
        embed.add_field(name=name, value=_facts(song))
    # The conductor puts the plan's warnings among the notes; say each sentence once.
    mind = _bullets(dict.fromkeys((*result.plan.warnings, *result.notes)))
    if mind:
        embed.add_field(name="Mind", value=clip("\n".join(mind), LONGEST_FIELD), inline=False)
    if result.picture is not None:
        embed.set_image(url=f"attachment://{PICTURE}")
    made = f"made in {_took(sum(result.seconds_by_stage.values()))}"
    separator = _SEPARATORS.get(result.separator, result.separator)
    embed.set_footer(
        text=f"{clock(result.plan.length_s)} long · {made} · taken apart by {separator}"
    )
    return embed


def _whose(words: str, asked_by: int | None) -> tuple[str, ...]:
    """Say what was changed and for whom; a mention on a card pings nobody."""
    what = f"**Remix**: {plain(words)}" if words else ""
    who = f"for <@{asked_by}>" if asked_by is not None else ""
    line = ", ".join(part for part in (what, who) if part)
    return (clip(line[0].upper() + line[1:], LONGEST_TITLE),) if line else ()


def _bullets(sentences: Iterable[str]) -> tuple[str, ...]:
    # A number and its sign stay on one line.
    joined = (sentence.replace(" %", "\N{NO-BREAK SPACE}%") for sentence in sentences)
    shown = tuple(f"• {clip(plain(sentence), _LONGEST_SENTENCE)}" for sentence in joined)
    return shown[:_MOST_SENTENCES]


def _facts(song: SongFacts) -> str:
    tempo = f"{song.grid.bpm:.0f} BPM" if song.grid.bpm else "no steady beat"
    key = str(song.key) if song.key is not None else "no clear key"
    return f"{tempo} · {key} · {clock(song.duration_s)}"


def _took(seconds: float) -> str:
    if seconds < 1.0:
        return "less than a second"
    return f"{seconds:.0f} s" if seconds < 100.0 else f"{seconds / 60.0:.0f} min"


def excerpt_text(
    result: MergeResult, start_s: float, length_s: float, *, offered: bool = False
) -> str:
    """Say why there is only a part of a mash-up, and how to hear more of it.

    Parameters
    ----------
    result
        The mash-up that Discord refused.
    start_s, length_s
        Which part of it there is, in seconds; it may be all of it.
    offered
        Whether the answer has a button that makes the highlight.
    """
    whole_s = result.plan.length_s
    if length_s >= whole_s:
        return (
            "Discord refused the whole file here because of its size, so this is all of the "
            "mash-up at a lower bit rate; a server with a higher upload limit takes the better one."
        )
    way = "press the button for its highlight" if offered else "try `arrange: highlight`"
    return (
        f"Discord refused the whole file here ({clock(whole_s)}) because of its size, so this is "
        f"an excerpt of {clock(length_s)} from {clock(start_s)} on; {way}, or use a server with a "
        "higher upload limit."
    )


def stems_text(result: MergeResult) -> str:
    """Say what the two layers of a mash-up are good for."""
    titles = f"{plain(result.vocals.title)} x {plain(result.backing.title)}"
    return clip(
        f"The two layers of {titles}, in time and in tune with each other: start them together in "
        "any audio editor.",
        LONGEST_CONTENT,
    )


def result_file_name(result: MergeResult) -> str:
    """Return what the mash-up is called as a file: "rapper x diva.mp3"."""
    return _file_stem(result) + result.path.suffix


def excerpt_file_name(result: MergeResult) -> str:
    """Return what an excerpt of the mash-up is called: "rapper x diva (excerpt).mp3"."""
    return _file_stem(result) + " (excerpt).mp3"


def stem_file_name(result: MergeResult, layer: str) -> str:
    """Return what a layer of the mash-up is called as a file: "rapper x diva (vocals).mp3"."""
    return f"{_file_stem(result)} ({layer}){result.stems[layer].suffix}"


def _file_stem(result: MergeResult) -> str:
    titles = (_file_words(result.vocals.title), _file_words(result.backing.title))
    half = (_LONGEST_FILE_NAME - 3) // 2
    return " x ".join(title[:half].strip() for title in titles if title) or "mash-up"


def _file_words(title: str) -> str:
    """Return a title without what file systems, shells and markdown take amiss."""
    kept = (
        char if char.isalnum() or char in " -'&()" else " "
        for char in unicodedata.normalize("NFC", title)
    )
    return re.sub(r"\s+", " ", "".join(kept)).strip(" -")
