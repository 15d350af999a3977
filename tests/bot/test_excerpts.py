"""The excerpt that is offered instead of a mash-up: which part, and how its program ends."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.excerpts import ExcerptError, cut_excerpt, span_of
from pipeline.types import BeatGrid
from tests.bot.processes import is_alive, wait_until
from tests.bot.works import result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.types import MergeResult


def planned(path: Path, *, beats_per_bar: int = 4, **wishes: Any) -> MergeResult:
    merged = result(path)
    return replace(
        merged,
        plan=replace(merged.plan, **wishes),
        grids={"backing": BeatGrid(beats_per_bar=beats_per_bar)},
    )


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"length_s": 200.0, "bpm": 120.0, "voice_enters_s": 30.0}, (26.0, 60.0)),
        (
            {"length_s": 200.0, "bpm": 90.0, "voice_enters_s": 30.0, "beats_per_bar": 3},
            (26.0, 60.0),
        ),
        ({"length_s": 200.0, "bpm": 120.0, "voice_enters_s": 3.0}, (0.0, 60.0)),
        ({"length_s": 80.0, "bpm": 120.0, "voice_enters_s": 30.0}, (26.0, 54.0)),
        ({"length_s": 200.0, "bpm": 0.0, "voice_enters_s": 30.0}, (30.0, 60.0)),
        ({"length_s": 60.0, "bpm": 120.0, "voice_enters_s": 30.0}, (0.0, 60.0)),
        ({"length_s": 9.0, "bpm": 120.0, "voice_enters_s": 5.0}, (0.0, 9.0)),
    ],
    ids=["4/4", "3/4", "early voice", "near the end", "no beat", "whole", "short"],
)
def test_it_starts_two_bars_before_the_voice(
    tmp_path: Path, wishes: dict[str, Any], expected: tuple[float, float]
) -> None:
    assert span_of(planned(tmp_path, **wishes)) == pytest.approx(expected)


@pytest.fixture
def use_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a shell script in the program's place."""

    def use(script: str) -> None:
        path = tmp_path / "program"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return use


HANGS = 'cd "${0%/*}"; sleep 60 & echo $! > child; echo $$ > begun; mv begun self; wait'


def pids(folder: Path) -> list[int]:
    return [int((folder / name).read_text()) for name in ("child", "self")]


async def test_a_program_that_hangs_is_killed_with_its_children(
    tmp_path: Path, use_program: Callable[[str], None]
) -> None:
    use_program(HANGS)
    with pytest.raises(ExcerptError, match=r"^The excerpt was not there after 1 s\.$"):
        await cut_excerpt(result(tmp_path / "a.mp3"), tmp_path / "b.mp3", 2**20, deadline_s=1.0)
    await wait_until(lambda: not any(is_alive(pid) for pid in pids(tmp_path)))


async def test_a_call_that_is_cancelled_kills_the_program_with_its_children(
    tmp_path: Path, use_program: Callable[[str], None]
) -> None:
    use_program(HANGS)
    cutting = asyncio.create_task(
        cut_excerpt(result(tmp_path / "a.mp3"), tmp_path / "b.mp3", 2**20)
    )
    await wait_until((tmp_path / "self").exists)
    cutting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cutting
    await wait_until(lambda: not any(is_alive(pid) for pid in pids(tmp_path)))


async def test_what_the_program_says_when_it_fails_is_the_error(
    tmp_path: Path, use_program: Callable[[str], None]
) -> None:
    use_program("echo 'a.mp3 is no audio.' >&2; exit 2")
    with pytest.raises(ExcerptError, match=r"^a\.mp3 is no audio\.$"):
        await cut_excerpt(result(tmp_path / "a.mp3"), tmp_path / "b.mp3", 2**20)


async def test_a_program_that_cannot_start_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no"))
    with pytest.raises(ExcerptError, match=r"^The program that cuts excerpts cannot start: "):
        await cut_excerpt(result(tmp_path / "a.mp3"), tmp_path / "b.mp3", 2**20)
