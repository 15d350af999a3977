"""Spleeter's 2stems network, fed one patch at a time through a session that is kept.

Spleeter's own `Separator` builds its graph anew for every song and holds every spectrogram of it
at once. Here the graph is built once, and a song passes through it in patches of 512 frames:
beyond the song and its stems, memory does not grow with the song's length. The network and the
masks are Spleeter's own code; the short-time Fourier transform and its inverse are scipy's.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.fft
import scipy.signal

from pipeline.errors import ModelUnavailableError, UnreadableAudioError
from pipeline.separate.archive import CHECKPOINT_NAME
from pipeline.separate.checkpoint import is_whole
from pipeline.types import SAMPLE_RATE, Stems

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from pipeline.types import OnFraction, Signal, Song

CONFIG_NAME = "config.json"
"""Beside the checkpoint: what differs from Spleeter's configuration of its 2stems model."""

_N_CHANNELS = 2

_UNET_DEPTH = 6
_UNET_STRIDE = 2**_UNET_DEPTH

# Periodic Hann windows in analysis and synthesis, hops of a quarter, sum to 3/2
# (spleeter.model.EstimatorSpecBuilder.WINDOW_COMPENSATION_FACTOR).
_WINDOW_COMPENSATION = 2.0 / 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchGeometry:
    """The sizes in which the network sees a song.

    Attributes
    ----------
    n_frames
        Frames in a patch, Spleeter's ``T``.
    n_bins
        Frequency bins that the network sees, from 0 Hz up, Spleeter's ``F``.
    frame_length, frame_step
        Length and hop of a frame in samples.
    """

    n_frames: int
    n_bins: int
    frame_length: int
    frame_step: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> Self:
        """Take the sizes from a Spleeter configuration.

        Raises
        ------
        KeyError, TypeError, ValueError
            The configuration lacks a size, or the sizes cannot be used together.
        """
        geometry = cls(
            n_frames=int(config["T"]),
            n_bins=int(config["F"]),
            frame_length=int(config["frame_length"]),
            frame_step=int(config["frame_step"]),
        )
        if min(geometry.n_frames, geometry.n_bins, geometry.frame_step) < 1:
            raise ValueError("T, F and frame_step must be at least 1")
        if geometry.n_frames % _UNET_STRIDE or geometry.n_bins % _UNET_STRIDE:
            raise ValueError(f"T and F must be multiples of {_UNET_STRIDE}")
        if geometry.frame_length % geometry.frame_step:
            raise ValueError("frame_length must be a multiple of frame_step")
        if geometry.frame_length & (geometry.frame_length - 1):
            raise ValueError("frame_length must be a power of two")
        if geometry.n_bins > geometry.frame_length // 2 + 1:
            raise ValueError("F must not exceed frame_length / 2 + 1")
        return geometry

    @property
    def patch_length(self) -> int:
        """Samples that the frames of one patch span."""
        return (self.n_frames - 1) * self.frame_step + self.frame_length

    def patch_starts(self, n_samples: int) -> range:
        """First sample of every patch; the first ones lie before the song.

        Spleeter puts one frame of silence before the song and rounds the number of frames up.
        """
        n_frames = -(-(n_samples + self.frame_length) // self.frame_step)
        n_patches = -(-n_frames // self.n_frames)
        stride = self.n_frames * self.frame_step
        return range(-self.frame_length, n_patches * stride - self.frame_length, stride)


class SpleeterSeparator:
    """Spleeter's 2stems model as a `pipeline.separate.Separator`.

    Made once and kept: the graph is built and the weights are read when the first song comes,
    and serve every song after it.

    Parameters
    ----------
    model_dir
        A model as Spleeter's release lays it out: ``model.index`` and its shards, and beside
        them a ``config.json`` if the model was not trained with Spleeter's 2stems configuration.
    """

    name = "spleeter"

    def __init__(self, model_dir: Path) -> None:
        self.note = ""
        self._model_dir = model_dir
        self._network: _Network | None = None

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
        vocals = np.zeros_like(song.samples, dtype=np.float32)
        starts = network.geometry.patch_starts(song.samples.shape[-1])
        for done, start in enumerate(starts, start=1):
            patch = _cut(song.samples, start, network.geometry.patch_length)
            if not np.isfinite(patch).all():
                raise UnreadableAudioError(
                    f"{song.title} holds samples that are not numbers.",
                    hint="Save it again with an audio editor and try once more.",
                )
            _add(vocals, start, network.vocals_of(patch))
            on_fraction(done / len(starts))
        return Stems(vocals=vocals, accompaniment=song.samples - vocals)

    def load(self) -> _Network:
        """Build the graph and read the weights, unless that is done.

        Raises
        ------
        ModelUnavailableError
            The model's files are damaged or of another network.
        """
        if self._network is None:
            self._network = _Network.load(self._model_dir)
        return self._network


@dataclass(slots=True, kw_only=True, eq=False)
class _Network:
    """The graph with its weights: magnitudes of one patch in, mask of the vocals out."""

    geometry: PatchGeometry
    model_dir: Path
    session: Any
    magnitudes: Any
    mask: Any
    window: npt.NDArray[np.float32]

    @classmethod
    def load(cls, model_dir: Path) -> Self:
        if not is_whole(model_dir / CHECKPOINT_NAME):
            raise _damaged(model_dir, "a file is missing or broken off")
        config, geometry = read_config(model_dir)
        tf = _import_tensorflow()
        from spleeter.model import EstimatorSpecBuilder  # noqa: PLC0415 - it loads TensorFlow

        with tf.Graph().as_default() as graph:
            magnitudes = tf.compat.v1.placeholder(
                tf.float32, (_N_CHANNELS, geometry.n_frames, geometry.n_bins)
            )
            features = {
                # Of the transform Spleeter's masks use the number of frames alone.
                f"{config['mix_name']}_stft": tf.zeros((geometry.n_frames, 1, 1)),
                f"{config['mix_name']}_spectrogram": tf.transpose(magnitudes, (1, 2, 0))[None],
            }
            masks = EstimatorSpecBuilder(features, config).masks
            mask = tf.transpose(masks["vocals"], (2, 0, 1))
            session = _restore(tf, graph, model_dir)
        window = scipy.signal.get_window("hann", geometry.frame_length).astype(np.float32)
        return cls(
            geometry=geometry,
            model_dir=model_dir,
            session=session,
            magnitudes=magnitudes,
            mask=mask,
            window=window,
        )

    def vocals_of(self, patch: Signal) -> Signal:
        """Return what this patch adds to the vocals; its ends overlap with its neighbours'.

        Parameters
        ----------
        patch
            Shape (2, `PatchGeometry.patch_length`).
        """
        step = self.geometry.frame_step
        frames = np.lib.stride_tricks.sliding_window_view(
            patch, self.geometry.frame_length, axis=-1
        )[:, ::step]
        spectrum = scipy.fft.rfft(frames * self.window, overwrite_x=True)
        spectrum *= self._mask_of(np.abs(spectrum[..., : self.geometry.n_bins]))
        frames = scipy.fft.irfft(spectrum, n=self.geometry.frame_length, overwrite_x=True)
        frames *= self.window * np.float32(_WINDOW_COMPENSATION)
        return _overlap_add(frames, step)

    def _mask_of(self, magnitudes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        mask: npt.NDArray[np.float32] = self.session.run(self.mask, {self.magnitudes: magnitudes})
        if not np.isfinite(mask).all():
            raise _damaged(self.model_dir, "its weights give values that are not numbers")
        return mask


def read_config(model_dir: Path) -> tuple[dict[str, Any], PatchGeometry]:
    """Read how a model was trained: Spleeter's 2stems.json, overridden by the model's own file.

    Parameters
    ----------
    model_dir
        The directory of the checkpoint.

    Raises
    ------
    ModelUnavailableError
        The model's own configuration cannot be read or is not for this pipeline.
    """
    packaged = resources.files("spleeter") / "resources" / "2stems.json"
    config: dict[str, Any] = json.loads(packaged.read_text(encoding="utf-8"))
    own = model_dir / CONFIG_NAME
    try:
        if own.is_file():
            config |= json.loads(own.read_text(encoding="utf-8"))
        _check_config(config)
        return config, PatchGeometry.of(config)
    except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(model_dir, f"its {CONFIG_NAME} cannot be used: {error}") from error


def _check_config(config: dict[str, Any]) -> None:
    wanted = {"sample_rate": SAMPLE_RATE, "n_channels": _N_CHANNELS}
    for field, value in wanted.items():
        if config[field] != value:
            raise ValueError(f"{field} must be {value}")
    if "vocals" not in config["instrument_list"]:
        raise ValueError("instrument_list must name vocals")
    if config["mask_extension"] not in {"zeros", "average"}:
        raise ValueError("mask_extension must be zeros or average")
    if config["model"]["type"] not in {"unet.unet", "unet.softmax_unet"}:
        raise ValueError("model.type must be unet.unet or unet.softmax_unet")
    n_filters = config["model"]["params"].get("conv_n_filters")
    if n_filters is not None and len(n_filters) != _UNET_DEPTH:
        raise ValueError(f"model.params.conv_n_filters must be {_UNET_DEPTH} numbers")


def _import_tensorflow() -> Any:  # noqa: ANN401 - TensorFlow publishes no types
    # Read once, when TensorFlow's library is loaded: 2 keeps errors and drops the rest.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf  # noqa: PLC0415 - seconds and hundreds of megabytes

    tf.get_logger().setLevel(logging.ERROR)
    return tf


def _restore(tf: Any, graph: Any, model_dir: Path) -> Any:  # noqa: ANN401 - as above
    saver = tf.compat.v1.train.Saver()
    n_cores = len(os.sched_getaffinity(0))
    options = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=n_cores, inter_op_parallelism_threads=n_cores
    )
    options.gpu_options.allow_growth = True  # TensorFlow would take the whole card
    session = tf.compat.v1.Session(graph=graph, config=options)
    try:
        saver.restore(session, str(model_dir / CHECKPOINT_NAME))
    except tf.errors.OpError as error:  # a tensor's checksum is wrong, or it is not there at all
        session.close()
        raise _damaged(model_dir, "its files are altered or of another network") from error
    return session


def _damaged(model_dir: Path, reason: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"Spleeter's model is damaged: {reason}.",
        hint=f"Replace the files in {model_dir}, or delete it so that they are fetched anew.",
    )


def _cut(samples: Signal, start: int, length: int) -> Signal:
    """Cut a stretch out of the song; before its start and after its end there is silence."""
    cut = np.zeros((samples.shape[0], length), dtype=np.float32)
    inside = samples[:, max(start, 0) : max(start + length, 0)]
    offset = max(-start, 0)
    cut[:, offset : offset + inside.shape[-1]] = inside
    return cut


def _add(total: Signal, start: int, patch: Signal) -> None:
    """Add a patch to the song at its place, in place; what sticks out at the ends is dropped."""
    inside = total[:, max(start, 0) : max(start + patch.shape[-1], 0)]
    offset = max(-start, 0)
    inside += patch[:, offset : offset + inside.shape[-1]]


def _overlap_add(frames: npt.NDArray[np.float32], step: int) -> Signal:
    """Sum frames, shape (2, n_frames, frame_length), each `step` samples after the last."""
    n_channels, n_frames, frame_length = frames.shape
    out = np.zeros((n_channels, (n_frames - 1) * step + frame_length), dtype=np.float32)
    for first in range(0, frame_length, step):
        part = frames[:, :, first : first + step].reshape(n_channels, n_frames * step)
        out[:, first : first + n_frames * step] += part
    return out
