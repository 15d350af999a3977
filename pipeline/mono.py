"""A song as the stages that listen to it hear it: one channel at half the rate, frame by frame.

Beats, keys and what a stem does on each beat are found below 11 kHz, and need no sides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.fft
import soxr

from pipeline.tapes import BLOCK, Blank, cut, in_memory, release, stretches
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import Signal

Mono: TypeAlias = npt.NDArray[np.float32]
"""float32, shape (n,), at `RATE`."""

Spectra: TypeAlias = npt.NDArray[np.float32]
"""Magnitudes, shape (frames, bins)."""

RATE = 22_050
"""Hz."""

_STRETCH = 2 * SAMPLE_RATE  # samples of a song at a time: what is made of them stays in the cache
_AT_ONCE = 2**18  # samples of windowed frames, 1 MB: they stay there too


def narrow(samples: Signal | Mono, blank: Blank = in_memory) -> Mono:
    """Bring a song to one channel at `RATE`.

    Parameters
    ----------
    samples
        float32, shape (2, n), 44 100 Hz. What has one dimension is taken to be narrow already and
        returned as it is.
    blank
        Makes the room for the result, which may lie on disk.

    Returns
    -------
    Mono
        The mean of both channels, of shape (ceil(n / 2),).
    """
    if samples.ndim == 1:
        return samples
    length = samples.shape[-1]
    room = blank(-(-length // 4)).reshape(-1)
    mono: Mono = room[: -(-length // 2)]
    if not length:
        return mono
    stream = soxr.ResampleStream(SAMPLE_RATE, RATE, 1, dtype="float32")
    filled = 0
    for where, (stretch,) in stretches(samples, size=_STRETCH):
        middle = 0.5 * (stretch[0] + stretch[1])
        piece = stream.resample_chunk(middle, last=where.stop == length)[: len(mono) - filled]
        mono[filled : filled + len(piece)] = piece
        filled += len(piece)
        release(mono)
    return mono


def level_of(mono: Mono) -> float:
    """Return the root mean square; 0 for silence."""
    power = 0.0
    for start in range(0, len(mono), BLOCK):
        part = mono[start : start + BLOCK]
        power += float(np.dot(part, part))
        release(mono)
    return float(np.sqrt(power / max(1, len(mono))))


def spectrogram(mono: Mono, window: int, hop: int) -> Iterator[tuple[slice, Spectra]]:
    """Go through a song's short-time spectra, few enough at a time to stay in the cache.

    Parameters
    ----------
    mono
        float32, shape (n,).
    window, hop
        Samples in a frame, even, and from one frame to the next.

    Yields
    ------
    tuple
        Which frames they are, of ``1 + n // hop``, and their magnitudes under a Hann window,
        shape (frames, 1 + window // 2). Frame i is centred on sample ``i * hop``; beyond the ends
        there is silence.
    """
    taper, frames = _hann(window), 1 + len(mono) // hop
    size = max(1, _AT_ONCE // window)
    for start in range(0, frames, size):
        stop = min(start + size, frames)
        first = start * hop - window // 2
        last = first + (stop - start - 1) * hop + window
        inside = first >= 0 and last <= len(mono)
        part = mono[first:last] if inside else cut(mono[None], first, last)[0]
        # One piece for each frame, as they overlap in the signal.
        strides = (hop * part.itemsize, part.itemsize)
        pieces: Mono = np.ndarray((stop - start, window), part.dtype, part, 0, strides)
        tapered = pieces * taper
        release(mono)
        yield slice(start, stop), np.abs(scipy.fft.rfft(tapered, overwrite_x=True))


@lru_cache(maxsize=8)
def _hann(window: int) -> Mono:
    return np.hanning(window + 1)[:-1].astype(np.float32)
