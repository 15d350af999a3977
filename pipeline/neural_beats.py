"""Song to beat activations: how likely each moment is a beat, and how likely it opens a bar.

A small convolutional network reads two spectrograms: one that is fine in time, for strokes, and
one that tells semitones apart, for changes of harmony. Temporal convolutions of growing dilation
then look ten seconds around each moment (Davies & Böck 2019, "Temporal convolutional networks for
musical audio beat tracking"). `training.beats.loop` trains it on songs whose beats are known; see
`models/beats.md`. `pipeline.beats` decodes what it says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.filters import triangles
from pipeline.mono import RATE, Mono, level_of, spectrogram
from pipeline.runtime import compile_network

Spectra: TypeAlias = npt.NDArray[np.float32]
Filters: TypeAlias = npt.NDArray[np.float64]

HOP = 441
"""Samples from one frame to the next: 20 ms. Refinement makes up for it."""

FPS = RATE / HOP
"""Frames a second."""

STROKES, SEMITONES = 48, 64
"""Rows of the spectrogram that is fine in time, then of the one that is fine in pitch."""

ROWS = STROKES + SEMITONES

MODEL = Path(__file__).parent / "models" / "beats.onnx"
"""The trained network."""

_STROKE_WINDOW = 1024  # 46 ms
_PITCH_WINDOW = 4096  # 186 ms: bins of 5.4 Hz
_LOWEST_HZ, _HIGHEST_HZ = 30.0, 10_000.0
_LOWEST_NOTE = 28  # MIDI: the bass guitar's low E, 41 Hz; 64 semitones above is 1.6 kHz
_COMPRESSION = 100.0  # 40 dB below the song's mean level a sound still shows
_AT_ONCE = 5120  # frames, 102 s, that the network hears: it needs 8 kB for each
_MARGIN = 526  # frames that an answer depends on, to either side


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activations:
    """What the network says of a song, `FPS` times a second; float32, shape (frames,), in [0, 1].

    Attributes
    ----------
    beat
        How likely a beat falls on each frame.
    downbeat
        How likely a bar begins there.
    """

    beat: Mono
    downbeat: Mono


def beat_activations(mono: Mono) -> Activations:
    """Ask the network where beats and downbeats are.

    Parameters
    ----------
    mono
        The full mix: float32, shape (n,), at `RATE`; not empty.
    """
    seen = spectra(mono)
    frames = seen.shape[1]
    said = np.empty((2, frames), dtype=np.float32)
    for start in _starts(frames):
        stop = min(start + _AT_ONCE, frames)
        answer = _ask(seen[:, start:stop])
        # The next part overwrites what the end of this one did not know enough for.
        sure = _MARGIN if start else 0
        said[:, start + sure : stop] = answer[:, sure:]
    return Activations(beat=said[0], downbeat=said[1])


def _starts(frames: int) -> list[int]:
    """Return the first frames of the parts that the network hears, all as long if there are many.

    Each begins two margins before the end of the last.
    """
    last = max(0, frames - _AT_ONCE)
    return [*range(0, last, _AT_ONCE - 2 * _MARGIN), last]


def _ask(seen: Spectra) -> Spectra:
    """Return what the network says of spectra of shape (`ROWS`, frames): shape (2, frames)."""
    answer: Spectra = _network(MODEL).create_infer_request().infer({"spectra": seen[None]})[0][0]
    return answer


@lru_cache(maxsize=1)
def _network(model: Path) -> Any:  # noqa: ANN401 - the runtime hides its types
    """Load the network once a process; a song is asked about in a moment, on one core."""
    return compile_network(model)


def spectra(mono: Mono) -> Spectra:
    """Compute what the network reads: two spectrograms, one above the other.

    Parameters
    ----------
    mono
        float32, shape (n,), at `RATE`.

    Returns
    -------
    Spectra
        Compressed magnitudes relative to the song's mean level; float32, shape (`ROWS`,
        1 + n // `HOP`), `STROKES` rows first, each from low to high.
    """
    seen = np.empty((ROWS, 1 + len(mono) // HOP), dtype=np.float32)
    gain = _COMPRESSION / (level_of(mono) + 1e-9)
    for rows, bank, window in (
        (seen[:STROKES], _stroke_bank(), _STROKE_WINDOW),
        (seen[STROKES:], _pitch_bank(), _PITCH_WINDOW),
    ):
        used = int(np.flatnonzero(bank.any(axis=1))[-1]) + 1
        # A tone has its own amplitude under any window.
        filters = (gain / (window / 4.0) * bank[:used]).astype(np.float32)
        for frames, magnitudes in spectrogram(mono, window, HOP):
            np.log1p((magnitudes[:, :used] @ filters).T, out=rows[:, frames])
    return seen


def _stroke_bank() -> Filters:
    """Triangles on the mel scale, each of weight 1; shape (bins, STROKES)."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    mels = np.linspace(float(low), float(high), STROKES + 2)
    corners = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bank = triangles(corners[:-2], corners[1:-1], corners[2:], _STROKE_WINDOW)
    return np.asarray(bank / bank.sum(axis=0))


def _pitch_bank() -> Filters:
    """Triangles a semitone to either side of each note, wider in the bass; (bins, SEMITONES)."""
    centres = 440.0 * 2.0 ** ((np.arange(SEMITONES) + _LOWEST_NOTE - 69) / 12.0)
    reach = np.maximum(centres * (2.0 ** (1 / 12) - 1.0), RATE / _PITCH_WINDOW)
    return triangles(centres - reach, centres, centres + reach, _PITCH_WINDOW)
