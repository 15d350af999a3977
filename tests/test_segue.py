from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.__main__ import main
from pipeline.codec import decode
from pipeline.errors import RecipeError
from pipeline.grids import apply_warp
from pipeline.segue import plan_turn, segue
from pipeline.types import SAMPLE_RATE, BeatGrid
from tests.pair import all_files
from tests.songs import song_facts, steady_grid

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pair import Pair


@pytest.mark.parametrize(
    ("bpms", "paces"),
    [((100.0, 120.0), 1.0), ((120.0, 100.0), 1.0), ((75.0, 140.0), 2.0), ((150.0, 80.0), 0.5)],
)
def test_the_tempo_goes_over_evenly(bpms: tuple[float, float], paces: float) -> None:
    first = song_facts(steady_grid(bpms[0], 60.0), 60.0)
    second = song_facts(steady_grid(bpms[1], 60.0), 60.0)
    turn = plan_turn(first, second, bars=4)
    lengths = np.diff(turn.beats_s)
    assert len(lengths) == 16
    # Both songs count in the beats of the first: two beats of a song at 140 last one at 70.
    assert lengths[0] == pytest.approx(60 / bpms[0], rel=0.03)
    assert lengths[-1] == pytest.approx(paces * 60 / bpms[1], rel=0.03)
    steps = np.diff(np.log(lengths))
    assert np.ptp(steps) < 1e-6  # every beat changes by the same ratio ...
    assert np.abs(steps).max() < 0.03  # ... which stays within 3 %


def test_both_songs_keep_their_own_tempo_outside() -> None:
    first = song_facts(steady_grid(100.0, 60.0), 60.0)
    second = song_facts(steady_grid(120.0, 50.0, first_s=0.3), 50.0)
    turn = plan_turn(first, second, bars=4)
    assert apply_warp(turn.first.warp, np.asarray([0.0, turn.start_s])) == pytest.approx(
        [0.0, turn.start_s], abs=0.005
    )
    tail = apply_warp(turn.second.warp, np.asarray([20.0, 50.0]))
    assert tail[1] - tail[0] == pytest.approx(30.0, abs=0.005)
    assert tail[1] == pytest.approx(turn.length_s)


def test_beats_of_both_songs_meet() -> None:
    first = song_facts(steady_grid(100.0, 60.0), 60.0)
    second = song_facts(steady_grid(120.0, 60.0, first_s=0.3), 60.0)
    turn = plan_turn(first, second, bars=4)
    for song, layer in ((first, turn.first), (second, turn.second)):
        heard = apply_warp(layer.warp, np.asarray(song.grid.beats_s))
        away = np.abs(np.asarray(turn.beats_s)[:, None] - heard).min(axis=1)
        assert away.max() < 0.003


def test_it_starts_on_a_phrase_of_the_first_and_a_downbeat_of_the_second() -> None:
    first = song_facts(steady_grid(120.0, 60.0), 60.0)
    turn = plan_turn(first, song_facts(steady_grid(120.0, 60.0, pickup=2), 60.0), bars=4)
    assert turn.start_s % 8.0 == pytest.approx(0.0, abs=1e-6)  # four bars of two seconds
    assert turn.end_s <= 60.0
    downbeat = apply_warp(turn.second.warp, np.asarray([1.0]))[0]  # after two beats of pickup
    assert downbeat == pytest.approx(turn.start_s, abs=0.003)


@pytest.mark.parametrize(
    ("first_s", "second_s", "says"),
    [
        (4.0, 60.0, "has not enough bars for a transition of 4. Choose fewer bars."),
        (60.0, 4.0, "has not enough bars for a transition of 4. Choose fewer bars."),
        (0.0, 60.0, "No beat was found in A song. Choose a song with a steady beat."),
        (60.0, 0.0, "No beat was found in A song. Choose a song with a steady beat."),
    ],
)
def test_songs_without_room_are_refused_in_words(
    first_s: float, second_s: float, says: str
) -> None:
    songs = [
        song_facts(steady_grid(120.0, s) if s else BeatGrid(), s or 60.0)
        for s in (first_s, second_s)
    ]
    with pytest.raises(RecipeError) as caught:
        plan_turn(songs[0], songs[1], bars=4)
    assert says in str(caught.value)


def test_a_whole_segue(pair: Pair, tmp_path: Path) -> None:
    result = segue(pair.vocals, pair.backing, tmp_path, bars=1, format="wav")
    heard = decode(result.path)
    assert heard.duration_s == pytest.approx(result.turn.length_s, abs=0.01)
    assert result.loudness.integrated_lufs == pytest.approx(-14.0, abs=0.5)
    assert result.loudness.true_peak_dbtp <= -1.0
    # Its beginning is the first song, its end the second: nothing else is so like them.
    begin = round((result.turn.start_s - 0.1) * SAMPLE_RATE)
    assert begin > 2 * SAMPLE_RATE
    first = decode(pair.vocals).samples[:, :begin]
    second = decode(pair.backing).samples
    assert np.corrcoef(heard.samples[0, :begin], first[0])[0, 1] > 0.95
    tail = heard.samples[0, -2 * SAMPLE_RATE : -SAMPLE_RATE // 4]
    end = second.shape[1] - SAMPLE_RATE // 4
    likeness = [
        # A stretched piece may move by 2.5 ms, so that it joins the one before without a step.
        np.corrcoef(tail, second[0, end - len(tail) + shift : end + shift])[0, 1]
        for shift in range(-150, 151)
    ]
    assert max(likeness) > 0.9


def test_the_command_writes_one_file_and_says_what_it_did(
    small_pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "segue.ogg"
    words = ["morph", str(small_pair.vocals), str(small_pair.backing), "-o", str(out)]
    assert main([*words, "--bars", "1", "-q"]) == 0
    assert all_files(tmp_path) == ["segue.ogg"]
    lines = capsys.readouterr().out.splitlines()
    assert "turns into" in lines[0]
    assert lines[-1] == str(out)


@pytest.mark.parametrize("bars", ["0", "65", "-1", "four", "1.5"])
def test_the_command_takes_1_to_64_bars(
    bars: str, small_pair: Pair, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "morph",
        str(small_pair.vocals),
        str(small_pair.backing),
        "-o",
        str(tmp_path / "a.mp3"),
    ]
    assert main([*words, f"--bars={bars}"]) == 2
    assert "It takes a whole number from 1 to 64." in capsys.readouterr().err
    assert all_files(tmp_path) == []
