"""What BS.1770 asks of every sample, taken block by block: K-weighted power and true peaks."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyloudnorm
import scipy.signal

from pipeline.gains import GRAIN, STEP
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.types import Signal

_OVERSAMPLING = 4
_REACH = 24  # samples on either side that a value between two samples is made of
_KAISER = 5.0  # its window: 50 dB
_MOST_RISE = np.float32(2.0)  # 6 dB; a quarter-rate sine rises by 3, a band-limited click by 4
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
    """Takes the true peaks of a signal of shape (2, n): four times oversampled, in steps.

    Between two samples a sound rises to less than twice what lies around them. So most steps need
    no oversampling to know that they have no peak that matters; those are given this bound.

    Parameters
    ----------
    floor
        Peaks up to here do not matter.
    rising
        Nor do those below the highest so far: the curve is then good for its maximum alone.
    """

    def __init__(self, floor: float = 0.0, *, rising: bool = False) -> None:
        self._floor = floor
        self._rising = rising
        self._bank = _between()
        self._length = 0
        self._rest: Signal = np.zeros((2, _REACH), dtype=np.float32)
        self._peaks: list[npt.NDArray[np.float32]] = []

    def add(self, block: Signal) -> Signal:
        """Take the next samples, shape (2, k), and return the peaks of the next known steps."""
        self._length += block.shape[1]
        return self._take(block)

    def read(self) -> Signal:
        """Finish, and return the true peak in each step, shape (ceil(n / 49),)."""
        self._take(np.zeros((2, STEP + _REACH), dtype=np.float32))
        steps = -(-self._length // STEP)
        return np.asarray(np.concatenate([self._rest[0, :0], *self._peaks])[:steps])

    def _take(self, block: Signal) -> Signal:
        whole: Signal = np.concatenate([self._rest, block], axis=1)
        count = max(0, (whole.shape[1] - 2 * _REACH) // STEP)
        peaks = self._peaks_of(whole, count) if count else whole[0, :0]
        self._rest = np.asarray(whole[:, count * STEP :]).copy()
        self._peaks.append(peaks)
        return peaks

    def _peaks_of(self, whole: Signal, count: int) -> npt.NDArray[np.float32]:
        """Return the peaks of so many steps, of which the first begins after the reach."""
        size = np.maximum(whole.max(axis=0), -whole.min(axis=0))
        inner = size[_REACH:][: count * STEP].reshape(count, STEP).max(axis=1)
        ends = size[:_REACH].max(), size[_REACH + count * STEP :][:_REACH].max()
        around = np.concatenate([ends[:1], inner, ends[1:]])
        bound = _MOST_RISE * np.maximum(inner, np.maximum(around[:-2], around[2:]))
        if self._rising:
            self._floor = max(self._floor, float(inner.max()))
        (near,) = np.nonzero(bound > self._floor)
        if len(near):
            window = STEP + 2 * _REACH
            parts = np.lib.stride_tricks.sliding_window_view(whole, window, axis=1)[:, near * STEP]
            fine = (parts.reshape(-1, window) @ self._bank).reshape(2, len(near), -1)
            highest = np.maximum(fine.max(axis=2), -fine.min(axis=2)).max(axis=0)
            bound[near] = np.maximum(highest, inner[near])
            if self._rising:
                self._floor = max(self._floor, float(bound[near].max()))
        return np.asarray(bound, dtype=np.float32)


@lru_cache(maxsize=1)
def _between() -> Signal:
    """Return what makes the three values after each sample of a step out of what is around it.

    Windowed sinc functions, shape (49 + 2 * reach, 3 * 49): flat to 20 kHz.
    """
    times = (np.arange(STEP)[:, None] + np.arange(1, _OVERSAMPLING) / _OVERSAMPLING).reshape(-1)
    apart = _REACH + times - np.arange(STEP + 2 * _REACH)[:, None]
    window = np.i0(_KAISER * np.sqrt(np.maximum(0.0, 1.0 - (apart / _REACH) ** 2))) / np.i0(_KAISER)
    return np.asarray(np.sinc(apart) * window * (np.abs(apart) < _REACH), dtype=np.float32)
