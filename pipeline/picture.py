"""The picture that goes with a mash-up, and one of a single song's spectrogram.

Drawn to be read at a third of its size, as a chat shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import librosa
import numpy as np
import numpy.typing as npt
import scipy.fft
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.transforms import IdentityTransform

from pipeline import reasons
from pipeline.meeting import SURE
from pipeline.names import clock
from pipeline.sheet import HEIGHT, LEFT, MARGIN, MUTED, PANEL, RIGHT, TEXT, WIDTH, Sheet, drawable
from pipeline.tapes import release
from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from pipeline.layers import Layers
    from pipeline.tapes import Sound
    from pipeline.types import BeatGrid, LayerPlan, MergeResult, SongFacts

    Levels: TypeAlias = npt.NDArray[np.float32]

VOCALS, BACKING = "#ff8fa3", "#4cc9f0"
_VOCALS_PEAK, _BACKING_PEAK = "#ff5c7a", "#2fa8d5"
_LINES = ("#2c3147", "#4a5170", "#7079a2")  # beats, bars, phrases
_HEAT = (PANEL, "#2d2a5f", "#7a3a98", "#e2557f", "#ffb07a", "#fff3d6")

WAVES, MIX = (244, 450), (458, 624)
"""Rows of the card's panels: the first, and the one after the last, in pixels."""

RULER, SONG = (138, 164), (168, 624)
"""The same of the spectrogram's."""

NEAREST_LINES = 10.0
"""Pixels; lines of the beat grid that would stand closer are left out."""

PHRASE_BARS = 4

LOW_HZ, HIGH_HZ, RANGE_DB = 40.0, 16_000.0, 60.0
"""What of a spectrum is shown."""

_FRAME = 4096  # samples, 93 ms: bass notes need as much to be told apart
_MOST_FRAMES = 4  # of a column; in a long song they are samples of what it covers
_COLUMNS_AT_ONCE = 32
_SHADES = 24  # few enough to keep the file small, enough to look smooth
_BEND = 0.75  # a mastered song would be a thin line with a few spikes otherwise
_TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)
_MOST_TICKS = 9


def draw_card(result: MergeResult, layers: Layers, path: Path) -> Path:
    """Draw a mash-up as a card: songs, keys, tempo, both layers on their beats, the mix.

    Parameters
    ----------
    result
        What the merge decided and measured; the beats drawn are ``result.grids["backing"]``.
    layers
        The two layers as they are mixed; they are read in short stretches.
    path
        The PNG file to write; one that is there is replaced.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    length_s = _length_s(layers.vocals)
    sheet = Sheet()
    _write_header(sheet, result)
    waves = sheet.panel(WAVES, length_s)
    _draw_lines(waves, result.grids["backing"], _LINES, length_s)
    _draw_waves(waves, layers, length_s)
    _mark_entry(sheet, result.plan.voice_enters_s, length_s)
    # Cells of two by two pixels look the same in a chat and halve the file.
    bands, columns = (MIX[1] - MIX[0]) // 2, (RIGHT - LEFT) // 2
    levels = mel_levels((layers.vocals, layers.backing), columns, bands)
    _draw_heat(sheet.panel(MIX, length_s), levels, length_s)
    _write_times(sheet, length_s)
    for row, word, colour in (
        (296, "vocals", VOCALS),
        (398, "backing", BACKING),
        (541, "mix", TEXT),
    ):
        sheet.write(word, LEFT - 14, row, size=24, colour=colour, align="right")
    return sheet.save(path)


def draw_spectrogram(samples: Sound, title: str, path: Path, grid: BeatGrid | None = None) -> Path:
    """Draw the mel spectrogram of one song, with its beats and bars where they are known.

    Parameters
    ----------
    samples
        The song, shape (2, n).
    title
        What to write above it.
    path
        The PNG file to write; one that is there is replaced.
    grid
        Its beats, in seconds from its start.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    length_s = _length_s(samples)
    sheet = Sheet()
    sheet.write_title(drawable(title, "one song"), MARGIN, 62, colour=TEXT, end=RIGHT)
    facts = [clock(length_s)]
    if grid is not None:
        facts.append(f"{grid.bpm:.0f} BPM" if grid.beats_s else "no beat found")
        _draw_lines(sheet.panel(RULER, length_s), grid, (_LINES[1], MUTED, TEXT), length_s)
    sheet.write(" · ".join(facts), MARGIN, 108, size=28, colour=MUTED)
    height = 3
    bands = (SONG[1] - SONG[0]) // height
    levels = mel_levels((samples,), RIGHT - LEFT, bands)
    _draw_heat(sheet.panel(SONG, length_s), levels, length_s)
    _write_times(sheet, length_s)
    centres = librosa.mel_frequencies(bands + 2, fmin=LOW_HZ, fmax=HIGH_HZ)[1:-1]
    for hertz, word in ((100, "100 Hz"), (1000, "1 kHz"), (4000, "4 kHz"), (10_000, "10 kHz")):
        row = SONG[1] - height * (float(np.interp(hertz, centres, np.arange(bands))) + 0.5)
        sheet.write(word, LEFT - 14, row, size=24, colour=MUTED, align="right")
    return sheet.save(path)


def layer_words(song: SongFacts, layer: LayerPlan) -> str:
    """Say what a layer brings and what was done to it: "A minor · 4 % faster · own pitch"."""
    key = str(song.key) if song.key and song.key.confidence >= SURE else "key unclear"
    tempo = reasons.change(layer.stretch)
    pitch = reasons.semitones(layer.semitones) if round(layer.semitones) else "own pitch"
    return f"{key} · {'own tempo' if tempo == 'as it is' else tempo} · {pitch}"


def time_ticks(length_s: float) -> list[float]:
    """Return round times in seconds for a time axis, at most nine, from 0 on."""
    step = next((s for s in _TICKS_S if length_s / s < _MOST_TICKS), _TICKS_S[-1])
    # A label at the very end would stick out of the panel.
    return [float(t) for t in np.arange(0.0, max(0.98 * length_s, 1e-3), step)]


def line_times(grid: BeatGrid, length_s: float) -> tuple[tuple[float, ...], ...]:
    """Return the beats, bars and phrases that have room in a panel, in seconds each.

    A kind whose lines would stand too close to each other is empty.
    """
    kinds = (grid.beats_s, grid.downbeats_s, grid.downbeats_s[::PHRASE_BARS])
    least_s = NEAREST_LINES * length_s / (RIGHT - LEFT)
    return tuple(
        tuple(t for t in times if 0 <= t < length_s)
        if len(times) < 2 or float(np.median(np.diff(times))) >= least_s
        else ()
        for times in kinds
    )


def column_levels(samples: Sound, columns: int) -> tuple[Levels, Levels]:
    """Return the peak and the root mean square of each column of a waveform.

    Parameters
    ----------
    samples
        Shape (2, n).
    columns
        How many columns the whole is divided into.
    """
    edges = np.linspace(0, samples.shape[1], columns + 1).astype(int)
    peak, rms = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    for first in range(0, columns, _COLUMNS_AT_ONCE):
        some = slice(first, min(first + _COLUMNS_AT_ONCE, columns))
        start = edges[some.start]
        # In a sound of fewer samples than columns, neighbours show the same sample.
        part = samples[:, start : max(edges[some.stop], edges[some.stop - 1] + 1)]
        release(samples)
        if not part.size:
            break
        at = edges[some] - start
        peak[some] = np.maximum.reduceat(np.abs(part).max(axis=0), at)
        counts = np.maximum(np.diff(np.append(at, part.shape[1])), 1)
        rms[some] = np.sqrt(np.add.reduceat(np.square(part).mean(axis=0), at) / counts)
    return peak, rms


def mel_levels(parts: Sequence[Sound], columns: int, bands: int) -> Levels:
    """Return the mel spectrogram of a sum of signals, in dB below its strongest moment.

    Only as many frames are transformed as the picture can show: the work and the memory are the
    same for a song of any length.

    Parameters
    ----------
    parts
        Sounds of shape (2, n) that are heard together.
    columns
        How many columns the whole is divided into.
    bands
        How many mel bands 40 Hz to 16 kHz are divided into.

    Returns
    -------
    Levels
        Shape (bands, columns), from low to high; in [-60, 0], and -60 throughout for silence.
    """
    length = parts[0].shape[1]
    hop = length / columns
    each = int(np.clip(np.ceil(hop / _FRAME), 1, _MOST_FRAMES))
    starts = ((np.arange(columns * each) + 0.5) * hop / each - _FRAME / 2).astype(int)
    window = np.hanning(_FRAME).astype(np.float32)
    bank = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=_FRAME, n_mels=bands, fmin=LOW_HZ, fmax=HIGH_HZ, norm=None
    )
    spectra = np.zeros((columns, _FRAME // 2 + 1), np.float32)
    for column, some in enumerate(starts.reshape(columns, each)):
        frames = _frames(parts, some) * window
        spectra[column] = np.square(np.abs(scipy.fft.rfft(frames))).mean(axis=0)
        release(*parts)
    power = bank @ spectra.T
    if not power.any():
        return np.full_like(power, -RANGE_DB)
    decibels = 10.0 * np.log10(np.maximum(power / power.max(), 1e-12))
    return np.asarray(np.maximum(decibels, -RANGE_DB), np.float32)


def _frames(parts: Sequence[Sound], starts: npt.NDArray[np.int64]) -> Levels:
    """Return the frames of a mix in mono that begin at some samples, shape (frames, samples)."""
    first, last = int(starts[0]), int(starts[-1])
    if last - first > len(starts) * _FRAME:  # far apart: what lies between is not read
        return np.concatenate(
            [_frames(parts, starts[number:][:1]) for number in range(len(starts))]
        )
    stretch = _stretch(parts, first, last + _FRAME)
    return np.asarray([stretch[start:][:_FRAME] for start in (starts - first).tolist()])


def _stretch(parts: Sequence[Sound], start: int, stop: int) -> Levels:
    """Return a stretch of a mix in mono; beyond its ends it is silent."""
    out = np.zeros(stop - start, np.float32)
    low, high = max(0, start), max(0, min(parts[0].shape[1], stop))
    for part in parts:
        left, right = part[:, low:high]
        out[low - start : high - start] += (left + right) / np.float32(2)
    return out


def _length_s(samples: Sound) -> float:
    return max(1, samples.shape[1]) / SAMPLE_RATE


def _draw_lines(axes: Axes, grid: BeatGrid, colours: tuple[str, str, str], length_s: float) -> None:
    """Draw beats, bars and phrases; a line of a greater kind hides those of the smaller."""
    across = axes.get_xaxis_transform()
    for depth, times in enumerate(line_times(grid, length_s)):
        axes.vlines(
            times,
            0,
            1,
            colors=colours[depth],
            linewidth=2.0 if depth == 2 else 1.0,
            zorder=depth / 10,
            transform=across,
        )


def _draw_waves(axes: Axes, layers: Layers, length_s: float) -> None:
    """Draw the vocals upward and the backing downward from one line, each to its own scale."""
    columns = RIGHT - LEFT
    times = (np.arange(columns) + 0.5) * length_s / columns
    axes.set_ylim(-1.04, 1.04)
    for samples, way, pale, full in (
        (layers.vocals, 1, _VOCALS_PEAK, VOCALS),
        (layers.backing, -1, _BACKING_PEAK, BACKING),
    ):
        peak, rms = column_levels(samples, columns)
        scale = max(float(peak.max()), 1e-4)  # -80 dBFS: residue is not blown up
        for levels, colour, alpha, depth in ((peak, pale, 0.55, 2), (rms, full, 1.0, 3)):
            height = way * (levels / scale) ** _BEND
            axes.fill_between(
                times, 0, height, color=colour, alpha=alpha, linewidth=0, zorder=depth
            )


def _draw_heat(axes: Axes, levels: Levels, length_s: float) -> None:
    axes.imshow(
        levels,
        cmap=LinearSegmentedColormap.from_list("heat", _HEAT, N=_SHADES),
        vmin=-RANGE_DB,
        vmax=0.0,
        origin="lower",
        aspect="auto",
        extent=(0.0, length_s, 0.0, 1.0),
        interpolation="nearest",
    )


def _mark_entry(sheet: Sheet, enters_s: float, length_s: float) -> None:
    """Point at the moment of the voice's entry from above the waveforms, in words."""
    x = LEFT + min(1.0, max(0.0, enters_s / length_s)) * (RIGHT - LEFT)
    ends = (HEIGHT - sum(WAVES) / 2, HEIGHT - WAVES[0] + 18)
    sheet.add(Line2D([x, x], ends, color=TEXT, linewidth=2.5, transform=IdentityTransform()))
    words = f"voice enters {clock(enters_s)}"
    if x < WIDTH / 2:
        sheet.write(words, x + 12, 226, size=24, colour=VOCALS)
    else:
        sheet.write(words, x - 12, 226, size=24, colour=VOCALS, align="right")


def _write_header(sheet: Sheet, result: MergeResult) -> None:
    """Write the titles, each with what was done to the song, and what they make together."""
    plan = result.plan
    beats = bool(result.grids["backing"].beats_s) and plan.bpm > 0
    tempo = f"{plan.bpm:.0f} BPM" if beats else "no beat"
    big = sheet.write(tempo, RIGHT, 62, size=56, colour=TEXT, bold=True, align="right")
    lufs = result.loudness.integrated_lufs
    # DejaVu's hyphen is too short for a minus sign.
    loudness = f"{lufs:.0f} LUFS".replace("-", "\N{MINUS SIGN}") if np.isfinite(lufs) else "silent"
    sums = f"{clock(plan.length_s)} · {loudness}"
    sheet.write(sums, RIGHT, 112, size=28, colour=MUTED, align="right")

    end = big.get_window_extent().x0 - 30
    voice = drawable(result.vocals.title, "first song")
    sheet.write_title(voice, MARGIN, 56, colour=VOCALS, end=end)
    sheet.write(layer_words(result.vocals, plan.vocals), MARGIN, 98, size=28, colour=TEXT)
    over = sheet.write("over", MARGIN, 148, size=36, colour=MUTED).get_window_extent()
    beat = drawable(result.backing.title, "second song")
    sheet.write_title(beat, over.x1 + 14, 148, colour=BACKING, end=RIGHT)
    sheet.write(layer_words(result.backing, plan.backing), MARGIN, 190, size=28, colour=TEXT)


def _write_times(sheet: Sheet, length_s: float) -> None:
    for time_s in time_ticks(length_s):
        x = LEFT + time_s / length_s * (RIGHT - LEFT)
        sheet.write(clock(time_s), x, 646, size=24, colour=MUTED, align="center")
