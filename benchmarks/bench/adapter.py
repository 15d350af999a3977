"""Reads and writes songs for Spleeter's command where there is no ffprobe, which its own needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import soundfile
from spleeter.audio.adapter import AudioAdapter

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt


class SoundFileAdapter(AudioAdapter):
    """libsndfile in place of two processes of ffmpeg; it is the faster of the two."""

    def load(
        self,
        audio_descriptor: str,
        offset: float | None = None,
        duration: float | None = None,
        sample_rate: float | None = None,
        dtype: bytes = b"float32",
    ) -> tuple[npt.NDArray[np.float32], float]:
        """Read a stretch of a song, shape (n, channels), at the file's own rate.

        Raises
        ------
        ValueError
            The song has another rate or type than is asked for.
        """
        with soundfile.SoundFile(audio_descriptor) as file:
            rate: int = file.samplerate
            if rate != sample_rate or dtype != b"float32":
                raise ValueError(f"{rate} Hz, not {sample_rate} Hz in {dtype!r}")
            file.seek(round((offset or 0.0) * rate))
            wanted = -1 if duration is None else round(duration * rate)
            samples = file.read(wanted, dtype="float32", always_2d=True)
        return samples, rate

    def save(
        self,
        path: Path | str,
        data: npt.NDArray[np.float32],
        sample_rate: float,
        codec: Any = None,  # noqa: ANN401, ARG002 - Spleeter's own kind; the extension says it
        bitrate: str | None = None,  # noqa: ARG002 - a wav file has none
    ) -> None:
        """Write a stem of shape (n, channels) in 16 bits, as ffmpeg would."""
        soundfile.write(path, data, int(sample_rate), subtype="PCM_16")
