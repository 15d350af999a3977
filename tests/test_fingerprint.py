"""A song is known by its audio: tags, covers and names do not matter, every packet does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import soundfile as sf

from pipeline.codec import decode, fingerprint
from pipeline.errors import UnreadableAudioError
from tests.audio_files import sines, write_av, write_pcm

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.audio_files import Floats


LENGTH_S = 3.2
TAGS = {"title": "Some\x05vorbis", "artist": "Somebody" * 100, "comment": "\x03vorbis \xff\xfe"}


def _write_vorbis(
    path: Path, samples: Floats, rate_hz: int, tags: dict[str, str] | None = None
) -> Path:
    with sf.SoundFile(path, "w", rate_hz, len(samples), format="OGG", subtype="VORBIS") as file:
        for tag, value in (tags or {}).items():
            setattr(file, tag, value)
        file.write(samples.T)
    return path


FILES: dict[str, partial[Path]] = {
    "song.mp3": partial(write_av, muxer="mp3", codec="libmp3lame"),
    "song.ogg": partial(_write_vorbis),
    "song.opus": partial(write_av, muxer="opus", codec="libopus"),
    "song.m4a": partial(write_av, muxer="ipod", codec="aac"),
    "alac.m4a": partial(write_av, muxer="ipod", codec="alac"),
    "song.flac": partial(write_av, muxer="flac", codec="flac"),
    "song.wav": partial(write_av, muxer="wav", codec="pcm_s16le"),
}


def _write(path: Path, **changes: object) -> Path:
    rate_hz = 48_000
    return FILES[path.name.split("-")[-1]](path, sines(LENGTH_S, rate_hz), rate_hz, **changes)


@pytest.mark.parametrize("name", FILES)
def test_other_tags_and_names_leave_it_as_it_was(tmp_path: Path, name: str) -> None:
    plain = _write(tmp_path / name)
    tagged = _write(tmp_path / f"tagged-{name}", tags=TAGS)
    assert plain.read_bytes() != tagged.read_bytes()
    assert len(fingerprint(plain)) == 64
    assert fingerprint(plain) == fingerprint(tagged, name="mine")
    np.testing.assert_array_equal(decode(plain).samples, decode(tagged).samples)


def _id3_at_both_ends(data: bytes) -> bytes:
    frame = b"TIT2" + (6).to_bytes(4, "big") + b"\0\0" + b"\0Title"
    head = b"ID3\x03\0\0" + bytes([0, 0, 0, len(frame)]) + frame
    return head + data[data.index(b"\xff\xfb") :] + b"TAG" + b"A name".ljust(125, b"\0")


def test_tags_at_both_ends_of_an_mp3_do_not_matter(tmp_path: Path) -> None:
    path = _write(tmp_path / "song.mp3")
    before = fingerprint(path)
    path.write_bytes(_id3_at_both_ends(path.read_bytes()))
    assert fingerprint(path) == before


def test_a_cover_does_not_matter(tmp_path: Path) -> None:
    path = _write(tmp_path / "song.mp3")
    with_cover = tmp_path / "cover.mp3"
    with av.open(str(path)) as song, av.open(str(with_cover), "w", format="mp3") as out:
        sound = song.streams.audio[0]
        copy = out.add_stream_from_template(sound)
        cover = out.add_stream("mjpeg", rate=1)
        cover.width = cover.height = 32
        cover.pix_fmt = "yuvj420p"
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), "rgb24")
        out.mux(cover.encode(picture.reformat(format="yuvj420p")))
        out.mux(cover.encode(None))
        for packet in song.demux(sound):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    with av.open(str(with_cover)) as made:
        assert len(made.streams.video) == 1
    assert fingerprint(with_cover) == fingerprint(path)


def _other_tone(path: Path, name: str) -> Path:
    return FILES[name](path, sines(LENGTH_S, 48_000)[::-1].copy(), 48_000)


def _other_length(path: Path, name: str) -> Path:
    return FILES[name](path, sines(LENGTH_S + 0.5, 48_000), 48_000)


def _end_cut_off(path: Path, name: str) -> Path:
    data = _write(path.with_name(name)).read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def _encoded_again(path: Path, name: str) -> Path:
    song = decode(_write(path.with_name(name)))
    return FILES[name](path, song.samples, 44_100)


@pytest.mark.parametrize("make", [_other_tone, _other_length, _end_cut_off, _encoded_again])
@pytest.mark.parametrize("name", ["song.mp3", "song.ogg", "song.flac"])
def test_other_audio_has_another(
    tmp_path: Path, name: str, make: Callable[[Path, str], Path]
) -> None:
    other = make(tmp_path / "other", name)
    assert fingerprint(other) != fingerprint(_write(tmp_path / name))


def test_one_changed_sample_changes_it(tmp_path: Path) -> None:
    samples = sines(LENGTH_S, 44_100)
    first = fingerprint(write_pcm(tmp_path / "song.wav", samples, 44_100))
    samples[1, -1] += 0.01
    assert fingerprint(write_pcm(tmp_path / "song.wav", samples, 44_100)) != first


def test_the_same_numbers_in_another_form_are_another_song(tmp_path: Path) -> None:
    data = sines(LENGTH_S, 44_100)
    found = {
        fingerprint(write_pcm(tmp_path / "song.wav", data, 44_100)),
        fingerprint(write_pcm(tmp_path / "song.wav", data, 22_050)),
        fingerprint(write_pcm(tmp_path / "song.wav", data.T.reshape(1, -1), 44_100)),
        fingerprint(write_pcm(tmp_path / "song.aiff", data, 44_100)),
    }
    assert len(found) == 4


def test_what_is_cut_off_at_the_ends_matters(tmp_path: Path) -> None:
    # The same packets, of which the second file's last samples are padding.
    paths = [_write(tmp_path / name) for name in ("song.mp3", "2-song.mp3")]
    data = bytearray(paths[1].read_bytes())
    at = data.index(b"Info") + 141  # 12 bits of delay, then 12 of padding
    data[at + 2] ^= 0x10
    paths[1].write_bytes(data)
    lengths = {decode(path).samples.shape[1] for path in paths}
    assert len(lengths) == 2
    assert fingerprint(paths[0]) != fingerprint(paths[1])


def test_of_a_rare_codec_the_whole_file_counts(tmp_path: Path) -> None:
    write = partial(write_av, muxer="asf", codec="wmav2")
    plain = write(tmp_path / "plain.wma", sines(LENGTH_S, 44_100))
    same = write(tmp_path / "same.wma", sines(LENGTH_S, 44_100))
    tagged = write(tmp_path / "tagged.wma", sines(LENGTH_S, 44_100), tags={"title": "Song"})
    same.write_bytes(plain.read_bytes())
    assert fingerprint(plain) == fingerprint(same) != fingerprint(tagged)


def test_what_cannot_be_opened_has_none(tmp_path: Path) -> None:
    path = tmp_path / "0001"
    path.write_text("ffconcat version 1.0\nfile bait.wav\n")
    with pytest.raises(UnreadableAudioError, match=r"^list\.mp3 is not an audio file"):
        fingerprint(path, name="list.mp3")
    with pytest.raises(UnreadableAudioError, match="does not exist"):
        fingerprint(tmp_path / "absent.mp3")
    write_av(path, None, muxer="mp4", video=True)
    with pytest.raises(UnreadableAudioError, match="has no sound track"):
        fingerprint(path)
