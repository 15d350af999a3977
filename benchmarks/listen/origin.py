"""How the project that this one grew from merged two songs, for comparison.

Reconstructed from a description in words, without its code: separated stems, mono at 22.05 kHz;
beats tracked with librosa on the stems, 46 ms apart; one global stretch ratio, limited to 1.8,
through librosa's phase vocoder; shifted by the first beat, trimmed, summed. Where the description
leaves a choice, the one that sounds better is taken:

- the voice is brought to the tempo of the accompaniment, not the other way round;
- a tempo is that of the mean interval between beats, which the coarse frames blur least;
- a ratio beyond the limit becomes the limit;
- the stems come from the whole song in stereo, not from a mono copy of it;
- the sum is not clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import librosa
import numpy as np
import numpy.typing as npt
import soxr

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.types import Signal, Stems

Mono: TypeAlias = npt.NDArray[np.float32]
Array: TypeAlias = npt.NDArray[np.float64]

RATE_HZ = 22_050
HOP = 1024
"""Samples between the moments at which a beat may lie, 46 ms."""

MOST_STRETCH = 1.8
"""The voice is made at most so many times faster, or slower."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OriginMashup:
    """A mash-up, and where the voice's moments are heard in it.

    Attributes
    ----------
    mix
        float32, shape (2, n), 44 100 Hz; both channels are the same, above 11 kHz is nothing,
        and peaks may lie above 1.
    ratio
        New tempo of the voice over its old one: above 1 is faster.
    shift_s
        Seconds by which the stretched voice is delayed; below 0 its start is cut off.
    """

    mix: Signal
    ratio: float
    shift_s: float

    def heard_s(self, source_s: Array) -> Array:
        """Map times in the vocal song to times in the mash-up, both in seconds."""
        return source_s / self.ratio + self.shift_s

    def source_s(self, heard_s: Array) -> Array:
        """Map times in the mash-up to times in the vocal song, both in seconds."""
        return (heard_s - self.shift_s) * self.ratio


def merge_like_origin(vocal_song: Stems, backing_song: Stems) -> OriginMashup:
    """Lay the voice of one song over the accompaniment of the other, as the origin did.

    Parameters
    ----------
    vocal_song, backing_song
        The separated songs; the accompaniment of the first and the voice of the second are left
        out.
    """
    voice, backing = _narrow(vocal_song.vocals), _narrow(backing_song.accompaniment)
    voice_beats, backing_beats = find_beats(voice), find_beats(backing)
    ratio = stretch_ratio(voice_beats, backing_beats)
    stretched = librosa.effects.time_stretch(voice, rate=ratio)
    first_s = [float(beats[0]) if len(beats) else 0.0 for beats in (voice_beats, backing_beats)]
    shift = round((first_s[1] - first_s[0] / ratio) * RATE_HZ)
    aligned = np.pad(stretched, (shift, 0)) if shift > 0 else stretched[-shift:]
    length = min(len(aligned), len(backing))
    mono = soxr.resample(aligned[:length] + backing[:length], RATE_HZ, SAMPLE_RATE)
    return OriginMashup(
        mix=np.asarray([mono, mono], dtype=np.float32), ratio=ratio, shift_s=shift / RATE_HZ
    )


def find_beats(stem: Mono) -> Array:
    """Find the beats of a stem at 22.05 kHz, in seconds; none in silence."""
    _, beats_s = librosa.beat.beat_track(y=stem, sr=RATE_HZ, hop_length=HOP, units="time")
    return np.asarray(beats_s, dtype=np.float64)


def stretch_ratio(voice_beats_s: Array, backing_beats_s: Array) -> float:
    """Return the tempo of the backing over that of the voice, 1 where either has no beats."""
    if min(len(voice_beats_s), len(backing_beats_s)) < 2:
        return 1.0
    voice_s, backing_s = (float(np.diff(b).mean()) for b in (voice_beats_s, backing_beats_s))
    return float(np.clip(voice_s / backing_s, 1 / MOST_STRETCH, MOST_STRETCH))


def _narrow(stem: Signal) -> Mono:
    """Fold a stem of shape (2, n) to mono at 22.05 kHz."""
    return np.asarray(soxr.resample(stem.mean(axis=0), SAMPLE_RATE, RATE_HZ), dtype=np.float32)
