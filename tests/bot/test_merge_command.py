from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import discord
import pytest

from bot.workers import WorkerDiedError
from pipeline.errors import NoVoiceError, StageError
from pipeline.recipe import Recipe
from pipeline.types import Progress, Stage

if TYPE_CHECKING:
    from bot.tasks import MergeTask
    from tests.bot.conftest import Scene

CALLBACK = "/interactions/*/callback"
ORIGINAL = "/webhooks/*/messages/*"
MESSAGES = "/channels/*/messages"
MIB = 1024 * 1024


def fail_with(error: BaseException) -> Any:
    def work(_task: MergeTask) -> Any:
        raise error

    return work


async def test_a_merge_ends_with_a_card_and_a_file(scene: Scene) -> None:
    answer = await scene.merge(balance=2.5, key="-2")
    [acknowledged] = scene.sent("POST", CALLBACK)
    assert acknowledged["type"] == 5
    assert not answer.ephemeral
    assert answer.response.content == ""
    [file] = answer.response.attachments
    assert file.filename == "rapper x diva.mp3"
    assert await file.read() == b"voiceband"
    [embed] = answer.response.embeds
    assert "down 2 semitones" in embed.description
    [task] = scene.hands.tasks
    assert (task.recipe.balance, task.recipe.key, task.recipe.tempo) == (2.5, "-2", "auto")
    assert (task.vocals.name, task.backing.name) == ("vocals.mp3", "backing.ogg")
    assert scene.hands.seen == [(b"voice", b"band")]
    assert 24 * MIB < task.max_bytes < 25 * MIB  # the simulated server's limit is 25 MiB
    assert scene.files() == []
    assert scene.client.queue.jobs == ()


async def test_acknowledges_before_the_first_byte_is_fetched(scene: Scene) -> None:
    acknowledged: list[int] = []
    fetch = scene.client.desk.fetch

    async def watched(url: str) -> Any:
        acknowledged.append(len(scene.sent("POST", CALLBACK)))
        async for piece in fetch(url):
            yield piece

    scene.client.desk.fetch = watched
    await scene.merge()
    assert acknowledged == [1, 1]


async def test_one_song_may_be_both(scene: Scene) -> None:
    song = ("self.wav", b"song")
    answer = await scene.merge(vocals=song, backing=song)
    assert scene.hands.seen == [(b"song", b"song")]
    assert answer.response.attachments[0].filename == "self x self.mp3"


async def test_hostile_names_stay_names(scene: Scene) -> None:
    answer = await scene.merge(
        vocals=("../../etc/**@everyone**.mp3;rm -rf", b"a"), backing=("\u202egnp.q1w", b"b")
    )
    [task] = scene.hands.tasks
    assert (task.vocals.name, task.backing.name) == ("vocals", "backing.q1w")
    assert isinstance(task.vocals, Path)
    assert task.vocals.parent.parent == scene.jobs_dir
    title = answer.response.embeds[0].title
    assert "@everyone" not in title
    assert "**" not in title
    assert "/" not in answer.response.attachments[0].filename


async def test_progress_is_shown_when_it_changes(scene: Scene) -> None:
    scene.hands.gate.clear()
    answer = await scene.merge()
    assert answer.response.content == "Getting your songs…"
    await scene.env.advance_time(60)
    assert "Getting ready" in answer.response.content
    edits = len(scene.sent("PATCH", ORIGINAL))
    await scene.env.advance_time(120)
    assert len(scene.sent("PATCH", ORIGINAL)) == edits
    scene.hands.progress = Progress(stage=Stage.SEPARATE, fraction=0.5)
    await scene.env.advance_time(60)
    shown = answer.response.content
    assert "Separating voices and accompaniment" in shown
    assert "████████░░░░░░░░` 50 %" in shown
    scene.hands.gate.set()
    await scene.env.settle()
    assert answer.response.content == ""
    assert len(answer.response.attachments) == 1


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"backing": ("long.wav", bytes(101 * MIB))}, "long.wav is larger than the 100 MiB"),
        ({"vocals": ("void.mp3", b"")}, "void.mp3 is empty. Attach the song itself."),
    ],
)
async def test_unfit_files_are_refused_at_once(
    scene: Scene, files: dict[str, Any], sentence: str
) -> None:
    answer = await scene.merge(**files)
    assert answer.ephemeral
    assert sentence in answer.response.content
    assert scene.hands.tasks == []
    assert [callback["type"] for callback in scene.sent("POST", CALLBACK)] == [4]
    assert len(scene.env.errors) == 1


async def test_a_bad_recipe_is_refused_at_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Discord lets nobody send such a value; only a stale client could.
    monkeypatch.setattr("bot.desk.Recipe", lambda **_: Recipe(nudge=65))
    answer = await scene.merge()
    assert answer.ephemeral
    assert answer.response.content == (
        "nudge cannot be 65. It takes a whole number from -64 to 64 beats."
    )
    assert len(scene.env.errors) == 1


async def test_works_in_a_direct_message(scene: Scene) -> None:
    dora = scene.env.create_user("dora")
    songs = {"vocals": ("a.mp3", b"a"), "backing": ("b.mp3", b"b")}
    answer = await dora.slash("merge", **songs)
    assert len(answer.response.attachments) == 1


async def test_limits_are_refused_at_once(scene: Scene) -> None:
    scene.hands.gate.clear()
    for _ in range(2):
        await scene.merge()
    third = await scene.merge()
    assert third.ephemeral
    assert third.response.content == (
        "You already have 2 merges in the works. Wait for one to end, or use /cancel."
    )
    others = await scene.merge(scene.bob)
    assert not others.ephemeral
    scene.hands.gate.set()
    await scene.env.settle()
    assert len(others.response.attachments) == 1
    assert len(scene.hands.tasks) == 3
    assert len(scene.env.errors) == 1


@pytest.mark.parametrize(
    ("kept_away", "missing"),
    [("attach_files", "Attach Files"), ("embed_links", "Embed Links")],
)
async def test_missing_permissions_are_named(scene: Scene, kept_away: str, missing: str) -> None:
    channel = scene.guild.create_text_channel(
        "strict",
        overwrites={scene.guild.default_role: discord.PermissionOverwrite(**{kept_away: False})},
    )
    songs = {"vocals": ("a.mp3", b"a"), "backing": ("b.mp3", b"b")}
    answer = await scene.alice.slash(channel, "merge", **songs)
    assert answer.ephemeral
    assert answer.response is not None
    assert f"permission {missing}." in answer.response.content
    assert len(scene.env.errors) == 1


async def test_what_the_user_can_mend_is_said_as_it_is(scene: Scene) -> None:
    scene.hands.work = fail_with(NoVoiceError("rapper.mp3 has no voice.", hint="Try another."))
    answer = await scene.merge()
    assert answer.response.content == "rapper.mp3 has no voice. Try another."
    assert scene.files() == []


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (StageError(Stage.WARP, "secret"), "while we tried to bring the songs to one tempo"),
        (WorkerDiedError(-11), "The process that worked on your songs died."),
        (ZeroDivisionError("secret"), "Something went wrong on our side."),
    ],
)
async def test_our_faults_get_a_code_that_the_log_knows(
    scene: Scene, caplog: pytest.LogCaptureFixture, error: Exception, sentence: str
) -> None:
    scene.hands.work = fail_with(error)
    answer = await scene.merge()
    said = answer.response.content
    assert sentence in said
    assert "secret" not in said
    code = re.search(r"under ([0-9A-F]{6})\.", said)
    assert code is not None
    [record] = [r for r in caplog.records if code[1] in r.getMessage()]
    assert record.exc_info is not None
    assert record.exc_info[1] is error


async def test_an_attachment_that_is_not_handed_over(scene: Scene) -> None:
    scene.client.desk.fetch = breaks_off
    answer = await scene.merge()
    assert answer.response.content == (
        "Discord did not hand rapper.mp3 over. Please attach it again."
    )
    assert scene.files() == []


async def breaks_off(_url: str) -> Any:
    yield b"vo"
    raise TimeoutError


async def test_cancel_while_running_and_while_waiting(scene: Scene) -> None:
    scene.hands.gate.clear()
    running = await scene.merge()
    waiting = await scene.merge()
    others = await scene.merge(scene.bob)
    await scene.env.advance_time(60)
    assert waiting.response.content == "In the queue: yours is number 1."
    assert others.response.content == "In the queue: yours is number 2."

    carol = scene.guild.add_member(scene.env.create_user("carol"))
    nothing = await scene.slash(carol, "cancel")
    assert nothing == ("You have no merge that could be cancelled.", True)
    assert await scene.slash(scene.alice, "cancel") == ("Cancelled your 2 merges.", True)
    for answer in (running, waiting):
        assert answer.response.content == "This merge was cancelled."
    scene.hands.gate.set()
    await scene.env.settle()
    assert len(others.response.attachments) == 1
    assert scene.files() == []


async def test_queue_tells_how_far_the_own_merges_are(scene: Scene) -> None:
    said, ephemeral = await scene.slash(scene.alice, "queue")
    assert ephemeral
    assert said == "Nothing is in the works: /merge starts at once."
    scene.hands.gate.clear()
    await scene.merge()
    await scene.merge()
    scene.hands.progress = Progress(stage=Stage.MIX, fraction=0.9)
    mine, _ = await scene.slash(scene.alice, "queue")
    assert mine.startswith("2 merges are in the works. Yours:\nMixing the layers")
    assert mine.endswith("In the queue: yours is number 1.")
    others, _ = await scene.slash(scene.bob, "queue")
    assert others == "2 merges are in the works, none of them yours."
    scene.hands.gate.set()
    await scene.env.settle()
    assert scene.client.queue.jobs == ()


async def test_after_the_token_has_died_the_result_answers_in_the_channel(scene: Scene) -> None:
    scene.hands.gate.clear()
    answer = await scene.merge()
    original = answer.response.id
    await scene.env.advance_time(16 * 60)
    edits = len(scene.sent("PATCH", ORIGINAL))
    for fraction in (0.8, 0.9):
        scene.hands.progress = Progress(stage=Stage.MIX, fraction=fraction)
        await scene.env.advance_time(120)
    assert len(scene.sent("PATCH", ORIGINAL)) == edits + 1  # one failure is enough to know
    scene.hands.gate.set()
    await scene.env.settle()
    late = scene.channel.last_message
    assert late is not None
    assert late.id != original
    assert late.content == f"{scene.alice.mention} Your mash-up is ready."
    assert late.reference is not None
    assert late.reference.message_id == original
    assert [user.id for user in late.mentions] == [scene.alice.id]
    assert late.attachments[0].filename == "rapper x diva.mp3"
    assert await late.attachments[0].read() == b"voiceband"
    assert len(late.embeds) == 1
    assert scene.files() == []


async def test_a_late_error_is_said_in_the_channel(scene: Scene) -> None:
    scene.hands.gate.clear()
    scene.hands.work = fail_with(NoVoiceError("rapper.mp3 has no voice."))
    await scene.merge()
    await scene.env.advance_time(16 * 60)
    scene.hands.gate.set()
    await scene.env.settle()
    late = scene.channel.last_message
    assert late is not None
    assert late.content == f"{scene.alice.mention} rapper.mp3 has no voice."


async def test_where_the_bot_may_not_write_the_late_result_comes_as_a_dm(scene: Scene) -> None:
    scene.hands.gate.clear()
    await scene.merge()
    await scene.env.advance_time(16 * 60)
    scene.env.inject_error("POST", MESSAGES, status=403, code=50013)
    scene.hands.gate.set()
    await scene.env.settle()
    [message] = scene.alice.user.dm_channel.history()
    assert message.content == (
        f"In <#{scene.channel.id}> I could not write; an admin can give me Send Messages there. "
        "Your mash-up is ready."
    )
    assert await message.attachments[0].read() == b"voiceband"


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 50027), (404, 10062), (404, 10015), (404, 10008)],
    ids=["invalid token", "unknown interaction", "unknown webhook", "deleted"],
)
async def test_a_reply_that_cannot_be_edited_is_answered_in_the_channel(
    scene: Scene, status: int, code: int
) -> None:
    scene.hands.gate.clear()
    await scene.merge()
    scene.env.inject_error("PATCH", ORIGINAL, status=status, code=code)
    scene.hands.gate.set()
    await scene.env.settle()
    late = scene.channel.last_message
    assert late is not None
    assert await late.attachments[0].read() == b"voiceband"


@pytest.mark.parametrize(("status", "code"), [(413, 40005), (413, 0), (400, 40005)])
async def test_a_result_that_discord_finds_too_large_ends_in_a_sentence(
    scene: Scene, status: int, code: int
) -> None:
    scene.hands.gate.clear()
    answer = await scene.merge()
    scene.env.inject_error("PATCH", ORIGINAL, status=status, code=code)
    scene.hands.gate.set()
    await scene.env.settle()
    assert answer.response.content == (
        "The mash-up is larger than what Discord takes here. Try shorter songs."
    )
    assert answer.response.attachments == []
    assert scene.sent("POST", MESSAGES) == []


async def test_progress_that_cannot_be_shown_spoils_nothing(scene: Scene) -> None:
    scene.hands.gate.clear()
    answer = await scene.merge()
    scene.env.inject_error("PATCH", ORIGINAL, status=500)
    scene.hands.progress = Progress(stage=Stage.MIX, fraction=0.9)
    await scene.env.advance_time(60)
    scene.hands.progress = Progress(stage=Stage.ENCODE, fraction=0.95)
    await scene.env.advance_time(60)
    assert "Writing the file" in answer.response.content
    scene.hands.gate.set()
    await scene.env.settle()
    assert len(answer.response.attachments) == 1


async def test_an_acknowledgement_whose_answer_was_lost_counts(scene: Scene) -> None:
    scene.env.inject_error("POST", CALLBACK, status=400, code=40060)
    await scene.merge()
    late = scene.channel.last_message  # the simulated Discord forgot the acknowledgement
    assert late is not None
    assert len(late.attachments) == 1


async def test_an_acknowledgement_that_came_too_late_is_no_silence(scene: Scene) -> None:
    scene.env.inject_error("POST", CALLBACK, status=404, code=10062, times=2)
    await scene.merge()
    late = scene.channel.last_message
    assert late is not None
    assert "Something went wrong on our side." in late.content
    assert scene.files() == []
