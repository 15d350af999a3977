"""``python -m tests.soak``: a bot of its own, a crowd, and whether anything has grown.

The bot is a process as people run it, on a Discord on the loopback; only what its worker does is
quicker than merging. A soak's hour has `PER_HOUR` interactions, one a second.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from tests.bot.loopback import running_discord
from tests.bot.processes import MARK, family, wait_until
from tests.soak.crowd import Crowd, the_server
from tests.soak.probes import has_work, sample
from tests.soak.slopes import slope_of

if TYPE_CHECKING:
    from tests.bot.loopback import Discord

ROOT = Path(__file__).resolve().parents[2]
PER_HOUR = 3600
ROUNDS, WARM_UP = 30, 12
"""How often the bot is left alone and measured, and how many of these times do not count."""
NOISE_PER_HOUR = {
    "memory_mb": 1.0,  # pages are touched for the first time, and more threads started, for hours
    "held_kb": 100.0,
    "objects": 1000.0,
    "blocks": 1000.0,
    "files": 10.0,
    "rows": 10.0,
    "threads": 1.0,  # Python's pool of them grows up to its end
    "connections": 5.0,  # they are kept for a while, for as many at once as there ever were
}
"""What may come and go: of all else, nothing may grow."""
FEWEST = 5
LONG_ENOUGH_S = 200.0


class UnansweredError(Exception):
    """The bot did not acknowledge something that somebody did."""


async def soak(folder: Path, *, seed: int, seconds: float) -> bool:
    """Run a soak, print what was measured, and return whether nothing has grown."""
    async with running_discord() as discord:
        discord.cdn_opens.set()
        bot = await _start(discord, folder)
        crowd = Crowd(discord, seed)
        samples: list[dict[str, float]] = []
        hours: list[float] = []
        count, began = 0, monotonic()
        try:
            await wait_until(lambda: discord.socket is not None)
            await _tell(discord, "GUILD_CREATE", the_server())
            for number in range(1, ROUNDS + 1):
                count += await _round(discord, crowd, began + seconds * number / ROUNDS)
                await wait_until(lambda: not has_work(folder))
                hours.append(count / PER_HOUR)
                samples.append(await sample(bot.pid, folder))
                _show(number, samples[-1])
        except UnansweredError:
            print((folder / "log").read_text(encoding="utf-8")[-3000:])
            raise
        finally:
            bot.terminate()
            await bot.wait()
    minutes = (monotonic() - began) / 60
    print(f"{count} interactions in {minutes:.1f} min: {hours[-1]:.2f} h of one a second")
    await wait_until(lambda: not family(folder))  # its workers end with it
    print(f"the bot ended with {bot.returncode}, and left no process")
    return judge(hours, samples, warm=seconds >= LONG_ENOUGH_S) and bot.returncode == 0


def judge(hours: list[float], samples: list[dict[str, float]], *, warm: bool = True) -> bool:
    """Print the slope of all that was measured, and return whether none is one of a leak.

    Parameters
    ----------
    hours
        When each sample was taken, in hours of the crowd.
    samples
        What was measured.
    warm
        Whether it was long enough for caches and pools to have filled; else only what has none
        counts.
    """
    fine = True
    for name in samples[0]:
        values = [one[name] for one in samples[WARM_UP:]]
        slope = slope_of(hours[WARM_UP:], values)
        noise = NOISE_PER_HOUR.get(name, 0.0)
        grows = slope.grows(noise) and (warm or not noise)
        fine = fine and not grows
        print(
            f"{'GROWS' if grows else 'flat':5} {name:10} {values[0]:10.1f} -> {values[-1]:10.1f}"
            f"   {slope.per_hour:+9.2f} an hour, 95 % sure of {slope.low:+.2f} to {slope.high:+.2f}"
        )
    return fine


async def _start(discord: Discord, folder: Path) -> asyncio.subprocess.Process:
    settings = {"LIBRARY_MB": "1", "QUEUE_LIMIT": "40", "LOG_LEVEL": "WARNING"}
    with (folder / "log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.soak.process", discord.url),
            cwd=folder,
            env={
                **os.environ,
                **settings,
                "PYTHONPATH": str(ROOT),
                "DISCORD_TOKEN": "token",
                MARK: str(folder),
            },
            stdout=log,
            stderr=log,
        )


async def _round(discord: Discord, crowd: Crowd, until: float) -> int:
    """Let people do something, each as soon as the one before was acknowledged; count it."""
    count = 0
    while count < FEWEST or monotonic() < until:
        count += 1
        event = crowd.next()
        await discord.send(event)
        path = f"/interactions/{event['id']}/{event['token']}/callback"
        try:
            await wait_until(lambda: any(at == path for _, at, _ in discord.requests))  # noqa: B023 - awaited here
        except TimeoutError:
            raise UnansweredError(f"nobody answered {event['data']}") from None
        for _, _, body in discord.requests:
            crowd.look_at(body)
        discord.requests.clear()
        discord.uploads.clear()
    return count


async def _tell(discord: Discord, name: str, what: dict[str, object]) -> None:
    assert discord.socket is not None
    discord.sent += 1
    await discord.socket.send_json({"op": 0, "s": discord.sent, "t": name, "d": what})


def _show(number: int, one: dict[str, float]) -> None:
    print(
        f"{number:3} " + "  ".join(f"{name} {value:.0f}" for name, value in one.items()), flush=True
    )


def main() -> int:
    """Run the command; 0 when nothing grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="20 seconds: what has caches does not count"
    )
    parser.add_argument("--seconds", type=float, default=300.0, help="300 unless told")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    seconds = 20.0 if given.quick else given.seconds
    print(f"seed {given.seed}", flush=True)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # what it refuses is on purpose
    with tempfile.TemporaryDirectory() as name:
        ok = asyncio.run(soak(Path(name), seed=given.seed, seconds=seconds))
    print("Nothing grows." if ok else "Something grows.")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
