"""Song to stems, behind one small protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Song, Stems


class Separator(Protocol):
    """Takes songs apart; made once and kept, because a network is slow to load."""

    @property
    def name(self) -> str:
        """Which one it is: "spleeter" or "built-in"."""

    @property
    def note(self) -> str:
        """A sentence for the user when this one stands in for a better one, else nothing."""

    @property
    def identity(self) -> str:
        """A hash over all that decides what it makes of a song: equal, so are the stems."""

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = ...) -> Stems:
        """Split a song into stems that sum to it; two songs may be split at the same time.

        Parameters
        ----------
        song
            Samples of shape (2, n) at 44 100 Hz.
        on_fraction
            Told the share of the song that is done, in [0, 1].
        blank
            Makes the stems; in memory where it is not said.
        """
        ...
