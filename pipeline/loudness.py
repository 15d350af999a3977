"""How loud it is, and how loud it should be: ITU-R BS.1770 throughout.

A signal is gone through once; what is asked of it afterwards is answered from its curves.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from pipeline.gains import GRAIN
from pipeline.meters import PeakMeter, PowerMeter
from pipeline.tapes import blocks
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from concurrent.futures import Future

    from pipeline.gains import Gain
    from pipeline.tapes import Sound
    from pipeline.types import Signal

    Levels: TypeAlias = npt.NDArray[np.float64]

TARGET_LUFS = -14.0
CEILING_DBTP = -1.0

BLOCK_S = 0.4
"""BS.1770's measuring block; nothing shorter has a loudness."""

_OFFSET_LU = -0.691  # with which a sine of 997 Hz reads as its level
_GRAINS = round(BLOCK_S * SAMPLE_RATE / GRAIN)  # in a block
_HOP = _GRAINS // 4  # blocks overlap by three quarters
_GATE_LUFS, _GATE_LU = -70.0, -10.0  # absolute, and below the loudness of what passes that

_MOST_AHEAD = 3  # blocks in memory that wait to be measured

_HOLD = 4  # steps; the limiter's reach of 5 ms is this and half a smoothing window


def measure(sound: Sound) -> Levels:
    """Measure the K-weighted power of a sound of shape (2, n), every 10 ms.

    Returns
    -------
    Levels
        Sum over both channels, shape (n // 441,): what a gain g turns into g ** 2 of it.
    """
    meter = PowerMeter()
    for block in blocks(sound):
        meter.add(block)
    return meter.read()


def measure_with_peaks(
    stretches: Iterable[Signal], meter: PeakMeter | None = None
) -> tuple[Levels, Signal]:
    """Measure power and true peaks of what comes in blocks, while the next ones are made.

    Parameters
    ----------
    stretches
        Each of shape (2, k).
    meter
        Takes the peaks; one that is as exact everywhere if there is none.

    Returns
    -------
    tuple
        The power every 10 ms, as `measure` gives it, and the true peak in every step of 49
        samples, shape (ceil(n / 49),).
    """
    power, peaks = PowerMeter(), meter or PeakMeter()
    # A thread for each meter, so that each takes its blocks in order.
    with ThreadPoolExecutor(1) as weighing, ThreadPoolExecutor(1) as peaking:
        ahead: deque[tuple[Future[Any], ...]] = deque()
        for block in stretches:
            taken: tuple[Future[Any], ...] = (
                weighing.submit(power.add, block),
                peaking.submit(peaks.add, block),
            )
            ahead.append(taken)
            if len(ahead) > _MOST_AHEAD:
                _await(ahead.popleft())
        for last in ahead:
            _await(last)
    return power.read(), peaks.read()


def integrated_lufs(sound: Sound) -> float:
    """Measure the gated loudness of a sound of shape (2, n), in LUFS; -inf for silence."""
    return gated_lufs(measure(sound))


def gated_lufs(power: Levels) -> float:
    """Return the gated loudness that a curve of K-weighted power has, in LUFS; -inf for silence."""
    hops = len(power) // _HOP
    if hops < _GRAINS // _HOP:
        return float("-inf")
    means = power[: hops * _HOP].reshape(hops, _HOP).mean(axis=1)
    measured = np.lib.stride_tricks.sliding_window_view(means, _GRAINS // _HOP).mean(axis=1)
    loud = measured[measured >= _power_at(_GATE_LUFS)]
    if not len(loud):
        return float("-inf")
    # What passes the absolute gate has a mean above it, so that something passes both.
    loud = loud[loud > loud.mean() * 10.0 ** (_GATE_LU / 10.0)]
    return _lufs(float(loud.mean()))


def true_peak_dbtp(sound: Sound) -> float:
    """Measure the true peak of a sound of shape (2, n), four times oversampled, in dBTP."""
    meter = PeakMeter(rising=True)
    for block in blocks(sound):
        meter.add(block)
    return highest_dbtp(meter.read())


def highest_dbtp(peaks: Signal) -> float:
    """Return the highest of a curve of true peaks, in dBTP; -inf for silence."""
    peak = float(peaks.max(initial=0.0))
    return 20.0 * float(np.log10(peak)) if peak > 0 else float("-inf")


def short_term_lufs(sound: Sound) -> Levels:
    """K-weighted level every 10 ms, averaged over 400 ms, in LUFS; shape (n // 441,)."""
    return levels(measure(sound))


def levels(power: Levels) -> Levels:
    """Average a curve of K-weighted power over 400 ms, in LUFS; at least about -120."""
    smooth = scipy.ndimage.uniform_filter1d(power, _GRAINS)
    return np.asarray(_OFFSET_LU + 10.0 * np.log10(np.maximum(smooth, 1e-12)))


def sounding(level: Levels, below_db: float = 20.0) -> npt.NDArray[np.bool_]:
    """Where a layer sounds: within `below_db` of its own loud passages (95th percentile)."""
    if not len(level):
        return np.zeros(0, dtype=bool)
    loud = float(np.percentile(level, 95))
    return np.asarray((level > loud - below_db) & (level > -60.0))


def vocals_to_backing_lu(vocals: Sound, backing: Sound) -> float | None:
    """Measure the vocals against the backing, both of shape (2, n), while the voice sounds.

    Returns
    -------
    float or None
        As `balance_lu`.
    """
    return balance_lu(short_term_lufs(vocals), short_term_lufs(backing))


def balance_lu(voice: Levels, rest: Levels) -> float | None:
    """Compare the level curves of vocals and backing, in LUFS, while the voice sounds.

    Returns
    -------
    float or None
        Difference of their mean K-weighted power, in LU; None when either is silent then.
    """
    active = sounding(voice) & (rest > -60.0)
    if not active.any():
        return None
    power = [float(np.mean(10.0 ** (level[active] / 10.0))) for level in (voice, rest)]
    return float(10.0 * np.log10(power[0] / power[1]))


def limiting_gain(peaks: Signal, ceiling_dbtp: float) -> Gain:
    """Work out the gain that holds true peaks under a ceiling.

    A look-ahead limiter: the gain that each moment needs, held for a while on either side and then
    smoothed over 10 ms, so that it has always come down before the peak arrives.

    Parameters
    ----------
    peaks
        The true peak in every step of 49 samples, shape (m,).
    ceiling_dbtp
        Highest true peak to leave, in dBTP.

    Returns
    -------
    Gain
        In (0, 1], shape (m + 1,).
    """
    ceiling = 10.0 ** (ceiling_dbtp / 20.0)
    need = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    # A knot belongs to the steps on both sides; those within the hold then reach every knot of
    # the smoothing window around either end of the step.
    need = np.concatenate([need[:1], need]) if len(need) else np.ones(1)
    held = scipy.ndimage.minimum_filter1d(need, 2 * _HOLD + 2, origin=-1)
    return np.asarray(scipy.ndimage.uniform_filter1d(held, 2 * _HOLD + 1), dtype=np.float32)


def _await(taken: tuple[Future[Any], ...]) -> None:
    for future in taken:
        future.result()


def _lufs(power: float) -> float:
    return _OFFSET_LU + 10.0 * float(np.log10(power))


def _power_at(lufs: float) -> float:
    return float(10.0 ** ((lufs - _OFFSET_LU) / 10.0))
