"""A finished mix to a file, measured as it will be heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.codec import decode_blocks, encode
from pipeline.loudness import (
    CEILING_DBTP,
    TARGET_LUFS,
    balance_lu,
    gated_lufs,
    highest_dbtp,
    levels,
    measure_with_peaks,
)
from pipeline.mix import master
from pipeline.types import Loudness

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.layers import Layers
    from pipeline.mix import Premaster

ARTIST = "vocal"
"""Tag that every file of ours carries."""

_LOSSLESS = ("wav", "flac")
_ENCODERS_ADD_DB = 0.5  # lossy ones raise true peaks by about as much
_NEAR_LU = 0.2
_MOST_LOST_LU = 1.0  # what lacks more could not be made as loud in the first place


def deliver(
    draft: Premaster, path: Path, title: str, max_bytes: int | None = None
) -> tuple[Layers, Loudness]:
    """Master a mix, write it and measure what was written.

    Encoders raise peaks, the more the fewer bits they have; then the ceiling comes down by as
    much, and not the whole mix, which would end up too quiet. Those with the fewest also leave
    out high notes; what that takes from the loudness is made up for once.

    Parameters
    ----------
    draft
        The balanced mix.
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
    ceiling_dbtp, wanted_lufs = CEILING_DBTP, TARGET_LUFS
    if path.suffix[1:] not in _LOSSLESS:
        ceiling_dbtp -= _ENCODERS_ADD_DB
    while True:
        layers = master(draft, ceiling_dbtp, wanted_lufs)
        encode(layers.mix, path, title=title, artist=ARTIST, max_bytes=max_bytes)
        power, peaks = measure_with_peaks(decode_blocks(path))
        loudness = Loudness(
            integrated_lufs=gated_lufs(power),
            true_peak_dbtp=highest_dbtp(peaks),
            vocals_to_backing_lu=balance_lu(
                levels(layers.vocals.power), levels(layers.backing.power)
            ),
        )
        excess_db = loudness.true_peak_dbtp - CEILING_DBTP
        missing_lu = TARGET_LUFS - loudness.integrated_lufs
        uneven = wanted_lufs == TARGET_LUFS and _NEAR_LU < abs(missing_lu) <= _MOST_LOST_LU
        if excess_db <= 0 and not uneven:
            return layers, loudness
        if excess_db > 0:
            # What comes out falls by a little less than what goes in.
            ceiling_dbtp -= 1.2 * excess_db + 0.05
        if uneven:
            wanted_lufs += missing_lu
