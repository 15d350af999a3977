"""Which code a result was made by."""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = (
    "av",
    "imageio-ffmpeg",
    "librosa",
    "numpy",
    "openvino",
    "pyloudnorm",
    "python-stretch",
    "scipy",
    "soundfile",
    "soxr",
    "spleeter",
    "tensorflow",
)


@functools.cache
def code_version() -> str:
    """Return a digest of all that a result depends on besides songs and options.

    That is every file of this package, the networks it ships included, and the versions of the
    libraries that calculate. Where Spleeter's own weights come from is for the caller to add.
    """
    digest = hashlib.sha256()
    package = Path(__file__).parent
    for path in sorted(package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = path.read_bytes()
            digest.update(f"{path.relative_to(package).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    for name in _LIBRARIES:
        digest.update(f"{name} {_version(name)}\n".encode())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
