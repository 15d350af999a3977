from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from bot.orders import Mashup, were_swapped
from bot.remix import ACTIONS, Change, NothingToDoError
from pipeline.recipe import OPTIONS, Recipe
from pipeline.types import Fit, KnownSong
from tests.bot import works
from tests.songs import steady_grid

RAPPER = KnownSong(audio="a" * 64, name="rapper.mp3", title="rapper")
DIVA = KnownSong(audio="b" * 64, name="diva.ogg", title="diva")


def mashup(recipe: Recipe | None = None, **facts: Any) -> Mashup:
    """Return what might be remembered of a mash-up with four ways to make it."""
    about: dict[str, Any] = {
        "id": "0123456789ab",
        "owner": 1,
        "guild_id": 2,
        "made_at": 3.0,
        "vocals": RAPPER,
        "backing": DIVA,
        "recipe": recipe or Recipe(),
        "takes": 4,
    }
    return Mashup(**{**about, **facts})


def press(action: str, before: Mashup) -> Change:
    return ACTIONS[action].change(before)


@pytest.mark.parametrize(
    ("action", "before", "changed", "words"),
    [
        ("louder", {"balance": 1.0}, {"balance": 3.0}, "voice 2 LU louder"),
        ("louder", {"balance": 11.0}, {"balance": 12.0}, "voice 1 LU louder"),
        ("louder", {"balance": 11.75}, {"balance": 12.0}, "voice 0.25 LU louder"),
        ("louder", {"balance": -0.1}, {"balance": 1.9}, "voice 2 LU louder"),
        ("quieter", {"balance": 1.0}, {"balance": -1.0}, "voice 2 LU quieter"),
        ("quieter", {"balance": -11.5}, {"balance": -12.0}, "voice 0.5 LU quieter"),
        ("quieter", {"balance": 12.0}, {"balance": 10.0}, "voice 2 LU quieter"),
        ("clean", {"denoise": 0.0}, {"denoise": 0.8}, "voice cleaned"),
        ("clean", {"denoise": 0.3}, {"denoise": 0.8}, "voice cleaned"),
        ("clean", {"denoise": 0.8}, {"denoise": 1.0}, "voice cleaned harder"),
        ("clean", {"denoise": 0.9}, {"denoise": 1.0}, "voice cleaned harder"),
        ("clean", {"denoise": 1.0}, {"denoise": 0.0}, "voice as it was taken out"),
        ("beat_later", {"nudge": 0}, {"nudge": 1}, "voice a beat later"),
        ("beat_later", {"nudge": 63}, {"nudge": 64}, "voice a beat later"),
        ("beat_earlier", {"nudge": 0}, {"nudge": -1}, "voice a beat earlier"),
        ("beat_earlier", {"nudge": -63}, {"nudge": -64}, "voice a beat earlier"),
        ("bar_later", {"nudge": -4}, {"nudge": 0}, "voice a bar later"),
        ("bar_earlier", {"nudge": 2}, {"nudge": -2}, "voice a bar earlier"),
        ("take", {"take": 1}, {"take": 2}, "take 2 of 4"),
        ("take", {"take": 4}, {"take": 1}, "take 1 of 4"),
        ("highlight", {}, {"arrange": "highlight"}, "the highlight of it"),
        ("highlight", {"arrange": "morph"}, {"arrange": "highlight"}, "the highlight of it"),
        ("highlight", {"arrange": "highlight"}, {"arrange": "full"}, "the whole of it"),
        ("stems", {}, {}, "with its two layers as files"),
    ],
)
def test_a_press_changes_one_thing(
    action: str, before: dict[str, Any], changed: dict[str, Any], words: str
) -> None:
    recipe = Recipe(**{"duck": 3.0, **before})
    change = press(action, mashup(recipe))
    assert change.recipe == replace(recipe, **changed)
    assert change.words == words
    assert (change.swap, change.stems) == (False, action == "stems")


@pytest.mark.parametrize(
    ("action", "semitones", "key", "words"),
    [
        ("higher", 0, "1", "voice up a semitone, +1 in all"),
        ("higher", -3, "-2", "voice up a semitone, -2 in all"),
        ("higher", -1, "keep", "voice up a semitone, back at its own pitch"),
        ("higher", 5, "6", "voice up a semitone, +6 in all"),
        ("lower", 0, "-1", "voice down a semitone, -1 in all"),
        ("lower", 1, "keep", "voice down a semitone, back at its own pitch"),
        ("lower", -5, "-6", "voice down a semitone, -6 in all"),
    ],
)
def test_the_pitch_moves_from_where_it_is(
    action: str, semitones: int, key: str, words: str
) -> None:
    change = press(action, mashup(Recipe(key="match"), semitones=semitones))
    assert change.recipe == Recipe(key=key, pace="same")
    assert change.words == words


@pytest.mark.parametrize("key", ["keep", "-2"])
def test_the_voice_follows_the_backing_again(key: str) -> None:
    before = mashup(Recipe(key=key))
    assert not ACTIONS["match"].is_on(before)
    change = press("match", before)
    assert change == Change(
        recipe=Recipe(key="match", pace="same"), words="voice in the backing's key"
    )
    assert ACTIONS["match"].is_on(mashup(change.recipe))


@pytest.mark.parametrize(
    ("action", "asked", "pace", "now", "words"),
    [
        ("half", "auto", "same", "half", "voice in half time"),
        ("half", "auto", "half", "same", "voice in its own time again"),
        ("half", "half", "half", "same", "voice in its own time again"),
        ("half", "double", "double", "half", "voice in half time"),
        ("double", "same", "same", "double", "voice in double time"),
        ("double", "auto", "double", "same", "voice in its own time again"),
        ("double", "half", "half", "double", "voice in double time"),
    ],
)
def test_the_pace_goes_on_and_off(action: str, asked: str, pace: str, now: str, words: str) -> None:
    before = mashup(Recipe(pace=asked), pace=pace)
    change = press(action, before)
    assert change.recipe == Recipe(pace=now)
    assert change.words == words
    assert ACTIONS[action].is_on(before) == (pace == action)


@pytest.mark.parametrize(
    ("action", "pace"),
    [
        ("half", "half"),
        ("double", "same"),
        ("higher", "double"),
        ("lower", "double"),
        ("match", "double"),
    ],
)
def test_another_pitch_or_pace_leaves_the_voice_where_it_is(action: str, pace: str) -> None:
    recipe = Recipe(take=3, key="2", nudge=5)
    change = press(action, mashup(recipe, semitones=2, pace="double", entry=9))
    assert (change.recipe.entry, change.recipe.take, change.recipe.nudge) == (9, 1, 5)
    assert change.recipe.pace == pace


def test_another_take_keeps_pitch_pace_and_place() -> None:
    recipe = Recipe(key="2", pace="half", entry=9, nudge=-3)
    assert press("take", mashup(recipe)).recipe == replace(recipe, take=2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {}),
        ({"nudge": 5, "take": 3, "entry": 9}, {}),
        ({"key": "-3", "pace": "half"}, {}),
        ({"key": "keep", "pace": "same"}, {"key": "keep", "pace": "same"}),
        ({"pace": "double", "balance": 3.0, "denoise": 0.0}, {"balance": 3.0, "denoise": 0.0}),
        ({"roles": "auto", "arrange": "morph"}, {"arrange": "morph"}),
    ],
)
def test_roles_are_swapped_without_what_was_set_for_one_voice(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    change = press("swap", mashup(Recipe(**before)))
    assert change == Change(recipe=Recipe(**after), swap=True, words="roles swapped")


@pytest.mark.parametrize(
    ("action", "before", "facts", "sentence"),
    [
        ("louder", {"balance": 12.0}, {}, "The voice is as loud as it gets."),
        ("quieter", {"balance": -12.0}, {}, "The voice is as quiet as it gets."),
        ("beat_later", {"nudge": 64}, {}, "The voice cannot be moved any later."),
        ("bar_later", {"nudge": 62}, {"beats_per_bar": 3}, "The voice cannot be moved any later."),
        ("beat_earlier", {"nudge": -64}, {}, "The voice cannot be moved any earlier."),
        ("bar_earlier", {"nudge": -61}, {}, "The voice cannot be moved any earlier."),
        ("higher", {}, {"semitones": 6}, "The voice is as high as it gets."),
        ("lower", {}, {"semitones": -6}, "The voice is as low as it gets."),
        ("match", {}, {}, "The voice follows the key of the backing already."),
        ("swap", {}, {"backing": RAPPER}, "Both songs are the same."),
        ("take", {}, {"takes": 1}, "There is only one way in which these two fit."),
        ("take", {}, {"takes": 0}, "There is only one way in which these two fit."),
        (
            "bar_later",
            {},
            {"takes": 0},
            "Without beats in both songs, nothing can be moved by beats.",
        ),
        ("half", {}, {"takes": 0}, "Without beats in both songs, nothing can be counted in beats."),
    ],
)
def test_nothing_to_do_is_said_and_the_button_is_idle(
    action: str, before: dict[str, Any], facts: dict[str, Any], sentence: str
) -> None:
    at_its_end = mashup(Recipe(**before), **facts)
    with pytest.raises(NothingToDoError) as refused:
        press(action, at_its_end)
    assert str(refused.value) == sentence
    assert ACTIONS[action].is_idle(at_its_end)


def test_a_bar_has_the_beats_of_the_backing() -> None:
    assert press("bar_later", mashup(beats_per_bar=3)).recipe.nudge == 3


def _at_bounds() -> list[Mashup]:
    """Return mash-ups with one option at a bound, or at each of its choices."""
    found: list[Mashup] = []
    for option in OPTIONS:
        for value in option.choices or (option.minimum, option.maximum):
            changed: Any = {option.name: value}
            recipe = Recipe(**changed)
            pitch = {"match": (-3, 0, 3), "keep": (0,)}.get(recipe.key) or (int(recipe.key),)
            paces = ("same", "half", "double") if recipe.pace == "auto" else (recipe.pace,)
            for semitones, pace in product(pitch, paces):
                found.append(mashup(recipe, takes=8, semitones=semitones, pace=pace))
    return found


@pytest.mark.parametrize("action", ACTIONS)
def test_at_every_bound_a_press_gives_a_recipe_that_differs_or_says_why_not(action: str) -> None:
    busy = [before for before in _at_bounds() if not ACTIONS[action].is_idle(before)]
    assert busy
    for before in busy:
        change = press(action, before)
        assert change.recipe != before.recipe or change.swap or change.stems
        assert 1 <= len(change.words) <= 80


def test_the_names_and_rows_suit_discord() -> None:
    for name, action in ACTIONS.items():
        assert name == action.id
        assert re.fullmatch("[a-z_]{1,20}", name)
    rows = Counter(action.row for action in ACTIONS.values())
    assert set(rows) == set(range(len(rows)))
    assert len(rows) <= 5
    assert max(rows.values()) <= 5
    labels = {action.label_for(mashup()) for action in ACTIONS.values()}
    assert max(map(len, labels)) <= 12  # more is cut off on a phone


@pytest.mark.parametrize(
    ("denoise", "label"), [(0.0, "Clean"), (0.8, "Clean harder"), (1.0, "No cleaning")]
)
def test_the_cleaning_button_says_what_a_press_does(denoise: float, label: str) -> None:
    assert ACTIONS["clean"].label_for(mashup(Recipe(denoise=denoise))) == label


def _made(tmp_path: Any, recipe: Recipe, fits: tuple[Fit, ...], sings: str = "rapper") -> Mashup:
    other = {"rapper": "diva", "diva": "rapper"}[sings]
    result = works.result(tmp_path / "x.mp3", vocals_title=sings, backing_title=other)
    plan = replace(result.plan, takes=fits, vocals=replace(result.plan.vocals, semitones=-1.6))
    backing = replace(result.backing, grid=steady_grid(120.0, 20.0, beats_per_bar=3, pickup=2))
    result = replace(result, plan=plan, backing=backing, songs=(RAPPER, DIVA))
    return Mashup.of(result, recipe, owner=1, guild_id=2, made_at=3.0, id="0123456789ab")


def test_a_mashup_remembers_the_fit_that_was_taken(tmp_path: Any) -> None:
    fits = (Fit(pace="same", start=2, semitones=2), Fit(pace="half", start=8, semitones=-2))
    first, second = (_made(tmp_path, Recipe(take=take), fits) for take in (1, 2))
    assert (first.pace, first.semitones, first.takes, first.entry) == ("same", 2, 2, 1)
    assert (second.pace, second.semitones, second.takes, second.entry) == ("half", -2, 2, 3)
    free = _made(tmp_path, Recipe(), ())
    assert (free.pace, free.semitones, free.takes, free.entry) == ("same", -2, 0, 0)


@pytest.mark.parametrize(("sings", "order"), [("rapper", (RAPPER, DIVA)), ("diva", (DIVA, RAPPER))])
def test_a_mashup_remembers_who_sings(
    tmp_path: Any, sings: str, order: tuple[KnownSong, KnownSong]
) -> None:
    made = _made(tmp_path, Recipe(roles="auto"), (), sings)
    assert (made.vocals, made.backing) == order
    assert made.recipe == Recipe(roles="given")


def test_equal_titles_stay_in_the_order_given(tmp_path: Any) -> None:
    twin = replace(DIVA, title="rapper")
    result = works.result(tmp_path / "x.mp3", vocals_title="rapper", backing_title="rapper")
    assert not were_swapped(replace(result, songs=(RAPPER, twin)))
