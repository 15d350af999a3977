from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RecipeError
from pipeline.grids import apply_warp, warp_grid
from pipeline.meeting import VOICE_BEATS_PER_BACKING_BEAT, choose_shift
from pipeline.plan import make_plan, score_roles
from pipeline.recipe import Recipe
from pipeline.types import BeatGrid, Key, Plan, SongFacts, Spans, WarpMap
from tests.songs import plain_features, song_facts, steady_grid

if TYPE_CHECKING:
    from pipeline.features import BeatFeatures

SUNG: Spans = ((8.3, 15.0), (17.0, 25.0))


def song(
    bpm: float,
    *,
    duration_s: float = 60.0,
    first_s: float = 0.2,
    beats_per_bar: int = 4,
    pickup: int = 0,
    key: Key | None = None,
) -> SongFacts:
    grid = steady_grid(bpm, duration_s, first_s=first_s, beats_per_bar=beats_per_bar, pickup=pickup)
    return song_facts(grid, duration_s, key=key)


def plan(
    vocals: SongFacts,
    backing: SongFacts,
    recipe: Recipe | None = None,
    *,
    sung: Spans = SUNG,
    backing_sung: Spans = (),
) -> Plan:
    return make_plan(
        replace(vocals, sung=sung), replace(backing, sung=backing_sung), recipe or Recipe()
    )


def heard(warp: WarpMap, *times_s: float) -> list[float]:
    return [float(time) for time in apply_warp(warp, np.asarray(times_s))]


def assert_sound(made: Plan, backing: SongFacts) -> None:
    assert made.length_s > 0
    assert made.length_s <= heard(made.backing.warp, backing.duration_s)[0] + 1e-9
    assert made.voice_enters_s >= 0
    assert made.fade_out_s > 0
    for layer in (made.vocals, made.backing):
        assert len(layer.warp.source_s) == len(layer.warp.target_s) >= 2
        assert np.all(np.diff(layer.warp.source_s) > 0)
        assert np.all(np.diff(layer.warp.target_s) > 0)
        assert layer.stretch > 0


@pytest.mark.parametrize(
    ("vocals", "backing", "tempo", "bpm", "voice_stretch", "backing_stretch"),
    [
        (100, 121, "auto", 110.0, 1.1, 1 / 1.1),  # both go half the way
        (100, 121, "backing", 121.0, 1.21, 1.0),
        (100, 121, "vocals", 100.0, 1.0, 1 / 1.21),
        (100, 103, "auto", 103.0, 1.03, 1.0),  # too little for anybody to hear: the voice goes
        (70, 140, "auto", 140.0, 1.0, 1.0),  # half time
        (140, 70, "auto", 70.0, 1.0, 1.0),  # double time
        (120, 120, "vocals", 120.0, 1.0, 1.0),
    ],
)
def test_tempo(
    *,
    vocals: float,
    backing: float,
    tempo: str,
    bpm: float,
    voice_stretch: float,
    backing_stretch: float,
) -> None:
    made = plan(song(vocals), song(backing), Recipe(tempo=tempo))
    assert made.bpm == pytest.approx(bpm, rel=1e-3)
    assert made.vocals.stretch == pytest.approx(voice_stretch, rel=1e-3)
    assert made.backing.stretch == pytest.approx(backing_stretch, rel=1e-3)


@pytest.mark.parametrize(
    ("vocals", "backing", "pace"),
    [
        (120, 120, "same"),
        (120, 90, "same"),
        (90, 120, "same"),
        (80, 150, "half"),
        (65, 130, "half"),
        (150, 80, "double"),
        (170, 84, "double"),
    ],
)
def test_pace_is_the_one_that_needs_least_stretching(
    vocals: float, backing: float, pace: str
) -> None:
    free, asked = (plan(song(vocals), song(backing), Recipe(pace=p)) for p in ("auto", pace))
    assert free == asked


@pytest.mark.parametrize("pace", ["same", "half", "double"])
@pytest.mark.parametrize("tempo", ["auto", "backing", "vocals"])
def test_beats_fall_on_beats(pace: str, tempo: str) -> None:
    vocals, backing = song(101), song(117)
    made = plan(vocals, backing, Recipe(pace=pace, tempo=tempo))
    voice = np.asarray(heard(made.vocals.warp, *vocals.grid.beats_s))
    beat = np.asarray(heard(made.backing.warp, *backing.grid.beats_s))
    ratio = VOICE_BEATS_PER_BACKING_BEAT[pace]
    assert np.diff(voice) == pytest.approx(60.0 / made.bpm / ratio, abs=1e-3)
    assert np.diff(beat) == pytest.approx(60.0 / made.bpm, abs=1e-3)
    position = np.interp(voice[voice > beat[0]], beat, np.arange(len(beat))) * ratio
    inside = position < ratio * (len(beat) - 1)
    off = position[inside] - np.round(position[inside])
    assert np.abs(off * 60.0 / made.bpm / ratio).max() < 0.009  # twice the warp's tolerance


@pytest.mark.parametrize("start_s", [8.2, 8.0, 7.4, 7.0, 8.6])
@pytest.mark.parametrize("pace", ["same", "half", "double"])
def test_the_first_sung_downbeat_falls_on_a_downbeat(start_s: float, pace: str) -> None:
    # Downbeats of the voice lie at 0.2, 2.2, ... 8.2 s; 1.2 s before one is its pickup.
    vocals, backing = song(120), song(120, first_s=0.1, pickup=2)
    made = plan(vocals, backing, Recipe(pace=pace, tempo="backing"), sung=((start_s, 20.0),))
    enters = heard(made.vocals.warp, 8.2)[0]
    downbeats = np.asarray(heard(made.backing.warp, *backing.grid.downbeats_s))
    assert made.voice_enters_s == pytest.approx(enters, abs=1e-6)
    assert np.abs(downbeats - enters).min() < 0.005
    assert heard(made.vocals.warp, start_s)[0] >= 0


def test_a_late_start_belongs_to_the_next_bar() -> None:
    # 0.8 s, or 1.6 beats, after the downbeat at 8.2 s is a pickup to the one at 10.2 s.
    made = plan(song(120), song(120), sung=((9.0, 20.0),))
    assert made.voice_enters_s == pytest.approx(heard(made.vocals.warp, 10.2)[0])


def test_singing_after_the_last_downbeat_is_heard() -> None:
    made = plan(song(120, duration_s=30.0), song(120), sung=((29.2, 30.0),))
    assert 0 < heard(made.vocals.warp, 29.2)[0] < made.length_s


def test_bars_go_on_where_the_beats_can_no_longer_be_heard() -> None:
    free = song_facts(steady_grid(120, 20.0, first_s=0.2), 60.0)
    made = plan(free, song(120), sung=((40.2, 50.0),))
    assert made.voice_enters_s == pytest.approx(heard(made.vocals.warp, 40.2)[0])
    assert made.voice_enters_s == pytest.approx(8.2)


def test_the_voice_enters_after_an_intro_of_one_phrase() -> None:
    backing = song(120)
    made = plan(song(120), backing)
    assert made.voice_enters_s == pytest.approx(backing.grid.downbeats_s[4])


def test_the_voice_enters_where_the_backings_own_voice_did() -> None:
    backing = song(120)
    made = plan(song(120), backing, backing_sung=((16.3, 40.0),))
    assert made.voice_enters_s == pytest.approx(backing.grid.downbeats_s[8])


def test_a_short_backing_begins_with_the_voice() -> None:
    backing = song(120, duration_s=12.0)
    assert plan(song(120), backing).voice_enters_s == pytest.approx(0.2)


@pytest.mark.parametrize("duration_s", [3.0, 4.0, 6.0, 9.0, 14.0, 20.0, 40.0])
def test_a_pickup_is_never_cut_off(duration_s: float) -> None:
    backing = song(120, duration_s=duration_s)
    made = plan(song(120), backing, sung=((7.2, 30.0),))  # a second before the downbeat
    start, enters = heard(made.vocals.warp, 7.2, 8.2)
    assert start >= 0
    assert enters < 0.75 * duration_s
    assert_sound(made, backing)


@pytest.mark.parametrize("nudge", [-9, -1, 1, 2, 16])
@pytest.mark.parametrize("pace", ["same", "half", "double"])
def test_a_nudge_moves_the_voice_by_beats_of_the_backing(nudge: int, pace: str) -> None:
    vocals, backing = song(100), song(112)
    plain = plan(vocals, backing, Recipe(pace=pace))
    moved = plan(vocals, backing, Recipe(pace=pace, nudge=nudge))
    before, after = (heard(made.vocals.warp, 10.0)[0] for made in (plain, moved))
    assert moved.backing == plain.backing
    assert after - before == pytest.approx(nudge * 60.0 / plain.bpm, abs=0.005)
    assert "on the first beat of a bar" not in " ".join(moved.reasons)


@pytest.mark.parametrize("nudge", [-64, 64])
def test_a_nudge_that_leaves_no_voice_is_refused(nudge: int) -> None:
    short = song(120, duration_s=20.0)
    with pytest.raises(RecipeError, match=f"With a nudge of {nudge} nothing that is sung"):
        plan(short, short, Recipe(nudge=nudge), sung=((4.0, 18.0),))


def test_a_backing_without_room_for_the_pickup_is_refused() -> None:
    short = song(60, duration_s=4.0, first_s=0.3)
    with pytest.raises(RecipeError, match=r"^Nothing that is sung in A song would be") as caught:
        plan(short, short, sung=((2.0, 3.0),))
    assert caught.value.hint == "Choose a longer backing."


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("beats", [(), (1.0,)])
def test_without_beats_the_songs_are_laid_over_each_other(
    *, first: bool, second: bool, beats: tuple[float, ...]
) -> None:
    empty = song_facts(BeatGrid(beats_s=beats), 40.0)
    made = plan(empty if first else song(120), empty if second else song(100))
    assert heard(made.vocals.warp, 0.0, 12.3) == pytest.approx([0.0, 12.3])
    assert heard(made.backing.warp, 0.0, 12.3) == pytest.approx([0.0, 12.3])
    assert made.length_s == 40.0
    assert made.voice_enters_s == SUNG[0][0]
    assert "the songs are not aligned" in made.warnings[0]


def test_the_mash_up_fades_out_after_the_last_word() -> None:
    made = plan(song(120), song(120))
    last_word = heard(made.vocals.warp, 25.0)[0]
    assert made.length_s == pytest.approx(last_word + 4.0)  # two bars
    assert made.fade_out_s == pytest.approx(4.0)


def test_the_mash_up_ends_with_the_backing() -> None:
    made = plan(song(120), song(120, duration_s=20.0))
    assert made.length_s == pytest.approx(20.0)
    assert made.fade_out_s == pytest.approx(0.05)


def test_a_backing_that_ends_long_before_the_voice_is_mentioned() -> None:
    made = plan(song(120), song(120, duration_s=20.0), sung=((8.3, 55.0),))
    assert any("is left out" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("vocals", "backing", "tempo", "warned"),
    [
        (120, 120, "auto", []),
        (100, 130, "auto", []),  # 14 % each
        (100, 135, "auto", ["vocals", "backing"]),  # 16 % each
        (100, 113, "backing", []),
        (100, 117, "backing", ["vocals"]),
        (117, 100, "backing", ["vocals"]),
        (100, 117, "vocals", ["backing"]),
    ],
)
def test_warnings_of_stretching(
    vocals: float, backing: float, tempo: str, warned: list[str]
) -> None:
    made = plan(song(vocals), song(backing), Recipe(tempo=tempo))
    told = " ".join(made.warnings).lower()
    assert [name for name in ("vocals", "backing") if name in told] == warned
    assert len(made.warnings) == bool(warned)


def test_three_against_four() -> None:
    waltz, rock = song(120, beats_per_bar=3), song(120)
    for vocals, backing in ((waltz, rock), (rock, waltz)):
        made = plan(vocals, backing)
        assert_sound(made, backing)
        enters = made.voice_enters_s
        bars = heard(made.backing.warp, *backing.grid.downbeats_s)
        assert np.abs(np.subtract(bars, enters)).min() < 0.005
        assert warp_grid(backing.grid, made.backing, made.length_s).beats_per_bar == (
            backing.grid.beats_per_bar
        )


@st.composite
def wandering_songs(draw: st.DrawFn, fewest_beats: int) -> SongFacts:
    count = draw(st.integers(fewest_beats, 120))
    beats_per_bar = draw(st.sampled_from([3, 4]))
    first = draw(st.integers(0, min(beats_per_bar, count) - 1))
    pace = draw(st.floats(0.28, 1.1))
    wander = np.random.default_rng(draw(st.integers(0, 99))).uniform(-0.03, 0.03, count)
    beats = draw(st.floats(0.0, 3.0)) + np.cumsum(pace * (1.0 + wander))
    grid = BeatGrid(
        beats_s=tuple(beats.tolist()),
        downbeats_s=tuple(beats[first::beats_per_bar].tolist()),
        bpm=float(60.0 / np.median(np.diff(beats))),
        beats_per_bar=beats_per_bar,
        confidence=0.9,
    )
    return song_facts(grid, float(beats[-1]) + draw(st.floats(0.01, 5.0)))


@settings(deadline=None, max_examples=150)
@given(
    vocals=wandering_songs(4),
    backing=wandering_songs(16),
    span=st.tuples(st.floats(0.0, 0.9), st.floats(0.05, 1.0)),
    pace=st.sampled_from(["auto", "same", "half", "double"]),
    tempo=st.sampled_from(["auto", "backing", "vocals"]),
    own=st.booleans(),
)
def test_any_two_songs_have_a_sound_plan(
    *,
    vocals: SongFacts,
    backing: SongFacts,
    span: tuple[float, float],
    pace: str,
    tempo: str,
    own: bool,
) -> None:
    start = span[0] * vocals.duration_s
    sung = ((start, start + span[1] * (vocals.duration_s - start)),)
    own_voice = ((0.4 * backing.duration_s, 0.8 * backing.duration_s),) if own else ()
    recipe = Recipe(pace=pace, tempo=tempo)
    made = plan(vocals, backing, recipe, sung=sung, backing_sung=own_voice)
    assert_sound(made, backing)
    assert heard(made.vocals.warp, sung[0][0])[0] < made.length_s
    for facts, layer in ((vocals, made.vocals), (backing, made.backing)):
        grid = warp_grid(facts.grid, layer, made.length_s)
        assert all(0 <= time < made.length_s for time in grid.beats_s)
        assert set(grid.downbeats_s) <= set(grid.beats_s)


def test_a_steady_song_needs_two_anchors_only() -> None:
    made = plan(song(100), song(120))
    assert len(made.vocals.warp.source_s) == len(made.backing.warp.source_s) == 2


def test_a_warped_grid_ends_with_the_output() -> None:
    made = plan(song(100), song(120), Recipe(tempo="vocals"))
    grid = warp_grid(song(120).grid, made.backing, 5.0)
    assert grid.bpm == pytest.approx(100.0, rel=1e-3)
    assert 7 <= len(grid.beats_s) <= 9
    assert grid.beats_s[-1] < 5.0


C, UNSURE = Key(tonic=0, mode="major"), Key(tonic=1, mode="major", confidence=0.01)


def shifted(voice: Key | None, backing: Key | None, wish: str = "match") -> tuple[int, str]:
    """Return the shift from the keys alone, as the plan makes it, and the sentence about it."""
    made = plan(song(120, key=voice), song(120, key=backing), Recipe(key=wish))
    assert made.vocals.semitones == choose_shift(voice, backing, wish)
    assert made.backing.semitones == 0.0
    return choose_shift(voice, backing, wish), made.reasons[-1]


@pytest.mark.parametrize(
    ("apart", "shift", "why"),
    [
        (0, 0, "keep their pitch, where the keys agree"),
        (1, 1, "up 1 semitone, where the keys agree: C major over Db major"),
        (-1, -1, "down 1 semitone, where the keys agree: C major over B major"),
        (2, 2, "up 2 semitones, where the keys agree: C major over D major"),
        (-2, -2, "down 2 semitones, where the keys agree: C major over Bb major"),
        (3, 3, "up 3 semitones, where the keys agree: C major over Eb major"),
        (-3, -3, "down 3 semitones, where the keys agree: C major over A major"),
        (5, 0, "keep their pitch, where the keys share all notes but one"),
        (-5, 0, "keep their pitch, where the keys share all notes but one"),
        (4, -1, "down 1 semitone, where the keys share all notes but one"),
        (-4, 1, "up 1 semitone, where the keys share all notes but one"),
        (6, -1, "down 1 semitone, where the keys share all notes but one"),
    ],
)
def test_choosing_a_shift(apart: int, shift: int, why: str) -> None:
    chosen, sentence = shifted(C, Key(tonic=apart % 12, mode="major"))
    assert chosen == shift
    assert why in sentence


@pytest.mark.parametrize(
    ("voice", "backing", "wish", "shift", "why"),
    [
        (C, None, "match", 0, "not clear enough"),
        (None, C, "match", 0, "not clear enough"),
        (C, UNSURE, "match", 0, "not clear enough"),
        (UNSURE, C, "match", 0, "not clear enough"),
        (C, Key(tonic=9, mode="minor"), "match", 0, "the keys agree: C major over A minor"),
        (C, Key(tonic=2, mode="major"), "keep", 0, "as asked"),
        (None, None, "keep", 0, "as asked"),
        (None, None, "-4", -4, "down 4 semitones, as asked"),
        (C, C, "1", 1, "up 1 semitone, as asked"),
    ],
)
def test_wishes_and_doubts_about_the_key(
    voice: Key | None, backing: Key | None, wish: str, shift: int, why: str
) -> None:
    chosen, sentence = shifted(voice, backing, wish)
    assert chosen == shift
    assert why in sentence


# A voice that sings C, D, E, F from its fifth beat on, and backings that play the same somewhere.
TUNE = np.asarray([0, 2, 4, 5])
SINGS = slice(16, 48)


def layers(*, backing_start: int, up: int = 0) -> tuple[BeatFeatures, BeatFeatures]:
    """Return a voice's features, and those of a backing that plays along from one beat on only."""
    voice = np.zeros(120, int)
    voice[SINGS] = np.tile(TUNE, 8)
    band = np.full(120, 11)
    band[backing_start : backing_start + 32] = (voice[SINGS] + up) % 12
    return (
        plain_features(120, pitches=voice, sung=SINGS),
        plain_features(120, pitches=band),
    )


def fitted(
    features: tuple[BeatFeatures, BeatFeatures] | None, recipe: Recipe | None = None
) -> Plan:
    singer = replace(song(120, first_s=0.0, key=C), sung=((8.0, 24.0),))
    return make_plan(singer, song(120, first_s=0.0, key=C), recipe or Recipe(), features)


@pytest.mark.parametrize("start", [8, 16, 20, 40])
def test_the_voice_enters_where_the_layers_agree(start: int) -> None:
    made = fitted(layers(backing_start=start))
    assert made.voice_enters_s == pytest.approx(start * 0.5, abs=0.01)
    assert made.takes[0].start == start
    assert made.takes[0].chroma == pytest.approx(1.0)


@pytest.mark.parametrize("up", [-2, -1, 1, 2])
def test_the_voice_moves_to_where_the_layers_agree(up: int) -> None:
    made = fitted(layers(backing_start=16, up=up))
    assert made.vocals.semitones == up
    assert made.takes[0].semitones == up
    assert "where the notes meet best" in made.reasons[-1]


@pytest.mark.parametrize(("wish", "semitones"), [("keep", 0), ("-3", -3), ("+6", 6)])
def test_a_wish_for_the_key_overrides_the_layers(wish: str, semitones: int) -> None:
    made = fitted(layers(backing_start=16, up=2), Recipe(key=wish))
    assert made.vocals.semitones == semitones
    assert {take.semitones for take in made.takes} == {semitones}
    assert made.reasons[-1].endswith("as asked.")


def test_a_take_is_one_of_the_fits() -> None:
    features = layers(backing_start=16)
    first, third = fitted(features), fitted(features, Recipe(take=3))
    assert first.takes == third.takes
    assert third.voice_enters_s == pytest.approx(0.5 * first.takes[2].start, abs=0.01)
    assert third.vocals.semitones == first.takes[2].semitones
    assert (third.voice_enters_s, third.vocals) != (first.voice_enters_s, first.vocals)
    assert third.reasons[-1] == f"This is take 3 of {len(first.takes)}."
    assert not any("This is take" in reason for reason in first.reasons)


@pytest.mark.parametrize("bar", [1, 3, 5, 16])
def test_the_voice_enters_on_the_bar_that_was_asked_for(bar: int) -> None:
    features = layers(backing_start=16)
    free, held = fitted(features), fitted(features, Recipe(entry=bar))
    assert held.takes[0].start == 4 * (bar - 1)
    assert held.voice_enters_s == pytest.approx(2.0 * (bar - 1), abs=0.01)
    # The other takes are still there to choose from.
    assert free.takes[0].start in {take.start for take in held.takes}


@pytest.mark.parametrize(("key", "pace"), [("-3", "same"), ("4", "auto"), ("keep", "double")])
def test_another_pitch_or_pace_leaves_the_voice_on_its_bar(key: str, pace: str) -> None:
    held = fitted(layers(backing_start=16, up=2), Recipe(entry=8, key=key, pace=pace))
    assert held.takes[0].start == 28


def test_without_layers_to_listen_to_the_bar_counts_too() -> None:
    assert fitted(None, Recipe(entry=6)).voice_enters_s == pytest.approx(10.0, abs=0.01)


@pytest.mark.parametrize(
    ("bar", "sentence"),
    [
        (31, "A song has no bar 31 for the voice to enter on. Choose an entry from 1 to 30, or 0"),
        (30, "With an entry on bar 30 nothing that is sung in A song would be heard over A song."),
    ],
)
def test_a_bar_that_leaves_no_voice_is_refused(bar: int, sentence: str) -> None:
    singer, short = song(120, first_s=0.0), song(120, first_s=0.0, duration_s=58.5)
    with pytest.raises(RecipeError, match=sentence):
        plan(singer, short, Recipe(entry=bar), sung=((10.7, 25.0),))


def test_a_take_that_there_is_not_is_refused() -> None:
    pair = (song(120), song(120, duration_s=20.0))
    with pytest.raises(RecipeError, match="There is no take 2 of A song over A song") as caught:
        plan(*pair, Recipe(take=2))
    assert caught.value.hint == "There is only one."


def test_a_take_too_high_is_refused_with_the_number_there_are() -> None:
    features = layers(backing_start=16)
    # So short a backing has few bars to enter on, and without a key of its own one pitch.
    singer = replace(song(120, first_s=0.0, key=C), sung=((8.0, 24.0),))
    short = song(120, first_s=0.0, duration_s=20.0)
    few = len(make_plan(singer, short, Recipe(), features).takes)
    assert 1 < few < 8
    with pytest.raises(RecipeError, match="There is no take 8") as caught:
        make_plan(singer, short, Recipe(take=8), features)
    assert caught.value.hint == f"Choose a take from 1 to {few}."


def test_without_beats_there_is_one_take() -> None:
    empty = song_facts(BeatGrid(), 40.0)
    with pytest.raises(RecipeError, match="There is no take 2"):
        plan(empty, song(120), Recipe(take=2))


def test_the_roles_that_fit_better_score_higher() -> None:
    singer = replace(song(120, first_s=0.0, key=C), sung=((8.0, 24.0),))
    band = song(120, first_s=0.0, key=C)
    voice, fitting = layers(backing_start=16)
    clashing = plain_features(120, pitches=np.full(120, 11))
    scores = [score_roles(singer, band, Recipe(), (voice, b)) for b in (fitting, clashing)]
    assert scores[0] > scores[1] + 0.5
    assert score_roles(singer, band, Recipe(), None) == float("-inf")


def test_a_voice_that_cannot_be_heard_in_the_features_enters_by_the_form() -> None:
    silent = plain_features(120, sung=slice(0))
    made = fitted((silent, plain_features(120)))
    assert made.voice_enters_s == fitted(None).voice_enters_s


@pytest.mark.parametrize(
    ("voice", "backing", "cents", "words"),
    [
        (-0.3, 0.0, 30, "up 30 cents"),
        (0.25, 0.0, -25, "down 25 cents"),
        (0.0, 0.4, 40, "up 40 cents"),
        (0.45, -0.45, 10, ""),  # they meet the other way round
        (-0.45, 0.35, -20, "down 20 cents"),
        (0.1, 0.0, -10, ""),
    ],
)
def test_a_voice_out_of_tune_is_tuned(voice: float, backing: float, cents: int, words: str) -> None:
    pair = (replace(song(120), tuning=voice), replace(song(120), tuning=backing))
    made = plan(*pair)
    assert made.vocals.semitones == pytest.approx(cents / 100 if words else 0.0)
    said = [reason for reason in made.reasons if "tuned" in reason]
    assert said == ([f"The vocals are tuned {words} to meet the backing."] if words else [])


@pytest.mark.parametrize("wish", ["keep", "2"])
def test_who_asks_for_a_pitch_gets_no_tuning(wish: str) -> None:
    pair = (replace(song(120), tuning=-0.3), song(120))
    made = plan(*pair, Recipe(key=wish))
    assert made.vocals.semitones == (0 if wish == "keep" else 2)
    assert not any("tuned" in reason for reason in made.reasons)


def test_tuning_adds_to_the_shift() -> None:
    pair = (replace(song(120, key=C), tuning=-0.3), song(120, key=Key(tonic=2, mode="major")))
    made = plan(*pair)
    assert made.vocals.semitones == pytest.approx(2.3)
    assert "up 2 semitones" in " ".join(made.reasons)


def test_a_shout_is_not_taken_for_the_first_phrase() -> None:
    grid = steady_grid(120.0, 60.0)
    song = song_facts(grid, 60.0)
    plain = replace(song, sung=((16.0, 24.0),))
    with_shout = replace(song, sung=((3.1, 3.7), (16.0, 24.0)))
    plans = [make_plan(voice, song, Recipe()) for voice in (plain, with_shout)]
    assert plans[0].vocals.warp == plans[1].vocals.warp
    # Where there is nothing longer, the shouts are the song.
    only = make_plan(replace(song, sung=((16.1, 16.7),)), song, Recipe())
    assert only.vocals.warp == plans[0].vocals.warp


def test_a_nudge_moves_the_voice_as_a_whole() -> None:
    jitter = np.random.default_rng(0).uniform(-0.002, 0.002, 400)
    beats = tuple((np.arange(400) * 0.5 + 0.2 + jitter).tolist())
    grid = BeatGrid(beats_s=beats, downbeats_s=beats[::4], bpm=120.0, confidence=1.0)
    backing = song_facts(grid, 200.0)
    voice = song_facts(steady_grid(118, 198.0), 198.0, sung=((8.0, 190.0),))
    plans = [make_plan(voice, backing, Recipe(nudge=nudge)) for nudge in (0, 1, 4)]
    maps = [plan.vocals.warp for plan in plans]
    for warp, nudge in zip(maps, (0, 1, 4), strict=True):
        assert warp.source_s == maps[0].source_s
        steps = np.subtract(warp.target_s, maps[0].target_s)
        assert steps == pytest.approx(np.full(len(steps), nudge * 60.0 / plans[0].bpm), abs=0.01)
        assert np.ptp(steps) < 1e-9
