from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bot.tasks import MergerSettings, MergeTask, Rehearsal, SeparatorShelf, make_merger
from pipeline.errors import Cancelled
from pipeline.recipe import Recipe
from pipeline.tapes import in_memory
from pipeline.types import Progress, Stage

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


@pytest.mark.parametrize("cache_bytes", [0, 1_000_000])
def test_a_merge_gets_the_cache_unless_it_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    used: list[Any] = []
    monkeypatch.setattr("pipeline.merge.merge", lambda *_, **options: used.append(options))
    task = MergeTask(
        vocals=tmp_path / "a.mp3",
        backing=tmp_path / "b.mp3",
        vocals_name="a.mp3",
        backing_name="b.mp3",
        recipe=Recipe(),
        out_dir=tmp_path,
        max_bytes=1,
        longest_s=1.0,
    )
    make_merger(settings(tmp_path, "builtin", cache_bytes=cache_bytes))(task, lambda _: None)
    [options] = used
    with options["cache"].pending("key") as coming:
        coming.commit("facts", {})
    assert (options["cache"].load("key", str) is not None) == bool(cache_bytes)
    assert (tmp_path / "cache").exists() == bool(cache_bytes)
