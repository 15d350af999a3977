"""Small frozen values as JSON and back: numbers exactly, and nothing else than was asked for."""

from __future__ import annotations

import dataclasses
import functools
import numbers
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_PLAIN = (bool, int, str, type(None))


def to_facts(value: object) -> Json:
    """Return a value as what JSON can hold.

    Parameters
    ----------
    value
        Dataclasses, tuples, lists, dictionaries with strings as keys, strings and members of
        `StrEnum`, paths, numbers, None, and all that is made of them.

    Raises
    ------
    TypeError
        There is something else in it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: to_facts(getattr(value, name)) for name in names}
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {str(name): to_facts(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        if set(map(type, value)) == {float}:  # curves have thousands
            return list(value)
        return [to_facts(item) for item in value]
    return _plain(value)


def _plain(value: object) -> Json:
    match value:
        case None | bool():
            return value
        case str() | Path():
            return str(value)
        case numbers.Integral():  # numpy's too
            return int(value)
        case numbers.Real():
            return float(value)
    raise TypeError(f"a {type(value).__name__} is no fact")


def from_facts(kind: type[T], data: object) -> T:
    """Return the value of which `to_facts` made the data.

    Parameters
    ----------
    kind
        Its type: a dataclass, or e.g. ``tuple[float, ...]`` or ``dict[str, Key | None]``.
    data
        As read from JSON.

    Raises
    ------
    ValueError
        The data is not of this type: nothing may be missing, left over or of another kind.
    """
    return typing.cast("T", _build(kind, data))


def _build(kind: Any, data: object) -> object:  # noqa: ANN401 - types at run time have no type
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, data)
    if origin in {typing.Union, types.UnionType}:
        return _build_union(inside, data)
    if origin is tuple and isinstance(data, list):
        return _build_tuple(inside, data)
    if origin is dict and isinstance(data, dict):
        return {_build(inside[0], name): _build(inside[1], item) for name, item in data.items()}
    if _fits(kind, data):
        return data
    if isinstance(kind, type) and issubclass(kind, StrEnum | Path) and isinstance(data, str):
        return kind(data)
    raise ValueError(f"{data!r:.40} is no {kind}")


def _fits(kind: object, data: object) -> bool:
    if typing.get_origin(kind) is typing.Literal:
        return (type(data), data) in [(type(choice), choice) for choice in typing.get_args(kind)]
    # A number without a fraction may stand where a float is meant.
    return type(data) is kind in _PLAIN or (kind is float and type(data) in {int, float})


def _build_dataclass(kind: Any, data: object) -> object:  # noqa: ANN401 - as above
    hints = _hints(kind)
    if not isinstance(data, dict) or set(data) != set(hints):
        raise ValueError(f"{data!r:.40} is no {kind.__name__}")
    return kind(**{name: _build(hint, data[name]) for name, hint in hints.items()})


def _build_union(kinds: tuple[object, ...], data: object) -> object:
    for kind in kinds:
        try:
            return _build(kind, data)
        except ValueError:
            continue
    raise ValueError(f"{data!r:.40} is none of {kinds}")


def _build_tuple(kinds: tuple[object, ...], data: list[object]) -> tuple[object, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        if kinds[0] is float and set(map(type, data)) == {float}:  # curves have thousands
            return tuple(data)
        return tuple(_build(kinds[0], item) for item in data)
    if len(kinds) != len(data):
        raise ValueError(f"{len(data)} values are no {kinds}")
    return tuple(_build(kind, item) for kind, item in zip(kinds, data, strict=True))


@functools.cache
def _hints(kind: Any) -> dict[str, object]:  # noqa: ANN401 - as above
    # Light modules import Path for the type checker alone.
    hints = typing.get_type_hints(kind, localns={"Path": Path})
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}
