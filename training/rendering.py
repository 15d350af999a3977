"""Render all that the networks are trained on: the song factory's whole output, in its order."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from training.bands.backing import render_backings
from training.bands.composed_backings import FIRST_COMPOSED_SEED, composed_backing_clips
from training.bands.real_backings import real_backing_clips
from training.clips import FIRST_VALIDATION_SEED
from training.singers.real_voices import real_voice_clips
from training.singers.speech import VOICES, build_corpus, is_available
from training.singers.voices import render_voices

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_UTTERANCES = 280
_VALIDATION_CLIPS = 24
_COMPOSED_BACKINGS = 120


class NoSpeechError(Exception):
    """No speech program is installed; the message says which would do."""


def render_all(
    directory: Path, *, backings: int, voices: int, recordings: Path | None, processes: int
) -> None:
    """Render what is not there yet.

    Parameters
    ----------
    directory
        Where the clips go, a few gigabytes of them (see `training.clips`).
    backings, voices
        How many of each to train on. Voice i follows the key, chords and beats of backing i;
        voices beyond the last backing follow nobody.
    recordings
        One folder a song with real vocal parts and an accompaniment; None goes without.
    processes
        How many clips are rendered at a time.

    Raises
    ------
    NoSpeechError
        There is no program to speak with.
    SoundfontError
        FluidSynth or a soundfont is missing.
    """
    if not any(is_available(engine) for engine in VOICES):
        raise NoSpeechError(f"Install one of {', '.join(VOICES)}: singing is made of speech.")
    validation = range(FIRST_VALIDATION_SEED, FIRST_VALIDATION_SEED + _VALIDATION_CLIPS)
    made = render_backings(directory, [*validation, *range(backings)], processes)
    composed = range(FIRST_COMPOSED_SEED, FIRST_COMPOSED_SEED + _COMPOSED_BACKINGS)
    made += composed_backing_clips(directory, composed, processes)
    logger.info("%d backings rendered", made)
    logger.info("%d utterances spoken", build_corpus(directory / "speech", _UTTERANCES))
    made = render_voices(directory, [*validation, *range(voices)], processes)
    logger.info("%d voices rendered", made)
    if recordings is None:
        logger.info("no recordings: the networks will learn from synthesised songs alone")
        return
    made = real_backing_clips(recordings, directory, processes)
    made += real_voice_clips(recordings, directory, processes)
    logger.info("%d clips cut from recordings", made)
