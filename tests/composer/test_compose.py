from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyloudnorm
import pytest
from scipy import signal

from composer import Composition, compose
from composer.clock import wind_clock
from pipeline.types import SAMPLE_RATE, Key

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal

    Floats = npt.NDArray[np.float64]

pytestmark = pytest.mark.slow

# Krumhansl and Kessler's probe-tone profiles (1982): how well each degree fits a key.
PROFILES = {
    "major": [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88],
    "minor": [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17],
}


def loudness(samples: Signal) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T))


def sung(song: Composition) -> npt.NDArray[np.bool_]:
    mask = np.zeros(song.mixture.shape[-1], dtype=bool)
    for start, end in song.voice_spans_s:
        mask[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    return mask


def attacks_near(samples: Signal, times_s: Floats) -> Floats:
    """Where the treble, in which only the drums' attacks are, rises most within 12 ms of a time.

    The ratio of the energy of the next 1.5 ms to that of the last 1.5 ms is greatest where a
    sound starts.
    """
    treble = signal.butter(2, 7000, "highpass", fs=SAMPLE_RATE, output="sos")
    energy = np.sum(signal.sosfilt(treble, samples, axis=-1) ** 2, axis=0)
    width, reach = 66, 530
    total = np.concatenate([np.zeros(width + 1), np.cumsum(energy), np.zeros(width)])
    total[-width:] = total[-width - 1]
    after = total[2 * width :] - total[width:-width]
    before = total[width:-width] - total[: -2 * width]
    rise = after / (before + 1e-4 * np.max(after))
    found = []
    for time in times_s:
        start = max(0, round(time * SAMPLE_RATE) - reach)
        found.append((start + int(np.argmax(rise[start : start + 2 * reach]))) / SAMPLE_RATE)
    return np.array(found)


def chroma(samples: Signal) -> Floats:
    low = signal.decimate(np.mean(samples, axis=0), 8)
    f, _, spectrum = signal.stft(low, fs=SAMPLE_RATE / 8, nperseg=4096)
    keep = (f > 100) & (f < 1200)
    classes = np.round(12 * np.log2(f[keep] / 440) + 9).astype(int) % 12
    return np.array([np.sum(np.abs(spectrum[keep][classes == c])) for c in range(12)])


def key_of(samples: Signal) -> Key:
    heard = chroma(samples)
    keys = [Key(tonic=t, mode=m) for t in range(12) for m in ("major", "minor")]  # type: ignore[arg-type]  # mypy widens the strings
    return max(
        keys, key=lambda k: float(np.corrcoef(heard, np.roll(PROFILES[k.mode], k.tonic))[0, 1])
    )


def test_mixture_is_the_sum_of_the_stems(songs: list[Composition]) -> None:
    for song in songs:
        assert song.mixture.dtype == np.float32
        assert song.mixture.shape == (2, 16 * SAMPLE_RATE)
        np.testing.assert_array_equal(
            song.mixture, song.stems.vocals + song.stems.accompaniment, strict=True
        )


def test_same_seed_same_song() -> None:
    first, second = (compose(5, duration_s=8.0, bpm=150.0, intro_bars=1) for _ in range(2))
    np.testing.assert_array_equal(first.mixture, second.mixture)
    np.testing.assert_array_equal(first.stems.vocals, second.stems.vocals)
    assert (first.title, first.grid, first.key) == (second.title, second.grid, second.key)


def test_other_seed_other_song(songs: list[Composition]) -> None:
    assert len({song.title for song in songs}) > 7
    assert len({song.grid.bpm for song in songs}) > 7
    assert len({str(song.key) for song in songs}) > 5
    for one, other in pairwise(songs):
        assert not np.array_equal(one.mixture, other.mixture)


def test_levels(songs: list[Composition]) -> None:
    for song in songs:
        assert loudness(song.mixture) == pytest.approx(-16.0, abs=0.1)
        assert np.max(np.abs(song.mixture)) < 1.0
        mask = sung(song)
        gap = loudness(song.stems.vocals[:, mask]) - loudness(song.stems.accompaniment[:, mask])
        assert gap == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("lufs", [-30.0, -10.0])
def test_loudness_as_asked(lufs: float) -> None:
    song = compose(7, duration_s=10.0, bpm=126.0, intro_bars=1, loudness_lufs=lufs)
    assert loudness(song.mixture) == pytest.approx(lufs, abs=0.1)
    assert np.max(np.abs(song.mixture)) < 1.0


@pytest.mark.parametrize(
    ("bpm", "wishes"),
    [
        (60.0, {}),
        (90.0, {"drift": 0.04}),
        (128.0, {"pickup_beats": 1}),
        (150.0, {"drift": 0.03, "swing": 1 / 3}),
        (190.0, {}),
        (110.0, {"beats_per_bar": 3, "drift": 0.02, "pickup_beats": 2}),
        (180.0, {"beats_per_bar": 3}),
    ],
)
def test_beats_are_heard_where_the_grid_says(bpm: float, wishes: dict[str, Any]) -> None:
    song = compose(11, duration_s=16.5, bpm=bpm, intro_bars=1, **wishes)
    beats = np.array(song.grid.beats_s)
    late = attacks_near(song.stems.accompaniment, beats) - beats
    assert np.max(np.abs(late)) < 0.0015
    assert np.median(np.abs(late)) < 0.0003


@pytest.mark.parametrize(("bpm", "swing"), [(100.0, 0.0), (100.0, 0.25), (150.0, 1 / 3)])
def test_swing_delays_the_off_beats(bpm: float, swing: float) -> None:
    song = compose(2, duration_s=14.0, bpm=bpm, intro_bars=1, swing=swing, drift=0.02)
    beats = np.array(song.grid.beats_s)[:-8]  # before the fill and the last chord
    off = beats[:-1] + np.diff(beats) * (0.5 + 0.5 * swing)
    late = attacks_near(song.stems.accompaniment, off) - off
    assert np.median(np.abs(late)) < 0.001
    assert np.mean(np.abs(late) < 0.0015) > 0.8  # fills leave out a few


@pytest.mark.parametrize("drift", [0.0, 0.01, 0.05])
@pytest.mark.parametrize(("bpm", "duration_s"), [(72.0, 40.0), (174.0, 20.0), (120.0, 200.0)])
def test_tempo_wanders_slowly_as_far_as_asked(bpm: float, duration_s: float, drift: float) -> None:
    clock = wind_clock(
        np.random.default_rng(3),
        duration_s=duration_s,
        bpm=bpm,
        drift=drift,
        swing=0.0,
        lead_s=0.2,
        pickup_beats=0,
    )
    beats = clock.seconds(np.arange(int(clock.position(duration_s))))
    tempo = 60 / np.diff(beats)
    assert beats[0] == pytest.approx(0.2, abs=1e-9)
    assert np.mean(np.diff(beats)) == pytest.approx(60 / bpm, rel=0.15 * drift + 1e-9)
    assert np.max(np.abs(tempo / bpm - 1)) == pytest.approx(drift, rel=0.05, abs=1e-9)
    # Neighbouring beats differ by far less than the whole wander.
    assert np.max(np.abs(np.diff(tempo))) <= 0.35 * drift * bpm + 1e-6


def test_grid_has_the_tempo_and_drift_asked_for() -> None:
    song = compose(3, duration_s=20.0, bpm=174.0, drift=0.05, intro_bars=1, voice=False)
    tempo = 60 / np.diff(song.grid.beats_s)
    assert song.grid.bpm == 174.0
    assert np.mean(tempo) == pytest.approx(174.0, rel=0.01)
    assert np.max(np.abs(tempo / 174.0 - 1)) == pytest.approx(0.05, rel=0.2)


@pytest.mark.parametrize(("beats_per_bar", "pickup"), [(4, 0), (4, 1), (3, 0), (3, 2)])
def test_downbeats_and_pickup(beats_per_bar: int, pickup: int) -> None:
    song = compose(
        8,
        duration_s=12.0,
        bpm=132.0,
        beats_per_bar=beats_per_bar,
        pickup_beats=pickup,
        intro_bars=2,
    )
    grid = song.grid
    assert grid.beats_per_bar == beats_per_bar
    assert grid.downbeats_s == grid.beats_s[pickup::beats_per_bar]
    assert (len(grid.beats_s) - pickup) % beats_per_bar == 0
    assert grid.beats_s[-1] < 12.0
    # The song starts with the pickup, not before, and so does the first phrase.
    silence = song.mixture[:, : int(grid.beats_s[0] * SAMPLE_RATE)]
    assert np.max(np.abs(silence)) < 1e-6
    first = grid.beats_s[2 * beats_per_bar]
    assert song.voice_spans_s[0][0] == pytest.approx(first, abs=2 / SAMPLE_RATE)


def test_voice_sounds_in_its_spans_only(songs: list[Composition]) -> None:
    for song in songs:
        vocals = song.stems.vocals
        assert not np.any(vocals[:, ~sung(song)])
        assert song.voice_spans_s[0][0] >= song.grid.downbeats_s[1] - 1 / SAMPLE_RATE
        backing = np.sqrt(np.mean(song.stems.accompaniment**2))
        for start, end in song.voice_spans_s:
            phrase = vocals[:, round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]
            assert np.sqrt(np.mean(phrase**2)) > 0.3 * backing
            assert np.sqrt(np.mean(phrase[:, : SAMPLE_RATE // 10] ** 2)) > 0.03 * backing
            assert np.min(np.abs(np.array(song.grid.beats_s) - start)) < 2 / SAMPLE_RATE


def test_phrases_are_apart(songs: list[Composition]) -> None:
    for song in songs:
        assert len(song.voice_spans_s) >= 2
        for (_, end), (start, _) in pairwise(song.voice_spans_s):
            assert start - end > 0.4


def test_instrumental_song() -> None:
    song = compose(4, duration_s=8.0, bpm=130.0, intro_bars=1, voice=False)
    assert song.voice_spans_s == ()
    assert not np.any(song.stems.vocals)
    assert loudness(song.mixture) == pytest.approx(-16.0, abs=0.1)


def test_key_can_be_heard(songs: list[Composition]) -> None:
    heard = [key_of(song.stems.accompaniment) for song in songs]
    right = [
        (k.tonic, k.mode) == (s.key.tonic, s.key.mode) for k, s in zip(heard, songs, strict=True)
    ]
    assert sum(right) >= 9


@pytest.mark.parametrize("key", [Key(tonic=0, mode="major"), Key(tonic=9, mode="minor")])
def test_last_note_is_the_tonic_of_the_key_asked_for(key: Key) -> None:
    song = compose(6, duration_s=16.0, bpm=96.0, intro_bars=1, key=key)
    assert song.key == key
    start, end = song.voice_spans_s[-1]
    middle = (start + end) / 2
    held = song.stems.vocals[0, round((middle - 0.4) * SAMPLE_RATE) :][: int(0.8 * SAMPLE_RATE)]
    again = signal.correlate(held, held, method="fft")[len(held) - 1 :]
    shortest, longest = SAMPLE_RATE // 800, SAMPLE_RATE // 90
    period = shortest + int(np.argmax(again[shortest:longest]))
    pitch = 12 * np.log2(SAMPLE_RATE / period / 440) + 69
    away = (pitch - key.tonic + 6) % 12 - 6
    assert abs(away) < 0.5


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"duration_s": 1.0}, "duration_s is 1"),
        ({"duration_s": float("nan")}, "duration_s is nan"),
        ({"bpm": 20.0}, "bpm is 20"),
        ({"bpm": 500.0}, "bpm is 500"),
        ({"drift": 0.5}, "drift is 0.5"),
        ({"drift": -0.01}, "drift is -0.01"),
        ({"swing": 0.7}, "swing is 0.7"),
        ({"beats_per_bar": 5}, "beats_per_bar is 5"),
        ({"pickup_beats": 4}, "pickup_beats is 4"),
        ({"loudness_lufs": 0.0}, "loudness_lufs is 0"),
        ({"intro_bars": -1}, "intro_bars is -1"),
        ({"duration_s": 10.0, "bpm": 60.0}, "hold 2 bars"),
    ],
)
def test_bad_wishes_are_refused(wishes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        compose(wishes.pop("seed", 0), **wishes)
    assert str(caught.value).endswith(".")
