"""Progress on the screen: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.types import OnProgress, Progress, Stage


@contextmanager
def listener(*, quiet: bool) -> Iterator[OnProgress]:
    """Show progress on stderr: a bar on a terminal, a line for each stage elsewhere."""
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield lambda _: None
        return
    if not console.is_terminal:
        yield plain_listener(console)
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


def plain_listener(console: Console) -> OnProgress:
    """Print a line whenever another stage begins."""
    shown: Stage | None = None

    def show(progress: Progress) -> None:
        nonlocal shown
        if progress.stage is not shown:
            shown = progress.stage
            console.print(_caption(progress.stage))

    return show


def _caption(stage: Stage) -> str:
    return stage.value[0].upper() + stage.value[1:]
