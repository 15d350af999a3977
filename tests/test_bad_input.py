"""Whatever people send: a good result, or one plain sentence, and nothing left behind."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyloudnorm
import pytest
import soundfile as sf
import soxr

from pipeline.__main__ import main
from pipeline.codec import decode
from pipeline.types import SAMPLE_RATE
from tests.audio_files import damage, sines, write_av, write_pcm, write_wav_header
from tests.pair import Pair, Shares, all_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from _pytest.capture import CaptureResult

    from pipeline.types import Signal

    Writer = Callable[[Path, Signal], Any]

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quick_separator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.separate.choose.make_separator", lambda *_, **__: Shares())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where the command line runs: its current folder `desk` holds just `songs` and `out`."""

    desk: Path
    temp_dir: Path
    said: Callable[[], CaptureResult[str]]


@pytest.fixture
def scene(
    tmp_path: Path,
    temp_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Scene:
    desk = tmp_path / "desk"
    (desk / "songs").mkdir(parents=True)
    (desk / "out").mkdir()
    monkeypatch.chdir(desk)
    return Scene(desk=desk, temp_dir=temp_dir, said=capsys.readouterr)


def empty(path: Path, _song: Signal) -> None:
    path.touch()


def text(path: Path, _song: Signal) -> None:
    path.write_text("This is not a song. It is a shopping list.\n" * 100)


def random_bytes(path: Path, _song: Signal) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(100_000))


def folder(path: Path, _song: Signal) -> None:
    path.mkdir()


def nothing(_path: Path, _song: Signal) -> None:
    pass


def silence(path: Path, song: Signal) -> None:
    write_pcm(path, np.zeros_like(song), SAMPLE_RATE)


def blip(path: Path, _song: Signal) -> None:
    write_pcm(path, sines(0.2, SAMPLE_RATE), SAMPLE_RATE)


def three_hours(path: Path, _song: Signal) -> None:
    write_wav_header(path, declared_s=10_800, actual_s=10_800)


def pictures_only(path: Path, _song: Signal) -> None:
    write_av(path, None, muxer="mp4", video=True)


def damaged(path: Path, song: Signal) -> None:
    write_av(path, song, muxer="mp3", codec="libmp3lame")
    damage(path, 0.3)


def cut_to(share: float, path: Path, song: Signal) -> None:
    """Write a file that breaks off."""
    write_av(path, song, muxer="mp3", codec="libmp3lame")
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])


BAD: dict[str, tuple[str, Writer, str]] = {
    "not audio": ("list.mp3", text, "list.mp3 is not an audio file that can be read."),
    "noise": ("noise.wav", random_bytes, "noise.wav is not an audio file that can be read."),
    "zero bytes": ("nil.mp3", empty, "nil.mp3 is empty."),
    "missing": ("gone.mp3", nothing, "gone.mp3 does not exist."),
    "folder": ("album.mp3", folder, "album.mp3 is a folder, not a song."),
    "silent": ("hush.flac", silence, "hush.flac is silent."),
    "0.2 s": ("blip.wav", blip, "blip.wav is 0.2 s long; the shortest song is 3 s."),
    "3 hours": ("opera.wav", three_hours, "opera.wav is 3:00:00 long; the longest song is 15:00."),
    "no sound": ("film.mp4", pictures_only, "film.mp4 has no sound track."),
    "damaged": ("scratch.mp3", damaged, "scratch.mp3 is damaged: "),
    "truncated": ("stub.mp3", partial(cut_to, 0.2), "stub.mp3 breaks off after 1.0 s."),
    "hostile": (
        "\x1b[2J[bold]\u202e:smile:\n$(rm) \udcff.mp3",
        text,
        "[bold]:smile: $(rm) .mp3 is not an audio file that can be read.",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("role", ["vocals", "backing"])
def test_bad_song_is_one_sentence_and_leaves_nothing(
    scene: Scene, small_pair: Pair, case: str, role: str
) -> None:
    desk, temp_dir = scene.desk, scene.temp_dir
    name, write, sentence = BAD[case]
    bad = desk / "songs" / name
    write(bad, small_pair.vocal_song.mixture)
    (desk / "out" / "mashup.mp3").write_text("an older one")
    before = all_files(desk)
    songs = [bad, small_pair.backing] if role == "vocals" else [small_pair.vocals, bad]
    places = ["-o", "out/mashup.mp3", "--stems", "out/new/stems", "--report", "out/r.json"]
    code = main(["merge", *map(str, songs), "-q", *places])
    said = scene.said()
    assert code == 2
    assert said.out == ""
    assert said.err.startswith(sentence)
    assert said.err.count("\n") == 1
    assert said.err.endswith(".\n")
    assert len(said.err) < 200
    assert len(said.err.split(". ")) >= 2  # what is wrong, and what to do
    assert all_files(desk) == before
    assert (desk / "out" / "mashup.mp3").read_text() == "an older one"
    assert all_files(temp_dir) == []


@pytest.mark.parametrize("command", ["separate", "analyse"])
@pytest.mark.parametrize("case", ["not audio", "missing", "silent", "hostile"])
def test_the_other_commands_refuse_it_too(
    scene: Scene, small_pair: Pair, command: str, case: str
) -> None:
    desk, temp_dir = scene.desk, scene.temp_dir
    name, write, sentence = BAD[case]
    bad = desk / "songs" / name
    write(bad, small_pair.vocal_song.mixture)
    before = all_files(desk)
    place = ["-o", "out/stems"] if command == "separate" else ["--json"]
    assert main([command, str(bad), "-q", *place]) == 2
    said = scene.said()
    assert said.out == ""
    assert said.err.startswith(sentence)
    assert said.err.count("\n") == 1
    assert all_files(desk) == before
    assert all_files(temp_dir) == []


def mono(path: Path, song: Signal) -> None:
    write_pcm(path, song.mean(axis=0, keepdims=True), SAMPLE_RATE)


def telephone(path: Path, song: Signal) -> None:
    narrow = soxr.resample(song.mean(axis=0), SAMPLE_RATE, 8000)
    write_pcm(path, narrow[None], 8000, "PCM_U8")


def studio(path: Path, song: Signal) -> None:
    write_pcm(path, soxr.resample(song.T, SAMPLE_RATE, 96_000).T, 96_000, "PCM_24")


def surround(path: Path, song: Signal) -> None:
    middle = song.mean(axis=0)
    # Left, right, centre, bass, and two at the back.
    write_pcm(path, np.stack([*song, middle, middle / 4, *(song / 2)]) / 2, SAMPLE_RATE)


def phone_recording(path: Path, song: Signal) -> None:
    write_av(path, song, muxer="ipod", codec="aac")


def video(path: Path, song: Signal) -> None:
    write_av(path, song, muxer="mp4", codec="aac", video=True)


def plain(path: Path, song: Signal) -> None:
    write_pcm(path, song, SAMPLE_RATE)


def faint(path: Path, song: Signal) -> None:
    write_pcm(path, song / 100, SAMPLE_RATE, "FLOAT")


def too_loud(path: Path, song: Signal) -> None:
    write_pcm(path, song * 20, SAMPLE_RATE, "FLOAT")


GOOD: dict[str, Writer] = {
    "mono.wav": mono,
    "телефон.wav": telephone,
    "studio.flac": studio,
    "round.wav": surround,
    "liar.txt": phone_recording,
    "clip.mp4": video,
    "half.mp3": partial(cut_to, 0.8),
    "faint.wav": faint,
    "歌 🎵 [red]:smile:.wav": plain,
    "loud.wav": too_loud,
    "--key $(reboot); `x` \x1b[2J\udcff.wav": plain,
    "-o \"'\n%s\\.wav": plain,
}


@pytest.mark.parametrize("number", range(0, len(GOOD), 2))
def test_odd_songs_make_a_good_mashup(scene: Scene, small_pair: Pair, number: int) -> None:
    desk = scene.desk
    kinds = list(GOOD.items())[number : number + 2]
    songs = []
    mixtures = (small_pair.vocal_song.mixture, small_pair.backing_song.mixture)
    for (name, write), mixture in zip(kinds, mixtures, strict=True):
        # libsndfile writes no name that is not UTF-8, so the file gets its own afterwards.
        unnamed = desk / "songs" / ("plain" + Path(name).suffix)
        write(unnamed, mixture)
        songs.append(unnamed.rename(desk / "songs" / name))
    before = {path: path.read_bytes() for path in songs}
    code = main(["merge", *map(str, songs), "-o", "mashup.wav", "-q"])
    said = scene.said()
    assert (code, said.err) == (0, "")
    assert said.out.endswith("\nmashup.wav\n")
    assert "\x1b" not in said.out
    samples = decode(desk / "mashup.wav").samples
    assert 2.0 < samples.shape[1] / SAMPLE_RATE < 8.0
    assert lufs(samples) == pytest.approx(-14.0, abs=0.5)
    assert np.corrcoef(samples)[0, 1] > 0.2  # neither channel is lost or turned over
    assert {path: path.read_bytes() for path in songs} == before
    assert set(all_files(desk)) == {
        *("songs", "out", "mashup.wav"),
        *(path.relative_to(desk).as_posix() for path in songs),
    }
    assert all_files(scene.temp_dir) == []


def lufs(samples: Signal) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.T))


def test_the_same_song_twice(scene: Scene, small_pair: Pair) -> None:
    song = shutil.copy(small_pair.vocals, scene.desk / "songs" / "one.wav")
    assert main(["merge", str(song), str(song), "-o", "out/twice.wav", "-q"]) == 0
    assert sf.info("out/twice.wav").duration == pytest.approx(5.0, abs=0.5)


def test_an_output_with_a_longer_name_than_files_may_have(scene: Scene, small_pair: Pair) -> None:
    place = f"out/{'la' * 200}.mp3"
    assert main(["merge", str(small_pair.vocals), str(small_pair.backing), "-o", place, "-q"]) == 2
    said = scene.said()
    assert said.err.startswith("lalala")
    assert said.err.count("\n") == 1
    assert all_files(scene.desk) == ["out", "songs"]
