"""A model's network, loaded once: a patch of a song in, what it adds to the vocals out.

The network runs in ONNX Runtime; the short-time Fourier transform and its inverse are scipy's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import scipy.fft
import scipy.signal

from pipeline.runtime import load_onnxruntime
from pipeline.separate.archive import CHECKPOINT_NAME
from pipeline.separate.graph import INPUT, OUTPUT, build_graph
from pipeline.separate.model import read_settings
from pipeline.separate.patches import overlap_add
from pipeline.separate.tensors import read_tensors

if TYPE_CHECKING:
    import numpy.typing as npt

    from pipeline.separate.graph import Graph
    from pipeline.separate.model import Model, Settings
    from pipeline.types import Signal

# Periodic Hann windows in analysis and synthesis, hops of a quarter, sum to 3/2
# (spleeter.model.EstimatorSpecBuilder.WINDOW_COMPENSATION_FACTOR).
_WINDOW_COMPENSATION = 2.0 / 3.0

_ERRORS_ONLY = 3  # onnxruntime's severities: 0 verbose, 1 info, 2 warning, 3 error, 4 fatal


@dataclass(slots=True, kw_only=True, eq=False)
class Network:
    """The graph with its weights, in a session that serves all songs.

    Attributes
    ----------
    model
        Where it came from.
    settings
        How it was trained.
    session
        An `onnxruntime.InferenceSession`.
    window
        Of every frame, shape (frame_length,).
    """

    model: Model
    settings: Settings
    session: Any
    window: npt.NDArray[np.float32]

    @classmethod
    def load(cls, model: Model) -> Self:
        """Read a model and build its graph.

        Raises
        ------
        ModelUnavailableError
            The model's files are missing, damaged or of another network.
        """
        try:
            read = model.open()
            settings = read_settings(model, read)
            graph = build_graph(read_tensors(read, CHECKPOINT_NAME), settings.config)
            del read  # the files are let go of before the runtime takes its share
        except (EOFError, OSError) as error:
            raise model.damaged("a file is missing or broken off") from error
        except ValueError as error:
            raise model.damaged("its files are altered or of another network") from error
        frame_length = settings.geometry.frame_length
        return cls(
            model=model,
            settings=settings,
            session=_session(graph),
            window=scipy.signal.get_window("hann", frame_length).astype(np.float32),
        )

    def vocals_of(self, patch: Signal) -> Signal:
        """Return what this patch adds to the vocals; its ends overlap with its neighbours'.

        Parameters
        ----------
        patch
            Shape (2, `PatchGeometry.patch_length`).

        Raises
        ------
        ModelUnavailableError
            The weights give no numbers.
        """
        geometry = self.settings.geometry
        frames = np.lib.stride_tricks.sliding_window_view(patch, geometry.frame_length, axis=-1)
        frames = frames[:, :: geometry.frame_step] * self.window
        spectrum = scipy.fft.rfft(frames, overwrite_x=True, workers=_n_cores())
        mask = self._mask_of(np.abs(spectrum[..., : geometry.n_bins]))
        spectrum[..., : geometry.n_bins] *= mask
        # Above what the network sees, the mask goes on as the configuration says.
        if self.settings.config["mask_extension"] == "average":
            spectrum[..., geometry.n_bins :] *= mask.mean(axis=-1, keepdims=True)
        else:
            spectrum[..., geometry.n_bins :] = 0.0
        frames = scipy.fft.irfft(
            spectrum, n=geometry.frame_length, overwrite_x=True, workers=_n_cores()
        )
        frames *= self.window * np.float32(_WINDOW_COMPENSATION)
        return overlap_add(frames, geometry.frame_step)

    def _mask_of(self, magnitudes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        (mask,) = self.session.run([OUTPUT], {INPUT: magnitudes[None]})
        if not np.isfinite(mask).all():
            raise self.model.damaged("its weights give values that are not numbers")
        return np.asarray(mask[0])


def _n_cores() -> int:
    return len(os.sched_getaffinity(0))


def _session(graph: Graph) -> Any:  # noqa: ANN401 - onnxruntime publishes no types
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _n_cores()
    options.log_severity_level = _ERRORS_ONLY
    # Threads that wait for the next layer sleep: a song may share the machine with others.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # They take small shares of a layer, so that nobody waits for the one that was held up.
    options.add_session_config_entry("session.dynamic_block_base", "4")
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(w) for w in graph.weights.values()]
    options.add_external_initializers(list(graph.weights), values)
    return onnxruntime.InferenceSession(
        graph.structure, options, providers=["CPUExecutionProvider"]
    )
