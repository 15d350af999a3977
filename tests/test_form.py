from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.form import arrange
from pipeline.grids import apply_warp
from pipeline.plan import make_plan
from pipeline.recipe import OPTIONS, Recipe
from pipeline.types import BeatGrid, LayerPlan, Plan, Section, SongFacts, Spans, WarpMap
from tests.songs import song_facts, steady_grid

WISHES = next(tuple(option.choices) for option in OPTIONS if option.name == "arrange")
PHRASE_S, TURN_S = 8.0, 16.0  # four and eight bars at 120 BPM


def backing(duration_s: float = 120.0, *, sung: Spans = ()) -> SongFacts:
    facts = song_facts(steady_grid(120, duration_s), duration_s, sung=sung)
    return replace(facts, title="Band")


def vocals(sung: Spans, duration_s: float = 120.0) -> SongFacts:
    facts = song_facts(steady_grid(120, duration_s), duration_s, sung=sung)
    return replace(facts, title="Singer")


def plan(*, length_s: float = 120.0, enters_s: float = 8.0, from_s: float = 0.0) -> Plan:
    """Return a plan that stretches nothing and starts the vocal song at `from_s`."""
    return Plan(
        vocals=LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(from_s, from_s + 1.0))),
        backing=LayerPlan(warp=WarpMap(source_s=(0.0, 1.0), target_s=(0.0, 1.0))),
        length_s=length_s,
        bpm=120.0,
        voice_enters_s=enters_s,
        fade_out_s=1.5,
        reasons=("The voice enters at 0:08, on the first beat of a bar.",),
    )


def assert_whole(made: Plan, before: Plan, why: str) -> None:
    assert made.sections == (Section(start_s=0.0, end_s=before.length_s),)
    assert made.warnings == (f"This is the whole mash-up: {why}.",)
    assert replace(made, sections=(), warnings=()) == before


def assert_without_gaps(made: Plan) -> None:
    assert made.sections[0].start_s == 0.0
    assert made.sections[-1].end_s == pytest.approx(made.length_s)
    assert all(a.end_s == b.start_s for a, b in pairwise(made.sections))
    assert all(section.start_s < section.end_s for section in made.sections)


def test_the_whole() -> None:
    made = arrange(plan(), "full", vocals(((8.0, 100.0),)), backing())
    assert made == replace(plan(), sections=(Section(start_s=0.0, end_s=120.0),))


@pytest.mark.parametrize(
    ("sung", "start_s", "end_s"),
    [
        (((40.0, 72.0),), 40.0, 72.0),
        (((40.0, 70.0), (100.0, 110.0)), 40.0, 72.0),
        (((8.0, 16.0), (48.0, 100.0)), 48.0, 104.0),
        (((8.0, 110.0),), 8.0, 64.0),  # singing throughout: the earliest of the longest
    ],
)
def test_the_highlight_is_where_most_is_sung(sung: Spans, start_s: float, end_s: float) -> None:
    made = arrange(plan(), "highlight", vocals(sung), backing())
    assert made.length_s == pytest.approx(end_s - start_s)
    assert made.backing.warp.target_s[0] == pytest.approx(-start_s)
    assert made.sections == (Section(start_s=0.0, end_s=made.length_s),)
    minutes, seconds = divmod(round(start_s), 60)
    assert made.reasons[-1] == (
        f"The highlight is what would be heard from {minutes}:{seconds:02} on."
    )
    assert made.warnings == ()


def test_a_highlight_is_cropped_all_over() -> None:
    singer = vocals(((34.0, 66.0),))
    before = plan(enters_s=40.0, from_s=6.0)
    before = replace(before, reasons=("The voice enters at 0:40, on the first beat of a bar.",))
    made = arrange(before, "highlight", singer, backing())
    assert made.length_s == pytest.approx(32.0)
    for old, new in ((before.vocals, made.vocals), (before.backing, made.backing)):
        times = np.asarray([0.0, 10.0, 77.0])
        np.testing.assert_allclose(apply_warp(new.warp, times), apply_warp(old.warp, times) - 40.0)
        assert (new.semitones, new.stretch) == (old.semitones, old.stretch)
    assert made.voice_enters_s == 0.0
    assert made.reasons[0] == "The voice enters at 0:00, on the first beat of a bar."
    assert made.fade_out_s == 2.0  # in the middle of the song it must not stop dead


def test_a_highlight_up_to_the_end_keeps_its_ending() -> None:
    made = arrange(plan(length_s=117.0), "highlight", vocals(((73.0, 116.0),)), backing())
    assert made.length_s == pytest.approx(45.0)
    assert made.fade_out_s == 1.5


def test_a_highlight_before_the_entry_counts_from_its_own_start() -> None:
    # Phrases belong to the entry at 18 s; the window from 10 s on holds the pickup before it.
    singer = vocals(((16.0, 50.0),))
    made = arrange(plan(enters_s=18.0), "highlight", singer, backing())
    start = -made.backing.warp.target_s[0]
    assert (18.0 - start) % PHRASE_S == pytest.approx(0.0)
    assert made.voice_enters_s == pytest.approx(max(0.0, 18.0 - start))


@pytest.mark.parametrize("duration_s", [10.0, 29.0])
def test_a_short_mash_up_is_its_own_highlight(duration_s: float) -> None:
    before = plan(length_s=duration_s)
    made = arrange(before, "highlight", vocals(((1.0, 9.0),)), backing(duration_s))
    assert made == replace(before, sections=(Section(start_s=0.0, end_s=duration_s),))


@settings(deadline=None, max_examples=60)
@given(
    bpm=st.floats(60.0, 200.0),
    first_s=st.floats(0.0, 3.0),
    duration_s=st.floats(70.0, 300.0),
    spans=st.lists(st.tuples(st.floats(0.0, 0.9), st.floats(0.01, 0.3)), min_size=1, max_size=5),
)
def test_any_highlight_lasts_30_to_60_seconds_on_phrases(
    bpm: float, first_s: float, duration_s: float, spans: list[tuple[float, float]]
) -> None:
    sung = tuple((duration_s * a, duration_s * min(1.0, a + b)) for a, b in sorted(spans))
    grid = steady_grid(bpm, duration_s, first_s=first_s)
    singer, band = (song_facts(grid, duration_s, sung=s) for s in (sung, ()))
    before = make_plan(singer, band, Recipe())
    made = arrange(before, "highlight", singer, band)
    if before.length_s > 70.0:
        assert 30.0 <= made.length_s <= 60.0
    started = before.backing.warp.target_s[0] - made.backing.warp.target_s[0]
    phrases = (before.voice_enters_s - started) / (4 * 240.0 / before.bpm)
    assert started == 0.0 or phrases == pytest.approx(round(phrases), abs=0.01)


def test_voices_take_turns_of_eight_bars() -> None:
    made = arrange(plan(), "alternate", vocals(((8.0, 110.0),)), backing(sung=((10.0, 110.0),)))
    assert_without_gaps(made)
    edges = [8.0 + TURN_S * n for n in range(1, 7)]
    assert [section.start_s for section in made.sections] == pytest.approx([0.0, *edges])
    voices = [section.voice for section in made.sections]
    assert voices == ["vocals", "backing"] * 3 + ["vocals"]
    assert all(section.band != section.voice for section in made.sections)
    assert made.reasons[-1] == "The voices take turns every 8 bars."


def test_the_other_voice_sings_only_where_it_has_words() -> None:
    made = arrange(plan(), "alternate", vocals(((8.0, 110.0),)), backing(sung=((60.0, 80.0),)))
    assert_without_gaps(made)
    turns = [(s.start_s, s.end_s) for s in made.sections if s.voice == "backing"]
    assert turns == [(56.0, 72.0)]
    assert len(made.sections) == 3


@pytest.mark.parametrize(
    ("from_s", "duration_s", "turns"),
    [
        (30.0, 120.0, [(40.0, 56.0), (72.0, 88.0), (104.0, 120.0)]),  # the band comes in at 30 s
        (0.0, 60.0, [(24.0, 40.0)]),  # and is over after 60 s
    ],
)
def test_both_songs_must_reach_a_turn(
    from_s: float, duration_s: float, turns: list[tuple[float, float]]
) -> None:
    singer = vocals(((1.0, duration_s),), duration_s)
    made = arrange(plan(from_s=from_s), "alternate", singer, backing(sung=((0.0, 120.0),)))
    assert_without_gaps(made)
    assert [(s.start_s, s.end_s) for s in made.sections if s.band == "vocals"] == turns


def test_morphing_opens_as_the_backing_and_ends_as_the_vocals() -> None:
    made = arrange(plan(), "morph", vocals(((8.0, 110.0),)), backing())
    assert_without_gaps(made)
    first, merged, last = made.sections
    assert (first.voice, first.band) == ("backing", "backing")
    assert (merged.voice, merged.band) == ("vocals", "backing")
    assert (last.voice, last.band) == ("vocals", "vocals")
    assert (merged.start_s, last.start_s) == (40.0, 80.0)
    # Four bars before the last part one band begins to turn into the other.
    assert [section.morph_s for section in made.sections] == [0.0, 0.0, PHRASE_S]
    assert made.reasons[-1] == "It opens as Band; from 1:20 on it is Singer."


def test_in_a_morph_the_voice_enters_with_the_mash_up() -> None:
    made = arrange(plan(), "morph", vocals(((8.0, 110.0),)), backing())
    assert made.voice_enters_s == 40.0
    assert made.reasons[0] == "The voice enters at 0:40, on the first beat of a bar."
    late = arrange(plan(enters_s=48.0), "morph", vocals(((48.0, 110.0),)), backing())
    assert late.voice_enters_s == 48.0


def test_morphing_back_opens_as_the_vocals_and_ends_as_the_backing() -> None:
    made = arrange(plan(), "morph-back", vocals(((8.0, 110.0),)), backing())
    assert_without_gaps(made)
    first, merged, last = made.sections
    assert (first.voice, first.band) == ("vocals", "vocals")
    assert (merged.voice, merged.band) == ("vocals", "backing")
    assert (last.voice, last.band) == ("backing", "backing")
    assert [section.morph_s for section in made.sections] == [0.0, PHRASE_S, 0.0]
    assert made.reasons[-1] == "It opens as Singer; from 1:20 on it is Band."
    assert made.voice_enters_s == 8.0


def test_morphing_back_starts_when_the_opening_song_is_there() -> None:
    before = plan(enters_s=24.0, from_s=19.0)
    made = arrange(before, "morph-back", vocals(((5.0, 90.0),)), backing())
    assert_without_gaps(made)
    assert made.length_s == pytest.approx(96.0)
    assert made.vocals.warp.target_s[0] == pytest.approx(-5.0)
    assert made.backing.warp.target_s[0] == pytest.approx(-24.0)
    assert made.voice_enters_s == 0.0


@pytest.mark.parametrize("wish", ["morph", "morph-back"])
def test_a_morph_ends_with_the_vocal_song(wish: str) -> None:
    made = arrange(plan(), wish, vocals(((8.0, 60.0),), 70.0), backing())
    assert_without_gaps(made)
    assert made.length_s == 70.0


@pytest.mark.parametrize("wish", ["morph", "morph-back"])
def test_a_morph_fits_into_its_section(wish: str) -> None:
    made = arrange(plan(length_s=27.0), wish, vocals(((8.0, 27.0),)), backing())
    starts = [section.start_s for section in made.sections]
    assert starts == [0.0, 8.0, 16.0]
    for before, section in pairwise(made.sections):
        assert section.morph_s <= section.start_s - before.start_s


@pytest.mark.parametrize(
    ("wish", "length_s", "why"),
    [
        ("alternate", 120.0, "Band has no voice to take turns with"),
        ("morph", 7.0, "the songs are too short to turn one into the other"),
        ("morph-back", 7.0, "the songs are too short to turn one into the other"),
        ("morph", 15.0, "the songs are too short to turn one into the other"),
    ],
)
def test_what_cannot_be_arranged_is_given_whole(wish: str, length_s: float, why: str) -> None:
    before = plan(length_s=length_s)
    made = arrange(before, wish, vocals(((1.0, 100.0),)), backing())
    assert_whole(made, before, why)


def test_a_backing_whose_voice_never_gets_a_turn() -> None:
    made = arrange(plan(), "alternate", vocals(((8.0, 110.0),)), backing(sung=((0.0, 7.0),)))
    assert_whole(made, plan(), "Band has no turn of 8 bars to sing")


def test_a_vocal_song_that_comes_too_late_to_open() -> None:
    before = plan(from_s=110.0)
    made = arrange(before, "morph-back", vocals(((1.0, 100.0),)), backing())
    assert_whole(made, before, "the songs are too short to turn one into the other")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        ("highlight", "no passage of 30 to 60 seconds starts and ends on a phrase"),
        ("morph", "without beats one song cannot turn into the other"),
        ("morph-back", "without beats one song cannot turn into the other"),
    ],
)
def test_without_beats_there_is_the_whole_only(wish: str, why: str) -> None:
    before = replace(plan(), bpm=0.0)
    silent_band = replace(backing(), grid=BeatGrid())
    singer = replace(vocals(((8.0, 110.0),)), grid=BeatGrid())
    assert_whole(arrange(before, wish, singer, silent_band), before, why)


@settings(deadline=None, max_examples=80)
@given(
    wish=st.sampled_from(WISHES),
    bpms=st.tuples(st.floats(60.0, 200.0), st.floats(60.0, 200.0)),
    durations_s=st.tuples(st.floats(4.0, 200.0), st.floats(20.0, 200.0)),
    spans=st.tuples(st.floats(0.0, 0.8), st.floats(0.1, 1.0)),
    own=st.booleans(),
)
def test_any_wish_gives_sections_without_gaps(
    *,
    wish: str,
    bpms: tuple[float, float],
    durations_s: tuple[float, float],
    spans: tuple[float, float],
    own: bool,
) -> None:
    songs = []
    for bpm, duration_s, sings in zip(bpms, durations_s, (True, own), strict=True):
        start = spans[0] * duration_s
        end = start + spans[1] * (duration_s - start)
        sung = ((start, end),) if sings else ()
        grid = steady_grid(bpm, duration_s, first_s=0.3)
        songs.append(song_facts(grid, duration_s, sung=sung))
    before = make_plan(songs[0], songs[1], Recipe())
    made = arrange(before, wish, songs[0], songs[1])
    assert_without_gaps(made)
    assert 0 < made.length_s <= before.length_s
    assert made.voice_enters_s >= 0.0
    assert all(section.morph_s <= section.start_s for section in made.sections)
    if wish == "full":
        assert len(made.sections) == 1
    if wish.startswith("morph") and not set(made.warnings) - set(before.warnings):
        assert len(made.sections) == 3
        reach = apply_warp(made.vocals.warp, np.asarray([0.0, songs[0].duration_s]))
        own_band = next(section for section in made.sections if section.band == "vocals")
        assert reach[0] <= own_band.start_s + 1e-6
        assert own_band.end_s <= reach[1] + 1e-6
