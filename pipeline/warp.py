"""Bring a stem to the times and the pitch that the plan gives it.

Each stretch of constant tempo is rendered in one go by Signalsmith Stretch (MIT), which keeps time
to the sample; neighbouring pieces overlap and are crossfaded just before the beat where they meet,
whose onset masks what little is left to hear. A long stretch is divided where the stem is quietest,
and what is silent is not rendered at all.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import scipy.ndimage

from pipeline.formants import restore_formants
from pipeline.tapes import cut, in_memory, release, stretches
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import numpy.typing as npt

    from pipeline.tapes import Blank
    from pipeline.types import LayerPlan, OnFraction, Signal

_OVERLAP = 1764  # 40 ms of output shared by two pieces: short of a flam, long enough to be smooth
_LEAD_IN = 4410  # 100 ms of source before and after a piece; the stretcher settles in 60
_SHIFT = 110  # 2.5 ms that a piece may move so that its waveform joins that of the one before
_QUIET = 0.25  # of a piece's level, -12 dB: in a joint as quiet as that nothing needs to move
_TONALITY_LIMIT_HZ = 8000.0  # above it, sounds are breath and cymbals: no pitch to move

_LONGEST = 20 * SAMPLE_RATE  # samples of output in a piece: memory stays flat in its length
_CHOICE = 4 * SAMPLE_RATE  # of them the last, among which the quietest is looked for
_GRAIN = 441  # samples, 10 ms
_SILENT = 1e-4  # -80 dBFS
_LEAST_SILENCE = 100  # grains, 1 s: less is not worth a piece of its own
_AFTERMATH = 25  # grains, 0.25 s of silence that are rendered: the stretcher rings that long
_FORMANTS_SHARE = 0.15  # of the work


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of constant tempo: output samples [start, stop) and where they come from.

    The piece begins `overlap` samples early, to be crossfaded into the one before.
    """

    start: int
    stop: int
    overlap: int
    source: float  # sample of the stem that is heard at `start`
    rate: float  # samples of the stem a sample of output; > 1 is faster
    semitones: float

    @property
    def length(self) -> int:
        """Samples to render: from `overlap` and `_SHIFT` early to `_SHIFT` late."""
        return self.overlap + self.stop - self.start + 2 * _SHIFT

    @property
    def plain(self) -> bool:
        """Whether the stem is heard as it is."""
        return abs(self.rate - 1.0) < 1e-6 and not self.semitones

    def after(self, start: int, overlap: int) -> Piece:
        """Return what is left of it from an output sample on."""
        rate = 1.0 if self.plain else self.rate
        source = self.source + (start - self.start) * rate
        return replace(self, start=start, overlap=overlap, source=source)


def render_piece(stem: Signal, piece: Piece) -> Signal:
    """Stretch one piece of a stem; float32, shape (2, `Piece.length`)."""
    early, wanted = piece.overlap + _SHIFT, piece.length
    lead = 0 if piece.plain else _LEAD_IN
    first = round(piece.source - early * piece.rate) - lead
    count = int(np.ceil(wanted * piece.rate)) + 2 * lead + 1
    source = cut(stem, first, first + count)
    if piece.plain:
        return source[:, :wanted]
    from python_stretch import Signalsmith  # noqa: PLC0415 - the bot's own process has no use for it

    stretcher = Signalsmith.Stretch()
    stretcher.preset(2, float(SAMPLE_RATE))
    stretcher.setTimeFactor(piece.rate)
    if piece.semitones:
        stretcher.setTransposeSemitones(piece.semitones, _TONALITY_LIMIT_HZ / SAMPLE_RATE)
    skip = round(lead / piece.rate)
    stretched: Signal = np.asarray(stretcher.process(source), dtype=np.float32)
    return stretched[:, skip : skip + wanted]


Render: TypeAlias = "Callable[[Signal, Sequence[Piece]], Generator[Signal, None, None]]"
"""Yields the pieces of a stem, rendered, in order."""


def render_in_order(stem: Signal, pieces: Sequence[Piece]) -> Generator[Signal, None, None]:
    """Render one piece after the other."""
    for piece in pieces:
        yield render_piece(stem, piece)


def warp(
    stem: Signal,
    layer: LayerPlan,
    length_s: float,
    on_fraction: OnFraction,
    *,
    keep_formants: bool = False,
    blank: Blank = in_memory,
    render: Render = render_in_order,
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
    blank
        Makes the output.
    render
        Renders the pieces that the stem is divided into.

    Returns
    -------
    Signal
        float32, shape (2, round(length_s * 44100)).
    """
    out = blank(round(length_s * SAMPLE_RATE))
    shaped = keep_formants and layer.semitones != 0.0
    share = 1.0 - _FORMANTS_SHARE if shaped else 1.0
    peaks = _peaks(stem)
    pieces = [p for piece in _pieces(layer, out.shape[1]) for p in _divided(piece, peaks)]
    with closing(render(stem, pieces)) as rendered:
        for piece, sound in zip(pieces, rendered, strict=True):
            _join(out, piece, sound)
            release(stem, out)
            on_fraction(share * piece.stop / out.shape[1])
    if shaped:
        restore_formants(out, layer.semitones, lambda done: on_fraction(share + done * (1 - share)))
    on_fraction(1.0)
    return out


def _pieces(layer: LayerPlan, length: int) -> list[Piece]:
    source = np.asarray(layer.warp.source_s) * SAMPLE_RATE
    target = np.asarray(layer.warp.target_s) * SAMPLE_RATE
    rates = np.diff(source) / np.diff(target)
    # The first and last rate hold beyond the map's ends.
    edges = np.clip([0, *np.round(target[1:-1]), length], 0, length).astype(int)
    pieces: list[Piece] = []
    for (start, stop), rate, s, t in zip(pairwise(edges), rates, source, target, strict=False):
        if stop > start:
            pieces.append(
                Piece(
                    start=start,
                    stop=stop,
                    overlap=min(_OVERLAP, start) if pieces else 0,
                    source=float(s + (start - t) * rate),
                    rate=float(rate),
                    semitones=layer.semitones,
                )
            )
    return pieces


def _peaks(stem: Signal) -> Signal:
    """Return the peak of every grain, 0 where the stem is silent for so long that it is left out.

    The first value is that of `_AFTERMATH` grains before the stem, the last as far behind it.
    """
    peaks = np.zeros(-(-stem.shape[1] // _GRAIN), dtype=np.float32)
    for part, (copy,) in stretches(stem):
        loudest = np.abs(copy).max(axis=0)
        grains = np.maximum.reduceat(loudest, np.arange(0, len(loudest), _GRAIN))
        peaks[part.start // _GRAIN :][: len(grains)] = grains
    peaks = np.pad(peaks, _LEAST_SILENCE)
    silent = scipy.ndimage.binary_opening(peaks < _SILENT, np.ones(_LEAST_SILENCE))
    around = np.ones(2 * _AFTERMATH + 1)
    left_out = scipy.ndimage.binary_erosion(silent, around, border_value=1)
    kept = np.where(left_out, np.float32(0), np.maximum(peaks, np.float32(1e-9)))
    outside = _LEAST_SILENCE - _AFTERMATH
    return kept[outside : len(kept) - outside]


def _divided(piece: Piece, peaks: Signal) -> Iterator[Piece]:
    """Yield the parts of a piece in which there is something to hear."""
    if piece.plain:  # nothing is cheaper than to copy it
        yield from _shortened(piece, peaks)
        return
    low = piece.source - piece.overlap * piece.rate
    high = piece.source + (piece.stop - piece.start) * piece.rate
    grains = np.arange(int(low // _GRAIN), int(high // _GRAIN) + 1)
    heard = _at(peaks, grains) > 0.0
    edges = grains[0] + np.flatnonzero(np.diff(heard, prepend=False, append=False))
    times = np.round(piece.start + (edges * _GRAIN - piece.source) / piece.rate)
    for start, stop in np.clip(times, piece.start, piece.stop).astype(int).reshape(-1, 2).tolist():
        if stop > start:
            part = piece if start == piece.start else piece.after(start, 0)
            yield from _shortened(replace(part, stop=stop), peaks)


def _shortened(piece: Piece, peaks: Signal) -> Iterator[Piece]:
    """Divide a long piece where it is quietest."""
    while piece.stop - piece.start > _LONGEST:
        earliest = piece.source + (_LONGEST - _CHOICE) * piece.rate
        latest = piece.source + _LONGEST * piece.rate
        grains = np.arange(int(earliest // _GRAIN) + 1, int(latest // _GRAIN) + 1)
        before = grains - 1 - np.arange(_OVERLAP // _GRAIN)[:, None]
        quietest = grains[int((_at(peaks, before) ** 2).sum(axis=0).argmin())]
        joint = piece.start + round((quietest * _GRAIN - piece.source) / piece.rate)
        yield replace(piece, stop=joint)
        piece = piece.after(joint, 0 if piece.plain else _OVERLAP)
    yield piece


def _at(peaks: Signal, grains: npt.NDArray[np.int64]) -> Signal:
    """Look up the peaks of grains of the stem; 0 outside of it."""
    index = grains + _AFTERMATH
    inside = (index >= 0) & (index < len(peaks))
    found = peaks[np.where(inside, index, 0)]
    return np.asarray(np.where(inside, found, np.float32(0)))


def _join(out: Signal, piece: Piece, rendered: Signal) -> None:
    """Write a piece, crossfaded with what is there, where its waveform fits best."""
    begin = piece.start - piece.overlap
    length = piece.stop - begin
    if not piece.overlap:
        out[:, begin : piece.stop] = rendered[:, _SHIFT : _SHIFT + length]
        return
    old = out[:, begin : piece.start].copy()
    shift, likeness = _best_fit(old, rendered)
    new = rendered[:, shift : shift + length]
    angle = 0.5 * np.pi * (np.arange(piece.overlap, dtype=np.float32) + 0.5) / piece.overlap
    fade_out, fade_in = np.cos(angle), np.sin(angle)
    # Two signals that are alike add up to more than two that are not: keep the power level.
    level = np.sqrt(1.0 + 2.0 * max(likeness, -0.5) * fade_out * fade_in)
    out[:, begin : piece.stop] = new
    out[:, begin : piece.start] = old * (fade_out / level) + new[:, : piece.overlap] * (
        fade_in / level
    )


def _best_fit(old: Signal, rendered: Signal) -> tuple[int, float]:
    """Offset at which a piece is most like what it is joined to, and the correlation there."""
    width = old.shape[1]
    new = rendered[:, : width + 2 * _SHIFT].astype(np.float64)
    power = float(np.sum(old.astype(np.float64) ** 2))
    products = sum(np.correlate(theirs, ours) for theirs, ours in zip(new, old, strict=True))
    sums = np.cumsum(np.pad((new**2).sum(axis=0), (1, 0)))
    scores = products / np.sqrt(power * (sums[width:] - sums[:-width]) + 1e-12)
    # In a pause nothing needs to move; of equally good offsets the nearest moves the least.
    steps = np.arange(0, 2 * _SHIFT + 1, 2)
    steps = steps[np.argsort(np.abs(steps - _SHIFT), kind="stable")]
    if power / old.size < _QUIET**2 * float(np.mean(rendered**2)):
        steps = steps[:1]
    best = int(steps[scores[steps].argmax()])
    return best, float(scores[best])
