"""Real singing for training: the vocal parts of two songs, cut into clips and varied.

The parts are those of "Hydrogen" and "Francium" by Software-Entwicklungskit (CC0).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr

from pipeline.types import SAMPLE_RATE
from training.clips import CLIP_S, CLIP_SAMPLES, FIRST_REAL_SEED, render_missing
from training.effects import chorus, compress, echo, equalise, filtered, pan, room_reverb, saturate
from training.singers.vocoder import FRAME_S, synthesise
from training.singers.voices import set_level

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from pipeline.types import Signal

    Mono = npt.NDArray[np.float32]

_STREAM = 78
_HOP_S = 10.0  # clips overlap: the seams between the parts' pieces fall elsewhere in each
_SHORTEST_S = 4.0
_LEAD = "vox_lead"
_COPIES, _LEAD_COPIES = 1, 3  # leads are what most songs hold
_FFT = 2048
_EFFECTS: tuple[tuple[str, float, Callable[[Signal, np.random.Generator], Signal]], ...] = (
    ("equalised", 0.6, equalise),
    ("compressed", 0.3, compress),
    ("saturated", 0.12, saturate),
    ("chorus", 0.15, chorus),
    ("echo", 0.2, echo),
    ("reverb", 0.5, room_reverb),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A passage of a part, and whether it is left as it is.

    Attributes
    ----------
    path
        The part's file.
    start_s
        Where the passage begins.
    copy
        0 is the recording itself, higher numbers are variations.
    """

    path: Path
    start_s: float
    copy: int


def list_cuts(folder: Path) -> list[Cut]:
    """Return every clip that the vocal parts under a folder give, originals first.

    Parameters
    ----------
    folder
        Holds one folder a song, with .ogg files; those named accompaniment are left out.

    Raises
    ------
    FileNotFoundError
        When there is no vocal part.
    """
    parts = [p for p in sorted(folder.glob("*/*.ogg")) if not p.stem.startswith("accompaniment")]
    if not parts:
        raise FileNotFoundError(f"There are no vocal parts in {folder}.")
    cuts = []
    for path in parts:
        length_s = soundfile.info(path).duration
        starts = np.arange(0.0, max(length_s - _SHORTEST_S, 0.1), _HOP_S)
        copies = _LEAD_COPIES if path.stem == _LEAD else _COPIES
        cuts += [
            Cut(path=path, start_s=float(start), copy=copy)
            for start in starts
            for copy in range(copies + 1)
        ]
    return sorted(cuts, key=lambda cut: (cut.copy, cut.path, cut.start_s))


def real_voice_clips(folder: Path, directory: Path, processes: int = 1) -> int:
    """Cut and vary real singing; return how many clips were written.

    Parameters
    ----------
    folder
        See `list_cuts`.
    directory
        voices/ in it is written, seeds from `training.clips.FIRST_REAL_SEED` on.
    processes
        How many at a time.

    Raises
    ------
    FileNotFoundError
        When there is no vocal part.
    """
    render = _Render(tuple(list_cuts(folder)))
    seeds = range(FIRST_REAL_SEED, FIRST_REAL_SEED + len(render.cuts))
    return render_missing(directory / "voices", seeds, render, processes=processes)


@dataclass(frozen=True, slots=True)
class _Render:
    """What makes a clip from its seed; a value, so that other processes can be given it."""

    cuts: tuple[Cut, ...]

    def __call__(self, seed: int) -> tuple[Signal, dict[str, Any]]:
        cut = self.cuts[seed - FIRST_REAL_SEED]
        return render_cut(cut, seed)


def render_cut(cut: Cut, seed: int) -> tuple[Signal, dict[str, Any]]:
    """Return a clip of real singing and its facts (see `training.singers.voices.render_voice`)."""
    rng = np.random.default_rng([_STREAM, seed])
    start = int(cut.start_s * SAMPLE_RATE)
    # A little more than a clip, for those that are played faster.
    samples, _ = soundfile.read(
        cut.path, start=start, frames=int(1.3 * CLIP_SAMPLES), dtype="float32", always_2d=True
    )
    sound = np.ascontiguousarray(np.broadcast_to(samples.T, (2, len(samples))))
    done: list[str] = []
    if cut.copy:
        sound, done = vary(sound, rng)
    sound = np.pad(sound, ((0, 0), (0, max(0, CLIP_SAMPLES - sound.shape[1]))))
    return set_level(_fade(sound[:, :CLIP_SAMPLES])), {
        "seed": seed,
        "kind": "real",
        "source": [f"{cut.path.parent.name}/{cut.path.stem}", *done],
        "backing": None,
        "notes": [],
    }


def vary(sound: Signal, rng: np.random.Generator) -> tuple[Signal, list[str]]:
    """Return a recording at another pitch, speed, place or in another room, and what was done."""
    done = []
    ways = ["resampled", "resung", "kept"]
    way = str(rng.choice(ways, p=[0.6, 0.2, 0.2]))
    if way == "resampled":  # pitch, formants and tempo together, as on tape
        semitones = float(rng.uniform(-4, 4))
        sound = _resample(sound, 2 ** (semitones / 12))
        done.append(f"resampled {semitones:+.1f}")
    elif way == "resung":
        semitones, formants = float(rng.uniform(-5, 5)), float(rng.uniform(0.85, 1.18))
        speed = float(rng.uniform(0.85, 1.18))
        sound = _resing(sound, semitones=semitones, formants=formants, speed=speed)
        done.append(f"resung {semitones:+.1f} formants {formants:.2f} speed {speed:.2f}")
    if rng.random() < 0.3:
        double = _resample(sound, 2 ** (float(rng.normal(0, 12)) / 1200))
        late = int(rng.uniform(0.008, 0.03) * SAMPLE_RATE)
        double = np.pad(double, ((0, 0), (late, 0)))[:, : sound.shape[1]]
        double = np.pad(double, ((0, 0), (0, sound.shape[1] - double.shape[1])))
        level = np.float32(rng.uniform(0.3, 0.9))
        sound = sound + level * pan(double, float(rng.uniform(-1, 1)))
        done.append("doubled")
    for name, chance, effect in _EFFECTS:
        if rng.random() < chance:
            sound = effect(sound, rng)
            done.append(name)
    if rng.random() < 0.06:
        sound = filtered(sound, low_hz=400.0, high_hz=3500.0, order=4)
        done.append("telephone")
    if rng.random() < 0.2:
        sound = pan(sound, float(rng.uniform(-0.9, 0.9)))
        done.append("panned")
    return sound.astype(np.float32), done


def _resample(sound: Signal, ratio: float) -> Signal:
    out = soxr.resample(np.ascontiguousarray(sound.T), SAMPLE_RATE * ratio, SAMPLE_RATE)
    return np.ascontiguousarray(out.T, dtype=np.float32)


def _resing(sound: Signal, *, semitones: float, formants: float, speed: float) -> Signal:
    """Move pitch, formants and tempo on their own; a wide part keeps its sides."""
    import pyworld  # noqa: PLC0415 - training only; the rest of this module works without

    sides = sound[:1] if np.allclose(sound[0], sound[1], atol=1e-3) else sound
    out = []
    for side in sides:
        samples = side.astype(np.float64) + 1e-7 * np.cos(np.arange(len(side)))
        rough, times = pyworld.dio(samples, SAMPLE_RATE, f0_floor=65, f0_ceil=900)
        pitch = pyworld.stonemask(samples, rough, times, SAMPLE_RATE)
        power = pyworld.cheaptrick(samples, pitch, times, SAMPLE_RATE, fft_size=_FFT)
        noise = pyworld.d4c(samples, pitch, times, SAMPLE_RATE, fft_size=_FFT)
        frames = np.arange(0, len(pitch) - 1, speed).astype(np.int64)
        frames = frames[: int(CLIP_S / FRAME_S) + 1]
        bins = np.clip(np.arange(power.shape[1]) / formants, 0, power.shape[1] - 1)
        columns = np.round(bins).astype(np.int64)
        log_power = np.log(power[frames][:, columns] + 1e-16).astype(np.float32)
        out.append(
            synthesise(
                pitch[frames] * 2 ** (semitones / 12),
                log_power,
                noise[frames][:, columns].astype(np.float32),
            )
        )
    return np.ascontiguousarray(np.broadcast_to(np.stack(out), (2, len(out[0]))))


def _fade(sound: Signal) -> Signal:
    edge = int(0.01 * SAMPLE_RATE)
    shape = np.ones(sound.shape[1], dtype=np.float32)
    shape[:edge] = np.linspace(0, 1, edge)
    shape[-edge:] = np.linspace(1, 0, edge)
    return (sound * shape).astype(np.float32)
