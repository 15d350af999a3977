"""The composer's formant singer as one more voice of the song factory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from composer.clock import Clock
from composer.melody import CONSONANTS, VOWELS, Syllable
from composer.voice import draw_singer, sing_phrase
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from composer.voice import Singer
    from training.singers.melody import Note

    Mono = npt.NDArray[np.float32]

_EDGE_S = 60.0


def sing_formants(
    rng: np.random.Generator, phrases: Sequence[Sequence[Note]], *, length: int
) -> Mono:
    """Return phrases sung by a synthetic singer, float32, shape (length,), 44.1 kHz.

    Parameters
    ----------
    rng
        Where the singer and the words are drawn from.
    phrases
        Notes in order; they are moved by octaves into the singer's range.
    length
        Samples of the result; what begins before 0 or ends after it is cut.
    """
    singer = draw_singer(rng)
    # Beats are seconds here: the notes already know when they sound.
    clock = Clock(
        positions=np.array([-_EDGE_S, _EDGE_S]), times_s=np.array([-_EDGE_S, _EDGE_S]), swing=0.0
    )
    room = np.zeros((2, 1), dtype=np.float32)
    pitches = [note.pitch for phrase in phrases for note in phrase]
    lift = 12 * round((singer.centre - float(np.median(pitches))) / 12)
    out = np.zeros(length, dtype=np.float32)
    for phrase in phrases:
        words = _words(rng, phrase, singer, lift)
        start_s, sound = sing_phrase(rng, singer, words, clock, room)
        start = round(start_s * SAMPLE_RATE)
        piece = sound[0, max(0, -start) : max(0, length - start)]
        out[max(start, 0) : max(start, 0) + len(piece)] += piece
    return out


def _words(
    rng: np.random.Generator, phrase: Sequence[Note], singer: Singer, lift: int
) -> tuple[Syllable, ...]:
    highest = singer.centre + 12  # its glottis is band-limited for pitches up to this one
    words = []
    for index, note in enumerate(phrase):
        pitch = round(note.pitch) + lift
        while pitch > highest:
            pitch -= 12
        consonant = CONSONANTS[int(rng.integers(len(CONSONANTS)))] if index else ""
        vowel = VOWELS[int(rng.integers(len(VOWELS)))]
        words.append(
            Syllable(
                start=note.start_s,
                length=note.length_s,
                pitch=pitch,
                vowel=vowel,
                consonant=consonant,
            )
        )
    return tuple(words)
