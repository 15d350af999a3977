from __future__ import annotations

import dataclasses
import pickle
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import RecipeError
from pipeline.recipe import OPTIONS, Option, Recipe

BY_NAME = {option.name: option for option in OPTIONS}
CHOICES = [option for option in OPTIONS if option.choices]
NUMBERS = [option for option in OPTIONS if not option.choices]


def take(option: Option, value: Any) -> Any:
    wish: dict[str, Any] = {option.name: value}
    return getattr(Recipe(**wish), option.name)


def refused(**wishes: Any) -> str:
    with pytest.raises(RecipeError) as caught:
        Recipe(**wishes)
    return str(caught.value)


def test_every_field_is_an_option_in_its_order() -> None:
    assert [option.name for option in OPTIONS] == [f.name for f in dataclasses.fields(Recipe)]


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_an_option_describes_itself(option: Option) -> None:
    assert getattr(Recipe(), option.name) == option.default
    assert type(option.default) is option.kind
    assert option.help
    assert option.help[0].islower()
    assert option.check(option.default) == option.default
    assert option.allowed().endswith(".")


@pytest.mark.parametrize("option", CHOICES, ids=lambda option: option.name)
def test_choices_are_taken_and_nothing_else(option: Option) -> None:
    # A slash command shows at most 25 choices, each of at most 100 characters.
    assert len(option.choices) <= 25
    for name, meaning in option.choices.items():
        assert take(option, name) == name
        assert 0 < len(meaning) <= 100
    for wrong in ("", "AUTO", "sideways", None, 1.5):
        assert refused(**{option.name: wrong}).startswith(f"{option.name} cannot be {wrong}.")


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.name)
def test_bounds_are_inclusive(option: Option) -> None:
    assert option.minimum is not None
    assert option.maximum is not None
    for edge in (option.minimum, option.maximum):
        value = take(option, edge)
        assert value == edge
        assert type(value) is option.kind
    for outside in (option.minimum - 1, option.maximum + 1):
        refused(**{option.name: outside})


@pytest.mark.parametrize(
    ("option", "value", "taken"),
    [
        ("nudge", "4", 4),
        ("nudge", 4.0, 4),
        ("nudge", True, 1),
        ("balance", "-2.5", -2.5),
        ("balance", 3, 3.0),
        ("key", 2, "2"),
        ("key", "-3", "-3"),
    ],
)
def test_values_as_they_come_from_outside(option: str, value: Any, taken: Any) -> None:
    kept = take(BY_NAME[option], value)
    assert kept == taken
    assert type(kept) is type(taken)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        (
            "balance",
            float("nan"),
            "balance cannot be nan. It takes a number from -12 to 12 LU.",
        ),
        ("balance", float("inf"), "balance cannot be inf. It takes a number from -12 to 12 LU."),
        ("balance", "loud", "balance cannot be loud. It takes a number from -12 to 12 LU."),
        ("balance", None, "balance cannot be None. It takes a number from -12 to 12 LU."),
        ("nudge", 1.5, "nudge cannot be 1.5. It takes a whole number from -64 to 64 beats."),
        ("nudge", "1.5", "nudge cannot be 1.5. It takes a whole number from -64 to 64 beats."),
        ("nudge", float("nan"), "nudge cannot be nan. It takes a whole number from -64 to 64"),
        ("nudge", float("inf"), "nudge cannot be inf. It takes a whole number from -64 to 64"),
        ("nudge", 10**400, "nudge cannot be 1000"),
        ("balance", 10**400, "balance cannot be 1000"),
        ("nudge", 65, "nudge cannot be 65. It takes a whole number from -64 to 64 beats."),
        ("tempo", "fast", "tempo cannot be fast. Choose one of auto, backing, vocals."),
        ("key", "0", "key cannot be 0. Choose one of match, keep, -6, -5"),
    ],
)
def test_a_refusal_names_the_option_and_what_is_allowed(
    option: str, value: Any, sentence: str
) -> None:
    assert refused(**{option: value}).startswith(sentence)


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()))
def test_any_value_is_taken_or_refused_in_words(value: Any) -> None:
    for option in OPTIONS:
        with suppress(RecipeError):  # anything else that it raises is a failure
            assert type(option.check(value)) is option.kind


def test_a_recipe_is_one_value() -> None:
    recipe = Recipe(nudge=2, key="keep")
    assert pickle.loads(pickle.dumps(recipe)) == recipe == Recipe(nudge="2", key="keep")  # type: ignore[arg-type]  # as it comes from outside
    assert dataclasses.replace(recipe, nudge=0) == Recipe(key="keep")
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.nudge = 3  # type: ignore[misc]  # that is the point


def test_transpositions_say_what_they_do() -> None:
    choices = BY_NAME["key"].choices
    assert choices["1"] == "+1 semitone"
    assert choices["-2"] == "-2 semitones"


def test_a_shift_may_be_written_as_musicians_do() -> None:
    assert Recipe(key="+2") == Recipe(key="2")
