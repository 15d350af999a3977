"""What a worker is asked to do, and the function that does it; this side knows no Discord."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

from bot import logs
from bot.serving import Teller
from pipeline.errors import Cancelled, NoBackingError, NoVoiceError
from pipeline.recipe import Recipe
from pipeline.types import Progress, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.separate import Separator
    from pipeline.separate.weights import ModelSource
    from pipeline.types import KnownSong, MergeResult, OnFraction, OnProgress

    MakeSeparator: TypeAlias = Callable[[str, OnFraction], Separator]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeTask:
    """One merge, as it crosses the process boundary.

    Attributes
    ----------
    vocals, backing
        The two songs: their files, or what the cache knows them by.
    vocals_name, backing_name
        What the user called them; titles and errors say these.
    recipe
        How they are merged.
    out_dir
        Where the result goes.
    max_bytes
        Largest result that can be delivered.
    longest_s
        Longest song that is taken, in seconds.
    stems
        Write the two layers, too, as mp3 files.
    picture
        Draw the card.
    """

    vocals: Path | KnownSong
    backing: Path | KnownSong
    vocals_name: str
    backing_name: str
    recipe: Recipe
    out_dir: Path
    max_bytes: int
    longest_s: float
    stems: bool = False
    picture: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """A merge of two short songs that the worker composes itself, ahead of the first real one.

    What a merge loads late is there afterwards, so that the first one is as fast as the others.

    Attributes
    ----------
    folder
        Where its files lie meanwhile; made if it is not there.
    """

    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class MergerSettings:
    """What a worker has to know once, as it crosses the process boundary.

    Attributes
    ----------
    model_dir, model_location
        Where Spleeter's weights lie and come from; "" is the public release.
    separator
        What a recipe's "auto" means.
    cache_dir, cache_bytes
        Where what was found out about songs is kept, and the most it may take up; 0 keeps nothing.
    log_level
        How much the worker logs.
    longest_s
        Longest song that this bot takes in any server, in seconds.
    folders
        Where the worker reads and writes besides.
    compiled_dir
        Where libraries keep what they compile and find out, if nowhere else is said; None for
        where they like.
    """

    model_dir: Path
    model_location: str
    separator: str
    cache_dir: Path
    cache_bytes: int
    log_level: str
    longest_s: float = 900.0
    folders: tuple[Path, ...] = ()
    compiled_dir: Path | None = None

    @property
    def source(self) -> ModelSource:
        """Where Spleeter's weights come from."""
        from pipeline.separate.weights import ModelSource  # noqa: PLC0415 - only workers need it

        source = ModelSource(directory=self.model_dir)
        return replace(source, location=self.model_location) if self.model_location else source


class SeparatorShelf:
    """Keeps separators warm, one for each choice.

    Parameters
    ----------
    make
        Makes a separator for a choice, telling the share of a download that is done.
    has_weights
        Says whether Spleeter's weights are there; asked before every merge that leaves the
        choice to us, because another worker, or the admin, may have brought them.
    """

    def __init__(self, make: MakeSeparator, has_weights: Callable[[], bool]) -> None:
        self._make = make
        self._has_weights = has_weights
        self._kept: dict[str, Separator] = {}
        self._stood_in_without_weights = False

    def get(self, choice: str, on_fraction: OnFraction) -> Separator:
        """Return the kept separator, or a new one when there is none or a better one is there."""
        if choice == "auto" and "spleeter" in self._kept:
            choice = "spleeter"  # one network in memory is enough
        kept = self._kept.get(choice)
        outdated = choice == "auto" and self._stood_in_without_weights and self._has_weights()
        if kept is not None and not outdated:
            return kept
        if choice == "auto":
            self._kept.pop("auto", None)
            self._stood_in_without_weights = not self._has_weights()
        separator = self._make(choice, on_fraction)
        self._kept["spleeter" if separator.name == "spleeter" else choice] = separator
        return separator


class Merger:
    """Does a worker's tasks; made once in each worker, and keeps what is slow to make.

    Parameters
    ----------
    settings
        What the worker has to know.
    """

    def __init__(self, settings: MergerSettings) -> None:
        # The pipeline's heavy parts are imported here, in the worker, and nowhere else in the bot.
        from pipeline import merge  # noqa: PLC0415 - see above
        from pipeline.aside import Aside  # noqa: PLC0415 - see above
        from pipeline.cache import Cache  # noqa: PLC0415 - see above
        from pipeline.separate.choose import make_separator  # noqa: PLC0415 - see above
        from pipeline.separate.weights import find_weights  # noqa: PLC0415 - see above

        source = settings.source
        self._longest_s = settings.longest_s
        self._default = settings.separator
        self._merge = merge.merge
        self._aside = Aside()
        folder = settings.cache_dir if settings.cache_bytes else None
        self._cache = Cache(folder, settings.cache_bytes)
        self._make_separator: MakeSeparator = lambda choice, on_fraction: make_separator(
            choice, source, on_fraction=on_fraction
        )
        self._has_weights: Callable[[], bool] = lambda: find_weights(source) is not None
        self._shelf = SeparatorShelf(self._make_separator, self._has_weights)

    def __call__(self, task: MergeTask | Rehearsal, on_progress: OnProgress) -> MergeResult:
        """Merge two songs, or rehearse it.

        Raises
        ------
        PipelineError
            Why there is no mash-up.
        Cancelled
            `on_progress` called it off, or there is nothing more to rehearse.
        """
        if isinstance(task, Rehearsal):
            return self._rehearse(task, on_progress)
        asked = task.recipe.separator
        chosen = self._shelf.get(
            self._default if asked == "auto" else asked,
            lambda _: on_progress(Progress(stage=Stage.FETCH, fraction=0.0)),
        )
        return self._merge(
            task.vocals,
            task.backing,
            task.recipe,
            task.out_dir,
            separator=chosen,
            vocals_name=task.vocals_name,
            backing_name=task.backing_name,
            max_bytes=task.max_bytes,
            longest_s=task.longest_s,
            stems=task.stems,
            stems_format="mp3",
            picture=task.picture,
            cache=self._cache,
            aside=self._aside,
            on_progress=on_progress,
            on_length=lambda seconds: self._tell_size(seconds, on_progress),
        )

    def _tell_size(self, seconds: float, on_progress: OnProgress) -> None:
        """Tell how large a task is: as large as its songs are long."""
        if isinstance(on_progress, Teller):
            on_progress.size(seconds / (2 * self._longest_s))

    def _rehearse(self, task: Rehearsal, on_progress: OnProgress) -> MergeResult:
        """Compose two songs of a few seconds and merge them; the files are gone afterwards."""
        on_progress(Progress(stage=Stage.DECODE, fraction=0.0))  # a job may be waiting already
        task.folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=task.folder) as name:
            folder = Path(name)
            try:
                return self._merge(
                    *_two_songs(folder),
                    Recipe(),
                    folder,
                    separator=self._separator_to_rehearse(),
                    picture=True,
                    aside=self._aside,
                    on_progress=on_progress,
                )
            except (NoVoiceError, NoBackingError) as error:  # as other weights may hear it
                raise Cancelled from error

    def _separator_to_rehearse(self) -> Separator:
        if self._default == "spleeter" and not self._has_weights():
            # Nothing is fetched before somebody asks for it.
            return self._make_separator("builtin", lambda _: None)
        return self._shelf.get(self._default, lambda _: None)


def make_merger(settings: MergerSettings) -> Merger:
    """Return what merges; called once in each worker."""
    logs.set_up(settings.log_level)
    return Merger(settings)


def clean_up(task: MergeTask | Rehearsal) -> None:
    """Delete what a task has left in its folder: everything but the songs that it is given."""
    songs = () if isinstance(task, Rehearsal) else (task.vocals, task.backing)
    folder = task.folder if isinstance(task, Rehearsal) else task.out_dir
    with suppress(FileNotFoundError):  # nothing was left, not even the folder
        for path in folder.iterdir():
            if path in songs:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def largest_file(longest_s: float) -> int:
    """Return how large a file a merge may have to write, in bytes, where songs are so long."""
    from_a_song = 8 * 44_100 * longest_s  # float32 stereo, on its way through the stages
    # A signal is given half as much again where a file's header understates its length.
    return max(1 << 30, round(2 * from_a_song))


def _two_songs(folder: Path) -> tuple[Path, Path]:
    from composer import compose  # noqa: PLC0415 - loads numpy, which only workers do
    from pipeline.codec import encode  # noqa: PLC0415 - see above

    vocals, backing = folder / "vocals.mp3", folder / "backing.mp3"
    for seed, path in enumerate((vocals, backing), start=3):
        song = compose(seed, duration_s=5.0, bpm=170.0 + seed, intro_bars=0)
        encode(song.mixture, path, title=path.stem)
    return vocals, backing
