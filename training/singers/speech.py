"""A corpus of spoken words from text-to-speech programs whose voices may be used for anything.

Voices and their licences: flite's slt, rms, awb and kal16 (Carnegie Mellon University, MIT-like);
festival's cmu_us_slt_arctic_hts (CMU, EST licence, MIT-like), kal_diphone (Black and Lenzo) and
ked_diphone (CSTR Edinburgh), both the same; Open JTalk's Mei (Nagoya Institute of Technology,
MMDAgent project, Creative Commons Attribution 3.0: name it where data made with it is published).
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from collections import defaultdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr

from pipeline.types import SAMPLE_RATE
from training.singers.vocoder import Utterance, analyse

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Mono = npt.NDArray[np.float32]
    Say = Callable[[str, str, np.random.Generator], tuple[Mono, int]]

logger = logging.getLogger(__name__)

VOICES = {
    "flite": ("slt", "rms", "awb", "kal16"),
    "festival": ("cmu_us_slt_arctic_hts", "kal_diphone", "ked_diphone"),
    "openjtalk": ("mei_normal",),
}
"""Voices of each program."""

_SHARES = {"flite": 0.5, "festival": 0.27, "openjtalk": 0.23}
_LONGEST_S = 7.0
_FEWEST_SYLLABLES = 4
_TIMEOUT_S = 60.0
_WORDS = """
always again alive alone angel away baby believe better blue body brave break bridge bright burning
calling candle carry change closer cold colour come crazy cry dance darling dawn day deep door
dream drive echo edge empty ever every eyes fade faith fall feather feel fever find fire fly follow
forever free friend garden ghost give glory go gold gone good ground hand happy hard heart heaven
hello here hey high hold home honey hope hour hurry i island jump just keep kiss know lady late
laugh leave letter light like line lonely long lose love low magic maybe me memory midnight mirror
money moon more morning mountain move music my name near never night no nothing now ocean oh old
only open over paper people picture play please power promise quiet rain reach ready remember ring
river road roll run sail same say sea secret see shadow shake shine silver simple sing sky sleep
slow smile so soul sound spring stand star stay stone stop storm story strange street strong summer
sun sweet take talk tears tell thank there think thousand through time together tomorrow tonight
touch town train trouble true try turn under until voice wait wake walk wall want water wave way
weather where whisper why wild wind window wing winter wish wonder world yeah years yes yesterday
you young
""".split()  # noqa: SIM905 - a text of words is easier to read and to change
_ONSETS = "b d f g h j k l m n p r s t v w y z ch sh th br cl dr fl gr pl st tr".split()  # noqa: SIM905 - as above
_RIMES = "a e i o u ay ee oh oo ow an en in on un al el ar er or ash ess ist ark".split()  # noqa: SIM905 - as above
_KANA = [
    *"あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわ",
    *"がぎぐげござじずぜぞだでどばびぶべぼぱぴぷぺぽ",
    *("らー", "なー", "おー", "きゃ", "しょ", "ちゅ"),
]


class Corpus:
    """Utterances on disk, grouped by voice and read when they are needed.

    Parameters
    ----------
    directory
        Where `build_corpus` put them.

    Raises
    ------
    FileNotFoundError
        When there is none.
    """

    def __init__(self, directory: Path) -> None:
        self.voices: dict[str, tuple[Path, ...]] = {}
        found = defaultdict(list)
        for path in sorted(directory.glob("*.npz")):
            found[path.stem.split("-")[1]].append(path)
        if not found:
            raise FileNotFoundError(f"There is no speech in {directory}; build the corpus first.")
        self.voices = {voice: tuple(paths) for voice, paths in sorted(found.items())}

    def utterance(self, rng: np.random.Generator, voice: str) -> Utterance:
        """Return one of the utterances of a voice."""
        paths = self.voices[voice]
        return read_utterance(paths[int(rng.integers(len(paths)))])

    def draw_voice(self, rng: np.random.Generator) -> str:
        """Return a voice, those of each program together as likely as their share of the corpus."""
        names = list(self.voices)
        sizes = np.sqrt([len(paths) for paths in self.voices.values()])
        return str(rng.choice(names, p=sizes / np.sum(sizes)))


def build_corpus(directory: Path, count: int, seed: int = 0) -> int:
    """Speak and analyse utterances that are not there yet; return how many there are now.

    Parameters
    ----------
    directory
        Where the .npz files go.
    count
        How many utterances to try; a few fail for want of syllables.
    seed
        Seed of the texts and of the choice of voices.
    """
    directory.mkdir(parents=True, exist_ok=True)
    engines = [engine for engine in VOICES if is_available(engine)]
    shares = np.array([_SHARES[engine] for engine in engines])
    done = {path.stem.split("-")[0] for path in directory.glob("*.npz")}
    for index in range(count):
        if f"{index:04d}" in done:
            continue
        rng = np.random.default_rng([seed, index])
        engine = str(rng.choice(engines, p=shares / np.sum(shares)))
        voice = str(rng.choice(VOICES[engine]))
        utterance = _speak(engine, voice, rng)
        if len(utterance.syllables) < _FEWEST_SYLLABLES:
            logger.info("utterance %d of %s has too few syllables", index, voice)
            continue
        write_utterance(directory / f"{index:04d}-{utterance.voice}.npz", utterance)
    return len(list(directory.glob("*.npz")))


def is_available(engine: str) -> bool:
    """Return whether a speech program is installed."""
    if engine == "openjtalk":
        try:
            import pyopenjtalk  # noqa: F401, PLC0415 - optional; asked for when needed
        except ImportError:
            return False
        return True
    return shutil.which(engine) is not None


def draw_text(rng: np.random.Generator) -> str:
    """Return six to eleven words of songs, or as many made-up ones that cover the sounds."""
    if rng.random() < 0.7:
        return " ".join(rng.choice(_WORDS, size=int(rng.integers(6, 12))))
    words = []
    for _ in range(int(rng.integers(5, 10))):
        size = int(rng.integers(1, 4))
        onsets, rimes = rng.choice(_ONSETS, size=size), rng.choice(_RIMES, size=size)
        words.append("".join(a + b for a, b in zip(onsets, rimes, strict=True)))
    return " ".join(words)


def draw_kana(rng: np.random.Generator) -> str:
    """Return a line of Japanese syllables, with pauses."""
    words = ["".join(rng.choice(_KANA, size=int(rng.integers(2, 5)))) for _ in range(5)]
    return "、".join(words) if rng.random() < 0.3 else "".join(words)


def write_utterance(path: Path, utterance: Utterance) -> None:
    """Write an utterance so that it is there whole or not at all."""
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(file, **{name: getattr(utterance, name) for name in Utterance.__slots__})
    beside.rename(path)


@lru_cache(maxsize=48)
def read_utterance(path: Path) -> Utterance:
    """Read what `write_utterance` wrote."""
    with np.load(path) as held:
        return Utterance(
            voice=str(held["voice"]),
            rate_hz=int(held["rate_hz"]),
            pitch_hz=held["pitch_hz"],
            log_power=held["log_power"],
            aperiodicity=held["aperiodicity"],
            syllables=held["syllables"],
        )


def _speak(engine: str, voice: str, rng: np.random.Generator) -> Utterance:
    wave, rate_hz = _ENGINES[engine](voice, draw_text(rng), rng)
    if rate_hz > SAMPLE_RATE:
        wave, rate_hz = soxr.resample(wave, rate_hz, SAMPLE_RATE), SAMPLE_RATE
    wave = wave[: int(_LONGEST_S * rate_hz)] / np.max(np.abs(wave))
    # See `analyse`.
    wave = wave + 1e-5 * rng.standard_normal(len(wave)).astype(np.float32)
    return analyse(wave, rate_hz, f"{engine}_{voice}")


def _say_flite(voice: str, text: str, rng: np.random.Generator) -> tuple[Mono, int]:
    stretch = f"duration_stretch={rng.uniform(0.9, 1.3):.3f}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        _run(["flite", "-voice", voice, "--setf", stretch, "-t", text, "-o", str(path)], "")
        return _read(path)


def _say_festival(voice: str, text: str, rng: np.random.Generator) -> tuple[Mono, int]:
    stretch = f"(Parameter.set 'Duration_Stretch {rng.uniform(0.9, 1.3):.3f})"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        said = f'(set! said (utt.synth (Utterance Text "{text}")))'
        saved = f'(utt.save.wave said "{path}" (quote riff))'
        _run(["festival", "--pipe"], f"(voice_{voice})\n{stretch}\n{said}\n{saved}\n")
        return _read(path)


def _say_openjtalk(_voice: str, _text: str, rng: np.random.Generator) -> tuple[Mono, int]:
    import pyopenjtalk  # noqa: PLC0415 - optional; asked for when needed

    kana = draw_kana(rng)
    wave, rate_hz = pyopenjtalk.tts(
        kana, speed=float(rng.uniform(0.75, 1.1)), half_tone=float(rng.uniform(-3, 3))
    )
    return wave.astype(np.float32), int(rate_hz)


_ENGINES: dict[str, Say] = {
    "flite": _say_flite,
    "festival": _say_festival,
    "openjtalk": _say_openjtalk,
}


def _run(command: list[str], given: str) -> None:
    subprocess.run(  # noqa: S603 - fixed programs, texts from our own word list
        command, input=given.encode(), capture_output=True, timeout=_TIMEOUT_S, check=True
    )


def _read(path: Path) -> tuple[Mono, int]:
    wave, rate_hz = soundfile.read(path, dtype="float32")
    return wave, int(rate_hz)
