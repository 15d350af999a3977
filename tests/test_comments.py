"""Files with many tags are told from those with many bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.codec import decode, find_title
from pipeline.comments import MOST_TAGS, has_too_many_tags
from tests.audio_files import sines, write_av
from tests.fuzz.seeds import seeds
from tests.hostile.bombs import matroska, ogg_pages, track, vorbis_tags

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOISE = np.random.default_rng(0).bytes(3_000_000)
FLAC_HEAD = b"fLaC\0\0\0\x22" + bytes(34)


def flac(count: int) -> bytes:
    tags = vorbis_tags(count)
    picture = b"\x06" + len(NOISE).to_bytes(3, "big") + NOISE
    return FLAC_HEAD + picture + b"\x84" + len(tags).to_bytes(3, "big") + tags


def opus(count: int) -> bytes:
    return ogg_pages([b"OpusHead" + bytes(11), b"OpusTags" + vorbis_tags(count), NOISE])


def vorbis(count: int) -> bytes:
    return ogg_pages([b"\1vorbis" + bytes(23), b"\3vorbis" + vorbis_tags(count), NOISE])


def chained(count: int) -> bytes:
    return vorbis(10) + opus(count)


def behind_id3(count: int) -> bytes:
    return b"ID3\x04\0\0\0\0\x01\0" + b"TIT2\0\0\0\3\0\0\0xy".ljust(128, b"\0") + flac(count)


def id3(count: int) -> bytes:
    frames = b"APIC" + len(NOISE[:2_000_000]).to_bytes(4, "big") + b"\0\0" + NOISE[:2_000_000]
    frames += b"".join(b"TXXX\0\0\0\7\0\0\0%04x\0x" % (n % 65_536) for n in range(count))
    size = bytes(len(frames) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + frames + NOISE


@pytest.mark.parametrize("make", [flac, opus, vorbis, chained, behind_id3, id3])
def test_tags_are_counted_wherever_they_are(make: Callable[[int], bytes]) -> None:
    assert not has_too_many_tags(make(0))
    assert not has_too_many_tags(make(MOST_TAGS - 200))
    assert has_too_many_tags(make(MOST_TAGS + 200))


def test_noise_is_not_taken_for_tags() -> None:
    assert not has_too_many_tags(matroska([track(b"A_PCM/INT/LIT")], [NOISE] * 10))
    for head in (b"fLaC", b"OggS", b"ID3\x03\0\0\x01\0\0\0", b"\x1a\x45\xdf\xa3", b""):
        assert not has_too_many_tags(head + NOISE)


def test_a_file_that_breaks_off_anywhere_is_counted_without_a_word() -> None:
    for content in seeds().values():
        for end in range(0, len(content), 97):
            assert not has_too_many_tags(content[:end])


def test_a_song_with_long_lyrics_in_many_tags_is_taken(tmp_path: Path) -> None:
    tags = {f"lyrics-{n}": "la " * 1_000 for n in range(1_000)} | {"title": "Song"}
    path = write_av(tmp_path / "song.ogg", sines(4.0, 48_000), 48_000, muxer="ogg",
                    codec="libopus", tags=tags)  # fmt: skip
    assert find_title(path) == "Song"
    assert decode(path).duration_s == pytest.approx(4.0, abs=0.05)
