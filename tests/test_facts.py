"""Frozen values survive JSON exactly, and nothing else passes for them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from pipeline.facts import from_facts, to_facts
from pipeline.recipe import Recipe
from pipeline.types import (
    BeatGrid,
    Fit,
    Key,
    LayerPlan,
    Loudness,
    MergeResult,
    Plan,
    Section,
    SongFacts,
    Stage,
    WarpMap,
)

GRID = BeatGrid(beats_s=(0.1, 1 / 3, 2.0), downbeats_s=(0.1,), bpm=123.456, confidence=1e-300)
SONG = SongFacts(
    title="Tést",
    duration_s=180.123456789,
    grid=GRID,
    key=Key(tonic=3, mode="minor", confidence=0.1 + 0.2),
    sung=((1.0, 2.5), (3.0, 4.0)),
)
LAYER = LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.5, math.pi)), semitones=-2.0)
PLAN = Plan(
    vocals=LAYER,
    backing=LAYER,
    length_s=100,
    bpm=-0.0,
    voice_enters_s=math.inf,
    sections=(Section(start_s=0.0, end_s=1.0), Section(start_s=1.0, end_s=2.0, voice="backing")),
    takes=(Fit(pace="half", start=4, semitones=-1, score=1.5),),
    reasons=("vocals sped up 3 %",),
)
RESULT = MergeResult(
    path=Path("mashup.mp3"),
    vocals=SONG,
    backing=SongFacts(title="", duration_s=5.0, grid=BeatGrid(), key=None),
    plan=PLAN,
    grids={"vocals": GRID, "backing": BeatGrid()},
    loudness=Loudness(integrated_lufs=-14.0, true_peak_dbtp=-1.0, vocals_to_backing_lu=None),
    separator="built-in",
    seconds_by_stage={"decode": 0.25},
    stems={"vocals": Path("vocals.wav")},
)


def _through_json(value: object) -> object:
    return json.loads(json.dumps(to_facts(value)))


@pytest.mark.parametrize(
    "value", [GRID, SONG, PLAN, RESULT, Recipe()], ids=lambda v: type(v).__name__
)
def test_dataclasses_come_back_as_they_were(value: object) -> None:
    back = from_facts(type(value), _through_json(value))
    assert back == value
    assert repr(back) == repr(value)  # types and signs of zero too


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (float, math.nan),
        (float, -math.inf),
        (float, 5e-324),
        (Stage, Stage.MIX),
        (bool, False),
        (int, 2**70),
        (type(None), None),
        (dict[str, Key | None], {"a": Key(tonic=1, mode="major"), "b": None}),
        (tuple[int, str], (1, "x")),
        (tuple[tuple[float, float], ...], ()),
    ],
)
def test_other_values_come_back_as_they_were(kind: type[object], value: object) -> None:
    back = from_facts(kind, _through_json(value))
    assert type(back) is type(value)
    assert repr(back) == repr(value)


def test_numpys_numbers_become_plain_ones() -> None:
    assert _through_json((np.float32(0.5), np.int64(3), np.float64(0.1))) == [0.5, 3, 0.1]


@dataclass(frozen=True, kw_only=True)
class _Small:
    name: str
    pace: Literal["same", "half"] = "same"
    size: int = 0
    share: float | None = None


GOOD = {"name": "a", "pace": "half", "size": 1, "share": 0.5}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "a",
        {},
        {**GOOD, "more": 1},
        {name: value for name, value in GOOD.items() if name != "share"},
        {**GOOD, "name": 1},
        {**GOOD, "name": None},
        {**GOOD, "pace": "double"},
        {**GOOD, "size": 1.0},
        {**GOOD, "size": True},
        {**GOOD, "share": "0.5"},
        {**GOOD, "share": False},
        {**GOOD, "share": [0.5]},
    ],
)
def test_what_has_another_shape_is_refused(data: object) -> None:
    assert from_facts(_Small, dict(GOOD)) == _Small(name="a", pace="half", size=1, share=0.5)
    with pytest.raises(ValueError, match=" is no"):
        from_facts(_Small, data)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (tuple[float, ...], "abc"),
        (tuple[float, ...], [1.0, "x"]),
        (tuple[int, str], [1]),
        (dict[str, int], [["a", 1]]),
        (dict[str, int], {"a": "1"}),
        (Stage, "sing"),
        (Path, 3),
    ],
)
def test_no_other_type_is_taken(kind: type[object], data: object) -> None:
    with pytest.raises(ValueError, match=r" no | not a valid"):
        from_facts(kind, data)


@pytest.mark.parametrize("value", [np.zeros(3), {1: 2}, {"a": object()}, _Small, b"x", {1, 2}])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="is no fact"):
        to_facts(value)
