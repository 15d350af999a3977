"""What every composer of stages needs: time taken, progress told, failures given one form."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.errors import Cancelled, PipelineError, StageError
from pipeline.types import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pipeline.types import OnFraction, OnProgress, Stage


class Conductor:
    """Keeps the time of each stage, tells the listener, and gives failures one form.

    Parameters
    ----------
    on_progress
        Told the stage and the share of the whole that is done, which never falls.
    shares
        Share of the whole that each stage takes, roughly; they sum to 1.

    Attributes
    ----------
    seconds
        Time that each finished stage took, in seconds.
    """

    def __init__(self, on_progress: OnProgress, shares: Mapping[Stage, float]) -> None:
        self.seconds: dict[str, float] = {}
        self._on_progress = on_progress
        self._shares = shares
        self._done = 0.0
        self._told = 0.0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[OnFraction]:
        """Run one stage; yields what it tells its own progress to.

        Raises
        ------
        StageError
            The stage failed in a way that the user cannot mend.
        """
        share = self._shares[stage]

        def on_fraction(fraction: float) -> None:
            done = self._done + share * min(1.0, max(0.0, fraction))
            self._told = max(self._told, min(1.0, round(done, 6)))
            self._on_progress(Progress(stage=stage, fraction=self._told))

        began = time.perf_counter()
        try:
            on_fraction(0.0)
            yield on_fraction
            on_fraction(1.0)
        except (PipelineError, Cancelled):
            raise
        except Exception as error:  # the one place where a stage's failure is wrapped
            raise StageError(stage.value, f"{type(error).__name__}: {error}") from error
        self._done += share
        self.seconds[stage.name.lower()] = time.perf_counter() - began


def halves(on_fraction: OnFraction) -> tuple[OnFraction, OnFraction]:
    """Split a stage's progress between two songs."""
    first, second = shares(on_fraction, 2)
    return first, second


def shares(on_fraction: OnFraction, count: int) -> list[OnFraction]:
    """Split a stage's progress evenly between several pieces of work."""

    def share(number: int) -> OnFraction:
        return lambda fraction: on_fraction((number + fraction) / count)

    return [share(number) for number in range(count)]
