from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.codec import decode
from pipeline.key import find_key, find_pitch, key_of_profile
from pipeline.meeting import SURE
from pipeline.types import SAMPLE_RATE, Key
from tests.songs import clicks, short_song, sine

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from pipeline.types import Mode, Signal

    Floats = npt.NDArray[np.float64]

AUDIO = Path(__file__).parents[2] / "shared" / "audio"
needs_audio = pytest.mark.skipif(
    not AUDIO.is_dir(), reason="the folder shared/audio beside the repository is absent"
)

DEGREES: dict[Mode, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
}
# Tonic chord and the fourth and fifth degrees: what a cadence leaves in a profile.
STRESSED: dict[Mode, tuple[int, ...]] = {"major": (0, 0, 4, 7, 7, 5), "minor": (0, 0, 3, 7, 7, 5)}


def scale_profile(key: Key) -> Floats:
    profile = np.zeros(12)
    for degree in (*DEGREES[key.mode], *STRESSED[key.mode]):
        profile[(key.tonic + degree) % 12] += 1.0
    return profile


def chords(roots: Sequence[tuple[int, ...]], *, cents: float = 0.0) -> Signal:
    """Play chords of MIDI notes, one second each, with some overtones."""
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    fade = np.minimum(1.0, 20.0 * np.minimum(time_s, 1.0 - time_s))
    parts = []
    for chord in roots:
        sound = np.zeros(SAMPLE_RATE)
        for note in chord:
            hz = 440.0 * 2.0 ** ((note - 69 + cents / 100.0) / 12.0)
            sound += sum(np.sin(2 * np.pi * hz * n * time_s) / n**2 for n in range(1, 6))
        parts.append(0.1 * fade * sound)
    mono = np.concatenate(parts)
    return np.asarray([mono, mono], dtype=np.float32)


CADENCE = [(60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67)]  # C F G C


@pytest.mark.parametrize("mode", ["major", "minor"])
@pytest.mark.parametrize("tonic", range(12))
def test_scales_name_their_key(tonic: int, mode: Mode) -> None:
    key = Key(tonic=tonic, mode=mode)
    found = key_of_profile(scale_profile(key))
    assert found is not None
    assert str(found) == str(key)
    assert found.confidence > SURE


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1.0), min_size=12, max_size=12), st.integers(0, 11))
def test_a_transposed_profile_is_in_the_transposed_key(strengths: list[float], steps: int) -> None:
    profile = np.asarray(strengths)
    key, moved = key_of_profile(profile), key_of_profile(np.roll(profile, steps))
    if key is None or moved is None:
        assert key is moved
        return
    assert 0.0 <= key.confidence <= 1.0
    assert moved.confidence == pytest.approx(key.confidence, abs=1e-9)
    # Where two keys fit equally well, either may be named.
    if key.confidence > 1e-9:
        assert moved.signature == (key.signature + steps) % 12


@pytest.mark.parametrize("profile", [np.zeros(12), np.ones(12), np.full(12, 0.3)])
def test_a_flat_profile_has_no_key(profile: Floats) -> None:
    assert key_of_profile(profile) is None


@pytest.mark.parametrize(("up", "name"), [(0, "C major"), (3, "Eb major"), (-5, "G major")])
def test_a_cadence(up: int, name: str) -> None:
    found = find_key(chords([tuple(note + up for note in chord) for chord in CADENCE]))
    assert found is not None
    assert str(found) == name
    assert found.confidence > SURE


@pytest.mark.parametrize("cents", [-40.0, 35.0])
def test_a_song_out_of_tune_has_its_nearest_key(cents: float) -> None:
    found = find_key(chords(CADENCE, cents=cents))
    assert found is not None
    assert str(found) == "C major"


@pytest.mark.parametrize(
    ("seed", "bpm", "drift"), [(11, 112.0, 0.0), (12, 90.0, 0.02), (13, 138.0, 0.01)]
)
def test_composed_songs(seed: int, bpm: float, drift: float) -> None:
    song = short_song(seed, bpm=bpm, drift=drift)
    found = find_key(song.mixture)
    assert found is not None
    assert found.signature == song.key.signature
    assert found.confidence > SURE


@pytest.mark.parametrize("duration_s", [0.0, 0.3, 5.0])
def test_silence_has_no_key(duration_s: float) -> None:
    silence = np.zeros((2, round(duration_s * SAMPLE_RATE)), dtype=np.float32)
    assert find_pitch(silence) == (None, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_key(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0.0, 0.1, (2, 5 * SAMPLE_RATE))
    assert find_key(noise.astype(np.float32)) is None


def test_clicks_have_no_key() -> None:
    assert find_key(clicks(np.arange(0, 8, 0.25), 8.0)) is None


@pytest.mark.parametrize("tune", [1.0, 1.06])
def test_drums_have_no_key_that_is_sure(tune: float) -> None:
    """A kick, a snare and a tom, each on its own pitch, none of which makes a scale."""
    rng = np.random.default_rng(5)
    time_s = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    pitches_hz = np.asarray([52.0, 186.0, 140.0, 332.0]) * tune
    strokes = [
        np.sin(2 * np.pi * hz * (1 + 2 * np.exp(-time_s / 0.03)) * time_s) * np.exp(-time_s / 0.06)
        + rng.normal(0.0, 0.5, len(time_s)) * np.exp(-time_s / 0.05)
        for hz in pitches_hz
    ]
    mono = 0.3 * np.concatenate(strokes * 8)
    found = find_key(np.asarray([mono, mono], dtype=np.float32))
    assert found is None or found.confidence < SURE


@pytest.mark.parametrize("cents", [-45, -20, 0, 10, 30])
def test_the_tuning_of_a_cadence(cents: int) -> None:
    assert find_pitch(chords(CADENCE, cents=cents))[1] == pytest.approx(cents / 100, abs=0.03)


@pytest.mark.parametrize("cents", [-30, 0, 30])
def test_the_tuning_of_a_composed_song(cents: int) -> None:
    mixture = short_song(11, bpm=112.0).mixture
    rate = SAMPLE_RATE * 2.0 ** (cents / 1200)
    tuned = soxr.resample(mixture.T, rate, SAMPLE_RATE).T
    assert find_pitch(tuned)[1] == pytest.approx(cents / 100, abs=0.05)


@pytest.mark.parametrize("frequency_hz", [220.0, 261.63, 987.77])
def test_the_tuning_of_a_sine(frequency_hz: float) -> None:
    sharp = sine(frequency_hz * 2.0 ** (0.25 / 12), 3.0, peak=0.3)
    assert find_pitch(sharp)[1] == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros((2, 0), dtype=np.float32),
        np.zeros((2, 3 * SAMPLE_RATE), dtype=np.float32),
        np.random.default_rng(0).normal(0, 0.1, (2, 3 * SAMPLE_RATE)).astype(np.float32),
        clicks(np.arange(0, 8, 0.25), 8.0),
    ],
    ids=["empty", "silence", "noise", "clicks"],
)
def test_without_pitch_there_is_no_tuning(samples: Signal) -> None:
    assert find_pitch(samples)[1] == 0.0


@needs_audio
@pytest.mark.parametrize(
    ("name", "stated"), [("hydrogen", "D major"), ("potassium", "C major"), ("sodium", "G minor")]
)
def test_real_songs_are_in_their_key_or_unsure(name: str, stated: str) -> None:
    folder = AUDIO / "stems" / name
    parts = [decode(folder / f"{part}.ogg").samples for part in ("vocals", "accompaniment")]
    found, tuning = find_pitch(parts[0] + parts[1])
    assert found is not None
    assert str(found) == stated or found.confidence < SURE
    assert abs(tuning) < 0.05
