"""Merges that find in the cache what was worked out before: the same outcome for less work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile as sf

from pipeline.cache import Cache
from pipeline.codec import encode
from pipeline.errors import NotKeptError, SongLengthError
from pipeline.merge import merge
from pipeline.recipe import Recipe
from pipeline.types import MergeResult, Stage
from tests.pair import Pair, TrueStems

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.types import KnownSong, Signal

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kitchen:
    """A pair of songs, a cache, and a separator that counts what it is asked.

    Where songs are known, their files are not used.
    """

    pair: Pair
    cache: Cache
    separator: TrueStems
    folder: Path
    known: tuple[KnownSong, ...] = ()

    def merge(self, recipe: Recipe | None = None, **options: object) -> MergeResult:
        out_dir = self.folder / f"made-{len(list(self.folder.iterdir()))}"
        out_dir.mkdir()
        wanted = {"separator": self.separator, "cache": self.cache, "format": "wav", **options}
        first, second = self.known or (self.pair.vocals, self.pair.backing)
        return merge(first, second, recipe or Recipe(), out_dir, **wanted)  # type: ignore[arg-type]  # checked by merge itself

    def merge_known(self, songs: tuple[KnownSong, ...], recipe: Recipe) -> MergeResult:
        return replace(self, known=songs).merge(recipe)


@pytest.fixture
def kitchen(small_pair: Pair, tmp_path: Path) -> Kitchen:
    folder = tmp_path / "made"
    folder.mkdir()
    return Kitchen(
        pair=small_pair,
        cache=Cache(tmp_path / "cache", 10**9),
        separator=TrueStems(small_pair.vocal_song, small_pair.backing_song),
        folder=folder,
    )


def sound(path: Path) -> Signal:
    samples, _ = sf.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T)


def stages(result: MergeResult) -> set[str]:
    return set(result.seconds_by_stage)


ALIGNING = {stage.name.lower() for stage in (Stage.SEPARATE, Stage.BEATS, Stage.KEYS, Stage.WARP)}


def test_the_same_again_is_the_very_same_file(kitchen: Kitchen) -> None:
    first, second = kitchen.merge(), kitchen.merge()
    assert kitchen.separator.asked == 2
    assert second.path != first.path
    assert second.path.read_bytes() == first.path.read_bytes()
    assert replace(second, path=first.path, seconds_by_stage=first.seconds_by_stage) == first
    assert stages(second) == {"decode"}


def test_a_copy_of_a_result_is_ones_own(kitchen: Kitchen) -> None:
    content = kitchen.merge().path.read_bytes()
    kitchen.merge().path.write_bytes(b"spoilt")
    assert kitchen.merge().path.read_bytes() == content


@pytest.mark.parametrize(
    "recipe", [Recipe(balance=-4.0), Recipe(duck=4.0), Recipe(level="frame")], ids=str
)
def test_other_levels_start_from_the_aligned_layers(kitchen: Kitchen, recipe: Recipe) -> None:
    kitchen.merge()
    remix = kitchen.merge(recipe)
    afresh = kitchen.merge(recipe, cache=None)
    assert not stages(remix) & ALIGNING
    assert np.array_equal(sound(remix.path), sound(afresh.path))
    assert remix.plan == afresh.plan
    assert remix.loudness == afresh.loudness


def test_another_plan_starts_from_the_stems(kitchen: Kitchen) -> None:
    kitchen.merge()
    moved = kitchen.merge(Recipe(nudge=1))
    afresh = kitchen.merge(Recipe(nudge=1), cache=None)
    assert kitchen.separator.asked == 4  # two for the first, two for the one without a cache
    assert np.array_equal(sound(moved.path), sound(afresh.path))
    assert moved.vocals == afresh.vocals


def test_another_way_to_find_beats_keeps_the_stems(kitchen: Kitchen) -> None:
    kitchen.merge()
    other = kitchen.merge(Recipe(beats="onsets"))
    assert kitchen.separator.asked == 2
    afresh = kitchen.merge(Recipe(beats="onsets"), cache=None)
    assert other.vocals.grid.bpm == pytest.approx(afresh.vocals.grid.bpm, rel=1e-3)


def test_the_other_way_round_shares_the_stems(kitchen: Kitchen) -> None:
    kitchen.merge()
    turned = replace(
        kitchen,
        pair=replace(kitchen.pair, vocals=kitchen.pair.backing, backing=kitchen.pair.vocals),
    )
    turned.merge()
    assert kitchen.separator.asked == 2


def test_nobody_hears_what_another_called_the_songs(kitchen: Kitchen) -> None:
    kitchen.merge(vocals_name="for Anna.wav", backing_name="secret.wav")
    second = kitchen.merge(vocals_name="mine.wav", backing_name="yours.wav")
    told = " ".join((second.vocals.title, second.backing.title, *second.plan.reasons))
    assert "mine" in told
    assert not {"Anna", "secret"} & set(told.replace(".", " ").split())
    assert kitchen.separator.asked == 2


def test_a_retagged_copy_is_the_same_song(kitchen: Kitchen, tmp_path: Path) -> None:
    mp3s = []
    for number, title in enumerate(("One", "Other")):
        path = encode(kitchen.pair.vocal_song.mixture, tmp_path / f"{number}.mp3", title=title)
        mp3s.append(replace(kitchen.pair, vocals=path))
    first = replace(kitchen, pair=mp3s[0]).merge()
    second = replace(kitchen, pair=mp3s[1]).merge()
    assert kitchen.separator.asked == 2
    assert (first.vocals.title, second.vocals.title) == ("One", "Other")


def test_with_layers_as_files_everything_is_there(kitchen: Kitchen) -> None:
    kitchen.merge()
    made = kitchen.merge(stems=True)
    assert {name for name, path in made.stems.items() if path.exists()} == {"vocals", "backing"}


def test_a_cached_song_may_be_too_long_for_somebody_else(kitchen: Kitchen) -> None:
    kitchen.merge()
    with pytest.raises(SongLengthError):
        kitchen.merge(longest_s=4.0)


def test_a_spoilt_cache_only_costs_time(kitchen: Kitchen, tmp_path: Path) -> None:
    content = kitchen.merge().path.read_bytes()
    for path in (tmp_path / "cache").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"?")
    assert kitchen.merge().path.read_bytes() == content


def test_without_a_cache_nothing_is_kept(kitchen: Kitchen, tmp_path: Path) -> None:
    result = kitchen.merge(cache=None)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path != result.path]
    assert not [path for path in kept if path not in (kitchen.pair.vocals, kitchen.pair.backing)]


REMIXES = [
    Recipe(),
    Recipe(balance=3.0),
    Recipe(nudge=1),
    Recipe(pace="half"),
    Recipe(key="2"),
    Recipe(arrange="highlight"),
    Recipe(denoise=0.0),
]


@pytest.mark.parametrize("recipe", REMIXES, ids=str)
def test_known_songs_need_no_files(kitchen: Kitchen, recipe: Recipe) -> None:
    songs = kitchen.merge(vocals_name="a.wav", backing_name="b.wav").songs
    assert [(song.name, song.title) for song in songs] == [("a.wav", "a"), ("b.wav", "b")]
    remix = kitchen.merge_known(songs, recipe)
    afresh = kitchen.merge(recipe, vocals_name="a.wav", backing_name="b.wav", cache=None)
    assert (remix.plan, remix.songs) == (afresh.plan, songs)
    assert np.array_equal(sound(remix.path), sound(afresh.path))


def test_known_songs_have_their_beats_found_in_their_stems(kitchen: Kitchen) -> None:
    songs = kitchen.merge().songs
    assert kitchen.merge_known(songs, Recipe(beats="onsets")).vocals.grid.beats_s


def test_known_songs_may_swap_their_roles(kitchen: Kitchen) -> None:
    songs = kitchen.merge().songs
    swapped = kitchen.merge_known(songs[::-1], Recipe())
    assert swapped.songs == songs[::-1]
    assert (swapped.vocals.title, swapped.backing.title) == ("backing of", "voice of")


def test_songs_are_told_in_the_order_given_whoever_sings(kitchen: Kitchen) -> None:
    first = kitchen.merge(Recipe(roles="auto"))
    again = kitchen.merge(Recipe(roles="auto"), vocals_name="other.wav")
    assert [song.title for song in first.songs] == ["voice of", "backing of"]
    assert [song.name for song in again.songs] == ["other.wav", "backing of.wav"]


def test_known_songs_keep_the_titles_of_their_tags(kitchen: Kitchen, tmp_path: Path) -> None:
    tagged = encode(kitchen.pair.vocal_song.mixture, tmp_path / "1.flac", title="One")
    kitchen = replace(kitchen, pair=replace(kitchen.pair, vocals=tagged))
    songs = kitchen.merge().songs
    assert songs[0].title == "One"
    assert kitchen.merge_known(songs, Recipe(nudge=1)).vocals.title == "One"


def test_songs_that_are_no_longer_kept_are_refused(kitchen: Kitchen, tmp_path: Path) -> None:
    songs = kitchen.merge(vocals_name="a.wav").songs
    empty = replace(kitchen, cache=Cache(tmp_path / "other", 10**9))
    with pytest.raises(NotKeptError) as caught:
        empty.merge_known(songs, Recipe())
    assert str(caught.value) == (
        "The pieces of a.wav are no longer kept. Merge the two songs again."
    )
    with pytest.raises(NotKeptError):
        replace(kitchen, known=songs).merge(cache=None)
    assert kitchen.separator.asked == 2


def test_a_known_song_may_be_too_long_by_now(kitchen: Kitchen) -> None:
    songs = kitchen.merge(vocals_name="a.wav").songs
    with pytest.raises(SongLengthError, match=r"a\.wav is 0:0\d long; the longest song is 0:04"):
        replace(kitchen, known=songs).merge(longest_s=4.0)


@pytest.mark.parametrize(("format_", "limit"), [("mp3", 60_000), ("wav", 60_000), ("mp3", None)])
def test_layers_in_another_format(kitchen: Kitchen, format_: str, limit: int | None) -> None:
    made = kitchen.merge(stems=True, stems_format=format_, format="mp3", max_bytes=limit)
    assert {name: path.name for name, path in made.stems.items()} == {
        name: f"{name}.{format_}" for name in ("vocals", "backing")
    }
    lossy = format_ == "mp3"
    for path in made.stems.values():
        assert sf.info(path).duration == pytest.approx(made.plan.length_s, abs=0.1)
        assert (path.stat().st_size <= (limit or 10**9)) == lossy


def test_layers_of_a_finished_mash_up_are_written_without_it_being_made_again(
    kitchen: Kitchen,
) -> None:
    first = kitchen.merge()
    made = kitchen.merge(stems=True)
    assert stages(made) == {"decode", "level", "mix", "encode"}
    assert made.path.read_bytes() == first.path.read_bytes()
    layers = [sound(made.stems[name]) for name in ("vocals", "backing")]
    np.testing.assert_allclose(layers[0] + layers[1], sound(first.path), atol=3 * 2.0**-23)


def test_layers_as_files_are_not_kept(kitchen: Kitchen) -> None:
    with_layers = kitchen.merge(stems=True)
    again = kitchen.merge()
    assert again.stems == {}
    assert stages(again) == {"decode"}
    assert again.path.read_bytes() == with_layers.path.read_bytes()


@pytest.mark.parametrize("recipe", [Recipe(nudge=1), Recipe(nudge=-1, balance=3.0)], ids=str)
def test_another_moment_stretches_nothing(
    kitchen: Kitchen, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    kitchen.merge()
    monkeypatch.delattr("pipeline.parts.Part.make")
    assert kitchen.merge(recipe).plan.length_s > 3.0
