"""One whole /merge: composed songs, a spawned worker, the real pipeline, a file in the reply."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING

import pytest
import soundfile as sf

from bot.client import VocalClient
from bot.config import Config, read_config
from bot.workers import Worker
from composer import compose
from pipeline.codec import decode
from pipeline.types import SAMPLE_RATE
from tests.bot.conftest import Scene, check_requests, fetch_from

if TYPE_CHECKING:
    from collections import deque
    from pathlib import Path

    from simcord.env import Env

    from composer import Composition
    from pipeline.types import Progress

pytestmark = pytest.mark.slow

LENGTH_S = 9.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return read_config(
        {"DISCORD_TOKEN": "token", "DATA_DIR": str(tmp_path / "data"), "SEPARATOR": "builtin"}
    )


@pytest.fixture
def simcord_bot(config: Config, envs: deque[Env]) -> VocalClient:
    client = VocalClient(config, fetch=fetch_from(envs), edit_every_s=0.25)
    [worker] = client.workers
    assert isinstance(worker, Worker)
    worker._rehearsal = None  # the simulated Discord would wait for it
    return client


def as_wav(song: Composition) -> bytes:
    file = io.BytesIO()
    sf.write(file, song.mixture.T, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


async def watch(client: VocalClient, seen: list[Progress]) -> None:
    """Look at the worker's gauge as the bot does, but more often."""
    while True:
        progress = client.workers[0].progress
        if progress is not None and progress not in seen[-1:]:
            seen.append(progress)
        await asyncio.sleep(0.02)


@pytest.mark.simcord(settle_timeout=120.0)
async def test_two_songs_in_one_mash_up_out(
    simcord_env: Env, simcord_bot: VocalClient, envs: deque[Env], tmp_path: Path
) -> None:
    envs.append(simcord_env)
    scene = Scene(simcord_env, simcord_bot)
    rapper = compose(1, duration_s=LENGTH_S, bpm=120.0, intro_bars=1)
    diva = compose(2, duration_s=LENGTH_S, bpm=116.0, intro_bars=1)
    seen: list[Progress] = []
    watching = asyncio.create_task(watch(simcord_bot, seen))
    answer = await scene.alice.slash(
        scene.channel,
        "merge",
        vocals=("rapper.wav", as_wav(rapper)),
        backing=("diva.wav", as_wav(diva)),
    )
    watching.cancel()
    await simcord_bot.close()

    assert answer.response is not None
    file, picture = answer.response.attachments
    assert file.filename == "rapper x diva.mp3"
    assert (await picture.read()).startswith(b"\x89PNG")
    path = tmp_path / "heard.mp3"
    path.write_bytes(await file.read())
    heard = decode(path)
    assert heard.duration_s == pytest.approx(LENGTH_S, rel=0.25)
    assert abs(heard.samples).max() > 0.1
    [embed] = answer.response.embeds
    assert embed.title == "rapper x diva"
    assert str(embed.footer.text).endswith("taken apart by the built-in network")
    assert len(seen) > 3
    assert [progress.fraction for progress in seen] == sorted(p.fraction for p in seen)
    assert scene.files() == []
    check_requests(simcord_env)
