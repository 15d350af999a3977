"""Which separator does the work: Spleeter where its weights are, else the built-in network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.errors import ModelUnavailableError
from pipeline.separate.weights import ModelSource, ensure_weights, find_weights

if TYPE_CHECKING:
    from pipeline.separate import Separator
    from pipeline.types import OnFraction

CHOICES = ("auto", "spleeter", "builtin", "offline")
"""What may be asked for."""

_ADVICE = "; for cleaner voices choose the separator spleeter, which fetches its weights once"


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
        that comes with the package; "offline", signal processing; or "auto", which never goes to
        the network: Spleeter where its weights are there, else the built-in network.
    source
        Where Spleeter's weights live and come from.
    on_fraction
        Told the share of the weights that is fetched, in [0, 1].

    Returns
    -------
    Separator
        Its `note` says when another one stands in for Spleeter.

    Raises
    ------
    ModelUnavailableError
        Spleeter was asked for by name, and its weights are not there and cannot be fetched; or
        the built-in network was, and is not there.
    ValueError
        `choice` is none of `CHOICES`.
    """
    if choice not in CHOICES:
        raise ValueError(f"choice must be one of {', '.join(CHOICES)}, not {choice!r}")
    if choice == "offline":
        return _offline("")
    if choice == "builtin":
        return _built_in("")
    from pipeline.separate.spleeter import SpleeterSeparator  # noqa: PLC0415 - loads numpy

    if choice == "spleeter":
        return SpleeterSeparator(ensure_weights(source, on_fraction=on_fraction))
    found = find_weights(source)
    if found is None:
        return _stand_in("", _ADVICE)
    separator = SpleeterSeparator(found)
    try:
        separator.load()  # only now is it certain that the weights can be used
    except ModelUnavailableError as error:
        reason = str(error.args[0])  # without the hint: that is for the admin
        return _stand_in(f"{reason} ", "")
    return separator


def _stand_in(before: str, after: str) -> Separator:
    from pipeline.separate.builtin import BUILT_IN  # noqa: PLC0415 - loads numpy

    if BUILT_IN.exists():
        return _built_in(f"{before}Taken apart by the built-in network{after}.")
    return _offline(
        f"{before}Taken apart by the offline separator: expect more of the old backing in the "
        f"voice{after}."
    )


def _built_in(note: str) -> Separator:
    from pipeline.separate.builtin import BUILT_IN, BuiltInSeparator  # noqa: PLC0415 - loads numpy

    if not BUILT_IN.exists():
        raise ModelUnavailableError(
            "The built-in network is not part of this installation.",
            hint="Install this program again, or choose another separator.",
        )
    return BuiltInSeparator(BUILT_IN, note=note)


def _offline(note: str) -> Separator:
    from pipeline.separate.offline import OfflineSeparator  # noqa: PLC0415 - numpy and scipy

    return OfflineSeparator(note=note)
