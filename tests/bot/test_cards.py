from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot import cards
from pipeline.types import Stage
from tests.bot.works import result
from tests.discord_schema import embed_length

if TYPE_CHECKING:
    import discord

    from pipeline.types import MergeResult

OUT = Path("mashup.mp3")


@pytest.mark.parametrize(
    ("vocals", "backing", "expected"),
    [
        ("rapper", "diva", "rapper x diva.mp3"),
        ("AC/DC: T.N.T.", "Sigur Rós", "AC DC T N T x Sigur Rós.mp3"),
        ("../../x", "**y**", "x x y.mp3"),
        ("", "diva", "diva.mp3"),
        ("???", "", "mash-up.mp3"),
        ("東京", "京都", "東京 x 京都.mp3"),
        ("a" * 300, "b" * 300, f"{'a' * 43} x {'b' * 43}.mp3"),
    ],
)
def test_file_name(vocals: str, backing: str, expected: str) -> None:
    merged = result(OUT, vocals_title=vocals, backing_title=backing)
    assert cards.result_file_name(merged) == expected


def test_an_excerpt_has_a_name_of_its_own() -> None:
    assert cards.excerpt_file_name(result(Path("mashup.wav"))) == "rapper x diva (excerpt).mp3"


def test_a_layer_has_a_name_of_its_own() -> None:
    merged = replace(result(OUT), stems={"vocals": Path("x/vocals.flac")})
    assert cards.stem_file_name(merged, "vocals") == "rapper x diva (vocals).flac"


@pytest.mark.parametrize(
    ("offered", "way"),
    [(False, "try `arrange: highlight`"), (True, "press the button for its highlight")],
)
def test_an_excerpt_says_what_it_is_and_what_can_be_done(way: str, *, offered: bool) -> None:
    assert cards.excerpt_text(result(OUT), 6.0, 30.0, offered=offered) == (
        "Discord refused the whole file here (1:00) because of its size, so this is an excerpt of "
        f"0:30 from 0:06 on; {way}, or use a server with a higher upload limit."
    )


@pytest.mark.parametrize("offered", [False, True])
def test_an_excerpt_of_all_says_so(*, offered: bool) -> None:
    merged = result(OUT)
    assert cards.excerpt_text(merged, 0.0, merged.plan.length_s, offered=offered) == (
        "Discord refused the whole file here because of its size, so this is all of the mash-up "
        "at a lower bit rate; a server with a higher upload limit takes the better one."
    )


def test_the_words_with_layers_are_plain_and_short() -> None:
    assert cards.stems_text(result(OUT, vocals_title="*@everyone*")) == (
        "The two layers of \\*@\u200beveryone\\* x diva, in time and in tune with each other: "
        "start them together in any audio editor."
    )
    assert len(cards.stems_text(result(OUT, vocals_title="x" * 3000))) == 2000


def fields_of(embed: discord.Embed) -> list[tuple[str, str, bool]]:
    return [(str(field.name), str(field.value), bool(field.inline)) for field in embed.fields]


SONGS = [
    ("Vocals: rapper", "120 BPM · A minor · 3:05", True),
    ("Backing: diva", "no steady beat · no clear key · 1:01", True),
]


def test_the_card_says_what_was_decided() -> None:
    merged = result(
        OUT,
        reasons=("vocals sped up 3 %", "down 2 semitones"),
        warnings=("The tempi are far apart.",),
        notes=("The tempi are far apart.", "Spleeter could not be had."),
    )
    embed = cards.result_embed(merged)
    assert embed.title == "rapper x diva"
    assert embed.description == "• vocals sped up 3\N{NO-BREAK SPACE}%\n• down 2 semitones"
    mind = ("Mind", "• The tempi are far apart.\n• Spleeter could not be had.", False)
    assert fields_of(embed) == [*SONGS, mind]
    assert embed.footer.text == "1:00 long · made in 3 s · taken apart by the built-in network"
    assert embed.image.url is None


def test_a_card_shows_no_more_than_there_is() -> None:
    embed = cards.result_embed(result(OUT, reasons=()))
    assert fields_of(embed) == SONGS
    assert embed.description is None


def test_the_picture_is_on_the_card() -> None:
    embed = cards.result_embed(replace(result(OUT), picture=Path("data/jobs/ab/picture.png")))
    assert embed.to_dict()["image"] == {"url": "attachment://card.png"}


@pytest.mark.parametrize(
    ("words", "asked_by", "expected"),
    [
        ("", None, []),
        ("voice 2 LU louder", None, ["**Remix**: voice 2 LU louder"]),
        ("", 7, ["For <@7>"]),
        ("voice 2 LU louder", 7, ["**Remix**: voice 2 LU louder, for <@7>"]),
        ("*@everyone*", None, ["**Remix**: \\*@\u200beveryone\\*"]),
    ],
)
def test_a_remix_says_what_was_changed_and_for_whom(
    words: str, asked_by: int | None, expected: list[str]
) -> None:
    merged = result(OUT, reasons=("down 2 semitones",))
    embed = cards.result_embed(merged, words=words, asked_by=asked_by)
    assert (embed.description or "").splitlines() == [*expected, "• down 2 semitones"]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, "made in less than a second"),
        (1.4, "made in 1 s"),
        (95.0, "made in 95 s"),
        (130.0, "made in 2 min"),
    ],
)
def test_the_card_says_how_long_it_took(seconds: float, expected: str) -> None:
    merged = replace(result(OUT), seconds_by_stage={Stage.MIX: seconds})
    footer = cards.result_embed(merged).footer.text
    assert footer == f"1:00 long · {expected} · taken apart by the built-in network"


def test_an_unknown_separator_is_called_by_its_name() -> None:
    embed = cards.result_embed(replace(result(OUT), separator="spleeter"))
    assert str(embed.footer.text).endswith("taken apart by Spleeter")
    embed = cards.result_embed(replace(result(OUT), separator="another"))
    assert str(embed.footer.text).endswith("taken apart by another")


def test_the_card_keeps_discords_limits_and_its_markdown() -> None:
    nasty = "*`_~|>#[](@everyone)" * 400
    merged: MergeResult = result(
        OUT,
        vocals_title=nasty,
        backing_title=nasty,
        reasons=tuple(f"{number}{nasty}" for number in range(20)),
        warnings=(nasty,) * 3,
        notes=(nasty, f"and {nasty}"),
    )
    embed = cards.result_embed(merged, words=nasty, asked_by=2**63)
    shown: dict[str, Any] = dict(embed.to_dict())
    assert len(embed.title or "") <= 256
    assert len(embed.description or "") <= 4096
    assert all(len(field.name or "") <= 256 for field in embed.fields)
    assert all(len(field.value or "") <= 1024 for field in embed.fields)
    assert embed_length(shown) == len(embed) <= 6000
    assert "@everyone" not in str(shown)
    assert len((embed.description or "").splitlines()) == 7  # a phone's screen, not a scroll
