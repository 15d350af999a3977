"""What can go wrong in a merge, said in one plain sentence each.

Every class survives a trip through pickle with its type, message and attributes, because errors
cross the boundary between the bot and its workers.
"""

from __future__ import annotations

from typing import Any


class PipelineError(Exception):
    """The root of the tree; ``str(error)`` is one plain sentence."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own __reduce__ calls cls(*args), which fails for keyword-only arguments.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    cls: type[PipelineError], args: tuple[Any, ...], state: dict[str, Any]
) -> PipelineError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class UserError(PipelineError):
    """Something the user can fix: shown as it is, logged without a traceback.

    Parameters
    ----------
    message
        One sentence that names the file and what is wrong with it.
    hint
        One sentence that says what to do; shown after the message.
    """

    hint: str

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.args[0]} {self.hint}".strip()


class UnreadableAudioError(UserError):
    """The file is no audio, has no audio track, or breaks off too early to be used."""


class SongLengthError(UserError):
    """The song is too short or too long to be merged."""


class SilentAudioError(UserError):
    """There is nothing to hear in the song."""


class NoVoiceError(UserError):
    """The song that was to give the vocals has none that could be found."""


class NoBackingError(UserError):
    """The song that was to give the backing has nothing but a voice."""


class RecipeError(UserError):
    """An option of the merge is outside what is allowed."""


class NotKeptError(UserError):
    """What is left of a song of an earlier merge is not enough to use it without its file."""


class ModelUnavailableError(UserError):
    """A network's weights are absent, damaged, or cannot be fetched."""


class OutputError(UserError):
    """The result cannot be written where it was asked for, or made small enough."""


class StageError(PipelineError):
    """Our own fault: a stage failed in a way that the user cannot mend.

    Parameters
    ----------
    stage
        The name of the stage that failed, a value of `pipeline.types.Stage`.
    cause
        What it failed with, in words for the log.
    """

    stage: str
    cause: str

    def __init__(self, stage: str, cause: str) -> None:
        super().__init__(f"Something went wrong on our side while we tried to {stage}.")
        self.stage = stage
        self.cause = cause


class Cancelled(BaseException):
    """Not an error: the merge was called off. Raised out of the progress callback."""
