"""What the container's recipe promises; no test here has a container to build."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECRET = re.compile(r"token|secret|password|\.env", re.IGNORECASE)


def instructions() -> list[tuple[str, str]]:
    """Return the recipe's instructions, continued lines joined, without the comments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    pairs = (line.split(None, 1) for line in joined.splitlines() if line.strip())
    return [(name, rest) for name, rest in pairs]


def of_the_last_stage(name: str) -> list[str]:
    every = instructions()
    start = max(n for n, (word, _) in enumerate(every) if word == "FROM")
    return [rest for word, rest in every[start:] if word == name]


def test_it_never_runs_as_root() -> None:
    [user] = of_the_last_stage("USER")
    assert int(user) > 0
    words = [word for word, _ in instructions()]
    last_run = max(n for n, word in enumerate(words) if word == "RUN")
    assert words.index("USER") > last_run  # what is installed is not the bot's to change


def test_only_the_data_is_the_bots_to_write() -> None:
    assert of_the_last_stage("VOLUME") == ["/data"]
    [run] = of_the_last_stage("RUN")
    assert "install --directory --owner vocal --group vocal --mode 0700 /data" in run
    [settings] = of_the_last_stage("ENV")
    given = dict(pair.split("=", 1) for pair in shlex.split(settings))
    assert given["DATA_DIR"] == "/data"
    elsewhere = {name: value for name, value in given.items() if value.startswith("/")}
    assert all(value.startswith(("/data", "/tmp/")) for value in elsewhere.values())


def test_no_secret_is_part_of_the_image() -> None:
    assert [
        (word, rest)
        for word, rest in instructions()
        if word in {"ENV", "ARG", "COPY", "ADD", "LABEL"} and SECRET.search(rest)
    ] == []


def test_it_has_the_python_and_the_pins_of_everybody_else() -> None:
    bases = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert set(bases) == {"python:3.11-slim"}
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    assert project["project"]["requires-python"] == ">=3.11,<3.12"
    settings = " ".join(rest for word, rest in instructions() if word == "ENV")
    assert "PIP_CONSTRAINT=/src/constraints.txt" in settings
    copied = copied_names()
    assert {name.split(".")[0] for name in project["tool"]["setuptools"]["packages"]} <= copied


def copied_names() -> set[str]:
    copies = [shlex.split(rest) for word, rest in instructions() if word == "COPY"]
    return {name for copy in copies if not copy[0].startswith("--") for name in copy[:-1]}


def test_nothing_but_what_is_copied_gets_near_the_image() -> None:
    text = (ROOT / ".dockerignore").read_text(encoding="utf-8")
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_in == copied_names()
    left_out = [rule for rule in rules[1:] if not rule.startswith("!")]
    assert rules.index(left_out[0]) > max(rules.index(f"!{name}") for name in let_in)
    for name in (".env", "bot/.env.local", "bot/vocal.sqlite3-wal", "pipeline/__pycache__"):
        assert any(fnmatch(f"/{name}", rule.replace("**/", "*/")) for rule in left_out), name


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout of the repository")
def test_no_secret_is_in_the_repository() -> None:
    ended = subprocess.run(
        ["git", "ls-files", "-z", "*.env", ".env*", "*.sqlite3", "*.pem", "*.key"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert [name for name in ended.stdout.split("\0") if name] == [".env.example"]
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert "\nDISCORD_TOKEN=\n" in example
