"""Have Spleeter's 2stems weights on disk, whole, or say in one sentence why not.

`find_weights` looks; `ensure_weights` looks and, when nothing is there, fetches the release's
archive, verifies it, unpacks it beside its place and moves it there in one step.
"""

from __future__ import annotations

import fcntl
import json
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import url2pathname

from pipeline.errors import ModelUnavailableError
from pipeline.separate.archive import (
    UnusableWeightsError,
    install,
    is_believed,
    remove_leftovers,
    verify,
)
from pipeline.separate.download import DownloadTooLargeError, discard, download

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from pipeline.types import OnFraction

RELEASE_URL = "https://github.com/deezer/spleeter/releases/download/v1.4.0"
"""Where Spleeter 2.4.2 itself fetches its models from (spleeter.model.provider.github)."""

RELEASE_SHA256 = "f3a90b39dd2874269e8b05a48a86745df897b848c61f3958efc80a39152bd692"
"""SHA-256 of its 2stems.tar.gz, after tests/test_github_model_provider.py of deezer/spleeter."""

MODEL_NAME = "2stems"
ARCHIVE_NAME = f"{MODEL_NAME}.tar.gz"
CHECKSUM_NAME = "checksum.json"

_CHECKSUM_MAX_BYTES = 1 << 16
_LOCK_POLL_S = 0.2
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Where the weights live and where they come from.

    Attributes
    ----------
    directory
        Where models live; this one in its folder ``2stems``.
    location
        What stands in for the release: the address (http or https) of a folder with
        ``2stems.tar.gz`` and ``checksum.json``, or a local folder (a path or file://) that holds
        these two, the unpacked model, or the unpacked model in a folder ``2stems``. Without a
        ``checksum.json`` only the release's own archive is accepted.
    connect_timeout_s, read_timeout_s
        How long a server may take to answer, and to send the next bytes, in seconds.
    retry_wait_s
        Pause before a download that broke off is taken up again, in seconds.
    max_bytes
        The largest archive, and the largest unpacked model, that is accepted. The release has
        73 MB packed.
    """

    directory: Path
    location: str = RELEASE_URL
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0
    retry_wait_s: float = 1.0
    max_bytes: int = 400_000_000

    @property
    def model_dir(self) -> Path:
        """Where the model is put."""
        return self.directory / MODEL_NAME

    @property
    def local_path(self) -> Path | None:
        """The local folder that stands in for the release; None when it is on the network."""
        scheme, separator, rest = self.location.partition("://")
        if separator and scheme.lower() in {"http", "https"}:
            return None
        if separator and scheme.lower() == "file":
            return Path(url2pathname(rest.removeprefix("localhost")))
        return Path(self.location).expanduser()


def find_weights(source: ModelSource) -> Path | None:
    """Look for a whole model without going to the network.

    What is believed, of fetched models and of files copied by hand, is said in
    `pipeline.separate.archive.is_believed`.

    Returns
    -------
    Path or None
        The model's directory: a local stand-in that is unpacked, else the place of fetched models.
    """
    places = [source.model_dir]
    if source.local_path is not None:
        places = [source.local_path, source.local_path / MODEL_NAME, *places]
    return next((place for place in places if is_believed(place)), None)


def ensure_weights(source: ModelSource, *, on_fraction: OnFraction = lambda _: None) -> Path:
    """Find the weights, or fetch and verify them.

    Processes that fetch into one directory at the same time take turns: the first does the
    work, the others find its result.

    Parameters
    ----------
    source
        Where to look and what to fetch.
    on_fraction
        Told the share of the archive that is there, in [0, 1]; never falls, also when the
        download must start again. May raise to call the fetch off.

    Returns
    -------
    Path
        The model's directory.

    Raises
    ------
    ModelUnavailableError
        The weights are absent and cannot be fetched, verified, unpacked or written.
    """
    found = find_weights(source)
    if found is not None:
        return found
    on_rising = _never_falling(on_fraction)
    try:
        source.directory.mkdir(parents=True, exist_ok=True)
        with _turn(source.directory, on_rising):
            return find_weights(source) or _fetch(source, on_rising)
    except UnusableWeightsError as error:
        raise _unavailable(source, str(error)) from error
    except OSError as error:
        place = Path(error.filename or source.directory)
        raise _unavailable(source, f"{place.name}: {error.strerror or error}") from error


def _unavailable(source: ModelSource, reason: str) -> ModelUnavailableError:
    # The reason may be read by everybody in a chat: whole paths are for the hint.
    return ModelUnavailableError(
        f"Spleeter's weights could not be fetched ({reason}).",
        hint=f"Copy the model's files into {source.model_dir}, "
        "or set SPLEETER_MODEL_URL to a place that has them.",
    )


def _never_falling(on_fraction: OnFraction) -> OnFraction:
    highest = 0.0

    def tell(fraction: float) -> None:
        nonlocal highest
        highest = max(highest, fraction)
        on_fraction(highest)

    return tell


@contextmanager
def _turn(directory: Path, on_fraction: OnFraction) -> Iterator[None]:
    """Hold the directory's lock; the system frees it when its holder dies."""
    with (directory / f".{MODEL_NAME}.lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                on_fraction(0.0)  # where the wait can be called off
                time.sleep(_LOCK_POLL_S)
        yield


def _fetch(source: ModelSource, on_fraction: OnFraction) -> Path:
    remove_leftovers(source.directory)
    if source.local_path is not None:
        archive, digest = _local_archive(source.local_path)
        verify(archive, digest)
        install(archive, digest, source.model_dir, max_bytes=source.max_bytes)
    else:
        with _http_client(source) as client:
            archive, digest = _download(client, source, on_fraction)
        install(archive, digest, source.model_dir, max_bytes=source.max_bytes)
        discard(archive)
    on_fraction(1.0)
    return source.model_dir


def _local_archive(folder: Path) -> tuple[Path, str]:
    archive, checksum = folder / ARCHIVE_NAME, folder / CHECKSUM_NAME
    if not archive.is_file():
        raise UnusableWeightsError(f"{folder.name} holds neither {ARCHIVE_NAME} nor a whole model")
    text = checksum.read_bytes() if checksum.exists() else None
    return archive, _digest_of(text, where=folder.name)


@contextmanager
def _http_client(source: ModelSource) -> Iterator[httpx.Client]:
    import httpx  # noqa: PLC0415 - only a machine without weights needs it

    timeout = httpx.Timeout(source.read_timeout_s, connect=source.connect_timeout_s)
    host = source.location.split("/")[2].rpartition("@")[2]  # no password in a message
    try:
        with httpx.Client(timeout=timeout) as client:
            yield client
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise UnusableWeightsError(f"no connection to {host}") from error
    except httpx.ReadTimeout as error:
        raise UnusableWeightsError(f"{host} stopped sending") from error
    except httpx.HTTPStatusError as error:
        answer = f"{error.response.status_code} {error.response.reason_phrase}".strip()
        raise UnusableWeightsError(f"{host} answered {answer}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnusableWeightsError(f"the download from {host} failed: {error}") from error
    except DownloadTooLargeError as error:
        limit = source.max_bytes // 1_000_000
        raise UnusableWeightsError(f"the archive on {host} is larger than {limit} MB") from error


def _download(
    client: httpx.Client, source: ModelSource, on_fraction: OnFraction
) -> tuple[Path, str]:
    base = source.location.rstrip("/")
    digest = RELEASE_SHA256 if base == RELEASE_URL else _remote_digest(client, base)
    part = source.directory / f".{ARCHIVE_NAME}.part"
    while True:
        pieced = download(
            client,
            f"{base}/{ARCHIVE_NAME}",
            part,
            max_bytes=source.max_bytes,
            retry_wait_s=source.retry_wait_s,
            on_fraction=on_fraction,
        )
        try:
            verify(part, digest)
        except UnusableWeightsError:
            discard(part)
            if not pieced:
                raise
            # The older piece may be to blame: once more from the first byte.
        else:
            return part, digest


def _remote_digest(client: httpx.Client, base: str) -> str:
    content = b""
    with client.stream("GET", f"{base}/{CHECKSUM_NAME}") as response:
        if response.status_code == _NOT_FOUND:
            return _digest_of(None, where="the mirror")
        response.raise_for_status()
        for chunk in response.iter_bytes():
            content += chunk
            if len(content) > _CHECKSUM_MAX_BYTES:
                raise UnusableWeightsError(f"{CHECKSUM_NAME} of the mirror is no list of checksums")
    return _digest_of(content, where="the mirror")


def _digest_of(checksums: bytes | None, *, where: str) -> str:
    """Read the archive's SHA-256 from a checksum.json; without one it must be the release's."""
    if checksums is None:
        return RELEASE_SHA256
    try:
        digest = json.loads(checksums)[MODEL_NAME]
    except (KeyError, TypeError, ValueError) as error:
        raise UnusableWeightsError(f"{CHECKSUM_NAME} of {where} cannot be read") from error
    return str(digest).lower()
