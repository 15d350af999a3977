"""What a run has measured, to and from JSON; nothing here measures or judges."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

OURS, STOCK, SEPARATOR = "this pipeline", "stock command", "warm Separator"
"""The peers of a merge."""

FIRST, AGAIN, GAIN = "first merge", "same songs again", "only the balance changed"
OTHER = "another key and place for the voice"
"""What is done to a cache, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The most memory that a peer has held, in MB of 10^6 bytes.

    Attributes
    ----------
    process_mb
        Of its main process, as the kernel keeps it (VmHWM).
    tree_mb
        Of that process and all its children that live for a quarter of a second, together, looked
        at every 50 ms; memory that they share is counted for each.
    """

    process_mb: float
    tree_mb: float

    @property
    def worse_mb(self) -> float:
        """The larger of the two."""
        return max(self.process_mb, self.tree_mb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Merges:
    """Whole merges of two songs by one peer.

    Attributes
    ----------
    peer
        `OURS`, `STOCK` or `SEPARATOR`.
    length_s
        Of each song.
    seconds
        Of each run; empty where it was skipped.
    parts
        For each run its stages and their seconds.
    peak
        Over all runs and the one that warms up.
    skipped
        Why it was not measured, or why it stopped.
    """

    peer: str
    length_s: int
    seconds: tuple[float, ...]
    parts: tuple[dict[str, float], ...] = ()
    peak: Peak | None = None
    skipped: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Separations:
    """Both songs taken apart by this pipeline's separator, and nothing else.

    Attributes
    ----------
    precision
        What the network computes in.
    default
        Whether that is what a merge uses on this machine.
    length_s
        Of each song.
    seconds
        Of each run, for both songs.
    gflop
        Floating-point operations of the U-Nets for both songs, in 10^9.
    """

    precision: str
    default: bool
    length_s: int
    seconds: tuple[float, ...]
    gflop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """Merges of the same two songs with a cache that was empty before the first.

    Attributes
    ----------
    act
        `FIRST`, `AGAIN`, `GAIN` or `OTHER`.
    format
        Of the file that is written.
    length_s
        Of each song.
    seconds
        Of each run.
    """

    act: str
    format: str
    length_s: int
    seconds: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStart:
    """The bot as a process of its own, on a Discord on the loopback.

    Attributes
    ----------
    answer_s
        For each run, seconds from the start of the process to its answer to the first command.
    idle_mb
        For each run, resident memory once it has nothing to do, its workers not included, in MB.
    heavy
        Which modules of networks and of signal processing are loaded in it.
    """

    answer_s: tuple[float, ...]
    idle_mb: tuple[float, ...]
    heavy: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that a run has measured.

    Attributes
    ----------
    machine
        What it ran on, by names that hold for every such machine.
    network
        Which weights the separators had.
    stock_audio
        How the stock command read and wrote its files.
    gflop_per_patch
        Floating-point operations of both U-Nets for one patch, in 10^9; 0 where not counted.
    matmul_gflops
        Rates of this machine's matrix multiply as measured in between, in 10^9 a second.
    """

    machine: dict[str, str]
    network: str = ""
    stock_audio: str = ""
    gflop_per_patch: float = 0.0
    matmul_gflops: tuple[float, ...] = ()
    merges: tuple[Merges, ...] = ()
    separations: tuple[Separations, ...] = ()
    cached: tuple[Cached, ...] = ()
    bot: BotStart | None = None

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(
            **found
            | {
                "matmul_gflops": tuple(found["matmul_gflops"]),
                "merges": tuple(_merges(row) for row in found["merges"]),
                "separations": tuple(_tupled(Separations, row) for row in found["separations"]),
                "cached": tuple(_tupled(Cached, row) for row in found["cached"]),
                "bot": _tupled(BotStart, found["bot"]) if found["bot"] else None,
            }
        )


def _merges(row: dict[str, Any]) -> Merges:
    peak = Peak(**row["peak"]) if row["peak"] else None
    merges: Merges = _tupled(Merges, row | {"peak": peak})
    return merges


def _tupled(kind: Any, row: dict[str, Any]) -> Any:  # noqa: ANN401 - any of the rows above
    """Make a row; what JSON calls a list was a tuple."""
    values = {field.name: row[field.name] for field in fields(kind)}
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})
