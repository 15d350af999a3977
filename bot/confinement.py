"""What a worker's process takes away from itself before it touches anybody's song.

Limits that the kernel keeps for every process, and rights that it does not need. Whatever it
starts, ffmpeg and its second process, inherits them. Nothing here needs privileges.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import resource
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

_NICE = 5
_FIRST_TO_GO = "500"  # of 1000: when memory runs out, the kernel takes a worker, not the bot
_SET_NO_NEW_PRIVS = 38  # PR_SET_NO_NEW_PRIVS of linux/prctl.h
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000  # CLONE_NEWUSER, CLONE_NEWNET of linux/sched.h
_CAP_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3 of linux/capability.h
_CAPS_OVER_FILES = 0b11111  # CAP_CHOWN, _DAC_OVERRIDE, _DAC_READ_SEARCH, _FOWNER, _FSETID
_PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one worker's process, and each that it starts, may take of the machine.

    Attributes
    ----------
    memory_bytes
        Memory of its own. Signals that are mapped from files do not count, nor do libraries.
    cpu_s
        Processor time for one task, in seconds, all threads together.
    file_bytes
        The largest file that it may write.
    open_files
        How many files and sockets it may have open.
    """

    memory_bytes: int
    cpu_s: float
    file_bytes: int
    open_files: int = 1024


def limit(limits: Limits) -> None:
    """Keep this process, for good, to what it may take; processor time is for `allow_cpu`."""
    # Not the size of its address space: the networks and the signals map far more than they use.
    _lower(resource.RLIMIT_DATA, limits.memory_bytes)
    _lower(resource.RLIMIT_FSIZE, limits.file_bytes)
    _lower(resource.RLIMIT_NOFILE, limits.open_files)
    _lower(resource.RLIMIT_CORE, 0)  # a core would hold somebody's song


def _lower(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (most, most))


def allow_cpu(seconds: float) -> None:
    """Let this process, and those that it has started, run so many seconds from now on.

    The kernel ends a process that runs longer, by SIGXCPU.
    """
    for pid in (os.getpid(), *_children()):
        with contextlib.suppress(OSError):  # it has just ended
            _, hard = resource.prlimit(pid, resource.RLIMIT_CPU)
            most = round(_cpu_s(pid) + seconds) + 1
            if hard != resource.RLIM_INFINITY:
                most = min(most, hard)
            resource.prlimit(pid, resource.RLIMIT_CPU, (most, hard))


def _children() -> list[int]:
    mine = str(os.getpid())
    return [
        int(path.name) for path in _PROCESSES.glob("[0-9]*") if _facts(int(path.name))[1] == mine
    ]


def _cpu_s(pid: int) -> float:
    user, system = _facts(pid)[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _facts(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on: that is behind the program's name."""
    try:
        line = (_PROCESSES / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has just ended, or there is no /proc
        return ["X", *["0"] * 20]
    return line.rpartition(")")[2].split()


def give_way() -> None:
    """Let the bot, and what else runs here, go first: for the processor, and when memory ends."""
    os.nice(_NICE)
    with contextlib.suppress(OSError):  # a system without it
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")


def keep_to_itself() -> None:
    """Let nobody else read what is written, and gain no rights from a program that is started."""
    os.umask(0o077)
    _prctl(_SET_NO_NEW_PRIVS)


def _prctl(option: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def drop_capabilities() -> None:
    """Keep of root's powers, where the bot runs as root, those over the files of its folders.

    Root could look into the bot, whatever else is forbidden. Other users have no powers to lose.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    header, data = _CapHeader(_CAP_VERSION, 0), (_CapData * 2)()
    if libc.capget(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capget")
    kept = data[0].permitted & _CAPS_OVER_FILES
    data[0], data[1] = _CapData(kept, kept, 0), _CapData(0, 0, 0)
    if libc.capset(ctypes.byref(header), data):
        raise OSError(ctypes.get_errno(), "capset")


def leave_network() -> bool:
    """Move to a network of one's own, with nobody in it; False where the system does not allow it.

    The process must still have a single thread.
    """
    uid, gid = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NET) == 0:  # root
        return True
    if uid == 0 or libc.unshare(_NEW_USER | _NEW_NET):
        return False
    # Among users of its own it is called what it was before. Where that is not allowed it has no
    # name, but the same files.
    maps = {"setgroups": "deny", "uid_map": f"{uid} {uid} 1", "gid_map": f"{gid} {gid} 1"}
    with contextlib.suppress(OSError):
        for name, text in maps.items():
            Path("/proc/self", name).write_text(text, encoding="ascii")
    return True
