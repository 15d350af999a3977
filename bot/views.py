"""The buttons under answers: each has an owner, survives a restart and ends politely.

They stand in no memory: each answers by what its `custom_id` says.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import discord

from bot.items import Button, PersistentItem, view_of
from bot.jobs import CalledOffError, JobState, cancelled
from bot.messages import UNREACHABLE
from bot.remix import ACTIONS
from pipeline.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from bot.client import VocalClient
    from bot.jobs import Job
    from bot.orders import Mashup
    from bot.remix import Action, Change

log = logging.getLogger(__name__)

_making: set[tuple[str, int]] = set()  # which mash-ups are being changed, and by whom


class MashupEndedError(UserError):
    """Nothing is known of the mash-up any more."""


class RemixOffError(UserError):
    """The server's admins do not want remixes."""


class UnknownButtonError(UserError):
    """The button does what this version of the bot does not know."""


class BeingMadeError(UserError):
    """What was asked for first is not there yet."""


class NotYoursError(UserError):
    """Somebody else may press this button."""


class JobEndedError(UserError):
    """There is nothing left to cancel."""


def mashup_ended() -> MashupEndedError:
    """Return why the buttons of a mash-up do nothing any more."""
    return MashupEndedError(
        "The buttons of this mash-up have ended: its pieces are no longer kept.",
        hint="Use /merge with the songs again.",
    )


def remix_view(mashup: Mashup) -> discord.ui.View:
    """Return the buttons under a mash-up; those that would do nothing cannot be pressed."""
    return view_of(*(RemixButton.of(action, mashup) for action in ACTIONS.values()))


def highlight_view(mashup: Mashup) -> discord.ui.View:
    """Return the one button that offers the highlight of a mash-up whose whole is too large."""
    offer: Button = discord.ui.Button(
        label="Make the highlight",
        emoji=ACTIONS["highlight"].emoji,
        style=discord.ButtonStyle.primary,
        custom_id=RemixButton.custom_id_of("highlight", mashup.id),
    )
    return view_of(RemixButton(offer))


def progress_view(job_id: str) -> discord.ui.View:
    """Return what stands under the progress of a job: a button that cancels it."""
    return view_of(CancelButton.of(job_id))


class RemixButton(
    PersistentItem[Button], template=r"remix:(?P<action>[a-z_]+):(?P<mashup>[0-9a-f]{12})"
):
    """Makes a mash-up anew with one thing changed.

    Whoever ordered the mash-up changes it in place; anybody else gets one of their own.
    """

    @staticmethod
    def custom_id_of(action_id: str, mashup_id: str) -> str:
        """Return what Discord sends back when the button is pressed."""
        return f"remix:{action_id}:{mashup_id}"

    @classmethod
    def of(cls, action: Action, mashup: Mashup) -> Self:
        """Return an action's button under a mash-up."""
        style = discord.ButtonStyle
        button: Button = discord.ui.Button(
            label=action.label_for(mashup),
            emoji=action.emoji,
            style=style.primary if action.is_on(mashup) else style.secondary,
            disabled=action.is_idle(mashup),
            custom_id=cls.custom_id_of(action.id, mashup.id),
            row=action.row,
        )
        return cls(button)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Make the mash-up anew."""
        client = interaction.client
        mashup = await client.ledger.mashup(self.part("mashup"))
        if mashup is None or mashup.guild_id != interaction.guild_id:
            # This acknowledges the press, too.
            await _remove_buttons(interaction.response.edit_message(view=None))
            raise mashup_ended()
        if not client.policies.of(interaction.guild_id).remix:
            raise RemixOffError(
                "Remixes are turned off in this server.", hint="Use /merge with the songs again."
            )
        action = ACTIONS.get(self.part("action"))
        if action is None:
            raise UnknownButtonError(
                "This button belongs to another version of the bot.",
                hint="Use /merge with the songs again.",
            )
        await _make_anew(interaction, mashup, action.change(mashup))


async def _make_anew(
    interaction: discord.Interaction[VocalClient], mashup: Mashup, change: Change
) -> None:
    with _one_at_a_time(mashup, interaction.user.id):
        is_kept = await interaction.client.desk.remix(
            interaction,
            mashup,
            change.recipe,
            swap=change.swap,
            stems=change.stems,
            words=change.words,
        )
        # Where the answer is a message of its own, this one still has its buttons.
        if not is_kept and interaction.message is not None:
            await _remove_buttons(interaction.message.edit(view=None))


async def _remove_buttons(editing: Awaitable[object]) -> None:
    """Wait for an edit that takes buttons off a message, if it is still there to be edited."""
    try:
        await editing
    except UNREACHABLE as error:
        log.info("the buttons of an old mash-up stay: %s", error)


@contextmanager
def _one_at_a_time(mashup: Mashup, user_id: int) -> Iterator[None]:
    """Refuse a second press by the same person before the first is answered."""
    making = (mashup.id, user_id)
    if making in _making:
        raise BeingMadeError("This mash-up is being made anew already.", hint="Give it a moment.")
    _making.add(making)
    try:
        yield
    finally:
        _making.discard(making)


class CancelButton(PersistentItem[Button], template=r"cancel:(?P<job>[0-9a-f]{12})"):
    """Cancels a job, for its owner and for moderators."""

    @classmethod
    def of(cls, job_id: str) -> Self:
        """Return the button that cancels a job."""
        button: Button = discord.ui.Button(
            label="Cancel", style=discord.ButtonStyle.secondary, custom_id=f"cancel:{job_id}"
        )
        return cls(button)

    async def answer(self, interaction: discord.Interaction[VocalClient]) -> None:
        """Cancel the job; its progress turns into the news of it."""
        job = interaction.client.queue.job(self.part("job"))
        if job is None or job.state is JobState.ENDED or job.called_off is not None:
            raise JobEndedError("This merge has ended already.")
        job.call_off(_why(interaction, job))
        await interaction.response.defer()


def _why(interaction: discord.Interaction[Any], job: Job) -> CalledOffError:
    """Return why a person may cancel a job.

    Raises
    ------
    NotYoursError
        They may not.
    """
    if interaction.user.id == job.owner:
        return cancelled()
    rights = interaction.permissions  # none in direct messages
    moderates = rights.manage_messages or rights.manage_guild
    if moderates and job.guild_id is not None and interaction.guild_id == job.guild_id:
        return CalledOffError("A moderator cancelled this merge.")
    raise NotYoursError("Only whoever started this merge, or a moderator, can cancel it.")


DYNAMIC_ITEMS: tuple[type[PersistentItem[Any]], ...] = (RemixButton, CancelButton)
"""What the client registers, so that buttons answer after a restart, too."""
