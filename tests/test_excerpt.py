"""A piece of a sound becomes a small mp3 file, whole or not at all."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pipeline import excerpt
from pipeline.codec import decode_blocks, find_title
from pipeline.errors import OutputError, StageError, UnreadableAudioError
from pipeline.excerpt import cut_excerpt, main
from pipeline.types import SAMPLE_RATE
from tests.audio_files import pitch_and_level, write_pcm

if TYPE_CHECKING:
    from pipeline.types import Signal

ROOT = Path(__file__).parents[1]
CHANGE_S = 5.0
LOW_HZ, HIGH_HZ = 440.0, 1760.0
LEVEL = 0.5
WIDE: Any = {"start_s": 0.0, "length_s": 60.0, "max_bytes": 2**20, "title": "x"}


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds: a low tone, and from 5 s on a high one."""
    t = np.arange(8 * SAMPLE_RATE) / SAMPLE_RATE
    tone = LEVEL * np.sin(2 * np.pi * np.where(t < CHANGE_S, LOW_HZ, HIGH_HZ) * t)
    samples = np.array([tone, tone], np.float32)
    return write_pcm(tmp_path_factory.mktemp("tones") / "tones.wav", samples, SAMPLE_RATE)


@pytest.fixture
def broken_ffmpeg(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An ffmpeg that notes what it was asked, and gives up."""
    broken = tmp_path_factory.mktemp("bin") / "ffmpeg"
    broken.write_text('#!/bin/sh\necho "$@" > "$0.asked"\necho "Conversion failed!" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setattr(excerpt, "find_ffmpeg", lambda: str(broken))
    return broken.with_name("ffmpeg.asked")


def heard(path: Path) -> Signal:
    return np.concatenate(list(decode_blocks(path)), axis=1)


def level_at(samples: Signal, at_s: float, *, width_s: float = 0.02) -> float:
    part = samples[0, round((at_s - width_s / 2) * SAMPLE_RATE) :][: round(width_s * SAMPLE_RATE)]
    return float(np.sqrt(2 * np.mean(part.astype(np.float64) ** 2)))


def change_s(samples: Signal) -> float:
    """Return when the low tone becomes the high one: it crosses zero four times as often."""
    crossings = np.flatnonzero(np.diff(np.signbit(samples[0])))
    quick = np.diff(crossings) < SAMPLE_RATE / (LOW_HZ + HIGH_HZ)
    return float(crossings[quick.argmax()]) / SAMPLE_RATE


def test_it_has_the_length_and_the_place_that_were_asked_for(tones: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"
    wish: Any = {**WIDE, "start_s": 3.5, "length_s": 4.0}
    assert cut_excerpt(tones, target, **wish) == target
    samples = heard(target)
    assert samples.shape[1] / SAMPLE_RATE == pytest.approx(4.0, abs=0.05)
    assert change_s(samples) == pytest.approx(CHANGE_S - 3.5, abs=0.005)
    for half, expected_hz in ((samples[:, :60_000], LOW_HZ), (samples[:, 80_000:], HIGH_HZ)):
        assert pitch_and_level(half[1], SAMPLE_RATE)[0] == pytest.approx(expected_hz, abs=2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp3"]


def test_it_fades_in_and_out_and_is_untouched_between(tones: Path, tmp_path: Path) -> None:
    wish: Any = {**WIDE, "start_s": 1.0, "length_s": 3.0}
    samples = heard(cut_excerpt(tones, tmp_path / "out.mp3", **wish))
    assert level_at(samples, 0.005, width_s=0.005) < 0.25 * LEVEL
    assert level_at(samples, 0.025, width_s=0.005) == pytest.approx(0.5 * LEVEL, rel=0.15)
    for at_s in (0.1, 1.0, 1.9):
        assert level_at(samples, at_s) == pytest.approx(LEVEL, rel=0.03)
    assert level_at(samples, 2.25) == pytest.approx(0.75 * LEVEL, rel=0.05)
    assert level_at(samples, 2.75) == pytest.approx(0.25 * LEVEL, rel=0.05)
    assert level_at(samples, 2.98) < 0.05 * LEVEL


@pytest.mark.parametrize(
    ("start_s", "length_s", "expected_s"), [(0.0, 60.0, 8.0), (6.0, 60.0, 2.0), (0.0, 0.01, 0.01)]
)
def test_it_ends_with_its_source_and_may_be_all_of_it_or_nearly_nothing(
    tones: Path, tmp_path: Path, start_s: float, length_s: float, expected_s: float
) -> None:
    wish: Any = {**WIDE, "start_s": start_s, "length_s": length_s}
    samples = heard(cut_excerpt(tones, tmp_path / "out.mp3", **wish))
    assert samples.shape[1] / SAMPLE_RATE == pytest.approx(expected_s, abs=0.05)


def test_less_than_a_millisecond_can_be_written(tones: Path, tmp_path: Path) -> None:
    wish: Any = {**WIDE, "length_s": 1 / SAMPLE_RATE}
    assert cut_excerpt(tones, tmp_path / "out.mp3", **wish).stat().st_size > 0


def test_the_title_is_a_tag_and_made_harmless(tones: Path, tmp_path: Path) -> None:
    hostile = 'Tom\0 & "Jerry"; $(reboot)\n-i /etc/passwd'
    path = cut_excerpt(tones, tmp_path / "out.mp3", **(WIDE | {"title": hostile}))
    assert find_title(path) == 'Tom & "Jerry"; $(reboot) -i /etc/passwd'
    untitled = cut_excerpt(tones, tmp_path / "untitled.mp3", **(WIDE | {"title": ""}))
    assert find_title(untitled) == "untitled"


def test_what_is_above_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    tone = 2.0 * np.sin(2 * np.pi * LOW_HZ * t)
    loud = np.array([tone, tone], np.float32)
    source = write_pcm(tmp_path / "loud.wav", loud, SAMPLE_RATE, "FLOAT")
    samples = heard(cut_excerpt(source, tmp_path / "out.mp3", **WIDE))
    middle = slice(SAMPLE_RATE // 4, SAMPLE_RATE * 3 // 4)
    assert (np.sign(samples[:, middle]) != np.sign(loud[:, middle])).mean() < 0.01


@pytest.mark.parametrize(("max_bytes", "least"), [(2**20, 190_000), (150_000, 120_000)])
def test_the_byte_budget_holds_and_is_used(
    tones: Path, tmp_path: Path, max_bytes: int, least: int
) -> None:
    path = cut_excerpt(tones, tmp_path / "out.mp3", **(WIDE | {"max_bytes": max_bytes}))
    assert least < path.stat().st_size <= max_bytes


def test_what_cannot_fit_is_refused(tones: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^An excerpt of 0:08 does not fit into 0.01 MB\. "):
        cut_excerpt(tones, tmp_path / "out.mp3", **(WIDE | {"max_bytes": 10_486}))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wish", "sentence"),
    [
        ({"start_s": 9.0}, "tones.wav is 0:08 long: nothing is left from 0:09 on. Begin earlier."),
        ({"start_s": -1.0}, "There is no excerpt of 60 s from -1 s on. "),
        ({"start_s": float("nan")}, "There is no excerpt of 60 s from nan s on. "),
        ({"length_s": 0.0}, "There is no excerpt of 0 s from 0 s on. "),
        ({"length_s": float("inf")}, "There is no excerpt of inf s from 0 s on. "),
    ],
)
def test_a_piece_that_there_is_not_is_refused(
    tones: Path, tmp_path: Path, wish: dict[str, float], sentence: str
) -> None:
    with pytest.raises(OutputError) as caught:
        cut_excerpt(tones, tmp_path / "out.mp3", **(WIDE | wish))
    assert str(caught.value).startswith(sentence)
    assert not list(tmp_path.iterdir())


def test_a_source_that_is_no_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.mp3").write_text("Dear Sir or Madam")
    with pytest.raises(UnreadableAudioError, match=r"^letter\.mp3 "):
        cut_excerpt(tmp_path / "letter.mp3", tmp_path / "out.mp3", **WIDE)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.mp3"]


def test_a_missing_folder_or_one_in_the_way_is_refused(tones: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^out\.mp3 cannot be written: No such file or direct"):
        cut_excerpt(tones, tmp_path / "no" / "out.mp3", **WIDE)
    (tmp_path / "out.mp3").mkdir()
    with pytest.raises(OutputError, match=r"^out\.mp3 cannot be written: Is a directory\."):
        cut_excerpt(tones, tmp_path / "out.mp3", **WIDE)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp3"]


def test_a_failing_ffmpeg_leaves_everything_as_it_was(
    tones: Path, tmp_path: Path, temp_dir: Path, broken_ffmpeg: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "out.mp3").write_text("the one before")
    with pytest.raises(StageError, match=r"while we tried to write the file\.$") as caught:
        cut_excerpt(tones, folder / "out.mp3", **WIDE)
    assert "Conversion failed!" in caught.value.cause
    assert [path.name for path in folder.iterdir()] == ["out.mp3"]
    assert (folder / "out.mp3").read_text() == "the one before"
    assert not list(temp_dir.iterdir())
    files = [word for word in broken_ffmpeg.read_text().split() if word.startswith("/")]
    assert len(files) == 2
    assert all(Path(word).parent.parent == folder for word in files)


def test_nothing_changes_for_others_who_use_pydub_or_temporary_files(
    tones: Path, tmp_path: Path, temp_dir: Path
) -> None:
    pydub = importlib.import_module("pydub.audio_segment")
    before = (pydub.AudioSegment.converter, pydub.NamedTemporaryFile, tempfile.gettempdir())
    targets = [tmp_path / str(number) / "out.mp3" for number in range(4)]
    for target in targets:
        target.parent.mkdir()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda target: cut_excerpt(tones, target, **WIDE), targets))
    assert len({target.read_bytes() for target in targets}) == 1
    assert [[path.name for path in target.parent.iterdir()] for target in targets] == [
        ["out.mp3"]
    ] * 4
    assert not list(temp_dir.iterdir())
    after = (pydub.AudioSegment.converter, pydub.NamedTemporaryFile, tempfile.gettempdir())
    assert after == before


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the program where no ffmpeg is on the path."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline.excerpt", *words],
        env={"PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        text=True,
    )


def test_it_runs_as_a_program_in_silence(tones: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mp3"
    wishes = ("--start=4", "--length=2", "--max-bytes=99999", "--title=-x")
    done = run(str(tones), str(target), *wishes)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert change_s(heard(target)) == pytest.approx(1.0, abs=0.005)
    assert find_title(target) == "-x"


def test_the_program_ends_with_2_and_a_sentence_on_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wishes = [str(tmp_path / "no.wav"), str(tmp_path / "out.mp3"), "--max-bytes=99999"]
    assert main(wishes) == 2
    [sentence] = capsys.readouterr().err.splitlines()
    assert sentence.startswith("no.wav ")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("broken_ffmpeg")
def test_the_program_ends_with_1_and_the_cause_when_ffmpeg_fails(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tones), str(tmp_path / "out.mp3"), "--max-bytes=999999"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("Something went wrong on our side while we tried to write the file.")
    assert "Conversion failed!" in said
