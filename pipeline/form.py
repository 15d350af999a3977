"""Which song is heard when: the whole, its best minute, turns, or from one song into the other.

Decisions on a finished plan, in seconds of the output; no audio.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pipeline.grids import apply_warp, warp_grid
from pipeline.names import clock
from pipeline.types import LayerPlan, Section, WarpMap

if TYPE_CHECKING:
    from pipeline.grids import Array
    from pipeline.types import Plan, Role, SongFacts

PHRASE_BARS = 4
TURN_BARS = 8
MORPH_BARS = 4
HIGHLIGHT_S = (30.0, 60.0)

_SINGS = 0.25  # a voice takes its turn when it sounds for this share of it


def arrange(plan: Plan, wish: str, vocals: SongFacts, backing: SongFacts) -> Plan:
    """Give a plan its sections.

    Parameters
    ----------
    plan
        The voice over the whole backing.
    wish
        "full", "highlight", "alternate", "morph" or "morph-back".
    vocals, backing
        The two songs.

    Returns
    -------
    Plan
        With at least one section; shorter for a highlight. A warning says when a wish cannot be
        met, and the whole song is given instead.
    """
    whole = replace(plan, sections=(Section(start_s=0.0, end_s=plan.length_s),))
    phrases = _phrases(plan, backing)
    if wish == "highlight":
        return _highlight(whole, phrases, vocals)
    if wish == "alternate":
        return _alternate(whole, phrases, vocals, backing)
    if wish in {"morph", "morph-back"}:
        return _morph(whole, phrases, vocals, backing, back=wish == "morph-back")
    return whole


def _phrases(plan: Plan, backing: SongFacts) -> Array:
    """Find the starts of the phrases that the voice's entry belongs to, in the output."""
    bars = np.asarray(warp_grid(backing.grid, plan.backing, plan.length_s).downbeats_s)
    if not bars.size:
        return np.zeros(0)
    entry = int(np.argmin(np.abs(bars - plan.voice_enters_s)))
    return bars[entry % PHRASE_BARS :: PHRASE_BARS]


def _heard(plan: Plan, song: SongFacts, role: Role) -> list[tuple[float, float]]:
    """When the song's voice sounds in the output, wherever its layer reaches."""
    warp = (plan.vocals if role == "vocals" else plan.backing).warp
    return [
        (float(a), float(b)) for a, b in (apply_warp(warp, np.asarray(span)) for span in song.sung)
    ]


def _sung_s(spans: list[tuple[float, float]], start_s: float, end_s: float) -> float:
    """Seconds of singing between two moments."""
    return sum(max(0.0, min(b, end_s) - max(a, start_s)) for a, b in spans)


def _highlight(plan: Plan, phrases: Array, vocals: SongFacts) -> Plan:
    """Crop to the passage with the most singing, from one phrase's start to another's."""
    spans = _heard(plan, vocals, "vocals")
    shortest, longest = HIGHLIGHT_S
    ends = [*phrases.tolist(), plan.length_s]
    windows = [
        (start, end)
        for start in phrases.tolist()
        for end in ends
        if shortest <= end - start <= longest
    ]
    if not windows:
        if plan.length_s > longest:
            return _as_a_whole(plan, "no passage of 30 to 60 seconds starts and ends on a phrase")
        return plan
    # Singing counts, and a little what is saved by being short.
    start, end = max(windows, key=lambda w: (_sung_s(spans, *w) - 0.3 * (w[1] - w[0]), -w[0]))
    reason = f"The highlight is what would be heard from {clock(start)} on."
    return _crop(replace(plan, reasons=(*plan.reasons, reason)), start, end)


def _crop(plan: Plan, start_s: float, end_s: float) -> Plan:
    def moved(layer: LayerPlan) -> LayerPlan:
        target = tuple(t - start_s for t in layer.warp.target_s)
        return replace(layer, warp=WarpMap(source_s=layer.warp.source_s, target_s=target))

    length = end_s - start_s
    return replace(
        _entering(plan, max(0.0, plan.voice_enters_s - start_s)),
        vocals=moved(plan.vocals),
        backing=moved(plan.backing),
        length_s=length,
        fade_out_s=plan.fade_out_s if end_s == plan.length_s else min(2.0, length / 4),
        sections=(Section(start_s=0.0, end_s=length),),
    )


def _entering(plan: Plan, enters_s: float) -> Plan:
    """Let the voice enter at another moment, in words too."""
    before, now = (f"enters at {clock(time_s)}" for time_s in (plan.voice_enters_s, enters_s))
    return replace(
        plan,
        voice_enters_s=enters_s,
        reasons=tuple(reason.replace(before, now) for reason in plan.reasons),
    )


def _alternate(plan: Plan, phrases: Array, vocals: SongFacts, backing: SongFacts) -> Plan:
    """Let the voices take turns of eight bars, wherever both songs reach and the other sings."""
    spans = _heard(plan, backing, "backing")
    turns = phrases[phrases >= plan.voice_enters_s - 0.05][:: TURN_BARS // PHRASE_BARS].tolist()
    reach = _reach(plan, vocals)
    sections: list[Section] = []
    edges = [0.0, *turns[1:], plan.length_s]
    others_turn = False
    for start, end in pairwise(edges):
        sings = _sung_s(spans, start, end) >= _SINGS * (end - start)
        if others_turn and sings and reach[0] <= start and end <= reach[1]:
            sections.append(Section(start_s=start, end_s=end, voice="backing", band="vocals"))
        else:
            sections.append(Section(start_s=start, end_s=end))
        others_turn = sections[-1].voice == "vocals"
    if all(section.voice == "vocals" for section in sections):
        why = (
            f"has no turn of {TURN_BARS} bars to sing"
            if spans
            else "has no voice to take turns with"
        )
        return _as_a_whole(plan, f"{backing.title} {why}")
    reason = f"The voices take turns every {TURN_BARS} bars."
    return replace(plan, sections=_joined(sections), reasons=(*plan.reasons, reason))


def _morph(
    plan: Plan, phrases: Array, vocals: SongFacts, backing: SongFacts, *, back: bool
) -> Plan:
    """Open as one song, pass through the mash-up and end as the other, a third each."""
    too_short = _as_a_whole(plan, "the songs are too short to turn one into the other")
    if not phrases.size:
        return _as_a_whole(plan, "without beats one song cannot turn into the other")
    low, high = _reach(plan, vocals)
    if back and low > 0:  # the opening song must be there from the start
        later = phrases[phrases >= low]
        if not later.size:
            return too_short
        plan = _crop(plan, float(later[0]), plan.length_s)
        phrases = later - later[0]
        low, high = _reach(plan, vocals)
    inside = phrases[(phrases > max(0.0, low)) & (phrases < min(high, plan.length_s))]
    if len(inside) < 2:
        return too_short
    thirds = np.asarray([1, 2]) / 3 * min(high, plan.length_s)
    first, second = (float(inside[np.argmin(np.abs(inside - third))]) for third in thirds)
    if first >= second:
        return too_short
    end = min(plan.length_s, high)
    morph_s = MORPH_BARS * backing.grid.beats_per_bar * 60.0 / plan.bpm
    if not back:
        plan = _entering(plan, max(plan.voice_enters_s, first))
    titles = (vocals.title, backing.title) if back else (backing.title, vocals.title)
    reason = f"It opens as {titles[0]}; from {clock(second)} on it is {titles[1]}."
    return replace(
        plan,
        sections=_thirds(first, second, end, morph_s, back=back),
        length_s=end,
        reasons=(*plan.reasons, reason),
    )


def _thirds(
    first: float, second: float, end: float, morph_s: float, *, back: bool
) -> tuple[Section, ...]:
    """One song, the mash-up, the other song; it is the vocal song's band that is morphed."""
    opening: Role = "vocals" if back else "backing"
    ending: Role = "backing" if back else "vocals"
    into_middle, into_end = (
        (min(morph_s, first), 0.0) if back else (0.0, min(morph_s, second - first))
    )
    return (
        Section(start_s=0.0, end_s=first, voice=opening, band=opening),
        Section(start_s=first, end_s=second, morph_s=into_middle),
        Section(start_s=second, end_s=end, voice=ending, band=ending, morph_s=into_end),
    )


def _reach(plan: Plan, vocals: SongFacts) -> tuple[float, float]:
    """When the vocal song begins and ends in the output."""
    low, high = apply_warp(plan.vocals.warp, np.asarray([0.0, vocals.duration_s]))
    return float(low), float(high)


def _as_a_whole(plan: Plan, why: str) -> Plan:
    sentence = f"This is the whole mash-up: {why}."
    return replace(plan, warnings=(*plan.warnings, sentence))


def _joined(sections: list[Section]) -> tuple[Section, ...]:
    """Join neighbours that have the same voice and the same band."""
    joined: list[Section] = []
    for section in sections:
        last = joined[-1] if joined else None
        if last and (last.voice, last.band) == (section.voice, section.band):
            joined[-1] = replace(last, end_s=section.end_s)
        else:
            joined.append(section)
    return tuple(joined)
