"""What this process uses of its machine, as far as the platform tells."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any, Final

_MIB: Final = 1024 * 1024


def memory_bytes() -> tuple[int, int]:
    """Resident and virtual size now; where the platform does not tell (it is not Linux), the peak
    of the former, and 0."""
    try:
        pages = Path("/proc/self/statm").read_text().split()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024, 0
    size = resource.getpagesize()
    return int(pages[1]) * size, int(pages[0]) * size


def allow_many_files() -> None:
    """Let this process have as many connections and files open as it may at most: the usual limit
    is meant for programs that would not work with higher numbers, and is soon reached here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says unlimited, and takes less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def memory_report() -> dict[str, float]:
    """Memory in MiB, and as a part of the machine's in percent."""
    resident, virtual = memory_bytes()
    total = total_memory_bytes()
    percent = 100 * resident / total if total else 0.0
    return {
        "rss_mb": round(resident / _MIB, 1),
        "vms_mb": round(virtual / _MIB, 1),
        "percent": round(percent, 1),
    }


def total_memory_bytes() -> int:
    """Memory of the machine; 0 if unknown."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


def machine_report() -> dict[str, Any]:
    """Load, memory and disk of the machine."""
    disk = shutil.disk_usage("/")
    load = os.getloadavg()
    return {
        "cpu_percent": round(100 * load[0] / (os.cpu_count() or 1), 1),
        "memory_percent": _memory_percent(),
        "disk_usage": round(100 * disk.used / disk.total, 1),
        "load_average": [round(value, 2) for value in load],
    }


def _memory_percent() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0.0
    sizes = {line.partition(":")[0]: int(line.split()[1]) for line in lines}
    return round(100 * (1 - sizes.get("MemAvailable", 0) / sizes["MemTotal"]), 1)
