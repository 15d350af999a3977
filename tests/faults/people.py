"""The people of the fault test: each wants one mash-up, and presses until somebody listens."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from discord.utils import time_snowflake

from tests.bot import events
from tests.bot.faulty import direct
from tests.bot.loopback import a_user
from tests.faults.work import SPEECHLESS

if TYPE_CHECKING:
    from tests.bot.faulty import FaultyDiscord

ACKNOWLEDGED_S = 3.0
"""How long Discord waits for an answer to a press."""

SONG_BYTES = 20_000
_FIRST, _FIRST_CHANNEL = 1_000, 5_000_000
_SPEECHLESS_EVERY = 17


@dataclass
class Person:
    """Somebody with two songs.

    Attributes
    ----------
    number
        Who.
    presses
        The tokens of all presses, one after the other.
    """

    number: int
    presses: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The user's id."""
        return str(_FIRST + self.number)

    @property
    def channel(self) -> str:
        """The channel that the press is made in."""
        return str(_FIRST_CHANNEL + self.number)

    @property
    def song(self) -> str:
        """What the file of the mash-up is called."""
        return f"voice {self.number} x band {self.number}.mp3"

    def songs(self) -> dict[str, bytes]:
        """Return both songs by their names."""
        voice = SPEECHLESS if self.number % _SPEECHLESS_EVERY == 1 else b"voice"
        return {
            f"voice {self.number}.mp3": voice.ljust(SONG_BYTES, b"v"),
            f"band {self.number}.mp3": b"band".ljust(SONG_BYTES, b"b"),
        }

    async def press_until_heard(self, discord: FaultyDiscord) -> None:
        """Press, and again when Discord says that the bot did not respond."""
        discord.songs |= self.songs()
        while True:
            token = await self._press(discord)
            heard = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ACKNOWLEDGED_S):
                    while not heard:
                        heard = discord.reply_to(token) is not None
                        await asyncio.sleep(0.02)
            discord.late.add(token)
            if heard:
                return

    async def _press(self, discord: FaultyDiscord) -> str:
        while discord.socket is None or discord.socket.closed:  # noqa: ASYNC110 - it is a process
            await asyncio.sleep(0.05)
        token = f"token-{self.number}-{len(self.presses)}"
        self.presses.append(token)
        discord.channels[token] = self.channel
        await discord.send(self._event(discord.url, token))
        return token

    def _event(self, url: str, token: str) -> dict[str, Any]:
        vocals, backing = self.songs().items()
        event = events.in_a_direct_message(events.command(url, vocals, backing))
        snowflake = time_snowflake(datetime.now(UTC)) + self.number * 100 + len(self.presses)
        channel = event["channel"] | {"id": self.channel, "recipients": [a_user(self.id)]}
        return event | {
            "id": str(snowflake),
            "token": token,
            "channel_id": self.channel,
            "channel": channel,
            "user": a_user(self.id),
        }

    def complaint(self, discord: FaultyDiscord) -> str:
        """Say what is wrong with what this person was told, or nothing."""
        mine = {self.channel, direct(self.id)}
        messages = [message for message in discord.shown.values() if message.channel in mine]
        answers = [message for message in messages if message.answer]
        heard = [message for message in messages if message.token]
        least, most = len(heard), len(self.presses)
        if not least <= len(answers) <= most:
            told = [message.answer for message in answers]
            return f"{self.number} pressed {most} times, was heard {least} times and told {told}."
        changed = [message.told for message in messages if len(message.told) > 1]
        if changed:
            return f"{self.number} was told one thing, then another: {changed}."
        wrong = [one.files for one in answers if one.files not in ([], [self.song])]
        return f"{self.number} got somebody else's songs: {wrong}." if wrong else ""

    def has_all(self, discord: FaultyDiscord) -> bool:
        """Return whether all presses that were heard have an answer."""
        mine = {self.channel, direct(self.id)}
        messages = [message for message in discord.shown.values() if message.channel in mine]
        heard = sum(bool(message.token) for message in messages)
        return 0 < heard <= sum(bool(message.answer) for message in messages)
