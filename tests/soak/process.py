"""The bot as a process of its own: only Discord's addresses and the worker's work are the soak's.

Told by SIGUSR1, it writes down what only it can see of itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import signal
import sys
from pathlib import Path

import discord
import yarl

import bot.client
from bot.__main__ import main
from tests.soak.work import make_quick_work


class _Held(ctypes.Structure):
    """What glibc's mallinfo2 tells; its fields have these names."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def held() -> dict[str, int]:
    """Say how much memory is allocated and not freed, apart from Python's objects, in KiB.

    That is SQLite's, OpenSSL's and the like. Resident memory has it, what is free in between, and
    pages that were touched once. Nothing where the C library does not tell.
    """
    mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if mallinfo2 is None:
        return {}
    mallinfo2.restype = _Held
    info = mallinfo2()
    return {"held_kb": int(info.uordblks + info.hblkhd) // 1024}


def look(client: bot.client.VocalClient) -> dict[str, int]:
    """Count what the process holds once everything that is garbage has gone."""
    gc.collect()
    views = client._connection._view_store
    return {
        "tasks": len(asyncio.all_tasks()),
        "objects": len(gc.get_objects()),
        "blocks": sys.getallocatedblocks(),
        **held(),
        "jobs": len(client.queue.jobs),
        "views": len(views._views) + len(views._synced_message_views) + len(views._modals),
    }


class LookedAtClient(bot.client.VocalClient):
    async def setup_hook(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self._tell)
        await super().setup_hook()

    def _tell(self) -> None:
        part = Path("look.part")
        part.write_text(json.dumps(look(self)), encoding="ascii")
        part.rename("look.json")


if __name__ == "__main__":
    discord.http.Route.BASE = sys.argv[1] + "/api/v10"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(sys.argv[1].replace("http", "ws"))
    bot.client.make_merger = make_quick_work  # type: ignore[assignment,attr-defined]  # stands in for it
    bot.client.VocalClient = LookedAtClient  # type: ignore[misc]  # as above
    sys.exit(main())
