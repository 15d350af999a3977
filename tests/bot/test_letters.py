from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bot import letters
from bot.letters import receive
from bot.serving import Outcome
from pipeline.errors import Cancelled, NoVoiceError, StageError
from pipeline.types import Stage
from tests.bot.works import result


def sent(data: bytes) -> Any:
    """Return what the bot reads when a worker sends this."""
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        theirs.send_bytes(data)
        return receive(ours)


class Call:
    """An answer that makes whoever reads it call something."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.called = function, arguments

    def __reduce__(self) -> Any:
        return self.called


@pytest.mark.parametrize(
    "answer",
    [
        Outcome(answer=result(Path("mashup.mp3"))),
        Outcome(answer=(1, "two", b"three", {"four": {5.0}}, Stage.MIX)),
        Outcome(),
    ],
)
def test_answers_arrive_as_they_were(answer: Outcome) -> None:
    assert sent(pickle.dumps(answer)) == answer


@pytest.mark.parametrize(
    "error",
    [NoVoiceError("a.mp3 has no voice.", hint="Sing."), StageError(Stage.MIX, "oh"), Cancelled()],
)
def test_errors_arrive_as_they_were(error: NoVoiceError | StageError | Cancelled) -> None:
    back = sent(pickle.dumps(Outcome(error=error))).error
    assert type(back) is type(error)
    assert (str(back), back.__dict__) == (str(error), error.__dict__)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (os.system, ("touch {canary}",)),
        (subprocess.Popen, (["touch", "{canary}"],)),
        (eval, ("open({canary!r}, 'w')",)),
        (Path.touch, (Path("{canary}"),)),
        (getattr, (os, "system")),
        (letters.receive, (None,)),
    ],
)
def test_an_answer_calls_nothing(function: Any, arguments: tuple[Any, ...], tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    def aimed(argument: Any) -> Any:
        if isinstance(argument, str):
            return argument.format(canary=str(canary))
        if isinstance(argument, list):
            return [aimed(part) for part in argument]
        return canary if isinstance(argument, Path) else argument

    call = (
        Call(function, *map(aimed, arguments))
        if function is not getattr
        else Call(getattr, Path(), "touch")
    )
    for answer in (call, Outcome(answer=call)):
        with pytest.raises(pickle.UnpicklingError, match="no answer is made of"):
            sent(pickle.dumps(answer))
    assert not canary.exists()


def test_nothing_is_imported_for_an_answers_sake() -> None:
    with pytest.raises(pickle.UnpicklingError, match="no answer is made of antigravity"):
        sent(b"cantigravity\nfly\n.")


def test_no_answer_is_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "MOST_BYTES", 1000)
    with pytest.raises(OSError, match="bad message length"):
        sent(bytes(1001))
