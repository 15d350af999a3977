"""Whole merges in process, of composed songs and with separators that need no time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyloudnorm
import pytest
import soundfile as sf
import soxr

from composer import compose
from pipeline.codec import decode
from pipeline.errors import (
    Cancelled,
    NoBackingError,
    NoVoiceError,
    OutputError,
    RecipeError,
    StageError,
    UserError,
)
from pipeline.grids import apply_warp
from pipeline.merge import merge
from pipeline.recipe import Recipe
from pipeline.tapes import in_memory
from pipeline.types import SAMPLE_RATE, BeatGrid, MergeResult, Progress, Song, Stage, Stems
from tests.audio_files import sines, write_pcm
from tests.pair import Pair, Shares, TrueStems, write_pair, write_song

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from pipeline.separate import Separator
    from pipeline.tapes import Blank
    from pipeline.types import LayerPlan, OnFraction, Signal

pytestmark = pytest.mark.slow

STAGES = [stage for stage in Stage if stage not in {Stage.FETCH, Stage.DRAW}]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Made:
    """One merge and what it told on its way."""

    result: MergeResult
    told: list[Progress]
    mix: Signal


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Band:
    """A song in which nobody sings, and a separator that knows it and a singer."""

    path: Path
    separator: TrueStems


@pytest.fixture(scope="module")
def made(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Made:
    told: list[Progress] = []
    result = merge(
        pair.vocals,
        pair.backing,
        Recipe(),
        tmp_path_factory.mktemp("made"),
        separator=pair.separator,
        format="wav",
        stems=True,
        on_progress=told.append,
    )
    return Made(result=result, told=told, mix=read(result.path))


def read(path: Path) -> Signal:
    samples, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    assert rate_hz == SAMPLE_RATE
    return np.ascontiguousarray(samples.T)


def true_peak_dbtp(samples: Signal) -> float:
    """Measure independently: eight times oversampled, the best filter."""
    fine = soxr.resample(samples.T, SAMPLE_RATE, 8 * SAMPLE_RATE, quality="VHQ")
    return float(20 * np.log10(np.abs(fine).max()))


def lufs(samples: Signal) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T))


def test_what_is_delivered_is_as_loud_as_it_says(made: Made) -> None:
    loudness = made.result.loudness
    assert lufs(made.mix) == pytest.approx(-14.0, abs=0.5)
    assert lufs(made.mix) == pytest.approx(loudness.integrated_lufs, abs=0.1)
    assert true_peak_dbtp(made.mix) <= -1.0 + 0.05
    assert true_peak_dbtp(made.mix) == pytest.approx(loudness.true_peak_dbtp, abs=0.1)


def test_it_is_as_long_as_planned(made: Made) -> None:
    length_s = made.mix.shape[1] / SAMPLE_RATE
    assert length_s == pytest.approx(made.result.plan.length_s, abs=0.001)
    assert 6.0 < length_s <= 12.0


def test_the_layers_sum_to_the_mix(made: Made) -> None:
    layers = [read(made.result.stems[name]) for name in ("vocals", "backing")]
    np.testing.assert_allclose(layers[0] + layers[1], made.mix, atol=3 * 2.0**-23)
    assert all(np.std(layer) > 0.01 for layer in layers)


def test_result_says_what_was_done(made: Made, pair: Pair) -> None:
    result = made.result
    assert result.separator == "truth"
    assert result.notes == result.plan.warnings
    assert sorted(result.seconds_by_stage) == sorted(stage.name.lower() for stage in STAGES)
    assert all(seconds >= 0 for seconds in result.seconds_by_stage.values())
    assert result.vocals.duration_s == pytest.approx(10.0, abs=0.001)
    assert result.vocals.grid.bpm == pytest.approx(pair.vocal_song.grid.bpm, rel=0.01)
    assert result.backing.grid.bpm == pytest.approx(pair.backing_song.grid.bpm, rel=0.01)
    assert result.plan.reasons


def heard(times_s: tuple[float, ...], layer: LayerPlan, length_s: float) -> npt.NDArray[np.float64]:
    times = apply_warp(layer.warp, np.asarray(times_s))
    return times[(times > 0.05) & (times < length_s - 0.05)]


def distances_s(truth: npt.NDArray[np.float64], found_s: tuple[float, ...]) -> list[float]:
    return [float(np.abs(np.asarray(found_s) - time).min()) for time in truth]


@pytest.mark.parametrize("layer", ["vocals", "backing"])
def test_grids_are_where_the_beats_are_heard(made: Made, pair: Pair, layer: str) -> None:
    truth = (pair.vocal_song if layer == "vocals" else pair.backing_song).grid
    plan: LayerPlan = getattr(made.result.plan, layer)
    grid, length_s = made.result.grids[layer], made.result.plan.length_s
    assert all(0.0 <= beat < length_s for beat in grid.beats_s)
    beats = distances_s(heard(truth.beats_s, plan, length_s), grid.beats_s)
    assert len(beats) > 8
    assert np.median(beats) < 0.015
    assert np.percentile(beats, 95) < 0.03
    downbeats = distances_s(heard(truth.downbeats_s, plan, length_s), grid.downbeats_s)
    assert len(downbeats) > 2
    assert max(downbeats) < 0.03


def test_the_layers_share_their_beats(made: Made) -> None:
    grids = made.result.grids
    offsets = distances_s(np.asarray(grids["vocals"].beats_s), grids["backing"].beats_s)
    assert np.median(offsets) < 0.02


def test_progress_rises_through_all_stages_to_the_end(made: Made) -> None:
    fractions = [progress.fraction for progress in made.told]
    assert fractions[0] == 0.0
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert list(dict.fromkeys(progress.stage for progress in made.told)) == STAGES


def test_progress_never_falls_though_a_stage_says_so(small_pair: Pair, tmp_path: Path) -> None:
    class Fickle(Shares):
        def separate(
            self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory
        ) -> Stems:
            on_fraction(7.0)
            on_fraction(-1.0)
            return super().separate(song, on_fraction, blank=blank)

    told: list[Progress] = []

    def on_progress(progress: Progress) -> None:
        told.append(progress)
        call_off_at(Stage.BEATS)(progress)

    with pytest.raises(Cancelled):
        merge(
            small_pair.vocals,
            small_pair.backing,
            Recipe(),
            tmp_path,
            separator=Fickle(),
            on_progress=on_progress,
        )
    fractions = [progress.fraction for progress in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] < 1.0


@pytest.mark.parametrize("balance", [-6.0, 8.0])
def test_balance_is_what_was_asked_for(small_pair: Pair, tmp_path: Path, balance: float) -> None:
    result = merge(
        small_pair.vocals,
        small_pair.backing,
        Recipe(balance=balance),
        tmp_path,
        separator=small_pair.separator,
        format="wav",
    )
    assert result.loudness.vocals_to_backing_lu == pytest.approx(balance, abs=1.0)


def test_default_balance(made: Made) -> None:
    assert made.result.loudness.vocals_to_backing_lu == pytest.approx(1.0, abs=1.0)


@pytest.mark.parametrize(
    ("format_", "max_bytes"),
    [("mp3", None), ("ogg", 80_000), ("opus", 60_000), ("m4a", 60_000)],
)
def test_lossy_files_hold_loudness_and_ceiling(
    small_pair: Pair, tmp_path: Path, format_: str, max_bytes: int | None
) -> None:
    result = merge(
        small_pair.vocals,
        small_pair.backing,
        Recipe(),
        tmp_path,
        separator=small_pair.separator,
        format=format_,
        max_bytes=max_bytes,
    )
    assert result.path == tmp_path / f"mashup.{format_}"
    assert list(tmp_path.iterdir()) == [result.path]
    assert max_bytes is None or result.path.stat().st_size <= max_bytes
    samples = decode(result.path).samples
    assert samples.shape[1] / SAMPLE_RATE == pytest.approx(result.plan.length_s, abs=0.1)
    assert lufs(samples) == pytest.approx(-14.0, abs=0.5)
    assert lufs(samples) == pytest.approx(result.loudness.integrated_lufs, abs=0.1)
    assert true_peak_dbtp(samples) <= -1.0 + 0.05


def call_off_at(stage: Stage, fraction: float = 0.0) -> Callable[[Progress], None]:
    def on_progress(progress: Progress) -> None:
        if progress.stage is stage and progress.fraction >= fraction:
            raise Cancelled

    return on_progress


@pytest.mark.parametrize(
    ("stage", "fraction"),
    [
        *((stage, 0.0) for stage in STAGES),
        (Stage.ENCODE, 1.0),
        (Stage.DRAW, 0.0),
        (Stage.DRAW, 1.0),
    ],
)
def test_called_off_leaves_nothing(
    small_pair: Pair, tmp_path: Path, temp_dir: Path, stage: Stage, fraction: float
) -> None:
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    with pytest.raises(Cancelled):
        merge(
            small_pair.vocals,
            small_pair.backing,
            Recipe(),
            out_dir,
            separator=small_pair.separator,
            format="wav",
            stems=True,
            picture=stage is Stage.DRAW,
            on_progress=call_off_at(stage, fraction),
        )
    assert list(out_dir.iterdir()) == []
    assert list(temp_dir.iterdir()) == []


class Fails(Shares):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory) -> Stems:
        raise self.error


def test_our_own_failures_name_stage_and_cause(small_pair: Pair, tmp_path: Path) -> None:
    broken = Fails(ZeroDivisionError("no bins"))
    with pytest.raises(StageError) as caught:
        merge(small_pair.vocals, small_pair.backing, Recipe(), tmp_path, separator=broken)
    assert caught.value.stage == Stage.SEPARATE
    assert caught.value.cause == "ZeroDivisionError: no bins"
    assert caught.value.__cause__ is broken.error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error", [UserError("Odd."), StageError("sing", "hoarse"), Cancelled(), KeyboardInterrupt()]
)
def test_errors_with_a_meaning_come_out_unchanged(
    small_pair: Pair, tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught:
        merge(small_pair.vocals, small_pair.backing, Recipe(), tmp_path, separator=Fails(error))
    assert caught.value is error


def test_two_pairs_through_one_separator_differ(small_pair: Pair, tmp_path: Path) -> None:
    def mix(vocals: Path, backing: Path) -> Signal:
        return read(
            merge(
                *(vocals, backing, Recipe(), tmp_path),
                separator=small_pair.separator,
                format="wav",
            ).path
        )

    first = mix(small_pair.vocals, small_pair.backing)
    second = mix(small_pair.backing, small_pair.vocals)
    n = min(first.shape[1], second.shape[1])
    assert abs(np.corrcoef(first[0, :n], second[0, :n])[0, 1]) < 0.5


def test_a_song_over_itself_is_separated_once(small_pair: Pair, tmp_path: Path) -> None:
    separator = TrueStems(small_pair.vocal_song)
    result = merge(
        small_pair.vocals,
        small_pair.vocals,
        Recipe(),
        tmp_path,
        separator=separator,
        format="wav",
    )
    assert separator.asked == 1
    assert result.plan.vocals.stretch == pytest.approx(1.0, abs=0.001)
    assert result.plan.vocals.semitones == 0.0
    assert lufs(read(result.path)) == pytest.approx(-14.0, abs=0.5)


@pytest.mark.parametrize(
    ("separator", "error", "sentence"),
    [
        (
            Shares(voice=0.0),
            NoVoiceError,
            "No voice was found in my song.mp3. Send a song in which somebody sings or raps.",
        ),
        (
            Shares(voice=1.0),
            NoBackingError,
            "Nothing but a voice was found in a bed.ogg. Send a song with instruments.",
        ),
    ],
)
def test_a_song_must_have_what_it_is_to_give(
    small_pair: Pair,
    tmp_path: Path,
    separator: Separator,
    error: type[UserError],
    sentence: str,
) -> None:
    with pytest.raises(error) as caught:
        merge(
            small_pair.vocals,
            small_pair.backing,
            Recipe(),
            tmp_path,
            separator=separator,
            vocals_name="my song.mp3",
            backing_name="../a bed.ogg",
        )
    assert str(caught.value) == sentence


def test_songs_without_a_beat_are_laid_over_each_other(
    small_pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drone = write_pcm(tmp_path / "drone.wav", sines(6.0, SAMPLE_RATE), SAMPLE_RATE)
    # What the tracker makes of a drone is its own affair; here it hears nothing.
    monkeypatch.setattr("pipeline.sources.track_beats", lambda *_: BeatGrid())
    result = merge(drone, small_pair.backing, Recipe(), tmp_path, separator=Shares(), format="wav")
    assert "No beat was found in drone, so the songs are not aligned." in result.notes
    assert result.grids == {"vocals": BeatGrid(), "backing": BeatGrid()}
    assert lufs(read(result.path)) == pytest.approx(-14.0, abs=0.5)


def test_a_drone_can_be_merged(small_pair: Pair, tmp_path: Path) -> None:
    drone = write_pcm(tmp_path / "drone.wav", sines(6.0, SAMPLE_RATE), SAMPLE_RATE)
    result = merge(small_pair.vocals, drone, Recipe(), tmp_path, separator=Shares(), format="wav")
    assert lufs(read(result.path)) == pytest.approx(-14.0, abs=0.5)


@pytest.mark.parametrize("seconds", [3.0, 4.0])
def test_very_short_songs(pair: Pair, tmp_path: Path, seconds: float) -> None:
    # From the middle, where both play.
    cuts = [
        write_pcm(
            tmp_path / f"{name}.wav",
            song.mixture[:, 5 * SAMPLE_RATE : round((5 + seconds) * SAMPLE_RATE)],
            SAMPLE_RATE,
        )
        for name, song in (("a", pair.vocal_song), ("b", pair.backing_song))
    ]
    result = merge(cuts[0], cuts[1], Recipe(), tmp_path, separator=Shares(), format="wav")
    mix = read(result.path)
    assert mix.shape[1] > 1.5 * SAMPLE_RATE
    assert lufs(mix) == pytest.approx(-14.0, abs=0.5)
    voice = result.plan.voice_enters_s
    assert voice < result.plan.length_s - 1.0


def test_a_size_that_cannot_be_kept(small_pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not fit"):
        merge(
            small_pair.vocals,
            small_pair.backing,
            Recipe(),
            tmp_path,
            separator=small_pair.separator,
            max_bytes=10_000,
        )
    assert list(tmp_path.iterdir()) == []


def test_songs_are_read_as_they_were_composed(small_pair: Pair) -> None:
    np.testing.assert_array_equal(decode(small_pair.vocals).samples, small_pair.vocal_song.mixture)


@pytest.fixture(scope="module")
def band(small_pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Band:
    song = compose(5, duration_s=5.5, bpm=170.0, intro_bars=0, voice=False)
    path = write_song(tmp_path_factory.mktemp("band") / "band.wav", song)
    return Band(path=path, separator=TrueStems(small_pair.vocal_song, song))


def test_automatic_roles_let_the_one_sing_who_can(
    small_pair: Pair, band: Band, tmp_path: Path
) -> None:
    files = (band.path, small_pair.vocals)
    with pytest.raises(NoVoiceError):
        merge(*files, Recipe(), tmp_path, separator=band.separator)
    result = merge(*files, Recipe(roles="auto"), tmp_path, separator=band.separator, format="wav")
    assert (result.vocals.title, result.backing.title) == ("voice of", "band")
    assert result.notes[0].startswith("The roles are swapped: voice of sings")
    assert lufs(read(result.path)) == pytest.approx(-14.0, abs=0.5)


def test_automatic_roles_may_be_those_given(small_pair: Pair, band: Band, tmp_path: Path) -> None:
    result = merge(
        *(small_pair.vocals, band.path, Recipe(roles="auto"), tmp_path),
        separator=band.separator,
        format="wav",
    )
    assert result.vocals.title == "voice of"
    assert lufs(read(result.path)) == pytest.approx(-14.0, abs=0.5)
    assert not any("swapped" in note for note in result.notes)


def test_another_take_sounds_different(pair: Pair, tmp_path: Path) -> None:
    mixes, results = [], []
    for number in (1, 2):
        result = merge(
            *(pair.vocals, pair.backing, Recipe(take=number), tmp_path),
            separator=pair.separator,
            format="wav",
        )
        mixes.append(read(result.path))
        results.append(result)
    assert results[0].plan.takes == results[1].plan.takes
    assert results[1].plan.reasons[-1] == f"This is take 2 of {len(results[1].plan.takes)}."
    n = min(mix.shape[1] for mix in mixes)
    assert np.abs(mixes[0][:, :n] - mixes[1][:, :n]).max() > 0.1


def test_a_take_that_there_is_not(small_pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="There is no take 8 of"):
        merge(
            *(small_pair.vocals, small_pair.backing, Recipe(take=8, key="keep"), tmp_path),
            separator=small_pair.separator,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_flat_voice_is_tuned(small_pair: Pair, tmp_path: Path) -> None:
    # Played 30 cents slower, as from a tape, and told so.
    slow = soxr.resample(small_pair.vocal_song.mixture.T, 1.0, 2.0 ** (0.3 / 12)).T
    voice = tmp_path / "flat.wav"
    sf.write(voice, slow.T, SAMPLE_RATE, subtype="FLOAT")
    result = merge(voice, small_pair.backing, Recipe(), tmp_path, separator=Shares(), format="wav")
    assert result.vocals.tuning == pytest.approx(-0.3, abs=0.1)
    shift = result.plan.vocals.semitones
    assert shift - round(shift) == pytest.approx(0.3, abs=0.1)
    cents = round(100 * (shift - round(shift)))
    assert f"The vocals are tuned up {cents} cents to meet the backing." in result.plan.reasons


@pytest.mark.parametrize(
    "recipe", [Recipe(level="frame"), Recipe(duck=6.0), Recipe(denoise=0.0, beats="librosa")]
)
def test_other_ways_keep_the_levels(small_pair: Pair, tmp_path: Path, recipe: Recipe) -> None:
    result = merge(
        *(small_pair.vocals, small_pair.backing, recipe, tmp_path),
        separator=small_pair.separator,
        format="wav",
    )
    mix = read(result.path)
    assert lufs(mix) == pytest.approx(-14.0, abs=0.5)
    assert true_peak_dbtp(mix) <= -1.0
    assert result.loudness.vocals_to_backing_lu == pytest.approx(1.0, abs=1.0)


def test_one_song_turns_into_the_other(tmp_path: Path) -> None:
    songs = write_pair(
        tmp_path / "long",
        seeds=(7, 8),
        durations_s=(24.0, 24.5),
        bpms=(190.0, 186.0),
        intro_bars=0,
    )
    result = merge(
        *(songs.vocals, songs.backing, Recipe(arrange="morph", tempo="backing"), tmp_path),
        separator=songs.separator,
        format="wav",
    )
    mix = read(result.path)
    assert mix.shape[1] / SAMPLE_RATE == pytest.approx(result.plan.length_s, abs=0.001)
    assert lufs(mix) == pytest.approx(-14.0, abs=0.5)
    assert true_peak_dbtp(mix) <= -1.0
    first, _, last = result.plan.sections
    assert (first.band, last.band) == ("backing", "vocals")
    # The opening is the backing's own song, to the sample where nothing is stretched.
    opening = slice(0, round((first.end_s - 0.5) * SAMPLE_RATE))
    own = songs.backing_song.mixture[0, opening]
    assert np.corrcoef(mix[0, opening], own)[0, 1] > 0.9
