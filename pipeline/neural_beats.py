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
import scipy.fft

from pipeline.runtime import load_onnxruntime

Mono: TypeAlias = npt.NDArray[np.float32]
Spectra: TypeAlias = npt.NDArray[np.float32]
Corners: TypeAlias = npt.NDArray[np.float64]

RATE = 22_050
"""Hz; what the network hears."""

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
_BLOCK = 2048  # frames, 41 s: the spectrogram of a long song never exists as a whole


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
    beat, downbeat = _session(MODEL).run(None, {"spectra": spectra(mono)[None]})[0][0]
    return Activations(beat=beat, downbeat=downbeat)


@lru_cache(maxsize=1)
def _session(model: Path) -> Any:  # noqa: ANN401 - onnxruntime publishes no types
    """Load the network once a process."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    # A worker is one of several: it takes the core that it was given, and no pool of its own.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


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
    level = float(np.sqrt(np.mean(np.square(mono, dtype=np.float64)))) if len(mono) else 0.0
    even = mono / np.float32(level + 1e-9)
    parts = [
        _filtered(even, _stroke_bank(), _STROKE_WINDOW),
        _filtered(even, _pitch_bank(), _PITCH_WINDOW),
    ]
    return np.asarray(np.log1p(np.float32(_COMPRESSION) * np.concatenate(parts)))


def _filtered(mono: Mono, bank: Spectra, window: int) -> Spectra:
    """Magnitude in each filter of a bank of shape (rows, bins), frame by frame; (rows, frames)."""
    taper = np.hanning(window + 1)[:-1]
    taper = (taper * 2.0 / taper.sum()).astype(np.float32)
    padded = np.pad(mono, window // 2)
    frames = 1 + len(mono) // HOP
    pieces = np.lib.stride_tricks.sliding_window_view(padded, window)[::HOP]
    out = np.empty((len(bank), frames), dtype=np.float32)
    for start in range(0, frames, _BLOCK):
        block = pieces[start : start + _BLOCK] * taper
        out[:, start : start + len(block)] = bank @ np.abs(scipy.fft.rfft(block)).T
    return out


def _stroke_bank() -> Spectra:
    """Triangles on the mel scale, each of weight 1; shape (STROKES, bins)."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (_LOWEST_HZ, _HIGHEST_HZ))
    mels = np.linspace(float(low), float(high), STROKES + 2)
    corners = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bank = _triangles(corners[:-2], corners[1:-1], corners[2:], _STROKE_WINDOW)
    return np.asarray(bank / bank.sum(axis=1, keepdims=True), dtype=np.float32)


def _pitch_bank() -> Spectra:
    """Triangles a semitone to either side of each note, wider in the bass; (SEMITONES, bins)."""
    centres = 440.0 * 2.0 ** ((np.arange(SEMITONES) + _LOWEST_NOTE - 69) / 12.0)
    reach = np.maximum(centres * (2.0 ** (1 / 12) - 1.0), RATE / _PITCH_WINDOW)
    return _triangles(centres - reach, centres, centres + reach, _PITCH_WINDOW)


def _triangles(low: Corners, centre: Corners, high: Corners, window: int) -> Spectra:
    """Make filters that rise from one frequency to the next and fall to a third; (rows, bins)."""
    hz = np.fft.rfftfreq(window, 1.0 / RATE)
    rise = (hz - low[:, None]) / (centre - low)[:, None]
    fall = (high[:, None] - hz) / (high - centre)[:, None]
    return np.asarray(np.maximum(0.0, np.minimum(rise, fall)), dtype=np.float32)
