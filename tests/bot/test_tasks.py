from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bot.serving import Gauges, Teller
from bot.tasks import (
    MergerSettings,
    MergeTask,
    Rehearsal,
    SeparatorShelf,
    _two_songs,
    clean_up,
    largest_file,
    make_merger,
)
from pipeline.errors import Cancelled
from pipeline.merge import merge
from pipeline.recipe import Recipe
from pipeline.separate.choose import make_separator
from pipeline.separate.weights import ModelSource
from pipeline.tapes import in_memory
from pipeline.types import KnownSong, Progress, Stage

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Song, Stems


@dataclass(eq=False)
class Fake:
    name: str
    note: str = ""

    @property
    def identity(self) -> str:
        return self.name

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory) -> Stems:
        raise AssertionError("nothing is separated here")


class Maker:
    """Makes separators; Spleeter's weights are there, or come when they are fetched."""

    def __init__(self, *, has_weights: bool) -> None:
        self.has_weights = has_weights
        self.damaged = False
        self.made: list[str] = []

    def make(self, choice: str, _on_fraction: OnFraction) -> Fake:
        self.made.append(choice)
        if choice == "spleeter":
            self.has_weights = True
        if choice == "auto":
            choice = "spleeter" if self.has_weights and not self.damaged else "builtin"
        return Fake({"builtin": "built-in"}.get(choice, choice))

    def shelf(self) -> SeparatorShelf:
        return SeparatorShelf(self.make, lambda: self.has_weights)


def test_each_choice_is_made_once() -> None:
    maker = Maker(has_weights=True)
    shelf = maker.shelf()
    for choice in ("auto", "builtin", "auto", "builtin", "spleeter", "builtin"):
        shelf.get(choice, print)
    assert maker.made == ["auto", "builtin"]
    assert shelf.get("auto", print) is shelf.get("spleeter", print)


def test_a_stand_in_is_kept_while_there_are_no_weights() -> None:
    maker = Maker(has_weights=False)
    shelf = maker.shelf()
    first = shelf.get("auto", print)
    assert first.name == "built-in"
    assert shelf.get("auto", print) is first
    assert maker.made == ["auto"]


def test_auto_takes_the_network_that_this_worker_has() -> None:
    maker = Maker(has_weights=False)
    shelf = maker.shelf()
    assert shelf.get("auto", print).name == "built-in"
    spleeter = shelf.get("spleeter", print)
    assert shelf.get("auto", print) is spleeter
    assert maker.made == ["auto", "spleeter"]


def test_auto_takes_weights_that_another_worker_fetched() -> None:
    maker = Maker(has_weights=False)
    shelf = maker.shelf()
    assert shelf.get("auto", print).name == "built-in"
    maker.has_weights = True
    spleeter = shelf.get("auto", print)
    assert spleeter.name == "spleeter"
    assert shelf.get("auto", print) is shelf.get("spleeter", print) is spleeter
    assert maker.made == ["auto", "auto"]


def test_damaged_weights_are_tried_once() -> None:
    maker = Maker(has_weights=True)
    maker.damaged = True
    shelf = maker.shelf()
    first = shelf.get("auto", print)
    assert first.name == "built-in"
    assert shelf.get("auto", print) is first
    assert maker.made == ["auto"]


def settings(folder: Path, separator: str, *, cache_bytes: int = 0) -> MergerSettings:
    return MergerSettings(
        model_dir=folder / "models",
        model_location="http://127.0.0.1:1/nobody/answers",
        separator=separator,
        cache_dir=folder / "cache",
        cache_bytes=cache_bytes,
        log_level="INFO",
    )


@pytest.mark.slow
def test_a_rehearsal_is_a_whole_merge_that_leaves_nothing(tmp_path: Path) -> None:
    told: list[Progress] = []
    folder = tmp_path / "rehearsals"
    merged = make_merger(settings(tmp_path, "auto"))(Rehearsal(folder=folder), told.append)
    assert merged.separator == "built-in"
    assert told[-1].stage is Stage.DRAW
    assert list(folder.iterdir()) == []


def test_a_rehearsal_makes_way_at_once(tmp_path: Path) -> None:
    def called_off(_progress: Progress) -> None:
        raise Cancelled

    work = make_merger(settings(tmp_path, "builtin"))
    with pytest.raises(Cancelled):
        work(Rehearsal(folder=tmp_path / "rehearsals"), called_off)
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []
    monkeypatch.setattr("bot.tasks._two_songs", lambda folder: (folder, folder))
    monkeypatch.setattr("pipeline.merge.merge", lambda *_, **options: used.append(options))
    work = make_merger(settings(tmp_path, "spleeter"))
    work(Rehearsal(folder=tmp_path), lambda _: None)
    assert [options["separator"].name for options in used] == ["built-in"]
    assert "cache" not in used[0]


def merge_of(folder: Path, **others: Any) -> MergeTask:
    facts: dict[str, Any] = {
        "vocals": folder / "vocals.mp3",
        "backing": folder / "backing.ogg",
        "vocals_name": "a.mp3",
        "backing_name": "b.ogg",
        "recipe": Recipe(),
        "out_dir": folder,
        "max_bytes": 1,
        "longest_s": 1.0,
    }
    return MergeTask(**{**facts, **others})


@pytest.mark.parametrize(("seconds", "size"), [(0.0, 0.0), (360.0, 0.2), (1800.0, 1.0)])
def test_a_merge_tells_how_large_it_is_by_its_songs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, size: float
) -> None:
    monkeypatch.setattr("pipeline.merge.merge", lambda *_, **options: options["on_length"](seconds))
    gauges = Gauges()
    make_merger(settings(tmp_path, "builtin"))(merge_of(tmp_path), Teller(gauges))
    assert gauges.size == pytest.approx(size)


@pytest.mark.slow
def test_a_real_merge_tells_its_length_once(tmp_path: Path) -> None:
    told: list[float] = []
    songs = _two_songs(tmp_path)
    source = ModelSource(directory=tmp_path / "models")
    merge(
        *songs,
        Recipe(),
        tmp_path,
        separator=make_separator("builtin", source),
        on_length=told.append,
    )
    assert told == [pytest.approx(10.0, abs=0.2)]


def test_only_the_songs_of_a_task_are_kept(tmp_path: Path) -> None:
    task = merge_of(tmp_path)
    for name in ("vocals.mp3", "backing.ogg", "mashup.mp3", ".making-x/ready", "card.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"here")
    canary = tmp_path.with_name("canary")
    canary.mkdir()
    (tmp_path / "link").symlink_to(canary)
    clean_up(task)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backing.ogg", "vocals.mp3"]
    assert canary.is_dir()


def test_there_may_be_nothing_to_clean_up(tmp_path: Path) -> None:
    known = KnownSong(audio="a" * 64, name="a", title="a")
    (tmp_path / "rehearsal" / "left").mkdir(parents=True)
    clean_up(Rehearsal(folder=tmp_path / "rehearsal"))
    assert list((tmp_path / "rehearsal").iterdir()) == []
    clean_up(Rehearsal(folder=tmp_path / "never made"))
    clean_up(merge_of(tmp_path / "never made", vocals=known, backing=known))


def test_the_largest_file_holds_the_longest_song() -> None:
    assert largest_file(900.0) == 1 << 30
    assert largest_file(7200.0) > 1.5 * 8 * 44_100 * 7200.0


@pytest.mark.parametrize("cache_bytes", [0, 1_000_000])
def test_a_merge_gets_the_cache_unless_it_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    used: list[Any] = []
    monkeypatch.setattr("pipeline.merge.merge", lambda *_, **options: used.append(options))
    work = make_merger(settings(tmp_path, "builtin", cache_bytes=cache_bytes))
    work(merge_of(tmp_path), lambda _: None)
    [options] = used
    with options["cache"].pending("key") as coming:
        coming.commit("facts", {})
    assert (options["cache"].load("key", str) is not None) == bool(cache_bytes)
    assert (tmp_path / "cache").exists() == bool(cache_bytes)
