"""Which separator does the work: Spleeter where its weights can be had, else the built-in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import ModelUnavailableError
from pipeline.separate.weights import ModelSource, ensure_weights

if TYPE_CHECKING:
    from pipeline.separate import Separator
    from pipeline.types import OnFraction

CHOICES = ("auto", "spleeter", "offline")
"""What may be asked for."""


def make_separator(
    choice: str, source: ModelSource, *, on_fraction: OnFraction = lambda _: None
) -> Separator:
    """Make a separator; keep it, because every new one loads its model anew.

    "spleeter" loads its network when the first song comes; "auto" at once, because only then is it
    certain that the weights can be used.

    Parameters
    ----------
    choice
        "spleeter"; "offline", the built-in separator, which needs no weights; or "auto": Spleeter
        where its weights are there or can be fetched, else the built-in one with a note about it.
    source
        Where Spleeter's weights live and come from.
    on_fraction
        Told the share of the weights that is fetched, in [0, 1].

    Returns
    -------
    Separator
        Its `note` says when the built-in separator stands in for Spleeter.

    Raises
    ------
    ModelUnavailableError
        Spleeter was asked for by name, and its weights are not there and cannot be fetched.
    ValueError
        `choice` is none of `CHOICES`.
    """
    if choice not in CHOICES:
        raise ValueError(f"choice must be one of {', '.join(CHOICES)}, not {choice!r}")
    if choice == "offline":
        return _offline("")
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415 - numpy and scipy

    try:
        separator = SpleeterSeparator(ensure_weights(source, on_fraction=on_fraction))
        if choice == "auto":
            separator.load()  # only now is it certain that the weights can be used
    except ModelUnavailableError as error:
        if choice == "spleeter":
            raise
        reason = str(error.args[0]).removesuffix(".")  # without the hint: that is for the admin
        return _offline(
            f"{reason}, so the built-in separator did the work: "
            "expect more of the old backing in the voice."
        )
    return separator


def _offline(note: str) -> Separator:
    from pipeline.separate.offline import OfflineSeparator  # noqa: PLC0415 - numpy and scipy

    return OfflineSeparator(note=note)
