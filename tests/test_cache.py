"""What was made once is found again, by any process, whatever happens to the others."""

from __future__ import annotations

import json
import logging
import os
import resource
import shutil
import signal as signals
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline import versions
from pipeline.cache import LEFT_FREE, Cache, make_key
from pipeline.recipe import Recipe
from pipeline.tapes import in_memory, on_disk
from pipeline.types import BeatGrid, Key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipeline.types import Signal

ROOT = Path(__file__).parents[1]
MANY = 1 << 30
LENGTH = 100_000
KEY = make_key("stems", "a fingerprint")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def cache(folder: Path) -> Cache:
    return Cache(folder, MANY)


def _noise(length: int = LENGTH, seed: int = 0) -> Signal:
    return np.random.default_rng(seed).normal(0, 0.1, (2, length)).astype(np.float32)


def _keep(cache: Cache, key: str = KEY, length: int = LENGTH) -> None:
    with cache.pending(key) as coming:
        made = coming.blank(length)
        made[:] = _noise(length)
        coming.commit(Key(tonic=3, mode="minor"), {"voice": made})


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _is_kept(cache: Cache, key: str = KEY) -> bool:
    entry = cache.load(key, Key)
    if entry is None:
        return False
    np.testing.assert_array_equal(entry.signals["voice"], _noise(entry.signals["voice"].shape[1]))
    return entry.facts == Key(tonic=3, mode="minor")


# --- keeping and finding ------------------------------------------------------------------------


def test_what_was_never_made_is_not_found(cache: Cache) -> None:
    assert cache.load(KEY, Key) is None


def test_what_was_kept_is_found_by_others(cache: Cache, folder: Path, tmp_path: Path) -> None:
    grid = BeatGrid(beats_s=(0.1, 1 / 3), bpm=101.0)
    (tmp_path / "out.mp3").write_bytes(b"finished" * 1000)
    (tmp_path / "empty").touch()
    with cache.pending(KEY) as coming:
        voice, band = coming.blank(LENGTH), coming.blank(LENGTH)
        voice[:], band[:] = _noise(), -_noise()
        coming.add_file("mash-up", tmp_path / "out.mp3")
        coming.add_file("nothing", tmp_path / "empty")
        coming.commit(grid, {"voice": voice, "band": band, "none": in_memory(0)})
    entry = Cache(folder, MANY).load(KEY, BeatGrid)
    assert entry is not None
    assert entry.facts == grid
    np.testing.assert_array_equal(entry.signals["voice"], _noise())
    np.testing.assert_array_equal(entry.signals["band"], -_noise())
    assert entry.signals["none"].shape == (2, 0)
    with pytest.raises(ValueError, match="read-only"):
        entry.signals["voice"][:] = 0.0
    entry.copy("mash-up", tmp_path / "copy.mp3")
    entry.copy("nothing", tmp_path / "copy.mp3.empty")
    (tmp_path / "copy.mp3").open("ab").close()
    assert (tmp_path / "copy.mp3").read_bytes() == b"finished" * 1000
    assert (tmp_path / "copy.mp3").stat().st_nlink == 1
    assert (tmp_path / "copy.mp3.empty").read_bytes() == b""


def test_nobody_else_may_look_inside(cache: Cache, folder: Path) -> None:
    _keep(cache)
    paths = [folder, *folder.rglob("*")]
    assert len(paths) == 6
    assert [path for path in paths if path.stat().st_mode & 0o077] == []


def test_nothing_tells_what_was_kept_for_whom(cache: Cache, folder: Path) -> None:
    _keep(cache, make_key("stems", "title and server"))
    (table,) = folder.rglob("*.json")
    assert "title" not in table.read_text(encoding="ascii")
    assert not [path for path in folder.rglob("*") if "title" in path.name]


def test_signals_stay_where_they_were_made(cache: Cache, folder: Path) -> None:
    with cache.pending(KEY) as coming:
        scratch, made = coming.blank(LENGTH), coming.blank(2 * LENGTH)
        scratch[:] = 1.0
        begun = made.reshape(-1)[: 2 * LENGTH].reshape(2, LENGTH)
        begun[:] = _noise()
        (inode,) = {path.stat().st_ino for path in _files(folder) if path.name == "2.raw"}
        coming.commit(Key(tonic=3, mode="minor"), {"voice": begun})
    assert _is_kept(cache)
    raw, table = _files(folder)
    assert (raw.stat().st_ino, raw.stat().st_size) == (inode, 8 * LENGTH)
    assert table.name == "facts.json"
    np.testing.assert_array_equal(begun, _noise())
    np.testing.assert_array_equal(scratch, 1.0)


@pytest.mark.parametrize("of", ["memory", "another", "a part", "twice"])
def test_signals_from_elsewhere_are_copied(
    cache: Cache, folder: Path, tmp_path: Path, of: str
) -> None:
    with cache.pending(KEY) as coming:
        other = on_disk(tmp_path)(LENGTH) if of == "another" else in_memory(LENGTH)
        if of in {"a part", "twice"}:
            other = coming.blank(2 * LENGTH)[:, :LENGTH]
        other[:] = _noise()
        coming.commit(Key(tonic=3, mode="minor"), {"again": other, "voice": other})
    assert _is_kept(cache)
    assert [path.stat().st_size for path in _files(folder)[:-1]] == [8 * LENGTH] * 2


def test_what_was_kept_cannot_be_written_any_more(cache: Cache) -> None:
    with cache.pending(KEY) as coming:
        made, own = coming.blank(LENGTH), _noise()
        coming.commit(None, {"made": made, "own": own})
    for kept in (made, own):
        with pytest.raises(ValueError, match="read-only"):
            kept[0, 0] = 1.0


def test_without_a_commit_nothing_is_kept_but_signals_live_on(cache: Cache, folder: Path) -> None:
    with cache.pending(KEY) as coming:
        made = coming.blank(LENGTH)
        made[:] = _noise()
    assert _files(folder) == []
    np.testing.assert_array_equal(made, _noise())
    made[:] = 0.0


def test_a_failure_leaves_nothing_and_passes_through(cache: Cache, folder: Path) -> None:
    with pytest.raises(OSError, match="mine"), cache.pending(KEY) as coming:  # noqa: PT012
        coming.blank(LENGTH)
        raise OSError("mine")
    assert _files(folder) == []
    _keep(cache)
    assert _is_kept(cache)


def test_of_two_at_once_the_second_is_dropped(
    cache: Cache, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with cache.pending(KEY) as first, Cache(folder, MANY).pending(KEY) as second:
        late = second.blank(LENGTH)
        made = first.blank(10)
        made[:] = _noise(10)
        first.commit(Key(tonic=3, mode="minor"), {"voice": made})
        late[:] = 5.0
        second.commit(Key(tonic=9, mode="major"), {"voice": late})
    assert _is_kept(cache)
    np.testing.assert_array_equal(late, 5.0)
    assert len(_files(folder)) == 2
    assert not caplog.records


# --- damage -------------------------------------------------------------------------------------


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _lose_the_end(path: Path) -> None:
    size = path.stat().st_size
    os.truncate(path, size // 2)
    os.truncate(path, size)


def _change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


def _rewrite(path: Path) -> None:
    table = json.loads(path.read_text(encoding="ascii"))
    table["entry"] = table["entry"].replace('"tonic": 3', '"tonic": 4')
    path.write_text(json.dumps(table), encoding="ascii")


def _no_table(path: Path) -> None:
    path.write_text("[]", encoding="ascii")


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("1.raw", Path.unlink),
        ("1.raw", _cut),
        ("1.raw", _empty),
        ("1.raw", _lose_the_end),
        ("1.raw", _change),
        ("2.raw", Path.unlink),
        ("2.raw", _cut),
        ("2.raw", _change),
        ("facts.json", Path.unlink),
        ("facts.json", _cut),
        ("facts.json", _empty),
        ("facts.json", _lose_the_end),
        ("facts.json", _change),
        ("facts.json", _rewrite),
        ("facts.json", _no_table),
    ],
)
def test_a_damaged_entry_counts_as_absent_and_goes(
    cache: Cache, folder: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]
) -> None:
    (tmp_path / "out.mp3").write_bytes(b"finished" * 1000)
    with cache.pending(KEY) as coming:
        made = coming.blank(LENGTH)
        made[:] = _noise()
        coming.add_file("mash-up", tmp_path / "out.mp3")
        coming.commit(Key(tonic=3, mode="minor"), {"voice": made})
    assert _is_kept(cache)
    damage(folder / "entries" / KEY / name)
    assert cache.load(KEY, Key) is None
    assert _files(folder) == []
    _keep(cache)
    assert _is_kept(cache)


def test_facts_of_another_kind_count_as_damage(cache: Cache, folder: Path) -> None:
    _keep(cache)
    assert cache.load(KEY, BeatGrid) is None
    assert _files(folder) == []


# --- bounds -------------------------------------------------------------------------------------


def _keys(count: int) -> list[str]:
    return [make_key("stems", number) for number in range(count)]


def _age(folder: Path, *keys: str) -> None:
    for number, key in enumerate(keys):
        os.utime(folder / "entries" / key, (1000 + number, 1000 + number))


def test_the_least_recently_used_go_first(folder: Path) -> None:
    cache = Cache(folder, 3 * (8 * LENGTH + 3 * 4096))
    first, second, third, fourth, fifth = _keys(5)
    for key in (first, second, third):
        _keep(cache, key)
    _age(folder, first, second, third)
    assert _is_kept(cache, first)  # and is used by that
    _keep(cache, fourth)
    assert not _is_kept(cache, second)
    _age(folder, third, first, fourth)
    _keep(cache, fifth)
    assert [_is_kept(cache, key) for key in (first, third, fourth, fifth)] == [1, 0, 1, 1]
    assert not list((folder / "coming").iterdir())


def test_an_entry_above_the_bound_is_not_kept_and_drives_none_out(folder: Path) -> None:
    cache = Cache(folder, 1_000_000)
    first, second = _keys(2)
    _keep(cache, first)
    _keep(cache, second, 2 * LENGTH)
    assert _is_kept(cache, first)
    assert not _is_kept(cache, second)


def test_a_lower_bound_holds_from_the_start(cache: Cache, folder: Path) -> None:
    keys = _keys(3)
    for key in keys:
        _keep(cache, key)
    _age(folder, *keys)
    smaller = Cache(folder, 1_000_000)
    assert [_is_kept(smaller, key) for key in keys] == [False, False, True]


def test_what_is_in_use_survives_its_eviction(cache: Cache, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp3").write_bytes(b"finished")
    with cache.pending(KEY) as coming:
        made = coming.blank(LENGTH)
        made[:] = _noise()
        coming.add_file("mash-up", tmp_path / "out.mp3")
        coming.commit(None, {"voice": made})
    entry = cache.load(KEY, type(None))
    assert entry is not None
    Cache(folder, 0)
    assert _files(folder) == []
    np.testing.assert_array_equal(entry.signals["voice"], _noise())
    np.testing.assert_array_equal(made, _noise())
    entry.copy("mash-up", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"finished"


def test_a_cache_that_is_nowhere_keeps_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _merge_without(Cache(None, MANY), tmp_path)
    assert not caplog.records


# --- places that do not work --------------------------------------------------------------------


def _merge_without(cache: Cache, tmp_path: Path) -> None:
    """Do what a merge does; it must not notice."""
    (tmp_path / "out.mp3").write_bytes(b"finished")
    asked: list[int] = []

    def spare(length: int) -> Signal:
        asked.append(length)
        return in_memory(length)

    for _ in range(2):
        assert cache.load(KEY, Key) is None
        with cache.pending(KEY, spare) as coming:
            made = coming.blank(LENGTH)
            made[:] = _noise()
            coming.add_file("mash-up", tmp_path / "out.mp3")
            coming.commit(Key(tonic=3, mode="minor"), {"voice": made})
        np.testing.assert_array_equal(made, _noise())
        assert not made.flags.writeable
    assert asked in ([], [LENGTH] * 2)


def _one_warning(caplog: pytest.LogCaptureFixture) -> str:
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    return record.getMessage()


def test_a_place_that_is_no_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    _merge_without(Cache(tmp_path / "file" / "cache", MANY), tmp_path)
    assert "does not work" in _one_warning(caplog)


def test_a_place_that_others_can_write(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _keep(Cache(folder, MANY))
    (folder / "entries").chmod(0o777)
    _merge_without(Cache(folder, MANY), tmp_path)
    assert "others have access" in _one_warning(caplog)


@pytest.mark.parametrize("call", ["posix_fallocate", "ftruncate", "open"])
def test_a_full_disk(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    call: str,
) -> None:
    cache, real = Cache(folder, MANY), os.open

    def full(path: Path, flags: int = 0, *args: int, **kwargs: int) -> int:
        if call == "open" and not flags & os.O_CREAT:
            return real(path, flags, *args, **kwargs)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, full)
    _merge_without(cache, tmp_path)
    assert "No space left on device" in _one_warning(caplog)
    assert _files(folder) == []


def test_no_room_for_a_file(
    cache: Cache, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out.mp3").write_bytes(b"finished" * 10_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, limits[1]))
    try:
        with cache.pending(KEY) as coming:
            coming.add_file("mash-up", tmp_path / "out.mp3")
            coming.commit(None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "File too large" in _one_warning(caplog)
    assert _files(folder) == []


@pytest.mark.parametrize("broken", [False, True])
def test_what_was_kept_gives_way_on_a_disk_that_fills_up(
    cache: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    first, second, third = _keys(3)
    for key in (first, second):
        _keep(cache, key)
    _age(folder, first, second)
    usage = shutil.disk_usage(folder)._replace(free=LEFT_FREE - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    if broken:
        monkeypatch.setattr(os, "ftruncate", partial(_refuse, 28, "No space left on device"))
    _keep(cache, third)
    assert [_is_kept(cache, key) for key in (first, second, third)] == [False, True, not broken]


def _refuse(code: int, text: str, *_: object) -> None:
    raise OSError(code, text)


def test_a_folder_that_vanishes_is_made_again(cache: Cache, folder: Path) -> None:
    _keep(cache)
    folder.rename(folder.with_name("gone"))
    assert not _is_kept(cache)
    _keep(cache)
    assert _is_kept(cache)


def test_strays_do_no_harm(cache: Cache, folder: Path) -> None:
    (folder / "entries" / "stray").touch()
    (folder / "coming" / "stray").touch()
    _keep(cache)
    assert _is_kept(Cache(folder, MANY))


# --- several processes --------------------------------------------------------------------------

WRITER = """
import sys, time
from pathlib import Path
from pipeline.cache import Cache
with Cache(Path(sys.argv[1]), 1 << 30).pending("k" * 64) as coming:
    coming.blank(100_000)[:] = 1.0
    coming.add_file("x", Path(sys.argv[0]).with_name("README.md"))
    print("writing", flush=True)
    time.sleep(60)
"""

# Every entry is filled with one number, its own; a reader that finds another one fails.
CROWD = """
import random, sys
from pathlib import Path
import numpy as np
from pipeline.cache import Cache
chance = random.Random(int(sys.argv[2]))
print("ready", flush=True)
for turn in range(int(sys.argv[3])):
    cache = Cache(Path(sys.argv[1]), 400_000)
    number = chance.randrange(8)
    key = f"{number:064x}"
    entry = cache.load(key, int)
    if entry is not None:
        assert entry.facts == number
        assert (entry.signals["all"] == number).all() and entry.signals["all"].shape == (2, 9000)
        continue
    with cache.pending(key) as coming:
        made = coming.blank(9000)
        made[:] = number
        if chance.random() < 0.9:
            coming.commit(number, {"all": made})
    assert (made == number).all()
"""


def _start(script: str, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline()
    return process


def test_what_a_killed_process_left_is_swept(folder: Path) -> None:
    with _start(WRITER, folder) as writer:
        Cache(folder, MANY)
        assert len(_files(folder)) == 2  # it still works there
        writer.send_signal(signals.SIGKILL)
        writer.wait()
    assert len(_files(folder)) == 2
    Cache(folder, MANY)
    assert _files(folder) == []


def test_many_at_once_some_of_them_killed(folder: Path) -> None:
    crowd = [_start(CROWD, folder, seed, 10_000 if seed < 2 else 60) for seed in range(4)]
    for process in crowd[2:]:
        assert process.wait(timeout=60) == 0
    for process in crowd[:2]:
        assert process.poll() is None
        process.kill()
        process.wait()
    for process in crowd:
        assert process.stdout
        process.stdout.close()
    cache = Cache(folder, 400_000)
    assert list((folder / "coming").iterdir()) == []
    assert sum(path.stat().st_size for path in _files(folder)) < 400_000
    found = [cache.load(f"{number:064x}", int) for number in range(8)]
    assert len([entry for entry in found if entry]) == len(list((folder / "entries").iterdir()))
    for number, entry in enumerate(found):
        assert entry is None or (entry.signals["all"] == number).all()


# --- keys ---------------------------------------------------------------------------------------


def test_keys_differ_when_anything_does() -> None:
    keys = [
        make_key("stems", "ab", "c"),
        make_key("stems", "a", "bc"),
        make_key("stems", ("ab", "c")),
        make_key("stems", "ab"),
        make_key("beats", "ab", "c"),
        make_key("stems", 1),
        make_key("stems", "1"),
        make_key("stems", Recipe()),
        make_key("stems", Recipe(balance=1.5)),
    ]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
    assert make_key("stems", Recipe(), 0.1) == make_key("stems", Recipe(), 0.1)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stands for the pipeline's own folder."""
    folder = tmp_path / "package"
    (folder / "models").mkdir(parents=True)
    (folder / "mix.py").write_text("gain = 1", encoding="ascii")
    (folder / "models" / "net.onnx").write_bytes(b"weights")
    monkeypatch.setattr(versions, "__file__", str(folder / "versions.py"))
    versions.code_version.cache_clear()
    yield folder
    versions.code_version.cache_clear()


def _key_now() -> str:
    versions.code_version.cache_clear()
    return make_key("stems", "a fingerprint")


def test_other_code_never_finds_old_results(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [_key_now()]
    (package / "mix.py").write_text("gain = 2", encoding="ascii")
    keys.append(_key_now())
    (package / "models" / "net.onnx").write_bytes(b"others")
    keys.append(_key_now())
    (package / "mix.py").rename(package / "morph.py")
    keys.append(_key_now())
    monkeypatch.setattr(versions, "_version", lambda name: "9.9" if name == "scipy" else "1")
    keys.append(_key_now())
    assert len(set(keys)) == 5


def test_the_same_code_finds_them_again(package: Path) -> None:
    before = _key_now()
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "mix.cpython-311.pyc").write_bytes(b"compiled")
    os.utime(package / "mix.py", (0, 0))
    assert _key_now() == before


def test_a_running_process_keeps_the_version_it_started_with(folder: Path, package: Path) -> None:
    Cache(folder, MANY)
    before = make_key("stems")
    (package / "mix.py").write_text("gain = 2", encoding="ascii")
    assert make_key("stems") == before
