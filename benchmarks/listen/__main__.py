"""The command line of the listening test: make a kit, or count the votes on one."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import OutputError, StageError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.listen.songs import Source
    from pipeline.separate import Separator

_DESCRIPTION = """\
Make a blind listening test: pairs of mash-ups of the same two songs, one by this pipeline and one
by the method of the project that it grew from. Open index.html in the folder, listen, vote, save
votes.json, and count:

  python -m benchmarks.listen -o kit --pairs 8
  python -m benchmarks.listen score kit votes.json
"""


class _Parser(argparse.ArgumentParser):
    """Refuses in one sentence, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and exit with 2."""
        self.exit(2, f"{message[0].upper()}{message[1:]}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, 1 (our fault) or 2 (the user's)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if words[:1] == ["score"]:
            _score(_score_parser().parse_args(words[1:]))
        else:
            _make(_make_parser().parse_args(words))
    except UserError as error:
        _tell(str(error))
        return 2
    except StageError as error:
        _tell(f"{error} ({error.cause})")
        return 1
    except KeyboardInterrupt:
        _tell("Called off; nothing was written.")
        return 130
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _make(options: argparse.Namespace) -> None:
    try:
        _make_into(options.output, options)
    except OSError as error:  # a full or locked disk; songs and sounds have errors of their own
        raise OutputError(
            f"The kit cannot be written ({error.strerror or error}).",
            hint="Choose another place with -o.",
        ) from error
    print(f"Open {options.output / 'index.html'} and vote; then: ", end="")
    print(f"python -m benchmarks.listen score {options.output} votes.json")


def _make_into(folder: Path, options: argparse.Namespace) -> None:
    # --help and a wrong command line need not wait for the audio stack.
    from benchmarks.listen.kit import Wishes, check_folder, make_kit  # noqa: PLC0415 - see above
    from benchmarks.listen.songs import SeparateOnce  # noqa: PLC0415 - see above
    from pipeline.outputs import made_folder  # noqa: PLC0415 - see above

    check_folder(folder)
    wishes = Wishes(
        pairs=options.pairs,
        seconds=options.seconds,
        seed=secrets.randbelow(2**32) if options.seed is None else options.seed,
        same_sound=options.same_sound,
    )
    with tempfile.TemporaryDirectory() as place:
        stems, composed = Path(place, "stems"), Path(place, "composed")
        stems.mkdir()
        composed.mkdir()
        songs = _songs(options, composed)
        separator = SeparateOnce(_separator(options.separator), stems)
        if separator.note:
            _tell(separator.note)
        with made_folder(folder):
            make_kit(songs, folder, wishes, separator, _tell)


def _songs(options: argparse.Namespace, composed: Path) -> list[Source]:
    from benchmarks.listen.songs import (  # noqa: PLC0415 - see above
        SHARED,
        SHARED_INSTRUMENTALS,
        compose_songs,
        find_songs,
    )

    if options.songs is not None:
        return find_songs(options.songs, frozenset(options.instrumental), _tell)
    if SHARED.is_dir():
        return find_songs(SHARED, SHARED_INSTRUMENTALS | {*options.instrumental}, _tell)
    _tell("There are no songs in ../shared/audio/songs: composing some.")
    return compose_songs(composed)


def _separator(choice: str) -> Separator:
    from pipeline.separate.choose import make_separator  # noqa: PLC0415 - see above
    from pipeline.separate.weights import RELEASE_URL, ModelSource  # noqa: PLC0415 - see above

    data = os.environ.get("DATA_DIR") or "data"
    directory = Path(os.environ.get("SPLEETER_MODEL_DIR") or Path(data, "models"))
    location = os.environ.get("SPLEETER_MODEL_URL") or RELEASE_URL
    return make_separator(choice, ModelSource(directory=directory, location=location))


def _score(options: argparse.Namespace) -> None:
    from benchmarks.listen.kit import read_key  # noqa: PLC0415 - see above
    from benchmarks.listen.score import read_votes, score_lines  # noqa: PLC0415 - see above

    key = read_key(options.kit)
    votes = [vote for path in options.votes for vote in read_votes(path, key)]
    print(*score_lines(votes, key), sep="\n")


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m benchmarks.listen",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder for the kit"
    )
    parser.add_argument(
        "--pairs", type=_whole(1, 500), default=8, metavar="N", help="how many (default: 8)"
    )
    parser.add_argument(
        "--songs",
        type=Path,
        metavar="FOLDER",
        help="what to merge (default: ../shared/audio/songs, or else songs that it composes)",
    )
    parser.add_argument(
        "--instrumental",
        action="append",
        default=[],
        metavar="FILE",
        help="a file of that folder in which nobody sings; give it once for each",
    )
    parser.add_argument(
        "--seed",
        type=_whole(0, 2**32 - 1),
        metavar="S",
        help="decides the pairs and which version is A (default: another one each time)",
    )
    parser.add_argument(
        "--separator",
        choices=("auto", "spleeter", "builtin"),
        default="auto",
        help="how the songs are taken apart, for both versions (default: auto)",
    )
    parser.add_argument(
        "--seconds",
        type=_whole(5, 600),
        default=30,
        metavar="N",
        help="longest excerpt, from just before the voice's entry (default: 30)",
    )
    parser.add_argument(
        "--same-sound",
        action="store_true",
        help="fold both versions to mono at 22.05 kHz, as one of the methods does anyway",
    )
    return parser


def _score_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m benchmarks.listen score",
        description="Count the votes on a kit and test them against chance.",
    )
    parser.add_argument("kit", type=Path, metavar="DIR", help="the folder of the kit")
    parser.add_argument(
        "votes", type=Path, nargs="+", metavar="VOTES", help="votes.json, one from each listener"
    )
    return parser


def _whole(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers in bounds, for argparse."""

    def read(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a kill cleans up as Ctrl-C does
    sys.exit(main())
