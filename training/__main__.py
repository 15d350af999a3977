"""The trainings' command line: ``python -m training separator --minutes 60`` and so on.

Rendering and training need the environment of ``training/requirements.txt``; ``export`` needs
that of the bot, because Spleeter's own code writes the model.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from pathlib import Path

from training.separation.schedule import Training, geometry_of
from training.separation.weights import N_FILTERS

_CLIPS = Path("build/training")
_AUDIO = Path("../shared/audio")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add_render(commands.add_parser("render", help="make the songs to learn from"))
    _add_separator(commands.add_parser("separator", help="train the separator"))
    _add_beats(commands.add_parser("beats", help="train the beat network"))
    _add_export(commands.add_parser("export", help="make a Spleeter model of trained weights"))
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=Path, default=_CLIPS, help="where the clips go")
    parser.add_argument("--backings", type=int, default=700, help="how many bands")
    parser.add_argument("--voices", type=int, default=700, help="how many voices")
    parser.add_argument(
        "--recordings", type=Path, default=_AUDIO / "training", help="folders of real parts"
    )
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.set_defaults(run=_render)


def _render(options: argparse.Namespace) -> int:
    # Training needs none of this, and may run where there is neither FluidSynth nor WORLD.
    from training.bands.soundfonts import SoundfontError  # noqa: PLC0415
    from training.rendering import NoSpeechError, render_all  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    recordings = options.recordings if options.recordings.is_dir() else None
    try:
        render_all(
            options.clips,
            backings=options.backings,
            voices=options.voices,
            recordings=recordings,
            processes=options.processes,
        )
    except (NoSpeechError, SoundfontError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _add_separator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=Path, default=_CLIPS, help="rendered clips")
    parser.add_argument(
        "--out", type=Path, default=_CLIPS / "separator", help="checkpoint, weights and log"
    )
    parser.add_argument(
        "--stems", type=Path, default=_AUDIO / "stems", help="real songs to validate"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="budget of time")
    parser.add_argument("--steps", type=float, default=math.inf, help="budget of steps")
    parser.add_argument("--filters", type=_numbers, default=N_FILTERS, help="such as 8,16,32,...")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--rate", type=float, default=2e-3, help="largest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--threads", type=int, help="of the network's arithmetic; all cores")
    parser.add_argument("--workers", type=int, default=1, help="processes that mix songs")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=False)
    parser.add_argument("--validate-every", type=float, default=10.0, metavar="MINUTES")
    parser.add_argument("--save-every", type=float, default=3.0, metavar="MINUTES")
    parser.add_argument("--frames", type=int, default=192, help="length of a crop")
    parser.add_argument("--frame-length", type=int, default=4096, help="of the transform")
    parser.set_defaults(run=_train_separator)


def _train_separator(options: argparse.Namespace) -> int:
    # Read when PyTorch is loaded. Threads that wait by spinning starve the process that mixes.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch  # noqa: PLC0415 - only this command needs it

    from training.separation.loop import SeparatorTraining  # noqa: PLC0415 - it loads PyTorch

    if options.threads:
        torch.set_num_threads(options.threads)
    training = Training(
        clips=options.clips,
        directory=options.out,
        geometry=geometry_of(options.frame_length, options.frames),
        stems=options.stems if options.stems.is_dir() else None,
        n_filters=options.filters,
        minutes=options.minutes,
        steps=options.steps,
        batch_size=options.batch,
        learning_rate=options.rate,
        seed=options.seed,
        device=options.device,
        n_workers=options.workers,
        compiles=options.compile,
        validation_minutes=options.validate_every,
        checkpoint_minutes=options.save_every,
    )
    SeparatorTraining(training).run()
    return 0


def _add_beats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=Path, default=_CLIPS, help="rendered clips")
    parser.add_argument("--model", type=Path, help="where the network goes; the package")
    numbers = {
        "seed": "of weights and order",
        "composed": "how many songs to compose beside the clips",
        "variants": "how many mixes of each clip",
        "steps": "budget of steps",
        "batch": "pieces in a step",
        "every": "steps between validations",
        "threads": "cores to use",
    }
    for name, text in numbers.items():
        parser.add_argument(f"--{name}", type=int, help=text)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.set_defaults(run=_train_beats)


def _train_beats(options: argparse.Namespace) -> int:
    from training.beats.loop import Options, run  # noqa: PLC0415 - it loads PyTorch

    given = {k: v for k, v in vars(options).items() if k != "run" and v is not None}
    run(Options(**given))
    return 0


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("weights", type=Path, help="weights.npz of a training")
    parser.add_argument("model", type=Path, help="directory of the unpacked model, made here")
    parser.add_argument("release", type=Path, help="where the archive and checksum.json go")
    parser.add_argument("--frame-length", type=int, default=4096, help="as in the training")
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from training.separation.export import export_file  # noqa: PLC0415 - not for the training environment

    archive = export_file(
        options.weights, options.model, options.release, frame_length=options.frame_length
    )
    sys.stdout.write(f"{archive}: {archive.stat().st_size} bytes\n")
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
