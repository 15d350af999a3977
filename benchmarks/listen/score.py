"""Joins votes with the key of their kit and counts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import scipy.stats

from benchmarks.listen.render import METHODS
from pipeline.errors import UserError
from pipeline.names import clean_name, clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

NO_PREFERENCE = "none"
_LONGEST_COMMENT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What one listener said about one pair.

    Attributes
    ----------
    pair
        Its number.
    choice
        The method that was preferred, `NO_PREFERENCE`, or None for a comment alone.
    comment
        What was written.
    """

    pair: int
    choice: str | None
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """All votes together.

    Attributes
    ----------
    wins
        Votes for each of `METHODS`.
    undecided
        Votes for neither.
    """

    wins: dict[str, int]
    undecided: int

    @property
    def decided(self) -> int:
        """Votes that preferred one."""
        return sum(self.wins.values())

    @property
    def share(self) -> float | None:
        """Share of the decided votes that the pipeline has; None where there are none."""
        return self.wins["pipeline"] / self.decided if self.decided else None

    @property
    def p_value(self) -> float | None:
        """Chance of a share at least as far from one half if the methods were equal.

        Two-sided exact binomial test over the decided votes, each taken to be independent.
        """
        if not self.decided:
            return None
        return float(scipy.stats.binomtest(self.wins["pipeline"], self.decided, 0.5).pvalue)


def read_votes(path: Path, key: Mapping[str, Any]) -> list[Vote]:
    """Read what the page saved and resolve it by the kit's key.

    Raises
    ------
    UserError
        The file cannot be read, belongs to another kit, or holds a vote that its page cannot give.
    """
    shown = clean_name(path.name)
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        kit, votes = saved["kit"], [(v["pair"], v["choice"], v["comment"]) for v in saved["votes"]]
    except OSError as error:
        raise UserError(
            f"{shown} cannot be read ({error.strerror}).",
            hint="Name the votes.json that was saved.",
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{shown} holds no votes.", hint="Save it anew with the button on the kit's page."
        ) from error
    if kit != key["kit"]:
        raise UserError(
            f"The votes in {shown} are for another kit.", hint="Name the folder they belong to."
        )
    resolved = [_resolve(vote, key, shown) for vote in votes]
    if len({vote.pair for vote in resolved}) < len(resolved):
        raise UserError(
            f"{shown} votes twice on one pair.", hint="Save it anew with the button on the page."
        )
    return resolved


def _resolve(vote: tuple[Any, Any, Any], key: Mapping[str, Any], shown: str) -> Vote:
    number, letter, comment = vote
    versions = next((p["versions"] for p in key["pairs"] if p["pair"] == number), None)
    choices = {NO_PREFERENCE: NO_PREFERENCE, None: None}
    if versions is not None:
        choices |= {name: version["method"] for name, version in versions.items()}
    if versions is None or not isinstance(letter, str | None) or letter not in choices:
        raise UserError(
            f"{shown} has a vote that this kit has no place for.",
            hint="Save it anew with the button on the kit's page.",
        )
    text = clean_text(str(comment), longest=_LONGEST_COMMENT)
    return Vote(pair=number, choice=choices[letter], comment=text)


def count(votes: Iterable[Vote]) -> Score:
    """Count votes; comments alone are none."""
    choices = Counter(vote.choice for vote in votes)
    return Score(
        wins={method: choices[method] for method in METHODS}, undecided=choices[NO_PREFERENCE]
    )


def score_lines(votes: list[Vote], key: Mapping[str, Any]) -> list[str]:
    """Tell the result pair by pair and altogether, in lines."""
    lines = []
    for pair in key["pairs"]:
        mine = [vote for vote in votes if vote.pair == pair["pair"]]
        score = count(mine)
        title = f"{pair['pair']:>3}  {pair['vocals']['title']} over {pair['backing']['title']}"
        a_is = pair["versions"]["a"]["method"]
        counts = ", ".join(f"{method} {wins}" for method, wins in score.wins.items())
        lines += [title, f"     {counts}, no preference {score.undecided} (A was the {a_is})"]
        lines += [f'     "{vote.comment}"' for vote in mine if vote.comment]
    return [*lines, "", *_total_lines(count(votes))]


def _total_lines(score: Score) -> list[str]:
    counts = [
        f"Preferred the pipeline: {score.wins['pipeline']}",
        f"Preferred the origin:   {score.wins['origin']}",
        f"No preference:          {score.undecided}",
    ]
    if score.share is None or score.p_value is None:
        return [*counts, "Nobody preferred either version, so there is nothing to test."]
    return [
        *counts,
        f"Share of the pipeline:  {score.share:.0%} of {score.decided} decided",
        f"Two-sided binomial test against one half: p = {score.p_value:.3g}",
    ]
