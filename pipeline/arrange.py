"""Put the passages of a mash-up together from the aligned stems of both songs."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipeline.mix import Layers
from pipeline.morph import splice
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.types import OnFraction, Role, Section, Signal

_BAND_CHANGE_S = 0.04  # just before the beat, whose onset masks it
_JOINT_S = 0.03  # a morph's ends lie before the beat: a kick on the joint would click
_VOICE_CHANGE_S = 0.4  # room for the last consonant of one voice and the pickup of the other


def assemble(
    voices: Mapping[Role, Signal],
    bands: Mapping[Role, Signal],
    sections: Sequence[Section],
    beats_s: Sequence[float],
    on_fraction: OnFraction,
) -> Layers:
    """Follow the sections from voice to voice and from band to band.

    Parameters
    ----------
    voices, bands
        The aligned stems of each song that the sections name; float32, shape (2, n).
    sections
        Without gaps, rising.
    beats_s
        Beats of the output in seconds.
    on_fraction
        Told the share of the work that is done, in [0, 1].

    Returns
    -------
    Layers
        Cut to the end of the last section.
    """
    length = round(sections[-1].end_s * SAMPLE_RATE)
    voice, band = voices[sections[0].voice], bands[sections[0].band]
    for number, (before, after) in enumerate(pairwise(sections)):
        start = round(after.start_s * SAMPLE_RATE)
        if after.voice != before.voice:
            voice = _cross(voice, voices[after.voice], start, _VOICE_CHANGE_S)
        if after.band != before.band and after.morph_s:
            stop = start - round(_JOINT_S * SAMPLE_RATE)
            begin = max(0, stop - round(after.morph_s * SAMPLE_RATE))
            band = splice(band, bands[after.band], (begin, stop), beats_s)
        elif after.band != before.band:
            band = _cross(band, bands[after.band], start, _BAND_CHANGE_S)
        on_fraction((number + 1) / (len(sections) - 1))
    return Layers(vocals=voice[:, :length], backing=band[:, :length])


def _cross(first: Signal, second: Signal, start: int, seconds: float) -> Signal:
    """Go over from one signal to the other, at equal power, in the moment before `start`."""
    begin = max(0, start - round(seconds * SAMPLE_RATE))
    angle = 0.5 * np.pi * np.linspace(0.0, 1.0, start - begin, dtype=np.float32)
    joined: Signal = np.concatenate([first[:, :begin], second[:, begin:]], axis=1)
    joined[:, begin:start] *= np.sin(angle)
    joined[:, begin:start] += first[:, begin:start] * np.cos(angle)
    return joined
