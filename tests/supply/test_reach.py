"""What the exceptions of the audit rest on."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

from supply.exceptions import FILE, read_exceptions
from supply.registry import canonical

ROOT = Path(__file__).resolve().parents[2]
EXEMPTIONS = read_exceptions(FILE.read_text(encoding="utf-8"))
NEVER = sorted({module for one in EXEMPTIONS for module in one.modules})
# A worker's whole work, with the picture, and the bot's own process, in one interpreter.
A_MERGE = """
import sys
from pathlib import Path
import bot.client, bot.excerpts
from bot.tasks import MergerSettings, Rehearsal, make_merger
home = Path(sys.argv[1])
work = make_merger(MergerSettings(
    model_dir=home / "models", model_location="", separator="builtin", cache_dir=home / "cache",
    cache_bytes=10**8, log_level="INFO",
))
assert work(Rehearsal(folder=home / "rehearsals"), print).vocals.duration_s > 1
print("LOADED", *sys.modules)
"""


@pytest.mark.slow
def test_a_merge_loads_nothing_that_is_excepted_for_never_running(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", A_MERGE, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = set(ended.stdout.rpartition("LOADED")[2].split())
    assert "openvino" in loaded
    assert "discord" in loaded
    assert [module for module in NEVER if module in loaded] == []


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def test_no_line_of_the_bot_imports_them_either() -> None:
    sources = [
        path for room in ("bot", "pipeline", "composer") for path in (ROOT / room).rglob("*.py")
    ]
    named = set[str]().union(*(imports(path) for path in sources))
    assert {
        module for module in NEVER if any(f"{one}.".startswith(f"{module}.") for one in named)
    } == set()
    # What is excepted of onnx is in its ways to load, save and fetch models.
    assert {one for one in named if one.split(".")[0] == "onnx"} <= {
        *("onnx", "onnx.TensorProto", "onnx.helper", "onnx.NodeProto")
    }
    # And what is excepted of protobuf is in reading messages from JSON.
    assert not any(one.startswith("google.protobuf") for one in named)


def test_tools_are_not_among_what_the_bot_requires() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wanted = [_name(line) for line in tomllib.loads(text)["project"]["dependencies"]]
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))["exception"]
    tools = {name for table in tables if table.get("tools_only") for name in table["packages"]}
    needed: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name not in needed:
            needed.add(name)
            lines = distribution(name).requires or []
            wanted += [_name(line) for line in lines if "extra ==" not in line and _holds(line)]
    assert "tensorflow" in needed
    assert needed & tools == set()


def _name(line: str) -> str:
    end = next(
        (n for n, letter in enumerate(line) if not (letter.isalnum() or letter in "-_.")), None
    )
    return canonical(line[:end])


def _holds(line: str) -> bool:
    """Leave out what other systems need, which is not installed here."""
    try:
        distribution(_name(line))
    except ModuleNotFoundError:
        return False
    return True
