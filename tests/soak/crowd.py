"""A crowd on one server: what each of them does next, as the events that Discord would send."""

from __future__ import annotations

import itertools
import random
import re
import time
from typing import TYPE_CHECKING, Any

from tests.bot import events
from tests.bot.loopback import A_MESSAGE, CHANNEL, a_user
from tests.soak import work

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bot.loopback import Discord

GUILD = "700"
PEOPLE = 40
SONG_BYTES = 20_000
_DISCORDS_FIRST_MS = 1_420_070_400_000
_MAY_ALL = str(2**47 - 1)
_SONG = re.compile(r"[0-9a-f]{64}")
_BUTTON, _LIST = 2, 3
_MOST_KEPT = 200
# What a voice begins with, and how many of a hundred do.
_VOICES = {b"": 78, work.LONG: 12, work.REFUSED: 6, work.BROKEN: 3, work.DEADLY: 1}


def the_server() -> dict[str, Any]:
    """Return what a bot is told of a server that it is a member of."""
    everyone = {"id": GUILD, "name": "@everyone", "permissions": _MAY_ALL, "position": 0}
    return {
        "id": GUILD,
        "name": "the crowd",
        "owner_id": "100",
        "roles": [everyone | {"color": 0, "hoist": False, "managed": False, "mentionable": False}],
        "channels": [{"id": CHANNEL, "type": 0, "name": "mash-ups", "position": 0}],
        "members": [],
        "emojis": [],
        "features": [],
        "member_count": PEOPLE,
    }


class Crowd:
    """Makes up events and remembers which buttons it has been shown.

    Parameters
    ----------
    discord
        The server that the bot is connected to.
    seed
        The same seed makes the same choices of the same buttons.
    """

    def __init__(self, discord: Discord, seed: int) -> None:
        self._discord = discord
        self._dice = random.Random(seed)
        self._numbers = itertools.count(1)
        self._shown: dict[str, list[dict[str, Any]]] = {}
        self._songs: list[str] = []
        self._deeds: dict[Callable[[], dict[str, Any]], int] = {
            self._merge: 30,
            self._merge_from_library: 8,
            self._press: 24,
            self._type: 8,
            self._pick: 7,
            self._form: 4,
            self._set: 4,
            self._command: 15,
        }

    def next(self) -> dict[str, Any]:
        """Return what somebody does now."""
        [deed] = self._dice.choices(list(self._deeds), list(self._deeds.values()))
        return deed()

    def look_at(self, said: Any) -> None:
        """Remember the buttons and lists, and the songs, of something that the bot has said."""
        if isinstance(said, list):
            for part in said:
                self.look_at(part)
        elif isinstance(said, dict):
            kind, _, rest = str(said.get("custom_id", "")).partition(":")
            if rest and said.get("type") in {_BUTTON, _LIST}:  # forms' questions have no colon
                self._shown.setdefault(kind, []).append(said)
                del self._shown[kind][:-_MOST_KEPT]
            if _SONG.fullmatch(str(said.get("value"))):
                self._songs.append(said["value"])
                del self._songs[:-_MOST_KEPT]
            for part in said.values():
                self.look_at(part)

    def _event(self, kind: int, data: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        moment = int(time.time() * 1000) - _DISCORDS_FIRST_MS
        person = a_user(str(100 + self._dice.randrange(PEOPLE)))
        event = events.in_a_server_without_the_bot(events._event(kind, data))
        return event | {
            "id": str((moment << 22) + number % 2**22),
            "token": f"token-{number}",
            "guild_id": GUILD,
            "guild": {"id": GUILD, "features": [], "locale": "en-US"},
            "member": event["member"] | {"user": person, "roles": []},
            "channel": event["channel"] | {"guild_id": GUILD},
            "authorizing_integration_owners": {"0": GUILD},
        }

    def _song(self, what: bytes = b"") -> tuple[str, bytes]:
        """Put a song on the CDN; half of them have been there before."""
        number = self._dice.choice((self._dice.randrange(20), next(self._numbers)))
        name = f"song {number} {what.decode().strip()}.mp3".replace(" ", "-")
        data = (what + b"%d " % number).ljust(SONG_BYTES, b"s")
        self._discord.songs[name] = data
        while len(self._discord.songs) > _MOST_KEPT:
            del self._discord.songs[next(iter(self._discord.songs))]
        return name, data

    def _voice(self) -> tuple[str, bytes]:
        [what] = self._dice.choices(list(_VOICES), list(_VOICES.values()))
        return self._song(what)

    def _merge(self) -> dict[str, Any]:
        data = events.command(self._discord.url, self._voice(), self._song())["data"]
        files = data["resolved"]["attachments"]
        match self._dice.randrange(20):
            case 0:
                files["11"]["filename"] = "holiday.png"
            case 1:
                files["12"]["size"] = 2**40
            case 2:
                files["12"]["url"] += ".gone"
            case 3:
                data["options"].append({"name": "balance", "type": 10, "value": 5})
        return self._event(2, data)

    def _merge_from_library(self) -> dict[str, Any]:
        options = [
            {"name": name, "type": 3, "value": self._dice.choice([*self._songs, "f" * 64])}
            for name in ("vocals_from", "backing_from")
        ]
        return self._event(2, {"id": "8", "name": "merge", "type": 1, "options": options})

    def _press(self) -> dict[str, Any]:
        """Use a button or a list of a message that was seen, or one that nobody knows any more."""
        unknown = {"type": _BUTTON, "custom_id": f"remix:louder:{'0' * 12}", "style": 2}
        kind = self._dice.choice([*self._shown, ""])
        item = self._dice.choice(self._shown.get(kind) or [unknown | {"label": "Louder"}])
        data = {"custom_id": item["custom_id"], "component_type": item["type"]}
        if item["type"] == _LIST:
            data["values"] = [self._dice.choice(item["options"])["value"]]
        message = A_MESSAGE | {"components": [{"type": 1, "components": [item]}]}
        return self._event(3, data) | {"message": message}

    def _type(self) -> dict[str, Any]:
        typed = {"name": "vocals_from", "type": 3, "value": "song", "focused": True}
        return self._event(4, {"id": "8", "name": "merge", "type": 1, "options": [typed]})

    def _pick(self) -> dict[str, Any]:
        name = self._dice.choice(("Use as vocals", "Use as backing"))
        return self._event(2, events.menu(self._discord.url, name, self._song())["data"])

    def _form(self) -> dict[str, Any]:
        chosen = {"arrange": "full", "key": "auto", "tempo": "auto"}
        files = {"vocals": self._voice(), "backing": self._song()}
        return self._event(5, events.form(self._discord.url, "mash", files, chosen)["data"])

    def _set(self) -> dict[str, Any]:
        given = self._dice.choice((("picture", "on"), ("picture", "maybe"), ("nothing", "on")))
        values = [
            {"name": name, "type": 3, "value": value}
            for name, value in zip(("name", "value"), given, strict=True)
        ]
        what = {"name": "set", "type": 1, "options": values}
        return self._event(2, {"id": "8", "name": "settings", "type": 1, "options": [what]})

    def _command(self) -> dict[str, Any]:
        names = ("queue", "cancel", "mash", "library", "surprise", "privacy", "health", "forget")
        name = self._dice.choice((*names, "settings"))
        panel = [{"name": self._dice.choice(("panel", "show", "export")), "type": 1, "options": []}]
        options = panel if name == "settings" else []
        return self._event(2, {"id": "8", "name": name, "type": 1, "options": options})
