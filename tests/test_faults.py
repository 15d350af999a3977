from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.bot.faulty import FaultyDiscord, Shown
from tests.faults.people import Person
from tests.faults.trial import DATABASE, Trial, left_behind, run

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


async def test_a_few_people_and_much_bad_luck(tmp_path: Path) -> None:
    outcome = await run(Trial(seed=2, people=8, spread_s=4.0, every_s=0.3), tmp_path)
    assert outcome.complaints == []
    assert outcome.answers.total() >= 8
    assert outcome.luck["killed bot"] >= 1


def the_talk(*said: tuple[str, str, list[str]]) -> FaultyDiscord:
    """Return what one person was told: tokens, sentences and files of messages."""
    discord = FaultyDiscord()
    for number, (token, content, files) in enumerate(said):
        message = Shown(str(number), Person(0).channel, token)
        message.change({"content": content, "attachments": []}, files)
        discord.shown[message.number] = message
    return discord


@pytest.mark.parametrize(
    ("presses", "said", "complaint"),
    [
        (1, [("a", "", ["voice 0 x band 0.mp3"])], ""),
        (1, [("a", "No voice was found.", [])], ""),
        (2, [("", "The bot was restarted.", []), ("b", "", ["voice 0 x band 0.mp3"])], ""),
        (1, [("a", "", [])], "was heard 1 times and told []"),
        (1, [("a", "", ["voice 0 x band 0.mp3"]), ("", "Twice.", [])], "pressed 1 times"),
        (1, [("a", "", ["voice 1 x band 1.mp3"])], "somebody else's songs"),
    ],
)
def test_what_is_wrong_is_seen(
    presses: int, said: list[tuple[str, str, list[str]]], complaint: str
) -> None:
    person = Person(0, presses=[str(n) for n in range(presses)])
    found = person.complaint(the_talk(*said))
    assert complaint in found
    assert bool(complaint) == bool(found)


def test_a_changed_answer_is_seen() -> None:
    discord = the_talk(("a", "No voice was found.", []))
    discord.shown["0"].change({"attachments": []}, ["voice 0 x band 0.mp3"])
    assert "told one thing, then another" in Person(0, presses=["a"]).complaint(discord)


def test_what_is_left_behind_is_seen(tmp_path: Path) -> None:
    (tmp_path / "data" / "jobs" / "1").mkdir(parents=True)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("CREATE TABLE jobs (id)")
    assert left_behind(tmp_path) == []
    (tmp_path / "data" / "jobs" / "1" / "vocals.mp3").write_bytes(b"x")
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database, database:
        database.execute("INSERT INTO jobs VALUES (1)")
    files, jobs = left_behind(tmp_path)
    assert files.startswith("1 files were left")
    assert jobs == "1 jobs are open."
