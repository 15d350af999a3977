"""A loopback server that serves a folder as Spleeter's release is served, and can misbehave."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ARCHIVE = "/2stems.tar.gz"


@dataclass(eq=False)
class Release:
    """What the server serves, how it misbehaves, and what was asked of it.

    Attributes
    ----------
    cuts
        After how many bytes each of the next answers with the archive breaks off.
    stalls
        After how many bytes each of the next answers with the archive falls silent.
    ranges
        Whether a Range request is understood.
    lengths
        Whether the length of the archive is announced.
    missing
        Paths that are answered with 404.
    log
        The path and the Range header of every request.
    """

    folder: Path
    url: str = ""
    cuts: list[int] = field(default_factory=list)
    stalls: list[int] = field(default_factory=list)
    ranges: bool = True
    lengths: bool = True
    missing: set[str] = field(default_factory=set)
    log: list[tuple[str, str | None]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    @property
    def archive_ranges(self) -> list[str | None]:
        return [range_ for path, range_ in self.log if path == ARCHIVE]


@contextmanager
def serve(folder: Path) -> Iterator[Release]:
    """Serve a folder on 127.0.0.1 until the block ends."""
    release = Release(folder)

    class Handler(_ReleaseHandler):
        pass

    Handler.release = release
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    release.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield release
    finally:
        release.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _ReleaseHandler(BaseHTTPRequestHandler):
    release: Release

    def do_GET(self) -> None:
        release = self.release
        release.log.append((self.path, self.headers.get("Range")))
        path = release.folder / self.path.lstrip("/")
        if self.path in release.missing or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        content = path.read_bytes()
        start = self._start(content)
        if start >= len(content):
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send_head(content, start)
        self._send_body(content[start:])

    def _start(self, content: bytes) -> int:
        wanted = self.headers.get("Range")
        if not (self.release.ranges and wanted):
            return 0
        if self.headers.get("If-Range", _etag(content)) != _etag(content):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _send_head(self, content: bytes, start: int) -> None:
        self.send_response(HTTPStatus.PARTIAL_CONTENT if start else HTTPStatus.OK)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if self.release.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", _etag(content))
        self.send_header("Connection", "close")
        self.end_headers()

    def _send_body(self, body: bytes) -> None:
        release = self.release
        if self.path == ARCHIVE and release.stalls:
            self.wfile.write(body[: release.stalls.pop(0)])
            release.closing.wait(10.0)
        elif self.path == ARCHIVE and release.cuts:
            self.wfile.write(body[: release.cuts.pop(0)])
        else:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


def _etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'
