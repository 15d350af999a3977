from __future__ import annotations

import pytest

from bot.looks import Looks, looks_of


@pytest.mark.parametrize(
    ("name", "content_type", "looks"),
    [
        ("rapper.mp3", None, Looks.SONG),
        ("RAPPER.FLAC", "", Looks.SONG),
        ("clip.MP4", None, Looks.SONG),
        ("voice-message", "audio/ogg; codecs=opus", Looks.SONG),
        ("no suffix", "Video/WebM", Looks.SONG),
        ("album", "application/ogg", Looks.SONG),
        ("song.ogg", "application/octet-stream", Looks.SONG),
        # What a client says is no reason to hide a song.
        ("rapper.mp3", "image/png", Looks.SONG),
        ("notes.txt", "audio/mpeg", Looks.SONG),
        ("cover.png", "image/png", Looks.OTHER),
        ("cover.png", None, Looks.OTHER),
        ("rapper.mp3.zip", None, Looks.OTHER),
        ("paper.pdf", "application/octet-stream", Looks.OTHER),
        ("tune.mid", "audio/midi", Looks.OTHER),
        ("tune.mid", "audio/sp-midi", Looks.OTHER),
        ("list.m3u", None, Looks.OTHER),
        ("mystery", None, Looks.UNKNOWN),
        ("mystery.xyz", "application/octet-stream", Looks.UNKNOWN),
        ("", "", Looks.UNKNOWN),
        (".mp3", None, Looks.UNKNOWN),
    ],
)
def test_looks(name: str, content_type: str | None, looks: Looks) -> None:
    assert looks_of(name, content_type) is looks
