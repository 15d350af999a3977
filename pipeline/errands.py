"""The second process of a merge: does one piece of work after the other, told over a socket.

`pipeline.aside` starts it as ``python -m pipeline.errands`` with a socket as its standard input. A
job is a line of JSON and the open files that its signals are mapped from, the output's last; lines
with the share that is done come back, and one when it is finished. It ends when the socket closes,
and an error ends it too, told in a last line.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pipeline.facts import from_facts
from pipeline.types import LayerPlan, MergeResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from pipeline.types import OnFraction, Signal

    Message: TypeAlias = Mapping[str, Any]
    Errand: TypeAlias = Callable[[Sequence[Signal], Signal, Message, OnFraction], object]

_MOST_SIGNALS = 8  # in one job


def send(line: socket.socket, message: Message, files: Sequence[int] = ()) -> None:
    """Send a message, and open files with it.

    Raises
    ------
    OSError
        There is nobody at the other end.
    """
    data = json.dumps(message).encode() + b"\n"
    sent = socket.send_fds(line, [data], files)
    line.sendall(data[sent:])


def _receive(line: socket.socket) -> tuple[Message, list[int]] | None:
    """Wait for a job; returns None when the other end has gone."""
    data, files = b"", list[int]()
    while not data.endswith(b"\n"):
        part, more, _, _ = socket.recv_fds(line, 1 << 16, _MOST_SIGNALS)
        files += more
        if not part:
            return None
        data += part
    return json.loads(data), files


def _warp(inputs: Sequence[Signal], out: Signal, options: Message, on_fraction: OnFraction) -> None:
    from pipeline.warp import warp  # noqa: PLC0415 - see serve

    warp(
        inputs[0],
        from_facts(LayerPlan, options["layer"]),
        options["length_s"],
        on_fraction,
        keep_formants=options["keep_formants"],
        blank=lambda _: out,
    )


def _render(inputs: Sequence[Signal], out: Signal, options: Message, _: OnFraction) -> None:
    from pipeline.tapes import release  # noqa: PLC0415 - see serve
    from pipeline.warp import Piece, render_piece  # noqa: PLC0415 - see serve

    start = 0
    for facts in options["pieces"]:
        piece = from_facts(Piece, facts)
        out[:, start : start + piece.length] = render_piece(inputs[0], piece)
        start += piece.length
        release(*inputs, out)


def _draw(inputs: Sequence[Signal], gains: Signal, options: Message, _: OnFraction) -> None:
    # Loaded by the first that asks for it: many never do.
    from pipeline.layers import Layer, Layers  # noqa: PLC0415 - see above
    from pipeline.picture import draw_card  # noqa: PLC0415 - see above
    from pipeline.tapes import Moved  # noqa: PLC0415 - see serve

    length = options["length"]
    vocals, backing = (
        Layer(
            samples=Moved(sound=sound, start=start, length=length),
            raw_power=gain[:0].astype(float),  # nobody asks for it
            gain=gain,
        )
        for sound, start, gain in zip(inputs, options["starts"], gains, strict=True)
    )
    result = from_facts(MergeResult, options["result"])
    draw_card(result, Layers(vocals=vocals, backing=backing), Path(options["path"]))


_ERRANDS: dict[str, Errand] = {"warp": _warp, "render": _render, "draw": _draw}


def serve(line: socket.socket) -> None:
    """Do what comes over a socket until it closes."""
    # Loaded before the first job asks for them, and after the switch in _main.
    from pipeline import warp  # noqa: PLC0415

    del warp
    while (job := _receive(line)) is not None:
        _do(line, *job)
        send(line, {"finished": True})


def _do(line: socket.socket, job: Message, files: Sequence[int]) -> None:
    from pipeline.tapes import mapped  # noqa: PLC0415 - see serve

    last = len(files) - 1
    signals = [
        mapped(file, length, writable=number == last)
        for number, (file, length) in enumerate(zip(files, job["lengths"], strict=True))
    ]
    for file in files:
        os.close(file)

    def on_fraction(fraction: float) -> None:
        send(line, {"fraction": fraction})

    _ERRANDS[job["errand"]](signals[:-1], signals[-1], job["options"], on_fraction)


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one calls it off
    # A process that has one processor to itself; idle threads of the library would spin on others.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    line = socket.socket(fileno=0)

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        text = f"{kind.__name__}: {error}"
        where = "".join(traceback.format_exception(kind, error, trace))
        send(line, {"error": text, "memory": isinstance(error, MemoryError), "trace": where})

    sys.excepthook = tell
    serve(line)


if __name__ == "__main__":
    _main()
