from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench.command import LENGTHS_S, RUNS, is_whole
from benchmarks.bench.floor import flop_per_patch, patches_of
from benchmarks.bench.machine import describe
from benchmarks.bench.memory import PeakWatch, family_of, held_kb, kilobytes_in, megabytes
from benchmarks.bench.peers import PeerFailedError
from benchmarks.bench.results import (
    AGAIN,
    FIRST,
    GAIN,
    OURS,
    SEPARATOR,
    STOCK,
    BotStart,
    Cached,
    Merges,
    Peak,
    Results,
    Separations,
)
from benchmarks.bench.rounds import Entrant, run_rounds
from benchmarks.bench.sheets import as_markdown, as_table, sheets_of, shown, spread
from benchmarks.bench.songs import Pair
from benchmarks.bench.suite import PARTS
from benchmarks.bench.tasks import Answer
from benchmarks.bench.verdicts import judge, median, ratio

CONFIG: dict[str, Any] = {
    "T": 64,
    "F": 128,
    "frame_step": 128,
    "instrument_list": ["vocals", "accompaniment"],
}


def unet_shapes(number: int) -> dict[str, tuple[int, ...]]:
    """The kernels of the U-Net with 1, 1, 1, 1, 1 and 2 filters, as Keras names them."""
    downs = [(5, 5, 2, 1), *[(5, 5, 1, 1)] * 4, (5, 5, 1, 2), (4, 4, 1, 2)]
    ups = [(5, 5, 1, 2), *[(5, 5, 1, 2)] * 4, (5, 5, 1, 2)]
    shapes: dict[str, tuple[int, ...]] = {}
    for kind, kernels in (("conv2d", downs), ("conv2d_transpose", ups)):
        for level, kernel in enumerate(kernels):
            place = number * len(kernels) + level
            shapes[f"{kind}_{place}/kernel" if place else f"{kind}/kernel"] = kernel
    return shapes


def test_the_operations_of_a_network_as_counted_by_hand() -> None:
    # A patch of 64 x 128 has 8192 places; level by level 2048, 512, 128, 32, 8 and 2 are left.
    down = 50 * 2048 + 25 * (512 + 128 + 32 + 8) + 50 * 2
    up = 50 * (2 + 8 + 32 + 128 + 512 + 2048)
    last = 32 * 8192
    shapes = unet_shapes(0) | unet_shapes(1) | {"conv2d/bias": (1,), "global_step": ()}
    assert flop_per_patch(shapes, CONFIG) == 2 * 2 * (down + up + last)


def test_layers_that_are_not_those_of_the_instruments() -> None:
    with pytest.raises(ValueError, match="not the layers of 2 U-Nets"):
        flop_per_patch(unet_shapes(0), CONFIG)


def test_a_run_that_leaves_something_out_is_not_published() -> None:
    assert is_whole(PARTS, LENGTHS_S, RUNS)
    assert not is_whole(PARTS[1:], LENGTHS_S, RUNS)
    assert not is_whole(PARTS, (30, 180), RUNS)
    assert not is_whole(PARTS, LENGTHS_S, RUNS - 1)


class FakePeer:
    """Notes its turns; fails for good in one of them."""

    def __init__(self, name: str, turns: list[str], fails_at: int) -> None:
        self.name, self.turns, self.fails_at = name, turns, fails_at
        self.peak = Peak(process_mb=1.0, tree_mb=2.0)
        self.done = 0

    def do(self, task: Any) -> Answer:
        self.done += 1
        if self.done == self.fails_at:
            raise PeerFailedError("out of breath")
        self.turns.append(f"{self.name} {task}")
        return Answer(parts={"all": 1.0})

    def close(self) -> None:
        self.turns.append(f"{self.name} ends")


def an_entrant(name: str, turns: list[str], *, fails_at: int = 0, **options: Any) -> Entrant:
    return Entrant(
        name=name,
        start=lambda: FakePeer(name, turns, fails_at),
        task=lambda pair, _: pair.vocals.name,
        warming=Pair(vocals=Path("warming"), backing=Path("b")),
        **options,
    )


@pytest.fixture
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.bench.rounds.SCRATCH", tmp_path)


@pytest.mark.usefixtures("_scratch")
def test_peers_take_turns() -> None:
    turns: list[str] = []
    one, two = an_entrant("one", turns, runs=2), an_entrant("two", turns, runs=1)
    song = Pair(vocals=Path("song"), backing=Path("b"))
    run_rounds([one, two], song, lambda: turns.append("rate"), lambda _: None)
    warming = ["one warming", "two warming"]
    rounds = ["rate", "one song", "two song", "rate", "one song"]
    assert turns == [*warming, *rounds, "two ends", "one ends"]
    assert (len(one.seconds), len(two.seconds)) == (2, 1)
    assert one.parts == [{"all": 1.0}, {"all": 1.0}]
    assert two.peak == Peak(process_mb=1.0, tree_mb=2.0)


@pytest.mark.usefixtures("_scratch")
def test_a_peer_that_fails_or_does_not_fit_leaves_the_rounds_to_the_others() -> None:
    turns: list[str] = []
    told: list[str] = []
    failing = an_entrant("failing", turns, runs=2, fails_at=2)
    large = an_entrant("large", turns, runs=2, needs_mb=1e12)
    other = an_entrant("other", turns, runs=2)
    song = Pair(vocals=Path("song"), backing=Path("b"))
    run_rounds([failing, large, other], song, lambda: None, told.append)
    assert failing.skipped == "out of breath"
    assert failing.seconds == []
    assert large.skipped.startswith("needs about 1000000000 GB of memory")
    assert len(other.seconds) == 2
    assert "round 1 of 2, failing: out of breath" in told


def test_the_machine_is_not_named_by_its_host() -> None:
    machine = describe()
    assert set(machine) > {"processor", "cores", "memory", "python", "numpy", "date"}
    assert platform.node() not in machine.values()


def test_the_patches_that_a_song_fills() -> None:
    assert patches_of(3 * 64 * 128 // 2, CONFIG) == 1.5


def test_memory_is_read_from_the_kernels_tables() -> None:
    table = "Name:\tpython\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n"
    assert kilobytes_in(table, "VmHWM") == 2048
    assert kilobytes_in("Name:\tzombie\n", "VmRSS") == 0
    assert held_kb(os.getpid(), "VmHWM") >= held_kb(os.getpid(), "VmRSS") > 1000
    assert family_of(os.getpid())[0] == os.getpid()
    assert held_kb(2**30, "VmRSS") == 0  # no such process


def test_the_peak_of_a_process_is_at_least_what_it_holds() -> None:
    with PeakWatch(os.getpid()) as watch:
        held_mb = megabytes(held_kb(os.getpid(), "VmRSS"))
    assert watch.peak.process_mb >= 0.9 * held_mb > 0
    assert watch.peak.tree_mb >= 0.9 * held_mb


@pytest.mark.parametrize(
    ("above", "below", "expected"), [(6.0, 2.0, 3.0), (None, 2.0, None), (6.0, None, None)]
)
def test_ratio(above: float | None, below: float | None, expected: float | None) -> None:
    assert ratio(above, below) == expected


def test_nothing_divides_by_nothing() -> None:
    assert ratio(1.0, 0.0) is None


def test_median_of_runs() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([]) is None


def test_how_figures_are_written() -> None:
    assert spread([3.0, 1.0, 2.0]) == "2.00 (1.00 to 3.00)"
    assert spread([1.25], 1) == "1.2"
    assert spread([]) == ""
    assert shown(2.0, "x") == "2.00x"
    assert shown(None, "x") == ""


def a_run(*, faster: float = 1.0) -> Results:
    """Figures that lie on the right side of every bar, and on the wrong one if not faster."""
    peak = Peak(process_mb=1400.0, tree_mb=1450.0)
    large = Peak(process_mb=1500.0, tree_mb=1500.0)
    return Results(
        machine={"processor": "Abacus", "cores": "2"},
        network="random weights",
        gflop_per_patch=20.0,
        matmul_gflops=(90.0, 100.0, 80.0),
        merges=(
            Merges(
                peer=OURS,
                length_s=180,
                seconds=(8.0 / faster, 9.0 / faster, 7.0 / faster),
                parts=({"separate": 4.0}, {"separate": 5.0}, {"separate": 4.5}),
                peak=peak,
            ),
            Merges(peer=STOCK, length_s=180, seconds=(50.0,), peak=large),
            Merges(peer=SEPARATOR, length_s=180, seconds=(24.0, 26.0), peak=large),
            Merges(peer=OURS, length_s=600, seconds=(28.0 / faster,), peak=large),
            Merges(peer=SEPARATOR, length_s=600, seconds=(), skipped="needs 17 GB"),
        ),
        separations=(
            Separations(
                precision="float32", default=True, length_s=180, seconds=(15.0,), gflop=740.0
            ),
        ),
        cached=(
            Cached(act=FIRST, format="mp3", length_s=180, seconds=(8.0, 9.0, 8.5)),
            Cached(act=AGAIN, format="mp3", length_s=180, seconds=(0.5,)),
            Cached(act=GAIN, format="mp3", length_s=180, seconds=(0.3,)),
        ),
        bot=BotStart(answer_s=(0.5, 0.6), idle_mb=(50.0, 51.0), heavy=()),
    )


def test_every_bar_is_judged() -> None:
    verdicts = {verdict.claim: (verdict.measured, verdict.met) for verdict in judge(a_run())}
    assert verdicts == {
        "merge of two 180 s songs: stock command / this pipeline": ("6.25x", True),
        "merge of two 180 s songs: warm Separator / this pipeline": ("3.12x", True),
        "time per minute of audio: 600 s / 180 s": ("1.05x", True),
        "separation of two 180 s songs / the floor, in float32 (what merges use)": ("1.82x", True),
        "peak memory of a worker at 180 s": ("1450 MB", True),
        "its peak at 600 s / at 180 s": ("1.03x", True),
        "two 180 s songs to mp3: first merge / same songs again": ("17.00x", True),
        "two 180 s songs to mp3: first merge / only the balance changed": ("28.33x", False),
        "idle bot process": ("50 MB", True),
        "networks and signal processing in the bot's process": ("none", True),
        "first command answered": ("0.55 s", True),
    }


def test_a_bar_that_is_missed_is_not_met() -> None:
    verdicts = judge(a_run(faster=0.9))
    assert [verdict.met for verdict in verdicts[:2]] == [False, False]


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    verdicts = judge(Results(machine={}))
    assert {verdict.met for verdict in verdicts} == {None}
    assert {verdict.measured for verdict in verdicts} == {""}


def test_results_survive_json(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    a_run().write(path)
    assert Results.read(path) == a_run()
    Results(machine={}).write(path)
    assert Results.read(path) == Results(machine={})


def test_the_tables_in_markdown() -> None:
    text = as_markdown(a_run())
    assert (
        "| merge of two 180 s songs: stock command / this pipeline | >= 6x | 6.25x | met |" in text
    )
    assert "first merge / only the balance changed | >= 30x | 28.33x | NOT MET |" in text
    assert "| 180 s | this pipeline | 8.00 (7.00 to 9.00) | 3 | 1.00x | 2.67 |" in text
    assert "| 600 s | warm Separator | skipped: needs 17 GB | 0 |  |  |" in text
    assert "| by | stage | 180 s songs |" in text
    assert "| this pipeline | separate | 4.50 |" in text
    assert "| 180 s | float32 (default) | 15.00 | 740 | 8.22 | 1.82x |" in text
    assert "| 180 s | mp3 | same songs again | 0.500 | 17.00x |" in text
    assert "| resident memory when idle, MB | 50 (50 to 51) |" in text
    assert "| processor | Abacus |" in text


def test_every_table_is_rectangular_and_fits_the_screen() -> None:
    sheets = sheets_of(a_run())
    assert len(sheets) == 8
    for sheet in sheets:
        assert {len(row) for row in sheet.rows} == {len(sheet.head)}
        assert as_table(sheet).row_count == len(sheet.rows)


def test_what_was_not_measured_has_no_table() -> None:
    assert [sheet.title for sheet in sheets_of(Results(machine={}))] == ["The bars"]
