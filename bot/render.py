"""What people read while they wait, and when something fails: pure functions from values to text.

`bot.cards` has what goes with a finished mash-up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot import lengths
from bot.jobs import JobState
from pipeline.errors import PipelineError, UserError
from pipeline.types import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.jobs import Job
    from pipeline.types import Progress

LONGEST_CONTENT = 2000  # characters of a message

RESTARTING = "The bot is being restarted: your merge goes on by itself in a minute."
"""Said to those whose merges a stopping bot will go on with."""

_BAR_CELLS = 16
_WORDS = {
    Stage.FETCH: "Fetching Spleeter's weights, this once",
    Stage.DECODE: "Reading the songs",
    Stage.SEPARATE: "Separating voices and accompaniment",
    Stage.BEATS: "Finding the beats",
    Stage.KEYS: "Finding the keys",
    Stage.PLAN: "Planning the mash-up",
    Stage.WARP: "Bringing the songs to one tempo and key",
    Stage.LEVEL: "Setting the levels",
    Stage.MIX: "Mixing the layers",
    Stage.ENCODE: "Writing the file",
    Stage.DRAW: "Drawing the picture",
}


def clip(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, with an ellipsis where some are missing."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def plain(text: str) -> str:
    """Return text in which neither markdown nor mentions mean anything."""
    return discord.utils.escape_mentions(discord.utils.escape_markdown(text))


def bar(fraction: float) -> str:
    """Return a bar of text: full cells for what is done, and the percentage."""
    done = min(1.0, max(0.0, fraction))
    full = round(done * _BAR_CELLS)
    return f"`{'█' * full}{'░' * (_BAR_CELLS - full)}` {100 * done:.0f} %"


def job_status(
    state: JobState, place: int, progress: Progress | None, ends_in_s: float | None = None
) -> str:
    """Say where a job stands.

    Parameters
    ----------
    state
        The job's state.
    place
        Its place in the queue, from 1; counts only while it waits.
    progress
        How far its work is; None while nothing has been heard of it.
    ends_in_s
        In how many seconds it will have ended, `bot.lengths.OVERDUE` when that has passed; None
        when nobody knows.
    """
    if state is JobState.FETCHING:
        return "Getting your songs…"
    if state is JobState.WAITING:
        ready = f", ready {lengths.soon(ends_in_s)}" if ends_in_s is not None else ""
        return f"In the queue: yours is number {max(1, place)}{ready}."
    if state is JobState.ENDED:
        return "Sending it…"
    doing = _WORDS[progress.stage] if progress is not None else "Getting ready"
    shown = bar(progress.fraction if progress is not None else 0.0)
    left = f" · {lengths.left(ends_in_s)}" if ends_in_s is not None else ""
    return f"{doing}…\n{shown}{left}"


def queue_text(
    mine: Sequence[tuple[Job, int]],
    total: int,
    ends_in_s: Callable[[Job], float | None] = lambda _: None,
) -> str:
    """Say what the queue holds.

    Parameters
    ----------
    mine
        The reader's jobs, each with its place in the queue.
    total
        How many jobs there are in all.
    ends_in_s
        Says in how many seconds a job will have ended, or None.
    """
    if not total:
        return "Nothing is in the works: /merge starts at once."
    merges = "1 merge is" if total == 1 else f"{total} merges are"
    if not mine:
        return f"{merges} in the works, none of them yours."
    lines = [job_status(job.state, place, job.progress, ends_in_s(job)) for job, place in mine]
    return clip(f"{merges} in the works. Yours:\n" + "\n".join(lines), LONGEST_CONTENT)


def cancel_text(count: int) -> str:
    """Say how many merges were cancelled."""
    if not count:
        return "You have no merge that could be cancelled."
    return f"Cancelled {'your merge' if count == 1 else f'your {count} merges'}."


def error_sentence(error: BaseException, reference: str) -> str:
    """Say what went wrong, in one plain sentence or two.

    Parameters
    ----------
    error
        What was raised.
    reference
        The code under which the log has more; shown only when the fault is ours.
    """
    if isinstance(error, UserError):
        return clip(plain(str(error)), LONGEST_CONTENT)
    if isinstance(error, app_commands.CommandNotFound | app_commands.CommandSignatureMismatch):
        return "This command has changed: restart Discord (Ctrl+R) and try again."
    first = str(error) if isinstance(error, PipelineError) else "Something went wrong on our side."
    code = f"Whoever runs this bot finds more in the log under {reference}."
    return clip(f"{plain(first)} {code}", LONGEST_CONTENT)


def is_ours(error: BaseException) -> bool:
    """Return whether the log should have the traceback, because the user cannot mend it."""
    return not isinstance(
        error, UserError | app_commands.CommandNotFound | app_commands.CommandSignatureMismatch
    )
