"""Which of many songs go well together, from a few numbers that are known of each; light.

The rules are those of the plan, so that a pair that is chosen here needs little stretch and few
semitones there. How the notes really meet only a merge finds out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING

from pipeline.facts import from_facts, to_facts
from pipeline.meeting import (
    LEFT_OUT,
    PER_FIFTH,
    PER_SEMITONE,
    STRETCH_PER_OCTAVE,
    VOICE_BEATS_PER_BACKING_BEAT,
    are_sure,
    gentlest,
    pace_octaves,
    retuning,
    shift_costs,
)
from pipeline.types import Key  # noqa: TC001 - read at run time, by from_facts

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from random import Random

    from pipeline.types import SongFacts

ENOUGH_SUNG = 0.3
"""Share of a song from which there is singing enough for a whole mash-up."""

_OTHER_METRE = 0.3  # a waltz over a march: only every twelfth beat begins a bar in both
_UNCLEAR_KEY = 3 * PER_FIFTH  # nothing is shifted then, and two keys are three fifths apart
_LOOKED_AT = 64  # songs; all pairs of more would keep a bot busy
_AMONG = 12  # pairs to draw from
_NEARLY_BEST = 0.6  # of the best pair's score; what is worse is no surprise that anybody wants
_SAME_S, _SAME_BPM, _SAME_SEMITONES = 0.1, 0.002, 0.05  # two files of one recording


@dataclass(frozen=True, slots=True, kw_only=True)
class SongSketch:
    """What has to be known of a song to say what it goes with.

    Attributes
    ----------
    duration_s
        Length in seconds.
    bpm
        Median tempo in beats per minute; 0 where there is no beat.
    beats_per_bar
        3 or 4.
    beat_confidence
        How clear the pulse is, in [0, 1].
    key
        None when there is no pitch to speak of.
    tuning
        Semitones above A440 tuning, [-0.5, 0.5).
    sung_share
        Share of the song in which somebody sings, in [0, 1].
    """

    duration_s: float
    bpm: float
    beats_per_bar: int
    beat_confidence: float
    key: Key | None
    tuning: float
    sung_share: float

    @classmethod
    def of(cls, facts: SongFacts) -> SongSketch:
        """Sketch a song of a merge."""
        sung_s = sum(end - start for start, end in facts.sung)
        return cls(
            duration_s=facts.duration_s,
            bpm=facts.grid.bpm,
            beats_per_bar=facts.grid.beats_per_bar,
            beat_confidence=facts.grid.confidence,
            key=facts.key,
            tuning=facts.tuning,
            sung_share=min(1.0, sung_s / facts.duration_s) if facts.duration_s > 0 else 0.0,
        )

    def to_json(self) -> str:
        """Return the sketch as text for a database."""
        return json.dumps(to_facts(self))

    @classmethod
    def from_json(cls, text: str) -> SongSketch:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            It is no sketch, or one of another version.
        """
        return from_facts(cls, json.loads(text))


def score(vocals: SongSketch, backing: SongSketch) -> float:
    """Say how well one song sings over another.

    Parameters
    ----------
    vocals, backing
        The song that gives its voice and the one that gives its accompaniment.

    Returns
    -------
    float
        1 for two songs of one tempo and key with clear beats and a voice that sings throughout;
        0 where there is no voice, no beat, or too much to bend.
    """
    if min(vocals.bpm, backing.bpm, vocals.duration_s, backing.duration_s) <= 0.0:
        return 0.0
    cost = _tempo_cost(vocals, backing) + _pitch_cost(vocals, backing)
    if vocals.beats_per_bar != backing.beats_per_bar:
        cost += _OTHER_METRE
    voice = min(1.0, vocals.sung_share / ENOUGH_SUNG)
    pulse = min(vocals.beat_confidence, backing.beat_confidence)
    return max(0.0, 1.0 - cost) * voice * pulse


def choose_pair(
    songs: Sequence[SongSketch], random: Random, avoid: Collection[tuple[int, int]] = ()
) -> tuple[int, int] | None:
    """Draw two songs that go well together, the better the likelier.

    Parameters
    ----------
    songs
        What there is to choose from; of many, some are looked at.
    random
        Where chance comes from.
    avoid
        Pairs, as they are returned, to take only if there is nothing else.

    Returns
    -------
    tuple or None
        Index of the song that sings and of the song that plays, never two files of one
        recording; None where no two go together at all.
    """
    looked_at = range(len(songs))
    chosen = random.sample(looked_at, _LOOKED_AT) if len(songs) > _LOOKED_AT else list(looked_at)
    merits = {
        (i, j): score(songs[i], songs[j])
        for i, j in permutations(chosen, 2)
        if not _is_same(songs[i], songs[j])
    }
    possible = {pair: merit for pair, merit in merits.items() if merit > 0.0}
    fresh = {pair: merit for pair, merit in possible.items() if pair not in avoid} or possible
    if not fresh:
        return None
    best = sorted(fresh, key=lambda pair: (-fresh[pair], random.random()))[:_AMONG]
    best = [pair for pair in best if fresh[pair] >= _NEARLY_BEST * fresh[best[0]]]
    [drawn] = random.choices(best, [fresh[pair] for pair in best])
    return drawn


def _tempo_cost(vocals: SongSketch, backing: SongSketch) -> float:
    """Cost of the stretch, and of the singing for which the backing is too short."""
    paces = pace_octaves(vocals.bpm, backing.bpm, "auto")
    pace = gentlest(paces)
    room = backing.duration_s * backing.bpm * VOICE_BEATS_PER_BACKING_BEAT[pace]
    heard = min(1.0, room / (vocals.duration_s * vocals.bpm))
    return STRETCH_PER_OCTAVE * paces[pace] + LEFT_OUT * (1.0 - heard)


def _pitch_cost(vocals: SongSketch, backing: SongSketch) -> float:
    """Cost of the shift, of what is left between the keys, and of the tuning."""
    cost = PER_SEMITONE * abs(retuning(vocals.tuning, backing.tuning, "match"))
    if vocals.key is None or backing.key is None:  # speech or drums: nothing can clash
        return cost
    if not are_sure(vocals.key, backing.key):
        return cost + _UNCLEAR_KEY
    return cost + min(shift_costs(vocals.key, backing.key, "match").values())


def _is_same(one: SongSketch, other: SongSketch) -> bool:
    """Whether two songs are one recording, perhaps encoded twice: then length and tempo agree."""
    return (
        abs(one.duration_s - other.duration_s) < _SAME_S
        and abs(one.bpm - other.bpm) <= _SAME_BPM * one.bpm
        and abs(one.tuning - other.tuning) < _SAME_SEMITONES
        and (one.key and one.key.tonic) == (other.key and other.key.tonic)
    )
