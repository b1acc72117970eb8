"""The most that this process has held in memory."""

import re
import resource
import sys
from contextlib import suppress
from pathlib import Path

# Of Linux: what a process is told of itself, and how it lets its peak begin anew.
STATUS, FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_memory() -> int:
    """The largest resident size so far, in bytes."""
    if STATUS.exists():
        # Not by getrusage: there, a new process starts with the peak of the one that started it.
        peak = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text(encoding="utf-8"))
        if peak is not None:
            return int(peak[1]) * 1024
    scale = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, others KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def forget_peak() -> None:
    """Lets the peak begin anew, where the system can: several runs may share a process."""
    with suppress(OSError):
        FORGET.write_text("5", encoding="ascii")
