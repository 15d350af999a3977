"""The laws of the code's layout that no linter holds."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = sorted((ROOT / "pipeline").rglob("*.py"))
BOT = sorted((ROOT / "bot").rglob("*.py"))
HEAVY = (
    "tensorflow",
    "openvino",
    "onnx",
    "librosa",
    "spleeter",
    "numpy",
    "scipy",
    "soundfile",
    "av",
)


def imported_names(path: Path) -> set[str]:
    """Return the first parts of all modules that a file imports, wherever it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names.add((node.module or "").split(".")[0])
    return names


def loaded_by(statement: str, modules: tuple[str, ...]) -> str:
    """Return which of the modules a fresh interpreter has after a statement."""
    script = f"import sys\n{statement}\nprint(*(m for m in {modules} if m in sys.modules))"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("path", PIPELINE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pipeline_knows_neither_discord_nor_an_event_loop(path: Path) -> None:
    assert (
        imported_names(path) & {"bot", "discord", "asyncio", "aiohttp", "tests", "training"}
        == set()
    )


def environment_readers(path: Path) -> list[str]:
    """Return how a file takes values out of the environment; what it puts there is no matter."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    written = [
        node.value
        for node in nodes
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    ]
    return [
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and node not in written
    ]


# The command line is a face like the bot: it hands on what the environment says.
INNER = [path for path in PIPELINE if path.name != "__main__.py"]


@pytest.mark.parametrize("path", INNER, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_pipeline_takes_nothing_from_the_environment(path: Path) -> None:
    assert environment_readers(path) == []


def test_the_bots_process_stays_light() -> None:
    assert loaded_by("import bot.client", HEAVY) == ""
    assert loaded_by("import bot.client", ("discord",)) == "discord"  # the probe itself works


@pytest.mark.parametrize("module", ["bot.__main__", "bot.workers", "bot.tasks", "bot.config"])
def test_what_a_worker_imports_knows_no_discord(module: str) -> None:
    assert loaded_by(f"import {module}", ("discord", *HEAVY)) == ""


def test_discord_lives_in_the_bot_only() -> None:
    elsewhere = [*PIPELINE, *sorted((ROOT / "composer").rglob("*.py"))]
    assert [path for path in elsewhere if "discord" in imported_names(path)] == []


def is_broad(caught: ast.expr | None) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(is_broad(kind) for kind in caught.elts)
    return caught is None or (
        isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}
    )


def broad_handlers(path: Path) -> list[int]:
    """Return the lines on which a file catches everything."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and is_broad(node.type)
    ]


def test_everything_is_caught_in_one_place_at_most() -> None:
    # Where a stage's failure is wrapped, and where the bot's reply is made.
    found = {path.relative_to(ROOT).as_posix(): broad_handlers(path) for path in [*PIPELINE, *BOT]}
    broad = {name: lines for name, lines in found.items() if lines}
    assert set(broad) <= {"pipeline/stages.py", "bot/answers.py"}
    assert all(len(lines) == 1 for lines in broad.values())
