"""Which separator does the work: Spleeter where its weights are, else the built-in network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import ModelUnavailableError
from pipeline.separate.weights import ModelSource, ensure_weights, find_weights

if TYPE_CHECKING:
    from pipeline.separate import Separator
    from pipeline.types import OnFraction

CHOICES = ("auto", "spleeter", "builtin")
"""What may be asked for."""


def make_separator(
    choice: str, source: ModelSource, *, on_fraction: OnFraction = lambda _: None
) -> Separator:
    """Make a separator; keep it, because every new one loads its model anew.

    A network is loaded when the first song comes; Spleeter's for "auto" at once, because only
    then is it certain that the weights can be used.

    Parameters
    ----------
    choice
        "spleeter", whose weights are fetched when they are not there; "builtin", the network
        that comes with the package; or "auto", which never goes to the internet: Spleeter where
        its weights are there, else the built-in network.
    source
        Where Spleeter's weights live and come from.
    on_fraction
        Told the share of the weights that is fetched, in [0, 1].

    Returns
    -------
    Separator
        Its `note` says when the built-in network stands in for weights that are damaged.

    Raises
    ------
    ModelUnavailableError
        Spleeter was asked for by name, and its weights are not there and cannot be fetched.
    ValueError
        `choice` is none of `CHOICES`.
    """
    if choice not in CHOICES:
        raise ValueError(f"choice must be one of {', '.join(CHOICES)}, not {choice!r}")
    # Both load numpy, which the bot's own process does without.
    from pipeline.separate.builtin import BUILT_IN, BuiltInSeparator  # noqa: PLC0415
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415

    if choice == "spleeter":
        return SpleeterSeparator(ensure_weights(source, on_fraction=on_fraction))
    found = find_weights(source) if choice == "auto" else None
    if found is None:
        return BuiltInSeparator(BUILT_IN)
    separator = SpleeterSeparator(found)
    try:
        separator.load()  # only now is it certain that the weights can be used
    except ModelUnavailableError as error:
        reason = str(error.args[0])  # without the hint: that is for the admin
        return BuiltInSeparator(BUILT_IN, note=f"{reason} The built-in network did the work.")
    return separator
