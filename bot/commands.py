"""The slash commands: parse, build a Recipe, hand it on; nothing else."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import render
from bot.desk import MergeDesk, Order
from bot.jobs import cancelled
from pipeline.recipe import OPTIONS, Recipe

if TYPE_CHECKING:
    from bot.jobs import JobQueue
    from pipeline.recipe import Option

LONGEST_TEXT = 100
"""Characters in the description of an option and the name of a choice."""


def add_commands(
    tree: app_commands.CommandTree[Any], desk: MergeDesk, queue: JobQueue[Any, Any]
) -> None:
    """Put /merge, /queue and /cancel on the tree."""
    for command in (_merge_command(desk), _queue_command(queue), _cancel_command(queue)):
        command.allowed_installs = app_commands.AppInstallationType(guild=True, user=False)
        tree.add_command(command)


def _merge_command(desk: MergeDesk) -> app_commands.Command[Any, ..., None]:
    async def merge(
        interaction: discord.Interaction[Any],
        vocals: discord.Attachment,
        backing: discord.Attachment,
        **options: Any,  # noqa: ANN401 - each option has its own kind, which Recipe checks
    ) -> None:
        await desk.merge(
            interaction, Order(vocals=vocals, backing=backing, recipe=Recipe(**options))
        )

    songs = {
        "vocals": "the song whose voice is heard",
        "backing": "the song whose accompaniment is heard",
    }
    described = {option.name: _description(option) for option in OPTIONS}
    choices = {option.name: _choices(option) for option in OPTIONS if option.choices}
    # discord.py reads a command's options from its signature; ours follow Recipe's fields.
    given = inspect.signature(merge, eval_str=True, globals={**globals(), "Any": Any})
    fixed = [p for p in given.parameters.values() if p.kind is not p.VAR_KEYWORD]
    merge.__signature__ = given.replace(  # type: ignore[attr-defined]  # PEP 362 allows it
        parameters=[*fixed, *(_parameter(option) for option in OPTIONS)]
    )
    app_commands.describe(**songs, **described)(merge)
    app_commands.choices(**choices)(merge)
    what = "Sing one song over another: the first one's voice, the second one's backing"
    callback: Any = merge  # its signature is made at run time, which no type checker sees
    return app_commands.Command(name="merge", description=what, callback=callback)


def _parameter(option: Option) -> inspect.Parameter:
    annotation: Any = option.kind
    if not option.choices:
        annotation = app_commands.Range[option.kind, option.minimum, option.maximum]
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=option.default,
        annotation=annotation,
    )


def _description(option: Option) -> str:
    unit = f" ({option.unit})" if option.unit else ""
    return render.clip(option.help + unit, LONGEST_TEXT)


def _choices(option: Option) -> list[app_commands.Choice[str]]:
    return [
        app_commands.Choice(
            name=render.clip(_choice_name(value, meaning), LONGEST_TEXT), value=value
        )
        for value, meaning in option.choices.items()
    ]


def _choice_name(value: str, meaning: str) -> str:
    """Return both, or the meaning alone where it says the number itself."""
    return meaning if value.lstrip("-").isdecimal() else f"{value}: {meaning}"


def _queue_command(queue: JobQueue[Any, Any]) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(name="queue", description="See how far your merges are")
    async def show_queue(interaction: discord.Interaction[Any]) -> None:
        mine = [(job, queue.place_of(job)) for job in queue.jobs_of(interaction.user.id)]
        text = render.queue_text(mine, len(queue.jobs))
        await interaction.response.send_message(text, ephemeral=True)

    return show_queue


def _cancel_command(queue: JobQueue[Any, Any]) -> app_commands.Command[Any, ..., None]:
    @app_commands.command(name="cancel", description="Cancel your merges")
    async def cancel(interaction: discord.Interaction[Any]) -> None:
        count = sum(job.call_off(cancelled()) for job in queue.jobs_of(interaction.user.id))
        await interaction.response.send_message(render.cancel_text(count), ephemeral=True)

    return cancel
