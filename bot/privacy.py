"""What is kept of people, where and how long, in their words: pure functions of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import discord

from bot.cards import COLOUR
from bot.config import DAY_S
from bot.ledger import MASHUPS_LIVE_S
from bot.picks import KEPT_S

if TYPE_CHECKING:
    from bot.config import Config
    from bot.erasure import Erasure, Traces
    from bot.policy import Policy

_KIB = 1024.0

POSTED = (
    "What I have posted in Discord, and what you uploaded there, stays: it is yours to delete, "
    "message by message."
)
"""What no bot can take back for somebody."""


_UNNAMED_PIECE = "piece of a song that no record names: in case it is yours"
_UNNAMED_PIECES = "pieces of songs that no record names: in case they are yours"


def size_words(count: float) -> str:
    """Return a number of bytes as people say it: "0 KiB", "340 MiB", "1.2 GiB"."""
    for unit in ("KiB", "MiB"):
        count /= _KIB
        if round(count) < _KIB:
            return f"{count:.0f} {unit}"
    return f"{count / _KIB:.1f} GiB"


def count_words(count: int, one: str, many: str = "") -> str:
    """Return a number of things: "1 song", "3 songs"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def privacy_embed(config: Config, policy: Policy, *, in_server: bool) -> discord.Embed:
    """Say what this bot keeps.

    Parameters
    ----------
    config
        The bot's own settings.
    policy
        What holds where this is asked.
    in_server
        Whether that is a server.
    """
    embed = discord.Embed(
        title="What I keep, where and how long",
        description=(
            "All of it lies on the machine that this bot runs on, and goes to nobody but Discord, "
            "which gets your mash-ups. I read no messages but those that you hand me."
        ),
        colour=COLOUR,
    )
    for name, text in _parts(config, policy, in_server=in_server).items():
        embed.add_field(name=name, value=text, inline=False)
    return embed


def _parts(config: Config, policy: Policy, *, in_server: bool) -> dict[str, str]:
    return {
        "While a merge is made": (
            "Your two songs, the mash-up, who asked and where the answer goes: until it is "
            "answered. A song that waits for a second one: "
            f"{KEPT_S / 60:.0f} minutes."
        ),
        "Library": _library(config, policy, in_server=in_server),
        "Pieces of songs": _pieces(config),
        "Buttons and limits": (
            "For the buttons under a mash-up: your id, the server, what the two songs are called "
            f"and how they were merged, for {MASHUPS_LIVE_S / DAY_S:.0f} days. For the limits: "
            "when you asked for a merge, for two hours at most."
        ),
        "What is not about you": (
            "What a server's admins set, how long merges took, and the last failures of this bot "
            "by their code, all without names."
        ),
        "Have it deleted": (
            f"/forget shows what there is of yours and deletes it in every server. {POSTED}"
        ),
    }


def _library(config: Config, policy: Policy, *, in_server: bool) -> str:
    if not in_server:
        return "Only servers have one: what you merge here goes into none."
    if not config.library_bytes or not policy.library:
        return "This server keeps none: what you merge here goes into none."
    return (
        "Songs that are merged in this server, with their names and the id of whoever brought "
        f"them: until {count_words(policy.library_days, 'day')} after they were last used, "
        f"{size_words(config.library_bytes)} at most, and for nobody outside this server. "
        "/library removes single ones."
    )


def _pieces(config: Config) -> str:
    if not config.cache_bytes:
        return "None are kept from one merge to the next."
    return (
        "Songs taken apart, and mash-ups, so that the next merge is quick: "
        f"until {count_words(round(config.cache_s / DAY_S), 'day')} after they were last used, "
        f"{size_words(config.cache_bytes)} at most. They are filed by their sound, not by who sent "
        "them. /forget deletes those of the songs in "
        "your records, and those of songs that are in nobody's."
    )


def forget_question(traces: Traces) -> str:
    """Say what would be deleted, and ask; or say that there is nothing."""
    if traces.are_none:
        return f"I keep nothing of yours: 0 files and 0 records, checked just now. {POSTED}"
    counts = (
        (traces.jobs, "merge in the works, which is cancelled", "merges in the works"),
        (traces.songs, "song in a server's library", "songs in servers' libraries"),
        (traces.picks, "song that waits for a second one", "songs that wait for a second one"),
        (traces.mashups, "mash-up with buttons", "mash-ups with buttons"),
        (traces.orders, "note of when you asked for a merge", "notes of when you asked for one"),
        (traces.pieces, "piece of your songs", "pieces of your songs, kept for quick merges"),
        (traces.unnamed, _UNNAMED_PIECE, _UNNAMED_PIECES),
    )
    lines = [f"• {count_words(*count)}" for count in counts if count[0]]
    ask = (
        "Shall I delete all of it? Nobody can bring it back, and other people's mash-ups with "
        f"these songs lose their buttons. {POSTED}"
    )
    return "\n".join((f"I keep {_total(traces)} of yours, all servers together:", *lines, ask))


def _total(traces: Traces) -> str:
    files = count_words(traces.on_disk, "file")
    return f"{files} and {count_words(traces.records, 'record')}"


def forget_answer(erasure: Erasure) -> str:
    """Say what was deleted, and what a second look found."""
    before, left = erasure.before, erasure.left
    nobodys = ""
    if before.unnamed:
        nobodys = f", and {count_words(before.unnamed, 'piece')} of songs that no record named"
    done = f"Deleted {_total(before)} of yours{nobodys}: {size_words(erasure.freed_bytes)}."
    if left.are_none:
        return f"{done}\n**{_total(left)} of yours are left, checked just now.** {POSTED}"
    maybe = f" and {count_words(left.unnamed, 'piece')} that may be" if left.unnamed else ""
    why = "Something could not be deleted"
    if left.jobs:
        why = "A merge of yours is still being ended"
    return (
        f"I looked again: **{_total(left)} of yours{maybe} are left.** {why}. Use /forget again "
        "in a minute; if that does not help, tell whoever runs this bot, whose log has more."
    )
