"""Names, titles and lengths made fit to be shown; light enough for the bot's own process."""

from __future__ import annotations

import re
import unicodedata

LONGEST_NAME = 80
"""Characters that a shown name or title keeps at most."""

_TERMINAL_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: window titles, links
)
_MOST_MARKS = 3  # accents stacked on one letter; living scripts use up to three
_SHOWN_TAIL = 16  # characters kept from the end of a long name, so that its extension stays


def clean_text(text: str, *, longest: int = LONGEST_NAME) -> str:
    """Return text as one short line that cannot disturb a terminal or a chat.

    Control and formatting characters (line breaks, ANSI escapes, right-to-left overrides, zero
    widths), lone surrogates and private characters are dropped, white space is joined, stacks
    of accents are thinned, and a long text loses its middle.

    Parameters
    ----------
    text
        Anything, e.g. a tag of an audio file.
    longest
        Characters that may remain.
    """
    plain = _TERMINAL_SEQUENCE.sub("", text[: 100 * longest])
    kept: list[str] = []
    marks = 0
    for char in unicodedata.normalize("NFC", plain):
        category = unicodedata.category(char)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if char.isspace():
            kept.append(" ")
        elif category[0] != "C" and marks <= _MOST_MARKS:
            kept.append(char)
    line = " ".join("".join(kept).split())
    if len(line) <= longest:
        return line
    tail = min(_SHOWN_TAIL, longest // 2)
    return f"{line[: longest - tail - 1].rstrip()}…{line[-tail:].lstrip()}"


def clean_name(name: str) -> str:
    """Return a file's name as it may be shown: harmless, without folders, never empty.

    Parameters
    ----------
    name
        The name as the user's machine gave it; may be hostile.
    """
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    shown = clean_text(last)
    return shown if shown.strip(" .") else "unnamed file"


def title_of(name: str) -> str:
    """Return a song's title made of its file's name: ``my_song.mp3`` is called "my song"."""
    shown = clean_name(name)
    stem = re.sub(r"(?<=.)\.[A-Za-z0-9]{1,5}$", "", shown)
    return " ".join(stem.replace("_", " ").split()) or shown


def clock(seconds: float) -> str:
    """Return a length as people write it: "0:42", "15:00", "3:00:00"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
