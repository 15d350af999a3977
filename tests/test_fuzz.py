"""Some mutated files of every kind; ``make fuzz`` reads thousands, and others each time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.fuzz.mutate import mutant
from tests.fuzz.reading import reader
from tests.fuzz.run import fuzz
from tests.fuzz.seeds import CORPUS, SEEDS, seeds

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

MOST_MEMORY_MB = 200.0
MOST_CORPUS_BYTES = 300_000
FOUND = CORPUS.with_name("found")  # mutants that were faults, by what was wrong with them


def test_mutants_are_music_or_refused_in_a_sentence() -> None:
    findings = fuzz("unit", files=150, processes=1)
    assert findings.faults == {}
    assert findings.remarks == ""  # no traceback, no remark of a library
    assert findings.files == 150
    assert findings.memory_mb < MOST_MEMORY_MB
    assert findings.answers["music"] > 50  # the mutants are not all refused at the door
    assert len(findings.answers) > 4


def test_the_corpus_is_small_whole_and_readable(tmp_path: Path) -> None:
    corpus = seeds()
    assert set(corpus) == set(SEEDS)
    found_bytes = sum(path.stat().st_size for path in FOUND.iterdir())
    assert sum(map(len, corpus.values())) + found_bytes < MOST_CORPUS_BYTES
    with reader(tmp_path / "remarks", 30.0) as process:
        for name, content in corpus.items():
            (tmp_path / name).write_bytes(content)
            said = process.read(tmp_path / name).said
            assert [said[0], said[1], said[3]] == ["music"] * 3
            assert said[2] == "song is silent. Send a song that can be heard."  # not for a second


def test_what_once_was_a_fault_is_none(tmp_path: Path) -> None:
    found = sorted(FOUND.iterdir())
    assert len(found) >= 4
    with reader(tmp_path / "remarks", 30.0) as process:
        faults = {path.name: reading.said for path in found
                  if not (reading := process.read(path)).is_fine}  # fmt: skip
    assert faults == {}
    assert (tmp_path / "remarks").read_text() == ""


def test_a_mutant_is_found_again_by_its_seed() -> None:
    corpus = seeds()
    assert mutant("a/1", corpus) == mutant("a/1", corpus) != mutant("a/2", corpus)


def crash(_path: Path) -> None:
    os.abort()


def hang(_path: Path) -> None:
    while True:
        pass


def greedy(_path: Path) -> None:
    assert any(bytearray(b"x") * 200_000_000)


def stray(_path: Path) -> None:
    raise KeyError("stray")


def talk(_path: Path) -> None:
    print("talk", flush=True)


def test_the_reader_notices_all_that_may_go_wrong(tmp_path: Path) -> None:
    remarks = tmp_path / "remarks"
    for way, said in (
        (crash, "crashed: exit code -6"),
        (hang, "hung: over 1 s"),
        (stray, "raised: KeyError: 'stray'"),
    ):
        with reader(remarks, 1.0, (way, talk)) as process:
            for _ in range(2):  # it goes on with the next file
                reading = process.read(tmp_path)
                assert reading.said == (said,)
                assert not reading.is_fine
    with reader(remarks, 30.0, (talk, greedy)) as process:
        reading = process.read(tmp_path)
    assert reading.said == ("music", "music")
    assert 150 < reading.memory_mb < 300
    assert "talk" in remarks.read_text()
