"""Files to signals: any common audio file in, float32 stereo at 44.1 kHz out.

The FFmpeg libraries inside PyAV do it, so that no program need be installed. A song is never held
as a whole: it is gathered into blocks of about a second and written where the caller wants it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import av
import numpy as np
import soxr

from pipeline.costs import swells, too_costly
from pipeline.errors import SilentAudioError, SongLengthError, UnreadableAudioError
from pipeline.media import check_form, declared_s, no_audio, opened, packets, tracked, unknown_form
from pipeline.names import clean_name, clean_text, clock, title_of
from pipeline.tapes import BLOCK, in_memory, release, stretches
from pipeline.types import SAMPLE_RATE, Song

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Signal

SHORTEST_S = 3.0
"""Seconds of sound without which no merge makes sense."""

LONGEST_S = 900.0
"""Seconds that a song may last unless the caller says otherwise."""

_PADDING_S = 0.5  # encoders pad; a song of exactly the longest length is let through
_SPARE_S = 1.0  # room beyond the declared length, which is often a little short
_UNDECLARED_S = 240.0  # room where no length is declared: most songs are shorter
_SILENCE_DBFS = -60.0
_AUDIBLE_S = 1.0  # with less sound than this above the line, a song counts as silent
_REPORT_EVERY = 5 * SAMPLE_RATE
_DAMAGED_SHARE = 0.1
_LARGEST_SAMPLE = 1e6  # 120 dB above full scale; some programs put full scale at 32 768
_MOST_FORMS = 100  # changes of form need new filters each; a stream of an evening has some dozens


def _nobody_listens(_fraction: float) -> None:
    """Take progress where no one asked for it."""


def decode(
    path: Path,
    *,
    name: str | None = None,
    shortest_s: float = SHORTEST_S,
    longest_s: float = LONGEST_S,
    on_fraction: OnFraction = _nobody_listens,
    blank: Blank = in_memory,
) -> Song:
    """Read a song from an audio file, or from the first sound track of a video.

    Mono becomes two equal channels, surround is mixed down to stereo, any sampling rate becomes
    44.1 kHz, and the padding that encoders add is cut off. A song that decodes above full scale
    is turned down as a whole, not clipped. Of a file that breaks off, what is there is used.

    Parameters
    ----------
    path
        The file. Its extension means nothing; its content decides.
    name
        What the user calls the file, for messages and the title; the path's own name by default.
    shortest_s, longest_s
        Seconds that the song must and may last.
    on_fraction
        Told the share that is decoded, in [0, 1]; what it raises passes through.
    blank
        Makes the signal that the song is written to.

    Returns
    -------
    Song
        float32, shape (2, n), 44 100 Hz, C-contiguous, in [-1, 1].

    Raises
    ------
    UnreadableAudioError
        If the path is no file, is no audio, has no sound track, or is too damaged.
    SongLengthError
        If the song lasts under `shortest_s` or over `longest_s`.
    SilentAudioError
        If there is practically nothing to hear.
    """
    shown = clean_name(path.name if name is None else name)
    with opened(path, shown) as (container, stream):
        length_s = declared_s(container, stream)
        if length_s > longest_s + _PADDING_S:
            raise too_long(shown, f"is {clock(length_s)} long", longest_s)
        tally = _Tally(declared_s=length_s)
        room_s = min(length_s or _UNDECLARED_S, longest_s + _PADDING_S) + _SPARE_S
        recording = _Recording(blank, round(room_s * SAMPLE_RATE))
        for block in _told(_blocks(container, stream, tally, shown), length_s, on_fraction):
            recording.add(block)
            if recording.length > (longest_s + _PADDING_S) * SAMPLE_RATE:
                raise too_long(shown, "is too long", longest_s)
        _check_yield(tally, shortest_s, shown)
        title = _title(container, stream, path.name if name is None else name)
    samples = recording.finished()
    _refuse_silence(samples, shown)
    _turn_down(samples, recording.peak)
    on_fraction(1.0)
    return Song(samples=samples, title=title)


def find_title(path: Path, *, name: str | None = None) -> str:
    """Return what `decode` calls a song, without decoding it.

    Parameters
    ----------
    path, name
        As for `decode`.

    Raises
    ------
    UnreadableAudioError
        If the path is no file, is no audio, or has no sound track that can be decoded.
    """
    name = path.name if name is None else name
    with opened(path, clean_name(name)) as (container, stream):
        return _title(container, stream, name)


def decode_blocks(path: Path, *, name: str | None = None) -> Iterator[Signal]:
    """Read an audio file a little at a time, for those who measure it and do not keep it.

    Parameters
    ----------
    path, name
        As for `decode`.

    Yields
    ------
    Signal
        float32, shape (2, k), 44 100 Hz, about a second each: what `decode` reads, but nothing
        is turned down, so that it may exceed full scale. Of any length, silent or not.

    Raises
    ------
    UnreadableAudioError
        If the path is no file, is no audio, has no sound track, or, at the end, was too damaged.
    """
    shown = clean_name(path.name if name is None else name)
    with opened(path, shown) as track:
        yield from _whole(*track, shown)


def decode_pipe(pipe: IO[bytes], shown: str) -> Iterator[Signal]:
    """Read what somebody writes into a pipe, as `decode_blocks` reads a file.

    Parameters
    ----------
    pipe
        Its end to read from.
    shown
        What to call it in messages.
    """
    with tracked(pipe, shown) as track:
        yield from _whole(*track, shown)


def _whole(container: InputContainer, stream: AudioStream, shown: str) -> Iterator[Signal]:
    tally = _Tally(declared_s=declared_s(container, stream))
    yield from _blocks(container, stream, tally, shown)
    _check_yield(tally, 0.0, shown)


def too_long(shown: str, finding: str, longest_s: float) -> SongLengthError:
    """Return the refusal of a song for its length, after what was found of it."""
    return SongLengthError(
        f"{shown} {finding}; the longest song is {clock(longest_s)}.",
        hint="Cut it down and send it again.",
    )


class _Recording:
    """A signal that is written from its start to an end which is not known beforehand."""

    def __init__(self, blank: Blank, capacity: int) -> None:
        self._blank = blank
        self._signal = blank(capacity)
        self._released = 0
        self.length = 0
        self.peak = 0.0

    def add(self, block: Signal) -> None:
        end = self.length + block.shape[-1]
        if end > self._signal.shape[-1]:  # the header understated
            self._grow(end + end // 2)
        self._signal[:, self.length : end] = block
        self.length = end
        self.peak = max(self.peak, float(block.max()), -float(block.min()))
        if end - self._released >= BLOCK:
            self._released = end
            release(self._signal)

    def _grow(self, capacity: int) -> None:
        larger = self._blank(capacity)
        for part, (copy,) in stretches(self._signal[:, : self.length]):
            larger[:, part] = copy
            release(larger)
        self._signal = larger

    def finished(self) -> Signal:
        """Return what was written, C-contiguous: the second channel moves up to the first."""
        capacity, length = self._signal.shape[-1], self.length
        flat = self._signal.reshape(-1)
        if length < capacity:
            for start in range(0, length, BLOCK):
                stop = min(start + BLOCK, length)
                flat[length + start : length + stop] = flat[capacity + start : capacity + stop]
                release(flat)
        return flat[: 2 * length].reshape(2, length)


@dataclass(slots=True)
class _Tally:
    declared_s: float
    packets: int = 0
    failed: int = 0
    samples: int = 0


def _blocks(
    container: InputContainer, stream: AudioStream, tally: _Tally, shown: str
) -> Iterator[Signal]:
    """Yield float32 blocks at 44.1 kHz, shape (2, k), none of them empty."""
    frames = _frames(container, stream, tally, shown)
    # A stream may change its form on the way, e.g. at the joint of two chained recordings.
    for number, ((_, _, rate_hz), group) in enumerate(itertools.groupby(frames, key=_form)):
        if number == _MOST_FORMS:
            raise too_costly(shown)
        for block in _at_our_rate(_stereo(group, shown), rate_hz):
            if block.shape[-1]:
                tally.samples += block.shape[-1]
                yield block


def _frames(
    container: InputContainer, stream: AudioStream, tally: _Tally, shown: str
) -> Iterator[AudioFrame]:
    """Yield what can be decoded, counting the packets that cannot."""
    decoder = stream.codec_context.name
    for packet in packets(container, stream, shown):
        tally.packets += 1
        if swells(decoder, packet):
            tally.failed += 1
            continue
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            tally.failed += 1
            continue
        yield from frames


def _form(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _stereo(frames: Iterable[AudioFrame], shown: str) -> Iterator[Signal]:
    """Yield frames of one form as blocks of a second, shape (2, k), at their own rate."""
    frames = iter(frames)
    first = next(frames)
    rate_hz, channels = first.sample_rate, first.layout.nb_channels
    check_form(rate_hz, channels, shown)
    # FFmpeg would turn mono down by 3 dB on its way to stereo.
    layout = "mono" if channels == 1 else "stereo"
    mixer = av.AudioResampler(format="fltp", layout=layout, rate=rate_hz)
    for gathered in itertools.chain(_gathered(itertools.chain([first], frames)), [None]):
        try:
            blocks = mixer.resample(gathered)
        except av.FFmpegError as error:  # channels that are nowhere, or some of them twice
            raise unknown_form(shown) from error
        for mixed in blocks:
            yield _numbers(np.broadcast_to(mixed.to_ndarray(), (2, mixed.samples)))


def _gathered(frames: Iterable[AudioFrame]) -> Iterator[AudioFrame]:
    """Join frames, a few hundredths of a second each, so that the work pays that each costs."""
    fifo = av.AudioFifo()
    for frame in frames:
        frame.pts = None  # gaps are not filled
        fifo.write(frame)
        if fifo.samples >= frame.sample_rate:
            yield from fifo.read_many(frame.sample_rate)
    yield from fifo.read_many(frame.sample_rate, partial=True)


def _numbers(block: Signal) -> Signal:
    # Floating-point files may hold what is no number, or too large a one, and either would spread.
    usable = np.abs(block) <= _LARGEST_SAMPLE  # what is no number is not either
    return block if usable.all() else np.where(usable, block, np.float32(0.0))


def _at_our_rate(blocks: Iterator[Signal], rate_hz: int) -> Iterator[Signal]:
    if rate_hz == SAMPLE_RATE:
        yield from blocks
        return
    resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE, 2, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(np.ascontiguousarray(block.T)).T
    yield resampler.resample_chunk(np.zeros((0, 2), np.float32), last=True).T


def _told(blocks: Iterator[Signal], length_s: float, on_fraction: OnFraction) -> Iterator[Signal]:
    """Pass blocks on, and tell how far they have come."""
    done = told = 0
    for block in blocks:
        yield block
        done += block.shape[-1]
        if done - told >= _REPORT_EVERY:
            told = done
            on_fraction(min(1.0, done / SAMPLE_RATE / (length_s or LONGEST_S)))


def _check_yield(tally: _Tally, shortest_s: float, shown: str) -> None:
    length_s = tally.samples / SAMPLE_RATE
    # The one packet at which a file breaks off is no damage.
    if tally.failed > 1 + _DAMAGED_SHARE * tally.packets:
        share = tally.failed / tally.packets
        raise UnreadableAudioError(
            f"{shown} is damaged: {share:.0%} of it cannot be read.",
            hint="Send another copy.",
        )
    if length_s >= shortest_s:
        return
    if length_s == 0:
        raise no_audio(shown)
    if tally.declared_s >= shortest_s:
        raise UnreadableAudioError(
            f"{shown} breaks off after {length_s:.1f} s.", hint="Send another copy."
        )
    raise SongLengthError(
        f"{shown} is {length_s:.1f} s long; the shortest song is {shortest_s:g} s.",
        hint="Send the whole song.",
    )


def _title(container: InputContainer, stream: AudioStream, name: str) -> str:
    """Return "artist - title" from the tags, with an en dash, else what the file's name says."""
    # Ogg keeps its tags with the stream, everything else with the file.
    found = {**stream.metadata, **container.metadata}
    tags = {key.lower(): value for key, value in found.items()}
    parts = [clean_text(tags.get(key, "")) for key in ("artist", "title")]
    tagged = " \N{EN DASH} ".join(part for part in parts if part) if parts[1] else ""
    return tagged or title_of(name)


def _refuse_silence(samples: Signal, shown: str) -> None:
    step = SAMPLE_RATE // 10  # a stretch is a multiple of it
    heard = 0
    for _, (stretch,) in stretches(samples, size=BLOCK // 4):
        count = stretch.shape[1] // step
        level = stretch[:, : count * step].reshape(2, count, step).std(axis=2).max(axis=0)
        heard += int(np.count_nonzero(level > 10 ** (_SILENCE_DBFS / 20)))
        if heard * step >= _AUDIBLE_S * SAMPLE_RATE:
            return
    raise SilentAudioError(f"{shown} is silent.", hint="Send a song that can be heard.")


def _turn_down(samples: Signal, peak: float) -> None:
    if peak > 1.0:
        for start in range(0, samples.shape[1], BLOCK):
            samples[:, start : start + BLOCK] /= np.float32(peak)
            release(samples)
