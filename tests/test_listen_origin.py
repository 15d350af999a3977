from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.listen.origin import (
    HOP,
    RATE_HZ,
    OriginMashup,
    find_beats,
    merge_like_origin,
    stretch_ratio,
)
from benchmarks.listen.render import (
    METHODS,
    cut_out,
    draw_pairs,
    layer_offset_ms,
    narrowed,
    same_bars,
)
from benchmarks.listen.songs import Source
from pipeline.errors import UserError
from pipeline.types import SAMPLE_RATE, LayerPlan, Stems, WarpMap
from tests.songs import clicks, sine

if TYPE_CHECKING:
    from pipeline.types import Signal

SONGS = tuple(Source(path=Path(name), title=name, sings=name != "d") for name in "abcd")


# The origin's method


@pytest.mark.parametrize(
    ("voice_s", "backing_s", "ratio"),
    [
        (0.5, 0.5, 1.0),
        (0.6, 0.5, 1.2),
        (0.5, 0.625, 0.8),
        (1.0, 0.5, 1.8),
        (0.5, 1.0, 1 / 1.8),
    ],
)
def test_one_ratio_brings_the_voice_to_the_backings_tempo(
    voice_s: float, backing_s: float, ratio: float
) -> None:
    beats = np.arange(20.0)
    assert stretch_ratio(3 + voice_s * beats, 1 + backing_s * beats) == pytest.approx(ratio)


def test_without_two_beats_nothing_is_stretched() -> None:
    beats = np.arange(20.0)
    assert stretch_ratio(beats[:1], beats) == 1.0
    assert stretch_ratio(beats, beats[:0]) == 1.0


def test_beats_lie_on_frames_of_46_ms() -> None:
    times_s = np.arange(0.4, 12.0, 0.5)
    mono = clicks(times_s, 12.0)[0, ::2].copy()
    beats = find_beats(mono)
    assert np.allclose(beats * RATE_HZ / HOP, np.rint(beats * RATE_HZ / HOP))
    assert np.abs(beats[:, None] - times_s).min(axis=1).max() < 1.5 * HOP / RATE_HZ
    assert len(find_beats(np.zeros(4 * RATE_HZ, dtype=np.float32))) == 0


def stems(vocals: Signal, accompaniment: Signal) -> Stems:
    return Stems(vocals=vocals, accompaniment=accompaniment)


@pytest.mark.parametrize(("voice_first_s", "backing_first_s"), [(0.5, 1.5), (2.0, 0.5)])
def test_the_first_beats_meet(voice_first_s: float, backing_first_s: float) -> None:
    voice = clicks(np.arange(voice_first_s, 16.0, 0.6), 16.0)
    backing = clicks(np.arange(backing_first_s, 16.0, 0.5), 16.0)
    found = merge_like_origin(stems(voice, 0 * voice), stems(0 * backing, backing))
    assert found.ratio == pytest.approx(1.2, rel=0.02)
    first = [find_beats(stem[0, ::2].copy())[0] for stem in (voice, backing)]
    assert found.shift_s == pytest.approx(first[1] - first[0] / found.ratio, abs=1e-4)
    meeting = found.heard_s(np.asarray([first[0]]))
    assert meeting == pytest.approx(first[1], abs=1e-4)
    assert found.source_s(meeting) == pytest.approx(first[0])
    voice_s = 16.0 / found.ratio + found.shift_s
    assert found.mix.shape[1] / SAMPLE_RATE == pytest.approx(min(16.0, voice_s), abs=0.01)


def test_layers_are_summed_as_they_are_in_mono_at_22_khz() -> None:
    low, high = sine(440.0, 4.0, peak=0.8), sine(15_000.0, 4.0, peak=0.1)
    low[1] *= 0.5
    silence = np.zeros_like(low)
    found = merge_like_origin(
        stems(sine(440.0, 4.0, peak=0.6), silence), stems(silence, low + high)
    )
    expected = 0.6 + 0.75 * 0.8  # above full scale: nothing is clipped
    assert found.ratio == 1.0
    assert found.shift_s == 0.0
    assert np.array_equal(found.mix[0], found.mix[1])
    assert np.abs(found.mix[0, 20_000:150_000]).max() == pytest.approx(expected, rel=0.01)
    spectrum = np.abs(np.fft.rfft(found.mix[0, SAMPLE_RATE : 2 * SAMPLE_RATE]))
    assert spectrum[12_000:].max() < 1e-3 * spectrum.max()


# What is compared


def test_every_ordered_pair_is_drawn_once_and_nothing_sings_over_itself() -> None:
    drawn = [(draw.vocals.title, draw.backing.title) for draw in draw_pairs(SONGS, 1)]
    assert sorted(drawn) == sorted((a, b) for a in "abc" for b in "abcd" if a != b)


def test_the_seed_decides_pairs_and_sides() -> None:
    assert draw_pairs(SONGS, 1) == draw_pairs(SONGS, 1)
    first = [draw_pairs(SONGS, seed)[0] for seed in range(60)]
    assert len({(draw.vocals, draw.backing) for draw in first}) == 9
    assert 15 < sum(draw.a == METHODS[0] for draw in first) < 45


def mashup(length_s: float, *, ratio: float = 1.0, shift_s: float = 0.0) -> OriginMashup:
    mix = np.zeros((2, round(length_s * SAMPLE_RATE)), dtype=np.float32)
    return OriginMashup(mix=mix, ratio=ratio, shift_s=shift_s)


def result_with(voice_enters_s: float) -> Any:
    """Return a result whose voice is delayed by 4 s."""
    layer = LayerPlan(warp=WarpMap(source_s=(0.0, 10.0), target_s=(4.0, 14.0)))
    return SimpleNamespace(plan=SimpleNamespace(vocals=layer, voice_enters_s=voice_enters_s))


@pytest.mark.parametrize(
    ("theirs", "starts_s", "length_s"),
    [
        # The voice's bar at 2 s of its song is heard at 6 s in one and at 2 s in the other.
        (mashup(20, ratio=2.0, shift_s=1.0), (4.0, 0.0), 10.0),
        (mashup(20, shift_s=3.0), (4.0, 3.0), 10.0),
        (mashup(10, shift_s=3.0), (4.0, 3.0), 7.0),
        # Its start is cut off: both begin at 3 s of the vocal song, without a lead-in.
        (mashup(20, shift_s=-3.0), (7.0, 0.0), 10.0),
    ],
)
def test_both_excerpts_begin_at_the_same_word(
    theirs: OriginMashup, starts_s: tuple[float, float], length_s: float
) -> None:
    found = same_bars(result_with(6.0), 30.0, theirs, 10.0)
    assert found[0] == pytest.approx(starts_s)
    assert found[1] == pytest.approx(length_s)


def test_a_pair_without_time_to_listen_is_refused() -> None:
    with pytest.raises(UserError, match="too soon"):
        same_bars(result_with(6.0), 30.0, mashup(7.9, shift_s=3.0), 10.0)
    with pytest.raises(UserError, match="too soon"):
        same_bars(result_with(6.0), 8.9, mashup(20, shift_s=3.0), 10.0)


def test_an_excerpt_is_that_passage_and_fades_at_its_ends() -> None:
    ramp = np.tile(np.arange(3 * SAMPLE_RATE, dtype=np.float32) / SAMPLE_RATE, (2, 1))
    part = cut_out(ramp, 1.0, 1.5)
    assert part.shape == (2, round(1.5 * SAMPLE_RATE))
    assert part[:, [0, -1]] == pytest.approx(0.0)
    middle = round(0.5 * SAMPLE_RATE)
    assert part[0, middle] == pytest.approx(1.5)


def test_the_same_sound_is_mono_without_a_top_and_otherwise_as_it_was() -> None:
    low, high = sine(440.0, 2.0, peak=0.4), sine(15_000.0, 2.0, peak=0.3)
    wide = low + high
    wide[1] *= 0.5
    found = narrowed(wide)
    assert found.shape == low.shape
    assert np.array_equal(found[0], found[1])
    inside = slice(2000, -2000)
    assert found[0, inside] == pytest.approx(0.75 * low[0, inside], abs=1e-3)


@pytest.mark.parametrize(
    ("one_s", "other_s", "offset_ms"),
    [
        (np.arange(0, 10, 0.5), np.arange(0, 10, 0.5) + 0.03, 30.0),
        (np.arange(0, 10, 1.0), np.arange(0, 10, 0.5) + 0.03, 30.0),  # at half time
        (np.arange(0, 10, 0.5) + 0.03, np.arange(0, 10, 1.0), 30.0),
        (np.arange(0, 10, 0.5), [], None),
        (np.arange(0, 10, 0.5), [20.0, 21.0], None),
    ],
)
def test_the_offset_of_layers_is_that_of_their_beats(
    one_s: Any, other_s: Any, offset_ms: float | None
) -> None:
    assert layer_offset_ms(one_s, other_s) == offset_ms
