"""How somebody sings: everything about a voice but the words and the notes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How somebody sings.

    Attributes
    ----------
    formants
        Factor on the formants of a low voice: 0.8 is a bass, 1.35 a child.
    melisma
        Chance that a note goes on with the vowel of the note before.
    legato
        Share of a note that sounds.
    glide_s
        How slowly the pitch moves from note to note, a standard deviation in seconds.
    vibrato_cents, vibrato_hz, vibrato_delay_s
        Depth, rate, and when in a note it sets in.
    drift_cents, jitter_cents
        Standard deviation of the slow and of the fast error of the pitch.
    scoop, scoop_semitones
        Chance that a note starts below its pitch, and how far.
    prosody
        Share of the speech's own melody that is kept.
    detune_cents
        Constant error of the pitch.
    late_s
        Delay of every note.
    accents_db
        Standard deviation of the level from note to note.
    tilt_db
        Brightness in decibels per octave around 1 kHz.
    ring_db, ring_hz
        The singer's formant: height and centre.
    breath
        Noise that is added to the voice above 1.5 kHz, a share.
    air
        Fall above the recorded band; see `training.singers.vocoder.tract_at`.
    inhale
        Chance of an audible breath before a phrase.
    """

    formants: float
    melisma: float = 0.1
    legato: float = 0.97
    glide_s: float = 0.02
    vibrato_cents: float = 30.0
    vibrato_hz: float = 5.5
    vibrato_delay_s: float = 0.25
    drift_cents: float = 8.0
    jitter_cents: float = 4.0
    scoop: float = 0.2
    scoop_semitones: float = 1.0
    prosody: float = 0.1
    detune_cents: float = 0.0
    late_s: float = 0.0
    accents_db: float = 1.5
    tilt_db: float = 0.0
    ring_db: float = 4.0
    ring_hz: float = 2800.0
    breath: float = 0.05
    air: float = -0.8
    inhale: float = 0.15


def draw_manner(rng: np.random.Generator, *, low: int) -> Manner:
    """Return how a singer whose range starts at a MIDI note sings."""
    formants = float(np.interp(low, [36, 45, 57, 66], [0.84, 0.93, 1.1, 1.24]))
    formants *= float(rng.uniform(0.93, 1.08))
    tuned = bool(rng.random() < 0.12)  # by a machine: hard steps and nothing else
    plain = Manner(
        formants=formants,
        melisma=float(rng.choice([0.0, 0.1, 0.3])),
        legato=float(rng.choice([0.6, 0.8, 0.95, 1.0, 1.0])),
        glide_s=float(rng.uniform(0.008, 0.06)),
        vibrato_cents=float(rng.choice([0, 15, 30, 50, 80, 120])),
        vibrato_hz=float(rng.uniform(4.3, 7.0)),
        vibrato_delay_s=float(rng.uniform(0.05, 0.45)),
        drift_cents=float(rng.uniform(3, 28)),
        jitter_cents=float(rng.uniform(0, 12)),
        scoop=float(rng.choice([0.0, 0.25, 0.6])),
        scoop_semitones=float(rng.uniform(0.4, 2.5)),
        prosody=float(rng.choice([0.0, 0.0, 0.1, 0.25])),
        accents_db=float(rng.uniform(0.5, 3.0)),
        tilt_db=float(rng.uniform(-1.2, 3.4)),
        ring_db=float(rng.uniform(-2, 9)),
        ring_hz=float(rng.uniform(2300, 3600)),
        breath=float(rng.choice([0.0, 0.05, 0.15, 0.4])),
        air=float(rng.uniform(-0.95, -0.2)),
        inhale=float(rng.choice([0.0, 0.2, 0.7])),
    )
    if not tuned:
        return plain
    return replace(
        plain,
        glide_s=0.002,
        drift_cents=0.0,
        jitter_cents=0.0,
        scoop=0.0,
        vibrato_cents=0.0,
        prosody=0.0,
    )


def vary_manner(rng: np.random.Generator, manner: Manner, *, spread: float) -> Manner:
    """Return another take of the same singer, or with a large spread another singer.

    Parameters
    ----------
    rng
        Where the differences are drawn from.
    manner
        The first take's.
    spread
        1 is a careful double.
    """
    return replace(
        manner,
        formants=manner.formants * float(1 + 0.02 * spread * rng.normal()),
        detune_cents=float(8 * spread * rng.normal()),
        late_s=float(0.012 * spread * abs(rng.normal())),
        vibrato_hz=manner.vibrato_hz * float(rng.uniform(0.93, 1.07)),
        tilt_db=manner.tilt_db + float(0.5 * spread * rng.normal()),
        inhale=0.0,
    )
