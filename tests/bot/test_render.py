from __future__ import annotations

import pytest
from discord import app_commands

from bot import render
from bot.jobs import Job, JobState
from bot.lengths import OVERDUE
from bot.limits import TooManyJobsError
from bot.workers import WorkerDiedError
from pipeline.errors import SongLengthError, StageError
from pipeline.types import Progress, Stage


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


HALF = Progress(stage=Stage.MIX, fraction=0.5)
MIXING = f"Mixing the layers…\n{render.bar(0.5)}"
READY = f"Getting ready…\n{render.bar(0)}"


@pytest.mark.parametrize(
    ("state", "place", "progress", "ends_in_s", "expected"),
    [
        (JobState.FETCHING, 0, None, None, "Getting your songs…"),
        (JobState.FETCHING, 0, None, 40.0, "Getting your songs…"),
        (JobState.WAITING, 3, None, None, "In the queue: yours is number 3."),
        (JobState.WAITING, 0, None, None, "In the queue: yours is number 1."),
        (
            JobState.WAITING,
            2,
            None,
            231.0,
            "In the queue: yours is number 2, ready in about 4 min.",
        ),
        (JobState.WAITING, 1, None, 1.0, "In the queue: yours is number 1, ready in a moment."),
        (JobState.ENDED, 0, None, None, "Sending it…"),
        (JobState.RUNNING, 0, None, None, READY),
        (JobState.RUNNING, 0, None, 62.0, f"{READY} · about 1 min left"),
        (JobState.RUNNING, 0, HALF, None, MIXING),
        (JobState.RUNNING, 0, HALF, 41.0, f"{MIXING} · about 40 s left"),
        (JobState.RUNNING, 0, HALF, 2.0, f"{MIXING} · a few seconds left"),
        (JobState.RUNNING, 0, HALF, OVERDUE, f"{MIXING} · a little longer than usual"),
    ],
)
def test_job_status(
    state: JobState,
    place: int,
    progress: Progress | None,
    ends_in_s: float | None,
    expected: str,
) -> None:
    assert render.job_status(state, place, progress, ends_in_s) == expected


@pytest.mark.parametrize("stage", list(Stage))
def test_a_status_fits_two_lines_of_a_phone(stage: Stage) -> None:
    text = render.job_status(JobState.RUNNING, 0, Progress(stage=stage, fraction=1.0), OVERDUE)
    assert [len(line) <= 60 for line in text.split("\n")] == [True, True]


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


def test_the_queue_says_when_each_merge_is_ready() -> None:
    first, second = waiting_job(), waiting_job()
    ends_in_s = {first: 20.0, second: None}
    assert render.queue_text([(first, 1), (second, 2)], 2, ends_in_s.get) == (
        "2 merges are in the works. Yours:\n"
        "In the queue: yours is number 1, ready in about 20 s.\n"
        "In the queue: yours is number 2."
    )


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
