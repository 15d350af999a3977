"""Gains that move: the voice held above the backing, the backing kept out of its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
import scipy.signal

from pipeline.gains import GRAIN, along, through
from pipeline.layers import Layer, layer_of
from pipeline.loudness import BLOCK_S, balance_lu, levels, sounding
from pipeline.tapes import in_memory, release, stretches
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.gains import Curve
    from pipeline.tapes import Blank

MOST_RIDE_DB = 9.0
"""How far the gain of a phrase may lie from the gain of the song."""

MOST_GAIN_DB = 24.0
"""How far the gain of the song may go: what needs more is residue, not music."""

_PER_SECOND = SAMPLE_RATE // GRAIN
_RIDE_S = 1.0  # deviation of the Gaussian that smooths the gain: phrases, not syllables
_LEAST_EVIDENCE = 0.05  # share of that window in which both must sound for the gain to move

_DUCKED_HZ = (300.0, 3000.0)  # where the vowels are
_TAPS = 2047  # 70 Hz from pass to stop
_ATTACK_S, _RELEASE_S = 0.05, 0.3
_DUCK_BLOCK = 5 * SAMPLE_RATE


def level_frames(vocals: Layer, backing: Layer, wanted_lu: float) -> Layer:
    """Hold the vocals above the backing all along, by a gain that follows the phrases.

    The gain is measured in frames of 400 ms while both sound, smoothed over about 3 s and kept
    within `MOST_RIDE_DB` of the one gain of the song. It stays where it was through a breath and
    comes back to the song's in a long silence, so that residue is never raised.

    Parameters
    ----------
    vocals, backing
        The aligned layers.
    wanted_lu
        K-weighted level of the vocals above the backing while the voice sounds, in LU; held
        overall, as `pipeline.loudness.vocals_to_backing_lu` measures it, to 0.5 LU.

    Returns
    -------
    Layer
        The vocals; as they came where the two never sound together.
    """
    voice, rest = levels(vocals.power), levels(backing.power)
    now = balance_lu(voice, rest)
    if now is None:
        return vocals
    ride_db = _ride(voice, rest)
    song_db = wanted_lu - now
    for _ in range(4):
        # What counts as sounding changes with the gain, so the song's has to be found by trying.
        reached = balance_lu(voice + song_db + ride_db, rest)
        if reached is None:
            break
        song_db = float(np.clip(song_db + wanted_lu - reached, -MOST_GAIN_DB, MOST_GAIN_DB))
    return vocals * through(10.0 ** ((song_db + ride_db) / 20.0), vocals.shape[1])


def _ride(voice: Curve, backing: Curve) -> Curve:
    """Return the gain in dB, every 10 ms, that evens out the voice against the backing."""
    both = (sounding(voice) & sounding(backing)).astype(np.float64)
    if not both.any():
        return np.zeros(len(voice))
    wanted = (backing - voice) * both
    wanted -= both * wanted.sum() / both.sum()
    evidence = _smooth(both)
    # Little evidence pulls towards the one gain of the song; near-silence never divides.
    ride_db = _smooth(wanted) / (evidence + _LEAST_EVIDENCE * (1.0 - evidence))
    return np.clip(ride_db, -MOST_RIDE_DB, MOST_RIDE_DB)


def _smooth(curve: Curve) -> Curve:
    # Nothing sounds beyond the ends: "constant" pads with zeros.
    deviation = _RIDE_S * _PER_SECOND
    return np.asarray(scipy.ndimage.gaussian_filter1d(curve, deviation, mode="constant"))


def duck(
    accompaniment: Layer, vocals: Layer, depth_db: float, *, blank: Blank = in_memory
) -> Layer:
    """Lower the accompaniment from 300 to 3000 Hz while the voice sounds.

    Parameters
    ----------
    accompaniment, vocals
        The aligned layers.
    depth_db
        How far, in dB, at least 0; 0 returns `accompaniment` itself.
    blank
        Makes the signal for the result.

    Returns
    -------
    Layer
        The accompaniment. The band is split off by a filter of linear phase whose delay is taken
        out: nothing is moved in time.
    """
    presence = _presence(levels(vocals.power))
    if depth_db == 0.0 or not presence.any():
        return accompaniment
    length = accompaniment.shape[1]
    change = through(10.0 ** (-depth_db * presence / 20.0) - 1.0, length)
    taps = scipy.signal.firwin(_TAPS, _DUCKED_HZ, pass_zero=False, fs=SAMPLE_RATE)
    taps = taps.astype(np.float32)[None]
    out, margin = blank(length), _TAPS // 2
    for where, (part,) in stretches(accompaniment, size=_DUCK_BLOCK, margin=margin):
        band = scipy.signal.oaconvolve(part, taps, mode="valid", axes=1)
        band *= along(change, where.start, where.stop)
        out[:, where] = band + part[:, margin : part.shape[1] - margin]
        release(out)
    return layer_of(out)


def _presence(levels: Curve) -> Curve:
    """Return how far the voice is there, every 10 ms, in [0, 1]: quick to rise, slow to fall."""
    # Averaging over 400 ms lets a voice seem to sound from half of that before to half after.
    spread = round(BLOCK_S * _PER_SECOND) - 1
    there = scipy.ndimage.binary_erosion(sounding(levels), np.ones(spread), border_value=1)
    rise, fall = (1.0 - np.exp(-1.0 / (_PER_SECOND * s)) for s in (_ATTACK_S, _RELEASE_S))
    presence = np.empty(len(there))
    now = 0.0
    for moment, target in enumerate(there.tolist()):
        now += (target - now) * (rise if target else fall)
        presence[moment] = now
    return presence
