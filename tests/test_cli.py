"""The command line, in process."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyloudnorm
import pytest
import soundfile as sf
import soxr

from pipeline.__main__ import _call_off, main
from pipeline.codec import decode
from pipeline.errors import Cancelled, OutputError, StageError
from pipeline.recipe import OPTIONS
from pipeline.tapes import in_memory
from pipeline.types import SAMPLE_RATE, Progress, Song, Stage, Stems
from tests.pair import Pair, Shares, all_files
from tests.test_laws import loaded_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction


@pytest.fixture
def desk(tmp_path: Path, temp_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of the command line, empty."""
    folder = tmp_path / "desk"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def separate_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], None]:
    def use(separator: object) -> None:
        monkeypatch.setattr("pipeline.separate.choose.make_separator", lambda *_, **__: separator)

    return use


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Spleeter's weights can be had from nowhere; returns where they would be kept."""
    (tmp_path / "mirror").mkdir()
    monkeypatch.setenv("SPLEETER_MODEL_URL", str(tmp_path / "mirror"))
    monkeypatch.setenv("SPLEETER_MODEL_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def merge_command(pair: Pair, *words: str) -> list[str]:
    return ["merge", str(pair.vocals), str(pair.backing), *words]


def read_json(text: str) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


# What comes out


def test_merge_with_report_and_stems(
    desk: Path, pair: Pair, no_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["-o", "mashup.wav", "--stems", "new/stems", "--report", "report.json"]
    code = main(merge_command(pair, *places))
    said = capsys.readouterr()
    assert code == 0
    assert said.err.splitlines() == [
        "Read the songs",
        "Separate voices and accompaniment",
        "Find the beats",
        "Find the keys",
        "Plan the mash-up",
        "Bring the songs to one tempo and key",
        "Set the levels",
        "Mix the layers",
        "Write the file",
    ]
    assert said.out.splitlines()[0] == "voice of over backing of"
    assert said.out.splitlines()[-4:] == [
        "new/stems/vocals.wav",
        "new/stems/backing.wav",
        "report.json",
        "mashup.wav",
    ]
    assert all_files(desk) == [
        *("mashup.wav", "new", "new/stems", "new/stems/backing.wav", "new/stems/vocals.wav"),
        "report.json",
    ]
    report = read_json(Path("report.json").read_text(encoding="utf-8"))
    check_report(report, pair)
    mix, *layers = (
        sf.read(path, always_2d=True)[0].T for path in (report["output"], *report["stems"].values())
    )
    np.testing.assert_allclose(sum(layers), mix, atol=3 * 2.0**-23)
    assert report["separator"] == "built-in"
    assert "Taken apart by the built-in separator" in said.out


def check_report(report: dict[str, Any], pair: Pair) -> None:
    """Hold a report against the file as anybody would read it, and against the true beats."""
    samples = decode(Path(report["output"])).samples
    loudness = report["loudness"]
    assert set(loudness) == {"integrated_lufs", "true_peak_dbtp", "vocals_to_backing_lu"}
    lufs = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T)
    assert lufs == pytest.approx(-14.0, abs=0.5)
    assert lufs == pytest.approx(loudness["integrated_lufs"], abs=0.1)
    fine = soxr.resample(samples.T, SAMPLE_RATE, 8 * SAMPLE_RATE, quality="VHQ")
    peak_dbtp = 20 * np.log10(np.abs(fine).max())
    assert peak_dbtp <= -1.0 + 0.05
    assert peak_dbtp == pytest.approx(loudness["true_peak_dbtp"], abs=0.1)
    assert loudness["vocals_to_backing_lu"] == pytest.approx(1.0, abs=1.0)
    length_s = report["plan"]["length_s"]
    assert samples.shape[1] / SAMPLE_RATE == pytest.approx(length_s, abs=0.1)
    assert set(report["seconds_by_stage"]) == {
        stage.name.lower() for stage in Stage if stage not in {Stage.FETCH, Stage.DRAW}
    }
    for layer, song in (("vocals", pair.vocal_song), ("backing", pair.backing_song)):
        for kind in ("beats_s", "downbeats_s"):
            found = np.asarray(report["grids"][layer][kind])
            warp = report["plan"][layer]["warp"]
            truth = np.interp(getattr(song.grid, kind), warp["source_s"], warp["target_s"])
            inside = truth[(truth > 0.1) & (truth < length_s - 0.1)]
            offsets = [np.abs(found - time).min() for time in inside]
            assert len(offsets) > 2
            assert np.median(offsets) < 0.02
            assert max(offsets) < 0.05


def test_separate_writes_two_files_that_sum_to_the_song(
    desk: Path, small_pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    song = str(small_pair.vocals)
    assert main(["separate", song, "-o", "a/b", "--separator", "builtin"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "voice of, separated by built-in",
        "a/b/vocals.wav",
        "a/b/accompaniment.wav",
    ]
    layers = [sf.read(f"a/b/{name}.wav")[0].T for name in ("vocals", "accompaniment")]
    np.testing.assert_allclose(sum(layers), small_pair.vocal_song.mixture, atol=2 * 2.0**-23)
    assert all_files(desk) == ["a", "a/b", "a/b/accompaniment.wav", "a/b/vocals.wav"]


def test_analyse_as_json(desk: Path, pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", str(pair.backing), "--json"]) == 0
    facts = read_json(capsys.readouterr().out)
    truth = pair.backing_song
    assert facts["bpm"] == pytest.approx(truth.grid.bpm, rel=0.01)
    assert facts["duration_s"] == pytest.approx(11.0, abs=0.01)
    for kind in ("beats_s", "downbeats_s"):
        found = np.asarray(facts[kind])
        offsets = [np.abs(found - time).min() for time in getattr(truth.grid, kind)[1:-1]]
        assert np.median(offsets) < 0.02
    assert set(facts["key"]) == {"name", "tonic", "mode", "confidence"}
    assert facts["loudness"]["integrated_lufs"] == pytest.approx(-16.0, abs=0.2)
    assert facts["loudness"]["true_peak_dbtp"] < 0.5


def test_analyse_in_words(desk: Path, pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", str(pair.backing), "-q"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "backing of"
    assert [line.split()[0] for line in lines[1:]] == ["length", "tempo", "key", "loudness"]
    assert said.err == ""
    assert all_files(desk) == []


# What is refused


def song_named(name: str) -> Callable[[Path, Pair], list[str]]:
    """A pair whose singer's file is called so, in the current folder."""

    def songs(desk: Path, pair: Pair) -> list[str]:
        (desk / name).parent.mkdir(exist_ok=True)
        (desk / name).write_bytes(pair.vocals.read_bytes())
        return [name, str(pair.backing)]

    return songs


def plain_songs(_desk: Path, pair: Pair) -> list[str]:
    return [str(pair.vocals), str(pair.backing)]


def linked_song(desk: Path, pair: Pair) -> list[str]:
    (desk / "mine.wav").write_bytes(pair.vocals.read_bytes())
    (desk / "mashup.wav").hardlink_to(desk / "mine.wav")
    return ["mine.wav", str(pair.backing)]


REFUSED: dict[str, tuple[Callable[[Path, Pair], list[str]], list[str], str]] = {
    "no extension": (plain_songs, ["-o", "mashup"], "mashup has no extension"),
    "unknown extension": (
        plain_songs,
        ["-o", "mashup.mid"],
        "mashup.mid has no extension that can be written. Let it end in mp3, m4a, ogg, opus,",
    ),
    "no folder": (
        plain_songs,
        ["-o", "gone/mashup.mp3"],
        "The folder gone for mashup.mp3 does not exist. Make it first.",
    ),
    "a song": (
        song_named("mine.wav"),
        ["-o", "./mine.wav"],
        "mine.wav is one of the songs and would be overwritten. Choose another name.",
    ),
    "a song by another name": (linked_song, ["-o", "mashup.wav"], "mashup.wav is one of the songs"),
    "a folder": (song_named("x.mp3/mine.wav"), ["-o", "x.mp3"], "x.mp3 is a folder."),
    "report over a song": (
        song_named("mine.wav"),
        ["-o", "a.mp3", "--report", "mine.wav"],
        "mine.wav is one of the songs",
    ),
    "report over the mash-up": (
        plain_songs,
        ["-o", "a.mp3", "--report", "a.mp3"],
        "a.mp3 is to hold two things at once.",
    ),
    "report to a device": (
        plain_songs,
        ["-o", "a.mp3", "--report", "/dev/null"],
        "null is not an ordinary file.",
    ),
    "report nowhere": (plain_songs, ["-o", "a.mp3", "--report", "no/r.json"], "The folder no for"),
    "stems over a song": (
        song_named("st/vocals.wav"),
        ["-o", "a.mp3", "--stems", "st"],
        "vocals.wav is one of the songs",
    ),
    "stems over the mash-up": (
        plain_songs,
        ["-o", "vocals.wav", "--stems", "."],
        "vocals.wav is to hold two things at once.",
    ),
    "stems into a file": (
        song_named("mine.wav"),
        ["-o", "a.mp3", "--stems", "mine.wav"],
        "The folder mine.wav cannot be made (File exists). Choose another place.",
    ),
    "key": (plain_songs, ["-o", "a.mp3", "--key", "9"], "key cannot be 9. Choose one of match,"),
    "balance": (
        plain_songs,
        ["-o", "a.mp3", "--balance", "nan"],
        "balance cannot be nan. It takes a number from -12 to 12 LU.",
    ),
    "balance too low": (plain_songs, ["-o", "a.mp3", "--balance", "-13"], "balance cannot be -13."),
    "pace": (
        plain_songs,
        ["-o", "a.mp3", "--pace", "fast"],
        "pace cannot be fast. Choose one of auto, same, half, double.",
    ),
    "nudge": (
        plain_songs,
        ["-o", "a.mp3", "--nudge", "1.5"],
        "nudge cannot be 1.5. It takes a whole number from -64 to 64 beats.",
    ),
    "separator": (
        plain_songs,
        ["-o", "a.mp3", "--separator", "magic"],
        "separator cannot be magic",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_said_before_any_work(
    desk: Path, small_pair: Pair, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    songs, words, sentence = REFUSED[case]
    command = ["merge", *songs(desk, small_pair), *words]
    before = {name: (desk / name).stat() for name in all_files(desk)}
    assert main(command) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(sentence)
    assert said.err.count("\n") == 1  # so no stage has begun
    after = {name: (desk / name).stat() for name in all_files(desk)}
    assert list(after) == list(before)
    assert all(after[name].st_mtime_ns == before[name].st_mtime_ns for name in before)


def test_separate_never_replaces_its_song(
    desk: Path, small_pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    song_named("vocals.wav")(desk, small_pair)
    assert main(["separate", "vocals.wav", "-o", "."]) == 2
    assert capsys.readouterr().err.startswith("vocals.wav is one of the songs")
    assert Path("vocals.wav").read_bytes() == small_pair.vocals.read_bytes()
    assert all_files(desk) == ["vocals.wav"]


@pytest.fixture
def locked(tmp_path: Path) -> Path:
    """A folder that nobody may write to, not even the superuser."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    return folder if not os.access(folder, os.W_OK) else Path("/proc")


@pytest.mark.parametrize("option", ["-o", "--report", "--stems"])
def test_a_folder_that_may_not_be_written_to(
    desk: Path,
    small_pair: Pair,
    locked: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
) -> None:
    places = {"-o": "a.mp3", "--report": "r.json", "--stems": "stems"}
    places[option] = str(locked / places[option])
    words = [word for pair in places.items() for word in pair]
    assert main(merge_command(small_pair, *words)) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.err.endswith("Choose another place.\n")
    assert str(locked) in said.err
    assert all_files(desk) == []


def test_spleeter_or_nothing(
    desk: Path, small_pair: Pair, no_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(merge_command(small_pair, "-o", "a.mp3", "--separator", "spleeter", "-q")) == 2
    said = capsys.readouterr()
    assert said.err.startswith("Spleeter's weights could not be fetched")
    assert said.err.count("\n") == 1
    assert str(no_weights) in said.err
    assert all_files(desk) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "The following arguments are required: COMMAND; see python -m pipeline --help"),
        (["mix"], "Argument COMMAND: invalid choice: 'mix' (choose from 'merge', "),
        (["merge", "a.mp3", "-o", "b.mp3"], "The following arguments are required: BACKING; "),
        (["analyse", "a.mp3", "--loud"], "Unrecognized arguments: --loud; see "),
        (["merge", "a.mp3", "b.mp3", "-o"], "Argument -o/--output: expected one argument; see "),
    ],
)
def test_words_that_are_no_command(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(sentence)
    assert said.count("\n") == 1


# What fails


class Raises(Shares):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory) -> Stems:
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            StageError("hold a note", "hoarse [bold]"),
            1,
            "Something went wrong on our side while we tried to hold a note. (hoarse [bold])\n",
        ),
        (
            IndexError("no such bin"),
            1,
            f"{StageError(Stage.SEPARATE, '')} (IndexError: no such bin)\n",
        ),
        (KeyboardInterrupt(), 130, "Called off; nothing was written.\n"),
        (Cancelled(), 130, "Called off; nothing was written.\n"),
    ],
)
@pytest.mark.parametrize("command", ["merge", "separate"])
def test_failures_have_their_code_and_leave_nothing(
    desk: Path,
    temp_dir: Path,
    small_pair: Pair,
    separate_with: Callable[[object], None],
    capsys: pytest.CaptureFixture[str],
    *,
    command: str,
    error: BaseException,
    code: int,
    sentence: str,
) -> None:
    separate_with(Raises(error))
    (desk / "old.mp3").write_text("an older one")
    words = ["separate", str(small_pair.vocals), "-o", "new/stems"]
    if command == "merge":
        words = merge_command(small_pair, "-o", "old.mp3", "--stems", "new", "--report", "r.json")
    assert main([*words, "-q"]) == code
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", sentence)
    assert all_files(desk) == ["old.mp3"]
    assert (desk / "old.mp3").read_text() == "an older one"
    assert all_files(temp_dir) == []


def test_a_signal_raises_nothing_where_it_comes_but_the_second_does(
    desk: Path,
    small_pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pipeline.__main__._called_off", threading.Event())
    _call_off()
    assert main(["analyse", str(small_pair.vocals), "-q"]) == 130
    with pytest.raises(KeyboardInterrupt):
        _call_off()
    assert capsys.readouterr().err == "Called off; nothing was written.\n"


def test_what_fails_after_it_was_called_off_is_no_fault(
    desk: Path,
    small_pair: Pair,
    separate_with: Callable[[object], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pipeline.__main__._called_off", threading.Event())

    class Interrupted(Shares):
        def separate(
            self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory
        ) -> Stems:
            _call_off()
            raise OSError("the program that we asked was interrupted")

    separate_with(Interrupted())
    assert main(["separate", str(small_pair.vocals), "-o", "new", "-q"]) == 130
    assert capsys.readouterr().err == "Called off; nothing was written.\n"
    assert all_files(desk) == []


@pytest.mark.parametrize("moment", [0.0, 0.8, 1.0])
def test_ctrl_c_leaves_nothing(
    desk: Path,
    temp_dir: Path,
    small_pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    *,
    separate_with: Callable[[object], None],
    moment: float,
) -> None:
    def press(progress: Progress) -> None:
        if progress.fraction >= moment:
            raise KeyboardInterrupt

    separate_with(Shares())
    monkeypatch.setattr("pipeline.screen.plain_listener", lambda _: press)
    words = ["-o", "a.wav", "--stems", "new", "--report", "r.json"]
    assert main(merge_command(small_pair, *words)) == 130
    assert all_files(desk) == []
    assert all_files(temp_dir) == []


def test_no_room_for_the_last_file(
    desk: Path,
    small_pair: Pair,
    separate_with: Callable[[object], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(target: Path, *_: object) -> Path:
        raise OutputError(f"{target.name} cannot be written.", hint="Choose another place.")

    separate_with(Shares())
    monkeypatch.setattr("pipeline.__main__.write_text", full)
    (desk / "a.wav").write_text("an older one")
    words = ["-o", "a.wav", "--stems", "new", "--report", "r.json", "-q"]
    assert main(merge_command(small_pair, *words)) == 2
    assert capsys.readouterr().err.startswith("r.json cannot be written.")
    assert all_files(desk) == ["a.wav"]
    assert (desk / "a.wav").read_text() == "an older one"


def test_a_bad_song_costs_no_download(
    desk: Path, small_pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("there is no song to separate")

    monkeypatch.setattr("pipeline.separate.choose.make_separator", never)
    assert main(["merge", str(small_pair.vocals), "gone.mp3", "-o", "a.mp3", "-q"]) == 2
    assert main(["separate", "gone.mp3", "-o", "stems", "-q"]) == 2


def test_the_download_is_shown(
    desk: Path,
    small_pair: Pair,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def make(_choice: str, _source: object, *, on_fraction: OnFraction) -> Shares:
        on_fraction(0.5)
        return Shares()

    monkeypatch.setattr("pipeline.separate.choose.make_separator", make)
    assert main(["separate", str(small_pair.vocals), "-o", "stems"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "Read the songs",
        "Separate voices and accompaniment",
        "Fetch Spleeter's weights",
        "Separate voices and accompaniment",
        "Write the file",
    ]


# Help


@pytest.mark.parametrize("columns", ["60", "250"])
@pytest.mark.parametrize("command", ["", "merge", "separate", "analyse"])
def test_help_fits_and_is_complete(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    columns: str,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"] if command else ["--help"])
    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert max(map(len, text.splitlines())) <= 100
    flags = [f"--{option.name.replace('_', '-')}" for option in OPTIONS]
    options = {
        "": ["merge", "separate", "analyse", "SPLEETER_MODEL_URL", "exit codes"],
        "merge": ["--output", "--report", "--stems", "--quiet", *flags],
        "separate": ["--output", "--separator", "--quiet", "SONG"],
        "analyse": ["--json", "--quiet", "SONG"],
    }
    assert [word for word in options[command] if word not in text] == []
    if command == "merge":
        meanings = [o.choices[word] for o in OPTIONS for word in o.choices if word[-1].isalpha()]
        assert [meaning for meaning in meanings if meaning not in text] == []


def test_the_command_line_is_light_until_it_works() -> None:
    heavy = ("numpy", "librosa", "tensorflow", "scipy", "soundfile", "av", "httpx")
    assert loaded_by("import pipeline.__main__", heavy) == ""
