"""The kinds of settings that a server has: words, numbers, switches, channels and roles."""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from pipeline.errors import UserError
from pipeline.names import clean_text

if TYPE_CHECKING:
    from pipeline.facts import Json
    from pipeline.recipe import Option, Value

Stored: TypeAlias = "Value | tuple[int, ...]"
"""What a setting may be: a word, a number, or the ids of channels or roles."""

ON, OFF = "on", "off"
MOST_IDS = 25  # as many as a menu of Discord's lets people choose
_LARGEST_ID = 2**63 - 1
_LARGEST_NUMBER = 1e15
_LONGEST_QUOTE = 40


class SettingError(UserError):
    """A setting that does not exist, or a value that it cannot take."""


class Group(StrEnum):
    """Settings that are shown together, by their heading."""

    MERGE = "Defaults of a merge"
    PLACE = "Who and where"
    LIMIT = "Limits"
    FEATURE = "Features"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(ABC):
    """One setting, as the faces of the bot need to know it.

    Attributes
    ----------
    name
        What it is called, everywhere.
    group
        What it is shown with.
    help
        One line for an admin.
    default
        What it is when nobody says anything.
    """

    name: str
    group: Group
    help: str
    default: Stored

    @abstractmethod
    def check(self, raw: object) -> Stored:
        """Return what a person wrote, or what JSON holds, as a value of this setting.

        Raises
        ------
        UserError
            Names the setting and what is allowed.
        """

    @abstractmethod
    def allowed(self) -> str:
        """Return the allowed values as a sentence."""

    @abstractmethod
    def shown(self, value: Stored) -> str:
        """Return a value as people read it, and as `check` takes it."""

    @abstractmethod
    def to_json(self, value: Stored) -> Json:
        """Return a value as a file holds it, and as `check` takes it."""

    def refuse(self, raw: object) -> NoReturn:
        """Raise what `check` raises."""
        raise SettingError(f"{self.name} cannot be {quoted(raw)}.", hint=self.allowed())


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSetting(Setting):
    """A word or a number, bounded as an option of a merge is; `option` says how."""

    option: Option

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off and nothing else."""
        return tuple(self.option.choices) == (ON, OFF)

    def check(self, raw: object) -> Stored:
        """Return what was written as a word or a number, or refuse it."""
        if isinstance(raw, bool) and self.is_switch:
            return ON if raw else OFF
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            self.refuse(raw)
        if not isinstance(raw, str):
            if not -_LARGEST_NUMBER < raw < _LARGEST_NUMBER:  # nor does a NaN pass
                self.refuse(raw)
            return self.option.check(raw)
        word = clean_text(raw, longest=_LONGEST_QUOTE).lower()
        for unit in (self.option.unit, self.option.unit.removesuffix("s")):
            word = word.removesuffix(unit.lower()).strip()
        return self.option.check(word) if word else self.refuse(raw)

    def allowed(self) -> str:
        """Return the allowed values as a sentence."""
        return self.option.allowed()

    def shown(self, value: Stored) -> str:
        """Return the word, or the number with its unit."""
        if isinstance(value, str) or not isinstance(value, int | float):
            return str(value)
        unit = self.option.unit.removesuffix("s") if value == 1 else self.option.unit
        return f"{value:g} {unit}".strip()

    def to_json(self, value: Stored) -> Json:
        """Return the word or the number."""
        assert not isinstance(value, tuple)
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class IdSetting(Setting):
    """Channels or roles.

    Attributes
    ----------
    mark
        What stands before an id in a mention: "#" or "@&".
    empty
        The word for none of them.
    most
        How many there may be.
    """

    default: Stored = ()
    mark: str
    empty: str
    most: int

    @property
    def noun(self) -> str:
        """What its ids are ids of."""
        return "channel" if self.mark == "#" else "role"

    def check(self, raw: object) -> Stored:
        """Return what was written as ids, or refuse it."""
        if isinstance(raw, str) and raw.strip().lower() in {self.empty, ""}:
            return ()
        words = re.split(r"[\s,]+", raw.strip()) if isinstance(raw, str) else raw
        if isinstance(words, int):
            words = [words]
        if not isinstance(words, list | tuple):
            self.refuse(raw)
        ids = tuple(dict.fromkeys(self._id(word) for word in words if word != ""))
        if len(ids) > self.most:
            raise SettingError(
                f"{self.name} cannot be {len(ids)} {self.noun}s.", hint=self.allowed()
            )
        return ids

    def _id(self, word: object) -> int:
        if isinstance(word, int) and not isinstance(word, bool):
            number = word
        elif isinstance(word, str):
            digits = re.fullmatch(rf"(?:<{self.mark}([0-9]{{1,19}})>|([0-9]{{1,19}}))", word)
            number = int(digits[1] or digits[2]) if digits else 0
        else:
            number = 0
        if not 0 < number <= _LARGEST_ID:
            self.refuse(word)
        return number

    def allowed(self) -> str:
        """Return the allowed values as a sentence."""
        if self.most == 1:
            return f"It takes one {self.noun}, or the word {self.empty}."
        return f"It takes up to {self.most} {self.noun}s, or the word {self.empty}."

    def shown(self, value: Stored) -> str:
        """Return the mentions."""
        assert isinstance(value, tuple)
        return " ".join(f"<{self.mark}{number}>" for number in value) or self.empty

    def to_json(self, value: Stored) -> Json:
        """Return the ids as strings."""
        assert isinstance(value, tuple)
        # As strings, for ids are larger than what some programs keep of a number.
        return [str(number) for number in value]


def quoted(raw: object) -> str:
    """Return what somebody wrote as a sentence may name it, however large or deep it is."""
    match raw:
        case None | bool():
            return json.dumps(raw)
        case str():
            return clean_text(raw, longest=_LONGEST_QUOTE) or "empty"
        case float() if math.isnan(raw):
            return "NaN"
        case int() | float():
            return f"{raw:g}" if -_LARGEST_NUMBER < raw < _LARGEST_NUMBER else "a huge number"
        case list() | tuple():
            return "a list"
    return "an object"
