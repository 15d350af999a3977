from __future__ import annotations

from dataclasses import replace

import pytest

from bot.library import LibraryPage
from bot.library_text import (
    choice_names,
    facts_text,
    library_embed,
    removed_text,
    size_text,
)
from bot.song_table import LibrarySong
from pipeline.pairing import SongSketch
from pipeline.types import Key
from tests.discord_schema import embed_length

MIB = 1024 * 1024
SKETCH = SongSketch(
    duration_s=185.2,
    bpm=119.6,
    beats_per_bar=4,
    beat_confidence=0.9,
    key=Key(tonic=9, mode="minor"),
    tuning=0.0,
    sung_share=0.5,
)
SONG = LibrarySong(
    guild_id=1,
    id="a" * 64,
    name="hello.mp3",
    title="Hello",
    audio="b" * 64,
    bytes=int(3.4 * MIB),
    added_by=42,
    added_at=1_700_000_000.0,
    used_at=1_800_000_000.9,
    sketch=SKETCH,
)


def page_of(*songs: LibrarySong, number: int = 1, pages: int = 1) -> LibraryPage:
    return LibraryPage(
        songs=songs,
        number=number,
        pages=pages,
        count=len(songs),
        bytes=sum(song.bytes for song in songs),
    )


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0.1 MiB"),
        (1, "0.1 MiB"),
        (int(3.44 * MIB), "3.4 MiB"),
        (1023 * MIB, "1023.0 MiB"),
        (2048 * MIB, "2.0 GiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("sketch", "text"),
    [
        (SKETCH, "3:05 · 120 BPM · A minor"),
        (replace(SKETCH, key=None), "3:05 · 120 BPM"),
        (replace(SKETCH, bpm=0.0), "3:05 · A minor"),
        (replace(SKETCH, bpm=0.0, key=None), "3:05"),
        (None, ""),
    ],
)
def test_facts(sketch: SongSketch | None, text: str) -> None:
    assert facts_text(replace(SONG, sketch=sketch)) == text


def test_a_page() -> None:
    other = replace(SONG, title="World", added_by=43, bytes=MIB, sketch=None)
    embed = library_embed(page_of(SONG, other), 2048 * MIB)
    assert embed.title == "This server's library"
    assert embed.description == (
        "**Hello** · 3.4 MiB · 3:05 · 120 BPM · A minor\n"
        "added by <@42>, used <t:1800000000:R>\n"
        "**World** · 1.0 MiB\n"
        "added by <@43>, used <t:1800000000:R>"
    )
    assert embed.footer.text == "2 songs, 4.4 MiB of 2.0 GiB"


def test_a_page_of_several_says_which_it_is() -> None:
    embed = library_embed(page_of(SONG, number=2, pages=3), 100 * MIB)
    assert embed.footer.text == "1 song, 3.4 MiB of 100.0 MiB · page 2 of 3"


def test_an_empty_library_says_how_to_fill_it() -> None:
    embed = library_embed(page_of(), MIB)
    assert "/merge" in (embed.description or "")
    assert not embed.footer.text


def test_no_title_can_break_the_card() -> None:
    hostile = replace(SONG, title="**bold** @everyone\n# head [x](http://y) " + "*" * 200)
    embed = library_embed(page_of(*[hostile] * 10), MIB)
    text = embed.description or ""
    assert "\\*\\*bold\\*\\* @\u200beveryone # head" in text
    assert len(text) <= 4096
    assert embed_length(embed.to_dict()) <= 6000  # type: ignore[arg-type]  # a typed dictionary


def test_choices_are_short_and_no_two_alike() -> None:
    long = replace(SONG, title="x" * 300)
    bare = replace(SONG, sketch=None)
    songs = [SONG, SONG, long, long, bare, SONG]
    names = choice_names(songs)
    assert names[0] == "Hello · 3:05 · 120 BPM · A minor"
    assert names[1] == "Hello · 3:05 · 120 BPM · A minor (2)"
    assert names[4] == "Hello · 3.4 MiB"
    assert names[5] == "Hello · 3:05 · 120 BPM · A minor (3)"
    assert names[3].endswith("x… · 3:05 · 120 BPM · A minor (2)")
    assert all(len(name) <= 100 for name in names)
    assert len(set(names)) == len(names)


def test_what_was_removed_is_named_with_its_size() -> None:
    songs = [replace(SONG, title=f"Song_{number}", bytes=MIB) for number in range(7)]
    assert removed_text(songs[:1]) == "Removed **Song\\_0** from the library (1.0 MiB)."
    assert removed_text(songs[:2]) == (
        "Removed **Song\\_0** and **Song\\_1** from the library (2.0 MiB)."
    )
    assert removed_text(songs) == (
        "Removed **Song\\_0**, **Song\\_1**, **Song\\_2**, **Song\\_3**, **Song\\_4** and 2 more "
        "from the library (7.0 MiB)."
    )
    assert removed_text([]) == "What you chose had left the library already."
