"""What is heard where the whole mash-up is refused: a minute of it, cut by another process.

The bot's own process loads no audio library, and the workers may all be busy with other merges,
so the excerpt is cut by a short program of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import PipelineError
from pipeline.names import clean_text

if TYPE_CHECKING:
    from pipeline.types import MergeResult

LONGEST_S = 60.0
"""Seconds that an excerpt may last."""

_LEAD_IN_BARS = 2
_ROOT = Path(__file__).parents[1]


class ExcerptError(PipelineError):
    """There is no excerpt: our fault."""


def span_of(result: MergeResult) -> tuple[float, float]:
    """Return where the excerpt of a mash-up starts and how long it is, in seconds.

    It starts two bars before the voice enters; a mash-up that is no longer than an excerpt may
    be is taken as a whole.
    """
    plan = result.plan
    if plan.length_s <= LONGEST_S:
        return 0.0, plan.length_s
    beats = _LEAD_IN_BARS * result.grids["backing"].beats_per_bar
    lead_in_s = beats * 60.0 / plan.bpm if plan.bpm else 0.0
    start_s = max(0.0, plan.voice_enters_s - lead_in_s)
    return start_s, min(LONGEST_S, plan.length_s - start_s)


async def cut_excerpt(
    result: MergeResult, target: Path, max_bytes: int, *, deadline_s: float = 60.0
) -> Path:
    """Write the excerpt of a mash-up as an mp3 file; cancelling the call ends the program.

    Parameters
    ----------
    result
        The mash-up, whose file is still there.
    target
        Where to write.
    max_bytes
        Most bytes that the file may have.
    deadline_s
        How long it may take, in seconds.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    ExcerptError
        The program failed, or took too long.
    """
    process = await _start(result, target, max_bytes)
    try:
        async with asyncio.timeout(deadline_s):
            _, said = await process.communicate()
    except TimeoutError as error:
        raise ExcerptError(f"The excerpt was not there after {deadline_s:g} s.") from error
    finally:
        await _end(process)
    if process.returncode:
        raise ExcerptError(said.decode(errors="replace").strip())
    return target


async def _start(result: MergeResult, target: Path, max_bytes: int) -> asyncio.subprocess.Process:
    start_s, length_s = span_of(result)
    title = clean_text(f"{result.vocals.title} x {result.backing.title} (excerpt)")
    starting = asyncio.ensure_future(
        asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pipeline.excerpt", str(result.path), str(target)),
            *(f"--start={start_s}", f"--length={length_s}", f"--max-bytes={max_bytes}"),
            f"--title={title}",
            cwd=_ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # ffmpeg ends with it, and the terminal's Ctrl-C stays away
        )
    )
    try:
        return await asyncio.shield(starting)
    except OSError as error:
        raise ExcerptError(f"The program that cuts excerpts cannot start: {error}.") from error
    except asyncio.CancelledError:
        # It may run already, although asyncio has not handed it over yet.
        await asyncio.wait({starting})
        if starting.exception() is None:
            await _end(starting.result())
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the program, with all that it has started, if it still runs."""
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it has ended by itself a moment ago
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
