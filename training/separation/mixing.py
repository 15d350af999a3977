"""An endless stream of songs, remixed from the clips on disk.

A batch depends on the seed, on its number and on the clips that are there, and on nothing else:
who takes a training up again goes on with the next number.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from pipeline.types import SAMPLE_RATE
from training.clips import PARTS
from training.separation import colour
from training.separation.colour import db_to_gain
from training.separation.shelf import Shelf, cut, length_at, play
from training.separation.spectra import (
    bins_hz,
    magnitudes_of,
    power_of,
    rms_in_spectrum,
    sounding_rms_of,
    transform,
)
from training.separation.weights import REFERENCE_RMS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from pipeline.separate.patches import PatchGeometry

_BATCHES_BETWEEN_LOOKS = 200
_MOST_TRIES = 100
_SILENT_RMS = 2e-3
_VOICE_LEVELS_DB = (-13.0, 4.0)
_RATE_SPAN = 0.12

# How large a share of the songs is what.
_P_INSTRUMENTAL = 0.10
_P_VOICE_ALONE = 0.03
_P_REAL_VOICE = 0.15
_P_REAL_BACKING = 0.10
_P_MATCHED = 0.6  # of the voices that follow a backing
_P_MONO = 0.12
_P_LOSSY = 0.25
_P_QUIET = 0.08

# How large a share of the voices, and of the parts of a backing.
_P_DOUBLED = 0.20
_P_DOUBLED_WIDE = 0.4
_P_SECOND_VOICE = 0.15
_P_SATURATED = 0.15
_P_VOICE_MONO = 0.45  # leads of real songs are; reverberated voices of the factory are not
_P_VOICE_BALANCE = 0.30
_P_VOICE_WIDE = 0.35
_P_PART_OUT = 0.12
_P_PART_SWAPPED = 0.20
_P_PART_FLIPPED = 0.15
_P_TWO_GROUPS = 0.4
_P_GROUP_WIDTH = 0.30
_P_NOISE = 0.10


class RemixedSongs(IterableDataset):  # type: ignore[misc] # PyTorch is not where types are checked
    """Batches of magnitudes: the mixture's, and what a mask should leave of them to the vocals.

    Parameters
    ----------
    directory
        Where the clips lie; new ones are found while the stream runs.
    geometry
        Sizes of the crops and of the transform.
    batch_size
        Crops in a batch.
    seed
        Of everything random.
    first_batch
        Number of the first batch.
    """

    def __init__(
        self,
        directory: Path,
        geometry: PatchGeometry,
        *,
        batch_size: int,
        seed: int,
        first_batch: int = 0,
    ) -> None:
        super().__init__()
        self._directory = directory
        self._geometry = geometry
        self._batch_size = batch_size
        self._seed = seed
        self._first_batch = first_batch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give (mixture, vocals), each float32 (batch, 2, n_frames, n_bins), without end.

        Of several workers of a loader each makes its share of the numbers.
        """
        worker = get_worker_info()
        offset, step = (worker.id, worker.num_workers) if worker else (0, 1)
        partners: dict[int, int | None] = {}
        remixer = Remixer(Shelf.read(self._directory, partners), self._geometry)
        for done, number in enumerate(itertools.count(self._first_batch + offset, step)):
            if done and done % _BATCHES_BETWEEN_LOOKS == 0:
                remixer = Remixer(Shelf.read(self._directory, partners), self._geometry)
            rng = np.random.default_rng([self._seed, number])
            examples = [remixer.example(rng) for _ in range(self._batch_size)]
            mixtures, vocals = zip(*examples, strict=True)
            yield _stacked(mixtures), _stacked(vocals)


@dataclass(frozen=True, slots=True)
class Remixer:
    """Draws songs from the clips on a shelf."""

    shelf: Shelf
    geometry: PatchGeometry

    def example(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw a crop of a song that is not silent.

        Returns
        -------
        tuple of Tensor
            What `training.separation.spectra.magnitudes_of` says, each of shape
            (2, n_frames, n_bins).

        Raises
        ------
        ValueError
            The clips on the shelf are silent.
        """
        for _ in range(_MOST_TRIES):
            mixture, voice = self._mixed(rng)
            magnitudes = magnitudes_of(mixture, voice)
            level = float(magnitudes[0].square().mean()) ** 0.5
            if level > 0.0:
                curve = self._mastering(rng) / level
                return magnitudes[0] * curve, magnitudes[1] * curve
        raise ValueError(f"the clips in {self.shelf.directory} are silent")

    def _mixed(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw the spectra of a mixture and of the voice in it, (2, n_frames, n_bins)."""
        voice_waves, groups = self._waves(rng)
        voice, gains = transform(voice_waves, self.geometry), self._equaliser(rng)
        backing, others = (transform(groups[0], self.geometry), groups[1:])
        backing_gains = self._equaliser(rng)
        for group in others:
            backing += transform(group, self.geometry) * self._equaliser(rng)
        kind = rng.random()
        level = db_to_gain(rng.uniform(*_VOICE_LEVELS_DB))
        if kind < _P_INSTRUMENTAL:
            level = 0.0
        elif kind < _P_INSTRUMENTAL + _P_VOICE_ALONE:
            backing_gains = torch.zeros_like(backing_gains)
        voice = voice * (self._levelled(voice, gains) * level)
        mixture = torch.addcmul(voice, backing, self._levelled(backing, backing_gains))
        if rng.random() < _P_MONO:
            mixture, voice = (x.mean(0, keepdim=True).expand_as(x) for x in (mixture, voice))
        return mixture, voice

    def _levelled(self, spectrum: Tensor, gains: Tensor) -> Tensor:
        """Scale gains, one for each bin, so that what sounds gets an RMS of 1.

        What is hardly there, such as the tail of a room, is silenced.
        """
        rms = sounding_rms_of(power_of(spectrum) * gains.square())
        return gains * (1 / rms if rms > rms_in_spectrum(_SILENT_RMS, self.geometry) else 0.0)

    def _mastering(self, rng: np.random.Generator) -> Tensor:
        """Draw a gain for each bin of a mixture whose RMS is 1: its level, its treble."""
        gain_db = rng.normal(0.0, 3.0)
        if rng.random() < _P_QUIET:  # an intro, a break
            gain_db -= rng.uniform(6.0, 24.0)
        gain = db_to_gain(gain_db) * rms_in_spectrum(REFERENCE_RMS, self.geometry)
        curve = torch.full((self.geometry.n_bins,), gain)
        if rng.random() < _P_LOSSY:
            curve *= colour.codec_cutoff(rng, bins_hz(self.geometry, SAMPLE_RATE))
        return curve

    def _equaliser(self, rng: np.random.Generator) -> Tensor:
        return colour.equaliser(rng, bins_hz(self.geometry, SAMPLE_RATE))

    def _waves(self, rng: np.random.Generator) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Draw a voice and the groups of a backing, each of shape (2, n)."""
        shelf = self.shelf
        seed, is_real = _draw(rng, shelf.backings, shelf.real_backings, _P_REAL_BACKING)
        voice, _ = _draw(rng, shelf.voices, shelf.real_voices, _P_REAL_VOICE)
        place, rate = rng.random(), _draw_rate(rng, 0.5)
        voice_place, voice_rate = rng.random(), _draw_rate(rng, 0.4)
        if not is_real and voice in shelf.backing_of and rng.random() < _P_MATCHED:
            # They stay in time and in tune.
            seed, voice_place, voice_rate = shelf.backing_of[voice], place, rate
        backing = self._backing(rng, seed, place, rate, swap=not is_real)
        return self._voice(rng, voice, voice_place, voice_rate), backing

    def _voice(self, rng: np.random.Generator, seed: int, place: float, rate: float) -> Tensor:
        voice = self._sung(seed, place, rate)
        if rng.random() < _P_DOUBLED:
            voice = self._doubled(rng, voice, seed, place, rate)
        if rng.random() < _P_SECOND_VOICE:
            other = self._sung(_pick(rng, self.shelf.voices), rng.random(), _draw_rate(rng, 0.4))
            gain = db_to_gain(rng.uniform(-14.0, 0.0))
            voice = voice + gain * colour.balanced(other, float(rng.uniform(-0.8, 0.8)))
        if rng.random() < _P_SATURATED:
            voice = colour.saturated(rng, voice)
        if rng.random() < _P_VOICE_MONO:
            voice = colour.with_width(voice, 0.0)
        if rng.random() < _P_VOICE_BALANCE:
            voice = colour.balanced(voice, float(rng.uniform(-0.5, 0.5)))
        if rng.random() < _P_VOICE_WIDE:
            voice = colour.echoed_wide(rng, voice)
        return voice

    def _doubled(
        self, rng: np.random.Generator, voice: Tensor, seed: int, place: float, rate: float
    ) -> Tensor:
        """Add the voice once more, a little out of time and of tune, some left and right."""
        late_s = rng.uniform(0.0, 0.034)
        other = self._sung(seed, place, rate * rng.uniform(0.992, 1.008), late_s=late_s)
        other = other * db_to_gain(rng.uniform(-10.0, 0.0))
        if rng.random() < _P_DOUBLED_WIDE:
            side = float(rng.uniform(0.4, 1.0) * rng.choice([-1.0, 1.0]))
            voice, other = colour.balanced(voice, side), colour.balanced(other, -side)
        return voice + other

    def _sung(self, seed: int, place: float, rate: float, *, late_s: float = 0.0) -> Tensor:
        """Play a voice from a place in [0, 1) of where it can begin."""
        clip = self.shelf.voice(seed)
        start = _start(clip, self.geometry, place) + int(late_s * SAMPLE_RATE)
        stretch = cut(clip, start, length_at(rate, self.geometry.patch_length))
        return play(stretch, self.geometry.patch_length)

    def _backing(
        self, rng: np.random.Generator, seed: int, place: float, rate: float, *, swap: bool
    ) -> tuple[Tensor, ...]:
        """Draw a backing in one or two groups of parts, which get colours of their own."""
        clip = self.shelf.backing(seed)
        start = _start(clip, self.geometry, place)
        n_read = length_at(rate, self.geometry.patch_length)
        n_groups = 2 if rng.random() < _P_TWO_GROUPS else 1
        groups = [torch.zeros(2, n_read) for _ in range(n_groups)]
        is_in = rng.random(len(PARTS)) >= _P_PART_OUT
        for part in np.flatnonzero(is_in if is_in.any() else ~is_in):
            source = clip
            if swap and rng.random() < _P_PART_SWAPPED:
                source = self.shelf.backing(_pick(rng, self.shelf.backings))
            samples = cut(source[part], start, n_read)
            if rng.random() < _P_PART_FLIPPED:
                samples = samples.flip(0)
            groups[part * n_groups // len(PARTS)] += db_to_gain(rng.uniform(-9.0, 5.0)) * samples
        return tuple(self._placed(rng, play(group, self.geometry.patch_length)) for group in groups)

    def _placed(self, rng: np.random.Generator, group: Tensor) -> Tensor:
        if rng.random() < _P_GROUP_WIDTH:
            group = colour.with_width(group, float(rng.uniform(0.0, 1.8)))
        if rng.random() < _P_NOISE:
            level = db_to_gain(rng.uniform(-70.0, -45.0))
            hiss = rng.standard_normal(group.shape, dtype=np.float32)
            group = group + level * torch.from_numpy(hiss)
        return group


def _stacked(examples: tuple[Tensor, ...]) -> Tensor:
    """Stack examples, the channels side by side in memory, as convolutions on a CPU want them."""
    # What weaves two channels together fastest is making complex numbers of them.
    woven = [torch.view_as_real(torch.complex(left, right)) for left, right in examples]
    return torch.stack(woven).permute(0, 3, 1, 2)


def _draw(
    rng: np.random.Generator, made: tuple[int, ...], real: tuple[int, ...], real_share: float
) -> tuple[int, bool]:
    """Draw a seed; return with it whether it is one of the real ones."""
    is_real = bool(real) and rng.random() < real_share
    return _pick(rng, real if is_real else made), is_real


def _pick(rng: np.random.Generator, seeds: tuple[int, ...]) -> int:
    return seeds[int(rng.integers(len(seeds)))]


def _draw_rate(rng: np.random.Generator, unchanged_share: float) -> float:
    return (
        1.0
        if rng.random() < unchanged_share
        else float(rng.uniform(1 - _RATE_SPAN, 1 + _RATE_SPAN))
    )


def _start(clip: npt.NDArray[np.int16], geometry: PatchGeometry, place: float) -> int:
    """Turn a place in [0, 1) into a sample, the same one for all clips of one length."""
    longest = length_at(1 + _RATE_SPAN, geometry.patch_length)
    return int(place * max(clip.shape[-1] - longest, 0))
