"""Whether what was measured grows: a straight line through it, and how sure its slope is."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import TYPE_CHECKING

from scipy.stats import t as students_t

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast something grows.

    Attributes
    ----------
    per_hour
        The least-squares slope, per hour.
    low, high
        Its two-sided 95 % confidence interval.
    """

    per_hour: float
    low: float
    high: float

    def grows(self, noise_per_hour: float) -> bool:
        """Return whether it surely grows faster than what is taken for noise."""
        return self.low > noise_per_hour


def slope_of(hours: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit a straight line.

    Parameters
    ----------
    hours
        When each value was measured; three of them at least, and not all the same.
    values
        What was measured.
    """
    middle, level = fmean(hours), fmean(values)
    spread = sum((hour - middle) ** 2 for hour in hours)
    pairs = list(zip(hours, values, strict=True))
    slope = sum((hour - middle) * (value - level) for hour, value in pairs) / spread
    left = sum((value - level - slope * (hour - middle)) ** 2 for hour, value in pairs)
    freedom = len(pairs) - 2
    error = sqrt(left / freedom / spread)
    margin = float(students_t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return Slope(per_hour=slope, low=slope - margin, high=slope + margin)
