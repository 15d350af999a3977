"""Layers read like signals, and know their power without being gone through again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.gains import along, knots
from pipeline.layers import Layer, Layers, layer_of
from pipeline.loudness import gated_lufs, integrated_lufs, measure
from pipeline.tapes import on_disk, stretches
from pipeline.types import SAMPLE_RATE
from tests.songs import short_song

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.gains import Gain


def song_layers() -> Layers:
    stems = short_song(11, bpm=112.0, drift=0.0).stems
    return Layers(vocals=layer_of(stems.vocals), backing=layer_of(stems.accompaniment))


def swell(layer: Layer) -> Gain:
    return np.linspace(0.0, 2.0, knots(layer.shape[1]), dtype=np.float32)


def test_a_new_layer_is_its_signal() -> None:
    samples = short_song(11, bpm=112.0, drift=0.0).stems.vocals
    layer = layer_of(samples)
    assert layer.shape == samples.shape
    assert np.array_equal(layer[:, :], samples)
    assert np.array_equal(layer[:, 1000:2001], samples[:, 1000:2001])
    assert layer[:, 50:40].shape == (2, 0)
    assert layer[:, samples.shape[1] :].shape == (2, 0)
    assert layer[:, :].dtype == np.float32


def test_reading_a_layer_gives_a_copy() -> None:
    layer = layer_of(np.ones((2, 100), dtype=np.float32))
    layer[:, :][:] = 0.0
    assert np.all(layer[:, :] == 1.0)


def test_power_that_is_known_is_not_measured_again() -> None:
    known = np.ones(3)
    assert layer_of(np.zeros((2, 3 * 441), dtype=np.float32), known).raw_power is known


def test_gains_apply_to_both_layers_and_multiply() -> None:
    layers = song_layers()
    gain = swell(layers.vocals)
    done = layers * 0.5 * gain
    for after, before in ((done.vocals, layers.vocals), (done.backing, layers.backing)):
        expected = before[:, :] * along(gain, 0, before.shape[1]) * np.float32(0.5)
        np.testing.assert_allclose(after[:, :], expected, atol=1e-6)
        assert after.gain.dtype == np.float32


def test_layers_sum_to_the_mix() -> None:
    layers = song_layers() * 0.7
    heard = layers.mix[:, 100:50_000]
    assert np.array_equal(heard, layers.vocals[:, 100:50_000] + layers.backing[:, 100:50_000])
    assert layers.mix.shape == layers.vocals.shape


def test_power_follows_the_gain() -> None:
    layer = song_layers().backing
    louder = layer * swell(layer)
    assert gated_lufs(louder.power) == pytest.approx(integrated_lufs(louder), abs=0.02)
    assert len(louder.power) == len(measure(louder))


@pytest.mark.parametrize("length", [0, 1000, 2 * SAMPLE_RATE, 10**9])
def test_a_layer_can_be_cut(length: int) -> None:
    layer = song_layers().vocals
    layer *= swell(layer)
    done = layer.until(length)
    assert np.array_equal(done[:, :], layer[:, :length])
    assert len(done.power) == done.shape[1] // 441
    assert done.power == pytest.approx(layer.power[: len(done.power)])


def test_a_layer_may_lie_on_disk_and_be_worked_through(tmp_path: Path) -> None:
    samples = song_layers().vocals[:, :]
    tape = on_disk(tmp_path)(samples.shape[1])
    tape[:] = samples
    layer = layer_of(tape) * 0.5
    parts = [part[:, 10:-10] for _, (part,) in stretches(layer, size=30_000, margin=10)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), samples * np.float32(0.5))
