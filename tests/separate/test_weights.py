from __future__ import annotations

import errno
import fcntl
import gzip
import json
import multiprocessing
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.errors import Cancelled, ModelUnavailableError
from pipeline.separate.checkpoint import shard_lengths
from pipeline.separate.weights import (
    RELEASE_SHA256,
    RELEASE_URL,
    ModelSource,
    ensure_weights,
    find_weights,
)
from tests.release_server import ARCHIVE, serve
from tests.tiny_spleeter import MODEL_FILES, pack_members, write_checksum

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.release_server import Release

SHARD = "model.data-00000-of-00001"


def make_source(tmp_path: Path, location: str, **changes: Any) -> ModelSource:
    quick = {"connect_timeout_s": 2.0, "read_timeout_s": 2.0, "retry_wait_s": 0.0}
    return ModelSource(directory=tmp_path / "models", location=location, **(quick | changes))


def assert_nothing_believed(source: ModelSource) -> None:
    assert find_weights(source) is None
    assert not source.model_dir.exists()
    assert not list(source.directory.glob(".unpacking-*"))


def refusal(source: ModelSource) -> str:
    """Fetch in vain and return the sentence; its hint must say what to do."""
    with pytest.raises(ModelUnavailableError) as caught:
        ensure_weights(source)
    assert str(source.model_dir) in caught.value.hint
    assert "SPLEETER_MODEL_URL" in caught.value.hint
    return str(caught.value.args[0])


def same_files(one: Path, other: Path) -> bool:
    names = [path.name for path in one.iterdir()]
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


# Where everything goes well


@pytest.mark.slow
def test_a_release_is_downloaded_verified_and_unpacked(
    tmp_path: Path, release: Release, tiny_model: Path
) -> None:
    source = make_source(tmp_path, release.url)
    assert find_weights(source) is None
    fractions: list[float] = []
    assert ensure_weights(source, on_fraction=fractions.append) == source.model_dir
    assert same_files(tiny_model, source.model_dir)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert sorted(path.name for path in source.directory.iterdir()) == [".2stems.lock", "2stems"]


def test_a_second_call_asks_nothing_of_the_server(tmp_path: Path, release: Release) -> None:
    source = make_source(tmp_path, release.url)
    ensure_weights(source)
    n_requests = len(release.log)
    assert ensure_weights(source) == find_weights(source) == source.model_dir
    assert len(release.log) == n_requests


@pytest.mark.parametrize("form", [str, Path.as_uri], ids=["path", "file url"])
def test_a_local_copy_of_the_release_stands_in(
    tmp_path: Path, tiny_release: Path, tiny_model: Path, form: Callable[[Path], str]
) -> None:
    source = make_source(tmp_path, form(tiny_release))
    assert same_files(tiny_model, ensure_weights(source))


@pytest.mark.parametrize("folder", ["2stems", "."])
def test_an_unpacked_model_stands_in_where_it_is(
    tmp_path: Path, tiny_model: Path, folder: str
) -> None:
    location = tiny_model if folder == "." else tiny_model.parent
    source = make_source(tmp_path, str(location))
    assert find_weights(source) == tiny_model
    assert ensure_weights(source) == tiny_model
    assert not source.directory.exists()


def test_files_copied_by_hand_need_no_manifest(tmp_path: Path, tiny_model: Path) -> None:
    source = make_source(tmp_path, "http://127.0.0.1:9")
    shutil.copytree(tiny_model, source.model_dir)
    assert ensure_weights(source) == source.model_dir


def test_the_public_release_is_the_default_and_its_checksum_is_pinned(tmp_path: Path) -> None:
    assert ModelSource(directory=tmp_path).location == RELEASE_URL
    assert len(bytes.fromhex(RELEASE_SHA256)) == 32


# Downloads that break off


def test_a_download_that_breaks_off_is_resumed(
    tmp_path: Path, release: Release, tiny_model: Path
) -> None:
    release.cuts = [20_000, 30_000]
    model_dir = ensure_weights(make_source(tmp_path, release.url))
    assert same_files(tiny_model, model_dir)
    assert release.archive_ranges == [None, "bytes=20000-", "bytes=50000-"]


def test_a_download_that_stalls_is_resumed(tmp_path: Path, release: Release) -> None:
    release.stalls = [20_000]
    ensure_weights(make_source(tmp_path, release.url, read_timeout_s=0.2))
    assert release.archive_ranges == [None, "bytes=20000-"]


def cancel_at(limit: float) -> Callable[[float], None]:
    def cancel(fraction: float) -> None:
        if fraction >= limit:
            raise Cancelled

    return cancel


def test_a_later_call_goes_on_where_a_cancelled_one_stopped(
    tmp_path: Path, release: Release, tiny_model: Path
) -> None:
    source = make_source(tmp_path, release.url)
    with pytest.raises(Cancelled):
        ensure_weights(source, on_fraction=cancel_at(0.1))
    assert_nothing_believed(source)
    n_bytes = (source.directory / ".2stems.tar.gz.part").stat().st_size
    assert same_files(tiny_model, ensure_weights(source))
    assert release.archive_ranges == [None, f"bytes={n_bytes}-"]


def test_a_part_that_is_already_complete_is_not_asked_for_again(
    tmp_path: Path, release: Release
) -> None:
    source = make_source(tmp_path, release.url)
    with pytest.raises(Cancelled):
        ensure_weights(source, on_fraction=cancel_at(1.0))
    assert_nothing_believed(source)
    ensure_weights(source)
    assert release.archive_ranges == [None]


def test_a_part_of_unknown_length_is_not_gone_on_with(tmp_path: Path, release: Release) -> None:
    release.lengths = False
    source = make_source(tmp_path, release.url)
    with pytest.raises(Cancelled):
        ensure_weights(source, on_fraction=cancel_at(0.0))
    ensure_weights(source)
    assert release.archive_ranges == [None, None]


def test_a_part_from_another_address_is_not_gone_on_with(
    tmp_path: Path, release: Release, tiny_release: Path
) -> None:
    release.cuts = [20_000] * 4
    refusal(make_source(tmp_path, release.url))
    with serve(tiny_release) as other:
        ensure_weights(make_source(tmp_path, other.url))
        assert other.archive_ranges == [None]


def test_without_ranges_the_download_starts_again(
    tmp_path: Path, release: Release, tiny_model: Path
) -> None:
    release.cuts, release.ranges = [90_000], False
    fractions: list[float] = []
    source = make_source(tmp_path, release.url)
    assert same_files(tiny_model, ensure_weights(source, on_fraction=fractions.append))
    assert len(release.archive_ranges) == 2
    assert fractions == sorted(fractions)


def test_a_part_of_another_archive_is_not_gone_on_with(
    tmp_path: Path, tiny_release: Path, tiny_model: Path
) -> None:
    folder = shutil.copytree(tiny_release, tmp_path / "release")
    with serve(folder) as release:
        source = make_source(tmp_path, release.url)
        release.cuts = [20_000] * 4
        assert "the download from" in refusal(source)
        with tarfile.open(folder / "2stems.tar.gz", "w:gz", compresslevel=1) as tar:
            for path in tiny_model.iterdir():
                tar.add(path, arcname=path.name)
        write_checksum(folder)
        assert same_files(tiny_model, ensure_weights(source))
        # If-Range makes the server send the whole of the new one at once.
        assert release.archive_ranges[4:] == ["bytes=80000-"]


def test_a_part_with_wrong_bytes_leads_to_a_clean_restart(
    tmp_path: Path, release: Release, tiny_model: Path
) -> None:
    source = make_source(tmp_path, release.url)
    release.cuts = [20_000] * 4
    refusal(source)
    part = source.directory / ".2stems.tar.gz.part"
    part.write_bytes(bytes(part.stat().st_size))
    assert same_files(tiny_model, ensure_weights(source))
    assert release.archive_ranges[-1] is None


# Sources that fail


def test_no_connection_is_said_at_once(tmp_path: Path) -> None:
    source = make_source(tmp_path, "http://127.0.0.1:9")  # the discard port: nobody listens
    assert refusal(source) == (
        "Spleeter's weights could not be fetched (no connection to 127.0.0.1:9)."
    )
    assert_nothing_believed(source)


def test_a_password_in_the_address_stays_out_of_the_message(tmp_path: Path) -> None:
    message = refusal(make_source(tmp_path, "http://user:secret@127.0.0.1:9"))
    assert "secret" not in message


@pytest.mark.parametrize("location", ["http://", "http://[bad", "/nowhere", "ftp://a/b"])
def test_an_address_that_leads_nowhere_is_an_error_in_words(tmp_path: Path, location: str) -> None:
    source = make_source(tmp_path, location)
    assert refusal(source).startswith("Spleeter's weights could not be fetched (")
    assert_nothing_believed(source)


def test_a_missing_archive_is_an_error_in_words(tmp_path: Path, release: Release) -> None:
    release.missing = {ARCHIVE}
    source = make_source(tmp_path, release.url)
    assert "answered 404 Not Found" in refusal(source)
    assert_nothing_believed(source)


def test_without_a_checksum_only_the_release_itself_is_accepted(
    tmp_path: Path, release: Release
) -> None:
    release.missing = {"/checksum.json"}
    source = make_source(tmp_path, release.url)
    assert "checksum is wrong" in refusal(source)
    assert_nothing_believed(source)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (json.dumps({"2stems": "0" * 64}), "checksum is wrong"),
        (json.dumps({"4stems": "0" * 64}), "cannot be read"),
        ("<html>", "cannot be read"),
        ("[" + " " * 100_000 + "]", "no list of checksums"),
    ],
)
def test_a_wrong_checksum_is_refused(
    tmp_path: Path, tiny_release: Path, text: str, reason: str
) -> None:
    folder = shutil.copytree(tiny_release, tmp_path / "release")
    (folder / "checksum.json").write_text(text)
    with serve(folder) as release:
        source = make_source(tmp_path, release.url)
        assert reason in refusal(source)
    assert_nothing_believed(source)
    assert not list(source.directory.glob("*.part*"))


def test_a_server_that_goes_silent_for_good_is_given_up(tmp_path: Path, release: Release) -> None:
    release.stalls = [20_000, 1, 1, 1]
    source = make_source(tmp_path, release.url, read_timeout_s=0.1)
    assert "stopped sending" in refusal(source)
    assert_nothing_believed(source)


def test_a_cut_that_nobody_announced_is_found_by_the_checksum(
    tmp_path: Path, release: Release
) -> None:
    release.lengths, release.cuts = False, [20_000]
    source = make_source(tmp_path, release.url)
    assert "checksum is wrong" in refusal(source)
    assert_nothing_believed(source)


@pytest.mark.parametrize("lengths", [True, False])
def test_an_archive_that_is_too_large_is_refused(
    tmp_path: Path, release: Release, *, lengths: bool
) -> None:
    release.lengths = lengths
    source = make_source(tmp_path, release.url, max_bytes=50_000)
    assert "larger than 0 MB" in refusal(source)
    assert not list(source.directory.glob("*.part*"))


def test_a_directory_that_cannot_be_written_is_an_error_in_words(
    tmp_path: Path, release: Release
) -> None:
    (tmp_path / "models").write_text("a file where the directory should be")
    message = refusal(make_source(tmp_path, release.url))
    assert "(models: " in message  # the whole path comes with what to do


def test_the_reason_tells_a_chat_nothing_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    with pytest.raises(ModelUnavailableError) as caught:
        ensure_weights(make_source(tmp_path, str(tmp_path / "mirror")))
    assert "mirror holds neither" in caught.value.args[0]
    assert str(tmp_path) not in caught.value.args[0]


def test_a_full_disk_is_an_error_in_words(
    tmp_path: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("pipeline.separate.archive.shutil.copyfileobj", full)
    source = make_source(tmp_path, release.url)
    assert "No space left on device" in refusal(source)
    assert_nothing_believed(source)


# Archives that are not what they should be


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "hostile",
    [
        member("/tmp/model.index"),
        member("../model.index"),
        member("model.index", tarfile.SYMTYPE, "/etc/passwd"),
        member("model.index", tarfile.LNKTYPE, "/etc/passwd"),
        member("model.index", tarfile.FIFOTYPE),
        member("model.index", tarfile.CHRTYPE),
    ],
    ids=["absolute", "upwards", "symbolic link", "hard link", "fifo", "device"],
)
def test_hostile_members_are_refused(tmp_path: Path, hostile: tarfile.TarInfo) -> None:
    folder = pack_members(tmp_path / "release", [hostile])
    source = make_source(tmp_path, str(folder))
    assert "which no model does" in refusal(source)
    assert_nothing_believed(source)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["model.index", "model.index"], "same file twice"),
        (["checkpoint", "readme.txt", "deeper/model.index"], "no whole model"),
        ([], "no whole model"),
    ],
)
def test_an_archive_without_a_model_is_refused(
    tmp_path: Path, names: list[str], reason: str
) -> None:
    folder = pack_members(tmp_path / "release", [member(name) for name in names])
    source = make_source(tmp_path, str(folder))
    assert reason in refusal(source)
    assert_nothing_believed(source)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, tiny_release: Path) -> None:
    source = make_source(tmp_path, str(tiny_release), max_bytes=50_000)
    assert "unpacks to too much" in refusal(source)
    assert_nothing_believed(source)


def breaking_off_in_nonsense() -> bytes:
    """Compress the header of a member and let bytes follow that deflate does not know."""
    header = member("model.index")
    header.size = 5000
    deflate = zlib.compressobj(wbits=31)
    return deflate.compress(header.tobuf()) + deflate.flush(zlib.Z_FULL_FLUSH) + b"\x07" * 5000


def with_a_wrong_gzip_checksum() -> bytes:
    packed = bytearray(gzip.compress(member("checkpoint").tobuf()))
    packed[-8] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"no archive",
        lambda genuine: genuine[: len(genuine) // 2],
        lambda _: breaking_off_in_nonsense(),
        lambda _: with_a_wrong_gzip_checksum(),
    ],
    ids=["empty", "text", "cut", "nonsense", "wrong gzip checksum"],
)
def test_a_file_that_is_no_archive_is_refused(
    tmp_path: Path, tiny_release: Path, spoil: Callable[[bytes], bytes]
) -> None:
    folder = shutil.copytree(tiny_release, tmp_path / "release")
    archive = folder / "2stems.tar.gz"
    archive.write_bytes(spoil(archive.read_bytes()))
    write_checksum(folder)
    source = make_source(tmp_path, str(folder))
    assert "cannot be unpacked" in refusal(source)
    assert_nothing_believed(source)


# Models that are not whole


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.index").unlink(),
        lambda folder: (folder / SHARD).unlink(),
        lambda folder: truncate(folder / "model.index"),
        lambda folder: truncate(folder / SHARD),
    ],
    ids=["no index", "no shard", "cut index", "cut shard"],
)
@pytest.mark.parametrize("origin", ["copied by hand", "fetched"])
def test_half_a_model_is_not_believed_but_replaced(
    tmp_path: Path,
    release: Release,
    tiny_model: Path,
    damage: Callable[[Path], None],
    origin: str,
) -> None:
    source = make_source(tmp_path, release.url)
    if origin == "copied by hand":
        shutil.copytree(tiny_model, source.model_dir)
    else:
        ensure_weights(source)
    damage(source.model_dir)
    assert find_weights(source) is None
    assert same_files(tiny_model, ensure_weights(source))


@pytest.mark.parametrize("name", MODEL_FILES)
def test_a_fetched_file_of_another_size_is_not_believed(
    tmp_path: Path, tiny_release: Path, name: str
) -> None:
    source = make_source(tmp_path, str(tiny_release))
    with (ensure_weights(source) / name).open("ab") as file:
        file.write(b"more")
    assert find_weights(source) is None


@pytest.mark.parametrize("text", ["", "[]", '{"files": {"model.index": 3}}', '{"files": [1]}'])
def test_a_damaged_manifest_is_not_believed(tmp_path: Path, tiny_release: Path, text: str) -> None:
    source = make_source(tmp_path, str(tiny_release))
    (ensure_weights(source) / "manifest.json").write_text(text)
    assert find_weights(source) is None


def test_what_a_dead_process_left_is_removed(tmp_path: Path, release: Release) -> None:
    source = make_source(tmp_path, release.url)
    leftover = source.directory / ".unpacking-dead" / "fresh"
    leftover.mkdir(parents=True)
    ensure_weights(source)
    assert not leftover.parent.exists()


def test_every_truncation_of_an_index_is_noticed(tiny_model: Path) -> None:
    index = (tiny_model / "model.index").read_bytes()
    assert shard_lengths(index) == {"data-00000-of-00001": (tiny_model / SHARD).stat().st_size}
    for length in range(len(index)):
        with pytest.raises(ValueError, match="index"):
            shard_lengths(index[:length])


# Many at once, and none needlessly


def _ensure(directory: Path, url: str) -> str:
    return str(ensure_weights(ModelSource(directory=directory, location=url)))


def test_processes_that_fetch_at_the_same_time_all_succeed(
    tmp_path: Path, release: Release, tiny_model: Path
) -> None:
    directory = tmp_path / "models"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_ensure, args=(directory, release.url)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20.0)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert same_files(tiny_model, directory / "2stems")
    assert len(release.archive_ranges) == 1


def test_waiting_for_another_process_can_be_cancelled(tmp_path: Path, release: Release) -> None:
    source = make_source(tmp_path, release.url)
    source.directory.mkdir()

    with (source.directory / ".2stems.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Cancelled):
            ensure_weights(source, on_fraction=cancel_at(0.0))
    assert release.log == []


def test_importing_and_choosing_loads_neither_tensorflow_nor_numpy() -> None:
    code = (
        "import sys, pipeline.separate.choose, pipeline.separate.weights\n"
        "print(sorted({'tensorflow', 'spleeter', 'numpy', 'httpx'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
