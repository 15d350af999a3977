"""A model's network, loaded once: patches of songs in, what is sung in them out."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pipeline.runtime import compile_network
from pipeline.separate.archive import CHECKPOINT_NAME
from pipeline.separate.graph import build_graph
from pipeline.separate.model import read_settings
from pipeline.separate.tensors import read_tensors
from pipeline.separate.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    import numpy.typing as npt

    from pipeline.separate.model import Model, Settings
    from pipeline.separate.onnx_file import Graph
    from pipeline.separate.transform import Spectrum
    from pipeline.types import Signal

_STREAMS = 2  # patches at the same time: of the two songs of a merge, or of one song


@dataclass(slots=True, kw_only=True, eq=False)
class Patch:
    """A stretch of a song on its way through the network.

    Attributes
    ----------
    start
        Its first sample's place in the song.
    samples
        What the song is there; shape (2, `PatchGeometry.patch_length`).
    spectrum
        Shape (2, n_frames, `Transform.n_kept`).
    """

    start: int
    samples: Signal
    spectrum: Spectrum


@dataclass(slots=True, kw_only=True, eq=False)
class Network:
    """The graph with its weights, compiled once for all songs and threads.

    Attributes
    ----------
    settings
        How it was trained.
    transform
        Between patches and the spectra that it sees.
    idle
        Requests to the runtime that no patch is in.
    """

    settings: Settings
    transform: Transform
    idle: SimpleQueue[Any] = field(default_factory=SimpleQueue)

    @classmethod
    def load(cls, model: Model, *, fast: bool) -> Self:
        """Read a model and build its graph; see `pipeline.separate.graph` for what is fast.

        Raises
        ------
        ModelUnavailableError
            The model's files are missing, damaged or of another network.
        OSError
            There is no room for what the runtime is given.
        """
        try:
            read = model.open()
            settings = read_settings(model, read)
            tensors = read_tensors(read, CHECKPOINT_NAME)
            if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
                raise model.damaged("its weights are not numbers")
            graph = build_graph(tensors, settings.config, fast=fast)
            del read, tensors  # the files are let go of before the runtime takes its share
        except (EOFError, OSError) as error:
            raise model.damaged("a file is missing or broken off") from error
        except ValueError as error:
            raise model.damaged("its files are altered or of another network") from error
        network = cls(
            settings=settings,
            # Above what the network sees, the mask goes on as the configuration says.
            transform=Transform.of(
                settings.geometry, whole=settings.config["mask_extension"] == "average"
            ),
        )
        streams = min(_STREAMS, _n_cores())
        compiled = _compiled(graph, streams)
        for _ in range(streams):
            network.idle.put(compiled.create_infer_request())
        return network

    def mask(self, patches: Iterable[Patch]) -> Generator[Patch, None, None]:
        """Leave in the spectra of patches what belongs to the vocals.

        While the network is busy with some patches, the next is asked for, and the last is given
        back: whoever makes and takes them can work at the same time.

        Parameters
        ----------
        patches
            Their spectra are masked in place.

        Yields
        ------
        Patch
            The same in the same order, a few of them later.
        """
        asked: deque[tuple[Any, Patch]] = deque()
        try:
            for patch in patches:
                while (request := self._idle_request(wait=not asked)) is None:
                    yield self._answered(asked)
                asked.append((request, patch))
                seen = patch.spectrum[..., : self.settings.geometry.n_bins]
                np.abs(seen, out=request.get_input_tensor().data[0])
                request.start_async()
            while asked:
                yield self._answered(asked)
        finally:
            for request, _ in asked:
                request.wait()
                self.idle.put(request)

    def _idle_request(self, *, wait: bool) -> Any:  # noqa: ANN401 - the runtime hides its types
        """Take a request; None if others have them all.

        Only who has none may wait, else two might wait for each other.
        """
        try:
            return self.idle.get(block=wait)
        except Empty:
            return None

    def _answered(self, asked: deque[tuple[Any, Patch]]) -> Patch:
        """Apply the oldest answer and give its request to whoever waits for one."""
        request, patch = asked[0]
        request.wait()
        mask: npt.NDArray[np.float32] = request.get_output_tensor().data[0]
        n_bins = self.settings.geometry.n_bins
        patch.spectrum[..., :n_bins] *= mask
        patch.spectrum[..., n_bins:] *= mask.mean(axis=-1, keepdims=True)
        asked.popleft()
        self.idle.put(request)
        return patch


def _compiled(graph: Graph, streams: int) -> Any:  # noqa: ANN401 - the runtime hides its types
    with tempfile.TemporaryDirectory(prefix="network-") as folder:
        path = graph.write(Path(folder))
        return compile_network(path, threads=_n_cores(), streams=streams)


def _n_cores() -> int:
    return len(os.sched_getaffinity(0))
