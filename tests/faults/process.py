"""The bot as a process of its own.

The fault test's are Discord's addresses, the worker's work, the disk, and how long is waited
between attempts.
"""

from __future__ import annotations

import functools
import importlib
import sys
from pathlib import Path

import discord
import yarl

import bot.client
from bot.__main__ import main
from bot.desk import MergeDesk
from tests.bot.faulty import Hurried
from tests.faults.disk import FULL, fill_files, fill_records
from tests.faults.work import make_brief_work

if __name__ == "__main__":
    discord.http.Route.BASE = sys.argv[1] + "/api/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sys.argv[1].replace("http", "ws"))
    for name in ("http", "client", "webhook.async_"):
        importlib.import_module(f"discord.{name}").asyncio = Hurried()  # type: ignore[attr-defined]
    patient = functools.partial(MergeDesk, pauses_s=(0.2,) * 1000)
    vars(bot.client).update(MergeDesk=patient, make_merger=make_brief_work)
    fill_files(Path.cwd() / FULL)
    fill_records()
    sys.exit(main())
