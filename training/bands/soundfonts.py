"""Notes played on sampled instruments: FluidSynth and two General MIDI soundfonts.

FluidR3 (F. Wen) and MuseScore General (S. C. Collins) are under the MIT licence. FluidSynth is
called through its C interface: a fresh synthesiser for each layer, without its own rooms and
choruses, gives the same bytes for the same notes, whatever was played before.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.types import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.types import Signal
    from training.bands.notes import Bend, Note

FONTS = ("FluidR3_GM.sf2", "MuseScore_General_Full.sf3")
"""File names of the soundfonts, both under the MIT licence."""

_FOLDERS = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts")
_BLOCK = 64  # FluidSynth takes events between blocks of 64 samples, 1.5 ms
_DRUM_BANK = 128
_DRUM_CHANNEL = 9
_WARNING = 2  # FluidSynth's number of that level of its log
_OFF, _BEND, _ON = range(3)  # in the order in which one moment's events are sent


class SoundfontError(RuntimeError):
    """FluidSynth or a soundfont is not there, or would not load."""


def find_font(name: str) -> Path:
    """Return where a soundfont is.

    Raises
    ------
    SoundfontError
        It is in none of the usual directories.
    """
    for folder in _FOLDERS:
        if (path := Path(folder) / name).exists():
            return path
    raise SoundfontError(
        f"The soundfont {name} is in none of {', '.join(_FOLDERS)}. On Debian: "
        "apt-get install libfluidsynth3 fluid-soundfont-gm musescore-general-soundfont"
    )


def play_font(
    font: str,
    notes: Iterable[Note],
    *,
    program: int,
    length: int,
    drums: bool = False,
    bends: Iterable[Bend] = (),
) -> Signal:
    """Play notes on one instrument.

    Parameters
    ----------
    font
        One of `FONTS`.
    notes
        In any order; times in seconds from the first sample.
    program
        General MIDI number from 0 to 127, or the number of a drum kit.
    length
        How many samples to play.
    drums
        Whether `program` is a drum kit.
    bends
        Where the pitch of all notes moves.

    Returns
    -------
    Signal
        float32, shape (2, length).

    Raises
    ------
    SoundfontError
        FluidSynth or the soundfont is not there.
    """
    return _open_player(font).play(list(notes), list(bends), program, length, drums=drums)


class _Player:
    """One soundfont in memory; kept, since loading takes seconds.

    Each layer is played by a synthesiser of its own, which borrows the font: one that has played
    before would not give the same bytes again.
    """

    def __init__(self, font: str) -> None:
        path = find_font(font)
        self._lib = _load_library()
        self._settings = self._lib.new_fluid_settings()
        for name, number in (("sample-rate", float(SAMPLE_RATE)), ("gain", 0.4)):
            self._lib.fluid_settings_setnum(self._settings, f"synth.{name}".encode(), number)
        for name, whole in (("reverb.active", 0), ("chorus.active", 0), ("polyphony", 512)):
            self._lib.fluid_settings_setint(self._settings, f"synth.{name}".encode(), whole)
        self._host = self._lib.new_fluid_synth(self._settings)
        if self._lib.fluid_synth_sfload(self._host, str(path).encode(), 0) < 0:
            raise SoundfontError(f"FluidSynth could not load {path}.")
        self._font = self._lib.fluid_synth_get_sfont(self._host, 0)

    def play(
        self, notes: list[Note], bends: list[Bend], program: int, length: int, *, drums: bool
    ) -> Signal:
        lib = self._lib
        synth = lib.new_fluid_synth(self._settings)
        borrowed = lib.fluid_synth_add_sfont(synth, self._font)
        channel, bank = (_DRUM_CHANNEL, _DRUM_BANK) if drums else (0, 0)
        try:
            if lib.fluid_synth_program_select(synth, channel, borrowed, bank, program) != 0:
                raise SoundfontError(f"There is no instrument {program} in bank {bank}.")
            lib.fluid_synth_pitch_wheel_sens(synth, channel, 12)
            return self._perform(synth, channel, _events(notes, bends), length)
        finally:
            lib.fluid_synth_remove_sfont(synth, self._font)
            lib.delete_fluid_synth(synth)

    def _perform(
        self, synth: int, channel: int, events: list[tuple[int, int, int, int]], length: int
    ) -> Signal:
        blocks = -(-length // _BLOCK)
        out = np.zeros((2, blocks * _BLOCK), dtype=np.float32)
        done = 0
        for block, kind, value, velocity in events:
            if block >= blocks:
                break
            self._write(synth, out, done, block)
            done = block
            if kind == _OFF:
                self._lib.fluid_synth_noteoff(synth, channel, value)
            elif kind == _BEND:
                self._lib.fluid_synth_pitch_bend(synth, channel, value)
            else:
                self._lib.fluid_synth_noteon(synth, channel, value, velocity)
        self._write(synth, out, done, blocks)
        return out[:, :length]

    def _write(self, synth: int, out: Signal, start: int, end: int) -> None:
        if end > start:
            left = out[0, start * _BLOCK :].ctypes.data_as(ctypes.c_void_p)
            right = out[1, start * _BLOCK :].ctypes.data_as(ctypes.c_void_p)
            count = (end - start) * _BLOCK
            self._lib.fluid_synth_write_float(synth, count, left, 0, 1, right, 0, 1)


def _events(notes: list[Note], bends: list[Bend]) -> list[tuple[int, int, int, int]]:
    """Return (block, kind, pitch or wheel, velocity) in the order in which they are due."""
    events = [(_block(bend.at_s), _BEND, bend.wheel, 0) for bend in bends]
    for note in notes:
        start = _block(note.start_s)
        end = max(start + 1, _block(note.start_s + note.length_s))
        events.append((start, _ON, note.pitch, note.velocity))
        events.append((end, _OFF, note.pitch, 0))
    return sorted(events)


def _block(time_s: float) -> int:
    return max(0, round(time_s * SAMPLE_RATE / _BLOCK))


@lru_cache(maxsize=len(FONTS))
def _open_player(font: str) -> _Player:
    return _Player(font)


@lru_cache(maxsize=1)
def _load_library() -> ctypes.CDLL:
    name = ctypes.util.find_library("fluidsynth")
    if name is None:
        raise SoundfontError(
            "FluidSynth is not installed. On Debian: apt-get install libfluidsynth3"
        )
    lib = ctypes.CDLL(name)
    pointer, whole = ctypes.c_void_p, ctypes.c_int
    # Every returned font is announced as sixteen channels without instruments: say only errors.
    lib.fluid_set_log_function.argtypes = [whole, pointer, pointer]
    lib.fluid_set_log_function(_WARNING, None, None)
    lib.new_fluid_settings.restype = pointer
    lib.new_fluid_synth.restype = pointer
    lib.new_fluid_synth.argtypes = [pointer]
    lib.fluid_settings_setnum.argtypes = [pointer, ctypes.c_char_p, ctypes.c_double]
    lib.fluid_settings_setint.argtypes = [pointer, ctypes.c_char_p, whole]
    lib.fluid_synth_sfload.argtypes = [pointer, ctypes.c_char_p, whole]
    lib.fluid_synth_get_sfont.restype = pointer
    lib.fluid_synth_get_sfont.argtypes = [pointer, ctypes.c_uint]
    lib.fluid_synth_add_sfont.argtypes = [pointer, pointer]
    lib.fluid_synth_remove_sfont.argtypes = [pointer, pointer]
    lib.delete_fluid_synth.argtypes = [pointer]
    lib.delete_fluid_synth.restype = None
    lib.fluid_synth_program_select.argtypes = [pointer, whole, whole, whole, whole]
    for function in (lib.fluid_synth_pitch_wheel_sens, lib.fluid_synth_pitch_bend):
        function.argtypes = [pointer, whole, whole]
    lib.fluid_synth_noteoff.argtypes = [pointer, whole, whole]
    lib.fluid_synth_noteon.argtypes = [pointer, whole, whole, whole]
    lib.fluid_synth_write_float.argtypes = [
        *(pointer, whole),
        *(pointer, whole, whole),
        *(pointer, whole, whole),
    ]
    return lib
