from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from pipeline.arrange import assemble
from pipeline.layers import layer_of
from pipeline.loudness import measure
from pipeline.tapes import in_memory, on_disk
from pipeline.types import SAMPLE_RATE, Section
from tests.songs import sine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pipeline.tapes import Blank
    from pipeline.types import Role, Signal

BEATS_S = tuple(np.arange(0.0, 12.0, 0.5).tolist())
LENGTH = 12 * SAMPLE_RATE


def noise(seed: int) -> Signal:
    return np.random.default_rng(seed).normal(0.0, 0.1, (2, LENGTH)).astype(np.float32)


VOICES: dict[Role, Signal] = {"vocals": noise(1), "backing": noise(2)}
BANDS: dict[Role, Signal] = {"vocals": noise(3), "backing": noise(4)}
TONES: dict[Role, Signal] = {
    "vocals": sine(220.0, 12.0, peak=0.3),
    "backing": sine(330.0, 12.0, peak=0.3, phase=1.0),
}


class Done(NamedTuple):
    vocals: Signal
    backing: Signal


def assembled(
    sections: Sequence[Section],
    voices: dict[Role, Signal] = VOICES,
    bands: dict[Role, Signal] = BANDS,
    blank: Blank = in_memory,
) -> tuple[Done, list[float]]:
    """Return what is heard of both layers, and the progress that was told."""
    told: list[float] = []
    layers = assemble(
        {role: layer_of(samples) for role, samples in voices.items()},
        {role: layer_of(samples) for role, samples in bands.items()},
        sections,
        BEATS_S,
        told.append,
        blank=blank,
    )
    for layer in (layers.vocals, layers.backing):
        np.testing.assert_allclose(layer.power, measure(layer), rtol=1e-3)
    return Done(layers.vocals[:, :], layers.backing[:, :]), told


def turns(start_s: float = 4.0, end_s: float = 8.0) -> list[Section]:
    return [
        Section(start_s=0.0, end_s=start_s),
        Section(start_s=start_s, end_s=end_s, voice="backing", band="vocals"),
        Section(start_s=end_s, end_s=12.0),
    ]


def at(time_s: float) -> int:
    return round(time_s * SAMPLE_RATE)


@pytest.mark.parametrize("length_s", [12.0, 7.3])
def test_one_section_is_its_layers(length_s: float) -> None:
    done, _ = assembled([Section(start_s=0.0, end_s=length_s)])
    assert np.array_equal(done.vocals, VOICES["vocals"][:, : at(length_s)])
    assert np.array_equal(done.backing, BANDS["backing"][:, : at(length_s)])


@pytest.mark.parametrize("start_s", [4.0, 4.0001, 3.7])
def test_sections_switch_at_their_sample(start_s: float) -> None:
    done, told = assembled(turns(start_s))
    start, end = at(start_s), at(8.0)
    for layer, first, second, reach_s in (
        (done.vocals, VOICES["vocals"], VOICES["backing"], 0.4),
        (done.backing, BANDS["backing"], BANDS["vocals"], 0.04),
    ):
        change = at(reach_s)
        assert np.array_equal(layer[:, : start - change], first[:, : start - change])
        assert np.array_equal(layer[:, start : end - change], second[:, start : end - change])
        assert np.array_equal(layer[:, end:], first[:, end:])
        # Right before the change the one that goes is still there, right before its end hardly.
        inside = layer[:, start - change : start]
        goes, comes = (x[:, start - change : start] for x in (first, second))
        early, late = slice(0, change // 10), slice(-change // 10, None)
        assert np.abs(inside - goes)[:, early].mean() < 0.25 * np.abs(goes).mean()
        assert np.abs(inside - comes)[:, late].mean() < 0.25 * np.abs(comes).mean()
        assert np.any(inside[:, 1] != goes[:, 1])
    assert told == [0.5, 1.0]
    assert done.vocals.shape == done.backing.shape == (2, LENGTH)
    assert done.vocals.dtype == done.backing.dtype == np.float32


@pytest.mark.parametrize("morph_s", [0.0, 2.0])
def test_no_joint_clicks(morph_s: float) -> None:
    sections = [
        Section(start_s=0.0, end_s=4.0, voice="backing", band="backing"),
        Section(start_s=4.0, end_s=12.0, voice="vocals", band="vocals", morph_s=morph_s),
    ]
    done, _ = assembled(sections, TONES, TONES)
    steepest = max(float(np.abs(np.diff(tone)).max()) for tone in TONES.values())
    for layer in (done.vocals, done.backing):
        # At equal power two tones may briefly sum to more than either, never to a jump.
        assert np.abs(np.diff(layer)).max() < 1.5 * steepest


def test_power_is_equal_through_a_change() -> None:
    done, _ = assembled(turns())
    for layer in (done.vocals, done.backing):
        power = (layer.astype(float) ** 2).sum(axis=0).reshape(-1, 441).mean(axis=1)
        assert power.mean() == pytest.approx(0.02, rel=0.02)
        around = power[at(3.6) // 441 : at(4.0) // 441]
        assert around.mean() == pytest.approx(0.02, rel=0.05)


def test_a_morph_ends_on_its_section() -> None:
    sections = [
        Section(start_s=0.0, end_s=6.0),
        Section(start_s=6.0, end_s=12.0, band="vocals", morph_s=2.0),
    ]
    done, told = assembled(sections)
    assert np.array_equal(done.vocals, VOICES["vocals"])
    assert np.array_equal(done.backing[:, : at(4.0)], BANDS["backing"][:, : at(4.0)])
    assert np.array_equal(done.backing[:, at(6.0) :], BANDS["vocals"][:, at(6.0) :])
    middle = done.backing[:, at(4.5) : at(5.5)]
    assert not np.array_equal(middle, BANDS["backing"][:, at(4.5) : at(5.5)])
    assert not np.array_equal(middle, BANDS["vocals"][:, at(4.5) : at(5.5)])
    assert told[-1] == 1.0


def test_a_morph_may_fill_the_opening() -> None:
    sections = [
        Section(start_s=0.0, end_s=2.0, voice="vocals", band="vocals"),
        Section(start_s=2.0, end_s=12.0, morph_s=2.0),
    ]
    done, _ = assembled(sections)
    assert np.array_equal(done.backing[:, : at(0.04)], BANDS["vocals"][:, : at(0.04)])
    assert np.array_equal(done.backing[:, at(2.0) :], BANDS["backing"][:, at(2.0) :])


def test_a_first_section_shorter_than_a_change() -> None:
    done, _ = assembled(turns(0.02))
    assert np.array_equal(
        done.backing[:, at(0.02) : at(7.9)], BANDS["vocals"][:, at(0.02) : at(7.9)]
    )
    assert done.backing[:, 0] == pytest.approx(BANDS["backing"][:, 0])


def test_layers_are_cut_to_the_last_section() -> None:
    sections = [
        Section(start_s=0.0, end_s=4.0),
        Section(start_s=4.0, end_s=9.3, voice="backing", band="vocals"),
    ]
    done, _ = assembled(sections)
    assert done.vocals.shape == done.backing.shape == (2, at(9.3))


def test_only_the_stems_that_are_named_are_needed() -> None:
    only_voice: dict[Role, Signal] = {"vocals": VOICES["vocals"]}
    only_band: dict[Role, Signal] = {"backing": BANDS["backing"]}
    sections = [Section(start_s=0.0, end_s=5.0), Section(start_s=5.0, end_s=12.0)]
    done, _ = assembled(sections, only_voice, only_band)
    assert np.array_equal(done.vocals, VOICES["vocals"])
    assert np.array_equal(done.backing, BANDS["backing"])


def test_the_stems_are_left_as_they_are() -> None:
    before = {role: samples.copy() for role, samples in VOICES.items()}
    assembled(turns())
    assert all(np.array_equal(VOICES[role], samples) for role, samples in before.items())


def test_gains_are_heard_in_what_is_put_together() -> None:
    quiet = {role: layer_of(samples) * 0.5 for role, samples in VOICES.items()}
    loud = {role: layer_of(samples) for role, samples in BANDS.items()}
    done = assemble(quiet, loud, turns(), BEATS_S, lambda _: None)
    plain, _ = assembled(turns())
    np.testing.assert_allclose(done.vocals[:, :], 0.5 * plain.vocals, rtol=1e-6)


def test_the_result_may_lie_on_disk(tmp_path: Path) -> None:
    on_tape, _ = assembled(turns(), blank=on_disk(tmp_path))
    plain, _ = assembled(turns())
    assert np.array_equal(on_tape.vocals, plain.vocals)
    assert np.array_equal(on_tape.backing, plain.backing)
