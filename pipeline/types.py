"""The values that pass between the stages; light enough for the bot's own process.

Arrays are channels first, time last: float32, shape (2, n), 44 100 Hz, in [-1, 1]. What crosses
a process boundary holds only tuples, numbers, strings and paths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:  # numpy stays out of the bot's process
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    Signal: TypeAlias = npt.NDArray[np.float32]

SAMPLE_RATE = 44_100
"""Hz; the one rate of every signal between decoding and encoding."""


class Stage(StrEnum):
    """The stages of a merge, each named so that "while we tried to ..." reads well."""

    FETCH = "fetch Spleeter's weights"
    DECODE = "read the songs"
    SEPARATE = "separate voices and accompaniment"
    BEATS = "find the beats"
    KEYS = "find the keys"
    PLAN = "plan the mash-up"
    WARP = "bring the songs to one tempo and key"
    LEVEL = "set the levels"
    MIX = "mix the layers"
    ENCODE = "write the file"
    DRAW = "draw the picture"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a merge has come.

    Attributes
    ----------
    stage
        What is being done.
    fraction
        Share of the whole merge that is done, in [0, 1]; never falls.
    """

    stage: Stage
    fraction: float


Spans: TypeAlias = tuple[tuple[float, float], ...]
"""Passages as (start, end) in seconds, rising."""

OnProgress: TypeAlias = Callable[[Progress], None]
"""Called by the conductor as work proceeds; may raise `pipeline.errors.Cancelled`."""

OnFraction: TypeAlias = Callable[[float], None]
"""Called by one stage with its own share done, in [0, 1]."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Song:
    """A decoded song.

    Attributes
    ----------
    samples
        float32, shape (2, n), 44 100 Hz, in [-1, 1].
    title
        What a person would call it: artist and title from its tags, or its file name.
    """

    samples: Signal
    title: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.shape[-1] / SAMPLE_RATE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stems:
    """The two layers of a song, of equal length, which sum to the song they came from.

    Attributes
    ----------
    vocals, accompaniment
        float32, shape (2, n), 44 100 Hz.
    """

    vocals: Signal
    accompaniment: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatGrid:
    """Where the beats of a song are; an empty grid is legal.

    Attributes
    ----------
    beats_s
        Strictly rising times in seconds from the song's start.
    downbeats_s
        The first beat of every bar; each is one of `beats_s`.
    bpm
        Median tempo in beats per minute; 0 when the grid is empty.
    beats_per_bar
        3 or 4.
    confidence
        How clear the pulse is, in [0, 1].
    """

    beats_s: tuple[float, ...] = ()
    downbeats_s: tuple[float, ...] = ()
    bpm: float = 0.0
    beats_per_bar: int = 4
    confidence: float = 0.0


TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

Mode: TypeAlias = Literal["major", "minor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A musical key.

    Attributes
    ----------
    tonic
        Semitones above C, 0 to 11.
    mode
        "major" or "minor".
    confidence
        How far the best key stands above the next, in [0, 1].
    """

    tonic: int
    mode: Mode
    confidence: float = 1.0

    def __str__(self) -> str:
        return f"{TONICS[self.tonic]} {self.mode}"

    @property
    def signature(self) -> int:
        """Tonic of the major key with the same notes, in semitones above C."""
        return self.tonic if self.mode == "major" else (self.tonic + 3) % 12

    def semitones_to(self, other: Key) -> int:
        """Smallest transposition, in [-6, 6), after which both keys have the same notes."""
        return (other.signature - self.signature + 6) % 12 - 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """Levels of a finished mix, measured on the file as it is delivered.

    Attributes
    ----------
    integrated_lufs
        Integrated loudness after ITU-R BS.1770, in LUFS.
    true_peak_dbtp
        Highest true peak, four times oversampled, in dBTP.
    vocals_to_backing_lu
        K-weighted level of the vocals above the backing while the voice sounds, in LU; None
        when it never does.
    """

    integrated_lufs: float
    true_peak_dbtp: float
    vocals_to_backing_lu: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WarpMap:
    """Which moment of a stem is heard when: anchor points, straight lines between them.

    Beyond its ends the map goes on with the slope of its first and last stretch.

    Attributes
    ----------
    source_s
        Strictly rising times in the stem, in seconds; at least two.
    target_s
        As many strictly rising times in the output, in seconds.
    """

    source_s: tuple[float, ...]
    target_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerPlan:
    """What happens to one layer.

    Attributes
    ----------
    warp
        The stem's time to the output's time.
    semitones
        Transposition; positive is up.
    stretch
        Median ratio of the layer's new tempo to its old: 1.03 is 3 % faster.
    """

    warp: WarpMap
    semitones: float = 0.0
    stretch: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One way to lay the voice over the backing.

    Attributes
    ----------
    pace
        "same", "half" or "double": voice beats against backing beats.
    start
        Index of the backing beat on which the first sung downbeat falls.
    semitones
        Transposition of the voice.
    score
        How well it fits; comparable within one pair of songs, at most about 1.5.
    chroma
        Correlation of the layers' pitch classes while the voice sounds, in [-1, 1].
    """

    pace: str
    start: int
    semitones: int
    score: float = 0.0
    chroma: float = 0.0


Role: TypeAlias = Literal["vocals", "backing"]
"""One of the two songs, by what it gives to a plain mash-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A passage of the mash-up.

    Attributes
    ----------
    start_s, end_s
        When it is heard, in seconds of the output.
    voice, band
        Which song gives the voice and which the accompaniment.
    morph_s
        How long before its start one band begins to turn into the next; 0 for a plain change on
        the beat.
    """

    start_s: float
    end_s: float
    voice: Role = "vocals"
    band: Role = "backing"
    morph_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that was decided before a sample was touched.

    Attributes
    ----------
    vocals, backing
        What happens to each layer.
    length_s
        Length of the mash-up in seconds.
    bpm
        Its median tempo.
    voice_enters_s
        When the first sung bar begins in the output, in seconds.
    fade_out_s
        Length of the fade at the end, in seconds.
    sections
        Which song gives which layer when, without gaps; one section in a plain mash-up.
    takes
        Every fit that the user may ask for, best first; empty when there was nothing to choose.
    reasons
        Sentences for the user: what was decided and why.
    warnings
        Sentences for the user: what may sound wrong and what to try.
    """

    vocals: LayerPlan
    backing: LayerPlan
    length_s: float
    bpm: float
    voice_enters_s: float
    fade_out_s: float = 0.05
    sections: tuple[Section, ...] = ()
    takes: tuple[Fit, ...] = ()
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SongFacts:
    """What was found out about one song.

    Attributes
    ----------
    title
        What a person would call it.
    duration_s
        Length in seconds.
    grid
        Beats of the full mix, in seconds from the song's start.
    key
        None when there is no pitch to speak of.
    tuning
        How far the song lies above A440 tuning, in semitones, [-0.5, 0.5).
    sung
        When somebody sings in it.
    """

    title: str
    duration_s: float
    grid: BeatGrid
    key: Key | None
    tuning: float = 0.0
    sung: Spans = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownSong:
    """A song of an earlier merge, which may be used again while its pieces are kept.

    Attributes
    ----------
    audio
        Its fingerprint.
    name
        What the user calls its file.
    title
        What a person would call it.
    """

    audio: str
    name: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """A finished mash-up; small enough to cross a process boundary.

    Attributes
    ----------
    path
        The audio file.
    vocals, backing
        What was found out about the two songs.
    plan
        What was decided.
    grids
        The beats of each layer in the output, after warping: "vocals" and "backing".
    loudness
        Levels of the file as it is delivered.
    separator
        The separator that did the work: "spleeter" or "built-in".
    seconds_by_stage
        Time taken by each stage, in seconds.
    notes
        Sentences for the user: fall-backs and warnings.
    stems
        The two aligned layers as files, "vocals" and "backing"; empty unless asked for.
    picture
        The card as a PNG file; None unless asked for.
    songs
        The two songs in the order in which they were given, for a later merge without their
        files; empty in a result that no merge made.
    """

    path: Path
    vocals: SongFacts
    backing: SongFacts
    plan: Plan
    grids: dict[str, BeatGrid]
    loudness: Loudness
    separator: str
    seconds_by_stage: dict[str, float]
    notes: tuple[str, ...] = ()
    stems: dict[str, Path] = field(default_factory=dict)
    picture: Path | None = None
    songs: tuple[KnownSong, ...] = ()
