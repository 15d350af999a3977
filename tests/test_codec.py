from __future__ import annotations

import os
import socket
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from pipeline.codec import decode, encode
from pipeline.errors import (
    Cancelled,
    SilentAudioError,
    SongLengthError,
    UnreadableAudioError,
    UserError,
)
from pipeline.types import SAMPLE_RATE, Song
from tests.audio_files import (
    PITCHES_HZ,
    claim_flac_length,
    damage,
    pitch_and_level,
    sines,
    write_av,
    write_pcm,
    write_wav_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable

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


# --- what cannot be used ------------------------------------------------------------------------


def _nothing(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("Dear diary, today I merged two songs.\n" * 200)


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(7).bytes(200_000))


def _folder(path: Path) -> None:
    path.mkdir()


def _absent(path: Path) -> None:
    assert not path.exists()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _video_only(path: Path) -> None:
    write_av(path, None, muxer="mp4", video=True)


def _headless(path: Path) -> None:
    write_av(path, sines(6.0, 44_100), muxer="mp4", codec="aac")
    path.write_bytes(path.read_bytes()[:60_000])  # its index stood at the end


def _cut_short(path: Path) -> None:
    write_av(path, sines(6.0, 44_100), muxer="flac", codec="flac")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 6])


def _damaged(path: Path) -> None:
    write_av(path, sines(8.0, 44_100), muxer="mp4", codec="aac")
    damage(path, 0.3)


def _silent(path: Path) -> None:
    write_pcm(path, np.zeros((2, 5 * 44_100), np.float32), 44_100)


def _almost_silent(path: Path) -> None:
    write_pcm(path, sines(5.0, 44_100, level=5e-4), 44_100, "PCM_24")


def _one_click(path: Path) -> None:
    samples = np.zeros((2, 5 * 44_100), np.float32)
    samples[:, 70_000] = 1.0
    write_pcm(path, samples, 44_100)


def _short(path: Path) -> None:
    write_pcm(path, sines(0.2, 44_100), 44_100)


def _three_hours(path: Path) -> None:
    write_wav_header(path, declared_s=10_800, actual_s=10_800)


def _understated(path: Path) -> None:
    write_pcm(path.with_suffix(".flac"), sines(905.0, 8_000, channels=1), 8_000).rename(path)
    claim_flac_length(path, 5 * 8_000)


def _many_channels(path: Path) -> None:
    write_pcm(path, sines(3.0, 8_000, channels=40), 8_000)


@pytest.mark.parametrize(
    ("make", "kind", "says"),
    [
        (_nothing, UnreadableAudioError, "song.mp3 is empty. Send the file again."),
        (_text, UnreadableAudioError, "song.mp3 is not an audio file that can be read."),
        (_noise, UnreadableAudioError, "song.mp3 "),
        (_folder, UnreadableAudioError, "song.mp3 is a folder, not a song."),
        (_absent, UnreadableAudioError, "song.mp3 does not exist."),
        (_pipe, UnreadableAudioError, "song.mp3 is not a file."),
        (_video_only, UnreadableAudioError, "song.mp3 has no sound track."),
        (_headless, UnreadableAudioError, "song.mp3 is not an audio file that can be read."),
        (_cut_short, UnreadableAudioError, "song.mp3 breaks off after "),
        (_damaged, UnreadableAudioError, "song.mp3 is damaged: "),
        (_many_channels, UnreadableAudioError, "song.mp3 claims 40 channels at 8000 Hz"),
        (_silent, SilentAudioError, "song.mp3 is silent."),
        (_almost_silent, SilentAudioError, "song.mp3 is silent."),
        (_one_click, SilentAudioError, "song.mp3 is silent."),
        (_short, SongLengthError, "song.mp3 is 0.2 s long; the shortest song is 3 s."),
        (
            _three_hours,
            SongLengthError,
            "song.mp3 is 3:00:00 long; the longest song is 15:00. Cut it down and send it again.",
        ),
        (_understated, SongLengthError, "song.mp3 is too long; the longest song is 15:00."),
    ],
)
def test_says_in_one_sentence_what_is_wrong(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    kind: type[UserError],
    says: str,
) -> None:
    path = tmp_path / "song.mp3"
    make(path)
    with pytest.raises(kind) as caught:
        decode(path)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # FFmpeg keeps its remarks to itself


def test_a_name_that_no_disk_has_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(UnreadableAudioError, match="cannot be read: File name too long"):
        decode(tmp_path / ("x" * 300 + ".mp3"), name="song.mp3")


@pytest.mark.parametrize("extension", ["wav", "mp3"])
def test_writes_into_a_folder_whose_name_is_no_utf8(tmp_path: Path, extension: str) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    path = encode(sines(3.0, SAMPLE_RATE), folder / f"song.{extension}", title="Song")
    assert decode(path).duration_s == pytest.approx(3.0, abs=0.05)


def test_a_file_without_permission_is_refused_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pcm(tmp_path / "song.wav", sines(4.0, 44_100), 44_100)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read anything, so chmod proves nothing
    with pytest.raises(UnreadableAudioError, match=r"song\.wav may not be read"):
        decode(path)


def test_messages_and_titles_show_the_users_name_made_harmless(tmp_path: Path) -> None:
    path = write_pcm(tmp_path / "0001.wav", sines(4.0, 44_100), 44_100)
    assert decode(path, name="../My_\u202eSong\n.wav").title == "My Song"
    path.write_bytes(b"")
    with pytest.raises(UnreadableAudioError, match=r"^evil \.mp3 is empty\."):
        decode(path, name="/tmp/\x1b[31mevil\n.mp3")


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


# --- files that want more than to be read -------------------------------------------------------

BAITS = {
    "concat": "ffconcat version 1.0\nfile bait.wav\n",
    "hls of a file": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nbait.wav\n#EXT-X-ENDLIST\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}/a.ts\n#EXT-X-ENDLIST\n",
    "m3u": "#EXTM3U\n{url}/a.mp3\n",
    "pls": "[playlist]\nFile1={url}/a.mp3\nNumberOfEntries=1\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{url}/a.png"/></svg>',
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><BaseURL>{url}/</BaseURL></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio {port} RTP/AVP 0\n",
}


@pytest.mark.parametrize("bait", BAITS)
@pytest.mark.parametrize("name", ["song.mp3", "song.m3u8"])
def test_playlists_in_disguise_open_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bait: str, name: str
) -> None:
    write_pcm(tmp_path / "bait.wav", sines(4.0, 44_100), 44_100)
    monkeypatch.chdir(tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as canary:
        canary.settimeout(0)
        port = canary.getsockname()[1]
        text = BAITS[bait].format(url=f"http://127.0.0.1:{port}", port=port)
        (tmp_path / name).write_text(text)
        with pytest.raises(UnreadableAudioError):
            decode(Path(name))
        with pytest.raises(BlockingIOError):  # nobody called
            canary.accept()


def test_the_bait_is_one_that_ffmpeg_would_take(tmp_path: Path) -> None:
    write_pcm(tmp_path / "bait.wav", sines(4.0, 44_100), 44_100)
    (tmp_path / "song.mp3").write_text(BAITS["concat"])
    with av.open(str(tmp_path / "song.mp3")) as container:
        assert container.streams.audio[0].sample_rate == 44_100


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
