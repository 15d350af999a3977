from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal

from benchmarks.separation import TRAINED_ON
from pipeline.codec import decode
from pipeline.denoise import Method, denoise
from pipeline.loudness import short_term_lufs
from pipeline.separate.builtin import BUILT_IN, BuiltInSeparator
from pipeline.singing import GRAIN, where_sung
from pipeline.tapes import on_disk
from pipeline.types import SAMPLE_RATE, Song, Stems

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal

pytestmark = pytest.mark.slow

STEMS = Path(__file__).parents[2] / "shared" / "audio" / "stems"
METHODS: tuple[Method, ...] = ("mask", "threshold")
SUNG_S = ((2.0, 5.0), (9.0, 11.0))
LENGTH_S = 14.0
REAL_S = {"sodium": (20.0, 60.0), "francium": (30.0, 62.0)}


def sdr_db(truth: Signal, estimate: Signal) -> float:
    error = np.sum((truth - estimate) ** 2, dtype=np.float64) + 1e-20
    return 10 * float(np.log10(np.sum(truth**2, dtype=np.float64) / error))


def at(start_s: float, stop_s: float) -> slice:
    return slice(round(start_s * SAMPLE_RATE), round(stop_s * SAMPLE_RATE))


def rms_db(signal: Signal) -> float:
    return 10 * float(np.log10(np.mean(signal.astype(np.float64) ** 2) + 1e-20))


@cache
def voice() -> Signal:
    """A centred tone of 12 partials with vibrato, sung twice; float32, shape (2, n)."""
    time_s = np.arange(round(LENGTH_S * SAMPLE_RATE)) / SAMPLE_RATE
    phase = 2 * np.pi * 220.0 * time_s + 2.0 * np.sin(2 * np.pi * 5.5 * time_s)
    tone = np.sum([np.sin(k * phase) / k for k in range(1, 13)], axis=0)
    sung = np.zeros_like(time_s)
    for start_s, stop_s in SUNG_S:
        sung += np.clip((time_s - start_s) / 0.03, 0, 1) * np.clip((stop_s - time_s) / 0.1, 0, 1)
    mono = (0.1 * tone * sung).astype(np.float32)
    return np.stack([mono, mono])


@cache
def band() -> Signal:
    """Wide noise, louder at every half second; float32, shape (2, n)."""
    random = np.random.default_rng(1)
    count = round(LENGTH_S * SAMPLE_RATE)
    noise = scipy.signal.lfilter([1.0], [1.0, -0.95], random.standard_normal((2, count)))
    beat = 0.4 + np.exp(-8.0 * (np.arange(count) / SAMPLE_RATE % 0.5))
    return np.asarray(0.02 * noise * beat, dtype=np.float32)


@cache
def stems() -> Stems:
    """The voice with a fifth of the band in it, and the rest of the band."""
    bleed = np.float32(0.2) * band()
    return Stems(vocals=voice() + bleed, accompaniment=band() - bleed)


def test_the_voice_of_the_tests_is_heard_where_it_sings() -> None:
    sung = where_sung(stems().vocals, stems().accompaniment)
    middles_s = (np.arange(len(sung)) + 0.5) * GRAIN / SAMPLE_RATE
    truth = np.any([(a < middles_s) & (middles_s < b) for a, b in SUNG_S], axis=0)
    assert np.mean(sung == truth) > 0.93


@pytest.mark.parametrize("method", METHODS)
def test_residue_goes_where_nobody_sings(method: Method) -> None:
    cleaned = denoise(stems().vocals, stems().accompaniment, 1.0, method)
    for part in (at(0.2, 1.7), at(5.6, 8.6), at(11.6, 13.8)):
        assert rms_db(stems().vocals[:, part]) - rms_db(cleaned[:, part]) > 30.0
    assert sdr_db(voice(), cleaned) > sdr_db(voice(), stems().vocals)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("noise_db", [float("-inf"), -70.0])
def test_a_clean_voice_stays(method: Method, noise_db: float) -> None:
    reference = np.zeros_like(voice()) + band() * np.float32(10 ** (noise_db / 20))
    assert sdr_db(voice(), denoise(voice(), reference, 1.0, method)) > 25.0


def test_a_voice_that_never_rests_stays() -> None:
    vocals = voice()[:, at(2.2, 4.8)]
    cleaned = denoise(vocals, band()[:, at(2.2, 4.8)], 1.0, "mask")
    assert sdr_db(vocals, cleaned) > 25.0


def test_half_the_amount_is_half_the_decibels() -> None:
    part = at(6.0, 8.0)
    whole, half = (
        rms_db(stems().vocals[:, part])
        - rms_db(denoise(stems().vocals, stems().accompaniment, amount)[:, part])
        for amount in (1.0, 0.5)
    )
    assert half == pytest.approx(whole / 2, abs=3.0)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_done_by_no_amount(method: Method) -> None:
    assert denoise(stems().vocals, stems().accompaniment, 0.0, method) is stems().vocals


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [0, 1, 4410, GRAIN * 7 + 3])
def test_short_and_silent_stems(method: Method, length: int) -> None:
    tone, silence = voice()[:, 3 * SAMPLE_RATE :][:, :length], np.zeros((2, length), np.float32)
    for vocals, rest in ((tone, silence), (tone, tone), (silence, tone), (silence, silence)):
        cleaned = denoise(vocals, rest, 1.0, method)
        assert cleaned.shape == (2, length)
        assert cleaned.dtype == np.float32
        assert np.isfinite(cleaned).all()
        assert cleaned.any() == vocals.any()


def test_a_mono_song_stays_mono() -> None:
    rest = np.repeat(stems().accompaniment.mean(axis=0, keepdims=True), 2, axis=0)
    vocals = voice() + np.float32(0.25) * rest
    cleaned = denoise(vocals, rest, 1.0)
    np.testing.assert_array_equal(cleaned[0], cleaned[1])
    assert sdr_db(voice(), cleaned) > sdr_db(voice(), vocals)


@pytest.mark.parametrize("method", METHODS)
def test_the_gate_does_not_click(method: Method) -> None:
    jumps = np.abs(np.diff(stems().vocals))
    cleaned = np.abs(np.diff(denoise(stems().vocals, stems().accompaniment, 1.0, method)))
    still = slice(0, round(1.8 * SAMPLE_RATE))
    assert cleaned.max() <= jumps.max()
    assert cleaned[:, still].max() <= np.percentile(jumps, 99.99)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_moved_in_time(method: Method) -> None:
    cleaned = denoise(stems().vocals, stems().accompaniment, 1.0, method)
    likeness = scipy.signal.correlate(cleaned[0], voice()[0], mode="same", method="fft")
    assert np.argmax(likeness) == voice().shape[1] // 2


def test_rumble_below_the_voice_goes() -> None:
    time_s = np.arange(voice().shape[1]) / SAMPLE_RATE
    rumble = (0.05 * np.sin(2 * np.pi * 30.0 * time_s)).astype(np.float32)
    cleaned = denoise(voice() + rumble, np.zeros_like(voice()), 1.0)
    assert rms_db((cleaned - voice())[:, at(2.5, 4.5)]) < rms_db(rumble) - 20.0


def test_blocks_leave_no_seam() -> None:
    # Blocks are 5 s: they lie elsewhere in the voice when it sounds again.
    twice = [np.tile(part, 2) for part in (stems().vocals, stems().accompaniment)]
    cleaned = denoise(twice[0], twice[1], 1.0)
    first, again = cleaned[:, at(2.5, 11.5)], cleaned[:, at(16.5, 25.5)]
    assert sdr_db(first, again) > 25.0


@cache
def real(song: str) -> tuple[Stems, Stems]:
    """The true and the separated stems of a minute or less of real music."""
    folder = STEMS / song
    if not folder.exists():
        pytest.skip("../shared/audio/stems is not here: no real stems to clean.")
    vocals, rest = (decode(folder / f"{s}.ogg").samples for s in ("vocals", "accompaniment"))
    cut = at(REAL_S[song][0], REAL_S[song][1])
    truth = Stems(vocals=vocals[:, cut], accompaniment=rest[:, cut])
    song_ = Song(samples=truth.vocals + truth.accompaniment, title=song)
    return truth, BuiltInSeparator(BUILT_IN).separate(song_, lambda _: None)


def silence_of(vocals: Signal) -> npt.NDArray[np.bool_]:
    levels = short_term_lufs(vocals)
    still = levels < max(-60.0, float(np.percentile(levels, 95)) - 40.0)
    return np.repeat(scipy.ndimage.binary_opening(still, np.ones(50)), 441)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("song", "kind"),
    [
        *((song, "bleed at -15 dB") for song in REAL_S),
        # What the built-in network makes of songs that it learnt from says nothing.
        *((song, "built-in") for song in REAL_S if song not in TRAINED_ON),
    ],
)
def test_real_stems(song: str, kind: str, method: Method) -> None:
    truth, separated = real(song)
    if kind != "built-in":
        bleed = truth.accompaniment * np.float32(10 ** (-15 / 20))
        separated = Stems(vocals=truth.vocals + bleed, accompaniment=truth.accompaniment - bleed)
    cleaned = denoise(separated.vocals, separated.accompaniment, 0.8, method)
    silent = silence_of(truth.vocals)
    lower = rms_db(separated.vocals[:, : len(silent)][:, silent]) - rms_db(
        cleaned[:, : len(silent)][:, silent]
    )
    gained = sdr_db(truth.vocals, cleaned) - sdr_db(truth.vocals, separated.vocals)
    assert lower >= 12.0, f"residue of {song} is {lower:.1f} dB lower"
    assert gained >= -0.3, f"vocals of {song} have {gained:+.2f} dB SDR"


def test_long_gaps_are_silent_but_for_their_ends() -> None:
    # Six seconds of residue between two phrases.
    vocals, rest = (
        np.concatenate([part[:, at(2.5, 6.0)], part[:, at(5.5, 8.5)], part[:, at(8.5, 11.5)]], 1)
        for part in (stems().vocals, stems().accompaniment)
    )
    gap, phrase = at(4.0, 6.0), at(7.2, 8.8)
    cleaned = denoise(vocals, rest, 0.8)
    assert not cleaned[:, gap].any()
    assert cleaned[:, at(2.8, 3.0)].any()
    assert rms_db(cleaned[:, phrase]) == pytest.approx(rms_db(vocals[:, phrase]), abs=0.5)
    # Who asks for less hears the residue.
    assert denoise(vocals, rest, 0.5)[:, gap].any()


def test_signals_on_disk_are_cleaned_alike(tmp_path: Path) -> None:
    blank = on_disk(tmp_path)
    vocals, rest = (blank(voice().shape[1]) for _ in range(2))
    vocals[:], rest[:] = stems().vocals, stems().accompaniment
    told: list[float] = []
    cleaned = denoise(vocals, rest, 0.8, "mask", told.append, blank=blank)
    np.testing.assert_array_equal(cleaned, denoise(stems().vocals, stems().accompaniment, 0.8))
    assert not cleaned.flags.owndata
    assert told == sorted(told)
    assert told[-1] == 1.0
