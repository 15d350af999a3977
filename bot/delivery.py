"""A finished mash-up into the reply: the whole of it, or what Discord takes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from bot import cards
from bot.excerpts import ExcerptError, cut_excerpt, span_of
from bot.files import MIB
from bot.messages import Message, ResultTooLargeError
from bot.views import highlight_view, remix_view

if TYPE_CHECKING:
    from pathlib import Path

    from bot.orders import Errand, Mashup
    from bot.replies import Reply
    from pipeline.types import MergeResult

log = logging.getLogger(__name__)

EXCERPT_BYTES = 4 * MIB
"""Most bytes of an excerpt: any server takes them, and a minute of the best quality needs less."""


async def hand_over(
    reply: Reply, result: MergeResult, errand: Errand, folder: Path, mashup: Mashup | None
) -> None:
    """Deliver the mash-up, or an excerpt where Discord takes less than it had said.

    Parameters
    ----------
    reply
        Where it goes.
    result
        What was made.
    errand
        What was asked for.
    folder
        The job's own.
    mashup
        What the buttons are about; None for an answer without buttons.
    """
    if errand.stems:
        await reply.finish(_stems(result))
        return
    embed = cards.result_embed(
        result,
        words=errand.words,
        asked_by=reply.address.user_id if errand.remix_of and not reply.address.in_place else None,
    )
    pictures = ((result.picture, cards.PICTURE),) if result.picture is not None else ()
    whole = Message(
        embed=embed,
        files=((result.path, cards.result_file_name(result)), *pictures),
        view=remix_view(mashup) if mashup is not None else None,
    )
    try:
        await reply.finish(whole)
    except ResultTooLargeError as refusal:
        if reply.address.in_place:  # what is there is better than a part of the new one
            raise
        target = folder / "excerpt.mp3"
        try:
            await cut_excerpt(result, target, min(reply.address.max_bytes, EXCERPT_BYTES))
        except ExcerptError as error:
            log.warning("a mash-up was refused, and no excerpt can be offered: %s", error)
            raise refusal from error
        part = Message(
            text=cards.excerpt_text(result, *span_of(result), offered=mashup is not None),
            embed=embed,
            files=((target, cards.excerpt_file_name(result)), *pictures),
            view=highlight_view(mashup) if mashup is not None else None,
        )
        await reply.finish(part)


def _stems(result: MergeResult) -> Message:
    return Message(
        text=cards.stems_text(result),
        files=tuple(
            (path, cards.stem_file_name(result, layer)) for layer, path in result.stems.items()
        ),
    )
