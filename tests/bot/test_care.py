from __future__ import annotations

from typing import TYPE_CHECKING, Any

import discord
import pytest
import pytest_asyncio

from bot.care import owner_ids
from bot.client import VocalClient
from bot.erasure import Eraser, Traces
from bot.ledger import Fault
from bot.shelf import Shelf
from pipeline.errors import StageError
from pipeline.types import Stage
from tests.bot.belongings import leave_everything

if TYPE_CHECKING:
    from bot.config import Config
    from tests.bot.conftest import ObedientWorker, Scene

CALLBACK = "/interactions/*/callback"
LEFT = "**0 files and 0 records of yours are left, checked just now.**"


class Registry:
    """Says whose the application is, and counts who asks."""

    def __init__(self, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = 0
        self.owner = scene.alice.id
        self.team: list[tuple[int, int]] | None = None
        self._info: dict[str, Any] = {}
        self._scene = scene
        monkeypatch.setattr(scene.client, "application_info", self)

    async def __call__(self) -> discord.AppInfo:
        self.asked += 1
        data: Any = await self._scene.client.http.application_info()
        data["owner"] = _person(self.owner)
        if self.team is not None:
            members = [
                {"membership_state": state, "permissions": [], "role": "admin", "team_id": "5"}
                | {"user": _person(person)}
                for person, state in self.team
            ]
            data["team"] = {"id": "5", "icon": None, "name": "us", "owner_user_id": "1"}
            data["team"]["members"] = members
        return discord.AppInfo(self._scene.client._connection, data)


def _person(user_id: int) -> dict[str, Any]:
    return {"id": str(user_id), "username": "x", "discriminator": "0", "avatar": None}


@pytest.fixture
def registry(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Registry:
    return Registry(scene, monkeypatch)


async def ask(who: Any, name: str, *place: Any) -> Any:
    """Have somebody use a command, in a channel or to the bot alone."""
    return await who.slash(*place, name)


async def confirm(who: Any, asked: Any) -> Any:
    """Have somebody press the button under what /forget said to them."""
    return await who.click(asked.response, custom_id=f"forget:{who.id}")


def fields(answer: Any) -> dict[str, str]:
    [embed] = answer.response.embeds
    return {field.name: field.value for field in embed.fields}


async def test_commands_are_there_for_everybody_everywhere(scene: Scene) -> None:
    [payload] = scene.sent("PUT", "/applications/*/commands")
    mine = {command["name"]: command for command in payload}
    for name in ("health", "privacy", "forget"):
        assert mine[name]["contexts"] == [0, 1, 2]
        assert mine[name]["integration_types"] == [0, 1]
        assert not mine[name].get("options")


# --- /health ------------------------------------------------------------------------------------


async def test_health_is_for_the_owner(scene: Scene, registry: Registry) -> None:
    ledger = scene.client.ledger
    error = StageError(Stage.WARP, "of a reason")
    await ledger.note_fault(
        Fault(reference="AB12CD", at=1.8e9, kind="StageError", sentence=str(error))
    )
    await scene.client.estimates.record("merge", 41.0)
    answer = await ask(scene.alice, "health", scene.channel)
    assert answer.ephemeral
    [embed] = answer.response.embeds
    assert embed.title.startswith("vocal ")
    assert "in 1 server" in embed.description
    said = fields(answer)
    assert said["Queue"].startswith("0 running, 0 waiting; 0 of 100 places taken.")
    assert "merge 41 s" in said["Queue"]
    assert said["Spleeter's weights"] == "They are not here."
    assert "`AB12CD`" in said["Last failures"]
    assert "bring the songs to one tempo and key" in said["Last failures"]
    for answered in (embed.description, *said.values()):
        assert str(scene.client.config.data_dir) not in answered
        assert scene.client.config.token not in answered.split()


async def test_others_are_refused_and_discord_is_asked_once(
    scene: Scene, registry: Registry
) -> None:
    for _ in range(2):
        answer = await ask(scene.bob, "health", scene.channel)
        assert answer.ephemeral
        assert answer.response.content.startswith("Only whoever runs this bot can see")
        assert not answer.response.embeds
    assert (await ask(scene.alice, "health", scene.channel)).response.embeds
    assert registry.asked == 1
    assert len(scene.env.errors) == 2


async def test_health_answers_in_direct_messages(scene: Scene, registry: Registry) -> None:
    answer = await ask(scene.alice.user, "health")
    assert answer.response.embeds


async def test_a_team_is_its_members_who_accepted(scene: Scene, registry: Registry) -> None:
    assert owner_ids(await registry()) == {scene.alice.id}
    registry.team = [(scene.bob.id, 2), (77, 1)]
    assert owner_ids(await registry()) == {scene.bob.id}


# --- /privacy -----------------------------------------------------------------------------------


async def test_privacy_follows_the_servers_settings(scene: Scene) -> None:
    answer = await ask(scene.bob, "privacy", scene.channel)
    assert answer.ephemeral
    assert "until 30 days" in fields(answer)["Library"]
    await scene.client.policies.set(scene.guild.id, "library_days", "5")
    assert "until 5 days" in fields(await ask(scene.bob, "privacy", scene.channel))["Library"]
    await scene.client.policies.set(scene.guild.id, "library", "off")
    assert "keeps none" in fields(await ask(scene.bob, "privacy", scene.channel))["Library"]
    assert "Only servers" in fields(await ask(scene.bob.user, "privacy"))["Library"]


# --- /forget ------------------------------------------------------------------------------------


async def _look(scene: Scene, who: Any) -> Traces:
    return await Eraser(scene.client).look(who.id)


@pytest_asyncio.fixture
async def kept(scene: Scene) -> None:
    await leave_everything(scene.client, scene.alice.id, "Alice")
    await leave_everything(scene.client, scene.bob.id, "Bob")


async def test_who_left_nothing_is_asked_nothing(scene: Scene) -> None:
    answer = await ask(scene.alice, "forget", scene.channel)
    assert answer.ephemeral
    assert answer.response.content.startswith("I keep nothing of yours: 0 files and 0 records")
    assert not answer.response.components


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("private", [False, True])
async def test_forgetting_asks_first_and_proves_it(scene: Scene, *, private: bool) -> None:
    who, place = (scene.alice.user, ()) if private else (scene.alice, (scene.channel,))
    asked = await ask(who, "forget", *place)
    assert asked.ephemeral
    assert "I keep 8 files and 6 records of yours" in asked.response.content
    assert await _look(scene, scene.alice) != Traces()
    [row] = asked.response.components
    [button] = row["components"]
    assert button["style"] == discord.ButtonStyle.danger.value
    assert len(button["custom_id"]) <= 100
    done = await confirm(who, asked)
    said = done.response.content
    assert said.startswith("Deleted 8 files and 6 records of yours")
    assert LEFT in said
    assert not done.response.components
    assert await _look(scene, scene.alice) == Traces()
    assert (await _look(scene, scene.bob)).records == 6
    assert scene.sent("POST", CALLBACK)[-1]["data"]["components"] == []


@pytest.mark.usefixtures("kept")
async def test_merges_in_the_works_are_called_off(scene: Scene) -> None:
    scene.hands.gate.clear()
    merge = await scene.merge()
    asked = await ask(scene.alice, "forget", scene.channel)
    assert "• 2 merges in the works" in asked.response.content
    done = await confirm(scene.alice, asked)
    assert LEFT in done.response.content
    assert "This merge was cancelled." in merge.response.content
    assert scene.client.queue.jobs == ()


@pytest.mark.usefixtures("kept")
async def test_nobody_deletes_for_somebody_else(scene: Scene) -> None:
    asked = await ask(scene.alice, "forget", scene.channel)
    channel = scene.client.get_partial_messageable(scene.channel.id)
    stray = discord.ui.View()
    stray.add_item(discord.ui.Button(label="y", custom_id=f"forget:{scene.alice.id}"))
    message = await channel.send("as if it could be shared", view=stray)
    answer: Any = await scene.bob.click(message, custom_id=f"forget:{scene.alice.id}")
    assert answer.ephemeral
    assert answer.response.content.startswith("This button belongs to somebody else.")
    assert (await _look(scene, scene.alice)).records == 6
    assert asked.response.components


@pytest.mark.usefixtures("kept")
async def test_the_button_works_after_a_restart(
    scene: Scene, config: Config, hands: ObedientWorker
) -> None:
    asked = await ask(scene.alice, "forget", scene.channel)
    await scene.restart(VocalClient(config, workers=[hands]))
    done = await confirm(scene.alice, asked)
    assert LEFT in done.response.content
    assert await _look(scene, scene.alice) == Traces()


@pytest.mark.usefixtures("kept")
async def test_what_cannot_be_deleted_is_admitted(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await ask(scene.alice, "forget", scene.channel)
    monkeypatch.setattr(Shelf, "delete", lambda *_: None)
    done = await confirm(scene.alice, asked)
    assert "**2 files and 0 records of yours are left.**" in done.response.content
    assert "checked just now" not in done.response.content


@pytest.mark.usefixtures("kept")
async def test_who_cannot_be_told_is_forgotten_all_the_same(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    asked = await ask(scene.alice, "forget", scene.channel)
    scene.env.inject_error("PATCH", "/webhooks/*/messages/@original", status=404, code=10008)
    await confirm(scene.alice, asked)
    assert "could not be told" in caplog.text
    assert await _look(scene, scene.alice) == Traces()
