"""A mix that is mastered while it is being written.

How loud two songs are together follows from how loud each is, to a few hundredths of a decibel:
they have nothing to do with each other. So the first seconds can be encoded before the last ones
were measured. Where limiting, or two songs that are one, prove that wrong, it is known long before
the encoder has come to the end, and everything starts again with what was measured meanwhile.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

import numpy as np

from pipeline.gains import STEP, along, power_gain
from pipeline.loudness import gated_lufs, limiting_gain
from pipeline.meters import PeakMeter, PowerMeter
from pipeline.mix import METERS_DIFFER_DB
from pipeline.tapes import blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.gains import Gain
    from pipeline.mix import Premaster
    from pipeline.types import Signal

_NEAR_ENOUGH_LU = 0.05
_MARGIN = 32  # steps; beyond the reach of the limiter


class MissedError(Exception):
    """The mix comes out louder or softer than it was taken for; it is measured by now."""


class LiveMaster:
    """A mastered mix that reads like a signal, from its start on, while it is being measured.

    Parameters
    ----------
    draft
        The balanced mix, which is measured on the way.
    ceiling_dbtp, wanted_lufs
        As for `pipeline.mix.master_gain`.
    on_mastered
        Told the gain that makes it, once that is certain.

    Raises
    ------
    MissedError
        When it is read.
    """

    def __init__(
        self,
        draft: Premaster,
        ceiling_dbtp: float,
        wanted_lufs: float,
        on_mastered: Callable[[Gain], None],
    ) -> None:
        self._draft = draft
        self._mix = draft.layers.mix
        self._wanted_lufs = wanted_lufs
        self._ceiling_dbtp = ceiling_dbtp - METERS_DIFFER_DB
        self._louder = np.float32(10.0 ** ((wanted_lufs - draft.expected_lufs) / 20.0))
        self._on_mastered = on_mastered
        self._gain: Gain | None = None
        self._peaks = np.zeros(-(-self._mix.shape[1] // STEP), dtype=np.float32)
        self._known = 0  # steps
        self._grown = threading.Condition()
        self._over = False
        self._called_off = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._measuring: Future[None] | None = None

    def __enter__(self) -> Self:
        self._measuring = self._pool.submit(self._measure)
        return self

    def __exit__(self, *_: object) -> None:
        self._called_off.set()
        self._pool.shutdown()

    @property
    def shape(self) -> tuple[int, ...]:
        """Channels and samples."""
        return self._mix.shape

    def __getitem__(self, key: tuple[slice, slice], /) -> Signal:
        """Return a stretch of the mastered mix, ``live[:, start:stop]``."""
        start, stop, _ = key[1].indices(self.shape[1])
        stop = max(start, stop)
        first = max(0, start // STEP - _MARGIN)
        last = min(len(self._peaks), -(-stop // STEP) + _MARGIN)
        with self._grown:
            self._grown.wait_for(lambda: self._over or self._known >= last)
        if self._over and self._gain is None:
            self._settle()
        if self._gain is not None:
            gain, offset = self._gain, 0
        else:
            gain, offset = self._limited(self._peaks[first:last]), first * STEP
        heard = self._mix[key[0], start:stop]
        return np.asarray(heard * along(gain, start - offset, stop - offset), dtype=np.float32)

    def _limited(self, peaks: Signal) -> Gain:
        gain = limiting_gain(peaks * self._louder, self._ceiling_dbtp) * self._louder
        return np.asarray(gain, dtype=np.float32)

    def _measure(self) -> None:
        power, meter = PowerMeter(), PeakMeter(self._draft.floor)
        try:
            for block in blocks(self._mix):
                if self._called_off.is_set():
                    return
                power.add(block)
                self._learn(meter.add(block))
            self._draft.measured = power.read(), meter.read()
        finally:
            with self._grown:
                self._over = True
                self._grown.notify_all()

    def _learn(self, peaks: Signal) -> None:
        with self._grown:
            self._peaks[self._known :][: len(peaks)] = peaks
            self._known += len(peaks)
            self._grown.notify_all()

    def _settle(self) -> None:
        """Find out whether the mix is as loud as it was taken for."""
        if self._measuring:
            self._measuring.result()
        gain, power = self._limited(self._draft.peaks), self._draft.power
        reached = gated_lufs(power * power_gain(gain, len(power)))
        if abs(reached - self._wanted_lufs) > _NEAR_ENOUGH_LU:
            raise MissedError
        self._gain = gain
        self._on_mastered(gain)
