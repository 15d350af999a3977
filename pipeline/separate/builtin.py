"""The network that comes with the package: nothing to download, and nothing left behind."""

from __future__ import annotations

import json
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ModelUnavailableError
from pipeline.separate.archive import UnusableWeightsError, sha256_of, verify
from pipeline.separate.spleeter import NetworkSeparator
from pipeline.separate.weights import ARCHIVE_NAME, CHECKSUM_NAME, MODEL_NAME

if TYPE_CHECKING:
    from pipeline.separate.model import Precision, ReadFile

BUILT_IN = Path(__file__).parents[1] / "models" / ARCHIVE_NAME
"""The package's own model, packed as Spleeter's release packs its models."""


@dataclass(frozen=True, slots=True)
class PackedModel:
    """A model that stays in its archive, which is read in memory.

    Attributes
    ----------
    archive
        A ``2stems.tar.gz``; beside it lies the ``checksum.json`` that fits it.
    """

    archive: Path

    def open(self) -> ReadFile:
        """Verify and unpack the archive in memory, and return what reads its files.

        Raises
        ------
        ModelUnavailableError
            The archive is not what its checksum says.
        OSError
            The archive or its checksum is not there.
        """
        try:
            checksums = self.archive.with_name(CHECKSUM_NAME).read_bytes()
            verify(self.archive, str(json.loads(checksums)[MODEL_NAME]))
        except UnusableWeightsError as error:
            raise self.damaged(str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise self.damaged(f"its {CHECKSUM_NAME} cannot be read") from error
        try:
            files = _unpacked(self.archive)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise self.damaged("the archive cannot be unpacked") from error

        def read(name: str) -> bytes:
            if name not in files:
                raise FileNotFoundError(name)
            return files[name]

        return read

    def digest(self) -> str:
        """Hash the archive."""
        return sha256_of(self.archive)

    def damaged(self, reason: str) -> ModelUnavailableError:
        """Return the error that says what is wrong with the model and what to do about it."""
        return ModelUnavailableError(
            f"The built-in network is damaged: {reason}.",
            hint=f"Install this program again; the network lies in {self.archive.parent}.",
        )


def _unpacked(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive, "r:gz") as tar:
        return {
            member.name.removeprefix("./"): content.read()
            for member in tar
            if (content := tar.extractfile(member))
        }


class BuiltInSeparator(NetworkSeparator):
    """The package's own network.

    Parameters
    ----------
    archive
        Where it lies packed: `BUILT_IN`, or another one to try.
    note
        A sentence for the user when this one stands in for a better one.
    precision
        See `NetworkSeparator`.
    """

    def __init__(self, archive: Path, *, note: str = "", precision: Precision = "fast") -> None:
        super().__init__("built-in", PackedModel(archive), note=note, precision=precision)
