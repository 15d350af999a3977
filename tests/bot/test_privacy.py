from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.erasure import Erasure, Traces
from bot.policy import Policies
from bot.privacy import (
    count_words,
    forget_answer,
    forget_question,
    privacy_embed,
    size_words,
)

if TYPE_CHECKING:
    from bot.config import Config

MIB, GIB = 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 KiB"),
        (40_960, "40 KiB"),
        (MIB - 1, "1 MiB"),
        (340 * MIB, "340 MiB"),
        (GIB - 1, "1.0 GiB"),
        (1.25 * GIB, "1.2 GiB"),
        (2000 * GIB, "2000.0 GiB"),
    ],
)
def test_sizes(size: float, words: str) -> None:
    assert size_words(size) == words


@pytest.mark.parametrize(("count", "words"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")])
def test_counts(count: int, words: str) -> None:
    assert count_words(count, "entry", "entries") == words
    assert count_words(2, "song") == "2 songs"


def said(config: Config, *, in_server: bool = True, **policy: object) -> dict[str, str]:
    rules = replace(Policies(config).of(None), **policy)  # type: ignore[arg-type]  # checked by replace itself
    embed = privacy_embed(config, rules, in_server=in_server)
    assert len(embed) <= 6000
    assert max(len(str(field.value)) for field in embed.fields) <= 1024
    return {str(field.name): str(field.value) for field in embed.fields}


def test_privacy_follows_the_settings(config: Config) -> None:
    config = replace(config, library_bytes=300 * MIB, cache_bytes=2 * GIB, cache_s=9 * 86_400.0)
    parts = said(config, library=True, library_days=12)
    assert list(parts) == [
        "While a merge is made",
        "Library",
        "Pieces of songs",
        "Buttons and limits",
        "What is not about you",
        "Have it deleted",
    ]
    assert "15 minutes" in parts["While a merge is made"]
    assert "until 12 days after they were last used, 300 MiB at most" in parts["Library"]
    assert "until 9 days after they were last used, 2.0 GiB at most" in parts["Pieces of songs"]
    assert "30 days" in parts["Buttons and limits"]
    assert "two hours at most" in parts["Buttons and limits"]
    assert "/forget" in parts["Have it deleted"]
    assert "yours to delete" in parts["Have it deleted"]


def test_one_day_is_one_day(config: Config) -> None:
    assert "until 1 day after" in said(config, library=True, library_days=1)["Library"]


def test_who_keeps_nothing_says_so(config: Config) -> None:
    none = "This server keeps none: what you merge here goes into none."
    assert said(config, library=False)["Library"] == none
    assert said(replace(config, library_bytes=0), library=True)["Library"] == none
    assert said(config, in_server=False)["Library"].startswith("Only servers have one")
    without = said(replace(config, cache_bytes=0))
    assert without["Pieces of songs"] == "None are kept from one merge to the next."


def test_the_token_and_the_folders_are_nobodys_business(config: Config) -> None:
    config = replace(config, token="SECRET")
    everything = " ".join(said(config).values())
    assert "SECRET" not in everything
    assert str(config.data_dir) not in everything


ONE = Traces(jobs=1, songs=1, picks=1, mashups=1, orders=1, pieces=1, files=3)
MANY = Traces(jobs=2, songs=2, picks=2, mashups=2, orders=3, pieces=4, files=6)


def test_the_question_counts_what_there_is() -> None:
    lines = forget_question(ONE).splitlines()
    assert lines[:-1] == [
        "I keep 4 files and 5 records of yours, all servers together:",
        "• 1 merge in the works, which is cancelled",
        "• 1 song in a server's library",
        "• 1 song that waits for a second one",
        "• 1 mash-up with buttons",
        "• 1 note of when you asked for a merge",
        "• 1 piece of your songs",
    ]
    assert "Shall I delete all of it?" in lines[-1]
    assert "stays: it is yours to delete" in lines[-1]
    assert forget_question(MANY).splitlines()[1:7] == [
        "• 2 merges in the works",
        "• 2 songs in servers' libraries",
        "• 2 songs that wait for a second one",
        "• 2 mash-ups with buttons",
        "• 3 notes of when you asked for one",
        "• 4 pieces of your songs, kept for quick merges",
    ]
    only = forget_question(Traces(orders=1)).splitlines()
    assert only[0] == "I keep 0 files and 1 record of yours, all servers together:"
    assert len(only) == 3
    assert forget_question(Traces(unnamed=1)).splitlines()[1] == (
        "• 1 piece of a song that no record names: in case it is yours"
    )
    assert "• 3 pieces of songs that no record names" in forget_question(Traces(unnamed=3))


def test_without_anything_nothing_is_asked() -> None:
    text = forget_question(Traces())
    assert text.startswith("I keep nothing of yours: 0 files and 0 records, checked just now.")
    assert "?" not in text


def test_the_answer_says_what_is_left() -> None:
    done = Erasure(before=MANY, left=Traces(), freed_bytes=3 * MIB)
    lines = forget_answer(done).splitlines()
    assert lines[0] == "Deleted 10 files and 11 records of yours: 3 MiB."
    assert lines[1].startswith("**0 files and 0 records of yours are left, checked just now.**")
    assert "yours to delete" in lines[1]


def test_the_answer_counts_what_was_nobodys() -> None:
    before = Traces(mashups=1, unnamed=2)
    text = forget_answer(Erasure(before=before, left=Traces(), freed_bytes=MIB))
    assert text.splitlines()[0] == (
        "Deleted 0 files and 1 record of yours, and 2 pieces of songs that no record named: 1 MiB."
    )


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (Traces(jobs=1, files=1), "**1 file and 1 record of yours are left.** A merge of yours is"),
        (Traces(unnamed=1), "**0 files and 0 records of yours and 1 piece that may be are left.**"),
        (Traces(pieces=2), "**2 files and 0 records of yours are left.** Something could not be"),
    ],
)
def test_the_answer_is_honest(left: Traces, words: str) -> None:
    text = forget_answer(Erasure(before=MANY, left=left, freed_bytes=0))
    assert words in text
    assert "checked just now" not in text
    assert "Use /forget again in a minute" in text
