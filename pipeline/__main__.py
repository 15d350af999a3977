"""The command line: merge two songs, take one apart, or look at one."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pipeline.arguments import FORMATS_IN_WORDS, build_parser
from pipeline.errors import Cancelled, OutputError, RecipeError, StageError, UserError
from pipeline.names import clean_name
from pipeline.outputs import made_folder, put, reserve, write_text
from pipeline.recipe import OPTIONS, Recipe
from pipeline.screen import listener
from pipeline.types import Progress, SongFacts, Stage

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from pipeline.separate import Separator
    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, OnProgress, Song, Stems

_SEPARATE_SHARES = {Stage.DECODE: 0.05, Stage.SEPARATE: 0.9, Stage.ENCODE: 0.05}
_SPECTROGRAM_SHARES = {Stage.DECODE: 0.3, Stage.BEATS: 0.5, Stage.DRAW: 0.2}
_MOST_BARS = 64
_CACHE_BYTES = 4 * 2**30
_ANALYSE_SHARES = {Stage.DECODE: 0.2, Stage.BEATS: 0.4, Stage.KEYS: 0.3, Stage.LEVEL: 0.1}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 (our fault) or 2 (the user's to mend)."""
    options = build_parser(_model_dir()).parse_args(arguments)
    # Names of songs and files are shown as they are: no markup, no emoji codes, no wrapping.
    errors = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    try:
        with listener(quiet=options.quiet) as on_progress:
            lines = _COMMANDS[options.command](options, _heeding(on_progress))
    except (UserError, StageError, Cancelled, KeyboardInterrupt) as error:
        return _told(error, errors)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may lack letters that titles have
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:  # whoever reads has seen enough; Python must not try again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _told(error: BaseException, errors: Console) -> int:
    """Say why there is no result, and return the exit code."""
    # Ctrl-C reaches the programs that we have started as well: that they fail is no news then.
    if _called_off.is_set() or isinstance(error, (Cancelled, KeyboardInterrupt)):
        errors.print("Called off; nothing was written.")
        return 130
    if isinstance(error, StageError):
        errors.print(f"{error} ({error.cause})", style="bold red")
        return 1
    errors.print(str(error), style="bold red")
    return 2


_called_off = threading.Event()


def _call_off(*_: object) -> None:
    """Call the work off, on Ctrl-C and on a kill alike; the second time, at once.

    An exception that is raised wherever the program happens to be may be lost inside a library
    that calls us back, or come in the middle of clearing up.
    """
    if _called_off.is_set():
        raise KeyboardInterrupt
    _called_off.set()


def _heeding(on_progress: OnProgress) -> OnProgress:
    """Return what also ends the work once it is called off."""

    def tell(progress: Progress) -> None:
        if _called_off.is_set():
            raise Cancelled
        on_progress(progress)

    return tell


def _run_merge(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.aside import Aside  # noqa: PLC0415 - --help need not wait for the audio stack
    from pipeline.cache import Cache  # noqa: PLC0415 - as above
    from pipeline.merge import merge  # noqa: PLC0415 - as above
    from pipeline.report import as_json, as_report, merge_lines  # noqa: PLC0415 - as above

    recipe = Recipe(**{option.name: getattr(options, option.name) for option in OPTIONS})
    output, report, picture = options.output, options.report, options.picture
    _check_extension(output)
    _check_picture(picture)
    stems = {n: options.stems / f"{n}.wav" for n in ("vocals", "backing")} if options.stems else {}
    targets = [*stems.values(), *(path for path in (report, picture) if path), output]
    with ExitStack() as stack:
        if options.stems:
            stack.enter_context(made_folder(options.stems))
        scratch = stack.enter_context(reserve(targets, (options.vocals, options.backing)))
        aside = stack.enter_context(Aside())
        result = merge(
            options.vocals,
            options.backing,
            recipe,
            scratch[output],
            separator=_LateSeparator(partial(_make_separator, recipe.separator, on_progress)),
            format=output.suffix[1:].lower(),
            stems=bool(stems),
            picture=picture is not None,
            cache=Cache(options.cache, _CACHE_BYTES) if options.cache else None,
            aside=aside,
            on_progress=on_progress,
        )
        made = {output: result.path, **{stems[n]: path for n, path in result.stems.items()}}
        if result.picture:
            made[picture] = result.picture
        result = replace(result, path=output, stems=stems, picture=picture)
        if report:
            made[report] = write_text(report, as_json(as_report(result)), scratch)
        put(made, scratch)
    return [*merge_lines(result), *map(str, targets)]


def _run_separate(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.codec import decode, encode  # noqa: PLC0415 - as above
    from pipeline.stages import Conductor  # noqa: PLC0415 - as above
    from pipeline.tapes import on_disk  # noqa: PLC0415 - as above

    separator = _LateSeparator(
        partial(_make_separator, Recipe(separator=options.separator).separator, on_progress)
    )
    conductor = Conductor(on_progress, _SEPARATE_SHARES)
    targets = [options.output / f"{name}.wav" for name in ("vocals", "accompaniment")]
    with made_folder(options.output), reserve(targets, [options.song]) as scratch:
        blank = on_disk(scratch[targets[0]])
        with conductor.stage(Stage.DECODE) as on_fraction:
            song = decode(options.song, on_fraction=on_fraction, blank=blank)
        with conductor.stage(Stage.SEPARATE) as on_fraction:
            stems = separator.separate(song, on_fraction, blank=blank)
        with conductor.stage(Stage.ENCODE):
            made = {
                target: encode(
                    samples, scratch[target] / target.name, title=f"{song.title} ({target.stem})"
                )
                for target, samples in zip(
                    targets, (stems.vocals, stems.accompaniment), strict=True
                )
            }
        put(made, scratch)
    notes = [f"  Note: {separator.note}"] if separator.note else []
    return [f"{song.title}, separated by {separator.name}", *notes, *map(str, targets)]


def _run_analyse(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.beats import track_beats  # noqa: PLC0415 - as above
    from pipeline.codec import decode  # noqa: PLC0415 - as above
    from pipeline.key import find_key  # noqa: PLC0415 - as above
    from pipeline.loudness import integrated_lufs, true_peak_dbtp  # noqa: PLC0415 - as above
    from pipeline.report import as_facts, as_json, song_lines  # noqa: PLC0415 - as above
    from pipeline.stages import Conductor  # noqa: PLC0415 - as above

    conductor = Conductor(on_progress, _ANALYSE_SHARES)
    with conductor.stage(Stage.DECODE) as on_fraction:
        song = decode(options.song, on_fraction=on_fraction)
    with conductor.stage(Stage.BEATS) as on_fraction:
        grid = track_beats(song.samples, on_fraction=on_fraction)
    with conductor.stage(Stage.KEYS):
        key = find_key(song.samples)
    with conductor.stage(Stage.LEVEL):
        loudness = integrated_lufs(song.samples)
        peak = true_peak_dbtp(song.samples)
    facts = SongFacts(title=song.title, duration_s=song.duration_s, grid=grid, key=key)
    if not options.json:
        return song_lines(facts, loudness)
    levels = {"integrated_lufs": loudness, "true_peak_dbtp": peak}
    return [as_json({**as_facts(facts), "loudness": levels})]


def _run_morph(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.segue import segue  # noqa: PLC0415 - as above

    output = options.output
    _check_extension(output)
    if not options.bars.isdecimal() or not 1 <= int(options.bars) <= _MOST_BARS:
        raise RecipeError(
            f"bars cannot be {options.bars}.",
            hint=f"It takes a whole number from 1 to {_MOST_BARS}.",
        )
    with reserve([output], [options.first, options.second]) as scratch:
        result = segue(
            options.first,
            options.second,
            scratch[output],
            bars=int(options.bars),
            format=output.suffix[1:].lower(),
            on_progress=on_progress,
        )
        put({output: result.path}, scratch)
    return [*result.reasons, str(output)]


def _run_spectrogram(options: argparse.Namespace, on_progress: OnProgress) -> list[str]:
    from pipeline.beats import track_beats  # noqa: PLC0415 - as above
    from pipeline.codec import decode  # noqa: PLC0415 - as above
    from pipeline.picture import draw_spectrogram  # noqa: PLC0415 - as above
    from pipeline.stages import Conductor  # noqa: PLC0415 - as above

    output = options.output
    _check_picture(output)
    conductor = Conductor(on_progress, _SPECTROGRAM_SHARES)
    with reserve([output], [options.song]) as scratch:
        with conductor.stage(Stage.DECODE) as on_fraction:
            song = decode(options.song, on_fraction=on_fraction)
        with conductor.stage(Stage.BEATS) as on_fraction:
            grid = track_beats(song.samples, on_fraction=on_fraction)
        with conductor.stage(Stage.DRAW):
            drawn = draw_spectrogram(
                song.samples, song.title, scratch[output] / "spectrogram.png", grid
            )
        put({output: drawn}, scratch)
    return [song.title, str(output)]


def _model_dir() -> Path:
    data = os.environ.get("DATA_DIR") or "data"
    return Path(os.environ.get("SPLEETER_MODEL_DIR") or Path(data, "models"))


def _make_separator(choice: str, on_progress: OnProgress) -> Separator:
    from pipeline.separate.choose import make_separator  # noqa: PLC0415 - as above
    from pipeline.separate.weights import RELEASE_URL, ModelSource  # noqa: PLC0415 - as above

    location = os.environ.get("SPLEETER_MODEL_URL") or RELEASE_URL
    return make_separator(
        choice,
        ModelSource(directory=_model_dir(), location=location),
        on_fraction=lambda f: on_progress(Progress(stage=Stage.FETCH, fraction=f)),
    )


class _LateSeparator:
    """Makes its separator when the first song is read: a bad file is refused before a download.

    Parameters
    ----------
    make
        Makes the separator that does the work.
    """

    def __init__(self, make: Callable[[], Separator]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> Separator:
        return self._make()

    @property
    def name(self) -> str:
        """What does the work."""
        return self._made.name

    @property
    def note(self) -> str:
        """A sentence for the user, or ""."""
        return self._made.note

    @property
    def identity(self) -> str:
        """What decides its output."""
        return self._made.identity

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank | None = None) -> Stems:
        """Split a song into stems that sum to it; in memory unless told otherwise."""
        from pipeline.tapes import in_memory  # noqa: PLC0415 - see _run_merge

        return self._made.separate(song, on_fraction, blank=blank or in_memory)


def _check_picture(picture: Path | None) -> None:
    if picture and picture.suffix.lower() != ".png":
        raise OutputError(
            f"{clean_name(picture.name)} is no name for a picture.", hint="Let it end in .png."
        )


def _check_extension(output: Path) -> None:
    from pipeline.codec import FORMATS  # noqa: PLC0415 - as above

    if output.suffix[1:].lower() not in FORMATS:
        raise OutputError(
            f"{clean_name(output.name)} has no extension that can be written.",
            hint=f"Let it end in {FORMATS_IN_WORDS}.",
        )


_COMMANDS: dict[str, Callable[[argparse.Namespace, OnProgress], list[str]]] = {
    "merge": _run_merge,
    "separate": _run_separate,
    "analyse": _run_analyse,
    "morph": _run_morph,
    "spectrogram": _run_spectrogram,
}


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):  # a kill cleans up as Ctrl-C does
        signal.signal(number, _call_off)
    # Two songs are worked on side by side: a pool of the algebra library would only get in the way.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    sys.exit(main())
