from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest

from pipeline.names import LONGEST_NAME, clean_name, clean_text, clock, title_of


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("song.mp3", "song.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\music\\song.mp3", "song.mp3"),
        ("folder/", "folder"),
        ("two\nlines\r\n.mp3", "two lines .mp3"),
        ("\x1b[31mred\x1b[0m.mp3", "red.mp3"),
        ("\x1b]0;owned\x07title.mp3", "title.mp3"),
        ("good\u202e3pm.exe", "good3pm.exe"),
        ("zero\u200bwidth.mp3", "zerowidth.mp3"),
        ("nul\x00.mp3", "nul.mp3"),
        ("\udcff\udcfe.mp3", ".mp3"),
        ("Ünïcödé 世界 🎵.ogg", "Ünïcödé 世界 🎵.ogg"),
        ("u\u0308ber.mp3", "über.mp3"),
        ("", "unnamed file"),
        ("..", "unnamed file"),
        ("\u202e\x07", "unnamed file"),
        ("-rf", "-rf"),
    ],
)
def test_names_come_out_harmless(name: str, shown: str) -> None:
    assert clean_name(name) == shown


def test_a_long_name_keeps_its_beginning_and_its_extension() -> None:
    shown = clean_name("a" * 300 + ".mp3")
    assert len(shown) == LONGEST_NAME
    assert shown.startswith("aaaa")
    assert shown.endswith(".mp3")


def test_stacked_accents_are_thinned() -> None:
    shown = clean_text("e" + "\u0301\u0336" * 200 + "nd")
    assert sum(unicodedata.category(char) == "Mn" for char in shown) <= 3
    assert shown.endswith("nd")


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("lets_go_fishin.ogg", "lets go fishin"),
        ("no extension", "no extension"),
        ("Vol. 2.mp3", "Vol. 2"),
        ("../x.wav", "x"),
        (".mp3", ".mp3"),
        ("___.mp3", "___.mp3"),
    ],
)
def test_titles_are_made_of_names(name: str, title: str) -> None:
    assert title_of(name) == title


def test_the_bot_can_import_it_lightly() -> None:
    code = "import pipeline.names, sys; sys.exit('numpy' in sys.modules or 'av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0:00"),
        (42.4, "0:42"),
        (59.6, "1:00"),
        (900, "15:00"),
        (3599.7, "1:00:00"),
        (10_800, "3:00:00"),
    ],
)
def test_lengths_are_written_as_people_do(seconds: float, words: str) -> None:
    assert clock(seconds) == words
