"""Spoken syllables sung to notes: one voice, one channel, dry.

Consonants keep their own length and come before the beat, vowels are stretched from their onset
on the beat; pitch gets glides, scoops, delayed vibrato, drift and jitter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from pipeline.types import SAMPLE_RATE
from training.singers.vocoder import BINS, FRAME_S, SILENCE, Utterance, synthesise, tract_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from training.singers.manner import Manner
    from training.singers.melody import Note

    Floats = npt.NDArray[np.float64]
    Mono = npt.NDArray[np.float32]

_HZ = np.arange(BINS) * (SAMPLE_RATE / 2 / (BINS - 1))
_NEPERS = 2 / 8.686  # of power in a decibel
_LEAD = 40  # frames before the first vowel: room for its consonant
_RELEASE = 24
_LONGEST_CONSONANT = 32
_HIGH_VOICE_HZ = 160.0
_PITCH_HZ = (55.0, 1600.0)


def sing(
    rng: np.random.Generator,
    cast: Sequence[Utterance],
    phrases: Sequence[Sequence[Note]],
    manner: Manner,
    *,
    length: int,
) -> Mono:
    """Return phrases sung with the syllables of a few utterances.

    Parameters
    ----------
    rng
        Where the irregularities are drawn from.
    cast
        One or more utterances of one voice, each with at least one syllable.
    phrases
        Notes in order; each phrase takes its words from one utterance.
    manner
        How they are sung.
    length
        Samples of the result; what begins before 0 or ends after it is cut.

    Returns
    -------
    Mono
        float32, shape (length,), 44.1 kHz.
    """
    out = np.zeros(length, dtype=np.float32)
    for index, phrase in enumerate(phrases):
        sound = _sing_phrase(rng, cast[index % len(cast)], phrase, manner)
        start_s = phrase[0].start_s + manner.late_s - _LEAD * FRAME_S
        _add(out, sound, round(start_s * SAMPLE_RATE))
        if rng.random() < manner.inhale:
            breath = _inhale(rng, float(np.sqrt(np.mean(np.square(sound)))))
            _add(out, breath, round(start_s * SAMPLE_RATE) - len(breath))
    return out


def speak(
    rng: np.random.Generator, utterance: Utterance, manner: Manner, *, pitch: float, rate: float
) -> Mono:
    """Return an utterance spoken in its own rhythm, at most 3 s.

    Parameters
    ----------
    rng
        Where the irregularities are drawn from.
    utterance
        What is said.
    manner
        Colour of the voice; `Manner.prosody` scales the melody of speech.
    pitch
        Median pitch as a MIDI note number.
    rate
        Speed against the original.
    """
    first, last = int(utterance.syllables[0, 0]), int(utterance.syllables[-1, 3])
    longest = int(3.0 / FRAME_S * rate)
    if last - first > longest:
        first = int(rng.integers(first, last - longest))
    positions = np.arange(first, min(last, first + longest), rate)
    heard = utterance.pitch_hz[positions.astype(np.int64)] > 0
    melody = _prosody(utterance, positions)
    tune = pitch + manner.prosody * melody + _wander(rng, len(positions), manner)
    log_power, noise = tract_at(
        utterance, positions, formants=_formants(utterance, manner), air=manner.air
    )
    log_power += _colour(manner)
    _tame(log_power, heard)
    return synthesise(np.where(heard, _to_hz(tune), 0.0), log_power, _breathe(noise, manner))


@dataclass(slots=True, eq=False)
class _Take:
    """What happens in each frame of a phrase."""

    positions: Floats  # in the utterance; -1 where silent
    pitch: Floats
    held: Floats  # frames since the onset of the note
    level_db: Floats


def _sing_phrase(
    rng: np.random.Generator, utterance: Utterance, phrase: Sequence[Note], manner: Manner
) -> Mono:
    take = _line_up(rng, utterance, phrase, manner)
    sounding = take.positions >= 0
    positions = np.where(sounding, take.positions, 0.0)
    rows = positions.astype(np.int64)
    spoken = utterance.pitch_hz[rows] > 0
    # A gap of a frame or two inside a vowel is an error of the analysis.
    voiced = sounding & ndimage.binary_closing(spoken, iterations=3)
    tune = _bend(rng, take, manner) + manner.detune_cents / 100
    if manner.prosody:
        tune += manner.prosody * _prosody(utterance, positions)
    log_power, noise = tract_at(
        utterance, positions, formants=_formants(utterance, manner), air=manner.air
    )
    gate = ndimage.uniform_filter1d(sounding.astype(np.float32), 5)
    level = ndimage.gaussian_filter1d(take.level_db, 6)
    log_power += (_NEPERS * level).astype(np.float32)[:, None] + _colour(manner)
    log_power += np.log(np.maximum(gate, 1e-5)).astype(np.float32)[:, None] * 2
    _tame(log_power, voiced)
    log_power[~sounding] = SILENCE
    return synthesise(np.where(voiced, _to_hz(tune), 0.0), log_power, _breathe(noise, manner))


def _line_up(
    rng: np.random.Generator, utterance: Utterance, phrase: Sequence[Note], manner: Manner
) -> _Take:
    onsets = [_LEAD + round((n.start_s - phrase[0].start_s) / FRAME_S) for n in phrase]
    final = onsets[-1] + round(phrase[-1].length_s / FRAME_S)
    frames = final + _RELEASE
    take = _Take(
        positions=np.full(frames, -1.0),
        pitch=np.full(frames, float(phrase[0].pitch)),
        held=np.zeros(frames),
        level_db=np.zeros(frames),
    )
    sung = [0, *(i for i in range(1, len(phrase)) if rng.random() >= manner.melisma)]
    first = int(rng.integers(len(utterance.syllables)))
    before = 0
    for count, start in enumerate(sung):
        stop = sung[count + 1] if count + 1 < len(sung) else len(phrase)
        syllable = utterance.syllables[(first + count) % len(utterance.syllables)]
        until = onsets[stop] if stop < len(phrase) else final
        last = onsets[stop - 1]
        end = max(last + round((until - last) * manner.legato), onsets[start] + 6)
        _place(take, syllable, onsets[start], min(end, frames), before)
        before = onsets[start]
    for index, note in enumerate(phrase):
        stop = onsets[index + 1] if index + 1 < len(phrase) else frames
        take.pitch[onsets[index] : stop] = note.pitch
        take.held[onsets[index] : stop] = np.arange(stop - onsets[index])
        accent = manner.accents_db * rng.normal()
        take.level_db[onsets[index] - 4 : stop] = np.clip(accent, -6, 4)
    arch = np.sin(np.pi * np.linspace(0.15, 0.9, frames)) * rng.uniform(0, 4)
    take.level_db += arch
    return take


def _place(take: _Take, syllable: npt.NDArray[np.int64], onset: int, end: int, before: int) -> None:
    """Lay a syllable: consonant before the onset, the vowel stretched, its coda at the end."""
    start, vowel, tail, stop = (int(edge) for edge in syllable)
    consonant = min(vowel - start, _LONGEST_CONSONANT, max(2, (onset - before) // 2), onset)
    take.positions[onset - consonant : onset] = vowel - consonant + np.arange(consonant)
    coda = min(stop - tail, int(0.3 * (end - onset)))
    room = end - onset - coda
    take.positions[onset : onset + room] = vowel + _stretch_vowel(tail - vowel, room)
    take.positions[onset + room : end] = tail + np.arange(coda)


def _stretch_vowel(length: int, room: int) -> Floats:
    """Return `room` moments in a vowel; both ends at their own speed, the middle slow."""
    if room <= length:
        return np.linspace(0, length - 1, room)
    edge = min(10, length // 3)
    middle = np.linspace(edge, max(length - 1 - edge, edge), room - 2 * edge)
    ends = np.arange(edge, dtype=np.float64)
    return np.concatenate([ends, middle, length - edge + ends])


def _bend(rng: np.random.Generator, take: _Take, manner: Manner) -> Floats:
    """Return the pitch as it is sung, in MIDI note numbers."""
    frames = len(take.pitch)
    tune = ndimage.gaussian_filter1d(take.pitch, max(manner.glide_s / FRAME_S, 0.3))
    seconds = take.held * FRAME_S
    ramp = np.clip((seconds - manner.vibrato_delay_s) / 0.3, 0, 1)
    rate = manner.vibrato_hz * (1 + 0.05 * ndimage.gaussian_filter1d(rng.normal(0, 6, frames), 40))
    angle = 2 * np.pi * np.cumsum(rate) * FRAME_S + rng.uniform(0, 2 * np.pi)
    tune += manner.vibrato_cents / 100 * ramp * np.sin(angle)
    take.level_db += 0.012 * manner.vibrato_cents * ramp * np.sin(angle + 1.0)
    for onset in np.flatnonzero(take.held == 1) - 1:
        if rng.random() < manner.scoop:
            reach = min(30, frames - onset)
            depth = manner.scoop_semitones * rng.uniform(0.5, 1.0)
            tune[onset : onset + reach] -= depth * np.exp(-np.arange(reach) / 7)
    out: Floats = tune + _wander(rng, frames, manner)
    return out


def _wander(rng: np.random.Generator, frames: int, manner: Manner) -> Floats:
    slow = ndimage.gaussian_filter1d(rng.normal(size=frames), 24) * np.sqrt(2 * 24 * np.sqrt(np.pi))
    fast = ndimage.gaussian_filter1d(rng.normal(size=frames), 1) * 1.9
    out: Floats = (manner.drift_cents * slow + manner.jitter_cents * fast) / 100
    return out


def _prosody(utterance: Utterance, positions: Floats) -> Floats:
    """Return the speech's own melody in semitones around its median, within an octave."""
    voiced = np.flatnonzero(utterance.pitch_hz > 0)
    course = np.interp(positions, voiced, 12 * np.log2(utterance.pitch_hz[voiced]))
    course -= 12 * np.log2(utterance.centre_hz)
    out: Floats = ndimage.gaussian_filter1d(np.clip(course, -9, 9), 3)
    return out


def _formants(utterance: Utterance, manner: Manner) -> float:
    """Return the factor for this speaker: who speaks high has a small head already."""
    return manner.formants * (0.87 if utterance.centre_hz > _HIGH_VOICE_HZ else 1.0)


def _colour(manner: Manner) -> Mono:
    octaves = np.log2(np.maximum(_HZ, 100) / 1000)
    decibels = manner.tilt_db * np.clip(octaves, -3, 3.2)
    decibels += manner.ring_db * np.exp(-(((_HZ - manner.ring_hz) / 600) ** 2))
    out: Mono = (_NEPERS * decibels).astype(np.float32)
    return out


def _tame(log_power: Mono, voiced: npt.NDArray[np.bool_]) -> None:
    """Keep hisses 5 dB under the loud vowels, as a de-esser does, in place."""
    if not np.any(voiced):
        return
    power = np.log(np.exp(log_power[:, ::8]).sum(axis=1) + 1e-12)
    excess = np.maximum(power - (np.quantile(power[voiced], 0.8) - 5 * _NEPERS), 0)
    log_power -= np.where(voiced, 0, excess).astype(np.float32)[:, None]


def _breathe(noise: Mono, manner: Manner) -> Mono:
    share = manner.breath * np.clip((_HZ - 800) / 2500, 0, 1)
    out: Mono = np.clip(noise + share.astype(np.float32), 0, 1)
    return out


def _to_hz(tune: Floats) -> Floats:
    out: Floats = np.clip(440 * 2 ** ((tune - 69) / 12), *_PITCH_HZ)
    return out


def _inhale(rng: np.random.Generator, level: float) -> Mono:
    length = int(rng.uniform(0.15, 0.4) * SAMPLE_RATE)
    spectrum = np.fft.rfft(rng.normal(size=length))
    hz = np.fft.rfftfreq(length, 1 / SAMPLE_RATE)
    centre = rng.uniform(1200, 2600)
    spectrum *= np.exp(-((np.log(np.maximum(hz, 20) / centre) / 0.7) ** 2))
    noise = np.fft.irfft(spectrum, length) * np.hanning(length) ** 0.7
    noise *= level * rng.uniform(0.05, 0.25) / np.sqrt(np.mean(noise**2))
    out: Mono = noise.astype(np.float32)
    return out


def _add(out: Mono, sound: Mono, start: int) -> None:
    skip = max(0, -start)
    piece = sound[skip : max(skip, len(out) - start)]
    out[max(start, 0) : max(start, 0) + len(piece)] += piece
