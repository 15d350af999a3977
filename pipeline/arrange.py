"""Put the passages of a mash-up together from the aligned stems of both songs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipeline.layers import Layers, layer_of
from pipeline.morph import morph
from pipeline.tapes import in_memory, release
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipeline.layers import Layer
    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Role, Section, Signal

_BAND_CHANGE_S = 0.04  # just before the beat, whose onset masks it
_JOINT_S = 0.03  # a morph's ends lie before the beat: a kick on the joint would click
_VOICE_CHANGE_S = 0.4  # room for the last consonant of one voice and the pickup of the other


def assemble(
    voices: Mapping[Role, Layer],
    bands: Mapping[Role, Layer],
    sections: Sequence[Section],
    beats_s: Sequence[float],
    on_fraction: OnFraction,
    *,
    blank: Blank = in_memory,
) -> Layers:
    """Follow the sections from voice to voice and from band to band.

    Parameters
    ----------
    voices, bands
        The aligned stems of each song that the sections name, of one length.
    sections
        Without gaps, rising.
    beats_s
        Beats of the output in seconds.
    on_fraction
        Told the share of the work that is done, in [0, 1].
    blank
        Makes the signal of a layer that changes from one song to the other.

    Returns
    -------
    Layers
        Cut to the end of the last section.
    """
    length = round(sections[-1].end_s * SAMPLE_RATE)
    voice = _Reel(voices[sections[0].voice], length, blank)
    band = _Reel(bands[sections[0].band], length, blank)
    for number, (before, after) in enumerate(pairwise(sections)):
        start = round(after.start_s * SAMPLE_RATE)
        if after.voice != before.voice:
            voice.turn(voices[after.voice], start, _VOICE_CHANGE_S, _cross)
        if after.band != before.band and after.morph_s:
            stop = start - round(_JOINT_S * SAMPLE_RATE)
            band.turn(bands[after.band], stop, after.morph_s, _morph_on(beats_s, stop))
        elif after.band != before.band:
            band.turn(bands[after.band], start, _BAND_CHANGE_S, _cross)
        on_fraction((number + 1) / (len(sections) - 1))
    return Layers(vocals=voice.finish(), backing=band.finish())


class _Reel:
    """A layer that goes over from one source to the next, written as far as it is known."""

    def __init__(self, source: Layer, length: int, blank: Blank) -> None:
        self._source = source
        self._length = length
        self._blank = blank
        self._out: Signal | None = None
        self._written = 0

    def turn(
        self, source: Layer, stop: int, seconds: float, over: Callable[[Signal, Signal], Signal]
    ) -> None:
        """Go over to another source in so many seconds, so that from `stop` on it is alone."""
        out = self._play(stop)
        begin = max(0, stop - round(seconds * SAMPLE_RATE))
        out[:, begin:stop] = over(out[:, begin:stop], source[:, begin:stop])
        self._source, self._written = source, stop

    def finish(self) -> Layer:
        """Play on to the end, and return the layer."""
        if self._out is None:
            return self._source.until(self._length)
        return layer_of(self._play(self._length))

    def _play(self, stop: int) -> Signal:
        if self._out is None:
            self._out = self._blank(self._length)
        for start in range(self._written, stop, SAMPLE_RATE):
            end = min(start + SAMPLE_RATE, stop)
            self._out[:, start:end] = self._source[:, start:end]
            release(self._out)
        self._written = max(self._written, stop)
        return self._out


def _cross(goes: Signal, comes: Signal) -> Signal:
    """Go over from one signal to the other, at equal power."""
    angle = 0.5 * np.pi * np.linspace(0.0, 1.0, goes.shape[1], dtype=np.float32)
    return np.asarray(goes * np.cos(angle) + comes * np.sin(angle), dtype=np.float32)


def _morph_on(beats_s: Sequence[float], stop: int) -> Callable[[Signal, Signal], Signal]:
    """Return what turns one signal into another up to a sample, on the beats of the output."""

    def over(goes: Signal, comes: Signal) -> Signal:
        begin_s = (stop - goes.shape[1]) / SAMPLE_RATE
        return morph(goes, comes, [time_s - begin_s for time_s in beats_s])

    return over
