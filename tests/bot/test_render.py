from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from discord import app_commands

from bot import render
from bot.jobs import Job, JobState, TooManyJobsError
from bot.workers import WorkerDiedError
from pipeline.errors import SongLengthError, StageError
from pipeline.types import Progress, Stage
from tests.bot.works import result
from tests.discord_schema import embed_length

if TYPE_CHECKING:
    from pipeline.types import MergeResult

OUT = Path("mashup.mp3")


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("", 3, ""), ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a bcd", 3, "a…")],
)
def test_clip(text: str, limit: int, expected: str) -> None:
    assert render.clip(text, limit) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (-0.1, "`░░░░░░░░░░░░░░░░` 0 %"),
        (0.0, "`░░░░░░░░░░░░░░░░` 0 %"),
        (0.25, "`████░░░░░░░░░░░░` 25 %"),
        (1.0, "`████████████████` 100 %"),
        (1.7, "`████████████████` 100 %"),
    ],
)
def test_bar(fraction: float, expected: str) -> None:
    assert render.bar(fraction) == expected


@pytest.mark.parametrize("stage", list(Stage))
def test_every_stage_has_words(stage: Stage) -> None:
    text = render.job_status(JobState.RUNNING, 0, Progress(stage=stage, fraction=0.5))
    words, shown = text.split("…\n")
    assert words[0].isupper()
    assert words.split()[0].endswith("ing")
    assert shown == render.bar(0.5)


@pytest.mark.parametrize(
    ("state", "place", "expected"),
    [
        (JobState.FETCHING, 0, "Fetching your two songs from Discord…"),
        (JobState.WAITING, 3, "In the queue: yours is number 3."),
        (JobState.RUNNING, 0, "Getting ready…\n" + render.bar(0)),
    ],
)
def test_job_status(state: JobState, place: int, expected: str) -> None:
    assert render.job_status(state, place, None) == expected


def waiting_job() -> Job:
    job = Job(1)
    job.state = JobState.WAITING
    return job


@pytest.mark.parametrize(
    ("places", "total", "expected"),
    [
        ([], 0, "Nothing is in the works: /merge starts at once."),
        ([], 1, "1 merge is in the works, none of them yours."),
        ([2], 3, "3 merges are in the works. Yours:\nIn the queue: yours is number 2."),
    ],
)
def test_queue_text(places: list[int], total: int, expected: str) -> None:
    assert render.queue_text([(waiting_job(), place) for place in places], total) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "You have no merge that could be cancelled."),
        (1, "Cancelled your merge."),
        (3, "Cancelled your 3 merges."),
    ],
)
def test_cancel_text(count: int, expected: str) -> None:
    assert render.cancel_text(count) == expected


CODE = "Whoever runs this bot finds more in the log under AB12."


@pytest.mark.parametrize(
    ("error", "expected", "ours"),
    [
        (SongLengthError("a.mp3 is long.", hint="Cut it."), "a.mp3 is long. Cut it.", False),
        (TooManyJobsError("No."), "No.", False),
        (SongLengthError("*a* @everyone"), "\\*a\\* @\u200beveryone", False),
        (
            StageError(Stage.MIX, "cause"),
            f"Something went wrong on our side while we tried to mix the layers. {CODE}",
            True,
        ),
        (WorkerDiedError(1), f"The process that worked on your songs died. {CODE}", True),
        (KeyError("secret"), f"Something went wrong on our side. {CODE}", True),
        (
            app_commands.CommandNotFound("old", []),
            "This command has changed: restart Discord (Ctrl+R) and try again.",
            False,
        ),
    ],
)
def test_error_sentence(error: Exception, expected: str, *, ours: bool) -> None:
    assert render.error_sentence(error, "AB12") == expected
    assert render.is_ours(error) is ours


def test_no_sentence_is_longer_than_discord_allows() -> None:
    assert len(render.error_sentence(SongLengthError("x" * 5000), "AB12")) == 2000


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
    assert render.result_file_name(merged) == expected


def test_an_excerpt_has_a_name_of_its_own() -> None:
    assert render.excerpt_file_name(result(Path("mashup.wav"))) == "rapper x diva (excerpt).mp3"


def test_an_excerpt_says_what_it_is_and_what_can_be_done() -> None:
    merged = result(OUT)
    assert render.excerpt_text(merged, 6.0, 30.0) == (
        "Discord refused the whole file here (1:00) because of its size, so this is an excerpt of "
        "0:30 from 0:06 on; try `arrange: highlight`, or a server with a higher upload limit."
    )
    assert render.excerpt_text(merged, 0.0, merged.plan.length_s) == (
        "Discord refused the whole file here because of its size, so this is all of the mash-up "
        "at a lower bit rate; a server with a higher upload limit takes the better one."
    )


def fields_of(merged: MergeResult) -> dict[str, str]:
    return {str(field.name): str(field.value) for field in render.result_embed(merged).fields}


def test_the_card_says_what_was_decided() -> None:
    merged = result(
        OUT,
        reasons=("vocals sped up 3 %", "down 2 semitones"),
        warnings=("The tempi are far apart.",),
        notes=("The tempi are far apart.", "Spleeter could not be had."),
    )
    embed = render.result_embed(merged)
    assert embed.title == "rapper x diva"
    assert embed.description == "• vocals sped up 3 %\n• down 2 semitones"
    assert fields_of(merged) == {
        "Vocals": "rapper\n120 BPM · A minor · 3:05",
        "Backing": "diva\nno steady beat · no clear key · 1:01",
        "Mash-up": "123 BPM · 1:00 · -14.0 LUFS, -1.2 dBTP · voice +1.0 LU over the backing",
        "Mind": "• The tempi are far apart.\n• Spleeter could not be had.",
    }
    assert embed.footer.text == "Made in 3 s, taken apart by the built-in network"


def test_a_card_without_warnings_has_nothing_to_mind() -> None:
    assert "Mind" not in fields_of(result(OUT))


def test_the_card_keeps_discords_limits_and_its_markdown() -> None:
    nasty = "*`_~|>#[](@everyone)" * 400
    merged = result(
        OUT,
        vocals_title=nasty,
        backing_title=nasty,
        reasons=(nasty,) * 3,
        warnings=(nasty,) * 3,
        notes=(nasty,),
    )
    embed = render.result_embed(merged)
    assert len(embed.title or "") <= 256
    assert len(embed.description or "") <= 4096
    assert all(len(field.value or "") <= 1024 for field in embed.fields)
    assert embed_length(dict(embed.to_dict())) == len(embed) <= 6000
    assert "@everyone" not in str(embed.to_dict())


def test_an_empty_plan_has_no_description() -> None:
    assert render.result_embed(result(OUT, reasons=())).description is None
