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
    DownloadError,
    EmptyFileError,
    FileTooBigError,
    check_attachment,
    claim,
    delete_orphans,
    download,
    http_fetch,
    job_directory,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MIB = 1024 * 1024
SONG = bytes(range(256)) * 8192  # 2 MiB


def attachment(url: str = "", *, filename: str = "song.mp3", size: int = 1) -> Any:
    return SimpleNamespace(id=1, url=url, filename=filename, size=size)


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
        path = await download(
            attachment(f"{cdn}/song"), tmp_path, "vocals", http_fetch(session), 4 * MIB
        )
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
        with outcome:
            await download(
                attachment(f"{cdn}/{place}"), tmp_path, "vocals", http_fetch(session), limit_bytes
            )


async def test_a_cdn_that_is_away_is_no_traceback(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(DownloadError):
            await download(
                attachment("http://127.0.0.1:9/"), tmp_path, "vocals", http_fetch(session), MIB
            )


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

    path = await download(attachment(filename=filename), tmp_path, "backing", fetch, MIB)
    assert path == tmp_path / on_disk


def test_size_is_checked_by_what_discord_says() -> None:
    check_attachment(attachment(size=MIB), MIB)
    with pytest.raises(FileTooBigError):
        check_attachment(attachment(size=MIB + 1), MIB)
    with pytest.raises(EmptyFileError):
        check_attachment(attachment(size=0), MIB)


@pytest.mark.parametrize("end", [None, ValueError("x"), asyncio.CancelledError()])
async def test_a_job_directory_never_outlives_its_job(
    tmp_path: Path, end: BaseException | None
) -> None:
    jobs_dir = tmp_path / "deep" / "jobs"
    seen: BaseException | None = None
    try:
        async with job_directory(jobs_dir, "abc") as folder:
            (folder / "inside").mkdir()
            (folder / "inside" / "song").write_bytes(b"x")
            if end is not None:
                raise end
    except (ValueError, asyncio.CancelledError) as error:
        seen = error
    assert seen is end
    assert list(jobs_dir.iterdir()) == []


async def test_a_directory_that_cannot_be_deleted_spoils_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def busy(_folder: Path) -> None:
        raise OSError("busy")

    monkeypatch.setattr("bot.files.shutil.rmtree", busy)
    async with job_directory(tmp_path, "abc"):
        pass
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
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "song").write_bytes(b"x")
    assert delete_orphans(tmp_path) == 2
    assert list(tmp_path.iterdir()) == []
