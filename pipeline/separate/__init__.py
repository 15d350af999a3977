"""Song to stems, behind one small protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipeline.types import OnFraction, Song, Stems


class Separator(Protocol):
    """Takes songs apart; made once and kept, because a network is slow to load.

    Attributes
    ----------
    name
        "spleeter" or "built-in".
    note
        A sentence for the user when this one stands in for a better one, else "".
    """

    name: str
    note: str

    def separate(self, song: Song, on_fraction: OnFraction) -> Stems:
        """Split a song into stems that sum to it.

        Parameters
        ----------
        song
            Samples of shape (2, n) at 44 100 Hz.
        on_fraction
            Told the share of the song that is done, in [0, 1].
        """
        ...
