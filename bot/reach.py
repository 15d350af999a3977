"""What of the machine a worker that merges keeps within its reach, and how it gives up the rest.

A song is a stranger's file: whoever finds a way to take over what decodes it must find nothing
there. Not the token, which is in the bot's environment and in .env, nor the database, nor the
songs of a library, nor the network.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bot.confinement import drop_capabilities, keep_to_itself, leave_network
from bot.landlock import restrict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.tasks import MergerSettings

log = logging.getLogger(__name__)

_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/nix/store")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random", "/dev/shm")  # noqa: S108 - shared by the threads of the networks
_REMEMBERED = (
    "NUMBA_CACHE_DIR",
    "MPLCONFIGDIR",
)  # what libraries would keep at home or beside them
_NAMES = ("/run/systemd/resolve", "/run/resolvconf")  # what /etc/resolv.conf may point to


def confine(settings: MergerSettings) -> None:
    """Give up what merging does not need; what the system does not allow is said in the log.

    The process must still have a single thread.

    Parameters
    ----------
    settings
        Where the worker reads and writes. Without `folders`, all files stay within reach.

    Raises
    ------
    OSError
        One of its folders cannot be made.
    """
    from pipeline.separate.weights import find_weights  # noqa: PLC0415 - only workers need it

    os.environ.pop("DISCORD_TOKEN", None)  # so that ffmpeg does not have it either
    keep_to_itself()
    # Weights that are not there are fetched when somebody asks for them.
    if find_weights(settings.source) is not None and not leave_network():
        log.info("the system does not let a worker leave the network")
    drop_capabilities()
    if settings.folders:
        writable = [*settings.folders, settings.cache_dir, settings.model_dir]
        if settings.compiled_dir is not None:
            named = {os.environ.setdefault(it, str(settings.compiled_dir)) for it in _REMEMBERED}
            writable.extend(map(Path, named))
        for folder in writable:
            folder.mkdir(parents=True, exist_ok=True)
        readable = [*_programs(), *map(Path, (*_SYSTEM, *_NAMES))]
        local = settings.source.local_path
        if local is not None:
            readable.append(local)
        if not restrict(readable, [*writable, *map(Path, _DEVICES)]):
            log.info("the system does not let a worker give up files: it has no Landlock")


def _programs() -> Iterator[Path]:
    """Yield where Python, its packages and ffmpeg are, without what else lies beside them."""
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix})
    for entry in map(Path, filter(None, sys.path)):
        if entry.suffix == ".zip" or entry.name in {"site-packages", "dist-packages"}:
            yield entry
        elif entry.is_dir():  # a working copy, where .env may lie and the bot's own folder
            yield from (path for path in entry.iterdir() if _is_code(path))
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is not None:
        yield Path(ffmpeg).resolve()


def _is_code(path: Path) -> bool:
    return path.suffix in {".py", ".so"} or (path / "__init__.py").exists()
