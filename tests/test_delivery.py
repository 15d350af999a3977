"""What is delivered is as loud as it should be, whatever the encoder makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soxr

from pipeline import delivery
from pipeline.codec import decode, encode
from pipeline.delivery import deliver
from pipeline.layers import Layers, layer_of
from pipeline.loudness import integrated_lufs, vocals_to_backing_lu
from pipeline.mix import Premaster, level
from pipeline.types import SAMPLE_RATE
from tests.songs import short_song

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.tapes import Sound

pytestmark = pytest.mark.slow


def draft(balance_lu: float = 1.0) -> Premaster:
    stems = short_song(11, bpm=112.0, drift=0.0).stems
    backing = layer_of(stems.accompaniment)
    vocals = level(layer_of(stems.vocals), backing, balance_lu)
    return Premaster(Layers(vocals=vocals, backing=backing))


def finer_peak_dbtp(path: Path) -> float:
    """Return a file's true peak, eight times oversampled."""
    samples = decode(path, shortest_s=0.0).samples
    return 20.0 * float(np.log10(np.abs(soxr.resample(samples.T, 1, 8, quality="VHQ")).max()))


@pytest.mark.parametrize("extension", ["wav", "mp3", "opus"])
def test_a_file_is_as_loud_as_it_is_said_to_be(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    layers, loudness = deliver(draft(), path, "A song")
    assert loudness.integrated_lufs == pytest.approx(-14.0, abs=0.2)
    heard = decode(path, shortest_s=0.0).samples
    assert integrated_lufs(heard) == pytest.approx(loudness.integrated_lufs, abs=0.02)
    assert -2.5 < loudness.true_peak_dbtp <= -1.0
    assert finer_peak_dbtp(path) == pytest.approx(loudness.true_peak_dbtp, abs=0.05)
    assert integrated_lufs(layers.mix) == pytest.approx(-14.0, abs=0.05)


@pytest.mark.parametrize("balance_lu", [-6.0, 1.0, 8.0])
def test_the_balance_is_that_of_the_layers(tmp_path: Path, balance_lu: float) -> None:
    layers, loudness = deliver(draft(balance_lu), tmp_path / "out.wav", "A song")
    assert loudness.vocals_to_backing_lu == pytest.approx(balance_lu, abs=0.5)
    measured = vocals_to_backing_lu(layers.vocals[:, :], layers.backing[:, :])
    assert loudness.vocals_to_backing_lu == pytest.approx(measured, abs=0.02)


@pytest.mark.parametrize(("change_db", "rounds"), [(-0.1, 1), (0.1, 2), (-0.6, 2), (0.6, 2)])
def test_what_an_encoder_does_to_peaks_and_loudness_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change_db: float, rounds: int
) -> None:
    written = []

    def encode_changed(sound: Sound, path: Path, **how: Any) -> Path:
        written.append(sound)
        return encode(sound[:, :] * np.float32(10.0 ** (change_db / 20.0)), path, **how)

    monkeypatch.setattr(delivery, "encode", encode_changed)
    _, loudness = deliver(draft(), tmp_path / "out.wav", "A song")
    assert len(written) == rounds
    assert -1.9 < loudness.true_peak_dbtp <= -1.0
    # The peaks have come down, not the whole of it.
    assert loudness.integrated_lufs == pytest.approx(-14.0, abs=0.2)


@pytest.mark.parametrize("change_db", [-0.6, 0.6])
def test_a_long_mix_is_tried_on_a_passage_and_encoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change_db: float
) -> None:
    lengths = []

    def encode_changed(sound: Sound, path: Path, **how: Any) -> Path:
        lengths.append(sound.shape[1])
        return encode(sound[:, :] * np.float32(10.0 ** (change_db / 20.0)), path, **how)

    monkeypatch.setattr(delivery, "encode", encode_changed)
    monkeypatch.setattr(delivery, "_LONG", 4 * SAMPLE_RATE)
    monkeypatch.setattr(delivery, "_TRIED", 3 * SAMPLE_RATE)
    mix = draft()
    _, loudness = deliver(mix, tmp_path / "out.mp3", "A song", 500_000)
    assert lengths == [3 * SAMPLE_RATE, mix.layers.mix.shape[1]]
    assert -2.5 < loudness.true_peak_dbtp <= -1.0
    assert loudness.integrated_lufs == pytest.approx(-14.0, abs=0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp3"]


def test_a_passage_is_tried_with_its_share_of_the_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets = []

    def encode_noting(sound: Sound, path: Path, **how: Any) -> Path:
        budgets.append(how["max_bytes"] / sound.shape[1])
        return encode(sound, path, **how)

    monkeypatch.setattr(delivery, "encode", encode_noting)
    monkeypatch.setattr(delivery, "_LONG", 4 * SAMPLE_RATE)
    monkeypatch.setattr(delivery, "_TRIED", 3 * SAMPLE_RATE)
    monkeypatch.setattr(delivery, "_HEADERS", 0)
    deliver(draft(), tmp_path / "out.mp3", "A song", 300_000)
    assert budgets[0] == pytest.approx(budgets[1], rel=1e-4)


def test_what_cannot_be_made_loud_enough_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clicks = np.random.default_rng(0).normal(0.0, 1e-5, (2, 44_100)).astype(np.float32)
    clicks[:, ::11_025] = 0.9
    layer = layer_of(clicks)
    written = []

    def encode_noting(sound: Sound, path: Path, **how: Any) -> Path:
        written.append(path)
        return encode(sound, path, **how)

    monkeypatch.setattr(delivery, "encode", encode_noting)
    _, loudness = deliver(Premaster(Layers(vocals=layer, backing=layer)), tmp_path / "o.wav", "x")
    assert loudness.integrated_lufs < -20.0
    assert len(written) == 1


@pytest.mark.parametrize("length", [1, 1000])
def test_silence_is_delivered_as_silence(tmp_path: Path, length: int) -> None:
    quiet = layer_of(np.zeros((2, length), dtype=np.float32))
    _, loudness = deliver(Premaster(Layers(vocals=quiet, backing=quiet)), tmp_path / "o.wav", "x")
    assert loudness.integrated_lufs == loudness.true_peak_dbtp == float("-inf")
    assert loudness.vocals_to_backing_lu is None
