"""Any common file becomes the same signal, written a block at a time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.codec import decode, decode_blocks, find_title
from pipeline.errors import (
    Cancelled,
    SongLengthError,
    UnreadableAudioError,
)
from pipeline.tapes import in_memory, on_disk
from pipeline.types import SAMPLE_RATE, Song
from tests.audio_files import (
    PITCHES_HZ,
    claim_flac_length,
    damage,
    pitch_and_level,
    sines,
    write_av,
    write_pcm,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.types import Signal

SONGS = Path(__file__).parents[2] / "shared" / "audio" / "songs"


def assert_sines(song: Song, *, length_s: float, pitches_hz: tuple[float, ...]) -> None:
    assert song.samples.dtype == np.float32
    assert song.samples.flags.c_contiguous
    assert song.samples.shape[0] == 2
    assert song.duration_s == pytest.approx(length_s, abs=0.05)
    for channel, expected_hz in zip(song.samples, pitches_hz, strict=True):
        pitch_hz, level = pitch_and_level(channel, SAMPLE_RATE)
        assert pitch_hz == pytest.approx(expected_hz, abs=1.0)
        assert 20 * np.log10(level / 0.5) == pytest.approx(0.0, abs=0.5)


Writer = partial[Path]
FILES: dict[str, Writer] = {
    "song.mp3": partial(write_av, muxer="mp3", codec="libmp3lame"),
    "song.m4a": partial(write_av, muxer="ipod", codec="aac"),
    "song.aac": partial(write_av, muxer="adts", codec="aac"),
    "alac.m4a": partial(write_av, muxer="ipod", codec="alac"),
    "song.opus": partial(write_av, muxer="opus", codec="libopus"),
    "song.webm": partial(write_av, muxer="webm", codec="libopus"),
    "video.webm": partial(write_av, muxer="webm", codec="libopus", video=True),
    "video.mp4": partial(write_av, muxer="mp4", codec="aac", video=True),
    "video.mkv": partial(write_av, muxer="matroska", codec="flac", video=True),
    "song.ogg": partial(write_pcm),
    "song.flac": partial(write_pcm),
    "deep.flac": partial(write_pcm, subtype="PCM_24"),
    "song.wav": partial(write_pcm),
    "deep.wav": partial(write_pcm, subtype="PCM_24"),
    "float.wav": partial(write_pcm, subtype="FLOAT"),
    "double.wav": partial(write_pcm, subtype="DOUBLE"),
    "byte.wav": partial(write_pcm, subtype="PCM_U8"),
    "song.aiff": partial(write_pcm),
    "really_a_wav.mp3": partial(write_pcm),
    "really_an_mp3.wav": partial(write_av, muxer="mp3", codec="libmp3lame"),
    "no_extension": partial(write_av, muxer="mp3", codec="libmp3lame"),
}


@pytest.mark.parametrize("name", FILES)
def test_reads_any_common_format(tmp_path: Path, name: str) -> None:
    path = FILES[name](tmp_path / name, sines(4.0, 48_000), 48_000)
    assert_sines(decode(path), length_s=4.0, pitches_hz=PITCHES_HZ)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000])
def test_reads_any_sampling_rate(tmp_path: Path, rate_hz: int) -> None:
    path = write_pcm(tmp_path / "song.wav", sines(4.0, rate_hz), rate_hz, "PCM_24")
    assert_sines(decode(path), length_s=4.0, pitches_hz=PITCHES_HZ)


def test_mono_fills_both_channels_at_its_own_level(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "mono.wav", sines(4.0, 16_000, channels=1), 16_000)
    song = decode(path)
    assert_sines(song, length_s=4.0, pitches_hz=(440.0, 440.0))
    np.testing.assert_array_equal(song.samples[0], song.samples[1])


@pytest.mark.parametrize("writer", [
    partial(write_av, muxer="flac", codec="flac", layout="5.1"),
    partial(write_pcm),  # without a word on which channel is where
])  # fmt: skip
def test_surround_is_mixed_down(tmp_path: Path, writer: Writer) -> None:
    quiet = sines(4.0, 48_000, channels=6, level=0.1)
    quiet[2] = np.roll(sines(4.0, 48_000, level=0.1)[0], 13)
    quiet[[2, 4, 5]] *= np.array([[2.0], [0.0], [0.0]], np.float32)
    quiet[:2] = 0.0
    song = decode(writer(tmp_path / "surround.flac", quiet, 48_000))
    # The centre alone, 3 dB down in each front channel; ITU-R BS.775.
    for channel in song.samples:
        assert pitch_and_level(channel, SAMPLE_RATE) == pytest.approx((440, 0.1414), rel=0.02)


def test_a_song_above_full_scale_is_turned_down_not_clipped(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "hot.wav", sines(4.0, 44_100, level=2.0), 44_100, "FLOAT")
    song = decode(path)
    assert np.abs(song.samples).max() == 1.0
    assert pitch_and_level(song.samples[0], SAMPLE_RATE)[1] == pytest.approx(1.0, abs=1e-3)


def test_numbers_that_are_none_become_silence(tmp_path: Path) -> None:
    samples = sines(4.0, 44_100)
    samples[:, 1000:1010] = np.nan
    song = decode(write_pcm(tmp_path / "nan.wav", samples, 44_100, "FLOAT"))
    assert np.isfinite(song.samples).all()
    assert_sines(song, length_s=4.0, pitches_hz=PITCHES_HZ)


@pytest.mark.parametrize(("muxer", "codec_name"), [("mp3", "libmp3lame"), ("ipod", "aac")])
def test_what_encoders_pad_is_cut_off(tmp_path: Path, muxer: str, codec_name: str) -> None:
    click = np.zeros((2, 4 * 44_100), np.float32)
    click[:, 44_100::44_100] = 0.9
    click += sines(4.0, 44_100, level=0.01)
    path = write_av(tmp_path / "click", click, muxer=muxer, codec=codec_name)
    assert np.abs(decode(path).samples[0, :60_000]).argmax() == pytest.approx(44_100, abs=2)


# --- what can be used all the same --------------------------------------------------------------


def test_a_file_that_breaks_off_gives_what_is_there(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "song.wav", sines(8.0, 44_100), 44_100)
    path.write_bytes(path.read_bytes()[: 44 + 4 * 44_100 * 5])
    assert_sines(decode(path), length_s=5.0, pitches_hz=PITCHES_HZ)


def test_a_few_damaged_packets_are_skipped(tmp_path: Path) -> None:
    path = write_av(tmp_path / "song.m4a", sines(20.0, 44_100), muxer="ipod", codec="aac")
    damage(path, 0.01)
    assert decode(path).duration_s == pytest.approx(20.0, abs=1.0)


def test_a_streamed_wav_of_unknown_length_is_read_to_its_end(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "song.wav", sines(4.0, 44_100), 44_100)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert_sines(decode(path), length_s=4.0, pitches_hz=PITCHES_HZ)


def test_a_song_of_exactly_the_longest_length_is_let_through(tmp_path: Path) -> None:
    path = write_av(tmp_path / "song.mp3", sines(6.0, 44_100), muxer="mp3", codec="libmp3lame")
    assert decode(path, longest_s=6.0).duration_s == pytest.approx(6.0, abs=0.05)
    with pytest.raises(SongLengthError, match=r"is 0:06 long; the longest song is 0:05\."):
        decode(path, longest_s=5.0)


def test_short_sounds_pass_where_the_caller_allows_them(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "song.wav", sines(2.0, 44_100), 44_100)
    assert decode(path, shortest_s=0.0).duration_s == 2.0
    with pytest.raises(SongLengthError, match=r"is 2\.0 s long; the shortest song is 3 s\."):
        decode(path)


@pytest.mark.parametrize(
    ("tags", "title"),
    [
        ({"artist": "Ann\n", "title": "AC/DC \x1b[1mlive"}, "Ann \N{EN DASH} AC/DC live"),
        ({"title": "Alone"}, "Alone"),
        ({"artist": "Ann"}, "my song"),
        ({}, "my song"),
    ],
)
@pytest.mark.parametrize("name", ["song.mp3", "song.m4a", "song.opus"])
def test_the_title_comes_from_tags_or_the_name(
    tmp_path: Path, name: str, tags: dict[str, str], title: str
) -> None:
    path = FILES[name](tmp_path / name, sines(3.5, 44_100), 48_000, tags=tags)
    assert decode(path, name="my_song.mp3").title == title
    assert find_title(path, name="my_song.mp3") == title


# --- progress -----------------------------------------------------------------------------------


def test_progress_rises_to_one(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "song.wav", sines(31.0, 44_100), 44_100)
    told: list[float] = []
    decode(path, on_fraction=told.append)
    assert len(told) > 4
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_cancelling_passes_through(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "song.wav", sines(12.0, 44_100), 44_100)

    def cancel(_: float) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        decode(path, on_fraction=cancel)


# --- real songs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "length_s"),
    [
        ("lets_go_fishin.ogg", 133),
        ("on_the_run.ogg", 288),
        ("twit_journalist.mp3", 62),
        ("caesium.m4a", 228),
        ("crazy_glue.wav", 29),
        ("slow_motion_dream.mp3", 11),
        ("a_christmas_carol.ogg", 110),
        ("to_be_an_animal.ogg", 8),
        ("vibe_ace.ogg", 61),
    ],
)
def test_real_songs_have_their_documented_length(name: str, length_s: float) -> None:
    if not (SONGS / name).exists():
        pytest.skip(f"needs {name} in ../shared/audio/songs")
    assert decode(SONGS / name).duration_s == pytest.approx(length_s, abs=0.6)


# --- where the caller wants it --------------------------------------------------------------------

LENGTH_S = 45.0  # more than two stretches


def _song(path: Path) -> Path:
    return write_pcm(path.with_suffix(".flac"), _rising(), SAMPLE_RATE, "PCM_24")


def _understated(path: Path) -> Path:
    song = _song(path)
    claim_flac_length(song, 5 * SAMPLE_RATE)
    return song


def _overstated(path: Path) -> Path:
    song = _song(path)
    claim_flac_length(song, 600 * SAMPLE_RATE)
    return song


def _undeclared(path: Path) -> Path:
    song = _song(path)
    claim_flac_length(song, 0)
    return song


def _rising() -> Signal:
    samples = sines(LENGTH_S, SAMPLE_RATE)
    return (samples * np.linspace(0.1, 1.0, samples.shape[1])).astype(np.float32)


@pytest.mark.parametrize("make", [_song, _understated, _overstated, _undeclared])
def test_a_song_on_disk_is_the_same_whatever_its_header_says(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    made: list[Signal] = []
    disk = on_disk(tmp_path)

    def blank(length: int) -> Signal:
        made.append(disk(length))
        return made[-1]

    samples = decode(make(tmp_path / "song"), blank=blank).samples
    assert samples.flags.c_contiguous
    assert np.shares_memory(samples, made[-1])
    np.testing.assert_allclose(samples, _rising(), atol=2.0**-22)


def test_a_song_on_disk_is_turned_down_as_a_whole(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "hot.wav", _rising() * 4.0, SAMPLE_RATE, "FLOAT")
    samples = decode(path, blank=on_disk(tmp_path)).samples
    assert np.abs(samples).max() == 1.0
    np.testing.assert_allclose(samples, _rising() / np.abs(_rising()).max(), atol=1e-6)


def test_a_song_that_is_heard_late_is_not_silent(tmp_path: Path) -> None:
    samples = sines(LENGTH_S, SAMPLE_RATE)
    samples[:, : -2 * SAMPLE_RATE] = 0.0
    decode(write_pcm(tmp_path / "late.wav", samples, SAMPLE_RATE))


def test_no_room_for_a_song_is_the_callers_to_handle(tmp_path: Path) -> None:
    def full(length: int) -> Signal:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        decode(_song(tmp_path / "song"), blank=full)


def test_room_is_asked_for_once_where_the_header_is_right(tmp_path: Path) -> None:
    asked: list[int] = []

    def blank(length: int) -> Signal:
        asked.append(length)
        return in_memory(length)

    decode(_song(tmp_path / "song"), blank=blank)
    assert len(asked) == 1
    assert asked[0] < 1.1 * LENGTH_S * SAMPLE_RATE


# --- without keeping it -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "rate_hz", "channels"),
    [
        (partial(write_pcm, subtype="PCM_16"), 44_100, 2),
        (partial(write_pcm, subtype="PCM_16"), 48_000, 1),
        (partial(write_av, muxer="mp3", codec="libmp3lame"), 44_100, 2),
        (partial(write_av, muxer="ogg", codec="libopus"), 48_000, 2),
        (partial(write_av, muxer="adts", codec="aac"), 32_000, 2),
    ],
)
def test_blocks_join_to_the_song(
    tmp_path: Path, write: Callable[..., Path], rate_hz: int, channels: int
) -> None:
    path = write(tmp_path / "song.wav", sines(8.3, rate_hz, channels=channels), rate_hz)
    blocks = list(decode_blocks(path))
    assert {block.shape[0] for block in blocks} == {2}
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    assert min(block.shape[1] for block in blocks) > 0
    assert max(block.shape[1] for block in blocks) < 1.2 * SAMPLE_RATE
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), decode(path).samples)


def test_blocks_are_as_loud_as_the_file_and_may_be_few(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "hot.wav", sines(0.2, 44_100, level=2.0), 44_100, "FLOAT")
    (block,) = decode_blocks(path)
    assert np.abs(block).max() == pytest.approx(2.0, abs=1e-3)


def test_blocks_of_a_damaged_file_end_in_words(tmp_path: Path) -> None:
    path = write_av(tmp_path / "song.m4a", sines(8.0, 44_100), muxer="mp4", codec="aac")
    damage(path, 0.3)
    with pytest.raises(UnreadableAudioError, match=r"^mine\.m4a is damaged: "):
        list(decode_blocks(path, name="mine.m4a"))


def test_blocks_of_no_audio_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "diary.txt"
    path.write_text("Dear diary.\n" * 200)
    with pytest.raises(UnreadableAudioError, match="is not an audio file that can be read"):
        next(decode_blocks(path))
