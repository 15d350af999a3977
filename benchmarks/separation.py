"""How well songs are taken apart, against nothing at all and against the best a mask can do.

Run as ``python -m benchmarks.separation`` from the root of the repository. Reads ../shared/audio,
or a folder given that is laid out like it. The songs:

- ``stems/*/``, as the sum of their true stems. Those that the built-in network's real voices were
  cut from are left out unless asked for: no figure on them would say anything.
- every voice of ``singing/`` over every instrumental: vibe_ace, the accompaniments of the stems,
  and two composed bands; the voice as loud as the band, in RMS.
- the instrumentals alone, where the voice should be silent.

SDR is that of BSSEval v4 for stems as they sound (no filter is granted to the estimate): the
median over seconds in which both stems sound. SI-SDR is over the whole song
(Le Roux et al. 2019, "SDR - half-baked or well done?").
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.signal
from rich.console import Console
from rich.table import Table

from composer import compose
from pipeline.codec import decode
from pipeline.separate.choose import make_separator
from pipeline.separate.weights import ModelSource, find_weights
from pipeline.types import SAMPLE_RATE, Song, Stems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from pipeline.separate import Separator
    from pipeline.types import Signal

    Samples = npt.NDArray[np.floating[Any]]

AUDIO = Path(__file__).parents[2] / "shared" / "audio"
TRAINED_ON = frozenset({"hydrogen", "francium"})
"""The songs whose voices and bands the built-in network learnt from."""

_COMPOSED_SEEDS = (9_001, 9_002)
_QUIET = 1e-3  # -60 dBFS


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Example:
    """A song whose stems are known; in an instrumental the vocals are silent."""

    name: str
    group: str
    truth: Stems

    @property
    def song(self) -> Song:
        """The mixture, as a separator takes it."""
        return Song(samples=self.truth.vocals + self.truth.accompaniment, title=self.name)


def sdr_db(truth: Samples, estimate: Samples) -> float:
    """Return the signal-to-distortion ratio in dB over the whole song."""
    error = float(np.sum((truth - estimate) ** 2, dtype=np.float64))
    return 10 * float(np.log10(np.sum(truth**2, dtype=np.float64) / max(error, 1e-12)))


def si_sdr_db(truth: Signal, estimate: Signal) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB over the whole song."""
    true, guess = (x.astype(np.float64).ravel() for x in (truth, estimate))
    return sdr_db(true * (true @ guess) / (true @ true), guess)


def sounding_seconds(stems: Stems) -> list[slice]:
    """Return the whole seconds in which both stems are above -60 dBFS.

    In the others the SDR of one of them has no meaning; BSSEval leaves them out, too.
    """
    seconds = range(0, stems.vocals.shape[1] - SAMPLE_RATE + 1, SAMPLE_RATE)
    frames = [slice(start, start + SAMPLE_RATE) for start in seconds]
    both = (stems.vocals, stems.accompaniment)
    return [f for f in frames if min(np.sqrt(np.mean(stem[:, f] ** 2)) for stem in both) > _QUIET]


def scores(truth: Stems, estimate: Stems) -> tuple[float, ...]:
    """Return SDR by the second and SI-SDR of the vocals, then of the accompaniment, in dB."""
    seconds = sounding_seconds(truth)
    row: list[float] = []
    for stem in ("vocals", "accompaniment"):
        true, guess = getattr(truth, stem), getattr(estimate, stem)
        by_second = [sdr_db(true[:, f], guess[:, f]) for f in seconds]
        row += [float(np.median(by_second)), si_sdr_db(true, guess)]
    return tuple(row)


def residue_db(example: Example, estimate: Stems) -> float:
    """Return how far the vocal stem of an instrumental lies below the mixture, in dB."""
    levels = (float(np.mean(x**2)) for x in (example.song.samples, estimate.vocals))
    mixture, residue = levels
    return 10 * float(np.log10(mixture / max(residue, 1e-12)))


def read_stems(folder: Path) -> Stems:
    """Return the true stems of a song, cut to the shorter one."""
    vocals = decode(folder / "vocals.ogg").samples
    accompaniment = decode(folder / "accompaniment.ogg").samples
    length = min(vocals.shape[1], accompaniment.shape[1])
    return Stems(vocals=vocals[:, :length], accompaniment=accompaniment[:, :length])


def instrumentals(audio: Path) -> dict[str, Signal]:
    """Return bands without a voice: real ones that no network of ours has seen, composed ones."""
    bands = {f"composed {seed}": _composed(seed) for seed in _COMPOSED_SEEDS}
    if (audio / "songs" / "vibe_ace.ogg").exists():
        bands["vibe_ace"] = decode(audio / "songs" / "vibe_ace.ogg").samples
    for folder in _stem_folders(audio):
        bands[f"{folder.name}'s band"] = read_stems(folder).accompaniment
    return bands


def _composed(seed: int) -> Signal:
    return compose(seed, duration_s=40.0, voice=False).mixture


def _stem_folders(audio: Path, *, trained_on: bool = False) -> list[Path]:
    folders = sorted(path.parent for path in audio.glob("stems/*/vocals.ogg"))
    return [folder for folder in folders if trained_on or folder.name not in TRAINED_ON]


def examples(audio: Path, *, trained_on: bool) -> Iterator[Example]:
    """Give all songs of the benchmark, group by group."""
    for folder in _stem_folders(audio, trained_on=trained_on):
        yield Example(name=folder.name, group="stems", truth=read_stems(folder))
    bands = instrumentals(audio)
    for path in sorted(audio.glob("singing/*.wav")):
        voice = decode(path).samples
        for name, band in bands.items():
            truth = _over(voice, band)
            yield Example(name=f"{path.stem} over {name}", group="singing", truth=truth)
    for name, band in bands.items():
        truth = Stems(vocals=np.zeros_like(band), accompaniment=band)
        yield Example(name=name, group="instrumental", truth=truth)


def _over(voice: Signal, band: Signal) -> Stems:
    """Put a voice over the middle of a band, both equally loud, cut to the shorter one."""
    length = min(voice.shape[1], band.shape[1])
    start = (band.shape[1] - length) // 2
    voice, band = voice[:, :length], band[:, start : start + length]
    levels = [np.sqrt(np.mean(x**2)) for x in (voice, band)]
    voice = voice * np.float32(levels[1] / levels[0])
    gain = np.float32(0.9 / max(1.0, float(np.abs(voice + band).max())))
    return Stems(vocals=voice * gain, accompaniment=band * gain)


def ideal_mask(truth: Stems) -> Stems:
    """Return the stems as the best ratio mask of Spleeter's transform would give them."""
    transform = scipy.signal.ShortTimeFFT(
        scipy.signal.get_window("hann", 4_096), 1_024, SAMPLE_RATE, scale_to="magnitude"
    )
    voice, band = (transform.stft(stem) for stem in (truth.vocals, truth.accompaniment))
    mask = np.abs(voice) ** 2 / (np.abs(voice) ** 2 + np.abs(band) ** 2 + 1e-12)
    vocals = transform.istft((voice + band) * mask, k1=truth.vocals.shape[1]).astype(np.float32)
    return Stems(vocals=vocals, accompaniment=truth.vocals + truth.accompaniment - vocals)


def _nothing_done(truth: Stems) -> Stems:
    mixture = truth.vocals + truth.accompaniment
    return Stems(vocals=mixture, accompaniment=mixture)


def _separated(truth: Stems, separator: Separator) -> Stems:
    song = Song(samples=truth.vocals + truth.accompaniment, title="a song")
    return separator.separate(song, lambda _: None)


def methods(source: ModelSource, choices: list[str]) -> dict[str, Callable[[Stems], Stems]]:
    """Return everything that is compared, by name; Spleeter where its weights are there."""
    if find_weights(source) is not None:
        choices = [*choices, "spleeter"]
    found = {c: partial(_separated, separator=make_separator(c, source)) for c in choices}
    return {"nothing done": _nothing_done, **found, "ideal mask": ideal_mask}


def _print(console: Console, rows: dict[str, dict[str, dict[str, tuple[float, ...]]]]) -> None:
    for group, songs in rows.items():
        if group == "instrumental":
            table = Table("instrumental", "", "voice below the mixture", title="Residue, dB")
        else:
            columns = ("vocals SDR", "SI-SDR", "accomp. SDR", "SI-SDR")
            table = Table(group, "", *columns, title="SDR and SI-SDR, dB")
        for name, by_method in songs.items():
            for place, (method, row) in enumerate(by_method.items()):
                table.add_row("" if place else name, method, *(f"{x:.1f}" for x in row))
        table.add_section()
        for place, method in enumerate(next(iter(songs.values()))):
            mean = np.mean([by_method[method] for by_method in songs.values()], axis=0)
            table.add_row("" if place else "mean", method, *(f"{x:.1f}" for x in mean))
        console.print(table)


def main() -> int:
    """Print the tables; return 0, or 1 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=AUDIO)
    parser.add_argument("--separators", default="builtin", help="choices, with commas between")
    parser.add_argument("--models", type=Path, default=Path("data/models"), help="Spleeter's home")
    parser.add_argument("--trained-on", action="store_true", help="also the songs of the training")
    parser.add_argument("--json", type=Path, help="write all figures there, too")
    options = parser.parse_args()
    if not _stem_folders(options.folder):
        print(f"There are no stems in {options.folder}: nothing to measure.")
        return 1
    source = ModelSource(directory=options.models)
    compared = methods(source, options.separators.split(","))
    rows: dict[str, dict[str, dict[str, tuple[float, ...]]]] = {}
    for example in examples(options.folder, trained_on=options.trained_on):
        row = rows.setdefault(example.group, {}).setdefault(example.name, {})
        for name, method in compared.items():
            if example.group != "instrumental":
                row[name] = scores(example.truth, method(example.truth))
            elif name not in {"nothing done", "ideal mask"}:
                row[name] = (residue_db(example, method(example.truth)),)
    _print(Console(), rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
