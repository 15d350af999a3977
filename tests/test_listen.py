from __future__ import annotations

import errno
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
import soxr

from benchmarks.listen import kit as kit_module
from benchmarks.listen.__main__ import main
from benchmarks.listen.kit import Wishes, check_folder, make_kit, read_key, write_level
from benchmarks.listen.origin import (
    RATE_HZ,
)
from benchmarks.listen.render import (
    METHODS,
    Excerpt,
    draw_pairs,
)
from benchmarks.listen.songs import SHARED, SHARED_INSTRUMENTALS, SeparateOnce, Source, find_songs
from pipeline.codec import decode
from pipeline.errors import OutputError, UserError
from pipeline.loudness import integrated_lufs, true_peak_dbtp
from pipeline.tapes import in_memory
from pipeline.types import SAMPLE_RATE, Song, Stems
from tests.pair import Pair, Shares, all_files, write_pair
from tests.songs import sine

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Signal

pytestmark = pytest.mark.slow

SONGS = tuple(Source(path=Path(name), title=name, sings=name != "d") for name in "abcd")
WISHES = Wishes(pairs=2, seconds=8.0, seed=5)


# Songs


def test_stems_are_made_once(tmp_path: Path) -> None:
    class Counting(Shares):
        asked = 0

        def separate(
            self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory
        ) -> Stems:
            self.asked += 1
            return super().separate(song, on_fraction, blank=blank)

    inner = Counting(0.25)
    once = SeparateOnce(inner, tmp_path)
    songs = [Song(samples=sine(hz, 1.0, peak=0.5), title="") for hz in (200.0, 300.0, 200.0)]
    made = [once.separate(song, lambda _: None) for song in songs]
    assert inner.asked == 2
    assert (once.name, once.note) == ("shares", "")
    for song, found in zip(songs, made, strict=True):
        assert np.array_equal(found.vocals, song.samples * np.float32(0.25))
        assert np.array_equal(found.vocals + found.accompaniment, song.samples)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return write_pair(tmp_path_factory.mktemp("songs"))


@pytest.fixture(scope="module")
def songs_folder(pair: Pair) -> Path:
    folder = pair.vocals.parent
    (folder / "broken.mp3").write_bytes(b"no music" * 500)
    (folder / "notes.txt").write_text("not a song, and nobody is told")
    return folder


def test_unreadable_songs_are_left_out_with_a_line(songs_folder: Path) -> None:
    told: list[str] = []
    songs = find_songs(songs_folder, {"voice of.wav"}, told.append)
    assert [(song.title, song.sings) for song in songs] == [
        ("backing of", True),
        ("voice of", False),
    ]
    assert len(told) == 1
    assert told[0].startswith("Left out: broken.mp3")


def test_an_instrumental_that_is_not_there_is_named(songs_folder: Path) -> None:
    with pytest.raises(UserError, match=r"There is no other\.mp3 in"):
        find_songs(songs_folder, {"other.mp3"}, print)


def test_songs_are_composed_where_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Source] = []

    def make(songs: list[Source], *_: object) -> None:
        assert all(decode(song.path).title == song.title for song in songs)
        given.extend(songs)

    monkeypatch.setattr("benchmarks.listen.songs.SHARED", tmp_path / "none")
    monkeypatch.setattr("benchmarks.listen.songs._COMPOSED_S", 24.0)
    monkeypatch.setattr("benchmarks.listen.songs._COMPOSED_SEEDS", range(41, 43))
    monkeypatch.setattr(kit_module, "make_kit", make)
    assert main(["-o", str(tmp_path / "kit"), "--separator", "builtin"]) == 0
    assert len({song.title for song in given}) == 2


def test_the_shared_instrumentals_are_there() -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/audio/songs is absent")
    assert {path.name for path in SHARED.iterdir()} > SHARED_INSTRUMENTALS


# The kit


def noise(seed: int, level: float) -> Signal:
    rng = np.random.default_rng(seed)
    return (level * rng.standard_normal((2, 2 * SAMPLE_RATE))).astype(np.float32)


def peaky(seed: int) -> Signal:
    """Return noise whose peaks are 30 dB above it: it cannot be raised to any mash-up's level."""
    samples = noise(seed, 0.02)
    samples[:, :: SAMPLE_RATE // 2] = 0.9
    return samples


@pytest.mark.parametrize("other", [noise(2, 0.003), noise(2, 0.9), peaky(2)])
def test_both_versions_are_equally_loud_and_no_peak_is_cut(tmp_path: Path, other: Signal) -> None:
    paths = [tmp_path / "01_a.mp3", tmp_path / "01_b.mp3"]
    told = write_level(dict(zip(paths, (noise(1, 0.1), other), strict=True)))
    heard = [decode(path, shortest_s=1.0).samples for path in paths]
    lufs = [integrated_lufs(samples) for samples in heard]
    assert lufs[0] == pytest.approx(lufs[1], abs=0.1)
    assert max(lufs) < -13.9
    assert max(true_peak_dbtp(samples) for samples in heard) <= -1.0
    assert [told[path]["integrated_lufs"] for path in paths] == pytest.approx(lufs, abs=1e-3)


def test_a_silent_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="silent"):
        write_level({tmp_path / "a.mp3": noise(1, 0.1), tmp_path / "b.mp3": noise(1, 0.0)})


def excerpts_of(seed: int) -> dict[str, Excerpt]:
    return {
        method: Excerpt(samples=noise(seed, level), start_s=0.0, offset_ms=None, facts={})
        for method, level in (("pipeline", 0.1), ("origin", 0.2))
    }


def fake_kit(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    wishes: Wishes = WISHES,
    refused: Callable[[Any], bool] = lambda _: False,
) -> list[str]:
    """Make a kit of noise; `refused` says which draws cannot be rendered."""

    def render(draw: Any, *_: object, **__: object) -> dict[str, Excerpt]:
        if refused(draw):
            raise UserError("They do not fit.")
        return excerpts_of(ord(draw.vocals.title))

    monkeypatch.setattr(kit_module, "render", render)
    told: list[str] = []
    folder.mkdir(exist_ok=True)
    make_kit(SONGS, folder, wishes, cast("SeparateOnce", Shares()), told.append)
    return told


def test_an_older_kit_is_replaced_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kit"
    fake_kit(folder, monkeypatch)
    older = read_key(folder)["kit"]
    (folder / "votes.json").write_text("{}")
    check_folder(folder)
    fake_kit(folder, monkeypatch, replace(WISHES, pairs=1, seed=6))
    expected = ["01_a.mp3", "01_b.mp3", "index.html", "key.json", "votes.json"]
    assert all_files(folder) == expected
    assert read_key(folder)["kit"] != older


def test_a_pair_that_cannot_be_merged_makes_room_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = draw_pairs(SONGS, WISHES.seed)[:3]
    told = fake_kit(tmp_path / "kit", monkeypatch, refused=lambda draw: draw == second)
    titles = [
        (p["vocals"]["title"], p["backing"]["title"]) for p in read_key(tmp_path / "kit")["pairs"]
    ]
    assert titles == [(d.vocals.title, d.backing.title) for d in (first, third)]
    left_out = f"Left out: {second.vocals.title} over {second.backing.title}: They do not fit."
    assert left_out in told


def test_fewer_pairs_than_asked_for_are_said_to_be_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = fake_kit(
        tmp_path / "kit",
        monkeypatch,
        refused=lambda draw: (draw.vocals.title, draw.backing.title) != ("a", "b"),
    )
    assert told[-1] == "The songs give 1 pairs, not 2."


def test_no_pair_at_all_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="No two of the songs"):
        fake_kit(tmp_path / "kit", monkeypatch, refused=lambda _: True)
    assert all_files(tmp_path) == ["kit"]


def test_only_an_empty_folder_or_a_kit_is_written_to(tmp_path: Path) -> None:
    check_folder(tmp_path)
    check_folder(tmp_path / "new")
    (tmp_path / "key.json").write_text('{"format": "of somebody else"}')
    with pytest.raises(OutputError, match="holds other things than a listening kit"):
        check_folder(tmp_path)
    with pytest.raises(OutputError, match="is no folder"):
        check_folder(tmp_path / "key.json")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kit:
    """A kit of two real pairs, made by the command line, and what was said meanwhile."""

    folder: Path
    key: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def kit(pair: Pair, songs_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    folder = tmp_path_factory.mktemp("made") / "kit"
    capture = pytest.MonkeyPatch()
    said: list[str] = []
    capture.setattr("benchmarks.listen.__main__._tell", said.append)
    capture.setattr("benchmarks.listen.__main__._separator", lambda _: pair.separator)
    words = ["-o", str(folder), "--songs", str(songs_folder), "--pairs", "2", "--seed", "3"]
    assert main([*words, "--seconds", "8"]) == 0
    capture.undo()
    return Kit(folder=folder, key=read_key(folder), said="\n".join(said))


def versions(kit: Kit) -> list[dict[str, Any]]:
    return [version for pair in kit.key["pairs"] for version in pair["versions"].values()]


def test_a_kit_is_complete_and_says_what_it_left_out(kit: Kit) -> None:
    files = ["01_a.mp3", "01_b.mp3", "02_a.mp3", "02_b.mp3", "index.html", "key.json"]
    assert all_files(kit.folder) == files
    assert [version["file"] for version in versions(kit)] == files[:4]
    assert kit.key["separator"] == "truth"
    assert kit.key["seed"] == 3
    assert "Left out: broken.mp3" in kit.said


def test_the_versions_of_a_pair_are_equally_loud_and_long(kit: Kit) -> None:
    for pair in kit.key["pairs"]:
        both = [decode(kit.folder / v["file"]).samples for v in pair["versions"].values()]
        lufs = [integrated_lufs(samples) for samples in both]
        assert lufs[0] == pytest.approx(lufs[1], abs=0.2)
        assert max(true_peak_dbtp(samples) for samples in both) <= -1.0
        assert both[0].shape == both[1].shape
        assert 5.0 <= both[0].shape[1] / SAMPLE_RATE <= 8.1


def test_the_key_tells_the_truth(kit: Kit) -> None:
    for version in versions(kit):
        path = kit.folder / version["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == version["sha256"]
        samples = decode(path).samples
        # The origin is mono and ends at 11 kHz.
        side = np.std(samples[0] - samples[1]) / np.std(samples)
        below = _below_11_khz(samples[0])
        top = samples[0][: len(below)] - below
        is_origin = version["method"] == "origin"
        assert (side < 0.01) == is_origin
        assert (np.std(top) < 0.002 * np.std(samples)) == is_origin
    for pair in kit.key["pairs"]:
        methods = {version["method"] for version in pair["versions"].values()}
        assert methods == set(METHODS)


def _below_11_khz(samples: Any) -> Any:
    low = soxr.resample(samples, SAMPLE_RATE, RATE_HZ * 1.1)
    return soxr.resample(low, RATE_HZ * 1.1, SAMPLE_RATE)[: len(samples)]


def test_nothing_but_the_key_tells_the_methods_apart(kit: Kit) -> None:
    text = (kit.folder / "index.html").read_text().lower()
    assert not [word for word in (*METHODS, "truth", "librosa") if word in text]
    for pair in kit.key["pairs"]:
        both = [kit.folder / version["file"] for version in pair["versions"].values()]
        assert both[0].stat().st_size == both[1].stat().st_size
        assert both[0].stat().st_mtime_ns <= both[1].stat().st_mtime_ns
        assert not [m for m in METHODS if any(m.encode() in p.read_bytes() for p in both)]


# The command line


def test_a_kit_is_scored_from_the_command_line(
    kit: Kit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "votes.json"
    votes = [{"pair": 1, "choice": "a", "comment": ""}]
    path.write_text(json.dumps({"kit": kit.key["kit"], "votes": votes}))
    assert main(["score", str(kit.folder), str(path), str(path)]) == 0
    winner = kit.key["pairs"][0]["versions"]["a"]["method"]
    said = capsys.readouterr().out.splitlines()
    counts = {line.split(":")[0]: line.split()[-1] for line in said if line.startswith("Prefer")}
    assert counts[f"Preferred the {winner}"] == "2"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "{tmp}/kit", "--songs", "{tmp}/none"], "cannot be read"),
        (["-o", "{tmp}/kit", "--songs", "{tmp}/empty"], "has no readable song"),
        (["-o", "{tmp}", "--songs", "{tmp}/empty"], "holds other things"),
        (["score", "{tmp}/empty", "{tmp}/votes.json"], "is no listening kit"),
    ],
)
def test_what_the_user_can_mend_is_one_sentence_and_a_2(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert main([word.format(tmp=tmp_path) for word in words]) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
    assert all_files(tmp_path) == ["empty"]


def test_a_full_disk_is_one_sentence_and_leaves_no_folder(
    songs_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def make(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kit_module, "make_kit", make)
    words = ["-o", str(tmp_path / "kit"), "--songs", str(songs_folder), "--separator", "builtin"]
    assert main(words) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == [
        "The kit cannot be written (No space left on device). Choose another place with -o."
    ]
    assert all_files(tmp_path) == []


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-o", "x", "--pairs", "0"],
        ["-o", "x", "--seconds", "3"],
        ["-o", "x", "--seed", "-1"],
        ["-o", "x", "--separator", "magic"],
        ["score", "x"],
    ],
)
def test_a_wrong_command_line_is_refused_in_one_sentence(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(words)
    assert refusal.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
