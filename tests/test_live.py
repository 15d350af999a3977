"""A mix is mastered while it is measured, and comes out as if it had been measured before."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline.delivery import deliver
from pipeline.gains import power_gain
from pipeline.layers import Layer, Layers, layer_of
from pipeline.live import SHORTEST, LiveMaster, MissedError, expected_gain_db
from pipeline.loudness import gated_lufs, measure
from pipeline.mix import Premaster, limited_gain, master
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
    assert gated_lufs(measure(heard)) == pytest.approx(-17.0, abs=0.02)


@pytest.mark.parametrize("wanted_lufs", [-20.0, -14.0, -12.0])  # limited not at all, and much
@pytest.mark.parametrize("alike", [False, True])
def test_samples_tell_how_loud_a_mix_will_be(*, wanted_lufs: float, alike: bool) -> None:
    parts = layers()
    if alike:  # and so add up to more than two that have nothing to do with each other
        parts = Layers(vocals=parts.vocals, backing=parts.vocals)
    gain_db = expected_gain_db(Premaster(parts), CEILING_DBTP, wanted_lufs)
    draft = Premaster(parts)
    gain = limited_gain(draft.peaks, gain_db, CEILING_DBTP)
    reached = gated_lufs(draft.power * power_gain(gain, len(draft.power)))
    assert reached == pytest.approx(wanted_lufs, abs=0.05)


def test_samples_without_a_sound_tell_nothing() -> None:
    sound = np.zeros((2, 60 * SAMPLE_RATE), dtype=np.float32)
    sound[:, : SAMPLE_RATE // 2] = layers().backing[:, 5 * SAMPLE_RATE :][:, : SAMPLE_RATE // 2]
    draft = Premaster(Layers(vocals=layer_of(sound), backing=layer_of(np.zeros_like(sound))))
    wanted_lufs = draft.expected_lufs - 3.0
    gain_db = expected_gain_db(draft, CEILING_DBTP, wanted_lufs)
    assert gain_db == pytest.approx(-3.0, abs=0.01)


@pytest.mark.parametrize("error_db", [-0.1, 0.1])
def test_what_is_missing_comes_over_the_second_half(
    monkeypatch: pytest.MonkeyPatch, error_db: float
) -> None:
    def nearly(*of: Any) -> float:
        return expected_gain_db(*of) + error_db

    monkeypatch.setattr("pipeline.live.expected_gain_db", nearly)
    told: list[Gain] = []
    draft = Premaster(layers(0.05))
    with LiveMaster(draft, 0.0, -25.0, told.append) as live:
        heard = read(live, SAMPLE_RATE)
    assert gated_lufs(measure(heard)) == pytest.approx(-25.0, abs=0.02)
    [gain] = told
    gain_db = 20.0 * np.log10(gain)
    middle = len(gain) // 2
    assert np.ptp(gain_db[:middle]) < 1e-3
    assert 0.1 < abs(gain_db[-1] - gain_db[0]) < 0.5
    assert np.sign(gain_db[-1] - gain_db[0]) == -np.sign(error_db)
    assert np.abs(np.diff(gain_db)).max() < 1e-4  # 0.1 dB a second


@pytest.mark.parametrize("error_db", [-1.0, 1.0])
def test_what_was_taken_for_something_else_is_found_out(
    monkeypatch: pytest.MonkeyPatch, error_db: float
) -> None:
    def wrong(*of: Any) -> float:
        return expected_gain_db(*of) + error_db

    monkeypatch.setattr("pipeline.live.expected_gain_db", wrong)
    draft = Premaster(layers())
    with LiveMaster(draft, CEILING_DBTP, -14.0, lambda _: None) as live, pytest.raises(MissedError):
        read(live, SAMPLE_RATE)
    assert draft.measured is not None


@pytest.mark.parametrize("extension", ["mp3", "opus"])
@pytest.mark.parametrize("error_db", [0.0, 1.0])
def test_what_was_missed_is_delivered_as_loud_as_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extension: str, error_db: float
) -> None:
    asked: list[float] = []

    def take_for(*of: Any) -> float:
        asked.append(error_db)
        return expected_gain_db(*of) + error_db

    monkeypatch.setattr("pipeline.live.expected_gain_db", take_for)
    monkeypatch.setattr("pipeline.delivery.SHORTEST", 0)
    voice = layers().vocals
    told: list[Gain] = []
    done, loudness = deliver(
        Premaster(Layers(vocals=voice, backing=voice)),
        tmp_path / f"out.{extension}",
        "One",
        on_mastered=lambda _, gain: told.append(gain),
    )
    assert len(asked) == 1
    assert loudness.integrated_lufs == pytest.approx(-14.0, abs=0.2)
    assert np.array_equal(done.vocals.gain, voice.gain * told[-1])
    assert [path.name for path in tmp_path.iterdir()] == [f"out.{extension}"]


def test_a_short_mix_is_measured_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any) -> float:
        raise AssertionError

    monkeypatch.setattr("pipeline.live.expected_gain_db", never)
    assert layers().mix.shape[1] < SHORTEST
    _, loudness = deliver(Premaster(layers()), tmp_path / "out.mp3", "One")
    assert loudness.integrated_lufs == pytest.approx(-14.0, abs=0.1)


def test_whoever_stops_reading_stops_the_measuring() -> None:
    before = threading.active_count()
    with LiveMaster(Premaster(layers()), CEILING_DBTP, -14.0, lambda _: None) as live:
        live[:, :100]
    assert threading.active_count() == before


def test_an_error_while_measuring_reaches_the_reader() -> None:
    class Torn(Layer):
        def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
            if key[1].stop - key[1].start == SAMPLE_RATE:  # not one of the samples
                raise MemoryError("torn")
            return super().__getitem__(key)

    good = layers()
    bad = Torn(samples=good.vocals.samples, raw_power=good.vocals.raw_power, gain=good.vocals.gain)
    draft = Premaster(Layers(vocals=bad, backing=good.backing))
    with (
        LiveMaster(draft, CEILING_DBTP, -14.0, lambda _: None) as live,
        pytest.raises(MemoryError, match="torn"),
    ):
        read(live, SAMPLE_RATE)
