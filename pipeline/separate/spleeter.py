"""Separators made of Spleeter's 2stems network, fed one patch at a time.

Spleeter's own `Separator` builds its graph anew for every song and holds every spectrogram of it
at once. Here the network is loaded once, and songs pass through it in patches of 512 frames:
beyond a few patches, memory does not grow with a song's length where its samples and its stems lie
on disk.
"""

from __future__ import annotations

import hashlib
import math
from contextlib import closing
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UnreadableAudioError
from pipeline.runtime import has_fast_bfloat16
from pipeline.separate.model import SpleeterModel
from pipeline.separate.patches import Seam
from pipeline.tapes import cut, in_memory, release, stretches
from pipeline.types import SAMPLE_RATE, Stems

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipeline.separate.model import Model, Precision
    from pipeline.separate.network import Network, Patch
    from pipeline.separate.transform import Spectrum
    from pipeline.tapes import Blank
    from pipeline.types import OnFraction, Song

# A model that wants one level gets it up to here, -120 dB: what is softer is silence, and
# raising it further would leave the range of 32 bits.
_SOFTEST_RMS = 1e-6


class NetworkSeparator:
    """A network as a `pipeline.separate.Separator`.

    Made once and kept: the network is loaded when the first song comes, and serves every song
    after it, also of several threads at the same time.

    Parameters
    ----------
    name
        What results say did the work.
    model
        The network's files.
    note
        A sentence for the user when this one stands in for a better one.
    precision
        "float32" gives Spleeter's own vocals within 1e-5 of full scale. "fast" gives them within
        1e-3, where the processor is fast at 16 bits; elsewhere it is the same as "float32".
    """

    def __init__(
        self, name: str, model: Model, *, note: str = "", precision: Precision = "fast"
    ) -> None:
        self.name = name
        self.note = note
        self._model = model
        self._fast = precision == "fast" and has_fast_bfloat16()
        self._identity = ""
        self._network: Network | None = None
        self._loading = Lock()

    @property
    def identity(self) -> str:
        """A hash over the weights, the configuration and the precision.

        Raises
        ------
        ModelUnavailableError
            The model's files are missing.
        """
        if not self._identity:
            try:
                decisive = f"{self._model.digest()} {'fast' if self._fast else 'float32'}"
            except OSError as error:
                raise self._model.damaged("a file is missing or broken off") from error
            self._identity = hashlib.sha256(decisive.encode()).hexdigest()
        return self._identity

    def separate(self, song: Song, on_fraction: OnFraction, *, blank: Blank = in_memory) -> Stems:
        """Split a song into its vocals and the rest.

        Parameters
        ----------
        song
            Samples of shape (2, n) at 44 100 Hz; any n, also 0.
        on_fraction
            Told the share of the song that is done, patch by patch.
        blank
            Makes the stems.

        Returns
        -------
        Stems
            Vocals as Spleeter's own `Separator` gives them; accompaniment = song - vocals.

        Raises
        ------
        ModelUnavailableError
            The model cannot be loaded.
        UnreadableAudioError
            The song holds samples that are not numbers.
        """
        on_fraction(0.0)
        network = self.load()
        length = song.samples.shape[-1]
        gain = _gain(song, network.settings.input_rms)
        stems = Stems(vocals=blank(length), accompaniment=blank(length))
        n_patches = len(network.settings.geometry.patch_starts(length))
        seam = Seam(network.settings.geometry)
        sung = network.transform.blank_patch()
        spare: list[Spectrum] = []
        with closing(network.mask(_patches(song, network, gain, spare))) as patches:
            for done, patch in enumerate(patches, start=1):
                network.transform.to_patch(patch.spectrum, gain, sung)
                spare.append(patch.spectrum)
                inside, part = seam.join(sung, patch.start, length)
                stems.vocals[:, inside] = sung[:, part]
                stems.accompaniment[:, inside] = patch.samples[:, part] - sung[:, part]
                release(stems.vocals, stems.accompaniment)
                on_fraction(done / n_patches)
        return stems

    def load(self) -> Network:
        """Read the model and build its network, unless that is done.

        Raises
        ------
        ModelUnavailableError
            The model's files are damaged or of another network.
        """
        with self._loading:
            if self._network is None:
                from pipeline.separate.network import Network  # noqa: PLC0415 - loads the runtime

                self._network = Network.load(self._model, fast=self._fast)
            return self._network


class SpleeterSeparator(NetworkSeparator):
    """Spleeter's own 2stems model.

    Parameters
    ----------
    model_dir
        A model as Spleeter's release lays it out.
    precision
        See `NetworkSeparator`.
    """

    def __init__(self, model_dir: Path, *, precision: Precision = "fast") -> None:
        super().__init__("spleeter", SpleeterModel(model_dir), precision=precision)


def _patches(
    song: Song, network: Network, gain: np.float32, spare: list[Spectrum]
) -> Iterator[Patch]:
    """Cut a song into patches; room for spectra is taken from the spare, while there is any."""
    from pipeline.separate.network import Patch  # noqa: PLC0415 - loads the runtime

    geometry, transform = network.settings.geometry, network.transform
    for start in geometry.patch_starts(song.samples.shape[-1]):
        samples = cut(song.samples, start, start + geometry.patch_length)
        release(song.samples)
        if not np.isfinite(samples).all():
            raise UnreadableAudioError(
                f"{song.title} holds samples that are not numbers.",
                hint="Save it again with an audio editor and try once more.",
            )
        spectrum = spare.pop() if spare else transform.blank_spectrum()
        transform.to_spectrum(samples, gain, spectrum)
        yield Patch(start=start, samples=samples, spectrum=spectrum)


def _gain(song: Song, level: float | None) -> np.float32:
    """Return by how much to raise a song so that its root mean square is the level."""
    n_channels, length = song.samples.shape
    if level is None or not length:
        return np.float32(1.0)
    power = 0.0
    for _, (second,) in stretches(song.samples, size=SAMPLE_RATE):
        exact = second.astype(np.float64)
        power += float(np.vdot(exact, exact))
    rms = math.sqrt(power / (n_channels * length))
    # A song that is not numbers is refused patch by patch, with its name.
    return np.float32(level / max(rms, _SOFTEST_RMS)) if math.isfinite(rms) else np.float32(1.0)
