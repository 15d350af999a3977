"""Write a composed song, its stems and its answer to a folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from composer.render import Composition, compose
from pipeline.types import SAMPLE_RATE, TONICS, Key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.types import Signal

ARTIST = "the composer"


def parse_key(text: str) -> Key:
    """Return the key that a person means by "F# minor" or "Bb major".

    Raises
    ------
    argparse.ArgumentTypeError
        If nobody could mean a key by it.
    """
    tonic, _, mode = text.strip().partition(" ")
    if tonic in TONICS:
        if mode == "major":
            return Key(tonic=TONICS.index(tonic), mode="major")
        if mode == "minor":
            return Key(tonic=TONICS.index(tonic), mode="minor")
    raise argparse.ArgumentTypeError(
        f"'{text}' is no key; write a tonic ({', '.join(TONICS)}) and major or minor, "
        "as in 'F# minor'."
    )


def answer(song: Composition) -> dict[str, object]:
    """Return what an analysis of the song should find, ready for JSON."""
    return {
        "title": song.title,
        "bpm": song.grid.bpm,
        "beats_per_bar": song.grid.beats_per_bar,
        "swing": song.swing,
        "key": str(song.key),
        "beats_s": song.grid.beats_s,
        "downbeats_s": song.grid.downbeats_s,
        "voice_spans_s": song.voice_spans_s,
    }


def write_song(song: Composition, folder: Path) -> None:
    """Write mixture.wav, vocals.wav, accompaniment.wav and answer.json.

    The files hold 32-bit floats, so that the stems sum to the mixture there too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "mixture.wav", song.mixture, song.title)
    _write(folder / "vocals.wav", song.stems.vocals, f"{song.title} (vocals)")
    _write(folder / "accompaniment.wav", song.stems.accompaniment, f"{song.title} (accompaniment)")
    text = json.dumps(answer(song), indent=2) + "\n"
    (folder / "answer.json").write_text(text, encoding="utf-8")


def _write(path: Path, samples: Signal, title: str) -> None:
    with soundfile.SoundFile(path, "w", SAMPLE_RATE, 2, "FLOAT", format="WAV") as file:
        file.title = title
        file.artist = ARTIST
        file.write(samples.T)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    options = vars(_parser().parse_args(arguments))
    folder: Path = options.pop("output")
    try:
        song = compose(options.pop("seed"), **options)
    except ValueError as error:
        print(f"composer: {error}", file=sys.stderr)
        return 2
    try:
        write_song(song, folder)
    except (OSError, soundfile.LibsndfileError) as error:
        print(f"composer: {folder} cannot be written to ({error}).", file=sys.stderr)
        return 2
    print(
        f"{song.title}: {song.key}, {song.grid.bpm:g} BPM, {len(song.voice_spans_s)} sung phrases, "
        f"in {folder}"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m composer", description="Compose a short song whose answer is known."
    )
    add = parser.add_argument
    add("--seed", type=int, required=True, help="a whole number; another one, another song")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="where the files go")
    add("--duration", dest="duration_s", type=float, default=30.0, metavar="SECONDS")
    add("--bpm", type=float, help="mean tempo; drawn from the seed if absent")
    add("--drift", type=float, default=0.0, help="largest deviation of the tempo: 0.03 is 3 %%")
    add("--key", type=parse_key, help="as in 'F# minor'; drawn from the seed if absent")
    add("--beats-per-bar", type=int, default=4, choices=(3, 4))
    add("--swing", type=float, default=0.0, help="delay of off-beats in eighths: 0.33 is a triplet")
    add("--pickup-beats", type=int, default=0, help="beats before the first downbeat")
    add("--loudness", dest="loudness_lufs", type=float, default=-16.0, metavar="LUFS")
    add("--intro-bars", type=int, default=4, help="bars before the voice enters")
    add("--no-voice", dest="voice", action="store_false", help="leave the vocals silent")
    return parser


if __name__ == "__main__":
    sys.exit(main())
