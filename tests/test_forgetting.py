"""What was made from a song is deleted with it, and nothing else is."""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline import forgetting
from pipeline.cache import Cache, make_key
from pipeline.fingerprint import fingerprint
from pipeline.forgetting import (
    Forgotten,
    Usage,
    find,
    find_unknown,
    forget,
    forget_unknown,
    forget_unused,
    usage,
)
from pipeline.merge import merge
from pipeline.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Collection

    from tests.pair import Pair

MANY = 1 << 30
LENGTH = 1000
HERS, HIS, THEIRS = "a" * 64, "b" * 64, "c" * 64
PAGES = 4 * 4096  # the folder, a signal of 8000 bytes in two pages, and the table
LISTED = PAGES + 4096


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> Cache:
    return Cache(folder, MANY)


def _keep(cache: Cache, kind: str, of: Collection[str] = ()) -> str:
    key = make_key(kind, *of)
    with cache.pending(key, of=of) as coming:
        made = coming.blank(LENGTH)
        made[:] = 0.5
        coming.commit(kind, {"all": made})
    return key


def _kept(cache: Cache, keys: Collection[str]) -> list[bool]:
    return [cache.load(key, str) is not None for key in keys]


def _all(folder: Path) -> list[Path]:
    return [path for parent in ("entries", "coming") for path in (folder / parent).iterdir()]


def test_all_that_was_made_from_a_song_goes_and_the_rest_stays(cache: Cache, folder: Path) -> None:
    keys = [
        _keep(cache, "stems", [HERS]),
        _keep(cache, "findings", [HERS]),
        _keep(cache, "mash-up", [HIS, HERS]),
        _keep(cache, "stems", [HIS]),
        _keep(cache, "mash-up", [THEIRS, HIS]),
    ]
    assert find(folder, [HERS]) == 3
    assert forget(folder, [HERS]) == Forgotten(entries=3, bytes=3 * LISTED)
    assert _kept(cache, keys) == [False, False, False, True, True]
    assert find(folder, [HERS]) == 0
    assert find(folder, {HIS, THEIRS}) == len(_all(folder)) == 2
    assert forget(folder, {HIS, THEIRS}).entries == 2
    assert _all(folder) == []


def test_every_entry_of_a_merge_names_its_songs(
    cache: Cache, folder: Path, tmp_path: Path, small_pair: Pair
) -> None:
    pair = small_pair
    merge(*(pair.vocals, pair.backing, Recipe(), tmp_path), separator=pair.separator, cache=cache)
    made = len(_all(folder))
    assert made >= 6  # stems and findings of two, aligned layers, the mash-up
    voice, band = fingerprint(pair.vocals), fingerprint(pair.backing)
    assert find(folder, [HERS]) == 0  # else one has no name
    assert find(folder, [voice]) == find(folder, [band]) < made
    forgotten = forget(folder, [voice])
    assert find(folder, [voice]) == 0
    assert find(folder, [band]) == len(_all(folder)) == made - forgotten.entries > 0


@pytest.mark.parametrize("audio", [[], ["d" * 64], ["a" * 63], ["A" * 64]])
def test_a_song_that_nobody_merged_is_nowhere(cache: Cache, folder: Path, audio: list[str]) -> None:
    key = _keep(cache, "stems", [HERS])
    assert find(folder, audio) == 0
    assert forget(folder, audio) == Forgotten(entries=0, bytes=0)
    assert _kept(cache, [key]) == [True]


@pytest.mark.parametrize("listed", [None, b"", b'["aaa', b"[]", b"5", b'{"bbb": 1}', b"\xff\xfe"])
def test_what_names_no_songs_goes_with_any(
    cache: Cache, folder: Path, listed: bytes | None
) -> None:
    named, unnamed = _keep(cache, "stems", [HIS]), _keep(cache, "stems", [THEIRS])
    path = folder / "entries" / unnamed / "songs.json"
    path.unlink()
    if listed is not None:
        path.write_bytes(listed)
    assert find(folder, [HERS]) == 1
    assert forget(folder, [HERS]).entries == 1
    assert _kept(cache, [named, unnamed]) == [True, False]
    assert forget(folder, []) == Forgotten(entries=0, bytes=0)


def test_what_is_being_made_is_taken_away_and_the_merge_goes_on(
    cache: Cache, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out.mp3").write_bytes(b"finished")
    key, other = make_key("stems", HERS), make_key("stems", HIS)
    with cache.pending(key, of=[HERS]) as coming, cache.pending(other, of=[HIS]) as spared:
        made = coming.blank(LENGTH)
        assert find(folder, [HERS]) == 1
        assert forget(folder, [HERS]).entries == 1
        assert find(folder, [HERS]) == 0
        made[:] = 0.25
        assert coming.blank(LENGTH).shape == (2, LENGTH)  # in memory by now
        coming.add_file("mash-up", tmp_path / "out.mp3")
        coming.commit("kept?", {"all": made})
        assert (made == 0.25).all()
        spared.commit("kept")
    assert _kept(cache, [key, other]) == [False, True]
    assert find(folder, [HERS]) == 0
    assert caplog.messages == []  # nothing is wrong with the cache
    _keep(cache, "stems", [HERS])  # whoever sends the song again starts anew
    assert _kept(cache, [key]) == [True]


def test_what_somebody_reads_goes_on_being_readable(cache: Cache, folder: Path) -> None:
    entry = cache.load(_keep(cache, "stems", [HERS]), str)
    assert entry is not None
    assert forget(folder, [HERS]).entries == 1
    assert (entry.signals["all"] == 0.5).all()
    assert entry.signals["all"].shape == (2, LENGTH)


def test_what_a_killed_process_left_goes_too(cache: Cache, folder: Path) -> None:
    keys = [_keep(cache, "stems", [HERS]), _keep(cache, "stems", [HIS])]
    (folder / "entries" / keys[0]).rename(folder / "coming" / "gone-0")  # killed while it deleted
    assert find(folder, [HERS]) == 1
    assert forget(folder, [HERS]).entries == 1
    assert find(folder, [HERS]) == 0
    assert _kept(cache, keys) == [False, True]


def test_what_another_deletes_at_the_same_moment_counts_for_nobody_here(
    cache: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("stems", "findings"):
        _keep(cache, kind, [HERS])
    found = list(forgetting._made_from(folder, [HERS]))
    assert forget(folder, [HERS]).entries == 2
    monkeypatch.setattr(forgetting, "_made_from", lambda *_: iter(found))
    assert forget(folder, [HERS]) == Forgotten(entries=0, bytes=0)


def test_what_cannot_be_deleted_is_told_and_found_again(
    cache: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    key = _keep(cache, "stems", [HERS])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(Path, "rename", refuse)
        assert forget(folder, [HERS]) == Forgotten(entries=0, bytes=0)
    assert "Permission denied" in caplog.text
    assert _kept(cache, [key]) == [True]
    assert find(folder, [HERS]) == 1


def test_a_cache_that_is_not_there_holds_nothing(folder: Path) -> None:
    assert find(folder, [HERS]) == 0
    assert forget(folder, [HERS]) == Forgotten(entries=0, bytes=0)
    assert usage(folder) == Usage(entries=0, bytes=0)
    assert not folder.exists()


def test_a_cache_that_lost_a_folder_is_no_hindrance(cache: Cache, folder: Path) -> None:
    _keep(cache, "stems", [HERS])
    (folder / "coming").rmdir()
    assert forget(folder, [HERS]).entries == 1
    assert _all(folder) == []


def test_strays_and_links_are_left_alone(cache: Cache, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folder / "entries" / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "entries" / "stray").touch()
    (folder / "coming" / "stray").touch()
    assert forget(folder, [HERS]) == Forgotten(entries=0, bytes=0)
    assert len(_all(folder)) == 3


def test_what_is_made_from_a_song_that_nobody_has_goes(cache: Cache, folder: Path) -> None:
    keys = [
        _keep(cache, "stems", [HERS]),
        _keep(cache, "mash-up", [HIS, HERS]),
        _keep(cache, "stems", [THEIRS]),
        _keep(cache, "mash-up", [HIS, THEIRS]),
        _keep(cache, "older"),
    ]
    (folder / "coming" / "tmp0").mkdir()  # of a process that was killed
    with cache.pending(make_key("findings", THEIRS), of=[THEIRS]) as coming:
        assert find_unknown(folder, [HERS, HIS]) == 3
        assert forget_unknown(folder, [HERS, HIS]) == Forgotten(entries=3, bytes=2 * LISTED + PAGES)
        coming.commit("kept")  # a merge goes on
    assert _kept(cache, keys) == [True, True, False, False, False]
    assert find_unknown(folder, [HERS, HIS, THEIRS]) == 0
    assert len(_all(folder)) == 3
    assert forget_unknown(folder, []).entries == 3


def test_what_is_in_use_is_not_taken_for_nobodys(cache: Cache, folder: Path) -> None:
    old, new = _keep(cache, "stems", [HERS]), _keep(cache, "stems", [HIS])
    os.utime(folder / "entries" / old, (1000.0, 1000.0))
    assert find_unknown(folder, [], 1000.0) == 0
    assert forget_unknown(folder, [], 1001.0).entries == 1
    assert _kept(cache, [old, new]) == [False, True]
    assert forget_unknown(folder / "nowhere", []) == Forgotten(entries=0, bytes=0)


def test_what_nobody_uses_goes_and_what_is_used_stays(cache: Cache, folder: Path) -> None:
    keys = [_keep(cache, "stems", [song]) for song in (HERS, HIS, THEIRS)]
    for key, used_at in zip(keys, (1000.0, 2000.0, 1000.0), strict=True):
        os.utime(folder / "entries" / key, (used_at, used_at))
    assert cache.load(keys[2], str) is not None  # which is a use
    assert forget_unused(folder, 1000.0) == Forgotten(entries=0, bytes=0)
    assert forget_unused(folder, 2000.0).entries == 1
    assert _kept(cache, keys) == [False, True, True]
    with cache.pending(make_key("findings", HERS), of=[HERS]) as coming:
        assert forget_unused(folder, math.inf).entries == 2
        coming.commit("kept")  # a merge goes on
    assert len(_all(folder)) == 1
    assert forget_unused(folder / "nowhere", math.inf) == Forgotten(entries=0, bytes=0)


def _work(folder: Path, turns: int) -> None:
    """Keep and find entries of two songs as a worker does."""
    cache = Cache(folder, MANY)
    for turn in range(turns):
        key = make_key("stems", turn % 3)
        entry = cache.load(key, int)
        if entry is not None:
            assert entry.facts == turn % 3
            assert (entry.signals["all"] == entry.facts).all()
            continue
        with cache.pending(key, of=[HERS, HIS][: 1 + turn % 2]) as coming:
            made = coming.blank(LENGTH)
            made[:] = turn % 3
            coming.commit(turn % 3, {"all": made})


def test_workers_go_on_while_their_songs_are_forgotten(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with ThreadPoolExecutor(3) as threads:
        workers = [threads.submit(_work, folder, 150) for _ in range(3)]
        while not all(worker.done() for worker in workers):
            forget(folder, [HERS])
            usage(folder)
    for worker in workers:
        worker.result()  # raises what went wrong
    forget(folder, [HERS])
    assert find(folder, [HERS]) == 0
    assert _all(folder) == []
    assert caplog.messages == []


def test_usage_counts_what_is_finished(cache: Cache, folder: Path) -> None:
    assert usage(folder) == Usage(entries=0, bytes=0)
    _keep(cache, "stems", [HERS])
    _keep(cache, "older")
    with cache.pending(make_key("stems", HIS), of=[HIS]) as coming:
        coming.blank(LENGTH)
        assert usage(folder) == Usage(entries=2, bytes=LISTED + PAGES)


def test_it_loads_nothing_heavy() -> None:
    script = "import sys, pipeline.forgetting; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
