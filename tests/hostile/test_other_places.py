"""A file that names other files or addresses opens none of them, whatever it looks like."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline import media
from pipeline.codec import decode, find_title, fingerprint
from pipeline.errors import UnreadableAudioError, UserError
from tests.hostile.baits import MEDIA, TEXTS, write_text
from tests.hostile.canaries import Canaries, open_carelessly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def canaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    folder = tmp_path / "canaries"
    folder.mkdir()
    monkeypatch.chdir(folder)
    found = Canaries.set_out(folder)
    yield found
    found.take_in()


WRITERS = MEDIA | {kind: partial(write_text, kind) for kind in TEXTS}
PLAYLISTS = "concat,dash,hls,image2,rtsp,sdp,vobsub"
READERS: tuple[Callable[[Path], object], ...] = (fingerprint, find_title, decode)


@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_is_refused_and_opens_nothing(canaries: Canaries, kind: str) -> None:
    for path in (Path("song.mp3"), Path("song.m3u8"), Path("song.idx")):  # beside the baits
        write_text(kind, path, canaries)
        for read in READERS:
            with pytest.raises(UnreadableAudioError, match="is not an audio file that can be read"):
                read(path)
        assert canaries.touched(but=path.name) == set()


@pytest.mark.parametrize("kind", MEDIA)
def test_a_media_file_opens_nothing_but_itself(canaries: Canaries, kind: str) -> None:
    path = Path("song.mp3")
    MEDIA[kind](path, canaries)
    for read in READERS:
        with suppress(UserError):  # some hold music of their own, some do not
            read(path)
    assert canaries.touched(but="song.mp3") == set()


@pytest.mark.parametrize("kind", [*TEXTS, *MEDIA])
def test_no_format_could_open_anything_else(
    canaries: Canaries, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # The second lock alone: were playlists among the formats that are tried, they would be stuck.
    monkeypatch.setattr(media, "_CONTAINERS", f"{media._CONTAINERS},{PLAYLISTS}")
    for name in ("song.mp3", "song.m3u8"):
        WRITERS[kind](Path(name), canaries)
        with suppress(UserError):
            find_title(Path(name))
        assert canaries.touched(but=name) == set()


def test_a_name_is_no_address(canaries: Canaries) -> None:
    for name in ("concat:bait.wav|bait.ts", f"tcp:127.0.0.1:{canaries.port}", "file:bait.wav"):
        with pytest.raises(UnreadableAudioError, match="does not exist"):
            decode(Path(name))
        Path(name).write_text("no music")
        with pytest.raises(UnreadableAudioError, match="is not an audio file"):
            decode(Path(name))
        assert canaries.touched(but=name) == set()


# --- the canaries sing: FFmpeg as it is opens what these files name -----------------------------

EVERYWHERE = {"protocol_whitelist": "file,http,tcp,crypto,concat", "extension_picky": "0",
              "allowed_extensions": "ALL"}  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "options", "opened"), [
    ("an ffconcat script", "song.mp3", {}, {"bait.wav"}),
    ("an ffconcat script with an address", "song.mp3", {"safe": "0", **EVERYWHERE}, {"port"}),
    ("a playlist of a file", "song.m3u8", {}, {"bait.ts"}),
    ("a playlist of an address", "song.m3u8", EVERYWHERE, {"port"}),
    ("a playlist of playlists", "song.m3u8", EVERYWHERE, {"port"}),
    ("a playlist with a key in a file", "song.m3u8", EVERYWHERE, {"bait.ts", "bait.key"}),
    ("a playlist with its head in a file", "song.m3u8", EVERYWHERE, {"bait.ts", "bait.wav"}),
    ("an index of subtitles", "song.mp3", {}, {"song.sub"}),
    ("a movie whose sound is in another file", "song.mp3", {"enable_drefs": "1"}, {"bait.wav"}),
])  # fmt: skip
def test_the_canaries_notice(
    canaries: Canaries, kind: str, name: str, options: dict[str, str], opened: set[str]
) -> None:
    WRITERS[kind](Path(name), canaries)
    open_carelessly(Path(name), **options)
    assert canaries.touched(but=name) == opened
