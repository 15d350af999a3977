from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import discord
import pytest
import pytest_asyncio

from bot import views
from bot.client import VocalClient
from bot.ledger import now
from bot.orders import Mashup, new_id
from bot.remix import ACTIONS
from pipeline.errors import NotKeptError, RecipeError
from pipeline.names import title_of
from pipeline.recipe import Recipe
from pipeline.types import Fit, KnownSong
from tests.bot import works
from tests.songs import steady_grid

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.config import Config
    from bot.tasks import MergeTask
    from pipeline.types import MergeResult
    from tests.bot.conftest import Scene

RAPPER = KnownSong(audio="a" * 64, name="rapper.mp3", title="rapper")
DIVA = KnownSong(audio="b" * 64, name="diva.ogg", title="diva")
CALLBACK = "/interactions/*/callback"
ENDED = (
    "The buttons of this mash-up have ended: its pieces are no longer kept. "
    "Use /merge with the songs again."
)
BUSY = "This mash-up is being made anew already. Give it a moment."


def _known(song: Any, name: str) -> KnownSong:
    if isinstance(song, KnownSong):
        return song
    return KnownSong(audio=name, name=name, title=title_of(name))


def sing(task: MergeTask) -> MergeResult:
    """Stand in for a merge that the buttons can work on: four fits, one of them at half time."""
    songs = (_known(task.vocals, task.vocals_name), _known(task.backing, task.backing_name))
    out = task.out_dir / "mashup.mp3"
    out.write_bytes(f"{songs[0].title} over {songs[1].title}".encode())
    result = works.result(out, vocals_title=songs[0].title, backing_title=songs[1].title)
    recipe = task.recipe
    shift = 2 if recipe.key == "match" else 0 if recipe.key == "keep" else int(recipe.key)
    pace = "same" if recipe.pace == "auto" else recipe.pace
    starts = [4 * (recipe.entry or 3) - 4, 0, 16, 32]
    fits = tuple(Fit(pace=pace, start=start, semitones=shift) for start in starts)
    layers = {}
    for name in ("vocals", "backing") if task.stems else ():
        layers[name] = task.out_dir / f"{name}.mp3"
        layers[name].write_bytes(name.encode())
    return replace(
        result,
        plan=replace(result.plan, takes=fits),
        backing=replace(result.backing, grid=steady_grid(120.0, 60.0)),
        songs=songs,
        stems=layers,
    )


def fail_with(error: BaseException) -> Callable[[MergeTask], MergeResult]:
    def work(_task: MergeTask) -> MergeResult:
        raise error

    return work


def mashup(owner: int, recipe: Recipe | None = None, **facts: Any) -> Mashup:
    about: dict[str, Any] = {
        "id": new_id(),
        "owner": owner,
        "guild_id": None,
        "made_at": now(),
        "vocals": RAPPER,
        "backing": DIVA,
        "recipe": recipe or Recipe(),
        "takes": 4,
        "semitones": 2,
        "entry": 3,
    }
    return Mashup(**{**about, **facts})


class Stage:
    """A mash-up of Alice's in a channel, and hands that know how to change it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.mashup = mashup(scene.alice.id, guild_id=scene.guild.id)
        self.message: Any = None

    async def show(self, view: discord.ui.View | None = None) -> None:
        """Let the bot say something with the mash-up's buttons under it."""
        client = self.scene.client
        await client.ledger.keep_mashup(self.mashup)
        channel = client.get_partial_messageable(self.scene.channel.id)
        embed = discord.Embed(title="rapper x diva")
        self.message = await channel.send(embed=embed, view=view or views.remix_view(self.mashup))

    async def press(self, who: Any, action: str, message: Any = None) -> Any:
        """Let somebody press a button under a message, by its action."""
        shown = message or self.message
        [custom_id] = [
            button["custom_id"]
            for button in buttons(await self.look(shown))
            if button["custom_id"].startswith(f"remix:{action}:")
        ]
        return await who.click(shown, custom_id=custom_id)

    async def look(self, message: Any = None) -> discord.Message:
        """Return a message as it is now."""
        channel = self.scene.client.get_partial_messageable(self.scene.channel.id)
        return await channel.fetch_message((message or self.message).id)

    async def remembered(self) -> Mashup | None:
        return await self.scene.client.ledger.mashup(self.mashup.id)


def buttons(message: discord.Message) -> list[dict[str, Any]]:
    """Return all buttons of a message as Discord has them."""
    rows: list[Any] = [row.to_dict() for row in message.components]
    return [button for row in rows for button in row["components"]]


@pytest_asyncio.fixture
async def stage(scene: Scene) -> Stage:
    scene.hands.work = sing
    one = Stage(scene)
    await one.show()
    return one


def styles(view: discord.ui.View) -> dict[str, tuple[str, bool]]:
    """Return each button's style and whether it can be pressed, by its action."""
    rows: list[Any] = view.to_components()
    return {
        button["custom_id"].split(":")[1]: (
            discord.ButtonStyle(button["style"]).name,
            not button["disabled"],
        )
        for row in rows
        for button in row["components"]
    }


async def test_the_buttons_fit_under_a_message() -> None:
    view = views.remix_view(mashup(1))
    rows: list[Any] = view.to_components()
    assert [len(row["components"]) for row in rows] == [3, 4, 5, 4]
    ids = [button["custom_id"] for row in rows for button in row["components"]]
    assert len(set(ids)) == len(ids) == len(ACTIONS)
    assert max(map(len, ids)) <= 100
    # Nothing is to be kept in memory for each message.
    assert view.is_finished()
    assert views.progress_view(new_id()).is_finished()
    assert views.highlight_view(mashup(1)).is_finished()


async def test_a_button_is_lit_when_on_and_grey_when_there_is_nothing_to_do() -> None:
    plain = styles(views.remix_view(mashup(1)))
    assert plain["match"] == ("primary", False)
    assert {name for name, (style, _) in plain.items() if style == "primary"} == {"match"}
    assert all(can for name, (_, can) in plain.items() if name != "match")
    odd = mashup(1, Recipe(balance=12.0, arrange="highlight", key="6"), semitones=6, pace="half")
    shown = styles(views.remix_view(odd))
    assert shown["louder"] == shown["higher"] == ("secondary", False)
    assert shown["highlight"] == shown["half"] == ("primary", True)
    assert shown["quieter"] == shown["match"] == ("secondary", True)


WALK: list[tuple[str, dict[str, Any], str]] = [
    ("louder", {"balance": 3.0}, "voice 2 LU louder"),
    ("quieter", {"balance": 1.0}, "voice 2 LU quieter"),
    ("clean", {"denoise": 1.0}, "voice cleaned harder"),
    ("bar_later", {"nudge": 4}, "voice a bar later"),
    ("beat_later", {"nudge": 5}, "voice a beat later"),
    ("beat_earlier", {"nudge": 4}, "voice a beat earlier"),
    ("bar_earlier", {"nudge": 0}, "voice a bar earlier"),
    ("higher", {"key": "3", "pace": "same", "entry": 3}, "voice up a semitone, +3 in all"),
    ("lower", {"key": "2"}, "voice down a semitone, +2 in all"),
    ("match", {"key": "match"}, "voice in the backing's key"),
    ("half", {"pace": "half"}, "voice in half time"),
    ("double", {"pace": "double"}, "voice in double time"),
    ("take", {"take": 2}, "take 2 of 4"),
    ("highlight", {"arrange": "highlight"}, "the highlight of it"),
    ("swap", {"pace": "auto", "entry": 0, "take": 1}, "roles swapped"),
]


async def test_each_button_changes_the_mashup_in_its_place(stage: Stage) -> None:
    assert {name for name, _, _ in WALK} == set(ACTIONS) - {"stems"}
    expected = Recipe()
    for action, changed, words in WALK:
        expected = replace(expected, **changed)
        answer = await stage.press(stage.scene.alice, action)
        task = stage.scene.hands.tasks[-1]
        songs = (DIVA, RAPPER) if action == "swap" else (RAPPER, DIVA)
        assert (action, task.recipe) == (action, expected)
        assert (task.vocals, task.backing, task.stems) == (*songs, False)
        shown = await stage.look()
        assert (answer.response.id, answer.ephemeral) == (shown.id, False)
        assert await shown.attachments[0].read() == (
            f"{songs[0].title} over {songs[1].title}".encode()
        )
        assert words in str(shown.embeds[0].to_dict())
        now_known = await stage.remembered()
        assert now_known is not None
        assert (now_known.recipe, now_known.vocals) == (expected, songs[0])
        assert len(buttons(shown)) == len(ACTIONS)
    assert [body["type"] for body in stage.scene.sent("POST", CALLBACK)] == [6] * len(WALK)
    assert stage.scene.files() == []
    assert stage.scene.client.queue.jobs == ()


async def test_stems_come_as_an_answer_of_their_own(stage: Stage) -> None:
    answer = await stage.press(stage.scene.alice, "stems")
    assert answer.response.id != stage.message.id
    assert [await file.read() for file in answer.response.attachments] == [b"vocals", b"backing"]
    assert answer.response.components == []
    assert stage.scene.hands.tasks[-1].recipe == stage.mashup.recipe
    assert await stage.remembered() == stage.mashup
    assert len(buttons(await stage.look())) == len(ACTIONS)


async def test_a_real_merge_gets_buttons_that_work(scene: Scene) -> None:
    scene.hands.work = sing
    answer = await scene.merge(balance=2.0)
    [louder] = [b for b in buttons(answer.response.message) if b["label"] == "Louder"]
    changed: Any = await scene.alice.click(answer.response, custom_id=louder["custom_id"])
    assert changed.response.id == answer.response.id
    assert [task.recipe.balance for task in scene.hands.tasks] == [2.0, 4.0]
    # The file that was uploaded is not needed any more.
    assert isinstance(scene.hands.tasks[1].vocals, KnownSong)
    # However many answers there were, discord.py remembers none of them.
    assert scene.client._connection._view_store._views == {}


async def test_others_get_a_mashup_of_their_own(stage: Stage) -> None:
    alice, bob = stage.scene.alice, stage.scene.bob
    before = await stage.look()
    answer = await stage.press(bob, "louder")
    assert not answer.ephemeral
    assert answer.response.id != stage.message.id
    assert stage.scene.hands.tasks[-1].recipe.balance == 3.0
    after = await stage.look()
    assert (after.embeds, buttons(after)) == (before.embeds, buttons(before))
    assert await stage.remembered() == stage.mashup
    # It is Bob's: his next press changes it in its place, and Alice's leaves it alone.
    again = await stage.press(bob, "louder", answer.response)
    assert again.response.id == answer.response.id
    assert stage.scene.hands.tasks[-1].recipe.balance == 5.0
    hers = await stage.press(alice, "quieter", answer.response)
    assert hers.response.id not in {answer.response.id, stage.message.id}
    assert stage.scene.hands.tasks[-1].recipe.balance == 3.0


async def test_works_in_a_direct_message(scene: Scene) -> None:
    scene.hands.work = sing
    dora = scene.env.create_user("dora")
    answer: Any = await dora.slash("merge", vocals=("a.mp3", b"a"), backing=("b.mp3", b"b"))
    changed: Any = await dora.click(answer.response, label="Louder")
    assert changed.response.id == answer.response.id
    assert scene.hands.tasks[-1].recipe.balance == 3.0


def successor(scene: Scene, config: Config) -> VocalClient:
    """Return a bot for the same directory."""
    return VocalClient(config, workers=[scene.hands], edit_every_s=60.0)


async def test_buttons_outlive_a_restart(stage: Stage, config: Config) -> None:
    scene = stage.scene
    await scene.restart(successor(scene, config))
    answer = await stage.press(scene.alice, "louder")
    assert answer.response.id == stage.message.id
    assert scene.hands.tasks[-1].recipe.balance == 3.0


async def test_buttons_outlive_a_bot_that_was_killed(stage: Stage, config: Config) -> None:
    scene, killed = stage.scene, stage.scene.client
    assert killed._claim is not None
    killed._claim.close()  # the system does as much; nothing else of it is told or closed
    scene.client = successor(scene, config)
    await scene.env.restart_bot(scene.client)
    answer = await stage.press(scene.alice, "louder")
    assert answer.response.id == stage.message.id
    assert scene.hands.tasks[-1].recipe.balance == 3.0
    await killed.store.close()


async def test_buttons_end_when_nothing_is_known_any_more(stage: Stage) -> None:
    await stage.scene.client.ledger.drop_mashup(stage.mashup.id)
    answer = await stage.press(stage.scene.bob, "louder")
    assert [body["type"] for body in stage.scene.sent("POST", CALLBACK)] == [7]
    [followup] = answer.followups
    assert (followup.content, followup.ephemeral) == (ENDED, True)
    shown = await stage.look()
    assert buttons(shown) == []
    assert shown.embeds[0].title == "rapper x diva"
    assert stage.scene.hands.tasks == []


async def test_buttons_that_cannot_be_removed_end_all_the_same(stage: Stage) -> None:
    await stage.scene.client.ledger.drop_mashup(stage.mashup.id)
    stage.scene.env.inject_error("POST", CALLBACK, status=404, code=10008)
    answer = await stage.press(stage.scene.alice, "louder")
    assert (answer.response.content, answer.ephemeral) == (ENDED, True)


async def test_buttons_end_when_the_pieces_are_no_longer_kept(stage: Stage) -> None:
    gone = "The pieces of rapper.mp3 are no longer kept. Merge the two songs again."
    stage.scene.hands.work = fail_with(NotKeptError(gone))
    answer = await stage.press(stage.scene.alice, "louder")
    [followup] = answer.followups
    assert (followup.content, followup.ephemeral) == (gone, True)
    shown = await stage.look()
    assert buttons(shown) == []
    assert (shown.content, shown.embeds[0].title) == ("", "rapper x diva")
    assert await stage.remembered() is None


async def test_a_copy_of_what_is_no_longer_kept_ends_the_buttons_too(stage: Stage) -> None:
    gone = "The pieces of rapper.mp3 are no longer kept. Merge the two songs again."
    stage.scene.hands.work = fail_with(NotKeptError(gone))
    answer = await stage.press(stage.scene.bob, "louder")
    assert answer.response.content == gone
    assert answer.response.components == []
    assert buttons(await stage.look()) == []
    assert await stage.remembered() is None


async def test_a_change_that_fails_leaves_the_mashup_as_it_was(stage: Stage) -> None:
    stage.scene.hands.work = fail_with(RecipeError("There is no bar 99."))
    before = await stage.look()
    answer = await stage.press(stage.scene.alice, "bar_later")
    [followup] = answer.followups
    assert (followup.content, followup.ephemeral) == ("There is no bar 99.", True)
    after = await stage.look()
    assert (after.content, after.embeds) == ("", before.embeds)
    assert buttons(after) == buttons(before)
    assert await stage.remembered() == stage.mashup
    stage.scene.hands.work = sing
    await stage.press(stage.scene.alice, "bar_later")  # the failed one is not in its way
    assert (await stage.look()).attachments


async def test_a_fault_of_ours_is_told_by_its_code(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise ValueError("a secret")

    monkeypatch.setattr(stage.scene.client.desk, "remix", fail)
    answer = await stage.press(stage.scene.alice, "louder")
    assert answer.ephemeral
    [fault] = await stage.scene.client.ledger.faults(5)
    assert f"in the log under {fault.reference}." in answer.response.content
    monkeypatch.undo()
    await stage.press(stage.scene.alice, "louder")
    assert len(stage.scene.hands.tasks) == 1


async def test_an_admin_may_turn_remixes_off(stage: Stage) -> None:
    scene = stage.scene
    await scene.client.policies.set(scene.guild.id, "remix", "off")
    answer = await stage.press(scene.alice, "louder")
    assert answer.ephemeral
    assert answer.response.content == (
        "Remixes are turned off in this server. Use /merge with the songs again."
    )
    assert scene.hands.tasks == []


async def test_a_stale_button_says_that_there_is_nothing_to_do(stage: Stage) -> None:
    loud = replace(stage.mashup, recipe=Recipe(balance=12.0))
    await stage.scene.client.ledger.keep_mashup(loud)
    answer = await stage.press(stage.scene.alice, "louder")
    assert (answer.response.content, answer.ephemeral) == ("The voice is as loud as it gets.", True)


async def test_a_button_of_another_version_is_refused(stage: Stage) -> None:
    newer = discord.ui.View(timeout=None)
    newer.add_item(discord.ui.Button(label="?", custom_id=f"remix:vocoder:{stage.mashup.id}"))
    newer.stop()
    await stage.show(newer)
    answer = await stage.press(stage.scene.alice, "vocoder")
    assert answer.ephemeral
    assert answer.response.content == (
        "This button belongs to another version of the bot. Use /merge with the songs again."
    )


@pytest.mark.parametrize(("who", "action"), [("bob", "louder"), ("alice", "stems")])
async def test_a_second_press_waits_for_the_first(stage: Stage, who: str, action: str) -> None:
    scene = stage.scene
    presser = getattr(scene, who)
    scene.hands.gate.clear()
    first = await stage.press(presser, action)
    second = await stage.press(presser, action)
    assert (second.response.content, second.ephemeral) == (BUSY, True)
    other = await stage.press(scene.alice if who == "bob" else scene.bob, "louder")
    assert not other.ephemeral  # somebody else need not wait for that
    scene.hands.gate.set()
    await scene.env.settle()
    assert first.response.attachments
    third = await stage.press(presser, "stems")
    assert third.response.attachments
    assert len(scene.hands.tasks) == 3


async def test_the_offer_of_the_highlight_makes_it(stage: Stage) -> None:
    await stage.show(views.highlight_view(stage.mashup))
    answer: Any = await stage.scene.alice.click(stage.message, label="Make the highlight")
    assert answer.response.id == stage.message.id
    assert stage.scene.hands.tasks[-1].recipe.arrange == "highlight"
    assert len(buttons(await stage.look())) == len(ACTIONS)


async def begin(scene: Scene) -> Any:
    """Start a merge of Alice's that takes its time."""
    scene.hands.work = sing
    scene.hands.gate.clear()
    return await scene.merge()


async def test_the_owner_cancels(scene: Scene) -> None:
    answer = await begin(scene)
    [button] = buttons(answer.response.message)
    assert button["label"] == "Cancel"
    await scene.alice.click(answer.response, label="Cancel")
    assert answer.response.content == "This merge was cancelled."
    assert answer.response.components == []
    assert scene.client.queue.jobs == ()
    assert scene.files() == []


@pytest.mark.parametrize("right", ["manage_messages", "manage_guild", "administrator"])
async def test_a_moderator_cancels(scene: Scene, right: str) -> None:
    answer = await begin(scene)
    role = scene.guild.create_role("mods", permissions=discord.Permissions(**{right: True}))
    carol = scene.guild.add_member(scene.env.create_user("carol"), roles=[role])
    await carol.click(answer.response, label="Cancel")
    assert answer.response.content == "A moderator cancelled this merge."
    assert scene.client.queue.jobs == ()


async def test_nobody_else_cancels(scene: Scene) -> None:
    answer = await begin(scene)
    refused: Any = await scene.bob.click(answer.response, label="Cancel")
    assert refused.ephemeral
    assert refused.response.content == (
        "Only whoever started this merge, or a moderator, can cancel it."
    )
    scene.hands.gate.set()
    await scene.env.settle()
    assert answer.response.attachments


async def test_a_moderator_has_no_say_elsewhere(stage: Stage) -> None:
    scene = stage.scene
    scene.hands.gate.clear()
    dora = scene.env.create_user("dora")
    await dora.slash("merge", vocals=("a.mp3", b"a"), backing=("b.mp3", b"b"))
    [job] = scene.client.queue.jobs
    await stage.show(views.progress_view(job.id))
    role = scene.guild.create_role("mods", permissions=discord.Permissions(administrator=True))
    carol = scene.guild.add_member(scene.env.create_user("carol"), roles=[role])
    refused: Any = await carol.click(stage.message, label="Cancel")
    assert "can cancel it" in refused.response.content
    assert scene.client.queue.jobs == (job,)
    scene.hands.gate.set()


async def test_the_owner_cancels_in_a_direct_message(scene: Scene) -> None:
    scene.hands.gate.clear()
    dora = scene.env.create_user("dora")
    answer: Any = await dora.slash("merge", vocals=("a.mp3", b"a"), backing=("b.mp3", b"b"))
    await dora.click(answer.response, label="Cancel")
    assert answer.response.content == "This merge was cancelled."


async def test_what_has_ended_cannot_be_cancelled(stage: Stage) -> None:
    await stage.show(views.progress_view(new_id()))
    answer: Any = await stage.scene.alice.click(stage.message, label="Cancel")
    assert (answer.response.content, answer.ephemeral) == ("This merge has ended already.", True)


async def test_a_cancelled_change_leaves_the_mashup_as_it_was(stage: Stage) -> None:
    scene = stage.scene
    scene.hands.gate.clear()
    answer = await stage.press(scene.alice, "louder")
    assert [button["label"] for button in buttons(await stage.look())] == ["Cancel"]
    await scene.alice.click(stage.message, label="Cancel")
    [followup] = answer.followups
    assert (followup.content, followup.ephemeral) == ("This merge was cancelled.", True)
    shown = await stage.look()
    assert (shown.content, len(buttons(shown))) == ("", len(ACTIONS))
    assert await stage.remembered() == stage.mashup


async def test_a_merge_can_be_cancelled_after_a_restart(scene: Scene, config: Config) -> None:
    answer = await begin(scene)
    await scene.restart(successor(scene, config))
    assert len(scene.hands.tasks) == 2  # it goes on
    await scene.alice.click(answer.response, label="Cancel")
    assert answer.response.content == "This merge was cancelled."
    assert scene.client.queue.jobs == ()
