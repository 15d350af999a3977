"""Songs are written where the caller wants them, a block at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.codec import decode, decode_blocks
from pipeline.errors import UnreadableAudioError
from pipeline.tapes import in_memory, on_disk
from pipeline.types import SAMPLE_RATE
from tests.audio_files import (
    claim_flac_length,
    damage,
    sines,
    write_av,
    write_pcm,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipeline.types import Signal

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
