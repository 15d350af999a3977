"""Makes a kit: equally loud pairs under neutral names, a page to vote on, and a key."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.listen.page import Shown, page
from benchmarks.listen.render import METHODS, draw_pairs, render
from pipeline.codec import decode, encode
from pipeline.errors import OutputError, StageError, UserError
from pipeline.loudness import CEILING_DBTP, TARGET_LUFS, integrated_lufs, true_peak_dbtp
from pipeline.names import clean_text
from pipeline.types import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.listen.render import Draw, Excerpt
    from benchmarks.listen.songs import SeparateOnce, Source
    from pipeline.types import Signal

KEY_NAME = "key.json"
PAGE_NAME = "index.html"

_FORMAT = "listening-kit-1"
_FILES = re.compile(r"\d{2,}_[ab]\.mp3")
_TOLERANCE_LU = 0.03
_HEADROOM_DB = 0.3  # encoding to mp3 raises true peaks; what is more is corrected afterwards
_ATTEMPTS = 5
_PACKAGES = ("librosa", "numpy", "pyloudnorm", "python-stretch", "scipy", "soxr")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a kit is to be.

    Attributes
    ----------
    pairs
        How many.
    seconds
        Longest excerpt.
    seed
        Decides the pairs, their order, and which version is A.
    same_sound
        Fold both versions to mono at 22.05 kHz.
    """

    pairs: int = 8
    seconds: float = 30.0
    seed: int = 0
    same_sound: bool = False


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds anything but an older kit.

    Raises
    ------
    OutputError
        It holds other things, or is a file.
    """
    shown = clean_text(str(folder))
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{shown} is no folder.", hint="Name a new one with -o.")
    if folder.is_dir() and any(folder.iterdir()) and not _is_kit(folder):
        raise OutputError(
            f"{shown} holds other things than a listening kit.", hint="Name a new folder with -o."
        )


def read_key(folder: Path) -> dict[str, Any]:
    """Read the key of a kit.

    Raises
    ------
    UserError
        The folder holds no key that this program wrote.
    """
    try:
        key = json.loads((folder / KEY_NAME).read_text(encoding="utf-8"))
        known = key["format"] == _FORMAT
    except (OSError, ValueError, TypeError, KeyError):
        known = False
    if not known:
        raise UserError(
            f"{clean_text(str(folder))} is no listening kit: it has no readable {KEY_NAME}.",
            hint="Name the folder that the kit was made in.",
        )
    return dict(key)


def _is_kit(folder: Path) -> bool:
    try:
        read_key(folder)
    except UserError:
        return False
    return True


def make_kit(
    songs: Sequence[Source],
    folder: Path,
    wishes: Wishes,
    separator: SeparateOnce,
    tell: Callable[[str], None],
) -> None:
    """Render a kit into an existing folder; an older kit in it is replaced once all is done.

    Parameters
    ----------
    songs
        What to draw pairs from.
    folder
        Checked with `check_folder`.
    wishes
        What it is to be.
    separator
        Takes the songs apart.
    tell
        Told what is being done.

    Raises
    ------
    UserError
        No pair of songs could be merged both ways.
    """
    entries: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".making-") as place:
        scratch = Path(place)
        for draw in draw_pairs(songs, wishes.seed):
            if len(entries) == wishes.pairs:
                break
            names = f"{draw.vocals.title} over {draw.backing.title}"
            tell(f"Pair {len(entries) + 1} of {wishes.pairs}: {names}")
            try:
                excerpts = render(
                    draw, separator, seconds=wishes.seconds, same_sound=wishes.same_sound
                )
                entries.append(_write_pair(draw, excerpts, len(entries) + 1, scratch))
            except UserError as error:
                tell(f"Left out: {names}: {error}")
        if not entries:
            raise UserError(
                "No two of the songs could be merged both ways.",
                hint="Name a folder of other songs with --songs.",
            )
        if len(entries) < wishes.pairs:
            tell(f"The songs give {len(entries)} pairs, not {wishes.pairs}.")
        _write_texts(entries, wishes, separator, scratch)
        _replace(folder, scratch)


def _write_pair(
    draw: Draw, excerpts: Mapping[str, Excerpt], number: int, scratch: Path
) -> dict[str, Any]:
    """Write both versions of a pair, A first, and return the pair's entry in the key."""
    versions = {"a": draw.a, "b": next(method for method in METHODS if method != draw.a)}
    paths = {letter: scratch / f"{number:02}_{letter}.mp3" for letter in versions}
    levels = write_level(
        {paths[letter]: excerpts[method].samples for letter, method in versions.items()}
    )
    return {
        "pair": number,
        "vocals": {"title": draw.vocals.title, "file": draw.vocals.path.name},
        "backing": {"title": draw.backing.title, "file": draw.backing.path.name},
        "versions": {
            letter: {
                "file": paths[letter].name,
                "method": method,
                "sha256": hashlib.sha256(paths[letter].read_bytes()).hexdigest(),
                "start_s": round(excerpts[method].start_s, 3),
                "layer_offset_ms": excerpts[method].offset_ms,
                **levels[paths[letter]],
                **excerpts[method].facts,
            }
            for letter, method in versions.items()
        },
    }


def write_level(versions: Mapping[Path, Signal]) -> dict[Path, dict[str, float]]:
    """Write signals of shape (2, n) as files of one loudness; by plain gains, without a limiter.

    As loud as a mash-up is, or less if a peak would not let one of them; measured on the files,
    because encoding changes both.

    Returns
    -------
    dict of Path to dict
        ``integrated_lufs`` and ``true_peak_dbtp`` of each file.

    Raises
    ------
    UserError
        One of them is silent.
    """
    lufs = {path: integrated_lufs(samples) for path, samples in versions.items()}
    if not np.isfinite(list(lufs.values())).all():
        raise UserError("One version is silent where the voice enters.")
    room = min(
        CEILING_DBTP - _HEADROOM_DB - true_peak_dbtp(x) + lufs[p] for p, x in versions.items()
    )
    target = min(TARGET_LUFS, room)
    gains_db = {path: target - lufs[path] for path in versions}
    for _ in range(_ATTEMPTS):
        found = {path: _write(path, versions[path], gains_db[path]) for path in versions}
        excess = max(level["true_peak_dbtp"] for level in found.values()) - CEILING_DBTP
        missing = {path: target - level["integrated_lufs"] for path, level in found.items()}
        if excess <= 0 and max(map(abs, missing.values())) <= _TOLERANCE_LU:
            return found
        lower = excess + 0.02 if excess > 0 else 0.0
        target -= lower
        gains_db = {path: gains_db[path] + missing[path] - lower for path in versions}
    raise StageError(Stage.ENCODE, "the two versions did not reach one loudness")


def _write(path: Path, samples: Signal, gain_db: float) -> dict[str, float]:
    louder = np.asarray(samples * 10.0 ** (gain_db / 20.0), dtype=np.float32)
    encode(louder, path, title=path.stem)
    heard = decode(path, shortest_s=0.0, longest_s=float("inf")).samples
    return {
        "integrated_lufs": round(integrated_lufs(heard), 3),
        "true_peak_dbtp": round(true_peak_dbtp(heard), 3),
    }


def _write_texts(
    entries: Sequence[dict[str, Any]], wishes: Wishes, separator: SeparateOnce, scratch: Path
) -> None:
    hashes = [v["sha256"] for entry in entries for v in entry["versions"].values()]
    kit = hashlib.sha256("".join(hashes).encode()).hexdigest()[:12]
    key = {
        "format": _FORMAT,
        "kit": kit,
        "seed": wishes.seed,
        "seconds": wishes.seconds,
        "same_sound": wishes.same_sound,
        "separator": separator.name,
        "versions": {
            "commit": _commit(),
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
        },
        "pairs": entries,
    }
    text = json.dumps(key, indent=2, ensure_ascii=False)
    (scratch / KEY_NAME).write_text(text + "\n", encoding="utf-8")
    shown = [
        Shown(
            number=entry["pair"],
            vocals=entry["vocals"]["title"],
            backing=entry["backing"]["title"],
            files=tuple(v["file"] for v in entry["versions"].values()),
        )
        for entry in entries
    ]
    (scratch / PAGE_NAME).write_text(page(kit, shown), encoding="utf-8")


def _commit() -> str | None:
    """Name the state of the code; None outside a clone."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _replace(folder: Path, scratch: Path) -> None:
    """Move a finished kit to its place; the key last, since it makes the folder a kit."""
    for old in folder.iterdir():
        if _FILES.fullmatch(old.name) or old.name in {PAGE_NAME, KEY_NAME}:
            old.unlink()
    for new in sorted(scratch.iterdir(), key=lambda path: path.name == KEY_NAME):
        new.replace(folder / new.name)
