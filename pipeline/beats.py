"""Song to beat grid: where the pulse is, to a few milliseconds, and where the bars begin.

Beats are tracked on the full mix, never on a stem (arXiv 2208.14578). A small network says how
likely each moment is a beat or a downbeat (`pipeline.neural_beats`), onset strength in three bands
how much begins there; `pipeline.beat_search` finds the chain of beats. Its 10 ms steps are then
refined on a finer onset curve. A song made to a click gets one straight line through all its beats;
any other is smoothed by local parabolas, which removes the jitter and keeps the drift. Bars are
`pipeline.bars`'s.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from pipeline.bars import bar_features, find_bars, starts_between_beats
from pipeline.beat_search import FASTEST_BPM, SLOWEST_BPM, search_beats
from pipeline.mono import RATE, level_of, narrow
from pipeline.neural_beats import FPS, beat_activations
from pipeline.onsets import LOUDEST, Onsets, onset_at, onset_bands
from pipeline.types import BeatGrid

if TYPE_CHECKING:
    from pipeline.bars import Features
    from pipeline.mono import Mono
    from pipeline.neural_beats import Activations
    from pipeline.onsets import Curve
    from pipeline.types import OnFraction, Signal

Array: TypeAlias = npt.NDArray[np.float64]

METHODS = ("auto", "neural", "onsets", "librosa")
"""Ways to look for the pulse."""

_HOP = 220  # 10 ms: coarse enough for a fast search; the refinement makes up for it
_FINE_HOP = 55  # 2.5 ms
_WINDOW = 1024  # 46 ms: still separates a bass note from its neighbour
_FINE_WINDOW = 512  # 23 ms

# Chosen on songs with known beats (`python -m benchmarks.beats`).
_STANDSTILL = 0.01  # held tones move by 0.003 at most, solo singers by 0.03 at least
_OFF_BEAT = 0.53  # share of the other beats' accent; songs in quarters have 0.55 at least
# Mean log-odds of beats, of every second one, and of the times between.
_LIMP, _STILLNESS = 3.4, 0.4  # difference of the feet, and the share of the log-odds between
_SURE, _AS_SURE = 1.0, 0.6  # how sure, and how nearly as sure, there are beats between
_CLEARLY = 1.0  # surer between the beats than on them
_LIBROSA_LATE_S = 0.04  # median over 34 songs with known beats


def track_beats(
    samples: Signal | Mono, method: str = "auto", on_fraction: OnFraction = lambda _: None
) -> BeatGrid:
    """Find the beats and bars of a song.

    Parameters
    ----------
    samples
        The full mix: float32, shape (2, n), 44 100 Hz, or what `pipeline.mono.narrow` makes of it.
    method
        Who looks for the pulse: "neural" is the network together with onsets, "onsets" this
        module without the network, "librosa" librosa's tracker (Ellis 2007), "auto" what is best:
        the network. Refinement is the same for all.
    on_fraction
        Told the share of the work that is done, in [0, 1]; what it raises passes through.

    Returns
    -------
    BeatGrid
        Empty when there is no pulse: silence, or less than about two seconds of sound.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    if method not in METHODS:
        raise ValueError(
            f"There is no way to find beats named {method}: use {' or '.join(METHODS)}."
        )
    mono = narrow(samples)
    if mono.shape[0] < 2 * RATE or not level_of(mono):
        return BeatGrid()
    coarse = onset_bands(mono, _HOP, _WINDOW)
    if coarse.movement < _STANDSTILL:
        return BeatGrid()
    on_fraction(0.15)
    heard = beat_activations(mono) if method in ("auto", "neural") else None
    on_fraction(0.4)
    rough = _librosa_beats(mono) if method == "librosa" else _chain(coarse, heard)
    if len(rough) < 4:
        return BeatGrid()
    on_fraction(0.65)
    duration_s = mono.shape[0] / RATE
    beats = _refine(rough, onset_bands(mono, _FINE_HOP, _FINE_WINDOW), duration_s)
    on_fraction(0.85)
    features = bar_features(mono)
    if heard is None:
        beats = _without_off_beats(beats, coarse)
        beats = _on_the_beat(beats, coarse, features, duration_s)
    else:
        beats = _as_heard(beats, heard.beat, duration_s)
    openings = None if heard is None else _chance_at(beats, heard.downbeat)
    beats_per_bar, first = find_bars(beats, onset_at(beats, coarse), features, openings)
    return BeatGrid(
        beats_s=tuple(beats.tolist()),
        downbeats_s=tuple(beats[first::beats_per_bar].tolist()),
        bpm=float(60.0 / np.median(np.diff(beats))),
        beats_per_bar=beats_per_bar,
        confidence=_confidence(beats, coarse),
    )


def _chain(bands: Onsets, heard: Activations | None) -> Array:
    """Beats to within 10 ms or so; in seconds."""
    onset, chance = np.minimum(bands.mixed, LOUDEST), None
    if heard is not None:
        at_s = np.arange(len(onset)) / bands.fps
        chance = np.interp(at_s, np.arange(len(heard.beat)) / FPS, heard.beat).astype(np.float32)
    return search_beats(onset, bands.fps, chance) / bands.fps


def _chance_at(beats: Array, chance: Curve) -> Array:
    """Highest chance within 30 ms of each beat; shape (beats,)."""
    near = scipy.ndimage.maximum_filter1d(chance.astype(np.float64), 3)
    frames = np.round(beats * FPS).astype(int)
    return np.asarray(near[np.clip(frames, 0, len(near) - 1)])


def _librosa_beats(mono: Mono) -> Array:
    """Beats as librosa finds them, moved back by its lateness; in seconds."""
    import librosa  # noqa: PLC0415 - half a second that only the tracker needs to pay

    # Two processes that fill numba's cache at the same time can both crash: take turns.
    with Path(librosa.beat.__file__).open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        beats = librosa.beat.beat_track(y=mono, sr=RATE, trim=False, units="time")[1]
    return np.asarray(beats, dtype=np.float64) - _LIBROSA_LATE_S


def _refine(beats: Array, fine: Onsets, duration_s: float) -> Array:
    """Move beats onto the onsets beside them, then straighten or smooth them; strictly rising.

    An onset within 35 ms counts by its strength. Onsets far from where the neighbours expect them
    are somebody's syncopation: they count less in each round.
    """
    reach = round(0.035 * fine.fps)
    steps = np.arange(-reach, reach + 1)
    near = np.round(beats * fine.fps).astype(int)[:, None] + steps
    # Not capped: the top of a cut-off peak would be wherever the search thought it was.
    mixed = fine.mixed
    curve = np.pad(mixed, reach + 1)[np.clip(near + reach + 1, 0, len(mixed) + reach)]
    curve = curve * np.cos(0.5 * np.pi * steps / (reach + 1))
    times = beats + steps[curve.argmax(axis=1)] / fine.fps
    clarity = np.minimum(curve.max(axis=1), LOUDEST) + 0.05
    straight = _click_track(times, clarity, duration_s)
    trust = clarity
    for _ in range(3):
        smooth = _smoothed(times, trust)
        trust = clarity / (1.0 + ((times - smooth) / 0.010) ** 2)
    rising = np.concatenate([[True], np.diff(np.maximum.accumulate(smooth)) > 0.05])
    smooth = smooth[rising & (smooth >= 0) & (smooth < duration_s)]
    return straight if _follows(smooth, straight, fine) else smooth


def _follows(beats: Array, straight: Array, fine: Onsets) -> bool:
    """Whether a song keeps to a click track.

    Its onsets then meet the straight grid as well as the wandering one. Where they do not, a
    tempo of whole beats a minute still tells that the song was made in a workstation, if its
    beats follow the grid loosely; beats on the half count as well, because in a passage of
    off-beats the search may change foot.
    """
    period = float(straight[1] - straight[0])
    away = np.abs((beats - straight[0] + period / 4) % (period / 2) - period / 4)
    if (away < 0.040).mean() <= 0.85 or (away < 0.020).mean() <= 0.6:
        return False
    strong = _strength_at(straight, fine) >= 0.93 * _strength_at(beats, fine)
    return strong or abs(60.0 / period - round(60.0 / period)) < 0.03


def _strength_at(beats: Array, fine: Onsets) -> float:
    """Mean of the strongest onset within 10 ms of each beat."""
    near = scipy.ndimage.maximum_filter1d(fine.mixed, 2 * round(0.010 * fine.fps) + 1)
    return float(near[np.clip(np.round(beats * fine.fps).astype(int), 0, len(near) - 1)].mean())


def _click_track(times: Array, clarity: Array, duration_s: float) -> Array:
    """Beats of a song made to a click: one line through all times, over the whole song.

    Grown outwards from the middle, so that a search which lost its way in a quiet intro neither
    bends the line nor adds or drops a beat.
    """
    middle, reach = len(times) // 2, 8
    origin, period = times[middle], float(np.median(np.diff(times)))
    while True:
        part = slice(max(0, middle - reach), middle + reach + 1)
        near, weight = times[part], clarity[part]
        for _ in range(4):
            beat = np.round((near - origin) / period)
            trust = weight / (1.0 + ((near - origin - beat * period) / 0.010) ** 2)
            period, origin = np.polyfit(beat, near, 1, w=np.sqrt(trust))
        if reach > len(times):
            break
        reach *= 2
    # A beat that starts the song may be found a little before it.
    first = np.ceil((-0.05 * period - origin) / period)
    last = np.floor((duration_s - origin) / period)
    return np.asarray(np.maximum(0.0, origin + np.arange(first, last + 1) * period))


def _smoothed(times: Array, trust: Array, spread: float = 4.0) -> Array:
    """Value at each beat of the parabola through its neighbours, weighted by a Gaussian over beats.

    A line would cut the corners of a tempo that wanders, by tens of milliseconds in a slow song.
    """
    steps = np.arange(-12, 13)
    near = np.arange(len(times))[:, None] + steps
    inside = (near >= 0) & (near < len(times))
    near = np.clip(near, 0, len(times) - 1)
    weight = inside * trust[near] * np.exp(-0.5 * (steps / spread) ** 2)
    # Weighted least squares of all beats at once; what counts of each solution is its constant.
    powers = (steps[:, None] / spread) ** np.arange(3)
    normal = np.einsum("bs,si,sj->bij", weight, powers, powers)
    away = np.einsum("bs,bs,si->bi", weight, times[near] - times[:, None], powers)
    return np.asarray(times + np.linalg.solve(normal, away[:, :, None])[:, 0, 0])


def _without_off_beats(beats: Array, bands: Onsets) -> Array:
    """Drop every second beat of a slow song that was tracked in eighths.

    In a ballad with eighths on the hi-hat the off-beats stand out in no band by themselves, but
    kick, snare and chords leave them alone.
    """
    accent = onset_at(beats, bands)[:2].sum(axis=0)
    halves = accent[0::2].mean(), accent[1::2].mean()
    period = float(np.median(np.diff(beats)))
    if len(beats) < 8 or min(halves) >= _OFF_BEAT * max(halves):
        return beats
    if 2.0 * period > 60.0 / SLOWEST_BPM:
        return beats
    return beats[int(np.argmax(halves)) :: 2]


def _on_the_beat(beats: Array, bands: Onsets, features: Features, duration_s: float) -> Array:
    """Move to the other foot where a fast song was tracked on two and four.

    At 190 BPM a beat of 95 is as good, but it must hold the downbeats.
    """
    period = float(np.median(np.diff(beats)))
    if len(beats) < 8 or 0.5 * period < 60.0 / FASTEST_BPM:
        return beats
    halves = np.sort(np.concatenate([beats, beats[:-1] + 0.5 * np.diff(beats)]))
    if not starts_between_beats(halves, onset_at(halves, bands), features):
        return beats
    return _moved(beats, duration_s)


def _moved(beats: Array, duration_s: float) -> Array:
    """Return the times halfway between the beats, one before the first and one after the last."""
    period = float(np.median(np.diff(beats)))
    ends = np.asarray([beats[0] - 0.5 * period, beats[-1] + 0.5 * period])
    moved = np.concatenate([ends[:1], beats[:-1] + 0.5 * np.diff(beats), ends[1:]])
    return np.asarray(moved[(moved >= 0) & (moved < duration_s)])


def _as_heard(beats: Array, chance: Curve, duration_s: float) -> Array:
    """Count twice or half as fast, or move to the other foot, where the network clearly says so.

    The search goes by onsets first, since the network's word on single beats is weak in music
    unlike any that it has learnt from; over a whole song it tells which beats are meant.
    """
    if len(beats) < 8:
        return beats
    period = float(np.median(np.diff(beats)))
    between = _moved(beats, duration_s)
    word, other = _odds(_chance_at(beats, chance)), float(_odds(_chance_at(between, chance)).mean())
    feet = float(word[0::2].mean()), float(word[1::2].mean())
    if other > max(word.mean() - _AS_SURE, _SURE) and 0.5 * period >= 60.0 / FASTEST_BPM:
        return np.sort(np.concatenate([beats, between]))
    if other > max(word.mean() + _CLEARLY, _SURE):
        return between
    # The surer it is that nothing is between, the closer this is to music that it knows.
    if abs(feet[0] - feet[1]) - _STILLNESS * other > _LIMP and 2.0 * period <= 60.0 / SLOWEST_BPM:
        return beats[int(np.argmax(feet)) :: 2]
    return beats


def _odds(chance: Array) -> Array:
    """Log-odds, of which no beat has more than five."""
    return np.asarray(np.clip(np.log(chance + 1e-6) - np.log1p(1e-6 - chance), -5.0, 5.0))


def _confidence(beats: Array, bands: Onsets) -> float:
    """Onset strength on the beats against the mean of the rest, squeezed into [0, 1]."""
    on_beat = float(onset_at(beats, bands).mean())
    anywhere = float(np.minimum(bands.onset, LOUDEST).mean())
    return float(np.clip(1.0 - anywhere / (on_beat + 1e-9), 0.0, 1.0))
