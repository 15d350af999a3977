"""Separators made of Spleeter's 2stems network, fed one patch at a time.

Spleeter's own `Separator` builds its graph anew for every song and holds every spectrogram of it
at once. Here the network is loaded once, and a song passes through it in patches of 512 frames:
beyond the song and its stems, memory does not grow with the song's length.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import UnreadableAudioError
from pipeline.separate.model import SpleeterModel
from pipeline.separate.patches import add, cut
from pipeline.types import SAMPLE_RATE, Stems

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.separate.model import Model
    from pipeline.separate.network import Network
    from pipeline.types import OnFraction, Signal, Song

# A model that wants one level gets it up to here, -120 dB: what is softer is silence, and
# raising it further would leave the range of 32 bits.
_SOFTEST_RMS = 1e-6


class NetworkSeparator:
    """A network as a `pipeline.separate.Separator`.

    Made once and kept: the network is loaded when the first song comes, and serves every song
    after it.

    Parameters
    ----------
    name
        What results say did the work.
    model
        The network's files.
    note
        A sentence for the user when this one stands in for a better one.
    """

    def __init__(self, name: str, model: Model, *, note: str = "") -> None:
        self.name = name
        self.note = note
        self._model = model
        self._network: Network | None = None

    def separate(self, song: Song, on_fraction: OnFraction) -> Stems:
        """Split a song into its vocals and the rest.

        Parameters
        ----------
        song
            Samples of shape (2, n) at 44 100 Hz; any n, also 0.
        on_fraction
            Told the share of the song that is done, patch by patch.

        Returns
        -------
        Stems
            Vocals as Spleeter's own `Separator` gives them; accompaniment = song - vocals.

        Raises
        ------
        ModelUnavailableError
            The model cannot be loaded, or its weights give no numbers.
        UnreadableAudioError
            The song holds samples that are not numbers.
        """
        on_fraction(0.0)
        network = self.load()
        geometry = network.settings.geometry
        vocals = np.zeros_like(song.samples, dtype=np.float32)
        gain = _gain(song.samples, network.settings.input_rms)
        starts = geometry.patch_starts(song.samples.shape[-1])
        for done, start in enumerate(starts, start=1):
            patch = cut(song.samples, start, geometry.patch_length)
            if not np.isfinite(patch).all():
                raise UnreadableAudioError(
                    f"{song.title} holds samples that are not numbers.",
                    hint="Save it again with an audio editor and try once more.",
                )
            add(vocals, start, network.vocals_of(patch * gain) / gain)
            on_fraction(done / len(starts))
        return Stems(vocals=vocals, accompaniment=song.samples - vocals)

    def load(self) -> Network:
        """Read the model and build its network, unless that is done.

        Raises
        ------
        ModelUnavailableError
            The model's files are damaged or of another network.
        """
        if self._network is None:
            from pipeline.separate.network import Network  # noqa: PLC0415 - loads the runtime

            self._network = Network.load(self._model)
        return self._network


class SpleeterSeparator(NetworkSeparator):
    """Spleeter's own 2stems model.

    Parameters
    ----------
    model_dir
        A model as Spleeter's release lays it out.
    """

    def __init__(self, model_dir: Path) -> None:
        super().__init__("spleeter", SpleeterModel(model_dir))


def _gain(samples: Signal, level: float | None) -> np.float32:
    """Return by how much to raise a song so that its root mean square is the level."""
    if level is None or not samples.size:
        return np.float32(1.0)
    # Second by second: a copy of the whole song in 64 bits would double the memory.
    seconds = (
        samples[:, start : start + SAMPLE_RATE].astype(np.float64)
        for start in range(0, samples.shape[-1], SAMPLE_RATE)
    )
    rms = math.sqrt(sum(float(np.vdot(second, second)) for second in seconds) / samples.size)
    # A song that is not numbers is refused patch by patch, with its name.
    return np.float32(level / max(rms, _SOFTEST_RMS)) if math.isfinite(rms) else np.float32(1.0)
