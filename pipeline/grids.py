"""Arithmetic on beat grids and warp maps.

Positions on a beat grid are counted in beats and may be fractional; beyond its ends a grid goes on
at the pace of its first and last beats.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.types import WarpMap

if TYPE_CHECKING:
    from pipeline.types import BeatGrid, LayerPlan

Array: TypeAlias = npt.NDArray[np.float64]


def apply_warp(warp: WarpMap, source_s: Array) -> Array:
    """Map times in a stem to times in the output, both in seconds; shape is kept."""
    return interpolate(source_s, warp.source_s, warp.target_s, edge=1)


def warp_grid(grid: BeatGrid, layer: LayerPlan, length_s: float) -> BeatGrid:
    """Where a song's beats are heard in the output; beats outside it are dropped."""

    def heard(times_s: tuple[float, ...]) -> tuple[float, ...]:
        mapped = apply_warp(layer.warp, np.asarray(times_s))
        return tuple(mapped[(mapped >= 0) & (mapped < length_s)].tolist())

    return replace(
        grid,
        beats_s=heard(grid.beats_s),
        downbeats_s=heard(grid.downbeats_s),
        bpm=grid.bpm * layer.stretch,
    )


def simplify(source_s: Array, target_s: Array, tolerance_s: float) -> WarpMap:
    """Drop anchors that a straight line between the others meets within a tolerance.

    Ramer, Douglas & Peucker's algorithm: a stem is then stretched in few long pieces instead of
    one piece a beat, and a song played to a click in a single one.
    """
    keep = {0, len(source_s) - 1}
    open_parts = [(0, len(source_s) - 1)]
    while open_parts:
        low, high = open_parts.pop()
        part = slice(low, high + 1)
        line = np.interp(source_s[part], source_s[[low, high]], target_s[[low, high]])
        away = np.abs(target_s[part] - line)
        worst = low + int(away.argmax())
        if away[worst - low] > tolerance_s:
            keep.add(worst)
            open_parts += [(low, worst), (worst, high)]
    index = sorted(keep)
    return WarpMap(
        source_s=tuple(source_s[index].tolist()), target_s=tuple(target_s[index].tolist())
    )


def downbeat_indices(grid: BeatGrid) -> npt.NDArray[np.int64]:
    """Return the position of each downbeat on the grid, in beats."""
    return np.searchsorted(np.asarray(grid.beats_s), np.asarray(grid.downbeats_s) - 1e-6)


def time_at(grid: BeatGrid, position: Array) -> Array:
    """Return the times in seconds of fractional positions on a grid."""
    return interpolate(position, np.arange(len(grid.beats_s), dtype=float), grid.beats_s)


def position_at(grid: BeatGrid, time_s: Array) -> Array:
    """Return the fractional positions on a grid of times in seconds."""
    return interpolate(time_s, grid.beats_s, np.arange(len(grid.beats_s), dtype=float))


def interpolate(
    x: Array, known_x: npt.ArrayLike, known_y: npt.ArrayLike, *, edge: int = 8
) -> Array:
    """Linear interpolation that goes on beyond both ends with the slope of the outer `edge` steps.

    Several steps, because one odd beat must not set the pace of all that lies outside.
    """
    xs, ys = np.asarray(known_x, dtype=float), np.asarray(known_y, dtype=float)
    edge = min(len(xs) - 1, edge)
    first = (ys[edge] - ys[0]) / (xs[edge] - xs[0])
    last = (ys[-1] - ys[-1 - edge]) / (xs[-1] - xs[-1 - edge])
    below, above = np.minimum(0.0, x - xs[0]), np.maximum(0.0, x - xs[-1])
    return np.asarray(np.interp(x, xs, ys) + below * first + above * last)
