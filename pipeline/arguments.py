"""The words that the command line takes, and its help."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import NoReturn

from pipeline.recipe import OPTIONS

FORMATS_IN_WORDS = "mp3, m4a, ogg, opus, flac or wav"
"""What a mash-up may end in, for people; `pipeline.codec.FORMATS` is too heavy to ask."""

_DESCRIPTION = """\
Sing one song over another: the vocals of the first over the accompaniment of the second,
on the beat, in key, and level.
"""

_EPILOG = """\
example:
  python -m pipeline merge singer.mp3 band.m4a -o mashup.mp3

"python -m pipeline merge --help" explains every option of a merge.

Nothing is downloaded unless you say --separator spleeter: that fetches Spleeter's weights once
into SPLEETER_MODEL_DIR, from SPLEETER_MODEL_URL if that is set: a web address or a local folder.
From then on they do the work. Their folder is now {models}

exit codes: 0 done, 1 a fault of this program, 2 something about the songs or options to mend,
130 called off
"""

_WIDEST_HELP = 100


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and exit with 2."""
        self.exit(2, f"{message[0].upper()}{message[1:]}; see {self.prog} --help\n")


def build_parser(models: Path) -> argparse.ArgumentParser:
    """Build the parser of the command line.

    Parameters
    ----------
    models
        Where Spleeter's weights live, for the help.
    """
    parser: argparse.ArgumentParser = _Parser(
        prog="python -m pipeline",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(models=models),
        formatter_class=_help_formatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    _add_merge(commands)
    _add_separate(commands)
    _add_analyse(commands)
    _add_morph(commands)
    _add_spectrogram(commands)
    return parser


def _add_merge(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    merge = commands.add_parser(
        "merge",
        help="two songs in, one mash-up out",
        description="The vocals of the first song over the accompaniment of the second.",
        epilog=_meanings(),
        formatter_class=_help_formatter,
    )
    merge.add_argument("vocals", type=Path, metavar="VOCALS", help="the song whose voice is heard")
    merge.add_argument("backing", type=Path, metavar="BACKING", help="the song that plays under it")
    merge.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help=f"the mash-up, a file that ends in {FORMATS_IN_WORDS}",
    )
    for option in OPTIONS:
        _add_option(merge, option.name)
    merge.add_argument(
        "--report",
        type=Path,
        metavar="JSON",
        help="write all that was found and decided to this file",
    )
    merge.add_argument(
        "--stems",
        type=Path,
        metavar="DIR",
        help="write the two aligned layers as wav into this folder, made if it is not there",
    )
    merge.add_argument(
        "--picture", type=Path, metavar="PNG", help="draw the mash-up as a card into this file"
    )
    merge.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="keep what is worked out in this folder, up to 4 GB of it: the next merge of these "
        "songs takes a fraction of the time",
    )
    _add_quiet(merge)


def _add_separate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    separate = commands.add_parser(
        "separate",
        help="one song in, vocals and accompaniment out",
        description="Write the vocals and the accompaniment of a song as wav files.",
        formatter_class=_help_formatter,
    )
    separate.add_argument("song", type=Path, metavar="SONG", help="the song to take apart")
    separate.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder for vocals.wav and accompaniment.wav, made if it is not there",
    )
    _add_option(separate, "separator")
    _add_quiet(separate)


def _add_analyse(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    analyse = commands.add_parser(
        "analyse",
        help="tempo, beats, key and loudness of a song",
        description="Find the tempo, the beats, the key and the loudness of a song.",
        formatter_class=_help_formatter,
    )
    analyse.add_argument("song", type=Path, metavar="SONG", help="the song to look at")
    analyse.add_argument(
        "--json", action="store_true", help="print all of it, every beat too, for other programs"
    )
    _add_quiet(analyse)


def _add_morph(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    morph = commands.add_parser(
        "morph",
        help="one song turns into another",
        description="The first song turns into the second, on the beat and without a cut.",
        formatter_class=_help_formatter,
    )
    morph.add_argument("first", type=Path, metavar="A", help="the song that it begins with")
    morph.add_argument("second", type=Path, metavar="B", help="the song that it ends with")
    morph.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help=f"a file that ends in {FORMATS_IN_WORDS}",
    )
    morph.add_argument(
        "--bars", default="4", metavar="N", help="length of the transition, 1 to 64 (default: 4)"
    )
    _add_quiet(morph)


def _add_spectrogram(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    spectrogram = commands.add_parser(
        "spectrogram",
        help="a picture of a song",
        description="Draw what sounds when in a song, with its bars.",
        formatter_class=_help_formatter,
    )
    spectrogram.add_argument("song", type=Path, metavar="SONG", help="the song to draw")
    spectrogram.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PNG", help="the picture, a png file"
    )
    _add_quiet(spectrogram)


def _help_formatter(prog: str) -> argparse.HelpFormatter:
    width = min(_WIDEST_HELP, shutil.get_terminal_size().columns)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=width)


def _add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only the result")


def _add_option(parser: argparse.ArgumentParser, name: str) -> None:
    """Add one field of `Recipe`; its value is checked by `Recipe` itself."""
    option = next(option for option in OPTIONS if option.name == name)
    if option.choices:
        # Written out instead of `choices=`, so that a wrong one gets the same sentence everywhere.
        named = [word for word in option.choices if not word.lstrip("-").isdigit()]
        shown = "|".join(named) + ("|N" if len(named) < len(option.choices) else "")
    else:
        shown = option.unit.upper() or "N"
    bounds = f", {option.minimum:g} to {option.maximum:g}" if option.minimum is not None else ""
    parser.add_argument(
        f"--{name.replace('_', '-')}",
        default=option.default,
        metavar=shown,
        help=f"{option.help}{bounds} (default: {option.default})",
    )


def _meanings() -> str:
    """Explain the words that options take, in two columns; numbers explain themselves."""
    lines = []
    for option in OPTIONS:
        words = {k: v for k, v in option.choices.items() if not k.lstrip("-").isdigit()}
        if len(words) < len(option.choices):
            words["N"] = "shift by so many semitones, -6 to 6"
        flag = option.name.replace("_", "-")
        lines += [f"  --{f'{flag} {word}':<24} {meaning}" for word, meaning in words.items()]
    return "what the words mean:\n" + "\n".join(lines)
