"""Landlock: a process gives up, for good, the files that it has no business with.

The kernel keeps it (Linux 5.13 and later, where it is switched on), nobody needs privileges for it,
and whatever the process starts is bound as well. It also keeps a process from looking into others:
into the memory and the environment of the bot. See landlock(7) and linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # the system calls, the same on every processor
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_AND_REMOVE = sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE, _IOCTL = 1 << 13, 1 << 14, 1 << 15
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL


class _Ruleset(ctypes.Structure):
    _fields_ = (("handled_access_fs", ctypes.c_uint64),)


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> bool:
    """Leave the calling thread, and what it starts from now on, these files and no others.

    It must already have given up new privileges, and should have no other thread yet.

    Parameters
    ----------
    readable
        Files and folders to read, and programs to run; what is not there is passed over.
    writable
        The same, to read and change.

    Returns
    -------
    bool
        False where the kernel has no Landlock, or it is switched off.

    Raises
    ------
    OSError
        The kernel has it and does not take the rules.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, 0, _VERSION)
    if version < 1:
        return False
    changing = _WRITE_FILE | _MAKE_AND_REMOVE
    changing |= _REFER if version >= 2 else 0
    changing |= _TRUNCATE if version >= 3 else 0
    attributes = _Ruleset(_READING | changing)
    ruleset = _checked(
        libc.syscall(_CREATE, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    )
    try:
        for path in readable:
            _allow(libc, ruleset, path, _READING)
        for path in writable:
            _allow(libc, ruleset, path, _READING | changing)
        _checked(libc.syscall(_RESTRICT, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, access: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    try:
        rule = _PathBeneath(access if path.is_dir() else access & _OF_FILES, place)
        _checked(libc.syscall(_ADD, ruleset, _BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(place)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"landlock: {errno.errorcode.get(number, number)}")
    return result
