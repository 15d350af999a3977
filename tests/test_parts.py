"""What a stretched stem sounds like does not depend on when it is heard."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.cache import Cache
from pipeline.loudness import measure
from pipeline.parts import Part
from pipeline.tapes import in_memory
from pipeline.types import SAMPLE_RATE, LayerPlan, WarpMap
from pipeline.warp import warp
from tests.songs import short_song

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.layers import Layer
    from pipeline.tapes import Blank
    from pipeline.types import Signal

RATE = 1.02


def steady(at_s: float, *, seconds: float = 5.0) -> LayerPlan:
    """Play a stem a little faster, from a moment of the output on."""
    times = (at_s, at_s + seconds / RATE)
    return LayerPlan(warp=WarpMap(source_s=(0.0, seconds), target_s=times))


def part(
    at_s: float = 0.0, *, duration_s: float = 5.0, length_s: float = 5.0, denoise: float = 0.8
) -> Part:
    return Part.of(
        "audio",
        "engine",
        "voice",
        (denoise, "mask"),
        layer=steady(at_s, seconds=duration_s),
        duration_s=duration_s,
        length_s=length_s,
    )


class Bench:
    """Stretches one song's voice, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.cache = Cache(folder, 10**9)
        self.stem = short_song(11, bpm=112.0, drift=0.0).stems.vocals[:, : 5 * SAMPLE_RATE]
        self.made: list[float] = []

    def make(self, part: Part) -> Layer:
        def stretch(layer: LayerPlan, length_s: float, blank: Blank) -> Signal:
            self.made.append(length_s)
            return warp(self.stem, layer, length_s, lambda _: None, blank=blank)

        return part.recall(self.cache) or part.make(self.cache, in_memory, stretch)

    def plainly(self, at_s: float, length_s: float) -> Signal:
        return warp(self.stem, steady(at_s), length_s, lambda _: None)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


@pytest.mark.parametrize("at_s", [0.0, 0.5, -0.75, 1.23456789])
def test_it_is_heard_when_the_plan_says(bench: Bench, at_s: float) -> None:
    layer = bench.make(part(at_s))
    shift = round(at_s * SAMPLE_RATE)
    whole = bench.plainly(0.0, 5.0 / RATE)
    expected = np.zeros((2, 5 * SAMPLE_RATE), dtype=np.float32)
    first, last = max(0, shift), min(expected.shape[1], shift + whole.shape[1])
    expected[:, first:last] = whole[:, first - shift : last - shift]
    assert layer.shape == expected.shape
    assert np.array_equal(layer[:, :], expected)


def test_another_moment_costs_nothing(bench: Bench) -> None:
    for at_s in (0.0, 0.5, -0.5):
        bench.make(part(at_s))
    assert len(bench.made) == 1


@pytest.mark.parametrize("change", [{"denoise": 0.0}, {"denoise": 1.0}])
def test_a_voice_cleaned_otherwise_is_another(bench: Bench, change: dict[str, float]) -> None:
    bench.make(part())
    bench.make(part(**change))
    assert len(bench.made) == 2


def test_another_pitch_is_another(bench: Bench) -> None:
    bench.make(part())
    bench.make(replace(part(), layer=replace(part().layer, semitones=1.0)))
    assert len(bench.made) == 2


def test_a_band_is_never_cleaned() -> None:
    made = Part.of(
        *("audio", "engine", "band", (0.8, "mask")),
        layer=steady(0.0),
        duration_s=5.0,
        length_s=5.0,
    )
    assert made.cleaning is None


@pytest.mark.parametrize("at_s", [0.0, 0.5, -0.75, 0.0123])
def test_its_power_is_that_of_what_is_heard(bench: Bench, at_s: float) -> None:
    layer = bench.make(part(at_s))
    measured = measure(layer[:, :])
    assert len(layer.power) == len(measured)
    # Every 10 ms it is read between two measured powers; over 400 ms little is left of that.
    window = np.ones(40) / 40
    smooth = [np.convolve(curve, window, mode="valid") for curve in (layer.power, measured)]
    np.testing.assert_allclose(smooth[0], smooth[1], rtol=0.1, atol=1e-4)


def seconds_made(bench: Bench, *, at_s: float, duration_s: float, length_s: float) -> float:
    bench.stem = np.zeros((2, round(duration_s * SAMPLE_RATE)), dtype=np.float32)
    bench.make(part(at_s, duration_s=duration_s, length_s=length_s))
    return bench.made[-1] * RATE


@pytest.mark.parametrize(
    ("at_s", "duration_s", "length_s", "made_s"),
    [
        (0.0, 200.0, 195.0, 200.0),  # all of it where it is nearly all heard
        (0.0, 600.0, 100.0, 120.0 * RATE),  # no more than a nudge may need where it is not
        (-100.0, 600.0, 40.0, 40.0 * RATE),  # a passage alone
    ],
)
def test_little_more_is_made_than_is_heard(
    bench: Bench, at_s: float, duration_s: float, length_s: float, made_s: float
) -> None:
    made = seconds_made(bench, at_s=at_s, duration_s=duration_s, length_s=length_s)
    assert made == pytest.approx(made_s, abs=0.01)


def test_a_passage_is_cut_from_what_is_kept_of_the_whole(bench: Bench) -> None:
    whole = bench.make(part(0.0))
    passage = bench.make(part(-2.0, length_s=1.0))
    assert len(bench.made) == 1
    two = 2 * SAMPLE_RATE
    assert np.array_equal(passage[:, :], whole[:, two : two + SAMPLE_RATE])
