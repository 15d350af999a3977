"""Lengths of time in words that promise no more than an estimate can."""

from __future__ import annotations

OVERDUE = 0.0
"""What is left of a job that should have ended by now: nobody knows how much that is."""

_A_FEW_S = 5.0


def about(seconds: float) -> str:
    """Return a length rounded as people do: "a few seconds", "about 40 s", "about 3 min"."""
    if seconds < _A_FEW_S:
        return "a few seconds"
    if seconds < 55.0:
        step = 5 if seconds < 17.5 else 10
        return f"about {step * int(seconds / step + 0.5)} s"
    minutes = max(1, int(seconds / 60.0 + 0.5))
    if minutes <= 10:
        return f"about {minutes} min"
    if minutes < 58:
        return f"about {5 * int(minutes / 5 + 0.5)} min"
    return f"about {int(minutes / 30 + 0.5) / 2:g} h"


def left(seconds: float | None) -> str:
    """Say how much longer it takes, or nothing when nobody knows: "about 40 s left"."""
    if seconds is None:
        return ""
    return f"{about(seconds)} left" if seconds > OVERDUE else "a little longer than usual"


def soon(seconds: float | None) -> str:
    """Say when something is there, or nothing when nobody knows: "in about 40 s"."""
    if seconds is None:
        return ""
    return f"in {about(seconds)}" if seconds >= _A_FEW_S else "in a moment"
