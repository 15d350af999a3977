from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from bot.client import VocalClient
from bot.config import Config, ConfigError
from bot.files import (
    AttachedSong,
    DownloadError,
    EmptyFileError,
    FileTooBigError,
    NoSongFileError,
    claim,
    delete,
    delete_orphans,
    http_fetch,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MIB = 1024 * 1024
SONG = bytes(range(256)) * 8192  # 2 MiB


def attachment(url: str = "", *, filename: str = "song.mp3", size: int = 1) -> Any:
    return SimpleNamespace(id=1, url=url, filename=filename, size=size, content_type=None)


def offered(**about: Any) -> AttachedSong:
    return AttachedSong(attachment(**about), _nothing)


async def _nothing(url: str) -> AsyncIterator[bytes]:
    for _ in url:
        raise AssertionError("nothing is read")
    yield b""


async def _song(_request: web.Request) -> web.Response:
    return web.Response(body=SONG)


async def _broken_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(SONG))})
    await response.prepare(request)
    await response.write(SONG[:1000])
    assert request.transport is not None
    request.transport.close()
    return response


@pytest_asyncio.fixture
async def cdn() -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/song", _song)
    app.router.add_get("/broken", _broken_off)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


async def test_streams_to_disk_under_a_safe_name(cdn: str, tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        song = AttachedSong(attachment(f"{cdn}/song"), http_fetch(session))
        path = await song.fetch(tmp_path, "vocals", 4 * MIB)
    assert path == tmp_path / "vocals.mp3"
    assert path.read_bytes() == SONG


async def test_the_bot_itself_reads_over_http(cdn: str, config: Config) -> None:
    client = VocalClient(config)
    pieces = [piece async for piece in client._fetch(f"{cdn}/song")]
    await client.close()
    assert b"".join(pieces) == SONG
    assert len(pieces) > 1


@pytest.mark.parametrize(
    ("place", "limit_bytes", "outcome"),
    [
        ("song", MIB, pytest.raises(FileTooBigError, match=r"song\.mp3 is larger than the 1 MiB")),
        ("missing", 4 * MIB, pytest.raises(DownloadError, match=r"did not hand song\.mp3 over")),
        ("broken", 4 * MIB, pytest.raises(DownloadError, match=r"did not hand song\.mp3 over")),
    ],
)
async def test_what_cannot_be_downloaded_is_named(
    cdn: str, tmp_path: Path, place: str, limit_bytes: int, outcome: Any
) -> None:
    async with aiohttp.ClientSession() as session:
        song = AttachedSong(attachment(f"{cdn}/{place}"), http_fetch(session))
        with outcome:
            await song.fetch(tmp_path, "vocals", limit_bytes)


async def test_a_cdn_that_is_away_is_no_traceback(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        song = AttachedSong(attachment("http://127.0.0.1:9/"), http_fetch(session))
        with pytest.raises(DownloadError):
            await song.fetch(tmp_path, "vocals", MIB)


def test_what_is_no_song_is_not_even_fetched() -> None:
    with pytest.raises(NoSongFileError, match=r"cat\.png is no song\. Attach an audio file"):
        offered(filename="cat.png").check(MIB)


@pytest.mark.parametrize(
    ("filename", "on_disk"),
    [
        ("song.MP3", "backing.mp3"),
        ("song", "backing"),
        (".hidden", "backing"),
        ("song.mp3/../../x", "backing"),
        ("song.m p", "backing"),
        ("song.tar.gz", "backing.gz"),
        ("song.ünïcode", "backing"),
        ("x.verylongsuffix", "backing"),
    ],
)
async def test_names_on_disk(tmp_path: Path, filename: str, on_disk: str) -> None:
    async def fetch(_url: str) -> AsyncIterator[bytes]:
        yield b"x"

    song = AttachedSong(attachment(filename=filename), fetch)
    path = await song.fetch(tmp_path, "backing", MIB)
    assert path == tmp_path / on_disk


def test_size_is_checked_by_what_discord_says() -> None:
    offered(size=MIB).check(MIB)
    with pytest.raises(FileTooBigError):
        offered(size=MIB + 1).check(MIB)
    with pytest.raises(EmptyFileError):
        offered(size=0).check(MIB)


async def test_a_folder_goes_with_all_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "abc"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside" / "song").write_bytes(b"x")
    await delete(folder)
    await delete(folder)  # and once more is no trouble
    assert not folder.exists()


async def test_a_cancelled_job_still_cleans_up(tmp_path: Path) -> None:
    folder = tmp_path / "abc"
    folder.mkdir()
    cleaning = asyncio.create_task(delete(folder))
    await asyncio.sleep(0)
    cleaning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cleaning
    await asyncio.get_running_loop().shutdown_default_executor()  # waits for what it still does
    assert not folder.exists()


async def test_a_directory_that_cannot_be_deleted_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(_folder: Path) -> None:
        raise OSError("busy")

    monkeypatch.setattr("bot.files.shutil.rmtree", busy)
    await delete(tmp_path / "abc")
    assert "busy" in caplog.text


def test_one_bot_per_directory(tmp_path: Path) -> None:
    first = claim(tmp_path / "data")
    with pytest.raises(ConfigError, match="Another bot already runs on DATA_DIR"):
        claim(tmp_path / "data")
    first.close()
    claim(tmp_path / "data").close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"file/data cannot be written: Not a directory\."):
        claim(tmp_path / "file" / "data")


def test_orphans_are_deleted_and_counted(tmp_path: Path) -> None:
    assert delete_orphans(tmp_path / "none") == 0
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "song").write_bytes(b"x")
    (tmp_path / "stray").write_bytes(b"nobody's")
    (tmp_path / "elsewhere").symlink_to(tmp_path / "b")
    assert delete_orphans(tmp_path, {"b"}) == 4
    assert (tmp_path / "b" / "song").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
