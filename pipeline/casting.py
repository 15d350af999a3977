"""Which song sings, and how the two are laid over each other. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from pipeline.errors import NoBackingError, NoVoiceError
from pipeline.form import arrange
from pipeline.names import clean_name
from pipeline.plan import make_plan, score_roles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipeline.features import BeatFeatures
    from pipeline.recipe import Recipe
    from pipeline.types import Plan, Role, SongFacts, Stems


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """One of the two songs, taken apart and listened to.

    Attributes
    ----------
    name
        What the user calls its file.
    audio
        Its fingerprint.
    stems
        Its two layers.
    facts
        What was found out about it.
    has_band
        Whether there is more in it than a voice.
    features
        What its layers do on each beat, for those roles that it may have; none where there are no
        beats to measure them on.
    """

    name: str
    audio: str
    stems: Stems
    facts: SongFacts
    has_band: bool
    features: Mapping[Role, BeatFeatures]

    def called(self, name: str, title: str) -> Source:
        """Return the same song under another name."""
        return replace(self, name=name, facts=replace(self.facts, title=title))


Cast: TypeAlias = "dict[Role, Source]"
"""The song that sings and the song that plays."""


def cast_songs(first: Source, second: Source, recipe: Recipe) -> tuple[Cast, tuple[str, ...]]:
    """Give each song its role, and say so if the roles are not as given.

    Parameters
    ----------
    first, second
        The songs as the user gave them: the first is to sing.
    recipe
        What the user asked for.

    Raises
    ------
    NoVoiceError, NoBackingError
        A song has nothing to give in its role; levelling would blow its residue up.
    """
    given: Cast = {"vocals": first, "backing": second}
    other: Cast = {"vocals": second, "backing": first}
    if recipe.roles == "auto" and _is_playable(other):
        swapped = f"The roles are swapped: {second.facts.title} sings"
        if not _is_playable(given):
            return other, (f"{swapped}, because it does not work the other way round.",)
        merits = [
            score_roles(cast["vocals"].facts, cast["backing"].facts, recipe, _features(cast))
            for cast in (given, other)
        ]
        if merits[1] > merits[0]:
            return other, (f"{swapped}, because that fits better.",)
    _refuse_unplayable(given)
    return given, ()


def plan_mashup(cast: Cast, recipe: Recipe) -> Plan:
    """Decide how the songs are brought together, and which of them is heard when.

    Raises
    ------
    RecipeError
        What the recipe asks for cannot be had of these songs.
    """
    voice, band = cast["vocals"].facts, cast["backing"].facts
    plan = make_plan(voice, band, recipe, _features(cast))
    return arrange(plan, recipe.arrange, voice, band)


def _refuse_unplayable(cast: Cast) -> None:
    if not cast["vocals"].facts.sung:
        raise NoVoiceError(
            f"No voice was found in {clean_name(cast['vocals'].name)}.",
            hint="Send a song in which somebody sings or raps.",
        )
    if not cast["backing"].has_band:
        raise NoBackingError(
            f"Nothing but a voice was found in {clean_name(cast['backing'].name)}.",
            hint="Send a song with instruments.",
        )


def _is_playable(cast: Cast) -> bool:
    return bool(cast["vocals"].facts.sung) and cast["backing"].has_band


def _features(cast: Cast) -> tuple[BeatFeatures, BeatFeatures] | None:
    voice = cast["vocals"].features.get("vocals")
    band = cast["backing"].features.get("backing")
    return None if voice is None or band is None else (voice, band)
