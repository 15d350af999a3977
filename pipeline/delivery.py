"""A finished mix to a file, measured as it will be heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.codec import decode, encode
from pipeline.loudness import CEILING_DBTP, integrated_lufs, true_peak_dbtp, vocals_to_backing_lu
from pipeline.mix import master
from pipeline.types import Loudness

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.mix import Layers

ARTIST = "vocal"
"""Tag that every file of ours carries."""

_LOSSLESS = ("wav", "flac")
_ENCODERS_ADD_DB = 0.5  # lossy ones raise true peaks by about as much


def ceiling_for(extension: str) -> float:
    """Return how high true peaks may be, in dBTP, before they are encoded."""
    return CEILING_DBTP - (0.0 if extension in _LOSSLESS else _ENCODERS_ADD_DB)


def deliver(
    layers: Layers, path: Path, title: str, max_bytes: int | None = None
) -> tuple[Layers, Loudness]:
    """Write the mix and measure what was written.

    Encoders raise peaks, the more the fewer bits they have; then the ceiling comes down by as
    much, and not the whole mix, which would end up too quiet.

    Parameters
    ----------
    layers
        The mastered layers.
    path
        Where to write; its extension is the format.
    title
        Tag of the file.
    max_bytes
        Most bytes that the file may have.

    Returns
    -------
    Layers
        What the file holds.
    Loudness
        As measured on the file.

    Raises
    ------
    OutputError
        The file cannot be written, or not be made small enough.
    """
    ceiling_dbtp = ceiling_for(path.suffix[1:])
    while True:
        encode(layers.mix, path, title=title, artist=ARTIST, max_bytes=max_bytes)
        heard = decode(path, shortest_s=0.0, longest_s=float("inf")).samples
        peak = true_peak_dbtp(heard)
        if peak <= CEILING_DBTP:
            break
        ceiling_dbtp -= peak - CEILING_DBTP + 0.05
        layers = master(layers, ceiling_dbtp)
    return layers, Loudness(
        integrated_lufs=integrated_lufs(heard),
        true_peak_dbtp=peak,
        vocals_to_backing_lu=vocals_to_backing_lu(layers.vocals, layers.backing),
    )
