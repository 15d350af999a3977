"""Turn an archive of weights into a model directory, in one step or not at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

from pipeline.separate.checkpoint import is_whole

CHECKPOINT_NAME = "model"
MANIFEST_NAME = "manifest.json"

_EXTRA_FILES = frozenset({"checkpoint", "config.json"})
_STAGING_PREFIX = ".unpacking-"
_HASH_CHUNK_BYTES = 1 << 20


class UnusableWeightsError(Exception):
    """Why the weights cannot be had, in words that fit into brackets."""


def is_believed(model_dir: Path) -> bool:
    """Say whether a directory holds a whole model.

    The checkpoint's index must be readable and every shard at least as long as the index says.
    Where a manifest lies beside them, as it does after `install`, every file must also have the
    size that stands there; files that were copied by hand need none.
    """
    if not is_whole(model_dir / CHECKPOINT_NAME):
        return False
    manifest = model_dir / MANIFEST_NAME
    try:
        if not manifest.exists():
            return True
        files = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        return all((model_dir / name).stat().st_size == files[name]["size"] for name in files)
    except (OSError, KeyError, TypeError, ValueError):
        return False


def verify(archive: Path, digest: str) -> None:
    """Compare an archive's SHA-256 with the one that it should have.

    Raises
    ------
    UnusableWeightsError
        They differ.
    """
    if sha256_of(archive) != digest:
        raise UnusableWeightsError("the archive is incomplete or altered: its checksum is wrong")


def sha256_of(path: Path) -> str:
    """Compute a file's SHA-256, in lower-case hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def install(archive: Path, digest: str, model_dir: Path, *, max_bytes: int) -> None:
    """Unpack an archive beside the model's place, then move it there by a rename.

    Nobody ever sees half a model. What was in its place, and was not believed, is removed.

    Parameters
    ----------
    archive
        A tar.gz, verified.
    digest
        Its SHA-256, for the manifest.
    model_dir
        The model's place; one process at a time may install there.
    max_bytes
        The largest unpacked model that is accepted.

    Raises
    ------
    UnusableWeightsError
        The archive cannot be unpacked, is too large, or holds no whole model or more than that.
    OSError
        The directory cannot be written.
    """
    staging = Path(tempfile.mkdtemp(prefix=_STAGING_PREFIX, dir=model_dir.parent))
    try:
        fresh = staging / "fresh"
        fresh.mkdir()
        _unpack(archive, fresh, max_bytes)
        if not is_whole(fresh / CHECKPOINT_NAME):
            raise UnusableWeightsError("the archive holds no whole model")
        _write_manifest(fresh, digest)
        if model_dir.exists():
            model_dir.rename(staging / "disbelieved")
        fresh.rename(model_dir)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_leftovers(directory: Path) -> None:
    """Remove what a process left in a directory when it died while it installed."""
    for leftover in directory.glob(f"{_STAGING_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Write the model's own files, and nothing else, into a folder.

    Done by hand because tarfile's filter="data" came with Python 3.11.4, and Debian 12 has 3.11.2.
    """
    n_bytes = 0
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                n_bytes += member.size
                if n_bytes > max_bytes:
                    raise UnusableWeightsError("the archive unpacks to too much")
                name = _name_in_model(member)
                content = tar.extractfile(member) if name else None
                if name and content:
                    with content, (folder / name).open("xb") as file:
                        shutil.copyfileobj(content, file)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UnusableWeightsError(f"the archive cannot be unpacked: {error}") from error
    except FileExistsError as error:
        raise UnusableWeightsError("the archive holds the same file twice") from error


def _name_in_model(member: tarfile.TarInfo) -> str | None:
    """Return under which name to write a member; None when it is no part of a model."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise UnusableWeightsError(f"the archive holds {member.name!r}, which no model does")
    belongs = path.name in _EXTRA_FILES or path.name.startswith(f"{CHECKPOINT_NAME}.")
    return path.name if member.isfile() and len(path.parts) == 1 and belongs else None


def _write_manifest(folder: Path, digest: str) -> None:
    files = {
        path.name: {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(folder.iterdir())
    }
    manifest = {"archive_sha256": digest, "files": files}
    (folder / MANIFEST_NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
