"""The command line as the program that people start."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.codec import decode
from pipeline.types import Stage
from tests.pair import all_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pair import Pair

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PROGRAM = (sys.executable, "-m", "pipeline")


def bare(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty home, an empty temporary folder and no ffmpeg."""
    for name in ("home", "bin", "temp"):
        (tmp_path / name).mkdir()
    return {
        "PATH": str(tmp_path / "bin"),
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temp"),
        "SPLEETER_MODEL_DIR": str(tmp_path / "models"),
        "SPLEETER_MODEL_URL": str(tmp_path / "nowhere"),
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
    }


def test_on_a_bare_machine(tmp_path: Path, small_pair: Pair) -> None:
    environment = bare(tmp_path)
    song = tmp_path / "Ænima 歌.wav"
    song.write_bytes(small_pair.vocals.read_bytes())
    out = tmp_path / "mashup.mp3"
    done = subprocess.run(
        [*PROGRAM, "merge", str(song), str(small_pair.backing), "-o", str(out)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "\\xc6nima \\u6b4c over backing of"
    assert done.stdout.splitlines()[-1] == str(out)
    assert done.stderr.splitlines()[0] == "Read the songs"
    assert len(done.stderr.splitlines()) == 9
    assert decode(out).duration_s > 2.0
    assert all_files(tmp_path / "home") == []
    assert all_files(tmp_path / "temp") == []


def ctrl_c(pid: int) -> None:
    """As a terminal does: everybody in the foreground gets it, ffmpeg too."""
    os.killpg(pid, signal.SIGINT)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def call_off_at(
    stage: Stage, call_off: Callable[[int], None], tmp_path: Path, pair: Pair, env: dict[str, str]
) -> None:
    """Start a merge, call it off when it says what it does, and see that nothing is left."""
    out = tmp_path / "out"
    out.mkdir()
    songs = [str(pair.vocals), str(pair.backing)]
    with subprocess.Popen(
        [*PROGRAM, "merge", *songs, "-o", str(out / "a.mp3"), "--stems", str(out / "new")],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        assert program.stderr is not None
        while program.stderr.readline().casefold() != f"{stage.value}\n":
            assert program.poll() is None
        call_off(program.pid)
        _, rest = program.communicate(timeout=60)
    assert program.returncode == 130
    assert rest.splitlines()[-1] == "Called off; nothing was written."
    assert "Traceback" not in rest
    assert all_files(out) == []
    assert all_files(tmp_path / "temp") == []


@pytest.mark.parametrize("call_off", [ctrl_c, kill])
def test_whoever_calls_it_off_finds_nothing(
    tmp_path: Path, small_pair: Pair, call_off: Callable[[int], None]
) -> None:
    call_off_at(Stage.DECODE, call_off, tmp_path, small_pair, bare(tmp_path))


def test_an_encoder_that_was_interrupted_as_well_is_no_fault(
    tmp_path: Path, small_pair: Pair
) -> None:
    env = bare(tmp_path)
    encoder = tmp_path / "bin" / "ffmpeg"
    encoder.write_text(f"#!{sys.executable} -S\nimport time; time.sleep(60)\n")
    encoder.chmod(0o700)
    call_off_at(Stage.ENCODE, ctrl_c, tmp_path, small_pair, env)


def test_a_reader_that_has_seen_enough(tmp_path: Path, small_pair: Pair) -> None:
    with subprocess.Popen(
        [*PROGRAM, "analyse", str(small_pair.vocals), "--json", "-q"],
        cwd=ROOT,
        env=bare(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdout is not None
        program.stdout.close()
        _, said = program.communicate(timeout=60)
    assert (program.returncode, said) == (0, b"")


def test_on_a_terminal_a_bar_comes_and_goes(tmp_path: Path, small_pair: Pair) -> None:
    screen, keyboard = pty.openpty()
    seen = bytearray()

    def watch() -> None:
        while True:
            try:
                got = os.read(screen, 4096)
            except OSError:  # how Linux says that the other side is closed
                return
            if not got:
                return
            seen.extend(got)

    watcher = threading.Thread(target=watch)
    watcher.start()
    done = subprocess.run(
        [*PROGRAM, "analyse", str(small_pair.vocals)],
        cwd=ROOT,
        env=bare(tmp_path) | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        stdout=subprocess.PIPE,
        stderr=keyboard,
        check=True,
    )
    os.close(keyboard)
    watcher.join(timeout=10)
    os.close(screen)
    text = seen.decode()
    assert "Find the beats" in text
    assert "%" in text
    assert done.stdout.decode().startswith("voice of\n  length")
    assert screen_after(text) == []


def screen_after(text: str) -> list[str]:
    """Return the lines that are left on a terminal which knows what rich sends to it."""
    lines, row, column = [""], 0, 0
    for code in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if code == "\r":
            column = 0
        elif code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code.startswith("\x1b"):
            count = int(code[2:-1] or 1) if code[2:-1].isdigit() or not code[2:-1] else 0
            if code[-1] == "A":
                row -= count
            elif code[-1] == "K":
                lines[row] = ""
            else:
                assert code[-1] in "mhl", code
        else:
            lines[row] = lines[row][:column] + code + lines[row][column + len(code) :]
            column += len(code)
            assert column <= 80
    return [line for line in lines if line]
