"""Tags and covers go into files of all formats, and the sound stays as it was."""

from __future__ import annotations

import base64
import io
import struct
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

from pipeline import tags as under_test
from pipeline.codec import FORMATS, encode
from pipeline.errors import OutputError, StageError
from pipeline.merge import merge
from pipeline.recipe import Recipe
from pipeline.tags import MOST_COVER_BYTES, Tags, make_cover, spare_bytes, write_tags
from pipeline.types import SAMPLE_RATE
from tests.audio_files import sines

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from tests.pair import Pair

pytestmark = pytest.mark.slow

TAGS = Tags.of_mashup("Rapper", "Diva", "vocal")
WITH_COVER = [extension for extension in FORMATS if extension != "wav"]


def finished(folder: Path, extension: str, length_s: float = 2.0) -> Path:
    path = folder / f"mashup.{extension}"
    return encode(sines(length_s, SAMPLE_RATE), path, title="before", artist="somebody")


def drawn(folder: Path, size: tuple[int, int] = (1200, 675), *, noisy: bool = False) -> Path:
    """Draw a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, (220, 20, 20))
    image.paste((20, 20, 220), (size[0] // 2, 0, *size))
    if noisy:
        image = Image.effect_noise((600, 338), 120.0).convert("RGB")
    path = folder / "card.png"
    image.save(path)
    return path


def heard(path: Path) -> tuple[npt.NDArray[np.float32], float]:
    """Return what a decoder gives, untouched, and the length that the file declares in seconds."""
    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        return np.concatenate(blocks, axis=1), (container.duration or 0) / av.time_base


def written_in(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        found = {**container.streams.audio[0].metadata, **container.metadata}
    return {key.lower(): value for key, value in found.items()}


def cover_of(path: Path) -> Image.Image | None:
    with av.open(str(path)) as container:
        if not container.streams.video:
            return None
        packet = next(container.demux(container.streams.video[0]))
        return Image.open(io.BytesIO(bytes(packet))).convert("RGB")


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_keeps_the_tags_and_the_very_samples(tmp_path: Path, extension: str) -> None:
    path = finished(tmp_path, extension)
    before = heard(path)
    assert write_tags(path, TAGS, picture=drawn(tmp_path)) == path
    after = heard(path)
    assert np.array_equal(before[0], after[0])
    assert after[1] == pytest.approx(before[1], abs=1e-3)
    found = written_in(path)
    assert found["title"] == "Rapper x Diva"
    assert found["artist"] == "vocal"
    assert found["album"] == "vocals: Rapper; backing: Diva"
    assert sorted(child.name for child in tmp_path.iterdir()) == ["card.png", path.name]


@pytest.mark.parametrize("extension", WITH_COVER)
def test_the_cover_is_the_picture(tmp_path: Path, extension: str) -> None:
    path = finished(tmp_path, extension)
    write_tags(path, TAGS, picture=drawn(tmp_path))
    cover = cover_of(path)
    assert cover is not None
    assert cover.size == (900, 506)
    assert cover.getpixel((100, 300)) == pytest.approx((220, 20, 20), abs=6)
    assert cover.getpixel((800, 300)) == pytest.approx((20, 20, 220), abs=6)


def test_a_player_that_reads_the_older_id3_finds_a_front_cover(tmp_path: Path) -> None:
    path = finished(tmp_path, "mp3")
    write_tags(path, TAGS, picture=drawn(tmp_path))
    head = path.read_bytes()[:4096]
    assert head[:4] == b"ID3\x03"
    picture = head.index(b"APIC") + 10
    assert head[picture + 1 :].startswith(b"image/jpeg\x00\x03")
    assert b"TALB" in head


def test_a_cover_in_ogg_is_the_block_that_its_standard_describes() -> None:
    jpeg = io.BytesIO()
    Image.new("RGB", (30, 20)).save(jpeg, "JPEG")
    block = base64.b64decode(under_test._picture_block(jpeg.getvalue()))
    assert struct.unpack(">2I10s6I", block[:42]) == (
        *(3, 10, b"image/jpeg"),
        *(0, 30, 20, 24, 0, len(jpeg.getvalue())),
    )
    assert block[42:] == jpeg.getvalue()


HOSTILE = {
    "one\ntitle=two\r\n;FFMETADATA1\n[CHAPTER]": "one title=two ;FFMETADATA1 [CHAPTER]",
    "a=b;c#d\\e\\": "a=b;c#d\\e\\",
    "#1 ;) [STREAM]": "#1 ;) [STREAM]",
    '$(reboot) `id` "%s" -i /etc/passwd': '$(reboot) `id` "%s" -i /etc/passwd',
    "Zoë 🎤🔥 日本語": "Zoë 🎤🔥 日本語",
    "שלום \u202eevil": "שלום evil",
    "\ud800\x00": "a song",
}


@pytest.mark.parametrize("extension", FORMATS)
def test_hostile_titles_break_nothing(tmp_path: Path, extension: str) -> None:
    path = finished(tmp_path, extension, 0.5)
    for title, shown in HOSTILE.items():
        write_tags(path, Tags.of_mashup(title, title, title))
        found = written_in(path)
        assert found["title"] == f"{shown} x {shown}"
        assert found["album"] == f"vocals: {shown}; backing: {shown}"
        assert set(found) - {"title", "artist", "album"} <= {
            *("encoder", "language", "handler_name", "vendor_id"),
            *("major_brand", "minor_version", "compatible_brands"),
        }


def test_tags_that_nobody_has_cleaned_are_cleaned(tmp_path: Path) -> None:
    path = finished(tmp_path, "ogg", 0.5)
    write_tags(path, Tags(title="a\nb\0c", artist="\ud800", album="x" * 500))
    found = written_in(path)
    assert found["title"] == "a bc"
    assert "artist" not in found
    assert len(found["album"]) == 200


def test_of_long_titles_both_are_named() -> None:
    tags = Tags.of_mashup("A" * 500, "B" * 500, "vocal")
    assert len(tags.title) < 180
    assert tags.title.count("A") == tags.title.count("B") > 70


@pytest.mark.parametrize("extension", FORMATS)
def test_the_byte_budget_holds_with_as_much_cover_as_fits(tmp_path: Path, extension: str) -> None:
    path = finished(tmp_path, extension)
    budget = path.stat().st_size + 40_000
    write_tags(path, TAGS, picture=drawn(tmp_path, noisy=True), max_bytes=budget)
    assert path.stat().st_size <= budget
    cover = cover_of(path)
    if extension == "wav":
        assert cover is None
    else:
        assert cover is not None
        assert 300 <= cover.width < 600


@pytest.mark.parametrize(
    ("extension", "room", "taken"),
    [("mp3", None, True), ("opus", None, True), ("mp3", 200_000, True), ("mp3", 40_000, False)],
)
def test_a_cover_that_was_made_before_is_taken_where_it_fits(
    tmp_path: Path, extension: str, room: int | None, *, taken: bool
) -> None:
    path = finished(tmp_path, extension)
    cover = make_cover(drawn(tmp_path, noisy=True), 60_000)
    assert cover is not None
    picture = drawn(tmp_path)  # another one, which shows what was taken
    budget = None if room is None else path.stat().st_size + room
    write_tags(path, TAGS, picture=picture, cover=cover, max_bytes=budget)
    with av.open(str(path)) as container:
        packet = next(container.demux(container.streams.video[0]))
    assert (bytes(packet) == cover) == taken
    assert budget is None or path.stat().st_size <= budget


@pytest.mark.parametrize(("room", "album"), [(5000, True), (2, False)])
def test_what_does_not_fit_is_left_out(tmp_path: Path, room: int, *, album: bool) -> None:
    path = finished(tmp_path, "mp3")
    before, budget = heard(path), path.stat().st_size + room
    write_tags(path, TAGS, picture=drawn(tmp_path, noisy=True), max_bytes=budget)
    assert path.stat().st_size <= budget
    assert cover_of(path) is None
    assert ("album" in written_in(path)) == album
    assert np.array_equal(before[0], heard(path)[0])


@pytest.mark.parametrize("extension", FORMATS)
def test_what_is_left_free_is_enough(tmp_path: Path, extension: str) -> None:
    longest = Tags.of_mashup("𝄞" * 200, "🎤" * 200, "vocal")
    path = finished(tmp_path, extension)
    before = path.stat().st_size
    free = spare_bytes(path, 10 * 2**20, cover=True)
    write_tags(path, longest, picture=drawn(tmp_path, noisy=True))
    assert path.stat().st_size - before <= free or extension in {"flac", "wav"}


@pytest.mark.parametrize(
    ("extension", "max_bytes", "cover", "expected"),
    [
        ("mp3", 10 * 2**20, True, MOST_COVER_BYTES + 4096),
        ("mp3", 10 * 2**20, False, 4096),
        ("mp3", 64_000, True, 1000),
        ("flac", 10 * 2**20, True, 0),
        ("wav", 10 * 2**20, False, 0),
    ],
)
def test_room_is_left_where_a_bit_rate_can_make_it(
    tmp_path: Path, extension: str, max_bytes: int, *, cover: bool, expected: int
) -> None:
    assert spare_bytes(tmp_path / f"a.{extension}", max_bytes, cover=cover) == expected


def test_a_cover_is_dark_where_the_picture_is_transparent(tmp_path: Path) -> None:
    path = tmp_path / "card.png"
    Image.new("RGBA", (64, 36)).save(path)
    made = make_cover(path, 100_000)
    assert made is not None
    assert Image.open(io.BytesIO(made)).getpixel((0, 0)) == pytest.approx((18, 20, 31), abs=3)


def test_no_cover_where_none_fits(tmp_path: Path) -> None:
    assert make_cover(drawn(tmp_path, noisy=True), 500) is None


def test_a_second_time_replaces_the_first(tmp_path: Path) -> None:
    path = finished(tmp_path, "mp3")
    picture = drawn(tmp_path)
    once = write_tags(path, TAGS, picture=picture).read_bytes()
    assert write_tags(path, TAGS, picture=picture).read_bytes() == once


def test_a_failing_ffmpeg_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = finished(tmp_path, "mp3")
    before = path.read_bytes()
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'Conversion failed!' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(under_test, "find_ffmpeg", lambda: str(broken))
    with pytest.raises(StageError) as caught:
        write_tags(path, TAGS)
    assert "Conversion failed!" in caught.value.cause
    assert path.read_bytes() == before
    assert sorted(child.name for child in tmp_path.iterdir()) == ["ffmpeg", "mashup.mp3"]


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^gone\.mp3 cannot be written: No such file"):
        write_tags(tmp_path / "gone.mp3", TAGS, max_bytes=1000)


@pytest.mark.parametrize(
    ("picture", "max_bytes"), [(True, None), (True, 100_000), (False, 100_000)]
)
def test_a_mash_up_names_both_songs_and_shows_its_card(
    small_pair: Pair, tmp_path: Path, max_bytes: int | None, *, picture: bool
) -> None:
    result = merge(
        small_pair.vocals,
        small_pair.backing,
        Recipe(),
        tmp_path,
        separator=small_pair.separator,
        vocals_name="Rapper.mp3",
        backing_name="Diva.mp3",
        max_bytes=max_bytes,
        picture=picture,
    )
    found = written_in(result.path)
    assert (found["title"], found["artist"]) == ("Rapper x Diva", "vocal")
    assert found["album"] == "vocals: Rapper; backing: Diva"
    assert (cover_of(result.path) is not None) == (picture and max_bytes is None)
    assert max_bytes is None or 0.75 * max_bytes < result.path.stat().st_size <= max_bytes
