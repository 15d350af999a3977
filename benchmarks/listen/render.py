"""Merges the same two songs in two ways and cuts the same bars of the voice out of both."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import soxr

from benchmarks.listen.origin import RATE_HZ, OriginMashup, merge_like_origin
from pipeline.codec import decode
from pipeline.errors import UserError
from pipeline.grids import apply_warp
from pipeline.merge import merge
from pipeline.recipe import Recipe
from pipeline.types import SAMPLE_RATE, WarpMap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.listen.songs import SeparateOnce, Source
    from pipeline.types import MergeResult, Signal

Array: TypeAlias = npt.NDArray[np.float64]

METHODS = ("pipeline", "origin")
"""What a pair consists of."""

LEAD_IN_S = 2.0
"""An excerpt begins so long before the voice's first full bar, in both versions."""

SHORTEST_S = 5.0
"""An excerpt of less is no use to a listener."""

_FADES_S = (0.02, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One pair as the seed wants it.

    Attributes
    ----------
    vocals, backing
        Which song gives what.
    a
        Which of `METHODS` is version A.
    """

    vocals: Source
    backing: Source
    a: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Excerpt:
    """A passage of one method's mash-up.

    Attributes
    ----------
    samples
        float32, shape (2, n), 44 100 Hz.
    start_s
        Where it begins in the whole mash-up, in seconds.
    offset_ms
        Median distance of the layers' beats; see `layer_offset_ms`.
    facts
        What the method did to the songs.
    """

    samples: Signal
    start_s: float
    offset_ms: float | None
    facts: dict[str, Any]


def draw_pairs(songs: Sequence[Source], seed: int) -> list[Draw]:
    """Put all ordered pairs of different songs in a random order, with a random version A each.

    Parameters
    ----------
    songs
        Only those that sing give a voice.
    seed
        The same one draws the same from the same songs.
    """
    rng = np.random.default_rng(seed)
    pairs = [(v, b) for v in songs if v.sings for b in songs if b.path != v.path]
    order = rng.permutation(len(pairs))
    sides = rng.integers(len(METHODS), size=len(pairs))
    return [
        Draw(vocals=pairs[place][0], backing=pairs[place][1], a=METHODS[side])
        for place, side in zip(order, sides, strict=True)
    ]


def render(
    draw: Draw, separator: SeparateOnce, *, seconds: float, same_sound: bool = False
) -> dict[str, Excerpt]:
    """Merge two songs both ways and cut out the same bars of the voice.

    Parameters
    ----------
    draw
        Which songs.
    separator
        Gives both methods the same stems.
    seconds
        Longest excerpt.
    same_sound
        Fold the pipeline's mash-up to mono at 22.05 kHz, as the origin's is.

    Returns
    -------
    dict of str to Excerpt
        One of each method, of equal length.

    Raises
    ------
    UserError
        One of the songs has nothing to give, or the two have too little time in common.
    """
    with tempfile.TemporaryDirectory() as scratch:
        result = merge(
            draw.vocals.path,
            draw.backing.path,
            Recipe(),
            Path(scratch),
            separator=separator,
            format="wav",
        )
        ours = decode(result.path, longest_s=float("inf")).samples
    theirs = merge_like_origin(
        *(separator.separate(decode(s.path), lambda _: None) for s in (draw.vocals, draw.backing))
    )
    starts, length_s = same_bars(result, ours.shape[1] / SAMPLE_RATE, theirs, seconds)
    grid, backing_s = result.grids, np.asarray(result.backing.grid.beats_s)
    voice_s = theirs.heard_s(np.asarray(result.vocals.grid.beats_s))
    return {
        "pipeline": Excerpt(
            samples=cut_out(narrowed(ours) if same_sound else ours, starts[0], length_s),
            start_s=starts[0],
            offset_ms=layer_offset_ms(grid["vocals"].beats_s, grid["backing"].beats_s),
            facts={"reasons": result.plan.reasons, "notes": result.notes},
        ),
        "origin": Excerpt(
            samples=cut_out(theirs.mix, starts[1], length_s),
            start_s=starts[1],
            offset_ms=layer_offset_ms(voice_s, backing_s),
            facts={"ratio": theirs.ratio, "shift_s": theirs.shift_s},
        ),
    }


def same_bars(
    result: MergeResult, ours_s: float, theirs: OriginMashup, seconds: float
) -> tuple[tuple[float, float], float]:
    """Find the voice's entry in both mash-ups.

    Returns
    -------
    starts_s : tuple of float
        Where the excerpt starts in the pipeline's and in the origin's mash-up.
    length_s : float
        Its length, the same in both, at most `seconds`.

    Raises
    ------
    UserError
        One of them ends too soon after the voice's entry.
    """
    warp = result.plan.vocals.warp
    back = WarpMap(source_s=warp.target_s, target_s=warp.source_s)
    entry_s = apply_warp(back, np.asarray([result.plan.voice_enters_s]))
    # The origin's shift may cut the voice's start off; then both begin where both have it.
    entry_s = np.maximum(entry_s, theirs.source_s(np.zeros(1)))
    heard_s = float(apply_warp(warp, entry_s)[0]), float(theirs.heard_s(entry_s)[0])
    lead_s = max(0.0, min(LEAD_IN_S, *heard_s))
    starts_s = heard_s[0] - lead_s, heard_s[1] - lead_s
    left_s = min(ours_s - starts_s[0], theirs.mix.shape[1] / SAMPLE_RATE - starts_s[1])
    if left_s < SHORTEST_S:
        raise UserError("One version ends too soon after the voice's entry to be compared.")
    return starts_s, min(seconds, left_s)


def cut_out(mix: Signal, start_s: float, length_s: float) -> Signal:
    """Cut a passage out of a signal of shape (2, n), with short fades at its ends."""
    start, length = round(start_s * SAMPLE_RATE), int(length_s * SAMPLE_RATE)
    part = mix[:, start : start + length]
    time_s = np.arange(part.shape[1], dtype=np.float32) / SAMPLE_RATE
    fades = np.clip(time_s / _FADES_S[0], 0, 1) * np.clip(time_s[::-1] / _FADES_S[1], 0, 1)
    return np.asarray(part * fades, dtype=np.float32)


def layer_offset_ms(one_s: npt.ArrayLike, other_s: npt.ArrayLike) -> float | None:
    """Return the median distance of the layers' beats, in ms.

    From each beat of the sparser layer to the nearest of the other, since a voice at half time has
    a beat on every second one only. The beats are those that the pipeline found in the full songs,
    so this tells where a method lays them, not how well they were found.

    Parameters
    ----------
    one_s, other_s
        Beats of the layers in seconds of the output, rising.

    Returns
    -------
    float or None
        None when either has fewer than two beats in the time they share.
    """
    layers = [np.asarray(beats, dtype=float) for beats in (one_s, other_s)]
    if min(map(len, layers)) < 2:
        return None
    start, end = max(b[0] for b in layers) - 0.1, min(b[-1] for b in layers) + 0.1
    sparse, dense = sorted((b[(b > start) & (b < end)] for b in layers), key=len)
    if len(sparse) < 2:
        return None
    away_s = np.abs(sparse[:, None] - dense[None, :]).min(axis=1)
    return round(1000 * float(np.median(away_s)), 1)


def narrowed(mix: Signal) -> Signal:
    """Fold a signal of shape (2, n) to mono and take what is above 11 kHz away."""
    mono = soxr.resample(mix.mean(axis=0), SAMPLE_RATE, RATE_HZ)
    wide = soxr.resample(mono, RATE_HZ, SAMPLE_RATE)
    return np.asarray([wide, wide], dtype=np.float32)
