"""The slash commands for merging: parse, hand on; nothing else."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import discord
from discord import app_commands

from bot import render
from bot.jobs import cancelled
from bot.library_commands import suggest
from bot.library_offers import offer_from_library
from pipeline.errors import UserError
from pipeline.recipe import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.client import VocalClient
    from bot.orders import Offer
    from pipeline.recipe import Option

LONGEST_TEXT = 100
"""Characters in the description of an option and the name of a choice."""

ANYWHERE = app_commands.AppCommandContext(guild=True, dm_channel=True, private_channel=True)
BY_ANYBODY = app_commands.AppInstallationType(guild=True, user=True)

_SONGS: Mapping[str, tuple[str, type[Any]]] = {
    "vocals": ("the song whose voice is heard", discord.Attachment),
    "backing": ("the song whose accompaniment is heard", discord.Attachment),
    "vocals_from": ("instead of vocals: a song from this server's library", str),
    "backing_from": ("instead of backing: a song from this server's library", str),
}


class MissingSongError(UserError):
    """A merge was asked for with one song, or with one too many."""


def add_commands(tree: app_commands.CommandTree[VocalClient], client: VocalClient) -> None:
    """Put /merge, /queue and /cancel on the tree."""
    for command in (_merge_command(client), _queue_command(client), _cancel_command(client)):
        command.allowed_installs = BY_ANYBODY
        command.allowed_contexts = ANYWHERE
        tree.add_command(command)


def _merge_command(client: VocalClient) -> app_commands.Command[Any, ..., None]:
    async def merge(
        interaction: discord.Interaction[VocalClient],
        **given: Any,  # noqa: ANN401 - each option has its own kind, which Recipe checks
    ) -> None:
        offers = [
            await _offer(client, interaction.guild_id, role, given)
            for role in ("vocals", "backing")
        ]
        chosen = {
            option.name: given[option.name] for option in OPTIONS if given[option.name] is not None
        }
        await client.desk.merge(interaction, offers[0], offers[1], chosen)

    parameters = [_optional(name, kind) for name, (_, kind) in _SONGS.items()]
    parameters += [_optional(option.name, _kind(option)) for option in OPTIONS]
    # discord.py reads a command's options from its signature; ours follow Recipe's fields.
    read = inspect.signature(merge, eval_str=True, globals={**globals(), "VocalClient": Any})
    merge.__signature__ = read.replace(  # type: ignore[attr-defined]  # PEP 362 allows it
        parameters=[read.parameters["interaction"], *parameters]
    )
    songs = {name: text for name, (text, _) in _SONGS.items()}
    app_commands.describe(**songs, **{option.name: _description(option) for option in OPTIONS})(
        merge
    )
    choices = {option.name: _choices(option) for option in OPTIONS if option.choices}
    app_commands.choices(**choices)(merge)
    app_commands.autocomplete(vocals_from=suggest, backing_from=suggest)(merge)
    what = "Sing one song over another: the first one's voice, the second one's backing"
    callback: Any = merge  # its signature is made at run time, which no type checker sees
    return app_commands.Command(name="merge", description=what, callback=callback)


async def _offer(
    client: VocalClient, guild_id: int | None, role: str, given: Mapping[str, Any]
) -> Offer:
    """Return the song that was given for a role, in one of two ways."""
    attachment, named = given[role], given[f"{role}_from"]
    if attachment is not None and named is not None:
        raise MissingSongError(
            f"You gave two songs for {role}.", hint=f"Use either {role} or {role}_from."
        )
    if attachment is not None:
        return client.desk.attached(attachment)
    if named is not None:
        return await offer_from_library(client.library, guild_id, named)
    raise MissingSongError(
        f"There is no song for {role} yet.",
        hint=f"Attach one as {role}, or choose one of this server's with {role}_from.",
    )


def _optional(name: str, kind: Any) -> inspect.Parameter:  # noqa: ANN401 - a type, or a Range
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind | None
    )


def _kind(option: Option) -> Any:  # noqa: ANN401 - a type, or a Range
    if option.choices:
        return option.kind
    return app_commands.Range[option.kind, option.minimum, option.maximum]


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


def _queue_command(client: VocalClient) -> app_commands.Command[Any, ..., None]:
    queue = client.queue

    @app_commands.command(name="queue", description="See how far your merges are")
    async def show_queue(interaction: discord.Interaction[Any]) -> None:
        mine = [(job, queue.place_of(job)) for job in queue.jobs_of(interaction.user.id)]
        text = render.queue_text(
            mine, len(queue.jobs), lambda job: client.estimates.ends_in_s(queue, job)
        )
        await interaction.response.send_message(text, ephemeral=True)

    return show_queue


def _cancel_command(client: VocalClient) -> app_commands.Command[Any, ..., None]:
    queue = client.queue

    @app_commands.command(name="cancel", description="Cancel your merges")
    async def cancel(interaction: discord.Interaction[Any]) -> None:
        count = sum(job.call_off(cancelled()) for job in queue.jobs_of(interaction.user.id))
        await interaction.response.send_message(render.cancel_text(count), ephemeral=True)

    return cancel
