"""What people read: pure functions from values to text, embeds and file names."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

import discord
from discord import app_commands

from bot.jobs import JobState
from pipeline.errors import PipelineError, UserError
from pipeline.names import clock
from pipeline.types import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.jobs import Job
    from pipeline.types import MergeResult, Progress, SongFacts

# https://discord.com/developers/docs/resources/message#embed-object-embed-limits
LONGEST_TITLE = 256
LONGEST_DESCRIPTION = 3000  # of 4096: the card as a whole may have 6000
LONGEST_FIELD = 1024
LONGEST_CONTENT = 2000
COLOUR = 0x8E44AD

_BAR_CELLS = 16
_LONGEST_FILE_NAME = 90
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


def job_status(state: JobState, place: int, progress: Progress | None) -> str:
    """Say where a job stands.

    Parameters
    ----------
    state
        The job's state.
    place
        Its place in the queue, from 1; counts only while it waits.
    progress
        How far its work is; None while nothing has been heard of it.
    """
    if state is JobState.FETCHING:
        return "Fetching your two songs from Discord…"
    if state is JobState.WAITING:
        return f"In the queue: yours is number {max(1, place)}."
    if progress is None:
        return f"Getting ready…\n{bar(0.0)}"
    return f"{_WORDS[progress.stage]}…\n{bar(progress.fraction)}"


def queue_text(mine: Sequence[tuple[Job, int]], total: int) -> str:
    """Say what the queue holds.

    Parameters
    ----------
    mine
        The reader's jobs, each with its place in the queue.
    total
        How many jobs there are in all.
    """
    if not total:
        return "Nothing is in the works: /merge starts at once."
    merges = "1 merge is" if total == 1 else f"{total} merges are"
    if not mine:
        return f"{merges} in the works, none of them yours."
    lines = [job_status(job.state, place, job.progress) for job, place in mine]
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


def result_file_name(result: MergeResult) -> str:
    """Return what the mash-up is called as a file: "rapper x diva.mp3"."""
    return _file_stem(result) + result.path.suffix


def excerpt_file_name(result: MergeResult) -> str:
    """Return what an excerpt of the mash-up is called: "rapper x diva (excerpt).mp3"."""
    return _file_stem(result) + " (excerpt).mp3"


def _file_stem(result: MergeResult) -> str:
    titles = (_file_words(result.vocals.title), _file_words(result.backing.title))
    half = (_LONGEST_FILE_NAME - 3) // 2
    return " x ".join(title[:half].strip() for title in titles if title) or "mash-up"


def _file_words(title: str) -> str:
    """Return a title without what file systems, shells and markdown take amiss."""
    kept = (
        char if char.isalnum() or char in " -'&()" else " "
        for char in unicodedata.normalize("NFC", title)
    )
    return re.sub(r"\s+", " ", "".join(kept)).strip(" -")


def excerpt_text(result: MergeResult, start_s: float, length_s: float) -> str:
    """Say why there is only a part of a mash-up, and how to hear all of it.

    Parameters
    ----------
    result
        The mash-up that Discord refused.
    start_s, length_s
        Which part of it there is, in seconds; it may be all of it.
    """
    whole_s = result.plan.length_s
    if length_s >= whole_s:
        return (
            "Discord refused the whole file here because of its size, so this is all of the "
            "mash-up at a lower bit rate; a server with a higher upload limit takes the better one."
        )
    return (
        f"Discord refused the whole file here ({clock(whole_s)}) because of its size, so this is "
        f"an excerpt of {clock(length_s)} from {clock(start_s)} on; try `arrange: highlight`, or "
        "a server with a higher upload limit."
    )


def result_embed(result: MergeResult) -> discord.Embed:
    """Return the card that goes with a mash-up: what was decided, and what to mind."""
    title = f"{plain(result.vocals.title)} x {plain(result.backing.title)}"
    embed = discord.Embed(
        title=clip(title, LONGEST_TITLE),
        description=clip(_bullets(result.plan.reasons), LONGEST_DESCRIPTION) or None,
        colour=COLOUR,
    )
    embed.add_field(name="Vocals", value=_facts(result.vocals))
    embed.add_field(name="Backing", value=_facts(result.backing))
    embed.add_field(name="Mash-up", value=_outcome(result), inline=False)
    # The conductor puts the plan's warnings among the notes; say each sentence once.
    mind = tuple(dict.fromkeys((*result.plan.warnings, *result.notes)))
    if mind:
        embed.add_field(name="Mind", value=clip(_bullets(mind), LONGEST_FIELD), inline=False)
    seconds = sum(result.seconds_by_stage.values())
    separator = _SEPARATORS.get(result.separator, result.separator)
    embed.set_footer(text=f"Made in {seconds:.0f} s, taken apart by {separator}")
    return embed


_SEPARATORS = {
    "spleeter": "Spleeter",
    "built-in": "the built-in network",
}


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"• {plain(sentence)}" for sentence in sentences)


def _facts(song: SongFacts) -> str:
    tempo = f"{song.grid.bpm:.0f} BPM" if song.grid.bpm else "no steady beat"
    key = str(song.key) if song.key is not None else "no clear key"
    shown = clip(plain(song.title), 2 * _LONGEST_FILE_NAME)
    return f"{shown}\n{tempo} · {key} · {clock(song.duration_s)}"


def _outcome(result: MergeResult) -> str:
    loudness = result.loudness
    parts = [
        f"{result.plan.bpm:.0f} BPM" if result.plan.bpm else "no steady beat",
        clock(result.plan.length_s),
        f"{loudness.integrated_lufs:.1f} LUFS, {loudness.true_peak_dbtp:.1f} dBTP",
    ]
    if loudness.vocals_to_backing_lu is not None:
        parts.append(f"voice {loudness.vocals_to_backing_lu:+.1f} LU over the backing")
    return " · ".join(parts)
