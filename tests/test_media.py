"""Strangers' files: what cannot be used is refused in words, and nothing else is opened."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from pipeline.codec import decode, encode
from pipeline.errors import (
    SilentAudioError,
    SongLengthError,
    UnreadableAudioError,
    UserError,
)
from pipeline.types import SAMPLE_RATE
from tests.audio_files import (
    claim_flac_length,
    damage,
    sines,
    write_av,
    write_pcm,
    write_wav_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable


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
