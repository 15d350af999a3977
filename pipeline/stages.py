"""What every composer of stages needs: time, progress, failures in one form, and both cores."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pipeline.errors import Cancelled, PipelineError, StageError
from pipeline.types import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipeline.types import OnFraction, OnProgress, Stage


Result = TypeVar("Result")


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
        self._telling = threading.Lock()

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
            with self._telling:
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


def side_by_side(
    on_fraction: OnFraction, *acts: Callable[[OnFraction], Result]
) -> tuple[Result, ...]:
    """Do several things at the same time, each in a thread of its own.

    When one of them fails, the others are called off when they next tell how far they are.

    Parameters
    ----------
    on_fraction
        Told the mean share that is done, in [0, 1], by any of the threads.
    acts
        Each takes what it tells its own share to.

    Returns
    -------
    tuple
        What they return, in order.

    Raises
    ------
    BaseException
        The error of the first, in order, that failed by itself.
    """
    done = [0.0] * len(acts)
    called_off = threading.Event()

    def telling(number: int) -> OnFraction:
        def tell(fraction: float) -> None:
            if called_off.is_set():
                raise Cancelled
            done[number] = fraction
            on_fraction(sum(done) / len(done))

        return tell

    def look(ended: Future[Result]) -> None:
        if ended.exception() is not None:
            called_off.set()

    with ThreadPoolExecutor(len(acts)) as pool:
        running = [pool.submit(act, telling(number)) for number, act in enumerate(acts)]
        try:
            for future in running:
                future.add_done_callback(look)
            wait(running)
        finally:  # whatever interrupts the waiting ends the work
            called_off.set()
    failures = [error for future in running if (error := future.exception()) is not None]
    for failure in sorted(failures, key=lambda error: isinstance(error, Cancelled)):
        raise failure
    return tuple(future.result() for future in running)


def shares(on_fraction: OnFraction, count: int) -> list[OnFraction]:
    """Split a stage's progress evenly between several pieces of work."""

    def share(number: int) -> OnFraction:
        return lambda fraction: on_fraction((number + fraction) / count)

    return [share(number) for number in range(count)]
