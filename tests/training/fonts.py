"""Whether FluidSynth and its soundfonts are there: tests that need them skip without."""

from __future__ import annotations

import ctypes.util

import pytest

from training.bands.soundfonts import FONTS, SoundfontError, find_font


def _missing() -> str:
    if ctypes.util.find_library("fluidsynth") is None:
        return "FluidSynth is not installed"
    try:
        for font in FONTS:
            find_font(font)
    except SoundfontError as error:
        return str(error)
    return ""


needs_fonts = pytest.mark.skipif(bool(_missing()), reason=_missing() or "all are there")
