from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from pipeline.types import SAMPLE_RATE
from training.clips import CLIP_SAMPLES, FIRST_REAL_SEED, read_clip
from training.singers.ensemble import SCENES
from training.singers.formant_singer import sing_formants
from training.singers.melody import Note
from training.singers.real_voices import Cut, _resing, list_cuts, render_cut, vary
from training.singers.speech import Corpus, build_corpus, read_utterance, write_utterance
from training.singers.stage import level, overlay, place
from training.singers.vocoder import analyse
from training.singers.voices import SOUNDING_RMS, render_voice, render_voices, set_level

if TYPE_CHECKING:
    import numpy.typing as npt

    Mono = npt.NDArray[np.float32]

pytestmark = pytest.mark.slow

_REAL = Path(__file__).parents[3] / "shared" / "audio" / "training"


def _tone(seconds: float = 1.0) -> Mono:
    times = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    tone: Mono = (0.3 * np.sin(2 * np.pi * 220 * times)).astype(np.float32)
    return tone


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two voices that "speak" through the composer's formant singer."""
    pytest.importorskip("pyworld", reason="needs the training environment (make train)")
    directory = tmp_path_factory.mktemp("factory") / "speech"
    directory.mkdir()
    for index, pitch in enumerate((45.0, 50.0)):
        notes = tuple(Note(start_s=0.3 + 0.35 * n, length_s=0.3, pitch=pitch) for n in range(5))
        said = sing_formants(np.random.default_rng(index), [notes], length=int(2.2 * SAMPLE_RATE))
        said = said + 1e-5 * np.random.default_rng(0).standard_normal(len(said)).astype(np.float32)
        utterance = analyse(said, SAMPLE_RATE, f"formants_{index}")
        write_utterance(directory / f"{index:04d}-formants_{index}.npz", utterance)
    return directory


def test_the_level_counts_only_what_sounds() -> None:
    sound = np.zeros((2, 4 * SAMPLE_RATE), dtype=np.float32)
    sound[:, :SAMPLE_RATE] = _tone()
    out = set_level(sound)
    assert np.sqrt(np.mean(out[:, :SAMPLE_RATE] ** 2)) == pytest.approx(SOUNDING_RMS, rel=0.02)


def test_a_spike_lowers_the_level_instead_of_clipping() -> None:
    sound = np.stack([_tone(), _tone()]) * np.float32(0.01)
    sound[:, 1000] = 1.0
    assert np.max(np.abs(set_level(sound))) <= 1.2001


def test_a_clip_without_a_voice_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing sounds"):
        set_level(np.zeros((2, SAMPLE_RATE), dtype=np.float32))


@pytest.mark.parametrize("where", [-1.0, -0.3, 0.0, 1.0])
def test_places_have_constant_power(where: float) -> None:
    stereo = place(_tone(), where)
    left, right = np.mean(np.square(stereo), axis=1)
    assert left + right == pytest.approx(2 * float(np.mean(_tone() ** 2)), rel=1e-3)
    assert np.sign(round(float(right - left), 6)) == np.sign(where)


@pytest.mark.parametrize("start", [-400, 0, 700, 2000])
def test_overlays_are_cut_at_the_edges(start: int) -> None:
    out = np.zeros((2, 1000), dtype=np.float32)
    overlay(out, np.ones(500, dtype=np.float32), start, 0.0)
    expected = max(0, min(1000, start + 500) - max(0, start))
    assert np.count_nonzero(out[0]) == expected


def test_lines_are_levelled_and_silence_stays() -> None:
    assert np.sqrt(np.mean(level(_tone()) ** 2)) == pytest.approx(1, rel=0.05)
    silence = np.zeros(100, dtype=np.float32)
    np.testing.assert_array_equal(level(silence), silence)


def test_the_shares_of_the_scenes_sum_to_one() -> None:
    assert sum(share for _, share in SCENES.values()) == pytest.approx(1)


def test_a_corpus_needs_speech(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="build the corpus first"):
        Corpus(tmp_path)


def test_utterances_come_back_from_disk(speech: Path) -> None:
    corpus = Corpus(speech)
    assert list(corpus.voices) == ["formants_0", "formants_1"]
    paths = sorted(speech.glob("*.npz"))
    for path, pitch in zip(paths, (45, 50), strict=True):  # in the singer's octave
        octaves = (12 * np.log2(read_utterance(path).centre_hz / 440) + 69 - pitch) / 12
        assert octaves == pytest.approx(round(octaves), abs=0.03)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_voice_repeats_with_its_seed_and_is_heard(speech: Path, seed: int) -> None:
    sound, facts = render_voice(seed, Corpus(speech), None)
    again, _ = render_voice(seed, Corpus(speech), None)
    np.testing.assert_array_equal(sound, again)
    assert sound.shape == (2, CLIP_SAMPLES)
    assert sound.dtype == np.float32
    assert np.all(np.isfinite(sound))
    assert np.max(np.abs(sound)) <= 1.2001
    assert facts["kind"] in SCENES
    assert facts["backing"] is None


def test_a_voice_follows_the_backing_of_its_seed(speech: Path) -> None:
    directory = speech.parent
    (directory / "backings").mkdir()
    facts = (
        '{"seed": 9, "tonic": 2, "mode": "minor", "beats_s": [0.1, 0.6, 1.1, 1.6, 2.1],'
        ' "downbeats_s": [0.1, 2.1], "chords": [[0, 12, [2, 5, 9]]]}'
    )
    (directory / "backings" / "000009.json").write_text(facts, encoding="utf-8")
    assert render_voices(directory, [9]) == 1
    assert render_voices(directory, [9]) == 0
    sound, known = read_clip(directory / "voices", 9)
    assert sound.shape == (2, CLIP_SAMPLES)
    assert known["backing"] == 9
    minor = {(2 + step) % 12 for step in (0, 2, 3, 5, 7, 8, 10)}
    assert all(round(pitch) % 12 in minor for _, _, pitch in known["notes"])


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_speaks_into_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyworld", reason="needs the training environment (make train)")
    monkeypatch.setattr("training.singers.speech.is_available", lambda engine: engine == "flite")
    assert build_corpus(tmp_path, 1) == 1
    (path,) = tmp_path.glob("*.npz")
    assert path.stem.startswith("0000-flite_")
    assert len(read_utterance(path).syllables) >= 4


def _song(folder: Path) -> Path:
    (folder / "song").mkdir()
    samples = np.stack([_tone(14.0), 0.5 * _tone(14.0)], axis=1)
    for name in ("vox_lead", "bgvox_aah", "accompaniment"):
        soundfile.write(folder / "song" / f"{name}.ogg", samples, SAMPLE_RATE)
    return folder


def test_cuts_are_of_vocal_parts_alone(tmp_path: Path) -> None:
    cuts = list_cuts(_song(tmp_path))
    assert {cut.path.stem for cut in cuts} == {"vox_lead", "bgvox_aah"}
    assert [cut.copy for cut in cuts] == sorted(cut.copy for cut in cuts)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="no vocal parts"):
        list_cuts(empty)


def test_an_original_cut_is_the_recording(tmp_path: Path) -> None:
    cut = Cut(path=_song(tmp_path) / "song" / "vox_lead.ogg", start_s=0.0, copy=0)
    sound, facts = render_cut(cut, 2_000_000)
    assert sound.shape == (2, CLIP_SAMPLES)
    middle = slice(SAMPLE_RATE, 11 * SAMPLE_RATE)
    assert np.corrcoef(sound[0, middle], _tone(12.0)[middle])[0, 1] > 0.99
    assert np.std(sound[0]) / np.std(sound[1]) == pytest.approx(2, rel=0.05)
    assert facts["kind"] == "real"
    assert facts["source"] == ["song/vox_lead"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_variations_stay_finite_and_repeat(seed: int) -> None:
    sound = np.stack([_tone(), _tone()])
    varied, done = vary(sound, np.random.default_rng(seed))
    again, _ = vary(sound, np.random.default_rng(seed))
    np.testing.assert_array_equal(varied, again)
    assert varied.dtype == np.float32
    assert np.all(np.isfinite(varied))
    assert not any(word.startswith("resung") for word in done)  # that one needs pyworld


def test_resinging_moves_pitch_and_tempo_on_their_own() -> None:
    pytest.importorskip("pyworld", reason="needs the training environment (make train)")
    note = Note(start_s=0.0, length_s=1.8, pitch=57.0)
    mono = sing_formants(np.random.default_rng(0), [(note,)], length=2 * SAMPLE_RATE)
    mono += 1e-5 * np.random.default_rng(0).standard_normal(len(mono)).astype(np.float32)
    before = analyse(mono, SAMPLE_RATE, "before").centre_hz
    sound = _resing(np.stack([mono, mono]), semitones=4.0, formants=1.1, speed=0.8)
    assert sound.shape[1] == pytest.approx(len(mono) / 0.8, rel=0.02)
    after = analyse(sound[0], SAMPLE_RATE, "after").centre_hz
    assert 12 * np.log2(after / before) == pytest.approx(4.0, abs=0.1)


@pytest.mark.skipif(not _REAL.is_dir(), reason="../shared/audio/training is not there")
def test_the_real_songs_are_heard_in_their_clips() -> None:
    cuts = list_cuts(_REAL)
    assert 100 <= len(cuts) <= 250
    sound, facts = render_cut(cuts[0], FIRST_REAL_SEED)
    assert sound.shape == (2, CLIP_SAMPLES)
    assert SOUNDING_RMS / 3 < np.sqrt(np.mean(sound**2)) < SOUNDING_RMS * 1.5
    assert facts["seed"] == FIRST_REAL_SEED
