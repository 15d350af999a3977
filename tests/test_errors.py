from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

# These modules define errors; importing them fills the tree that is walked below.
import bot.desk
import bot.files
import bot.jobs
import bot.replies
import bot.workers
from pipeline.errors import Cancelled, PipelineError, StageError, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


def walk(root: type[PipelineError]) -> Iterator[type[PipelineError]]:
    yield root
    for child in root.__subclasses__():
        yield from walk(child)


ALL = sorted(set(walk(PipelineError)), key=lambda kind: kind.__qualname__)


def example(kind: type[PipelineError]) -> PipelineError:
    if issubclass(kind, UserError):
        return kind("a.mp3 is odd.", hint="Try b.mp3.")
    if issubclass(kind, StageError):
        return kind("mix the layers", "division by zero")
    if issubclass(kind, bot.workers.WorkerDiedError):
        return kind(-11)
    return kind("Plain.")


def test_the_walk_finds_the_tree() -> None:
    names = {kind.__name__ for kind in ALL}
    assert {"UnreadableAudioError", "StageError", "WorkerDiedError", "DownloadError"} <= names


@pytest.mark.parametrize("kind", ALL)
def test_errors_survive_pickle(kind: type[PipelineError]) -> None:
    error = example(kind)
    error.add_note("In the worker: here")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert str(back) == str(error)
    assert back.args == error.args
    assert back.__dict__ == error.__dict__
    assert back.__notes__ == ["In the worker: here"]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_one_plain_line(kind: type[PipelineError]) -> None:
    assert "\n" not in str(example(kind))


def test_being_called_off_is_no_error() -> None:
    assert not issubclass(Cancelled, Exception)
    assert type(pickle.loads(pickle.dumps(Cancelled()))) is Cancelled


def test_a_hint_follows_the_message() -> None:
    assert str(UserError("It is odd.", hint="Try again.")) == "It is odd. Try again."
    assert str(UserError("It is odd.")) == "It is odd."


def test_a_stage_error_reads_as_a_sentence() -> None:
    error = StageError("mix the layers", "cause")
    assert str(error) == "Something went wrong on our side while we tried to mix the layers."
    assert "cause" not in str(error)
