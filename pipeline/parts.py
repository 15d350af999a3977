"""The stems of a mash-up, cleaned and stretched, each kept apart from where it is heard.

What a stretched stem sounds like does not depend on the moment at which it comes in. So a mash-up
in which the voice is nudged by a bar, or the best minute of one, is made of stems that an earlier
one has left in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from pipeline.cache import make_key
from pipeline.gains import GRAIN
from pipeline.grids import apply_warp
from pipeline.layers import Layer, layer_of
from pipeline.loudness import measure
from pipeline.tapes import Moved
from pipeline.types import SAMPLE_RATE, LayerPlan, Role, WarpMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.cache import Cache
    from pipeline.loudness import Levels
    from pipeline.tapes import Blank
    from pipeline.types import Signal

    Stretch: TypeAlias = Callable[[LayerPlan, float, Blank], Signal]
    """Makes a stretched stem of so many seconds."""

Kind: TypeAlias = Literal["voice", "band"]

Slot: TypeAlias = tuple[Kind, Role]
"""Which stem of which song."""

Span: TypeAlias = tuple[int, int]
"""Samples [first, last) of a stretched stem."""

_SPARE = 10 * SAMPLE_RATE  # beyond what is heard, so that a nudge finds enough
_UNIT = 60 * SAMPLE_RATE  # a mash-up that is a little longer finds the same
_MOST_WASTE = 2  # times what is heard; for a short passage nothing else is made
_DIGITS = 9  # of a second; what differs by less was meant to be the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A stem as it is heard in a mash-up.

    Attributes
    ----------
    audio
        Fingerprint of its song.
    engine
        Identity of what took the song apart.
    kind
        Which of its two stems.
    cleaning
        How it is cleaned: amount and method; none for a stem that stays as it is.
    layer
        How it is stretched, with the start of the stem on the start of the output.
    start
        Sample of the stretched stem with which the mash-up begins; below 0 where the stem comes
        in later.
    length
        Samples of the mash-up.
    whole
        Samples of the whole stretched stem.
    """

    audio: str
    engine: str
    kind: Kind
    cleaning: tuple[float, str] | None
    layer: LayerPlan
    start: int
    length: int
    whole: int

    @classmethod
    def of(
        cls,
        audio: str,
        engine: str,
        kind: Kind,
        cleaning: tuple[float, str] | None,
        *,
        layer: LayerPlan,
        duration_s: float,
        length_s: float,
    ) -> Part:
        """Take the moment at which a stem is heard out of its warp.

        Parameters
        ----------
        audio, engine, kind, cleaning
            Which stem, and how it is cleaned.
        layer
            What the plan says of it.
        duration_s, length_s
            How long its song and the mash-up are, in seconds.
        """
        begins_s, ends_s = apply_warp(layer.warp, np.asarray([0.0, duration_s])).tolist()
        targets = (round(time_s - begins_s, _DIGITS) for time_s in layer.warp.target_s)
        warp = WarpMap(source_s=layer.warp.source_s, target_s=tuple(targets))
        return cls(
            audio=audio,
            engine=engine,
            kind=kind,
            cleaning=cleaning if kind == "voice" and cleaning and cleaning[0] else None,
            layer=LayerPlan(warp=warp, semitones=layer.semitones),
            start=-round(begins_s * SAMPLE_RATE),
            length=round(length_s * SAMPLE_RATE),
            whole=round((ends_s - begins_s) * SAMPLE_RATE),
        )

    def recall(self, cache: Cache) -> Layer | None:
        """Find the part in the cache."""
        for span in dict.fromkeys(((0, self.whole), self._span)):
            entry = cache.load(self._key(span), tuple[float, ...])
            if entry is not None:
                return self._layer(span, entry.signals["samples"], np.asarray(entry.facts))
        return None

    def make(self, cache: Cache, spare: Blank, stretch: Stretch) -> Layer:
        """Stretch the stem, and keep it.

        Parameters
        ----------
        cache
            Where it is kept.
        spare
            Makes the room for it where the cache cannot.
        stretch
            Does the work.
        """
        span = self._span
        first, last = span
        targets = (time_s - first / SAMPLE_RATE for time_s in self.layer.warp.target_s)
        warp = WarpMap(source_s=self.layer.warp.source_s, target_s=tuple(targets))
        layer = LayerPlan(warp=warp, semitones=self.layer.semitones)
        with cache.pending(self._key(span), spare, of=(self.audio,)) as coming:
            samples = stretch(layer, (last - first) / SAMPLE_RATE, coming.blank)
            power = measure(samples)
            coming.commit(tuple(power.tolist()), {"samples": samples})
        return self._layer(span, samples, power)

    @property
    def _span(self) -> Span:
        """What is made of the stretched stem: from its start on, unless that is a waste."""
        last = min(self.whole, self.start + self.length)
        units = -(-(max(last, 0) + _SPARE) // _UNIT)
        from_start = (0, min(self.whole, units * _UNIT))
        if from_start[1] > _MOST_WASTE * self.length:
            return self.start, self.start + self.length
        return from_start

    def _key(self, span: Span) -> str:
        warp = self.layer.warp
        stem = (self.audio, self.engine, self.kind, self.cleaning)
        return make_key("part", stem, warp, self.layer.semitones, span)

    def _layer(self, span: Span, samples: Signal, power: Levels) -> Layer:
        skipped = self.start - span[0]
        sound = samples
        if skipped or self.length != samples.shape[1]:
            return layer_of(
                Moved(sound=samples, start=skipped, length=self.length),
                _moved(power, skipped, self.length // GRAIN),
            )
        return layer_of(sound, power)


def _moved(power: Levels, skipped: int, grains: int) -> Levels:
    """Return a curve of powers from a sample on, which may lie within a grain or before the first.

    Within a grain its power is taken to be the same throughout.
    """
    first, within = divmod(skipped, GRAIN)
    at = np.arange(first, first + grains + 1)
    inside = (at >= 0) & (at < len(power))
    found = np.zeros(len(at))
    found[inside] = power[at[inside]]
    return np.asarray(found[:-1] + (found[1:] - found[:-1]) * (within / GRAIN))
