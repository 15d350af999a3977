"""Where results go: refused before any work is done, and put there all together or not at all."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import OutputError
from pipeline.names import clean_name, clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@contextmanager
def reserve(targets: Sequence[Path], songs: Sequence[Path]) -> Iterator[dict[Path, Path]]:
    """Hold a hidden folder beside each result, for work in progress.

    Whatever is left in them in the end, for whatever reason, goes with them.

    Parameters
    ----------
    targets
        The files that are to be written; their folders exist.
    songs
        The files that are read, and so must not be written.

    Yields
    ------
    dict of Path to Path
        The hidden folder of each target.

    Raises
    ------
    OutputError
        A target is a folder, one of the songs or another target, or its folder cannot be
        written to.
    """
    with ExitStack() as stack:
        scratch: dict[Path, Path] = {}
        for target in targets:
            try:
                _refuse_clash(target, songs, tuple(scratch))
                place = tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-")
                scratch[target] = Path(stack.enter_context(place))
            except OSError as error:
                raise _cannot_write(target, error) from error
        yield scratch


def put(made: Mapping[Path, Path], scratch: Mapping[Path, Path]) -> None:
    """Move finished files to their places, all of them or, when one has no room, none.

    Parameters
    ----------
    made
        The finished file for each target.
    scratch
        What `reserve` gave.

    Raises
    ------
    OutputError
        There is no room for a file, or its place is gone.
    """
    # The folders may lie on several file systems: what can run out of room comes first.
    ready: dict[Path, Path] = {}
    for target, file in made.items():
        try:
            ready[target] = Path(shutil.move(file, scratch[target] / "ready"))
        except OSError as error:
            raise _cannot_write(target, error) from error
    for target, file in ready.items():
        try:
            file.replace(target)
        except OSError as error:
            raise _cannot_write(target, error) from error


def write_text(target: Path, text: str, scratch: Mapping[Path, Path]) -> Path:
    """Write a text file where `put` will find it.

    Raises
    ------
    OutputError
        There is no room for it.
    """
    path = scratch[target] / "text"
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise _cannot_write(target, error) from error
    return path


@contextmanager
def made_folder(folder: Path) -> Iterator[None]:
    """Make a folder with its parents if need be; if the work fails, take away what was made.

    Raises
    ------
    OutputError
        It cannot be made.
    """
    with ExitStack() as undo:
        try:
            for place in reversed([folder, *folder.parents]):
                if not place.is_dir():
                    place.mkdir()
                    undo.callback(_remove_if_empty, place)
        except OSError as error:
            raise OutputError(
                f"The folder {_shown(folder)} cannot be made ({error.strerror}).",
                hint="Choose another place.",
            ) from error
        yield
        undo.pop_all()


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # somebody else has put something into it
        folder.rmdir()


def _refuse_clash(target: Path, songs: Sequence[Path], others: Sequence[Path]) -> None:
    name = clean_name(target.name)
    if target.is_dir():
        raise OutputError(f"{name} is a folder.", hint="Name a file to write.")
    if target.exists() and not target.is_file():  # a rename would put an end to a device
        raise OutputError(f"{name} is not an ordinary file.", hint="Name a file to write.")
    if any(_same(target, song) for song in songs):
        raise OutputError(
            f"{name} is one of the songs and would be overwritten.", hint="Choose another name."
        )
    if any(_same(target, other) for other in others):
        raise OutputError(f"{name} is to hold two things at once.", hint="Choose another name.")
    if not target.parent.is_dir():
        raise OutputError(
            f"The folder {_shown(target.parent)} for {name} does not exist.", hint="Make it first."
        )


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (
        one.exists() and other.exists() and one.samefile(other)
    )


def _cannot_write(target: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{clean_name(target.name)} cannot be written to {_shown(target.parent)} "
        f"({error.strerror or error}).",
        hint="Choose another place.",
    )


def _shown(folder: Path) -> str:
    return clean_text(str(folder)) or "with that name"
