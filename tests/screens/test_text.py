"""Words on screens are wrapped inside their width and have no empty boxes."""

from __future__ import annotations

import numpy as np
import pytest

from screens.blocks import SCALE, render
from screens.text import Style, _runs, label, paragraph

STYLE = Style(size=14, colour="#ffffff")
LONG = (
    "The vocals are shifted **up 2 semitones**, where `the keys` agree: " + "A" * 90 + " *minor*."
)


def marked(text: str, names: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """Return the pieces of a line with the first letters of what was done to them."""
    return [
        (
            run.text,
            "b" * run.style.bold
            + "i" * run.style.italic
            + "m" * run.style.mono
            + "g" * (run.style.ground is not None),
        )
        for run in _runs(text, STYLE, names or {})
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", [("plain", "")]),
        ("a **b** c", [("a ", ""), ("b", "b"), (" c", "")]),
        ("*a* _b_ **_c_**", [("a", "i"), (" ", ""), ("b", "i"), (" ", ""), ("c", "bi")]),
        ("`a*b*` 5 %", [("a*b*", "mg"), (" 5 %", "")]),
        (r"my\_song\*", [("my", ""), ("_", ""), ("song", ""), ("*", "")]),
        ("snake_case_name", [("snake_case_name", "")]),
        (
            "see [the page](https://example.org/a) now",
            [("see ", ""), ("the page", ""), (" now", "")],
        ),
        ("for <@7>, <t:5:R>", [("for ", ""), ("@ada", "g"), (", ", ""), ("today", "g")]),
        ("one 🎤 two日本", [("one two", "")]),
    ],
)
def test_markdown(text: str, expected: list[tuple[str, str]]) -> None:
    assert marked(text, {"<@7>": "@ada", "<t:5:R>": "today"}) == expected


def test_a_mention_of_nobody_is_an_error() -> None:
    with pytest.raises(KeyError, match="<@8>"):
        paragraph("for <@8>", STYLE, 100)


@pytest.mark.parametrize("width", [30.0, 100.0, 333.0])
def test_no_letter_stands_beyond_the_width(width: float) -> None:
    block = paragraph(LONG, STYLE, width)
    assert block.width <= width + max(STYLE.width_of(" "), 1)
    image = np.asarray(render(paragraph(LONG, STYLE, width), "#000000").convert("L"))
    # Oblique letters lean out by a pixel or two.
    assert not image[:, round(width * SCALE) + 3 :].any()


def test_lines_are_as_many_as_were_written_and_wrapped() -> None:
    one = paragraph("one", STYLE, 200).height
    assert paragraph("one\ntwo\n\nfour", STYLE, 200).height == pytest.approx(4 * one)
    assert paragraph("word " * 40, STYLE, 200).height > 4 * one
    assert paragraph("", STYLE, 200).height == one


def test_a_label_is_cut_off_with_an_ellipsis() -> None:
    assert label("short", STYLE, 100).width == STYLE.width_of("short")
    assert 60 < label("a very long name of a file.mp3", STYLE, 100).width <= 100


@pytest.mark.parametrize("style", [STYLE, Style(size=14, colour="#fff", mono=True)])
def test_there_are_no_empty_boxes(style: Style) -> None:
    shown = style.drawable("Zoë ♪ █░ 🎤 日本 ▶\N{VARIATION SELECTOR-16} … ✓")
    assert shown.startswith("Zoë ♪ █░ ")
    boxes = bytes(style.font.getmask("\U000f0000"))
    assert all(bytes(style.font.getmask(char)) != boxes for char in shown)
    assert "▶" in shown
    assert "\N{VARIATION SELECTOR-16}" not in shown
