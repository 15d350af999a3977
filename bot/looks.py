"""Whether a file looks like a song by what is said about it, before a byte of it is fetched."""

from __future__ import annotations

import enum
import mimetypes
import re
from pathlib import Path

# Files with sound; a video's sound track is enough.
_SONG = re.compile(
    r"""\.(?:
        mp3|mp2|mpga|m4a|m4b|m4r|aac|ac3|flac|wav|wave|ogg|oga|opus|spx|wma|aiff?|aifc|caf|amr
        |ape|wv|mpc|mka|weba|au
        |mp4|m4v|mov|mkv|webm|avi|3gp|3g2|wmv|flv|mpe?g|ogv|ts
    )""",
    re.VERBOSE,
)
# Notes for instruments, and lists of songs that are elsewhere.
_NO_SOUND = re.compile(r"audio/(?:.*midi?|.*mpegurl|.*scpls)")
_SAYS_NOTHING = frozenset({"", "application/octet-stream", "binary/octet-stream"})
# The table inside Python alone, so that every machine gives the same answer.
_TYPES = mimetypes.MimeTypes()


class Looks(enum.Enum):
    """What a file seems to be."""

    SONG = "song"
    OTHER = "other"
    UNKNOWN = "unknown"


def looks_of(name: str, content_type: str | None) -> Looks:
    """Judge a file by its name and by what the sender's program says that it holds.

    Parameters
    ----------
    name
        The file's name.
    content_type
        The media type, perhaps with parameters; nobody has checked it. None where nothing is said.

    Returns
    -------
    Looks
        A song if either says so: a wrong guess costs less than a song that cannot be chosen.
    """
    if _SONG.fullmatch(Path(name).suffix.lower()):
        return Looks.SONG
    said = (content_type or "").partition(";")[0].strip().lower()
    if said in _SAYS_NOTHING:
        said = _TYPES.guess_type(Path(name).name)[0] or ""
    if said in _SAYS_NOTHING:
        return Looks.UNKNOWN
    is_sound = said.startswith(("audio/", "video/")) or said == "application/ogg"
    return Looks.SONG if is_sound and not _NO_SOUND.fullmatch(said) else Looks.OTHER
