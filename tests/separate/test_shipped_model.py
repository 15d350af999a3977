"""The network that comes with the package, as it is installed."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.separation import read_stems, sdr_db
from composer import compose
from pipeline.codec import decode
from pipeline.separate.builtin import BUILT_IN, BuiltInSeparator
from pipeline.separate.spleeter import SpleeterSeparator
from pipeline.types import SAMPLE_RATE, Song
from tests.separate.splitting import EXACT, FAST, spleeters_own_vocals, split

if TYPE_CHECKING:
    from pipeline.types import Signal

pytestmark = pytest.mark.slow

AUDIO = Path(__file__).parents[3] / "shared" / "audio"
MOST_BYTES = 8_000_000
INPUT_RMS = 0.125


@pytest.fixture(scope="module")
def separator() -> BuiltInSeparator:
    return BuiltInSeparator(BUILT_IN)


def song_of(samples: Signal) -> Song:
    return Song(samples=samples, title="A song")


def residue_db(separator: BuiltInSeparator, band: Signal) -> float:
    vocals = split(separator, song_of(band)).vocals
    return float(10 * np.log10(np.mean(vocals**2) / np.mean(band**2)))


def test_it_is_small() -> None:
    assert sum(path.stat().st_size for path in BUILT_IN.parent.iterdir()) <= MOST_BYTES


def test_spleeter_itself_loads_it_and_gives_the_same_vocals(
    tmp_path: Path, separator: BuiltInSeparator
) -> None:
    model_dir = tmp_path / "2stems"
    with tarfile.open(BUILT_IN) as archive:
        archive.extractall(model_dir, filter="data")
    (model_dir / ".probe").touch()  # Spleeter's sign that a model is complete
    config = json.loads((model_dir / "config.json").read_text())
    config["model_dir"] = str(model_dir)  # which Spleeter would look for in its own folder
    (model_dir / "config.json").write_text(json.dumps(config))
    samples = compose(5, duration_s=16.0, bpm=120.0).mixture
    # Spleeter knows nothing of levels: the song comes at that of the training.
    song = song_of(samples * np.float32(INPUT_RMS / np.sqrt(np.mean(samples**2))))
    theirs = spleeters_own_vocals(model_dir, song)
    assert np.abs(theirs).max() > 0.05
    for ours, bound in (
        (BuiltInSeparator(BUILT_IN, precision="float32"), EXACT),
        (SpleeterSeparator(model_dir, precision="float32"), EXACT),
        (separator, FAST),
    ):
        np.testing.assert_allclose(split(ours, song).vocals, theirs, atol=bound)


def test_a_composed_voice_is_told_from_its_band(separator: BuiltInSeparator) -> None:
    truth = compose(5, duration_s=20.0, bpm=120.0).stems
    stems = split(separator, song_of(truth.vocals + truth.accompaniment))
    assert sdr_db(truth.vocals, stems.vocals) > 3.0
    assert sdr_db(truth.accompaniment, stems.accompaniment) > 6.0


def test_where_nobody_sings_hardly_anything_is_left(separator: BuiltInSeparator) -> None:
    assert residue_db(separator, compose(6, duration_s=20.0, voice=False).mixture) < -15.0


@pytest.mark.parametrize("n_samples", [0, 1, SAMPLE_RATE])
def test_silence_stays_silent(separator: BuiltInSeparator, n_samples: int) -> None:
    silence = np.zeros((2, n_samples), dtype=np.float32)
    assert not split(separator, song_of(silence)).vocals.any()


@pytest.mark.parametrize(("name", "start_s"), [("twit_journalist.mp3", 20), ("caesium.m4a", 60)])
def test_the_fast_way_is_hardly_heard_in_real_songs(
    separator: BuiltInSeparator, name: str, start_s: int
) -> None:
    path = AUDIO / "songs" / name
    if not path.is_file():
        pytest.skip(f"there is no {name} in ../shared/audio/songs")
    start = start_s * SAMPLE_RATE
    song = song_of(decode(path).samples[:, start : start + 24 * SAMPLE_RATE])
    exact = split(BuiltInSeparator(BUILT_IN, precision="float32"), song).vocals
    error = split(separator, song).vocals - exact
    assert np.abs(exact).max() > 0.1
    assert np.abs(error).max() < FAST
    assert np.sqrt(np.mean(error**2)) < 1e-4


@pytest.mark.parametrize("name", ["potassium", "sodium"])
def test_real_voices_are_told_from_their_bands(separator: BuiltInSeparator, name: str) -> None:
    folder = AUDIO / "stems" / name
    if not folder.is_dir():
        pytest.skip(f"there is no {name} in ../shared/audio/stems")
    truth = read_stems(folder)
    stems = split(separator, song_of(truth.vocals + truth.accompaniment))
    assert sdr_db(truth.vocals, stems.vocals) > 4.0
    assert sdr_db(truth.accompaniment, stems.accompaniment) > 10.0


def test_a_real_instrumental_leaves_hardly_any_voice(separator: BuiltInSeparator) -> None:
    path = AUDIO / "songs" / "vibe_ace.ogg"
    if not path.is_file():
        pytest.skip("there is no vibe_ace in ../shared/audio/songs")
    assert residue_db(separator, decode(path).samples) < -15.0
