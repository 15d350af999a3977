"""Messages become pictures in which everything that was sent can be found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from screens.blocks import SCALE
from screens.chat import WIDTH, Attached, Message, draw
from screens.components import action_row
from screens.palette import BUTTONS, CARD, CHAT, PLAYER

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

EDGE, LEAF = 0x8E44AD, "#14c850"


def pixels(message: Message) -> Pixels:
    return np.asarray(draw(message))


def where(picture: Pixels, colour: str) -> npt.NDArray[np.bool_]:
    return np.asarray((picture == ImageColor.getrgb(colour)).all(axis=-1))


def box(found: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what was found."""
    rows, columns = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def embed(**more: Any) -> dict[str, Any]:
    return {"type": "rich", "title": "A x B", "color": EDGE, "description": "words", **more}


def buttons(*labels: str, **more: Any) -> dict[str, Any]:
    parts = [
        {"type": 2, "style": 2, "label": label, "custom_id": label, "disabled": False, **more}
        for label in labels
    ]
    return {"type": 1, "components": parts}


def test_a_screen_is_as_wide_as_all_and_as_high_as_it_needs() -> None:
    short = draw(Message(content="one"))
    assert short.width == WIDTH * SCALE
    assert short.mode == "RGB"
    assert draw(Message(content="one\ntwo")).height - short.height in {39, 40, 41}
    assert draw(Message(content="one", command="/merge")).height > short.height
    assert draw(Message(content="one", private=True)).height > short.height


def test_the_same_message_gives_the_same_picture() -> None:
    message = Message(content="one", embeds=[embed()], components=[buttons("Louder")])
    assert draw(message).tobytes() == draw(message).tobytes()


def test_words_stay_inside_the_card() -> None:
    fields = [
        {"name": "N" * 100, "value": "v" * 300, "inline": True},
        {"name": "n", "value": "A " * 100, "inline": True},
        {"name": "W" * 60, "value": "w" * 200, "inline": True},
        {"name": "wide", "value": "x" * 400, "inline": False},
    ]
    full = embed(title="T" * 200, description="D" * 900, fields=fields, footer={"text": "f" * 200})
    picture = pixels(Message(embeds=[full]))
    left, top, right, bottom = box(where(picture, CARD))
    assert where(picture[top:bottom, right + 4 :], CHAT).all()
    assert right < WIDTH * SCALE - 32
    assert left > 72 * SCALE


def test_a_card_has_its_coloured_edge() -> None:
    picture = pixels(Message(embeds=[embed()]))
    left, top, right, bottom = box(where(picture[:, 72 * SCALE :], f"#{EDGE:06x}"))
    card = box(where(picture, CARD))
    assert right - left == 7
    assert bottom - top == pytest.approx(card[3] - card[1], abs=8)


def test_fields_stand_beside_each_other_where_they_may() -> None:
    def height(kinds: str) -> int:
        fields = [{"name": "a", "value": "b", "inline": kind == "|"} for kind in kinds]
        return draw(Message(embeds=[embed(fields=fields)])).height

    assert height("||") == height("|||") == height("|")
    assert height("|-") == height("-|") == height("||||") > height("|")


@pytest.fixture
def leaf(tmp_path: Path) -> Path:
    path = tmp_path / "card.png"
    Image.new("RGB", (400, 200), LEAF).save(path)
    return path


def test_the_picture_is_on_the_card_and_no_file_of_its_own(leaf: Path) -> None:
    shown = embed(image={"url": "attachment://card.png"})
    picture = pixels(Message(embeds=[shown], files=[Attached(name="card.png", path=leaf)]))
    left, top, right, bottom = box(where(picture, LEAF))
    assert (right - left) / (bottom - top) == pytest.approx(2.0, abs=0.02)
    card = box(where(picture, CARD))
    assert card[0] < left < right < card[2]
    without = draw(Message(embeds=[embed()]))
    assert picture.shape[0] == pytest.approx(without.height + (bottom - top) + 16, abs=4)


def test_a_picture_that_is_not_attached_is_an_error() -> None:
    with pytest.raises(KeyError, match=r"attachment://card\.png"):
        draw(Message(embeds=[embed(image={"url": "attachment://card.png"})]))


def test_a_sound_has_a_player_and_other_files_have_none(leaf: Path) -> None:
    sound = Message(files=[Attached(name="a x b.mp3", path=leaf, length_s=171.0)])
    assert where(pixels(sound), PLAYER).any()
    other = replace(sound, files=[Attached(name="settings.json", path=leaf)])
    assert not where(pixels(other), PLAYER).any()
    assert draw(other).height < draw(sound).height


@pytest.mark.parametrize("style", sorted(BUTTONS))
def test_buttons_have_the_colour_of_their_style(style: int) -> None:
    picture = pixels(Message(components=[buttons("Go", style=style)]))
    left, _, right, _ = box(where(picture[:, 72 * SCALE :], BUTTONS[style][0]))
    assert 30 * SCALE < right - left < 80 * SCALE


def test_a_disabled_button_is_faded() -> None:
    picture = pixels(Message(components=[buttons("Go", style=3, disabled=True)]))
    assert not where(picture, BUTTONS[3][0]).any()
    assert where(picture, "#2f5e43").any()


def test_buttons_without_room_go_into_another_line() -> None:
    few, many = action_row(buttons("a", "b"), 500), action_row(buttons(*["Double time"] * 5), 500)
    assert many.height > 2 * few.height
    assert many.width <= 500


def test_an_emoji_stands_before_the_label() -> None:
    with_one = action_row(buttons("Louder", emoji={"id": None, "name": "🔊"}), 500)
    assert with_one.width == action_row(buttons("Louder"), 500).width + 17 + 6


def menu(**more: Any) -> dict[str, Any]:
    options = [
        {"label": "full", "value": "full", "default": False},
        {"label": "highlight", "value": "highlight", "default": True},
    ]
    return {"type": 1, "components": [{"type": 3, "custom_id": "x", "options": options, **more}]}


def test_a_menu_shows_what_is_chosen_else_what_to_choose() -> None:
    chosen = draw(Message(components=[menu()]))
    open_ = draw(Message(components=[menu(options=[], placeholder="Choose…")]))
    other = draw(Message(components=[menu(options=[], placeholder="highlight")]))
    assert chosen.size == open_.size
    assert chosen.tobytes() != open_.tobytes()
    assert chosen.tobytes() != other.tobytes()  # what is chosen is brighter


def test_what_cannot_be_drawn_is_an_error() -> None:
    with pytest.raises(ValueError, match="components of type 4"):
        draw(Message(components=[{"type": 1, "components": [{"type": 4}]}]))
