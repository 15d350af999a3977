"""What the denoiser takes out of separated voices, and what it costs them.

Run as ``python -m benchmarks.denoise`` from the root of the repository. Reads pairs of
``vocals.ogg`` and ``accompaniment.ogg`` from ../shared/audio/stems, or from a folder given. Each
song is taken apart twice: by the built-in separator, and by a stand-in for a better one, the true
vocals with holes and with patches of the accompaniment 15 dB down.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import scipy.ndimage
import scipy.signal
from rich.console import Console
from rich.table import Table

from benchmarks.separation import AUDIO, read_stems, sdr_db
from pipeline.denoise import denoise
from pipeline.loudness import short_term_lufs
from pipeline.separate.builtin import BUILT_IN, BuiltInSeparator
from pipeline.types import SAMPLE_RATE, Song, Stems

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from pipeline.denoise import Method
    from pipeline.types import Signal

DEFAULT_AMOUNT = 0.8
METHODS: tuple[Method, ...] = ("mask", "threshold")


def separate_built_in(truth: Stems) -> Stems:
    """Take the sum of the stems apart as a user without Spleeter would."""
    song = Song(samples=truth.vocals + truth.accompaniment, title="")
    return BuiltInSeparator(BUILT_IN).separate(song, lambda _: None)


def imitate_network(truth: Stems, bleed_db: float = -15.0) -> Stems:
    """Return what a network of Spleeter's kind could make of the sum of the stems.

    The voice has holes where the accompaniment is strong, the accompaniment leaks in patches of
    time and frequency, and there is nothing above 11 kHz.
    """
    random = np.random.default_rng(0)
    size, step = 4096, 1024
    transform = scipy.signal.ShortTimeFFT(
        scipy.signal.get_window("hann", size), step, SAMPLE_RATE, scale_to="magnitude"
    )
    voice, rest = (transform.stft(s) for s in (truth.vocals, truth.accompaniment))
    rough = [
        scipy.ndimage.gaussian_filter(random.standard_normal(voice.shape[1:]), (3, 2))
        for _ in range(2)
    ]
    holes, patches = (field / field.std() for field in rough)
    power, other = ((np.abs(s) ** 2).sum(axis=0) for s in (voice, rest))
    masked = other / (power + other + 1e-12)
    voice *= np.clip(1.0 - 0.5 * masked * np.clip(0.5 + holes, 0.0, 1.5), 0.0, 1.0)
    rest *= np.exp(patches)
    for spectrum in (voice, rest):
        spectrum[:, transform.f > 11_000.0] = 0.0
    length = truth.vocals.shape[1]
    kept, bleed = (transform.istft(s, k1=length) for s in (voice, rest))
    wanted = float(np.sum(truth.accompaniment**2, dtype=np.float64)) * 10 ** (bleed_db / 10)
    kept += bleed * np.sqrt(wanted / np.sum(bleed**2))
    vocals = np.asarray(kept, dtype=np.float32)
    return Stems(vocals=vocals, accompaniment=truth.vocals + truth.accompaniment - vocals)


def silent(vocals: Signal) -> npt.NDArray[np.bool_]:
    """Return which samples of the true vocals lie in half a second or more of silence."""
    levels = short_term_lufs(vocals)
    below = levels < max(-60.0, float(np.percentile(levels, 95)) - 40.0)
    long_enough = scipy.ndimage.binary_opening(below, np.ones(50))
    flags = np.zeros(vocals.shape[1], dtype=bool)
    flags[: 441 * len(levels)] = np.repeat(long_enough, 441)
    return flags


def residue_db(stem: Signal, where: npt.NDArray[np.bool_]) -> float:
    """Return the level of a stem where nobody sings, in dBFS."""
    return 10 * float(np.log10(np.mean(stem[:, where] ** 2, dtype=np.float64) + 1e-12))


def row(truth: Stems, stems: Stems, amount: float, method: Method) -> list[float]:
    """Return residue and SDR before and after in dB, and seconds for 180 s of song."""
    start = time.perf_counter()
    cleaned = denoise(stems.vocals, stems.accompaniment, amount, method)
    seconds = time.perf_counter() - start
    where = silent(truth.vocals)
    before, after = residue_db(stems.vocals, where), residue_db(cleaned, where)
    sdr = [sdr_db(truth.vocals, estimate) for estimate in (stems.vocals, cleaned)]
    pace = 180 * seconds * SAMPLE_RATE / truth.vocals.shape[1]
    return [before, after, before - after, *sdr, sdr[1] - sdr[0], pace]


def main() -> int:
    """Print the table; return 0, or 1 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=type(AUDIO), nargs="?", default=AUDIO / "stems")
    parser.add_argument("--amount", type=float, default=DEFAULT_AMOUNT)
    options = parser.parse_args()
    songs = sorted(path.parent for path in options.folder.glob("*/vocals.ogg"))
    if not songs:
        print(f"There are no stems in {options.folder}: nothing to measure.")
        return 1
    table = Table(
        "song",
        "stems",
        "method",
        "residue dBFS",
        "after",
        "lower by",
        "SDR dB",
        "after",
        "gain",
        "s / 180 s",
        title=f"amount {options.amount:g}",
    )  # fmt: skip - one column a word
    separators: dict[str, Callable[[Stems], Stems]] = {
        "built-in": separate_built_in,
        "network": imitate_network,
    }
    for song in songs:
        truth = read_stems(song)
        for name, separate in separators.items():
            stems = separate(truth)
            for method in METHODS:
                figures = row(truth, stems, options.amount, method)
                table.add_row(
                    song.name,
                    name,
                    method,
                    *(f"{x:.1f}" for x in figures[:3]),
                    *(f"{x:.2f}" for x in figures[3:6]),
                    f"{figures[6]:.1f}",
                )
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
