"""What the figures were measured on, by names that hold for every such machine."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.bench.memory import kilobytes_in

_LIBRARIES = (
    "numpy",
    "scipy",
    "openvino",
    "spleeter",
    "tensorflow",
    "librosa",
    "python-stretch",
    "soundfile",
    "discord.py",
)


def describe() -> dict[str, str]:
    """Return the processor, its cores, the memory, the versions, the load and the date."""
    total_kb = kilobytes_in(Path("/proc/meminfo").read_text(), "MemTotal")
    return {
        "processor": _processor(Path("/proc/cpuinfo").read_text()),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{total_kb / 2**20:.0f} GiB",
        "system": platform.system(),
        "python": platform.python_version(),
        **{library: found for library in _LIBRARIES if (found := _version(library))},
        "load before the run": f"{os.getloadavg()[0]:.1f}",
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
    }


def _processor(cpuinfo: str) -> str:
    lines = (line.partition(":") for line in cpuinfo.splitlines())
    return next((value.strip() for key, _, value in lines if key.strip() == "model name"), "?")


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
