"""Bring a stem to the times and the pitch that the plan gives it.

Each stretch of constant tempo is rendered in one go by Signalsmith Stretch (MIT), which keeps time
to the sample; neighbouring pieces overlap and are crossfaded just before the beat where they meet,
whose onset masks what little is left to hear.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from pipeline.types import LayerPlan, OnFraction, Signal, WarpMap

_OVERLAP = 1764  # 40 ms of output shared by two pieces: short of a flam, long enough to be smooth
_LEAD_IN = 8820  # 200 ms of source before and after a piece, for the stretcher to settle in
_SHIFT = 110  # 2.5 ms that a piece may move so that its waveform joins that of the one before
_FRAME = 2048  # 46 ms
_LIFTER = 66  # 1.5 ms: shorter than the pitch period of all but a soprano's top notes
_MOST = 1.4  # nepers, 12 dB: how far a formant may be raised or lowered
_TONALITY_LIMIT_HZ = 8000.0  # above it, sounds are breath and cymbals: no pitch to move


def warp(
    stem: Signal,
    layer: LayerPlan,
    length_s: float,
    on_fraction: OnFraction,
    *,
    keep_formants: bool = False,
) -> Signal:
    """Stretch and transpose a stem as planned.

    Parameters
    ----------
    stem
        float32, shape (2, n), 44 100 Hz.
    layer
        What the plan says of it.
    length_s
        Length of the output in seconds; where the stem has nothing to give there is silence.
    on_fraction
        Told the share of the work that is done, in [0, 1].
    keep_formants
        Keep the timbre of a voice when its pitch moves.

    Returns
    -------
    Signal
        float32, shape (2, round(length_s * 44100)).
    """
    length = round(length_s * SAMPLE_RATE)
    out = np.zeros((2, length), dtype=np.float32)
    pieces = _pieces(layer.warp, length)
    for count, piece in enumerate(pieces):
        _join(out, piece, _render(stem, piece, layer.semitones))
        on_fraction((count + 1) / len(pieces))
    if keep_formants and layer.semitones:
        restore_formants(out, layer.semitones)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A stretch of constant tempo: output samples [start, stop) and where they come from.

    The piece begins `overlap` samples early, to be crossfaded into the one before.
    """

    start: int
    stop: int
    overlap: int
    source: float  # sample of the stem that is heard at `start`
    rate: float  # samples of the stem a sample of output; > 1 is faster


def _pieces(warp_map: WarpMap, length: int) -> list[_Piece]:
    source = np.asarray(warp_map.source_s) * SAMPLE_RATE
    target = np.asarray(warp_map.target_s) * SAMPLE_RATE
    rates = np.diff(source) / np.diff(target)
    # The first and last rate hold beyond the map's ends.
    edges = np.clip([0, *np.round(target[1:-1]), length], 0, length).astype(int)
    pieces: list[_Piece] = []
    for (start, stop), rate, s, t in zip(pairwise(edges), rates, source, target, strict=False):
        if stop > start:
            overlap = min(_OVERLAP, start) if pieces else 0
            heard = float(s + (start - t) * rate)
            pieces.append(
                _Piece(start=start, stop=stop, overlap=overlap, source=heard, rate=float(rate))
            )
    return pieces


def _render(stem: Signal, piece: _Piece, semitones: float) -> Signal:
    """Stretch one piece, from `overlap` and `_SHIFT` samples early to `_SHIFT` samples late."""
    early = piece.overlap + _SHIFT
    wanted = early + piece.stop - piece.start + _SHIFT
    plain = abs(piece.rate - 1.0) < 1e-6 and not semitones
    lead = 0 if plain else _LEAD_IN
    first = round(piece.source - early * piece.rate) - lead
    count = int(np.ceil(wanted * piece.rate)) + 2 * lead + 1
    source = _cut(stem, first, count)
    if plain:
        return source[:, :wanted]
    from python_stretch import Signalsmith  # noqa: PLC0415 - the bot's own process has no use for it

    stretcher = Signalsmith.Stretch()
    stretcher.preset(2, float(SAMPLE_RATE))
    stretcher.setTimeFactor(piece.rate)
    if semitones:
        stretcher.setTransposeSemitones(semitones, _TONALITY_LIMIT_HZ / SAMPLE_RATE)
    skip = round(lead / piece.rate)
    stretched: Signal = np.asarray(stretcher.process(source), dtype=np.float32)
    return stretched[:, skip : skip + wanted]


def _cut(stem: Signal, first: int, count: int) -> Signal:
    """Copy samples [first, first + count) of a stem, silent outside it."""
    inside = stem[:, max(0, first) : max(0, first + count)]
    before = min(count, max(0, -first))
    padded: Signal = np.pad(inside, ((0, 0), (before, count - before - inside.shape[1])))
    return padded


def _join(out: Signal, piece: _Piece, rendered: Signal) -> None:
    """Write a piece, crossfaded with what is there, where its waveform fits best."""
    begin = piece.start - piece.overlap
    length = piece.stop - begin
    if not piece.overlap:
        out[:, begin : piece.stop] = rendered[:, _SHIFT : _SHIFT + length]
        return
    old = out[:, begin : piece.start].copy()
    shift, likeness = _best_fit(old, rendered[:, : piece.overlap + 2 * _SHIFT])
    new = rendered[:, shift : shift + length]
    angle = 0.5 * np.pi * (np.arange(piece.overlap, dtype=np.float32) + 0.5) / piece.overlap
    fade_out, fade_in = np.cos(angle), np.sin(angle)
    # Two signals that are alike add up to more than two that are not: keep the power level.
    level = np.sqrt(1.0 + 2.0 * max(likeness, -0.5) * fade_out * fade_in)
    out[:, begin : piece.stop] = new
    out[:, begin : piece.start] = old * (fade_out / level) + new[:, : piece.overlap] * (
        fade_in / level
    )


def _best_fit(old: Signal, new: Signal) -> tuple[int, float]:
    """Offset in `new` at which it is most like `old`, and the correlation there."""
    width = old.shape[1]
    steps = np.arange(0, new.shape[1] - width + 1, 2)
    power = float(np.sum(old**2))
    scores = [
        float(np.sum(old * new[:, k : k + width]))
        / np.sqrt(power * float(np.sum(new[:, k : k + width] ** 2)) + 1e-12)
        for k in steps
    ]
    best = int(np.argmax(scores))
    return int(steps[best]), scores[best]


def restore_formants(samples: Signal, semitones: float) -> None:
    """Move the formants of a transposed voice back to where they were, in place.

    The spectral envelope, taken from the cepstrum below the pitch period, is replaced by the one
    that the untransposed voice had: the same envelope, read at the transposed frequency.

    Parameters
    ----------
    samples
        float32, shape (2, n); changed.
    semitones
        How far the voice was moved.
    """
    ratio = 2.0 ** (semitones / 12.0)
    window = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
    bins = np.arange(_FRAME // 2 + 1)
    padded = np.pad(samples, ((0, 0), (_FRAME, _FRAME)))
    samples[:] = 0.0
    for start in range(0, padded.shape[1] - _FRAME, _FRAME // 4):
        frame = padded[:, start : start + _FRAME] * window
        spectrum = scipy.fft.rfft(frame)
        log_level = np.log(np.abs(spectrum).mean(axis=0) + 1e-5)
        cepstrum = scipy.fft.irfft(log_level)
        cepstrum[_LIFTER : -_LIFTER + 1] = 0.0
        envelope = scipy.fft.rfft(cepstrum).real
        gain = np.interp(bins * ratio, bins, envelope) - envelope
        shaped = scipy.fft.irfft(spectrum * np.exp(np.clip(gain, -_MOST, _MOST))) * window
        low, high = max(0, start - _FRAME), min(samples.shape[1], start)
        samples[:, low:high] += shaped[:, low - start + _FRAME : high - start + _FRAME] / 1.5
