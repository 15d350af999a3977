"""The ways in which a stranger's file is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pipeline.codec import decode, decode_blocks, find_title, fingerprint
from pipeline.names import LONGEST_NAME

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Way: TypeAlias = "Callable[[Path], None]"
Ways: TypeAlias = "tuple[Way, ...]"


def _know(path: Path) -> None:
    assert len(fingerprint(path, name="song")) == 64


def _name(path: Path) -> None:
    title = find_title(path, name="song")
    assert title
    assert title.isprintable()
    assert len(title) <= 2 * LONGEST_NAME + 3


def _decode(path: Path) -> None:
    song = decode(path, name="song", shortest_s=0.05)
    assert song.samples.shape[0] == 2
    assert np.abs(song.samples).max() <= 1.0


def _measure(path: Path) -> None:
    for block in decode_blocks(path, name="song"):
        assert np.isfinite(block).all()


WAYS: Ways = (_know, _name, _decode, _measure)
