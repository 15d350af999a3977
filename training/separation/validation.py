"""How well a network separates songs whose stems are known, by the runtime's arithmetic.

A song is scaled to the level that the network is trained at, cut as Spleeter cuts it, and scaled
back; what lies above the network's bins gets the mean of their masks ("average"), and the
accompaniment is what the vocals leave of the song.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it

from pipeline.types import SAMPLE_RATE
from training.clips import FIRST_REAL_SEED, FIRST_VALIDATION_SEED, read_clip, stored_seeds
from training.separation.network import spleeter_mask_of
from training.separation.shelf import partner_of
from training.separation.spectra import window
from training.separation.weights import REFERENCE_RMS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from pipeline.separate.patches import PatchGeometry
    from pipeline.types import Signal
    from training.separation.network import VocalUNet

REAL_SONGS = ("sodium", "potassium")
"""Folders of real stems that nothing is ever trained on."""

_MOST_CLIPS = 6
_VOICE_LEVEL_DB = -4.0
_SYNTHESIS_GAIN = 2.0 / 3.0  # squared periodic Hann windows a quarter apart sum to 3/2
_LEAST_POWER = 1e-12
_SILENT_POWER = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownSong:
    """A song's name and its stems, each float32 (2, n); the vocals may be silent."""

    name: str
    vocals: Signal
    accompaniment: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How near separated stems are to the true ones, in dB.

    Attributes
    ----------
    vocals_sdr_db, accompaniment_sdr_db
        Energy of the true stem over that of the error, over the whole song.
    vocals_median_db, accompaniment_median_db
        The same in every second that the stem sounds in, and of these the median, as BSSEval v4
        is reported (without its distortion filter).
    residue_db
        Energy of what was taken for vocals over that of the song.
    """

    vocals_sdr_db: float
    accompaniment_sdr_db: float
    vocals_median_db: float
    accompaniment_median_db: float
    residue_db: float


def score(network: VocalUNet, song: KnownSong, geometry: PatchGeometry) -> Score:
    """Separate a song and compare."""
    mixture = song.vocals + song.accompaniment
    vocals = separate_vocals(network, mixture, geometry)
    accompaniment = mixture - vocals
    return Score(
        vocals_sdr_db=_sdr_db(vocals, song.vocals),
        accompaniment_sdr_db=_sdr_db(accompaniment, song.accompaniment),
        vocals_median_db=_median_sdr_db(vocals, song.vocals),
        accompaniment_median_db=_median_sdr_db(accompaniment, song.accompaniment),
        residue_db=_ratio_db(_power(vocals), _power(mixture)),
    )


def separate_vocals(network: VocalUNet, mixture: Signal, geometry: PatchGeometry) -> Signal:
    """Take the vocals out of a song, (2, n); the network must be in its evaluation mode."""
    rms = float(_power(mixture)) ** 0.5
    gain = REFERENCE_RMS / rms if rms > 0.0 else 1.0
    n_samples = mixture.shape[-1]
    # One frame of silence stands before the song, and the last frames reach beyond its end.
    n_frames = -(-(n_samples + geometry.frame_length) // geometry.frame_step)
    length = (n_frames - 1) * geometry.frame_step + geometry.frame_length
    before, after = geometry.frame_length, length - geometry.frame_length - n_samples
    padded = F.pad(torch.from_numpy(mixture * np.float32(gain)), (before, after))
    frames = padded.unfold(-1, geometry.frame_length, geometry.frame_step)
    spectra = torch.fft.rfft(frames * window(geometry.frame_length))
    mask = masks_of(network, spectra[..., : geometry.n_bins].abs(), geometry)
    above = mask.mean(-1, keepdim=True).expand(-1, -1, spectra.shape[-1] - geometry.n_bins)
    frames = torch.fft.irfft(spectra * torch.cat([mask, above], dim=-1), n=geometry.frame_length)
    frames = frames * (window(geometry.frame_length) * (_SYNTHESIS_GAIN / gain))
    summed = F.fold(
        frames.transpose(1, 2), (1, length), (1, geometry.frame_length), stride=geometry.frame_step
    )
    vocals: Signal = summed[:, 0, 0, before : before + n_samples].numpy()
    return vocals


def masks_of(network: VocalUNet, magnitudes: Tensor, geometry: PatchGeometry) -> Tensor:
    """Compute the masks of a song's magnitudes, (2, n_frames, n_bins), patch by patch."""
    device = next(network.parameters()).device
    n_frames = magnitudes.shape[1]
    padded = F.pad(magnitudes, (0, 0, 0, -n_frames % geometry.n_frames))
    masks = []
    with torch.no_grad():
        for patch in padded.split(geometry.n_frames, dim=1):
            heard = patch[None].to(device, memory_format=torch.channels_last)
            masks.append(spleeter_mask_of(network(heard), heard)[0].cpu())
    return torch.cat(masks, dim=1)[:, :n_frames]


def real_songs(folder: Path) -> list[KnownSong]:
    """Read the real songs that are there: ``sodium/vocals.ogg`` and so on."""
    return [
        KnownSong(
            name=name,
            vocals=_read(folder / name / "vocals.ogg"),
            accompaniment=_read(folder / name / "accompaniment.ogg"),
        )
        for name in REAL_SONGS
        if (folder / name).is_dir()
    ]


def synthetic_songs(clips: Path) -> list[KnownSong]:
    """Mix the first clips that are for validation: voices over backings, and a backing alone."""
    voices, backings = (_validation_seeds(clips / kind) for kind in ("voices", "backings"))
    songs: list[KnownSong] = []
    if not backings:
        return songs
    for k, seed in enumerate(voices[:_MOST_CLIPS]):
        partner = partner_of(clips, seed)
        if partner is None or partner not in backings:
            partner = backings[k % len(backings)]
        backing = _backing(clips, partner)
        voice, _ = read_clip(clips / "voices", seed)
        gain = 10 ** (_VOICE_LEVEL_DB / 20) * (_power(backing) / max(_power(voice), 1e-9)) ** 0.5
        songs.append(
            KnownSong(name=f"clip {seed}", vocals=voice * np.float32(gain), accompaniment=backing)
        )
    for seed in backings[-2:]:
        backing = _backing(clips, seed)
        songs.append(
            KnownSong(name=f"band {seed}", vocals=np.zeros_like(backing), accompaniment=backing)
        )
    return songs


def _validation_seeds(folder: Path) -> Sequence[int]:
    return [s for s in stored_seeds(folder) if FIRST_VALIDATION_SEED <= s < FIRST_REAL_SEED]


def _backing(clips: Path, seed: int) -> Signal:
    parts, _ = read_clip(clips / "backings", seed)
    backing: Signal = parts.sum(0)
    return backing


def _read(path: Path) -> Signal:
    samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    if sample_rate != SAMPLE_RATE:
        raise ValueError(f"{path} has {sample_rate} Hz, and validation takes {SAMPLE_RATE}")
    return np.ascontiguousarray(np.broadcast_to(samples.T, (2, len(samples))))


def _power(signal: Signal) -> float:
    return float(np.mean(np.square(signal, dtype=np.float64)))


def _ratio_db(power: float, other: float) -> float:
    return float(10 * np.log10((power + _LEAST_POWER) / (other + _LEAST_POWER)))


def _sdr_db(estimate: Signal, true: Signal) -> float:
    return _ratio_db(_power(true), _power(true - estimate))


def _median_sdr_db(estimate: Signal, true: Signal) -> float:
    seconds = range(0, true.shape[-1] - SAMPLE_RATE + 1, SAMPLE_RATE)
    values = [
        _sdr_db(estimate[:, start : start + SAMPLE_RATE], true[:, start : start + SAMPLE_RATE])
        for start in seconds
        if _power(true[:, start : start + SAMPLE_RATE]) > _SILENT_POWER
    ]
    return float(np.median(values)) if values else float("nan")
