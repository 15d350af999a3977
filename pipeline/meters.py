"""What BS.1770 asks of every sample, taken block by block: K-weighted power and true peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyloudnorm
import scipy.signal
import soxr

from pipeline.gains import GRAIN, STEP
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal

_OVERSAMPLING = 4
_HUSH = np.float32(1e-12)  # -240 dBFS


def _k_weighting() -> npt.NDArray[np.float32]:
    """Return both filters of BS.1770-4, as its table gives them for any rate, as one cascade."""
    shelf, ear = (
        # For the head's effect, and for the ear's.
        pyloudnorm.IIRfilter(gain_db, q, frequency_hz, SAMPLE_RATE, kind)
        for gain_db, q, frequency_hz, kind in (
            (4.0, 1 / np.sqrt(2), 1500.0, "high_shelf"),
            (0.0, 0.5, 38.0, "high_pass"),
        )
    )
    sections = [np.concatenate([x.b, x.a]) / x.a[0] for x in (shelf, ear)]
    return np.asarray(sections, dtype=np.float32)


class PowerMeter:
    """Takes the K-weighted power of a signal of shape (2, n), every 10 ms."""

    def __init__(self) -> None:
        self._weighting = _k_weighting()
        self._state = np.zeros((len(self._weighting), 2, 2), dtype=np.float32)
        self._rest: Signal = np.zeros((2, 0), dtype=np.float32)
        self._power: list[npt.NDArray[np.float32]] = []

    def add(self, block: Signal) -> None:
        """Take the next samples, shape (2, k)."""
        whole = np.concatenate([self._rest, block], axis=1) if self._rest.size else block
        count = whole.shape[1] // GRAIN
        self._rest = whole[:, count * GRAIN :].copy()
        if not count:
            return
        # In silence the filters would ring on in numbers so small that processors take a hundred
        # times as long for them; what this adds is gone from any number that can be heard.
        audible = whole[:, : count * GRAIN] + _HUSH
        weighted, self._state = scipy.signal.sosfilt(self._weighting, audible, zi=self._state)
        grains = weighted.reshape(2, count, GRAIN)
        self._power.append(np.einsum("cgn,cgn->g", grains, grains) / np.float32(GRAIN))

    def read(self) -> npt.NDArray[np.float64]:
        """Return the power of each whole grain so far, summed over the channels."""
        return np.concatenate([np.zeros(0), *self._power])


class PeakMeter:
    """Takes the true peaks of a signal of shape (2, n): four times oversampled, in steps."""

    def __init__(self) -> None:
        self._finer = soxr.ResampleStream(
            SAMPLE_RATE, _OVERSAMPLING * SAMPLE_RATE, 2, dtype="float32", quality="MQ"
        )
        self._length = 0
        self._rest = np.zeros(0, dtype=np.float32)
        self._peaks: list[npt.NDArray[np.float32]] = []

    def add(self, block: Signal) -> None:
        """Take the next samples, shape (2, k)."""
        self._length += block.shape[1]
        self._take(self._finer.resample_chunk(np.ascontiguousarray(block.T)))

    def read(self) -> Signal:
        """Finish, and return the true peak in each step, shape (ceil(n / 49),)."""
        self._take(self._finer.resample_chunk(np.zeros((0, 2), dtype=np.float32), last=True))
        steps = -(-self._length // STEP)
        last = self._rest
        peaks = np.concatenate([*self._peaks, [np.abs(last).max(initial=0.0)]])
        return np.asarray(np.pad(peaks, (0, steps))[:steps], dtype=np.float32)

    def _take(self, fine: npt.NDArray[np.float32]) -> None:
        """Take the highest of both channels in each step of a signal of shape (4 k, 2)."""
        flat, size = fine.reshape(-1), 2 * _OVERSAMPLING * STEP
        joint = np.concatenate([self._rest, flat[: size - len(self._rest)]])
        if len(joint) < size:
            self._rest = joint
            return
        flat = flat[size - len(self._rest) :]
        count = len(flat) // size
        for steps in (joint[None], flat[: count * size].reshape(count, size)):
            self._peaks.append(np.maximum(steps.max(axis=1), -steps.min(axis=1)))
        self._rest = flat[count * size :].copy()
