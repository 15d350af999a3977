"""Sounds become files of six formats, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline import encoding
from pipeline.codec import FORMATS, decode, encode, find_ffmpeg
from pipeline.errors import Cancelled, OutputError, StageError
from pipeline.layers import Layers, layer_of
from pipeline.types import SAMPLE_RATE
from tests.audio_files import PITCHES_HZ, pitch_and_level, sines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.types import Signal

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("extension", FORMATS)
def test_what_is_written_can_be_read_with_its_tags(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"out.{extension}"
    hostile = 'Tom & "Jerry"; $(reboot)\n-i /etc/passwd'
    assert encode(sines(4.0, SAMPLE_RATE), path, title=hostile, artist="Zoë") == path
    song = decode(path)
    assert song.duration_s == pytest.approx(4.0, abs=0.05)
    for channel, expected_hz in zip(song.samples, PITCHES_HZ, strict=True):
        pitch_hz, level = pitch_and_level(channel, SAMPLE_RATE)
        assert pitch_hz == pytest.approx(expected_hz, abs=1.0)
        assert level == pytest.approx(0.5, rel=0.05)
    assert song.title == 'Zoë \N{EN DASH} Tom & "Jerry"; $(reboot) -i /etc/passwd'
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("extension", ["flac", "wav"])
def test_lossless_formats_have_24_bits(tmp_path: Path, extension: str) -> None:
    samples = sines(4.0, SAMPLE_RATE)
    song = decode(encode(samples, tmp_path / f"out.{extension}", title="exact"))
    np.testing.assert_allclose(song.samples, samples, atol=2.0**-23)


@pytest.mark.parametrize("extension", FORMATS)
def test_what_is_above_full_scale_is_clipped_not_wrapped(tmp_path: Path, extension: str) -> None:
    samples = np.clip(sines(4.0, SAMPLE_RATE, level=4.0), -1.5, 1.5)
    song = decode(encode(samples, tmp_path / f"out.{extension}", title="loud"))
    wrong = np.sign(song.samples[:, 4410:-4410]) != np.sign(
        samples[:, 4410 : song.samples.shape[1] - 4410]
    )
    assert wrong.mean() < 0.01


@pytest.mark.parametrize("extension", ["mp3", "ogg", "opus", "m4a"])
def test_the_byte_budget_holds_and_is_used(tmp_path: Path, extension: str) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 20 * SAMPLE_RATE)).astype(np.float32)
    sizes = [
        encode(noise, tmp_path / f"{budget}.{extension}", title="n", max_bytes=budget)
        .stat()
        .st_size
        for budget in (240_000, 440_000)
    ]
    assert 120_000 < sizes[0] <= 240_000 < sizes[1] <= 440_000


@pytest.mark.parametrize("extension", FORMATS)
def test_what_cannot_fit_is_refused(tmp_path: Path, extension: str) -> None:
    with pytest.raises(OutputError, match=r"^out\.\w+ is 0:05 long and does not fit into 0.01 MB"):
        encode(
            np.random.default_rng(1).normal(0, 0.1, (2, 5 * SAMPLE_RATE)).astype(np.float32),
            tmp_path / f"out.{extension}",
            title="x",
            max_bytes=10_486,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.exe", "out", "out.mp3.txt", ".mp3"])
def test_an_unknown_extension_is_refused_with_those_allowed(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"one of \.mp3, \.ogg, \.opus, \.m4a, \.flac, \.wav\."):
        encode(sines(3.0, SAMPLE_RATE), tmp_path / name, title="x")


@pytest.mark.parametrize("extension", ["mp3", "wav"])
def test_a_missing_folder_or_one_in_the_way_is_refused(tmp_path: Path, extension: str) -> None:
    with pytest.raises(OutputError, match=r"cannot be written: No such file or directory\."):
        encode(sines(3.0, SAMPLE_RATE), tmp_path / "no" / f"out.{extension}", title="x")
    (tmp_path / f"out.{extension}").mkdir()
    with pytest.raises(OutputError, match=r"cannot be written: Is a directory\."):
        encode(sines(3.0, SAMPLE_RATE), tmp_path / f"out.{extension}", title="x")
    assert [child.name for child in tmp_path.iterdir()] == [f"out.{extension}"]


def test_a_failing_ffmpeg_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho 'Conversion failed!' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(encoding, "find_ffmpeg", lambda: str(broken))
    folder, litter = tmp_path / "folder", tmp_path / "litter"
    folder.mkdir()
    litter.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(litter))
    (folder / "out.mp3").write_text("the one before")
    with pytest.raises(StageError) as caught:
        encode(sines(3.0, SAMPLE_RATE), folder / "out.mp3", title="x")
    assert "Conversion failed!" in caught.value.cause
    assert [child.name for child in folder.iterdir()] == ["out.mp3"]
    assert (folder / "out.mp3").read_text() == "the one before"
    assert not list(litter.iterdir())
    assert tempfile.tempdir == str(litter)


@pytest.mark.parametrize("extension", ["mp3", "flac"])
def test_layers_are_written_as_they_are_heard(tmp_path: Path, extension: str) -> None:
    samples = sines(3.0, SAMPLE_RATE)
    layers = Layers(vocals=layer_of(samples), backing=layer_of(samples)) * 0.5
    written = encode(layers.mix, tmp_path / f"layers.{extension}", title="x")
    assert (
        written.read_bytes() == encode(samples, tmp_path / f"a.{extension}", title="x").read_bytes()
    )


@pytest.mark.parametrize("extension", FORMATS)
@pytest.mark.parametrize("length", [1, 1000])
def test_almost_nothing_can_be_written(tmp_path: Path, extension: str, length: int) -> None:
    path = tmp_path / f"out.{extension}"
    encode(np.zeros((2, length), np.float32), path, title="x")
    assert path.stat().st_size > 0


def test_an_ffmpeg_that_gives_up_early_is_heard_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It closes its input while there is far more to come than a pipe holds.
    broken = tmp_path / "ffmpeg"
    broken.write_text(
        "#!/bin/sh\nexec <&-\nsleep 0.2\necho 'No space left on device' >&2\nexit 1\n"
    )
    broken.chmod(0o755)
    monkeypatch.setattr(encoding, "find_ffmpeg", lambda: str(broken))
    with pytest.raises(StageError) as caught:
        encode(sines(8.0, SAMPLE_RATE), tmp_path / "out.mp3", title="x")
    assert caught.value.cause == "No space left on device\n"
    assert [child.name for child in tmp_path.iterdir()] == ["ffmpeg"]


def test_what_stops_the_reading_stops_ffmpeg_too(tmp_path: Path) -> None:
    class Stopped:
        shape = (2, 60 * SAMPLE_RATE)

        def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
            if key[1].start:
                raise Cancelled
            return np.zeros((2, SAMPLE_RATE), np.float32)

    with pytest.raises(Cancelled):
        encode(Stopped(), tmp_path / "out.mp3", title="x")
    assert not list(tmp_path.iterdir())


def test_works_in_silence_without_ffmpeg_on_the_path(tmp_path: Path) -> None:
    code = (
        "import numpy as np, pathlib\n"
        "from pipeline.codec import encode\n"
        f"path = pathlib.Path({str(tmp_path)!r}, 'o.mp3')\n"
        "encode(np.zeros((2, 44100), np.float32), path, title='x')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "o.mp3").stat().st_size > 1000


def test_the_systems_ffmpeg_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "ffmpeg"
    own.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_ffmpeg() == str(own)


@pytest.mark.parametrize("extension", FORMATS)
def test_a_listener_hears_what_will_be_in_the_file(tmp_path: Path, extension: str) -> None:
    heard: list[Signal] = []

    def listen(blocks: Iterable[Signal]) -> None:
        heard.append(np.concatenate(list(blocks), axis=1))

    path = encode(sines(4.0, SAMPLE_RATE), tmp_path / f"o.{extension}", title="", listener=listen)
    read = decode(path).samples
    assert len(heard) == 1
    # A file says how much of its beginning an encoder has put there; a stream of mp3 does not.
    early = heard[0].shape[1] - read.shape[1]
    assert 0 <= early < 4000
    middle = slice(SAMPLE_RATE, 3 * SAMPLE_RATE)
    shifts = [
        s for s in range(early + 1) if np.allclose(heard[0][:, s:][:, middle], read[:, middle])
    ]
    assert shifts


def test_a_listener_hears_each_bit_rate_that_is_tried(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 20 * SAMPLE_RATE)).astype(np.float32)
    heard: list[int] = []

    def listen(blocks: Iterable[Signal]) -> None:
        heard.append(sum(block.shape[1] for block in blocks))

    path = encode(noise, tmp_path / "o.ogg", title="", max_bytes=240_000, listener=listen)
    assert path.stat().st_size <= 240_000
    assert heard == pytest.approx([20 * SAMPLE_RATE] * len(heard), abs=SAMPLE_RATE)
    assert heard


@pytest.mark.parametrize("extension", ["mp3", "m4a", "wav"])
@pytest.mark.parametrize("hears", ["all", "nothing"])
def test_a_listener_that_fails_ends_the_writing(tmp_path: Path, extension: str, hears: str) -> None:
    def listen(blocks: Iterable[Signal]) -> None:
        if hears == "all":
            list(blocks)
        raise MemoryError("no ears")

    with pytest.raises((MemoryError, StageError)) as caught:
        encode(sines(30.0, SAMPLE_RATE), tmp_path / f"o.{extension}", title="", listener=listen)
    assert "no ears" in f"{caught.value} {caught.value.__cause__}"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extension", ["mp3", "wav"])
def test_whoever_waits_is_told_how_far_it_is(tmp_path: Path, extension: str) -> None:
    told: list[float] = []
    path = tmp_path / f"o.{extension}"
    encode(sines(4.0, SAMPLE_RATE), path, title="", on_fraction=told.append)
    assert told == pytest.approx([0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize("extension", ["mp3", "wav"])
def test_it_can_be_called_off_while_it_writes(tmp_path: Path, extension: str) -> None:
    told: list[float] = []

    def call_off(fraction: float) -> None:
        told.append(fraction)
        raise Cancelled

    with pytest.raises(Cancelled):
        encode(
            sines(30.0, SAMPLE_RATE),
            tmp_path / f"o.{extension}",
            title="",
            listener=list,
            on_fraction=call_off,
        )
    assert told == pytest.approx([1 / 30])
    assert not list(tmp_path.iterdir())
