"""Results in JSON and in words, for the command line and for other programs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pipeline.names import clock

if TYPE_CHECKING:
    from pipeline.types import BeatGrid, Key, MergeResult, SongFacts


def as_json(values: dict[str, Any]) -> str:
    """Write values as JSON, which has no word for infinities: silence has a loudness of null."""
    return json.dumps(_finite(values), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:  # noqa: ANN401 - whatever JSON takes, at any depth
    if isinstance(value, dict):
        return {name: _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None


def as_report(result: MergeResult) -> dict[str, Any]:
    """Lay out everything about a mash-up as JSON takes it; times in seconds of the output."""
    return {
        "output": str(result.path),
        "stems": {name: str(path) for name, path in result.stems.items()},
        "separator": result.separator,
        "songs": {"vocals": as_facts(result.vocals), "backing": as_facts(result.backing)},
        "plan": asdict(result.plan),
        "grids": {name: as_grid(grid) for name, grid in result.grids.items()},
        "loudness": asdict(result.loudness),
        "seconds_by_stage": result.seconds_by_stage,
        "notes": list(result.notes),
    }


def as_facts(facts: SongFacts) -> dict[str, Any]:
    """Lay out what is known of a song; times in seconds from its start."""
    return {
        "title": facts.title,
        "duration_s": facts.duration_s,
        "key": as_key(facts.key),
        **as_grid(facts.grid),
    }


def as_grid(grid: BeatGrid) -> dict[str, Any]:
    """Lay out a beat grid."""
    return asdict(grid)


def as_key(key: Key | None) -> dict[str, Any] | None:
    """Lay out a key; None where there is none."""
    return {"name": str(key), **asdict(key)} if key else None


def merge_lines(result: MergeResult) -> list[str]:
    """Say in a few lines what came out, what was decided and what to know about it."""
    taken = sum(result.seconds_by_stage.values())
    loudness = result.loudness
    return [
        f"{result.vocals.title} over {result.backing.title}",
        *(f"  {reason}" for reason in result.plan.reasons),
        *(f"  Note: {note}" for note in result.notes),
        (
            f"  {clock(result.plan.length_s)} long, {loudness.integrated_lufs:.1f} LUFS, "
            f"true peak {loudness.true_peak_dbtp:.1f} dBTP."
        ),
        f"  Taken apart by the {result.separator} separator, made in {taken:.0f} s.",
    ]


def song_lines(facts: SongFacts, integrated_lufs: float) -> list[str]:
    """Say in a few lines what is known of a song."""
    loudness = (
        f"{integrated_lufs:.1f} LUFS" if math.isfinite(integrated_lufs) else "too quiet to measure"
    )
    return [
        facts.title,
        f"  length    {clock(facts.duration_s)}",
        f"  tempo     {_tempo(facts.grid)}",
        f"  key       {facts.key or 'none found'}",
        f"  loudness  {loudness}",
    ]


def _tempo(grid: BeatGrid) -> str:
    if not grid.beats_s:
        return "no beat found"
    bars = "no bars found"
    if grid.downbeats_s:
        bars = f"{grid.beats_per_bar} a bar, first downbeat at {grid.downbeats_s[0]:.2f} s"
    return f"{grid.bpm:.1f} BPM, {len(grid.beats_s)} beats, {bars}"
