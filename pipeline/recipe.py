"""Every option of a merge, once: its bounds, its default, and what it means to a musician.

The command line, the slash command and the documentation are generated from `OPTIONS`; a new
option is one new field here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from pipeline.errors import RecipeError

Value: TypeAlias = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option, as the faces of the program need to know it.

    Attributes
    ----------
    name
        The field's name in `Recipe`.
    kind
        Type of its value: str, int or float.
    default
        What it is when nobody says anything.
    help
        One line for a musician.
    choices
        The allowed values, each with its meaning; empty when any number in the bounds will do.
    minimum, maximum
        Bounds of a number, inclusive.
    unit
        What a number is counted in.
    """

    name: str
    kind: type[Value]
    default: Value
    help: str
    choices: dict[str, str]
    minimum: float | None
    maximum: float | None
    unit: str

    def check(self, value: Value) -> Value:
        """Return the value as this option's kind, or raise `RecipeError` with what is allowed."""
        if self.choices:
            word = str(value).removeprefix("+")  # +2 is how musicians write it
            if word in self.choices:
                return word
            raise RecipeError(f"{self.name} cannot be {value!s}.", hint=self.allowed())
        try:
            number = self.kind(value)
            exact = float(number) == float(value)
        except (TypeError, ValueError, OverflowError):  # the last for infinity as a whole number
            number, exact = None, False
        # A NaN is outside any bounds: the comparison is written so that it fails.
        if isinstance(number, (int, float)) and exact:
            low = float("-inf") if self.minimum is None else self.minimum
            high = float("inf") if self.maximum is None else self.maximum
            if low <= number <= high:
                return number
        raise RecipeError(f"{self.name} cannot be {value!s}.", hint=self.allowed())

    def allowed(self) -> str:
        """Return the allowed values as a sentence."""
        if self.choices:
            return f"Choose one of {', '.join(self.choices)}."
        unit = f" {self.unit}" if self.unit else ""
        word = "whole number" if self.kind is int else "number"
        return f"It takes a {word} from {self.minimum:g} to {self.maximum:g}{unit}."


def _option(
    default: Value,
    text: str,
    *,
    choices: dict[str, str] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    unit: str = "",
) -> Any:  # noqa: ANN401 - like dataclasses.field, it stands for the field's own type
    about: dict[str, Any] = {
        "kind": type(default),
        "default": default,
        "help": text,
        "choices": choices or {},
        "minimum": minimum,
        "maximum": maximum,
        "unit": unit,
    }
    return field(default=default, metadata=about)


_SHIFTS = {str(n): f"{n:+d} semitone{'' if abs(n) == 1 else 's'}" for n in range(-6, 7) if n}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How two songs are to be merged; raises `RecipeError` for a value out of bounds."""

    separator: str = _option(
        "auto",
        "how the songs are taken apart",
        choices={
            "auto": "Spleeter where its weights are already there, else builtin",
            "spleeter": "Spleeter's large network; its weights are fetched once",
            "builtin": "the small network of this project, with nothing to fetch",
        },
    )
    tempo: str = _option(
        "auto",
        "whose tempo the mash-up takes",
        choices={
            "auto": "in between, so that neither song is stretched far",
            "backing": "the backing keeps its tempo",
            "vocals": "the vocals keep their tempo",
        },
    )
    pace: str = _option(
        "auto",
        "how the beats of the voice count against those of the backing",
        choices={
            "auto": "whichever fits best, of those that need little stretching",
            "same": "one beat of the voice on one of the backing",
            "half": "voice at half time: one of its beats on two of the backing",
            "double": "voice at double time: two of its beats on one of the backing",
        },
    )
    key: str = _option(
        "match",
        "what happens to the pitch of the voice",
        choices={
            "match": "shift by up to 3 semitones to the key of the backing, if both are clear",
            "keep": "leave it as it was sung",
            **_SHIFTS,
        },
    )
    balance: float = _option(
        1.0,
        "level of the voice above the backing while it sounds",
        minimum=-12.0,
        maximum=12.0,
        unit="LU",
    )
    take: int = _option(
        1,
        "which of the fits to take: 1 is the best, 2 the next",
        minimum=1,
        maximum=8,
    )
    arrange: str = _option(
        "full",
        "what is made of the two songs",
        choices={
            "full": "the whole backing with the voice over it",
            "highlight": "the best 30 to 60 seconds",
            "alternate": "both voices take turns, each over the other's band",
            "morph": "opens as the backing's own song and ends as the voice's own",
            "morph-back": "opens as the voice's own song and ends as the backing's own",
        },
    )
    roles: str = _option(
        "given",
        "which song sings",
        choices={
            "given": "the first one",
            "auto": "the one whose voice fits the other's band better",
        },
    )
    beats: str = _option(
        "auto",
        "how the beats are found",
        choices={
            "auto": "the way that finds most: the network",
            "neural": "the project's own network, together with onsets",
            "onsets": "onsets and accents alone, no network",
            "librosa": "librosa's tracker",
        },
    )
    level: str = _option(
        "song",
        "how the voice is levelled",
        choices={
            "song": "one gain for the whole song, which keeps what is loud and soft in it",
            "frame": "follow the backing from moment to moment",
        },
    )
    duck: float = _option(
        0.0,
        "how far the backing's middle steps back while the voice sounds",
        minimum=0.0,
        maximum=12.0,
        unit="dB",
    )
    denoise: float = _option(
        0.8,
        "clean the voice of what the separation left in it; 0 leaves it as it is",
        minimum=0.0,
        maximum=1.0,
    )
    denoise_method: str = _option(
        "mask",
        "how the voice is cleaned",
        choices={
            "mask": "a soft mask, with the accompaniment as the noise reference",
            "threshold": "lower what does not stand out from the residue in pauses",
        },
    )
    entry: int = _option(
        0,
        "bar of the backing on which the voice enters in the first take; 0 finds the best one",
        minimum=0,
        maximum=999,
    )
    nudge: int = _option(
        0,
        "move the voice by whole beats of the backing, later if above zero",
        minimum=-64,
        maximum=64,
        unit="beats",
    )

    def __post_init__(self) -> None:
        for option in OPTIONS:
            object.__setattr__(self, option.name, option.check(getattr(self, option.name)))


OPTIONS: tuple[Option, ...] = tuple(Option(name=f.name, **f.metadata) for f in fields(Recipe))
"""All options of `Recipe`, in the order in which people should meet them."""
