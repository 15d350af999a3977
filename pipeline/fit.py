"""Which way two songs fit best: every start bar, pace and transposition, scored on the layers.

Arithmetic on what each layer does per beat; no audio. A voice is laid over an accompaniment at
each candidate position, and the sum of four things decides: do their pitches agree, do their
rhythms meet, does the accompaniment leave the voice room in the spectrum, and how far must the
voice be stretched and shifted for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.features import STEPS, BeatFeatures
from pipeline.meeting import LEFT_OUT, STRETCH_PER_OCTAVE
from pipeline.types import Fit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.features import Array

# Starting values, in units of a perfect chroma match; `benchmarks/fit.py` shows what they do.
_RHYTHM = 0.25
_ROOM = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What may be tried.

    Attributes
    ----------
    paces
        Name of each pace, with the stretch that it costs in octaves.
    starts
        Backing beats on which the voice may enter, with what each costs.
    shifts
        Semitones, with what each costs.
    """

    paces: dict[str, float]
    starts: dict[int, float]
    shifts: dict[int, float]


def rank_fits(
    voice: BeatFeatures, backing: BeatFeatures, first_sung: int, choices: Choices
) -> tuple[Fit, ...]:
    """Score every candidate, best first.

    Parameters
    ----------
    voice, backing
        What the two layers do on the beats of their own songs.
    first_sung
        Index of the voice's first sung downbeat.
    choices
        What may be tried.

    Returns
    -------
    tuple of Fit
        Empty when there is nothing to try.
    """
    fits: list[Fit] = []
    for pace, octaves in choices.paces.items():
        sung = at_pace(voice, first_sung, pace)
        for start, late in choices.starts.items():
            cost = STRETCH_PER_OCTAVE * octaves + late
            for semitones, chroma, merit in _overlay(sung, backing, start, choices.shifts):
                fits.append(
                    Fit(
                        pace=pace,
                        start=start,
                        semitones=semitones,
                        score=merit - cost,
                        chroma=chroma,
                    )
                )
    return tuple(sorted(fits, key=lambda fit: -fit.score))


def at_pace(voice: BeatFeatures, first_sung: int, pace: str) -> BeatFeatures:
    """Count a voice in beats of the backing, from its first sung downbeat on.

    At half time each of its beats fills two columns, at double time two of them share one.
    """
    chroma, onsets, bands = (
        rows[:, first_sung:] for rows in (voice.chroma, voice.onsets, voice.bands)
    )
    if pace == "half":
        steps = np.zeros((STEPS, 2 * onsets.shape[1]))
        steps[::2] = onsets.reshape(2, STEPS // 2, -1).transpose(1, 2, 0).reshape(STEPS // 2, -1)
        chroma, bands = np.repeat(chroma, 2, axis=1), np.repeat(bands, 2, axis=1)
        return BeatFeatures(chroma=chroma, onsets=2.0 * steps, bands=bands)
    if pace == "double":
        even = onsets.shape[1] // 2 * 2
        chroma = (chroma[:, 0:even:2] + chroma[:, 1:even:2]) / 2
        bands = (bands[:, 0:even:2] + bands[:, 1:even:2]) / 2
        pairs = np.concatenate([onsets[:, 0:even:2], onsets[:, 1:even:2]])
        onsets = pairs.reshape(STEPS, 2, -1).mean(axis=1)
    return BeatFeatures(chroma=chroma, onsets=onsets, bands=bands)


def _overlay(
    sung: BeatFeatures, backing: BeatFeatures, start: int, shifts: dict[int, float]
) -> Iterator[tuple[int, float, float]]:
    """Yield semitones, chroma match and merit of a voice laid over a backing from a beat on."""
    count = min(sung.level.size, backing.level.size - start)
    here = slice(start, start + count)
    sounding = np.minimum(1.0, sung.level)
    weight = sounding[:count]
    total = float(weight.sum())
    if count < 1 or total <= 0:
        return
    # Pitch p of the voice, moved by k, meets pitch p + k of the backing.
    meeting = (sung.chroma[:, :count] * weight) @ backing.chroma[:, here].T / total
    pitch = np.arange(12)
    heard = total / float(sounding.sum())
    rhythm = _likeness(sung.onsets[:, :count], backing.onsets[:, here], weight)
    room = 1.0 - _buried(sung.bands[:, :count], backing.bands[:, here])
    merit = _RHYTHM * rhythm + _ROOM * room - LEFT_OUT * (1.0 - heard)
    matches = {s: float(meeting[pitch, (pitch + s) % 12].sum()) for s in shifts}
    for semitones, cost in shifts.items():
        chroma = matches[semitones]
        # Keys may agree by name though the notes that are sung do not: then nothing is moved.
        if chroma >= matches.get(0, chroma):
            yield semitones, chroma, chroma + merit - cost


def _likeness(a: Array, b: Array, weight: Array) -> float:
    """Correlation of two patterns of shape (rows, beats), beats weighted; 0 where one is flat."""
    share = weight / (len(a) * weight.sum())
    a, b = a - (a * share).sum(), b - (b * share).sum()
    scale = float(np.sqrt((a**2 * share).sum() * (b**2 * share).sum()))
    return float((a * b * share).sum()) / scale if scale > 1e-12 else 0.0


def _buried(voice: Array, backing: Array) -> float:
    """Share of the voice's power that lies under the backing when both are equally loud."""
    total = float(voice.sum())
    return float(np.minimum(voice, backing).sum()) / total if total > 0 else 0.0


def takes(ranked: Sequence[Fit], count: int, apart: int) -> tuple[Fit, ...]:
    """Pick the best fits that are heard as different from each other.

    Parameters
    ----------
    ranked
        Best first.
    count
        How many at most.
    apart
        Backing beats by which starts must differ, unless the pace does or the pitch by two
        semitones.
    """
    chosen: list[Fit] = []
    for fit in ranked:
        if len(chosen) == count:
            break
        if not any(
            fit.pace == other.pace
            and abs(fit.semitones - other.semitones) < 2
            and abs(fit.start - other.start) < apart
            for other in chosen
        ):
            chosen.append(fit)
    return tuple(chosen)
