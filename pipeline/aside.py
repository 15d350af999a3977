"""A second process for the work that would keep the first from doing anything else.

Signalsmith's stretcher lets no other thread of its process run. The layers of a mash-up are warped
side by side all the same where one of them is warped aside, from and into files that both processes
map: no samples are copied.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pipeline.errands import send
from pipeline.facts import to_facts
from pipeline.tapes import file_of, in_memory, moved
from pipeline.types import SAMPLE_RATE
from pipeline.warp import render_piece, warp

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from pipeline.layers import Layers
    from pipeline.tapes import Blank
    from pipeline.types import LayerPlan, MergeResult, OnFraction, Signal
    from pipeline.warp import Piece, Render


class AsideError(RuntimeError):
    """Work in the second process failed, or the process died."""


class Aside:
    """Does the work of a few stages in a second process, one piece of work at a time.

    The process starts at once and stays until `close`, or until this process ends in whatever
    way. It has no work of its own: signals in memory are worked on in this process. Methods may be
    called from any thread; one waits for the other.
    """

    def __init__(self) -> None:
        self._turn = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._start()

    @property
    def pid(self) -> int | None:
        """The second process's id, or None while there is none."""
        return self._process.pid if self._process is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the second process; work that comes later starts another."""
        with self._turn:
            self._end()

    def warp(
        self,
        stem: Signal,
        layer: LayerPlan,
        length_s: float,
        on_fraction: OnFraction,
        *,
        keep_formants: bool = False,
        blank: Blank = in_memory,
    ) -> Signal:
        """Do as `pipeline.warp.warp` does.

        Raises
        ------
        AsideError
            The work failed, told with its cause, or the second process died.
        MemoryError
            The second process needed more memory than there is.
        """
        out = blank(round(length_s * SAMPLE_RATE))
        files = _files(stem, out)
        if files is None:
            return warp(
                stem,
                layer,
                length_s,
                on_fraction,
                keep_formants=keep_formants,
                blank=lambda _: out,
            )
        options = {"layer": to_facts(layer), "length_s": length_s, "keep_formants": keep_formants}
        self._do("warp", options, (stem, out), files, on_fraction)
        return out

    def draw(
        self, result: MergeResult, layers: Layers, path: Path, *, blank: Blank = in_memory
    ) -> Path:
        """Do as `pipeline.picture.draw_card` does.

        Parameters
        ----------
        result, layers, path
            As there.
        blank
            Makes room for the gains of the layers.

        Raises
        ------
        AsideError, MemoryError
            As for `warp`.
        """
        parts = (layers.vocals, layers.backing)
        sounds = [moved(part.samples) for part in parts]
        gains = blank(len(parts[0].gain))
        for row, part in zip(gains, parts, strict=True):
            row[:] = part.gain
        signals = (*(sound.sound for sound in sounds), gains)
        files = _files(*signals)
        if files is None:
            from pipeline.picture import draw_card  # noqa: PLC0415 - matplotlib, if need be

            return draw_card(result, layers, path)
        options = {
            "result": to_facts(result),
            "path": str(path),
            "starts": [sound.start for sound in sounds],
            "length": layers.mix.shape[1],
        }
        self._do("draw", options, signals, files, lambda _: None)
        return path

    def share(self, blank: Blank) -> Render:
        """Return what renders the pieces of a stem in both processes.

        This process begins with the first. The other, as soon as it is free, takes half of what
        is left from the end, and again, until they meet.

        Parameters
        ----------
        blank
            Makes room for the pieces that come from the other process.

        Raises
        ------
        AsideError, MemoryError
            By what is returned, as for `warp`.
        """

        def render(stem: Signal, pieces: Sequence[Piece]) -> Generator[Signal, None, None]:
            to_do = deque(range(len(pieces)))
            made: dict[int, Signal] = {}

            def help_out() -> None:
                while to_do:
                    with self._turn:
                        numbers = _last_half(to_do)
                        some = [pieces[number] for number in numbers]
                        made.update(zip(numbers, self._render(stem, some, blank), strict=True))

            with ThreadPoolExecutor(1) as pool:
                helping = pool.submit(help_out)
                try:
                    while to_do:
                        with suppress(IndexError):  # the other process was quicker
                            yield render_piece(stem, pieces[to_do.popleft()])
                finally:
                    to_do.clear()
                helping.result()
            yield from (made[number] for number in sorted(made))

        return render

    def _render(self, stem: Signal, pieces: Sequence[Piece], blank: Blank) -> list[Signal]:
        """Render pieces one behind the other, so that nobody here has to answer in between."""
        ends = list(accumulate(piece.length for piece in pieces))
        out = blank(ends[-1] if ends else 0)
        files = _files(stem, out)
        if files is None:
            return [render_piece(stem, piece) for piece in pieces]
        options = {"pieces": to_facts(tuple(pieces))}
        self._do("render", options, (stem, out), files, lambda _: None)
        return np.split(out, ends[:-1], axis=1)

    def _do(
        self,
        errand: str,
        options: Mapping[str, Any],
        signals: Sequence[Signal],
        files: Sequence[int],
        on_fraction: OnFraction,
    ) -> None:
        lengths = [signal.shape[1] for signal in signals]
        with self._turn:
            line = self._start()
            finished = False
            try:
                send(line, {"errand": errand, "lengths": lengths, "options": options}, files)
                _listen(line, on_fraction)
                finished = True
            except ConnectionError as error:
                raise _death() from error
            finally:
                if not finished:  # called off, failed or dead: the next piece of work starts afresh
                    self._end()

    def _start(self) -> socket.socket:
        """Return the line to the second process, which is started where there is none."""
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._line is None:
            self._line, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "pipeline.errands"],
                    cwd=Path(__file__).parents[1],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
        return self._line

    def _end(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._line = None


def _last_half(to_do: deque[int]) -> list[int]:
    """Take half of what is left, at least one, from the end; fewer if somebody else is quicker."""
    numbers = deque[int]()
    with suppress(IndexError):
        for _ in range(max(1, len(to_do) // 2)):
            numbers.appendleft(to_do.pop())
    return list(numbers)


def _files(*signals: Signal) -> list[int] | None:
    """Return the files that the signals are mapped from; None where one of them is in memory."""
    files = [file for signal in signals if (file := file_of(signal)) is not None]
    return files if len(files) == len(signals) else None


def _listen(line: socket.socket, on_fraction: OnFraction) -> None:
    """Hand on what the second process tells until it has finished."""
    with line.makefile("rb") as lines:
        for text in lines:
            if not text.endswith(b"\n"):
                break
            message = json.loads(text)
            if "finished" in message:
                return
            if "error" in message:
                error = (MemoryError if message["memory"] else AsideError)(message["error"])
                error.add_note("In the second process:\n" + message["trace"])
                raise error
            on_fraction(message["fraction"])
    raise _death()


def _death() -> AsideError:
    return AsideError("the second process died")
