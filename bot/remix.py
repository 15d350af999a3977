"""What the buttons under a mash-up do: from a mash-up to the recipe of the next one. Pure.

The table is `ACTIONS`; `bot.views` makes buttons of it. An action that has nothing to do for a
mash-up says why, and its button is greyed out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.errors import UserError
from pipeline.recipe import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.orders import Mashup
    from pipeline.recipe import Option, Recipe

LOUDER_LU = 2.0
"""What one press on the voice's level adds, in LU; half of it is hardly heard."""

_OPTION: Mapping[str, Option] = {option.name: option for option in OPTIONS}
_HIGHEST = max(int(word) for word in _OPTION["key"].choices if word.lstrip("-").isdecimal())
_CLEANINGS = (0.0, 0.8, 1.0)
_CLEANED = {0.0: "voice as it was taken out", 0.8: "voice cleaned", 1.0: "voice cleaned harder"}


class NothingToDoError(UserError):
    """The button has no meaning for this mash-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of a mash-up.

    Attributes
    ----------
    recipe
        How the songs are merged now.
    words
        What was done, as the card says it: "voice 2 LU louder".
    swap
        Whether the two songs change places.
    stems
        Whether the two layers are wanted as files.
    """

    recipe: Recipe
    words: str
    swap: bool = False
    stems: bool = False


def _never(_mashup: Mashup) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Action:
    """One button.

    Attributes
    ----------
    id
        Its part of the `custom_id`: lower-case letters and underscores.
    row
        Its row below the mash-up: voice, when, key and tempo, shape.
    emoji
        The picture before its label.
    label
        What it is called, or what to call it under a mash-up; short, since phones are narrow.
    change
        What it makes of a mash-up; raises `NothingToDoError` where that is nothing.
    is_on
        Whether the mash-up already is as the button says.
    """

    id: str
    row: int
    emoji: str
    label: str | Callable[[Mashup], str]
    change: Callable[[Mashup], Change]
    is_on: Callable[[Mashup], bool] = _never

    def label_for(self, mashup: Mashup) -> str:
        """Return what the button is called under a mash-up."""
        return self.label if isinstance(self.label, str) else self.label(mashup)

    def is_idle(self, mashup: Mashup) -> bool:
        """Return whether there is nothing to do, so that the button is disabled."""
        try:
            self.change(mashup)
        except NothingToDoError:
            return True
        return False


def _balance(step_lu: float) -> Callable[[Mashup], Change]:
    """Set the voice louder or quieter, as far as there is room."""
    option = _OPTION["balance"]
    assert option.minimum is not None
    assert option.maximum is not None
    low, high = option.minimum, option.maximum
    word = "louder" if step_lu > 0 else "quieter"
    loud = "loud" if step_lu > 0 else "quiet"

    def change(mashup: Mashup) -> Change:
        before = mashup.recipe.balance
        now = round(min(high, max(low, before + step_lu)), 2)
        if now == before:
            raise NothingToDoError(f"The voice is as {loud} as it gets.")
        return Change(
            recipe=replace(mashup.recipe, balance=now),
            words=f"voice {abs(now - before):.3g} LU {word}",
        )

    return change


def _nudge(direction: int, *, bar: bool) -> Callable[[Mashup], Change]:
    """Move the voice by a beat or a bar of the backing."""
    option = _OPTION["nudge"]
    assert option.minimum is not None
    assert option.maximum is not None
    low, high = option.minimum, option.maximum
    word = "later" if direction > 0 else "earlier"

    def change(mashup: Mashup) -> Change:
        _refuse_without_beats(mashup, "moved by beats")
        now = mashup.recipe.nudge + direction * (mashup.beats_per_bar if bar else 1)
        if not low <= now <= high:
            raise NothingToDoError(f"The voice cannot be moved any {word}.")
        return Change(
            recipe=replace(mashup.recipe, nudge=now),
            words=f"voice a {'bar' if bar else 'beat'} {word}",
        )

    return change


def _pace(pace: str) -> Callable[[Mashup], Change]:
    """Count the voice's beats half or double, and back."""

    def change(mashup: Mashup) -> Change:
        _refuse_without_beats(mashup, "counted in beats")
        on = mashup.pace == pace
        words = "voice in its own time again" if on else f"voice in {pace} time"
        return Change(recipe=_held(mashup, pace="same" if on else pace), words=words)

    return change


def _has_pace(pace: str) -> Callable[[Mashup], bool]:
    return lambda mashup: mashup.pace == pace


def _shift(semitones: int) -> Callable[[Mashup], Change]:
    """Move the voice by semitones from where it is."""
    word, end = ("up", "high") if semitones > 0 else ("down", "low")

    def change(mashup: Mashup) -> Change:
        now = mashup.semitones + semitones
        if abs(now) > _HIGHEST:
            raise NothingToDoError(f"The voice is as {end} as it gets.")
        recipe = _held(mashup, key=str(now) if now else "keep")
        place = f"{now:+d} in all" if now else "back at its own pitch"
        return Change(recipe=recipe, words=f"voice {word} a semitone, {place}")

    return change


def _match_key(mashup: Mashup) -> Change:
    if _is_matched(mashup):
        raise NothingToDoError("The voice follows the key of the backing already.")
    return Change(recipe=_held(mashup, key="match"), words="voice in the backing's key")


def _is_matched(mashup: Mashup) -> bool:
    return mashup.recipe.key == "match"


def _swap(mashup: Mashup) -> Change:
    """Let the other song sing; what was set for the one voice does not suit the other."""
    if mashup.vocals.audio == mashup.backing.audio:
        raise NothingToDoError("Both songs are the same.")
    recipe = replace(mashup.recipe, roles="given", entry=0, nudge=0, take=1)
    if recipe.key not in {"match", "keep"}:
        recipe = replace(recipe, key="match")
    if recipe.pace in {"half", "double"}:
        recipe = replace(recipe, pace="auto")
    return Change(recipe=recipe, swap=True, words="roles swapped")


def _another_take(mashup: Mashup) -> Change:
    if mashup.takes <= 1:
        raise NothingToDoError("There is only one way in which these two fit.")
    now = mashup.recipe.take % mashup.takes + 1
    return Change(recipe=replace(mashup.recipe, take=now), words=f"take {now} of {mashup.takes}")


def _highlight(mashup: Mashup) -> Change:
    on = _is_highlight(mashup)
    recipe = replace(mashup.recipe, arrange="full" if on else "highlight")
    return Change(recipe=recipe, words="the whole of it" if on else "the highlight of it")


def _is_highlight(mashup: Mashup) -> bool:
    return mashup.recipe.arrange == "highlight"


def _cleaning(mashup: Mashup) -> Change:
    now = _next_cleaning(mashup)
    return Change(recipe=replace(mashup.recipe, denoise=now), words=_CLEANED[now])


def _next_cleaning(mashup: Mashup) -> float:
    """Return the next stronger cleaning, and none after the strongest."""
    stronger = [amount for amount in _CLEANINGS if amount > mashup.recipe.denoise]
    return stronger[0] if stronger else _CLEANINGS[0]


def _cleaning_label(mashup: Mashup) -> str:
    return {0.0: "No cleaning", 0.8: "Clean", 1.0: "Clean harder"}[_next_cleaning(mashup)]


def _stems(mashup: Mashup) -> Change:
    return Change(recipe=mashup.recipe, stems=True, words="with its two layers as files")


def _refuse_without_beats(mashup: Mashup, what: str) -> None:
    if not mashup.takes:
        raise NothingToDoError(f"Without beats in both songs, nothing can be {what}.")


def _held(mashup: Mashup, *, key: str | None = None, pace: str | None = None) -> Recipe:
    """Return the recipe with another pitch or pace, and the voice on the bar where it is.

    By itself the fit would look for the best bar anew, and the voice would jump.
    """
    return replace(
        mashup.recipe,
        key=mashup.recipe.key if key is None else key,
        pace=mashup.pace if pace is None else pace,
        entry=mashup.entry,
        take=1,
    )


ACTIONS: Mapping[str, Action] = {
    action.id: action
    for action in (
        Action("quieter", 0, "🔉", "Quieter", _balance(-LOUDER_LU)),
        Action("louder", 0, "🔊", "Louder", _balance(LOUDER_LU)),
        Action("clean", 0, "🧽", _cleaning_label, _cleaning),
        Action("bar_earlier", 1, "⏪", "Bar", _nudge(-1, bar=True)),
        Action("beat_earlier", 1, "◀️", "Beat", _nudge(-1, bar=False)),
        Action("beat_later", 1, "▶️", "Beat", _nudge(1, bar=False)),
        Action("bar_later", 1, "⏩", "Bar", _nudge(1, bar=True)),
        Action("lower", 2, "⬇️", "Lower", _shift(-1)),
        Action("higher", 2, "⬆️", "Higher", _shift(1)),
        Action("match", 2, "🎹", "Match key", _match_key, _is_matched),
        Action("half", 2, "🐢", "Half time", _pace("half"), _has_pace("half")),
        Action("double", 2, "🐇", "Double time", _pace("double"), _has_pace("double")),
        Action("swap", 3, "🔀", "Swap", _swap),
        Action("take", 3, "🎲", "Another take", _another_take),
        Action("highlight", 3, "✨", "Highlight", _highlight, _is_highlight),
        Action("stems", 3, "📂", "Stems", _stems),
    )
}
"""Every button under a mash-up by its id, in the order in which they stand."""
