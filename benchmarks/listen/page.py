"""The page on which a listener votes: one file, nothing from elsewhere, no hint at the methods."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAGE = Path(__file__).with_name("page.html")

_PAIR = Template("""\
<section class="pair" data-pair="$number" aria-labelledby="pair-$number">
  <h2 id="pair-$number"><span class="count">Pair $number of $total</span>
    <span class="songs"><bdi>$vocals</bdi> <i>sung over</i> <bdi>$backing</bdi></span></h2>
  <div class="versions">
$players
  </div>
  <fieldset>
    <legend>Which one do you prefer?</legend>
    <div class="choices">
$choices
    </div>
  </fieldset>
  <label class="comment"><span>Why? <small>optional</small></span>
    <textarea name="comment-$number" rows="2" maxlength="500" autocomplete="off"
      aria-label="Why? Pair $number, optional"></textarea>
  </label>
</section>""")

_PLAYER = Template("""\
    <div class="version">
      <b aria-hidden="true">$letter</b>
      <audio controls preload="metadata" src="$file" aria-label="Pair $number, version $letter">
      </audio>
      <p class="broken" role="alert" hidden></p>
    </div>""")

_CHOICE = Template("""\
      <label><input type="radio" name="choice-$number" value="$value" autocomplete="off">
        <span>$words</span></label>""")

_CHOICES = {"a": "A", "none": "No preference", "b": "B"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the listener may know about a pair.

    Attributes
    ----------
    number
        From 1.
    vocals, backing
        Titles of the songs; may hold anything.
    files
        Names of versions A and B, beside the page.
    """

    number: int
    vocals: str
    backing: str
    files: tuple[str, ...]


def page(kit: str, pairs: Sequence[Shown]) -> str:
    """Write the page of a kit as HTML.

    Parameters
    ----------
    kit
        Its identifier, which comes back with the votes.
    pairs
        In the order in which they are heard.
    """
    sections = "\n".join(_section(pair, len(pairs)) for pair in pairs)
    template = Template(_PAGE.read_text(encoding="utf-8"))
    return template.substitute(kit=escape(kit), total=len(pairs), pairs=sections)


def _section(pair: Shown, total: int) -> str:
    players = "\n".join(
        _PLAYER.substitute(letter=letter, file=escape(file), number=pair.number)
        for letter, file in zip("AB", pair.files, strict=True)
    )
    choices = "\n".join(
        _CHOICE.substitute(number=pair.number, value=value, words=words)
        for value, words in _CHOICES.items()
    )
    return _PAIR.substitute(
        number=pair.number,
        total=total,
        vocals=escape(pair.vocals),
        backing=escape(pair.backing),
        players=players,
        choices=choices,
    )
