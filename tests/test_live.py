"""A mix is mastered while it is measured, and comes out as if it had been measured before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.delivery import deliver
from pipeline.layers import Layer, Layers, layer_of
from pipeline.live import LiveMaster, MissedError
from pipeline.loudness import gated_lufs, measure
from pipeline.mix import Premaster, master
from pipeline.types import SAMPLE_RATE
from tests.songs import short_song

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.gains import Gain
    from pipeline.types import Signal

CEILING_DBTP = -1.5


def layers(gain: float = 1.0) -> Layers:
    """Return the layers of two songs that have nothing to do with each other."""
    voice = short_song(11, bpm=112.0, drift=0.0).stems.vocals
    band = short_song(12, bpm=97.0, drift=0.0).stems.accompaniment
    length = min(voice.shape[1], band.shape[1])
    return Layers(
        vocals=layer_of(voice[:, :length] * np.float32(gain)),
        backing=layer_of(band[:, :length] * np.float32(gain)),
    )


def read(live: LiveMaster, size: int) -> Signal:
    parts = [live[:, at : at + size] for at in range(0, live.shape[1], size)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("size", [1000, SAMPLE_RATE, 10**7])
@pytest.mark.parametrize("gain", [0.05, 1.0])
def test_it_reads_like_what_was_mastered_beforehand(size: int, gain: float) -> None:
    told: list[Gain] = []
    draft = Premaster(layers(gain))
    with LiveMaster(draft, CEILING_DBTP, -17.0, told.append) as live:
        heard = read(live, size)
    assert len(told) == 1
    np.testing.assert_allclose(heard, (draft.layers * told[0]).mix[:, :], atol=1e-5)
    expected = master(Premaster(layers(gain)), CEILING_DBTP, -17.0).mix[:, :]
    np.testing.assert_allclose(heard, expected, rtol=0.012, atol=1e-4)  # 0.1 dB
    assert gated_lufs(measure(heard)) == pytest.approx(-17.0, abs=0.06)


def test_two_songs_that_are_one_are_found_out() -> None:
    voice = layers().vocals
    draft = Premaster(Layers(vocals=voice, backing=voice))
    with LiveMaster(draft, CEILING_DBTP, -14.0, lambda _: None) as live, pytest.raises(MissedError):
        read(live, SAMPLE_RATE)
    assert draft.measured is not None


@pytest.mark.parametrize("extension", ["mp3", "opus"])
def test_two_songs_that_are_one_are_delivered_as_loud_as_others(
    tmp_path: Path, extension: str
) -> None:
    voice = layers().vocals
    told: list[Gain] = []
    done, loudness = deliver(
        Premaster(Layers(vocals=voice, backing=voice)),
        tmp_path / f"out.{extension}",
        "One",
        on_mastered=lambda _, gain: told.append(gain),
    )
    assert loudness.integrated_lufs == pytest.approx(-14.0, abs=0.2)
    assert np.array_equal(done.vocals.gain, voice.gain * told[-1])
    assert [path.name for path in tmp_path.iterdir()] == [f"out.{extension}"]


def test_whoever_stops_reading_stops_the_measuring() -> None:
    before = threading.active_count()
    with LiveMaster(Premaster(layers()), CEILING_DBTP, -14.0, lambda _: None) as live:
        live[:, :100]
    assert threading.active_count() == before


def test_an_error_while_measuring_reaches_the_reader() -> None:
    class Torn(Layer):
        def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
            raise MemoryError("torn")

    good = layers()
    bad = Torn(samples=good.vocals.samples, raw_power=good.vocals.raw_power, gain=good.vocals.gain)
    draft = Premaster(Layers(vocals=bad, backing=good.backing))
    with (
        LiveMaster(draft, CEILING_DBTP, -14.0, lambda _: None) as live,
        pytest.raises(MemoryError, match="torn"),
    ):
        read(live, SAMPLE_RATE)
