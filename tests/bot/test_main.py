from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_bot(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "bot"],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_token_says_what_to_put_where(tmp_path: Path) -> None:
    ended = run_bot(tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert line.startswith("DISCORD_TOKEN is not set: copy .env.example to .env")
    assert "https://discord.com/developers/applications" in line


@pytest.mark.parametrize("where", ["file", "environment"])
def test_lists_every_bad_variable(tmp_path: Path, where: str) -> None:
    bad = {"DISCORD_TOKEN": "", "WORKERS": "many", "SEPARATOR": "magic"}
    if where == "file":
        text = "".join(f"{name}={value}\n" for name, value in bad.items())
        (tmp_path / ".env").write_text(text, encoding="utf-8")
        ended = run_bot(tmp_path)
    else:
        ended = run_bot(tmp_path, **bad)
    assert ended.returncode == 2
    assert [line.split()[0] for line in ended.stderr.splitlines()] == [
        "DISCORD_TOKEN",
        "SEPARATOR",
        "WORKERS",
    ]
    assert not (tmp_path / "data").exists()
