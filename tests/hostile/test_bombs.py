"""Files that cost far more than they weigh are refused, at little cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest

from pipeline import costs
from pipeline.codec import decode, find_title, fingerprint
from pipeline.decoding import decode_blocks
from pipeline.errors import UnreadableAudioError
from tests.audio_files import sines, write_av
from tests.fuzz.reading import Reader, reader
from tests.fuzz.seeds import write_ape
from tests.hostile.bombs import (
    BOMBS,
    HARMLESS,
    hours_in_a_packet,
    hours_in_an_ape_frame,
    tags_before_an_mp3,
    the_same_bytes_again_and_again,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

MOST_MEMORY_MB = 100.0
LONGEST_SONG_MB = 700.0  # 15 minutes, and those as far as known while more room is made for them
MOST_CPU_S = 20.0


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    remarks = tmp_path_factory.mktemp("reader") / "remarks"
    with reader(remarks, deadline_s=120.0) as found:
        yield found
    assert remarks.read_text() == ""  # no traceback, no remark of a library


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_a_sentence(tmp_path: Path, process: Reader, bomb: str) -> None:
    write, says = BOMBS[bomb]
    write(tmp_path / "song")
    reading = process.read(tmp_path / "song")
    assert reading.is_fine, reading.said
    assert any(says in answer for answer in reading.said)
    is_read = bomb == "hours of silence in 100 kB"  # nothing is wrong with it but its length
    assert reading.memory_mb < (LONGEST_SONG_MB if is_read else MOST_MEMORY_MB)
    assert reading.cpu_s < MOST_CPU_S


@pytest.mark.parametrize("kind", HARMLESS)
def test_what_lies_beside_the_music_costs_nothing(
    tmp_path: Path, process: Reader, kind: str
) -> None:
    HARMLESS[kind](tmp_path / "song")
    reading = process.read(tmp_path / "song")
    assert reading.said[0] == "music"
    assert reading.is_fine, reading.said
    assert reading.memory_mb < MOST_MEMORY_MB


# --- each bound by itself -----------------------------------------------------------------------


def test_ffmpeg_would_take_hours_out_of_one_packet(tmp_path: Path) -> None:
    hours_in_a_packet(tmp_path / "song.mkv")
    data = (tmp_path / "song.mkv").read_bytes()
    with av.open(str(tmp_path / "song.mkv")) as container:
        stream = container.streams.audio[0]
        packet = next(container.demux(stream))
        assert costs.swells("flac", packet)
        first = av.Packet(bytes(packet)[: 16 * 20])
        assert [frame.samples for frame in stream.codec_context.decode(first)] == [65_535] * 20
    assert len(data) < 1_000_000


def test_ffmpeg_would_take_hours_out_of_one_ape_frame(tmp_path: Path) -> None:
    hours_in_an_ape_frame(tmp_path / "bomb.ape")
    write_ape(tmp_path / "song.ape", samples=1 << 20, frame_samples=1 << 20)
    swollen = []
    for name in ("bomb.ape", "song.ape"):
        with av.open(str(tmp_path / name)) as container:
            packet = next(container.demux(container.streams.audio[0]))
            swollen.append(costs.swells("ape", packet))
    assert swollen == [True, False]


@pytest.mark.parametrize(("limit", "value"), [("_MOST_READS", 3), ("_OPENING_CPU_S", -1.0)])
def test_reading_without_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    path = write_av(tmp_path / "song.wav", sines(8.0, 44_100), muxer="wav", codec="pcm_s16le")
    assert len(fingerprint(path)) == 64
    monkeypatch.setattr(costs, limit, value)
    with pytest.raises(UnreadableAudioError, match="far more work to read than any song"):
        fingerprint(path)


def test_tables_that_read_the_same_bytes_are_ended_by_processor_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    the_same_bytes_again_and_again(tmp_path / "song.mp4")
    monkeypatch.setattr(costs, "_OPENING_CPU_S", 0.1)
    with pytest.raises(UnreadableAudioError, match="far more work to read than any song"):
        find_title(tmp_path / "song.mp4")


@pytest.mark.parametrize(
    ("limit", "value"), [("_MOST_PACKETS", 20), ("_CARRIED_AT_LEAST", -(10**9))]
)
def test_more_packets_than_a_file_can_hold_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int
) -> None:
    path = write_av(tmp_path / "song.mp3", sines(4.0, 44_100), muxer="mp3", codec="libmp3lame")
    monkeypatch.setattr(costs, limit, value)
    readers: tuple[Callable[[], object], ...] = (
        lambda: fingerprint(path), lambda: decode(path), lambda: list(decode_blocks(path)),
    )  # fmt: skip
    for read in readers:
        with pytest.raises(UnreadableAudioError, match="far more work to read than any song"):
            read()


def test_tags_are_counted_before_ffmpeg_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags_before_an_mp3(tmp_path / "song.mp3")

    def fail(*_: object, **__: object) -> None:
        pytest.fail("FFmpeg saw the file")

    monkeypatch.setattr(av, "open", fail)
    with pytest.raises(UnreadableAudioError, match="far more work to read than any song"):
        find_title(tmp_path / "song.mp3")


def test_a_decoder_that_is_not_allowed_decodes_nothing(tmp_path: Path) -> None:
    path = write_av(tmp_path / "song.wav", sines(4.0, 16_000, channels=1), 16_000, muxer="wav",
                    codec="g722", layout="mono")  # fmt: skip
    with av.open(str(path)) as container:  # FFmpeg could
        assert sum(frame.samples for frame in container.decode(audio=0)) == 64_000
    for read in (fingerprint, find_title):
        with pytest.raises(UnreadableAudioError, match="holds sound in a form that cannot be read"):
            read(path)
