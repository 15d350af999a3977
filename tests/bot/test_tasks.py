from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.tasks import RETRY_AFTER_S, SeparatorShelf

if TYPE_CHECKING:
    from pipeline.types import OnFraction, Song, Stems


@dataclass(eq=False)
class Fake:
    name: str
    note: str = ""

    def separate(self, song: Song, on_fraction: OnFraction) -> Stems:
        raise AssertionError("nothing is separated here")


class Maker:
    """Makes separators; Spleeter's weights can be had or not."""

    def __init__(self) -> None:
        self.has_weights = True
        self.now_s = 0.0
        self.made: list[str] = []

    def make(self, choice: str, _on_fraction: OnFraction) -> Fake:
        self.made.append(choice)
        if choice == "auto" and not self.has_weights:
            return Fake("offline", note="Spleeter's weights could not be had.")
        return Fake("offline" if choice == "offline" else "spleeter")

    def shelf(self) -> SeparatorShelf:
        return SeparatorShelf(self.make, clock=lambda: self.now_s)


def test_each_choice_is_made_once() -> None:
    maker = Maker()
    shelf = maker.shelf()
    for choice in ("auto", "offline", "auto", "offline", "spleeter"):
        maker.now_s += RETRY_AFTER_S
        shelf.get(choice, print)
    assert maker.made == ["auto", "offline"]
    assert shelf.get("auto", print) is shelf.get("spleeter", print)


def test_auto_takes_the_network_that_is_there() -> None:
    maker = Maker()
    shelf = maker.shelf()
    spleeter = shelf.get("spleeter", print)
    assert shelf.get("auto", print) is spleeter
    assert maker.made == ["spleeter"]


def test_a_stand_in_is_replaced_when_spleeter_can_be_had() -> None:
    maker = Maker()
    maker.has_weights = False
    shelf = maker.shelf()
    assert shelf.get("auto", print).name == "offline"
    maker.has_weights = True
    maker.now_s = RETRY_AFTER_S - 1
    assert shelf.get("auto", print).name == "offline"
    maker.now_s = RETRY_AFTER_S
    assert shelf.get("auto", print).name == "spleeter"
    maker.now_s = 10 * RETRY_AFTER_S
    shelf.get("auto", print)
    assert maker.made == ["auto", "auto"]
