from __future__ import annotations

import asyncio
import functools
import io
import logging
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot import logs
from tests.bot.loopback import a_merge, a_press, running_discord
from tests.bot.processes import wait_until
from tests.bot.test_process import start_bot, steps_of_jobs
from tests.soak import work

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
TOKEN = "MTIzNDU2Nzg5MDEyMzQ1Njc4.GabcdE.aVerySecretSignatureOfTheBotsOwn12345"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("job 3f5e9a4bc0d1 goes on", "job 3f5e9a4bc0d1 goes on"),
        ("A1B2C3: a command failed", "A1B2C3: a command failed"),
        ("404, url=URL('https://cdn.test/1/2/my-song.mp3?ex=5')", "404, url=URL('<link>')"),
        ("see HTTP://x.test/y, or wss://z.test.", "see <link> or <link>"),
        (
            "POST /webhooks/17/aW50ZXI-x/messages/@original",
            "POST /webhooks/17/<token>/messages/@original",
        ),
        ("/interactions/17/aW50ZXI.x~y/callback", "/interactions/17/<token>/callback"),
        (f"Bot {TOKEN} and swordfish", "Bot <token> and <secret>"),
    ],
)
def test_links_and_tokens_are_left_out(text: str, left: str) -> None:
    assert logs.discreet(text, ["swordfish"]) == left


def test_nothing_is_left_out_where_there_is_no_secret() -> None:
    seen = io.StringIO()
    assert logs.DiscreetStream(seen, [""]).write("plain") == len("plain")
    assert seen.getvalue() == "plain"


@pytest.fixture
def levels() -> Iterator[None]:
    """Put the levels and handlers, and the stream, back that a test changes."""
    stream = sys.stderr
    loggers = [logging.getLogger(), *map(logging.getLogger, logs.OURS)]
    before = [(one, one.level, one.handlers[:]) for one in loggers]
    yield
    for one, level, handlers in before:
        one.setLevel(level)
        one.handlers[:] = handlers
    sys.stderr = stream


@pytest.mark.parametrize(
    ("level", "ours", "others"),
    [("DEBUG", "DEBUG", "INFO"), ("INFO", "INFO", "INFO"), ("ERROR", "ERROR", "ERROR")],
)
@pytest.mark.usefixtures("levels")
def test_libraries_say_nothing_below_info(level: str, ours: str, others: str) -> None:
    logging.getLogger().handlers.clear()  # pytest's own, or nothing would be set up
    logs.set_up(level)
    for name in ("bot.desk", "pipeline.merge"):
        assert logging.getLevelName(logging.getLogger(name).getEffectiveLevel()) == ours
    for name in ("discord.http", "aiosqlite", "httpx", "numba"):
        assert logging.getLevelName(logging.getLogger(name).getEffectiveLevel()) == others


DIES = """
import logging, sys
from bot import logs
logs.set_up("INFO", ["swordfish"])
logging.getLogger("bot.x").info("it begins at https://cdn.test/song.mp3")
print("aside: wss://z.test", file=sys.stderr)
raise ValueError("no answer from https://cdn.test/song.mp3 with swordfish")
"""


def test_what_a_dying_process_says_is_gone_over_too() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DIES], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert "INFO     bot.x: it begins at <link>" in ended.stderr
    assert "aside: <link>" in ended.stderr
    assert "Traceback" in ended.stderr
    assert ended.stderr.endswith("ValueError: no answer from <link> with <secret>\n")


def marked(event: dict[str, Any], number: int) -> dict[str, Any]:
    """Return an event whose token, and whose files' names, are found in any log."""
    event |= {"id": str(100 + number), "token": f"sesame-token-{number}"}
    for file in event["data"].get("resolved", {}).get("attachments", {}).values():
        file["filename"] = f"sesame-{file['filename']}"
        file["url"] = file["url"].replace("/cdn/", "/cdn/sesame-")
    return event


async def test_a_log_at_debug_has_no_token_name_or_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    monkeypatch.setattr("tests.bot.test_process.RUN", RUN)
    async with running_discord() as discord:
        discord.cdn_opens.set()
        discord.songs = {
            "sesame-voice.mp3": b"voice",
            "sesame-band.wav": b"band",
            "sesame-voice.mp3.broken": work.BROKEN,
        }
        gone, broken, image = (marked(a_merge(discord.url), number) for number in (1, 2, 3))
        gone["data"]["resolved"]["attachments"]["11"]["url"] += ".gone"
        broken["data"]["resolved"]["attachments"]["11"]["url"] += ".broken"
        image["data"]["resolved"]["attachments"]["11"]["filename"] = "sesame.png"
        discord.events = [marked(a_merge(discord.url), 0)]
        bot = await start_bot(discord, tmp_path)
        async with asyncio.timeout(30):
            await discord.delivered.wait()
            press = marked(a_press(discord.uploads[0].payload, "louder"), 4)
            for event in (gone, broken, image, press):
                await discord.send(event)
                await wait_until(functools.partial(is_answered, discord, event))
                await wait_until(lambda: steps_of_jobs(tmp_path) == [])
        bot.send_signal(signal.SIGTERM)
        output, log = await bot.communicate()
    assert bot.returncode == 0, log.decode()
    said = (output + log).decode()
    assert "refused: NoSongFileError" in said  # there is a log, and it is about this
    assert "attachment 11 was not handed over" in said
    assert "a command failed" in said
    assert "bot.probe: DEBUG is on" in said
    for secret in ("sesame", "http://", "swordfish", "Sesame"):
        assert secret not in said


def is_answered(discord: Any, event: dict[str, Any]) -> bool:
    return any(event["token"] in path for _, path, _ in discord.requests)


RUN = """
import logging, sys
import discord, yarl
discord.http.Route.BASE = sys.argv[1] + "/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sys.argv[1].replace("http", "ws"))
import bot.client
from bot.__main__ import main
from tests.soak.work import make_quick_work
bot.client.make_merger = make_quick_work
class Talkative(bot.client.VocalClient):
    async def setup_hook(self):
        logging.getLogger("bot.probe").debug("DEBUG is on")
        await super().setup_hook()
bot.client.VocalClient = Talkative
sys.exit(main())
"""
"""As people run it, but for the worker's work and one line at DEBUG."""
