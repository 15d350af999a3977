"""How well the layers of a mash-up fit in pitch and level, on composed pairs with their true stems.

Run as ``python -m benchmarks.fit`` from the root of the repository; ``--take N`` tells of another
take. Chroma is the correlation of the two warped layers' pitch classes while the voice sounds, by
librosa's constant-Q chroma, which no stage of a plan has seen: "before" is the voice as it was
sung, laid where the form alone puts it; "placed" is where the fit puts it, still as it was sung;
"matched" is with its shift. Levels are measured on the file that is delivered.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import librosa
import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr
from rich.console import Console
from rich.table import Table

from composer import Composition, compose
from pipeline.loudness import integrated_lufs, vocals_to_backing_lu
from pipeline.meeting import fifths_apart
from pipeline.merge import merge
from pipeline.plan import make_plan
from pipeline.recipe import Recipe
from pipeline.tapes import in_memory
from pipeline.types import SAMPLE_RATE, Stems
from pipeline.warp import warp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Plan, Signal, Song

Array: TypeAlias = npt.NDArray[np.float64]

SONGS = 16
STEPS = (1, 3, 5, 7, 9, 11)
"""Which song sings over which: the next, the third next and so on."""

_RATE, _HOP = 22_050, 4096
_QUIETEST_LUFS, _LOUDEST_LUFS = -40.0, -9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What one mash-up came to.

    Attributes
    ----------
    name
        The two keys, tempos and levels.
    same_notes
        Whether the true keys have the same notes.
    semitones
        How far the voice was shifted.
    fifths
        Steps on the circle of fifths, 0 to 6, between the true keys after the shift.
    before, placed, matched
        Chroma correlation of the layers: by form alone, where they are put, and with the shift.
    balance_lu, lufs, peak_dbtp
        Of the file as it is delivered.
    clipped
        Samples at full scale or beyond.
    """

    name: str
    same_notes: bool
    semitones: float
    fifths: int
    before: float
    placed: float
    matched: float
    balance_lu: float
    lufs: float
    peak_dbtp: float
    clipped: int


class TrueStems:
    """A separator that knows the answer."""

    name, note, identity = "truth", "", "truth"

    def __init__(self, *songs: Composition) -> None:
        self._songs = songs

    def separate(
        self,
        song: Song,
        on_fraction: OnFraction,
        *,
        blank: Blank = in_memory,  # noqa: ARG002 - the truth is in memory already
    ) -> Stems:
        """Return the stems that the song was made of."""
        on_fraction(1.0)
        return next(
            known.stems for known in self._songs if np.array_equal(known.mixture, song.samples)
        )


@cache
def song(number: int, length_s: float) -> Composition:
    """Compose one of the songs; among any five neighbours is the loudest or the quietest."""
    bpms = (84.0, 128.0, 97.0, 112.0, 140.0, 104.0, 90.0, 120.0)
    levels = (-16.0, _QUIETEST_LUFS, -12.0, -20.0, _LOUDEST_LUFS)
    return compose(
        900 + number,
        duration_s=length_s + number % 3,
        bpm=bpms[number % len(bpms)],
        drift=(0.0, 0.02, 0.0)[number % 3],
        beats_per_bar=3 if number == 6 else 4,
        loudness_lufs=levels[number % len(levels)],
        intro_bars=1,
    )


def fit_pair(voice: Composition, backing: Composition, recipe: Recipe) -> Fitted:
    """Merge two songs and measure what was made of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [folder / "voice.wav", folder / "backing.wav"]
        for path, made in zip(paths, (voice, backing), strict=True):
            sf.write(path, made.mixture.T, SAMPLE_RATE, subtype="FLOAT")
        separator = TrueStems(voice, backing)
        result = merge(
            paths[0], paths[1], recipe, folder, separator=separator, format="wav", stems=True
        )
        mix, vocals, band = (
            np.ascontiguousarray(sf.read(path, dtype="float32")[0].T)
            for path in (result.path, result.stems["vocals"], result.stems["backing"])
        )
    plan = result.plan
    shift = plan.vocals.semitones
    placed, matched = chroma_of(voice, backing, plan, (0.0, shift))
    by_form = make_plan(result.vocals, result.backing, Recipe(key="keep"))
    stays = (by_form.vocals.warp, by_form.backing) == (plan.vocals.warp, plan.backing)
    balance_lu = vocals_to_backing_lu(vocals, band)
    apart = voice.key.semitones_to(backing.key)
    levels = [round(integrated_lufs(made.mixture)) for made in (voice, backing)]
    return Fitted(
        name=f"{voice.key} {voice.grid.bpm:.0f} ({levels[0]}) over "
        f"{backing.key} {backing.grid.bpm:.0f} ({levels[1]})",
        same_notes=apart == 0,
        semitones=shift,
        fifths=fifths_apart(apart - round(shift)),
        before=placed if stays else chroma_of(voice, backing, by_form, (0.0,))[0],
        placed=placed,
        matched=matched,
        balance_lu=float("nan") if balance_lu is None else balance_lu,
        lufs=integrated_lufs(mix),
        peak_dbtp=peak_dbtp(mix),
        clipped=int(np.count_nonzero(np.abs(mix) >= 1.0)),
    )


def peak_dbtp(mix: Signal) -> float:
    """Measure the true peak apart from the pipeline: eight times oversampled, the best filter."""
    fine = soxr.resample(mix.T, SAMPLE_RATE, 8 * SAMPLE_RATE, quality="VHQ")
    return float(20 * np.log10(np.abs(fine).max()))


def chroma_of(
    voice: Composition, backing: Composition, plan: Plan, shifts: Sequence[float]
) -> list[float]:
    """Return the chroma correlation of the true stems while the voice sounds, at each shift."""
    warped = warp(backing.stems.accompaniment, plan.backing, plan.length_s, _nobody_listens)
    band = _chroma(warped)[0]
    found: dict[float, float] = {}
    for shift in dict.fromkeys(shifts):
        layer = replace(plan.vocals, semitones=shift)
        # Formants decide no pitch class, so they are left to move.
        vocals = warp(voice.stems.vocals, layer, plan.length_s, _nobody_listens)
        sung, level = _chroma(vocals)
        sounds = level > level.max() / 100.0
        found[shift] = float((sung * band).sum(axis=0)[sounds].mean())
    return [found[shift] for shift in shifts]


def _nobody_listens(_fraction: float) -> None:
    """Let progress pass unheard."""


def _chroma(layer: Signal) -> tuple[Array, Array]:
    """Pitch classes, each moment of zero mean and unit length, and the power of each moment."""
    mono = soxr.resample(layer.mean(axis=0), SAMPLE_RATE, _RATE)
    chroma = librosa.feature.chroma_cqt(
        y=mono, sr=_RATE, hop_length=_HOP, norm=None, tuning=0.0, n_octaves=6, bins_per_octave=24
    )
    chroma = chroma - chroma.mean(axis=0)
    power = librosa.feature.rms(y=mono, frame_length=2 * _HOP, hop_length=_HOP)[0] ** 2
    return chroma / np.maximum(np.linalg.norm(chroma, axis=0), 1e-9), power


def table_of(fitted: Sequence[Fitted]) -> Table:
    """Show every pair, and what the issue asks for in the last row."""
    table = Table(title="Fit of composed pairs, true stems")
    for head in (
        "pair",
        "shift",
        "fifths",
        "before",
        "placed",
        "matched",
        "LU",
        "LUFS",
        "dBTP",
        "clipped",
    ):
        table.add_column(head, justify="left" if head == "pair" else "right")
    for pair in fitted:
        table.add_row(
            pair.name,
            f"{pair.semitones:+.2f}" if pair.semitones else "0",
            str(pair.fifths),
            f"{pair.before:.3f}",
            f"{pair.placed:.3f}",
            f"{pair.matched:.3f}",
            f"{pair.balance_lu:+.2f}",
            f"{pair.lufs:.2f}",
            f"{pair.peak_dbtp:.2f}",
            str(pair.clipped),
        )
    return table


def summary(fitted: Sequence[Fitted]) -> str:
    """Say the figures that the issue asks for."""
    apart = [pair for pair in fitted if not pair.same_notes]
    rising = sum(pair.matched > pair.before for pair in apart)
    worst = min(pair.matched - pair.before for pair in fitted)
    return (
        f"Chroma rises on {rising} of {len(apart)} pairs in different keys, worst change "
        f"{worst:+.3f}. Voice {min(p.balance_lu for p in fitted):+.2f} to "
        f"{max(p.balance_lu for p in fitted):+.2f} LU, output {min(p.lufs for p in fitted):.2f} to "
        f"{max(p.lufs for p in fitted):.2f} LUFS, peaks up to "
        f"{max(p.peak_dbtp for p in fitted):.2f} dBTP, {sum(p.clipped for p in fitted)} clipped."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--length", type=float, default=32.0, help="seconds of each song")
    parser.add_argument("--take", type=int, default=1)
    given = parser.parse_args(arguments)
    fitted = []
    for number in range(given.pairs):
        other = (number + STEPS[number % len(STEPS)]) % SONGS
        pair = (song(number % SONGS, given.length), song(other, given.length))
        fitted.append(fit_pair(*pair, Recipe(take=given.take)))
        print(f"{number + 1} of {given.pairs}", file=sys.stderr)
    console = Console(width=130)
    console.print(table_of(fitted))
    console.print(summary(fitted))
    return 0


if __name__ == "__main__":
    sys.exit(main())
