"""What a task can fail with when its process does not live to answer, and how that is told.

These errors are the bot's: the worker itself is dead, or was killed, when they are made.
"""

from __future__ import annotations

import signal
from pathlib import Path

from bot.serving import OutOfMemoryError
from pipeline.errors import PipelineError, UserError

_COUNTS = Path("/proc/vmstat")


class WorkerDiedError(PipelineError):
    """The worker's process ended in the middle of a task: our fault.

    Parameters
    ----------
    exit_code
        What the process ended with; the negative number of a signal that killed it.
    message
        What the person is told.
    """

    exit_code: int | None

    def __init__(
        self,
        exit_code: int | None,
        message: str = "The process that worked on your songs died.",
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StuckError(PipelineError):
    """A task gave no sign of life for so long that it was ended: our fault."""


class TooSlowError(UserError):
    """A task ran longer than it may."""


def no_memory_left() -> OutOfMemoryError:
    """Return the error of a task whose process the kernel chose to end for want of memory."""
    return OutOfMemoryError(
        "The machine ran out of memory over your songs.", hint="Try again later, or shorter ones."
    )


def stuck() -> StuckError:
    """Return the error of a task that gave no sign of life."""
    return StuckError("This merge got stuck and was ended.")


def too_slow(seconds: float) -> TooSlowError:
    """Return the error of a task that was called off after so many seconds."""
    minutes = max(1, round(seconds / 60))
    return TooSlowError(
        f"This merge took longer than {minutes} min and was called off.", hint="Try shorter songs."
    )


def kills_for_memory() -> int:
    """Return how often the kernel has ended a process for want of memory; 0 where nobody counts.

    On a machine of several containers it counts them all.
    """
    try:
        lines = _COUNTS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split() for line in lines)
    return int(counts.get("oom_kill", 0))


def obituary(exit_code: int | None, *, memory_ran_out: bool) -> PipelineError:
    """Say what a worker died of.

    Parameters
    ----------
    exit_code
        What the process ended with, as `multiprocessing` has it.
    memory_ran_out
        Whether the kernel has ended a process for want of memory since the task began.
    """
    if exit_code == -signal.SIGXCPU:
        return TooSlowError(
            "These songs need more computing time than one merge may have.",
            hint="Try shorter ones.",
        )
    if exit_code == -signal.SIGKILL:
        if memory_ran_out:
            return no_memory_left()
        return WorkerDiedError(exit_code, "The system ended the process that worked on your songs.")
    return WorkerDiedError(exit_code)


def reason(error: BaseException) -> str:
    """Say in half a sentence, for the log, why a worker has died or did not get warm."""
    if isinstance(error, OutOfMemoryError):
        return "the machine has too little memory"
    if isinstance(error, WorkerDiedError):
        return f"its process ended with {error.exit_code}"
    return str(error)
