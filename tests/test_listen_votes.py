from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.listen.page import Shown, page
from benchmarks.listen.render import (
    METHODS,
)
from benchmarks.listen.score import Score, count, read_votes, score_lines
from pipeline.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path


# The page


class Reader(HTMLParser):
    """Collects elements as (tag, attributes)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(vocals: str, backing: str) -> str:
    files = ("01_a.mp3", "01_b.mp3")
    return page("abc123", [Shown(number=1, vocals=vocals, backing=backing, files=files)])


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</section></main>",
        "$kit & ${x}",
    ],
)
def test_a_title_is_text_whatever_it_holds(title: str) -> None:
    plain, hostile = Reader(page_of("One", "Two")), Reader(page_of(title, title))
    assert hostile.elements == plain.elements
    assert hostile.words.count(title) == 2


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = page_of("One", "Two")
    read = Reader(text)
    assert "://" not in text
    assert [a["src"] for a in read.all("audio")] == ["01_a.mp3", "01_b.mp3"]
    assert [a["href"] for a in read.all("link")] == ["data:,"]
    assert not [a for a in read.all("script") if "src" in a]


def test_everything_on_the_page_has_a_name() -> None:
    read = Reader(page_of("One", "Two"))
    assert [a["aria-label"] for a in read.all("audio")] == [
        "Pair 1, version A",
        "Pair 1, version B",
    ]
    assert [a["aria-label"] for a in read.all("textarea")] == ["Why? Pair 1, optional"]
    assert [a["value"] for a in read.all("input")] == ["a", "none", "b"]
    assert len(read.all("label")) == 4  # three choices and the comment
    ids = [a["id"] for _, a in read.elements if "id" in a]
    assert len(ids) == len(set(ids))
    labelled = [a["aria-labelledby"] for _, a in read.elements if "aria-labelledby" in a]
    assert set(labelled) <= set(ids)


# The score

KEY: dict[str, Any] = {
    "format": "listening-kit-1",
    "kit": "abc",
    "pairs": [
        {
            "pair": number,
            "vocals": {"title": f"Voice {number}"},
            "backing": {"title": f"Band {number}"},
            "versions": {
                "a": {"method": METHODS[number % 2]},
                "b": {"method": METHODS[(number + 1) % 2]},
            },
        }
        for number in (1, 2, 3)
    ],
}


def votes_file(folder: Path, *votes: tuple[Any, Any, str], kit: str = "abc") -> Path:
    path = folder / "votes.json"
    saved = [{"pair": p, "choice": choice, "comment": comment} for p, choice, comment in votes]
    path.write_text(json.dumps({"kit": kit, "votes": saved}))
    return path


def test_votes_are_joined_with_the_key(tmp_path: Path) -> None:
    path = votes_file(tmp_path, (1, "b", "tight\n\x1b[31mbeat"), (2, "a", ""), (3, None, "hm"))
    votes = read_votes(path, KEY)
    assert [vote.choice for vote in votes] == ["pipeline", "pipeline", None]
    assert votes[0].comment == "tight beat"
    assert count(votes) == Score(wins={"pipeline": 2, "origin": 0}, undecided=0)


@pytest.mark.parametrize(
    ("pipeline", "origin", "share", "p_value"),
    [
        (8, 2, 0.8, 112 / 1024),  # 2 (45 + 10 + 1) / 2 to the 10
        (2, 8, 0.2, 112 / 1024),
        (5, 5, 0.5, 1.0),
        (6, 0, 1.0, 2 / 64),
        (0, 0, None, None),
    ],
)
def test_the_share_and_its_chance(
    pipeline: int, origin: int, share: float | None, p_value: float | None
) -> None:
    score = Score(wins={"pipeline": pipeline, "origin": origin}, undecided=3)
    assert score.share == share
    assert score.p_value == (None if p_value is None else pytest.approx(p_value))


def test_the_result_is_told_pair_by_pair_and_altogether(tmp_path: Path) -> None:
    path = votes_file(tmp_path, (1, "b", "tight"), (2, "b", ""), (3, "none", ""))
    lines = score_lines(read_votes(path, KEY), KEY)
    assert lines[:3] == [
        "  1  Voice 1 over Band 1",
        "     pipeline 1, origin 0, no preference 0 (A was the origin)",
        '     "tight"',
    ]
    assert lines[-5:] == [
        "Preferred the pipeline: 1",
        "Preferred the origin:   1",
        "No preference:          1",
        "Share of the pipeline:  50% of 2 decided",
        "Two-sided binomial test against one half: p = 1",
    ]
    assert score_lines([], KEY)[-1] == (
        "Nobody preferred either version, so there is nothing to test."
    )


VOTE = '{"pair": 1, "choice": "a", "comment": ""}'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no JSON", "holds no votes"),
        ("[]", "holds no votes"),
        ('{"kit": "abc", "votes": [{"pair": 1}]}', "holds no votes"),
        ('{"kit": "other", "votes": []}', "are for another kit"),
        ('{"kit": "abc", "votes": [{"pair": 9, "choice": "a", "comment": ""}]}', "no place for"),
        ('{"kit": "abc", "votes": [{"pair": 1, "choice": "c", "comment": ""}]}', "no place for"),
        ('{"kit": "abc", "votes": [{"pair": 1, "choice": ["a"], "comment": ""}]}', "no place for"),
        ('{"kit": "abc", "votes": [' + ", ".join(2 * [VOTE]) + "]}", "votes twice on one pair"),
    ],
)
def test_votes_that_cannot_be_counted_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "votes.json"
    path.write_text(text)
    with pytest.raises(UserError, match=words):
        read_votes(path, KEY)
