from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from training.bands.harmony import Harmony, draw_harmony, spell


def draw(seed: int, beats: int = 32, beats_per_bar: int = 4) -> Harmony:
    return draw_harmony(np.random.default_rng(seed), beats, beats_per_bar)


@pytest.mark.parametrize(
    ("numeral", "tones"),
    [
        ("I", (0, 4, 7)),
        ("i", (0, 3, 7)),
        ("bVII", (10, 14, 17)),
        ("vi7", (9, 12, 16, 19)),
        ("IVmaj7", (5, 9, 12, 16)),
        ("Vsus4", (7, 12, 14)),
        ("iiø7", (2, 5, 8, 12)),
        ("IVadd9", (5, 9, 12, 7)),
    ],
)
def test_a_numeral_is_spelt_from_its_root(numeral: str, tones: tuple[int, ...]) -> None:
    assert spell(numeral) == tones


@pytest.mark.parametrize("numeral", ["", "H", "iix", "I13", "bb"])
def test_what_is_no_chord_is_refused(numeral: str) -> None:
    with pytest.raises(ValueError, match=r"is not a chord|unknown colour"):
        spell(numeral)


@pytest.mark.parametrize("beats_per_bar", [3, 4])
def test_chords_follow_each_other_to_the_end(beats_per_bar: int) -> None:
    for seed in range(60):
        chords = draw(seed, 24, beats_per_bar).chords
        assert chords[0].start == 0
        assert chords[-1].end >= 24
        for now, then in pairwise(chords):
            assert now.end == then.start
        for chord in chords:
            assert chord.end > chord.start
            assert len(set(chord.tones)) == len(chord.tones) >= 3
            assert all(0 <= tone < 12 for tone in chord.tones)


def test_the_scale_has_the_third_of_its_mode() -> None:
    for seed in range(60):
        harmony = draw(seed)
        assert harmony.scale[0] == harmony.key.tonic
        third = 4 if harmony.key.mode == "major" else 3
        assert (harmony.scale[2] - harmony.key.tonic) % 12 == third
        assert len(set(harmony.scale)) == 7


def test_most_chords_are_of_the_scale_but_not_all() -> None:
    inside = [
        set(chord.tones) <= set(harmony.scale)
        for harmony in map(draw, range(200))
        for chord in harmony.chords
    ]
    assert 0.75 < np.mean(inside) < 0.99


def test_every_key_is_drawn() -> None:
    keys = {(h.key.tonic, h.key.mode) for h in map(draw, range(400))}
    assert len(keys) == 24


def test_the_chord_at_a_position_is_the_one_that_sounds() -> None:
    harmony = draw(4)
    for chord in harmony.chords:
        assert harmony.chord_at(chord.start) is chord
        assert harmony.chord_at(chord.end - 0.01) is chord
    assert harmony.chord_at(1e6) is harmony.chords[-1]
