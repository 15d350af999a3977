"""Bring one file over HTTP, going on where an earlier attempt broke off."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx

    from pipeline.types import OnFraction

ATTEMPTS = 4
"""How often a download that breaks off is taken up again, the first attempt included."""

_PARTIAL_CONTENT = 206
_RANGE_NOT_SATISFIABLE = 416


class DownloadTooLargeError(Exception):
    """The server announces or sends more than was allowed."""


class _PartDoesNotFitError(Exception):
    """The server's file is not the one that the part was cut from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the server said of the file when its first byte was written.

    Attributes
    ----------
    url
        Where it came from.
    length
        Its whole length in bytes; None when the server did not tell.
    validator
        A strong ETag or the Last-Modified date, for If-Range; None when it gave neither.
    """

    url: str
    length: int | None
    validator: str | None


def download(
    client: httpx.Client,
    url: str,
    part: Path,
    *,
    max_bytes: int,
    retry_wait_s: float,
    on_fraction: OnFraction,
) -> bool:
    """Bring a file, complete what is already there of it, and try again when it breaks off.

    Parameters
    ----------
    client
        Brings the timeouts.
    url
        What to bring.
    part
        Where to write it. A file of that name from an earlier call is gone on with when the
        server confirms that it is the beginning of the same file, and is written anew otherwise.
    max_bytes
        The largest file that is accepted.
    retry_wait_s
        Pause before a second attempt, in seconds; doubled before each further one.
    on_fraction
        Told the share of the file that is there, after every chunk.

    Returns
    -------
    bool
        Whether the file was pieced together from more than one answer.

    Raises
    ------
    httpx.HTTPError
        The server cannot be reached, refuses, or broke off for the last time.
    DownloadTooLargeError
        The file is larger than `max_bytes`.
    OSError
        `part` cannot be written.
    """
    import httpx  # noqa: PLC0415 - only a machine without weights needs it

    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _attempt(client, url, part, max_bytes, on_fraction)
        except _PartDoesNotFitError:
            discard(part)
        except DownloadTooLargeError:
            discard(part)
            raise
        except (httpx.ReadError, httpx.ReadTimeout, httpx.RemoteProtocolError):
            if attempt == ATTEMPTS:
                raise
            time.sleep(retry_wait_s * 2 ** (attempt - 1))
    raise httpx.RemoteProtocolError(f"{url} changes while it is read")


def discard(part: Path) -> None:
    """Remove a part and what is known about it."""
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _attempt(
    client: httpx.Client, url: str, part: Path, max_bytes: int, on_fraction: OnFraction
) -> bool:
    known = _recall(part, url)
    offset = part.stat().st_size if known else 0
    if known and offset == known.length:
        return True  # it broke off after the last byte, before anybody looked at the file
    with client.stream("GET", url, headers=_request_headers(known, offset)) as response:
        if known and response.status_code in (_PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE):
            if response.headers.get("Content-Range") != _rest(known, offset):
                raise _PartDoesNotFitError
        else:
            response.raise_for_status()
            known, offset = _begin(response, url, part), 0
        pieced = offset > 0
        _refuse_larger(known.length or 0, max_bytes)
        with part.open("ab") as file:
            for chunk in response.iter_raw():
                offset += len(chunk)
                _refuse_larger(offset, max_bytes)
                file.write(chunk)
                on_fraction(min(offset / known.length, 1.0) if known.length else 0.0)
    return pieced


def _request_headers(known: _Known | None, offset: int) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity"}  # a range is a range of the file as it is
    if known:
        headers["Range"] = f"bytes={offset}-"
        if known.validator:
            headers["If-Range"] = known.validator
    return headers


def _rest(known: _Known, offset: int) -> str:
    """Say in the words of Content-Range what is missing."""
    return f"bytes {offset}-{(known.length or 0) - 1}/{known.length}"


def _begin(response: httpx.Response, url: str, part: Path) -> _Known:
    """Forget an older part and note what the server says of the file."""
    discard(part)
    known = _describe(response, url)
    _note(part).write_text(json.dumps(asdict(known)), encoding="utf-8")
    return known


def _describe(response: httpx.Response, url: str) -> _Known:
    headers: Mapping[str, str] = response.headers
    etag = headers.get("ETag", "")
    length = headers.get("Content-Length", "")
    return _Known(
        url=url,
        length=int(length) if length.isdecimal() else None,
        # A weak ETag may not be used in If-Range (RFC 9110, 13.1.5).
        validator=etag if etag.startswith('"') else headers.get("Last-Modified"),
    )


def _recall(part: Path, url: str) -> _Known | None:
    """Read what is known about a part; None when there is nothing to go on with."""
    try:
        known = _Known(**json.loads(_note(part).read_text(encoding="utf-8")))
        n_bytes = part.stat().st_size
    except (FileNotFoundError, TypeError, ValueError):
        return None
    fits = known.url == url and known.length is not None and 0 < n_bytes <= known.length
    return known if fits else None


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _refuse_larger(n_bytes: int, max_bytes: int) -> None:
    if n_bytes > max_bytes:
        raise DownloadTooLargeError
