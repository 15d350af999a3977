from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.report import as_facts, as_json, as_report, merge_lines, song_lines
from pipeline.types import (
    BeatGrid,
    Key,
    LayerPlan,
    Loudness,
    MergeResult,
    Plan,
    SongFacts,
    WarpMap,
)

GRID = BeatGrid(
    beats_s=(0.5, 1.0, 1.5, 2.0, 2.5),
    downbeats_s=(0.5, 2.5),
    bpm=120.0,
    beats_per_bar=4,
    confidence=0.9,
)
SINGER = SongFacts(
    title="Soggy Llama", duration_s=61.4, grid=GRID, key=Key(tonic=9, mode="minor", confidence=0.5)
)
DRONE = SongFacts(title="Drone", duration_s=3600.0, grid=BeatGrid(), key=None)
AS_IT_IS = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0)))
RESULT = MergeResult(
    path=Path("out/mashup.mp3"),
    vocals=SINGER,
    backing=DRONE,
    plan=Plan(
        vocals=AS_IT_IS,
        backing=AS_IT_IS,
        length_s=61.4,
        bpm=120.0,
        voice_enters_s=0.5,
        reasons=("Both songs keep their own tempo.",),
        warnings=("No beat was found in Drone.",),
    ),
    grids={"vocals": GRID, "backing": BeatGrid()},
    loudness=Loudness(integrated_lufs=-14.04, true_peak_dbtp=-1.26, vocals_to_backing_lu=0.98),
    separator="built-in",
    seconds_by_stage={"decode": 1.25, "separate": 10.5},
    notes=("Spleeter was away.", "No beat was found in Drone."),
    stems={"vocals": Path("st/vocals.wav"), "backing": Path("st/backing.wav")},
)


def test_report_holds_what_other_programs_need() -> None:
    report = json.loads(as_json(as_report(RESULT)))
    assert report["output"] == "out/mashup.mp3"
    assert report["stems"] == {"vocals": "st/vocals.wav", "backing": "st/backing.wav"}
    assert report["separator"] == "built-in"
    assert report["songs"]["vocals"]["key"]["name"] == "A minor"
    assert report["songs"]["backing"]["key"] is None
    assert report["plan"]["length_s"] == 61.4
    assert report["plan"]["vocals"]["warp"] == {"source_s": [0.0, 1.0], "target_s": [0.0, 1.0]}
    assert report["grids"]["vocals"]["beats_s"] == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert report["grids"]["vocals"]["downbeats_s"] == [0.5, 2.5]
    assert report["grids"]["backing"]["beats_s"] == []
    assert report["loudness"] == {
        "integrated_lufs": -14.04,
        "true_peak_dbtp": -1.26,
        "vocals_to_backing_lu": 0.98,
    }
    assert report["seconds_by_stage"] == {"decode": 1.25, "separate": 10.5}
    assert report["notes"] == ["Spleeter was away.", "No beat was found in Drone."]


def test_json_has_no_infinities() -> None:
    values = {"lufs": -math.inf, "deep": [{"nan": math.nan}, (math.inf, 1.5)], "text": "Infinity"}

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    back = json.loads(as_json(values), parse_constant=refuse)
    assert back == {"lufs": None, "deep": [{"nan": None}, [None, 1.5]], "text": "Infinity"}


def test_json_is_plain_ascii() -> None:
    assert as_json({"title": "歌\udcff"}).isascii()


def test_facts_of_a_song() -> None:
    facts = as_facts(SINGER)
    assert (facts["title"], facts["duration_s"], facts["bpm"]) == ("Soggy Llama", 61.4, 120.0)
    assert facts["key"] == {"name": "A minor", "tonic": 9, "mode": "minor", "confidence": 0.5}
    assert facts["beats_per_bar"] == 4


def test_a_mashup_in_words() -> None:
    assert merge_lines(RESULT) == [
        "Soggy Llama over Drone",
        "  Both songs keep their own tempo.",
        "  Note: Spleeter was away.",
        "  Note: No beat was found in Drone.",
        "  1:01 long, -14.0 LUFS, true peak -1.3 dBTP.",
        "  Taken apart by the built-in separator, made in 12 s.",
    ]


@pytest.mark.parametrize(
    ("facts", "lufs", "lines"),
    [
        (
            SINGER,
            -12.34,
            [
                "Soggy Llama",
                "  length    1:01",
                "  tempo     120.0 BPM, 5 beats, 4 a bar, first downbeat at 0.50 s",
                "  key       A minor",
                "  loudness  -12.3 LUFS",
            ],
        ),
        (
            DRONE,
            -math.inf,
            [
                "Drone",
                "  length    1:00:00",
                "  tempo     no beat found",
                "  key       none found",
                "  loudness  too quiet to measure",
            ],
        ),
        (
            replace(SINGER, grid=replace(GRID, downbeats_s=())),
            -20.0,
            [
                "Soggy Llama",
                "  length    1:01",
                "  tempo     120.0 BPM, 5 beats, no bars found",
                "  key       A minor",
                "  loudness  -20.0 LUFS",
            ],
        ),
    ],
)
def test_a_song_in_words(facts: SongFacts, lufs: float, lines: list[str]) -> None:
    assert song_lines(facts, lufs) == lines
