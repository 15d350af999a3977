from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.features import STEPS, BeatFeatures
from pipeline.fit import Choices, at_pace, rank_fits, takes
from pipeline.types import Fit
from tests.songs import plain_features

BEATS = 64
SINGS = slice(8, 24)
PLAIN = Choices(paces={"same": 0.0}, starts={4: 0.0}, shifts={0: 0.0})


def tune(seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return 16 pitch classes that no shift in time or pitch maps onto each other."""
    return np.random.default_rng(seed).integers(0, 12, 16)


def voice(*, up: int = 0) -> BeatFeatures:
    pitches = np.zeros(BEATS, int)
    pitches[SINGS] = (tune(3) + up) % 12
    return plain_features(BEATS, pitches=pitches, sung=SINGS)


def backing(start: int, *, up: int = 0) -> BeatFeatures:
    """Return a band that plays the voice's tune from a beat on, and one note before and after."""
    pitches = np.full(BEATS, 6)
    pitches[start : start + 16] = (tune(3) + up) % 12
    return plain_features(BEATS, pitches=pitches)


def choices(
    starts: range = range(0, 44, 4),
    shifts: range = range(-3, 4),
    paces: tuple[str, ...] = ("same",),
) -> Choices:
    return Choices(
        paces=dict.fromkeys(paces, 0.0),
        starts=dict.fromkeys(starts, 0.0),
        shifts=dict.fromkeys(shifts, 0.0),
    )


@pytest.mark.parametrize("start", [0, 4, 12, 40])
@pytest.mark.parametrize("up", [-3, -1, 0, 2])
def test_the_fit_that_is_right_by_construction_is_the_first(start: int, up: int) -> None:
    best, second, *_ = rank_fits(voice(), backing(start, up=up), 8, choices())
    assert (best.pace, best.start, best.semitones) == ("same", start, up)
    assert best.chroma == pytest.approx(1.0)
    assert best.score > second.score + 0.2


@pytest.mark.parametrize("up", [-3, -2, -1, 1, 2, 3])
def test_a_transposed_voice_moves_the_best_shift(up: int) -> None:
    plain = rank_fits(voice(), backing(12), 8, choices())[0]
    moved = rank_fits(voice(up=up), backing(12), 8, choices())[0]
    assert plain.semitones == 0
    assert (moved.start, moved.semitones) == (plain.start, -up)
    assert moved.score == pytest.approx(plain.score)


def test_chroma_is_the_correlation_of_the_layers() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 12, BEATS))
    layers = [
        replace(plain_features(BEATS), chroma=centred / np.linalg.norm(centred, axis=0))
        for centred in (first - first.mean(axis=0), second - second.mean(axis=0))
    ]
    here = Choices(paces={"same": 0}, starts={9: 0}, shifts={2: 0})
    found = rank_fits(layers[0], layers[1], 4, here)[0]
    sung, band = np.roll(first, 2, axis=0)[:, 4:], second[:, 9:]
    count = min(sung.shape[1], band.shape[1])
    wanted = [np.corrcoef(sung[:, beat], band[:, beat])[0, 1] for beat in range(count)]
    assert found.chroma == pytest.approx(np.mean(wanted))


def test_only_what_is_sung_counts() -> None:
    # The same tune, but noise wherever nobody sings.
    noisy = voice()
    noise = np.random.default_rng(1).normal(size=noisy.chroma.shape)
    noise[:, SINGS] = 0.0
    noisy = replace(noisy, chroma=noisy.chroma + noise)
    assert rank_fits(noisy, backing(12), 8, PLAIN) == rank_fits(voice(), backing(12), 8, PLAIN)


@pytest.mark.parametrize(
    ("cheap", "best"),
    [
        (Choices(paces={"same": 0.0}, starts={0: 0.0, 4: 0.1}, shifts={0: 0.0}), (0, 0)),
        (Choices(paces={"same": 0.0}, starts={0: 0.1, 4: 0.0}, shifts={0: 0.0}), (4, 0)),
        (Choices(paces={"same": 0.0}, starts={4: 0.0}, shifts={0: 0.1, 12: 0.0}), (4, 12)),
        (Choices(paces={"same": 0.0}, starts={4: 0.0}, shifts={0: 0.0, 12: 0.1}), (4, 0)),
    ],
)
def test_of_equal_fits_the_cheaper_is_taken(cheap: Choices, best: tuple[int, int]) -> None:
    alike = plain_features(BEATS)
    first, second = rank_fits(voice(), alike, 8, cheap)
    assert (first.start, first.semitones) == best
    assert first.score - second.score == pytest.approx(0.1)


def test_a_shift_that_makes_the_match_worse_is_never_taken() -> None:
    wishes = Choices(paces={"same": 0.0}, starts={12: 0.0}, shifts={0: 9.0, 1: 0.0, -2: 0.0})
    assert [fit.semitones for fit in rank_fits(voice(), backing(12), 8, wishes)] == [0]
    # Where the user has asked for one, there is nothing to compare it with.
    asked = Choices(paces={"same": 0.0}, starts={12: 0.0}, shifts={1: 0.0})
    assert [fit.semitones for fit in rank_fits(voice(), backing(12), 8, asked)] == [1]


def test_stretching_costs() -> None:
    alike = plain_features(BEATS)
    wanted = Choices(paces={"same": 0.0, "double": 0.1}, starts={4: 0.0}, shifts={0: 0.0})
    other = Choices(paces={"same": 0.4, "double": 0.0}, starts={4: 0.0}, shifts={0: 0.0})
    ranked = [rank_fits(alike, alike, 0, these) for these in (wanted, other)]
    assert [fits[0].pace for fits in ranked] == ["same", "double"]


def test_what_the_band_plays_while_nobody_sings_is_no_matter_of_rhythm() -> None:
    sung = voice()
    strokes = np.random.default_rng(2).uniform(size=(STEPS, BEATS))
    strokes[:, 4:20] = sung.onsets[:, SINGS]
    band = replace(plain_features(BEATS), onsets=strokes)
    plain = replace(plain_features(BEATS), onsets=np.roll(sung.onsets, -4, axis=1))
    assert rank_fits(sung, band, 8, PLAIN) == rank_fits(sung, plain, 8, PLAIN)


def test_a_rhythm_that_meets_is_preferred() -> None:
    sung = plain_features(BEATS)
    accents = np.zeros((STEPS, BEATS))
    accents[0, ::2] = accents[2, 1::2] = 1.0
    sung = replace(sung, onsets=accents)
    band = replace(plain_features(BEATS), onsets=accents)
    starts = Choices(paces={"same": 0.0}, starts={0: 0.0, 1: 0.0, 2: 0.0}, shifts={0: 0.0})
    ranked = rank_fits(sung, band, 0, starts)
    assert {fit.start for fit in ranked[:2]} == {0, 2}
    assert ranked[2].score < ranked[0].score - 0.2


def test_room_in_the_spectrum_is_preferred() -> None:
    bands = np.zeros((20, BEATS))
    bands[5:8] = 1.0 / 3
    sung = replace(plain_features(BEATS), bands=bands)
    masking = bands.copy()
    masking[:, 32:] = np.roll(bands, 10, axis=0)[:, 32:]
    band = replace(plain_features(BEATS), bands=masking)
    short = BeatFeatures(
        chroma=sung.chroma[:, :16], onsets=sung.onsets[:, :16], bands=sung.bands[:, :16]
    )
    starts = Choices(paces={"same": 0.0}, starts={0: 0.0, 40: 0.0}, shifts={0: 0.0})
    buried_last = rank_fits(short, band, 0, starts)
    assert [fit.start for fit in buried_last] == [40, 0]
    assert buried_last[0].score - buried_last[1].score == pytest.approx(0.25)


def test_a_start_that_cuts_the_singing_off_costs() -> None:
    alike = plain_features(BEATS)
    sung = plain_features(BEATS, sung=SINGS)
    starts = Choices(paces={"same": 0.0}, starts={56: 0.0, 0: 0.0}, shifts={0: 0.0})
    early, late = rank_fits(sung, alike, 8, starts)
    assert (early.start, late.start) == (0, 56)
    assert early.score - late.score == pytest.approx(0.25)  # half of it would be lost


@pytest.mark.parametrize(("pace", "first"), [("half", 8), ("double", 8), ("half", 9)])
def test_no_pace_but_its_own_fits(pace: str, first: int) -> None:
    tempo = {"half": 0.5, "double": 2.0}[pace]
    at = first + np.floor(np.arange(16 / tempo) * tempo).astype(int)
    sung = plain_features(BEATS, pitches=np.random.default_rng(5).integers(0, 12, BEATS))
    band_pitches = np.full(BEATS, 6)
    band = plain_features(BEATS, pitches=band_pitches)
    # Built beat by beat, apart from the code: what the voice does while each backing beat lasts.
    chroma = band.chroma.copy()
    for beat, source in enumerate(at):
        both = sung.chroma[:, source : source + max(1, round(tempo))]
        chroma[:, 8 + beat] = both.mean(axis=1)
    count = 8 + len(at)
    band = BeatFeatures(
        chroma=chroma[:, :count], onsets=band.onsets[:, :count], bands=band.bands[:, :count]
    )
    ranked = rank_fits(
        *(sung, band, first),
        choices(starts=range(0, 16, 4), paces=("same", "half", "double")),
    )
    assert (ranked[0].pace, ranked[0].start, ranked[0].semitones) == (pace, 8, 0)


def numbered(beats: int) -> BeatFeatures:
    """Return features in which every value tells its beat and its row: 10 * beat + row."""
    beat = 10.0 * np.arange(beats)
    return BeatFeatures(
        chroma=beat + np.arange(12)[:, None],
        onsets=beat + np.arange(STEPS)[:, None],
        bands=beat + np.arange(20)[:, None],
    )


def test_at_the_same_pace_the_beats_are_its_own() -> None:
    found = at_pace(numbered(6), 2, "same")
    assert found.chroma[0].tolist() == [20, 30, 40, 50]
    assert found.onsets.T.tolist() == [[b, b + 1, b + 2, b + 3] for b in (20, 30, 40, 50)]


def test_at_half_time_a_beat_fills_two() -> None:
    found = at_pace(numbered(4), 2, "half")
    assert found.chroma[1].tolist() == [21, 21, 31, 31]
    assert found.bands[19].tolist() == [39, 39, 49, 49]
    # Its sixteenths are eighths of the backing; the rest of the time nothing begins.
    assert found.onsets.T.tolist() == [
        [40, 0, 42, 0],
        [44, 0, 46, 0],
        [60, 0, 62, 0],
        [64, 0, 66, 0],
    ]
    assert found.onsets.mean() == pytest.approx(numbered(4).onsets[:, 2:].mean())


def test_at_double_time_two_beats_share_one() -> None:
    found = at_pace(numbered(7), 2, "double")  # five beats: the last has no partner
    assert found.chroma[0].tolist() == [25, 45]
    assert found.bands[3].tolist() == [28, 48]
    assert found.onsets.T.tolist() == [[20.5, 22.5, 30.5, 32.5], [40.5, 42.5, 50.5, 52.5]]


@pytest.mark.parametrize("pace", ["same", "half", "double"])
@pytest.mark.parametrize("beats", [0, 1, 2, 3])
def test_short_voices_have_a_pace(beats: int, pace: str) -> None:
    found = at_pace(numbered(4 + beats), 4, pace)
    count = {"same": beats, "half": 2 * beats, "double": beats // 2}[pace]
    assert found.chroma.shape == (12, count)
    assert found.onsets.shape == (STEPS, count)
    assert found.bands.shape == (20, count)


def test_nothing_to_try_gives_nothing() -> None:
    silent = plain_features(BEATS, sung=slice(0))
    assert rank_fits(silent, backing(4), 8, choices()) == ()
    assert rank_fits(voice(), backing(4), BEATS, choices()) == ()
    assert rank_fits(voice(), backing(4), 8, choices(starts=range(0))) == ()
    assert rank_fits(voice(), backing(4), 8, choices(starts=range(BEATS, BEATS + 40, 4))) == ()
    assert rank_fits(voice(), backing(4), 8, choices(paces=())) == ()


def test_a_backing_of_a_few_beats_is_tried() -> None:
    found = rank_fits(voice(), plain_features(3), 8, choices(starts=range(3)))
    assert {fit.start for fit in found} == {0, 1, 2}
    assert all(np.isfinite(fit.score) for fit in found)


def test_a_silent_band_fits_neither_well_nor_badly() -> None:
    silent = plain_features(BEATS, sung=slice(0))
    assert all(fit.chroma == 0.0 for fit in rank_fits(voice(), silent, 8, choices()))


def fit(start: int, semitones: int = 0, pace: str = "same", score: float = 0.0) -> Fit:
    return Fit(pace=pace, start=start, semitones=semitones, score=score)


def test_takes_are_heard_as_different() -> None:
    ranked = [
        fit(16),
        fit(12),  # too near
        fit(16, 1),  # too little of a shift
        fit(16, 2),
        fit(23),  # too near
        fit(24),
        fit(16, pace="half"),
        fit(28, 1),  # too near to 24
        fit(8),
    ]
    assert takes(ranked, 8, 8) == (ranked[0], ranked[3], ranked[5], ranked[6], ranked[8])


@pytest.mark.parametrize("count", [1, 3, 8])
def test_takes_start_with_the_best_and_get_worse(count: int) -> None:
    ranked = rank_fits(voice(), backing(12), 8, choices())
    chosen = takes(ranked, count, 8)
    assert len(chosen) == count
    assert chosen[0] is ranked[0]
    assert [take.score for take in chosen] == sorted((t.score for t in chosen), reverse=True)


def test_there_may_be_no_takes() -> None:
    assert takes((), 8, 8) == ()
