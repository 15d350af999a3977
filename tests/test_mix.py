from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.grids import apply_warp
from pipeline.layers import Layers, layer_of
from pipeline.loudness import (
    TARGET_LUFS,
    integrated_lufs,
    true_peak_dbtp,
    vocals_to_backing_lu,
)
from pipeline.mix import (
    MOST_GAIN_DB,
    Premaster,
    enter,
    even,
    fade_out,
    level,
    limited_gain,
    master,
)
from pipeline.plan import make_plan
from pipeline.recipe import Recipe
from pipeline.types import SAMPLE_RATE, LayerPlan, Plan, WarpMap
from tests.songs import short_song, sine, song_facts, steady_grid

if TYPE_CHECKING:
    from pipeline.layers import Layer
    from pipeline.types import Role, Signal

AS_IT_IS = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0)))


def song_layers(gain: float = 1.0) -> Layers:
    stems = short_song(11, bpm=112.0, drift=0.0).stems
    return layers_of(stems.vocals, stems.accompaniment) * gain


def layers_of(vocals: Signal, backing: Signal) -> Layers:
    return Layers(vocals=layer_of(vocals), backing=layer_of(backing))


def tone(peak: float, seconds: float = 2.0) -> Layer:
    return layer_of(sine(440.0, seconds, peak=peak))


def gain_db(done: Layer, before: Layer) -> float:
    return 20.0 * float(np.log10(done[:, :].std() / before[:, :].std()))


def levelled(balance_lu: float) -> Layers:
    layers = song_layers()
    return replace(layers, vocals=level(layers.vocals, layers.backing, balance_lu))


def silence(duration_s: float) -> Signal:
    return np.zeros((2, round(duration_s * SAMPLE_RATE)), dtype=np.float32)


def plan(*, voice_enters_s: float, bpm: float = 120.0) -> Plan:
    return Plan(
        vocals=AS_IT_IS,
        backing=AS_IT_IS,
        length_s=10.0,
        bpm=bpm,
        voice_enters_s=voice_enters_s,
    )


def ones(duration_s: float) -> Layers:
    flat = silence(duration_s) + np.float32(1.0)
    return layers_of(flat, flat)


@pytest.mark.parametrize("balance_lu", [-12.0, 0.0, 1.0, 12.0])
def test_the_balance_is_reached(balance_lu: float) -> None:
    layers = song_layers()
    done = level(layers.vocals, layers.backing, balance_lu)
    assert vocals_to_backing_lu(done, layers.backing) == pytest.approx(balance_lu, abs=0.5)


@settings(deadline=None, max_examples=8)
@given(st.floats(-20.0, 20.0), st.floats(-12.0, 12.0))
def test_the_balance_is_the_same_wherever_the_voice_starts(offset_db: float, wish: float) -> None:
    vocals = tone(0.1 * 10.0 ** (offset_db / 20.0))
    done = level(vocals, tone(0.1), wish)
    expected = np.clip(wish - offset_db, -MOST_GAIN_DB, MOST_GAIN_DB)
    assert gain_db(done, vocals) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("backing_peak", [0.9, 3e-3])
def test_the_voices_gain_is_limited(backing_peak: float) -> None:
    vocals = tone(0.005 if backing_peak > 0.5 else 0.9)
    done = level(vocals, tone(backing_peak), 0.0)
    assert abs(gain_db(done, vocals)) == pytest.approx(MOST_GAIN_DB, abs=0.01)


def test_silent_layers_are_left_alone() -> None:
    for vocals, backing in (
        (layer_of(silence(2.0)), tone(0.1)),
        (tone(0.1), layer_of(silence(2.0))),
        (layer_of(silence(0.0)), layer_of(silence(0.0))),
    ):
        assert level(vocals, backing, 3.0) is vocals


@pytest.mark.parametrize("before_db", [-30.0, -6.0, 0.0, 12.0])
@pytest.mark.parametrize("ceiling_dbtp", [-1.0, -1.5])
def test_the_master_is_as_loud_as_it_should_be(before_db: float, ceiling_dbtp: float) -> None:
    done = master(Premaster(song_layers(10.0 ** (before_db / 20.0))), ceiling_dbtp)
    assert integrated_lufs(done.mix) == pytest.approx(TARGET_LUFS, abs=0.05)
    assert true_peak_dbtp(done.mix) <= ceiling_dbtp + 0.05


def test_a_mix_that_is_as_loud_as_it_should_be_is_limited_all_the_same() -> None:
    vocals = song_layers().vocals[:, :].copy()
    vocals[:, 3 * SAMPLE_RATE] = 1.2  # a click, which adds no loudness to speak of
    layers = layers_of(vocals, song_layers().backing[:, :])
    lufs = integrated_lufs(layers.mix)
    done = master(Premaster(layers * 10.0 ** ((TARGET_LUFS - lufs) / 20.0)), -1.0)
    assert integrated_lufs(done.mix) == pytest.approx(TARGET_LUFS, abs=0.05)
    assert true_peak_dbtp(done.mix) <= -1.0


@pytest.mark.parametrize("moves_db", [0.0, 3.0, -3.0])
def test_a_gain_that_moves_is_limited_as_well(moves_db: float) -> None:
    layers = song_layers()
    draft = Premaster(layers)
    moving = np.linspace(6.0, 6.0 + moves_db, len(draft.peaks) + 1)
    gain = limited_gain(draft.peaks, moving, -1.0)
    done = layers * gain
    assert true_peak_dbtp(done.mix) <= -1.0
    assert np.all(gain <= 10.0 ** (moving / 20.0) * (1 + 1e-6))
    assert np.isclose(gain, 10.0 ** (moving / 20.0), rtol=1e-6).mean() > 0.3


def test_the_balance_survives_the_master() -> None:
    done = master(Premaster(levelled(2.0)), -1.0)
    assert vocals_to_backing_lu(done.vocals, done.backing) == pytest.approx(2.0, abs=0.5)


def test_the_master_of_a_peaky_mix_stays_below_the_ceiling() -> None:
    rng = np.random.default_rng(0)
    backing = rng.normal(0.0, 0.003, (2, 6 * SAMPLE_RATE)).astype(np.float32)
    backing[:, ::11025] = 0.95  # clicks 40 dB above the rest
    done = master(Premaster(layers_of(silence(6.0), backing)), -1.0)
    assert true_peak_dbtp(done.mix) <= -1.0 + 0.05
    assert integrated_lufs(done.mix) > integrated_lufs(backing) + 10.0


@pytest.mark.parametrize("duration_s", [0.0, 0.2, 3.0])
def test_the_master_of_silence_is_silence(duration_s: float) -> None:
    quiet = layers_of(silence(duration_s), silence(duration_s))
    done = master(Premaster(quiet), -1.0)
    assert done.mix.shape == quiet.mix.shape
    assert not done.mix[:, :].any()


def test_the_end_fades() -> None:
    done = fade_out(ones(10.0), 2.0)
    for samples in (done.vocals[:, :][0], done.backing[:, :][1]):
        assert np.all(samples[: 8 * SAMPLE_RATE] == 1.0)
        assert samples[9 * SAMPLE_RATE] == pytest.approx(0.5, abs=1e-3)
        assert samples[-1] == pytest.approx(0.0, abs=1e-3)
        assert np.all(np.diff(samples[8 * SAMPLE_RATE :]) <= 1e-6)


def test_residue_long_before_the_voice_enters_is_left_out() -> None:
    done = enter(ones(10.0).vocals, plan(voice_enters_s=8.0))[:, :]
    assert not done[:, : 4 * SAMPLE_RATE].any()  # two bars at 120 BPM
    assert np.all(done[0, round(4.3 * SAMPLE_RATE) :] == 1.0)
    assert done.dtype == np.float32


@pytest.mark.parametrize("bpm", [0.0, 70.0, 180.0])
def test_a_voice_from_the_first_moment_is_whole(bpm: float) -> None:
    done = enter(ones(10.0).vocals, plan(voice_enters_s=0.0, bpm=bpm))[:, :]
    if bpm:
        assert done[0, 0] == 1.0
    assert np.all(done[0, SAMPLE_RATE:] == 1.0)


@pytest.mark.parametrize("pace", ["same", "half", "double"])
@pytest.mark.parametrize("bpm", [70.0, 120.0, 200.0])
def test_the_longest_pickup_is_let_in(bpm: float, pace: str) -> None:
    facts = song_facts(steady_grid(bpm, 120.0, first_s=0.2), 120.0)
    start = facts.grid.downbeats_s[6] - 2.49 * 60.0 / bpm  # see plan._sung_downbeat
    made = make_plan(
        replace(facts, sung=((start, 60.0),)), facts, Recipe(pace=pace, tempo="backing")
    )
    done = enter(ones(40.0).vocals, made)[:, :]
    begins = apply_warp(made.vocals.warp, np.asarray([start]))[0]
    assert 0 <= begins < made.voice_enters_s
    assert done[0, round(begins * SAMPLE_RATE)] == 1.0


@pytest.mark.parametrize("before_db", [-15.0, -3.0, 9.0])
def test_two_bands_are_made_equally_loud(before_db: float) -> None:
    backing = song_layers().backing
    other = song_layers(10.0 ** (before_db / 20.0)).backing
    done = even({"backing": backing, "vocals": other})
    assert done["backing"] is backing
    assert integrated_lufs(done["vocals"]) == pytest.approx(integrated_lufs(backing), abs=0.1)


@pytest.mark.parametrize(("first", "second", "most_db"), [(0.9, 0.003, 24.0), (0.003, 0.9, -24.0)])
def test_how_far_a_band_is_raised_is_limited(first: float, second: float, most_db: float) -> None:
    other = tone(second)
    done = even({"backing": tone(first), "vocals": other})
    assert gain_db(done["vocals"], other) == pytest.approx(most_db, abs=0.01)


def test_one_band_or_a_silent_one_is_left_alone() -> None:
    sounds, silent = tone(0.1), layer_of(silence(2.0))
    bands: tuple[dict[Role, Layer], ...] = (
        {"backing": sounds},
        {"vocals": sounds},
        {"backing": sounds, "vocals": silent},
        {"backing": silent, "vocals": sounds},
    )
    for given_bands in bands:
        assert even(given_bands) is given_bands
