"""The command line: merge two songs, take one apart, or look at one."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

from pipeline.errors import OutputError, StageError, UserError
from pipeline.names import clean_name
from pipeline.recipe import OPTIONS, Recipe
from pipeline.types import Progress, SongFacts, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.separate import Separator
    from pipeline.types import OnProgress

_FORMATS = "mp3, m4a, ogg, opus, flac or wav"

_DESCRIPTION = """\
Sing one song over another: the vocals of the first over the accompaniment of the second,
on the beat, in key, and level.
"""

_EPILOG = """\
Spleeter's weights are fetched once into SPLEETER_MODEL_DIR (now: {models}), from
SPLEETER_MODEL_URL if that is set: a web address or a local folder. Where they cannot be had, a
separator made of signal processing does the work.

Exit codes: 0 done, 1 a fault of this program, 2 something about the songs or options to mend.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (our fault) or 2 (the user's to mend)."""
    options = _parser().parse_args(arguments)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        with _listener(quiet=options.quiet) as on_progress:
            lines = options.run(options, on_progress)
    except UserError as error:
        errors.print(escape(str(error)), style="bold red")
        return 2
    except StageError as error:
        errors.print(f"{escape(str(error))} ({escape(error.cause)})", style="bold red")
        return 1
    except KeyboardInterrupt:
        errors.print("Called off; nothing was written.")
        return 130
    out = Console(highlight=False, soft_wrap=True)
    for line in lines:
        out.print(escape(line))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description=_DESCRIPTION,
        epilog=_EPILOG.format(models=_model_dir()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress, only the result")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_merge(commands)
    _add_separate(commands)
    _add_analyse(commands)
    return parser


def _add_merge(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    merge = commands.add_parser(
        "merge",
        help="two songs in, one mash-up out",
        description="The vocals of the first song over the accompaniment of the second.",
        epilog=_meanings(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    merge.add_argument("vocals", type=Path, metavar="VOCALS", help="the song whose voice is heard")
    merge.add_argument("backing", type=Path, metavar="BACKING", help="the song that plays under it")
    merge.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help=f"ends in {_FORMATS}"
    )
    for option in OPTIONS:
        _add_option(merge, option.name)
    merge.add_argument(
        "--report", type=Path, metavar="JSON", help="write all that was found and decided"
    )
    merge.add_argument(
        "--stems", type=Path, metavar="DIR", help="write the two aligned layers as wav"
    )
    merge.set_defaults(run=_run_merge)


def _add_separate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    separate = commands.add_parser(
        "separate",
        help="one song in, vocals and accompaniment out",
        description="Write the vocals and the accompaniment of a song as wav files.",
    )
    separate.add_argument("song", type=Path, metavar="SONG")
    separate.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="made if it is not there"
    )
    _add_option(separate, "separator")
    separate.set_defaults(run=_run_separate)


def _add_analyse(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    analyse = commands.add_parser(
        "analyse",
        help="tempo, beats, key and loudness of a song",
        description="Say what is known of a song.",
    )
    analyse.add_argument("song", type=Path, metavar="SONG")
    analyse.add_argument("--json", action="store_true", help="all of it, for other programs")
    analyse.set_defaults(run=_run_analyse)


def _add_option(parser: argparse.ArgumentParser, name: str) -> None:
    """Add one field of `Recipe`; its value is checked by `Recipe` itself."""
    option = next(option for option in OPTIONS if option.name == name)
    if option.choices:
        # Written out instead of `choices=`, so that a wrong one gets the same sentence everywhere.
        named = [word for word in option.choices if not word.lstrip("-").isdigit()]
        shown = "|".join(named) + ("|N" if len(named) < len(option.choices) else "")
    else:
        shown = option.unit.upper()
    bounds = f", {option.minimum:g} to {option.maximum:g}" if option.minimum is not None else ""
    parser.add_argument(
        f"--{name}",
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
        lines += [
            f"  --{option.name} {word:<{18 - len(option.name)}} {words[word]}" for word in words
        ]
    return "what the words mean:\n" + "\n".join(lines)


def _run_merge(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.merge import merge  # noqa: PLC0415 - --help need not wait for the audio stack
    from pipeline.report import as_report, merge_lines  # noqa: PLC0415 - as above

    recipe = Recipe(**{option.name: getattr(options, option.name) for option in OPTIONS})
    output: Path = options.output
    _check_output(output, options.vocals, options.backing)
    separator = _separator(recipe.separator, on_progress)
    # Beside the output, so that the last step is a rename.
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".merging-") as scratch:
        result = merge(
            options.vocals,
            options.backing,
            recipe,
            Path(scratch),
            separator=separator,
            format=output.suffix[1:].lower(),
            stems=options.stems is not None,
            on_progress=on_progress,
        )
        if options.stems:
            _make_folder(options.stems)
            moved = {k: _move(v, options.stems / v.name) for k, v in result.stems.items()}
            result = replace(result, stems=moved)
        result = replace(result, path=_move(result.path, output))
    if options.report:
        _write_text(options.report, json.dumps(as_report(result), indent=1))
    return [*merge_lines(result), str(output)]


def _run_separate(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.codec import decode, encode  # noqa: PLC0415 - as above

    choice = Recipe(separator=options.separator).separator
    on_progress(Progress(stage=Stage.DECODE, fraction=0.0))
    song = decode(options.song)
    separator = _separator(choice, on_progress)
    stems = separator.separate(
        song, lambda f: on_progress(Progress(stage=Stage.SEPARATE, fraction=0.05 + 0.9 * f))
    )
    _make_folder(options.output)
    on_progress(Progress(stage=Stage.ENCODE, fraction=0.95))
    paths = [
        encode(samples, options.output / f"{name}.wav", title=f"{song.title} ({name})")
        for name, samples in (("vocals", stems.vocals), ("accompaniment", stems.accompaniment))
    ]
    notes = [f"Note: {separator.note}"] if separator.note else []
    return [f"{song.title}, separated by {separator.name}", *notes, *map(str, paths)]


def _run_analyse(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.beats import track_beats  # noqa: PLC0415 - as above
    from pipeline.codec import decode  # noqa: PLC0415 - as above
    from pipeline.key import find_key  # noqa: PLC0415 - as above
    from pipeline.loudness import integrated_lufs, true_peak_dbtp  # noqa: PLC0415 - as above
    from pipeline.report import as_facts, song_lines  # noqa: PLC0415 - as above

    on_progress(Progress(stage=Stage.DECODE, fraction=0.0))
    song = decode(options.song)
    on_progress(Progress(stage=Stage.BEATS, fraction=0.3))
    grid = track_beats(song.samples)
    on_progress(Progress(stage=Stage.KEYS, fraction=0.7))
    facts = SongFacts(
        title=song.title, duration_s=song.duration_s, grid=grid, key=find_key(song.samples)
    )
    loudness = integrated_lufs(song.samples)
    if not options.json:
        return song_lines(facts, loudness)
    levels = {"integrated_lufs": loudness, "true_peak_dbtp": true_peak_dbtp(song.samples)}
    return [json.dumps({**as_facts(facts), "loudness": levels}, indent=1)]


def _model_dir() -> Path:
    data = os.environ.get("DATA_DIR") or "data"
    return Path(os.environ.get("SPLEETER_MODEL_DIR") or Path(data, "models"))


def _separator(choice: str, on_progress: OnProgress) -> Separator:
    from pipeline.separate.choose import make_separator  # noqa: PLC0415 - as above
    from pipeline.separate.weights import RELEASE_URL, ModelSource  # noqa: PLC0415 - as above

    location = os.environ.get("SPLEETER_MODEL_URL") or RELEASE_URL
    return make_separator(
        choice,
        ModelSource(directory=_model_dir(), location=location),
        on_fraction=lambda f: on_progress(Progress(stage=Stage.FETCH, fraction=f)),
    )


def _check_output(output: Path, *songs: Path) -> None:
    """Refuse what cannot become the result, before any work is done."""
    from pipeline.codec import FORMATS  # noqa: PLC0415 - as above

    shown = clean_name(output.name)
    if output.suffix[1:].lower() not in FORMATS:
        raise OutputError(
            f"{shown or 'The output'} has no extension that can be written.",
            hint=f"Let it end in {_FORMATS}.",
        )
    if not output.parent.is_dir():
        raise OutputError(f"The folder of {shown} does not exist.", hint="Make it first.")
    if output.is_dir() or any(song.exists() and _same(output, song) for song in songs):
        raise OutputError(f"{shown} would be overwritten.", hint="Choose another name.")


def _same(output: Path, song: Path) -> bool:
    return output.exists() and output.samefile(song)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"The folder {clean_name(folder.name)} cannot be made: {error.strerror}.",
            hint="Choose another place.",
        ) from error


def _move(source: Path, target: Path) -> Path:
    return Path(shutil.move(source, target))


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"The report {clean_name(path.name)} cannot be written: {error.strerror}.",
            hint="Choose another place.",
        ) from error


@contextmanager
def _listener(*, quiet: bool) -> Iterator[OnProgress]:
    """Show progress on stderr: a bar on a terminal, a line for each stage elsewhere."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield lambda _: None
        return
    if not console.is_terminal:
        yield _plain_listener(console)
        return
    columns = (
        TextColumn("{task.description:<42}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with ProgressBar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def show(progress: Progress) -> None:
            bar.update(task, description=_caption(progress.stage), completed=progress.fraction)

        yield show


def _plain_listener(console: Console) -> OnProgress:
    seen: list[Stage] = []

    def show(progress: Progress) -> None:
        if progress.stage not in seen:
            seen.append(progress.stage)
            console.print(_caption(progress.stage))

    return show


def _caption(stage: Stage) -> str:
    return stage.value[0].upper() + stage.value[1:]


if __name__ == "__main__":
    sys.exit(main())
