"""Work in a second process gives the same samples, and whatever goes wrong there is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.aside import Aside, AsideError
from pipeline.errors import Cancelled
from pipeline.layers import Layers, layer_of
from pipeline.picture import draw_card
from pipeline.tapes import Moved, in_memory, on_disk
from pipeline.types import SAMPLE_RATE, LayerPlan, WarpMap
from pipeline.warp import Piece, render_piece, warp
from tests.test_picture import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.tapes import Blank
    from pipeline.types import Signal

pytestmark = pytest.mark.slow

ANCHORS = tuple(np.arange(0.0, 4.1, 0.5).tolist())
LAYER = LayerPlan(
    warp=WarpMap(source_s=ANCHORS, target_s=tuple(t * (1.0 - 0.005 * t) for t in ANCHORS)),
    semitones=2.0,
    stretch=1.04,
)


def tone(seconds: float) -> Signal:
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    wave = 0.3 * np.sin(2 * np.pi * 300.0 * t)
    return np.asarray([wave, 0.5 * wave], dtype=np.float32)


@pytest.fixture(scope="module")
def aside() -> Iterator[Aside]:
    with Aside() as aside:
        yield aside


@pytest.fixture
def blank(tmp_path: Path) -> Blank:
    return on_disk(tmp_path)


@pytest.fixture
def stem(blank: Blank) -> Signal:
    stored = blank(4 * SAMPLE_RATE)
    stored[:] = tone(4.0)
    return stored


def nobody_listens(_: float) -> None:
    pass


def has_ended(pid: int) -> bool:
    """Wait up to 10 s for a process to end."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(1000):
        # An orphan may stay as a zombie where nobody collects it.
        if not stat.exists() or stat.read_text(encoding="ascii").rsplit(")")[1].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("keep_formants", [False, True])
def test_a_stem_warped_aside_is_the_same_to_the_sample(
    aside: Aside, stem: Signal, blank: Blank, tmp_path: Path, *, keep_formants: bool
) -> None:
    told: list[float] = []
    out = aside.warp(stem, LAYER, 3.9, told.append, keep_formants=keep_formants, blank=blank)
    expected = warp(stem, LAYER, 3.9, nobody_listens, keep_formants=keep_formants)
    # Fewer threads multiply matrices there, which may round the last bit another way.
    np.testing.assert_allclose(out, expected, rtol=0.0, atol=1e-6 if keep_formants else 0.0)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(told) >= 8
    assert not list(tmp_path.iterdir())


def slowly(render: Callable[[Signal, Piece], Signal]) -> Callable[[Signal, Piece], Signal]:
    def rendered(stem: Signal, piece: Piece) -> Signal:
        time.sleep(0.2)  # the other process has time for a piece or two
        return render(stem, piece)

    return rendered


def test_pieces_shared_between_the_processes_are_the_same_to_the_sample(
    aside: Aside, stem: Signal, blank: Blank, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: list[Piece] = []

    def render(stem: Signal, piece: Piece) -> Signal:
        here.append(piece)
        return slowly(render_piece)(stem, piece)

    monkeypatch.setattr("pipeline.aside.render_piece", render)
    told: list[float] = []
    out = warp(stem, LAYER, 3.9, told.append, blank=blank, render=aside.share(blank))
    assert np.array_equal(out, warp(stem, LAYER, 3.9, nobody_listens))
    assert 1 <= len(here) < len(told) - 1
    assert told == sorted(told)


def test_whoever_calls_sharing_off_waits_for_nothing(
    aside: Aside, stem: Signal, blank: Blank
) -> None:
    def call_off(_: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        warp(stem, LAYER, 3.9, call_off, blank=blank, render=aside.share(blank))
    assert len(aside.warp(stem, LAYER, 1.0, nobody_listens, blank=blank)) == 2


def test_a_failure_of_the_helping_process_comes_out(
    stem: Signal, blank: Blank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.aside.render_piece", slowly(render_piece))
    monkeypatch.setattr("pipeline.aside.to_facts", lambda _: {"no": "piece"})
    with Aside() as aside, pytest.raises(AsideError, match="ValueError"):
        warp(stem, LAYER, 3.9, nobody_listens, blank=blank, render=aside.share(blank))


def test_one_process_does_it_all(aside: Aside, stem: Signal, blank: Blank) -> None:
    before = aside.pid
    for _ in range(3):
        aside.warp(stem, LAYER, 1.0, nobody_listens, blank=blank)
    assert aside.pid == before != os.getpid()


def test_two_threads_take_turns_and_long_plans_arrive(
    aside: Aside, stem: Signal, blank: Blank
) -> None:
    anchors = np.arange(0.0, 3000.0, 0.5)
    long = LayerPlan(
        warp=WarpMap(source_s=tuple(anchors.tolist()), target_s=tuple((anchors / 1.05).tolist()))
    )
    plans = (long, LAYER)

    def work(plan: LayerPlan) -> Signal:
        return aside.warp(stem, plan, 2.0, nobody_listens, blank=blank)

    with ThreadPoolExecutor() as threads:
        for plan, out in zip(plans, threads.map(work, plans), strict=True):
            np.testing.assert_array_equal(out, warp(stem, plan, 2.0, nobody_listens))


@pytest.mark.parametrize("length_s", [0.0, 1.0])
def test_signals_in_memory_are_worked_on_here(aside: Aside, length_s: float) -> None:
    stem = tone(2.0)
    out = aside.warp(stem, LAYER, length_s, nobody_listens)
    np.testing.assert_array_equal(out, warp(stem, LAYER, length_s, nobody_listens))
    shared = warp(stem, LAYER, length_s, nobody_listens, render=aside.share(in_memory))
    np.testing.assert_array_equal(shared, out)


def test_an_error_there_is_told_here(aside: Aside, stem: Signal, blank: Blank) -> None:
    odd = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0, 2.0, 3.0), target_s=(0.0, 1.0, 2.0)))
    with pytest.raises(AsideError, match="ValueError: operands") as caught:
        aside.warp(stem, odd, 1.0, nobody_listens, blank=blank)
    assert "pipeline/warp.py" in "".join(caught.value.__notes__)
    assert aside.warp(stem, LAYER, 1.0, nobody_listens, blank=blank).any()


def test_a_process_that_dies_is_told_and_replaced(aside: Aside, stem: Signal, blank: Blank) -> None:
    def kill(_: float) -> None:
        assert aside.pid is not None
        os.kill(aside.pid, signal.SIGKILL)

    with pytest.raises(AsideError, match="died"):
        aside.warp(stem, LAYER, 3.9, kill, blank=blank)
    assert aside.warp(stem, LAYER, 1.0, nobody_listens, blank=blank).any()
    assert aside.pid is not None
    os.kill(aside.pid, signal.SIGKILL)  # between two pieces of work nobody minds
    assert has_ended(aside.pid)
    assert aside.warp(stem, LAYER, 1.0, nobody_listens, blank=blank).any()


def test_work_that_is_called_off_ends_with_its_process(
    aside: Aside, stem: Signal, blank: Blank
) -> None:
    def cancel(_: float) -> None:
        raise Cancelled

    before = aside.pid
    assert before is not None
    with pytest.raises(Cancelled):
        aside.warp(stem, LAYER, 3.9, cancel, blank=blank)
    assert has_ended(before)
    assert aside.warp(stem, LAYER, 1.0, nobody_listens, blank=blank).any()
    assert aside.pid != before


def test_ctrl_c_is_left_to_the_first_process(aside: Aside, stem: Signal, blank: Blank) -> None:
    aside.warp(stem, LAYER, 0.1, nobody_listens, blank=blank)  # it is up
    before = aside.pid
    assert before is not None
    os.kill(before, signal.SIGINT)
    assert aside.warp(stem, LAYER, 0.1, nobody_listens, blank=blank).any()
    assert aside.pid == before
    aside.close()
    assert has_ended(before)
    assert aside.pid is None


def test_it_ends_with_the_process_that_started_it() -> None:
    program = """
import os
from pipeline.aside import Aside
aside = Aside()
print(aside.pid, os.getpgid(aside.pid) == os.getpgid(0), flush=True)
os._exit(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    pid, same_group = done.stdout.split()
    assert same_group == "True"
    assert has_ended(int(pid))
    assert done.stderr == ""


@pytest.mark.parametrize("start", [0, -4410, 4410])
def test_a_card_drawn_aside_is_the_same(
    aside: Aside, blank: Blank, stem: Signal, tmp_path: Path, start: int
) -> None:
    voice = layer_of(Moved(sound=stem, start=start, length=stem.shape[1])) * 0.5
    layers = Layers(vocals=voice, backing=layer_of(stem))
    here = draw_card(outcome(), layers, tmp_path / "here.png")
    there = aside.draw(outcome(), layers, tmp_path / "there.png", blank=blank)
    assert there.read_bytes() == here.read_bytes()


def test_a_card_of_signals_in_memory_is_drawn_here(aside: Aside, tmp_path: Path) -> None:
    layer = layer_of(tone(3.0))
    path = aside.draw(outcome(), Layers(vocals=layer, backing=layer), tmp_path / "card.png")
    assert path.read_bytes()[:4] == b"\x89PNG"
